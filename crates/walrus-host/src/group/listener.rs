//! Listens for Reporters and bounds how many there are.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use walrus_core::config::GroupSettings;
use walrus_core::world::Name;

use super::GroupEvent;
use super::connection::Connection;
use crate::clock::Clock;
use crate::log::Limited;
use crate::shutdown::Shutdown;
use crate::state::{StateDirectory, StateError};
use crate::tls::{ServerIdentity, TlsError};
use crate::token::{Token, TokenError};

/// Connections at once, those that have not yet said who they are included.
const CONNECTIONS_MAX: usize = 20_000;

/// Who the group's listener is, and what it asks for.
#[derive(Clone, Debug)]
pub struct GroupSecurity {
    /// This node, for its hello.
    pub name: Name,
    /// Its certificate.
    pub identity: ServerIdentity,
    /// What Reporters must bring.
    pub token: Token,
    /// Takes plaintext from off loopback.
    pub insecure: bool,
}

impl GroupSecurity {
    /// As configured; certificate and token are made in the state directory at first start if
    /// none are named. A self-signed certificate carries the node's name, `localhost` and the
    /// listening addresses.
    ///
    /// # Errors
    /// If a certificate, key or token will not do, or none can be made.
    pub fn load(
        name: &Name,
        settings: &GroupSettings,
        state: &StateDirectory,
    ) -> Result<Self, GroupError> {
        let mut names = vec![name.to_string(), "localhost".to_owned()];
        names.extend(settings.listen.iter().map(|address| address.ip().to_string()));
        let identity = ServerIdentity::load(settings, state, names)?;
        let token = match &settings.token_file {
            Some(path) => Token::read(path)?,
            None => state.token("reporter-token")?,
        };
        Ok(Self { name: name.clone(), identity, token, insecure: settings.insecure })
    }
}

/// The group's open sockets, not yet served.
#[derive(Debug)]
pub struct GroupListener {
    listeners: Vec<(TcpListener, SocketAddr)>,
    security: GroupSecurity,
    nodes: Option<Nodes>,
}

/// Name servers of other nodes: what they must bring, and who hears them.
pub(super) struct Nodes {
    pub(super) token: Token,
    pub(super) events: mpsc::Sender<GroupEvent>,
}

impl std::fmt::Debug for Nodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nodes").finish_non_exhaustive()
    }
}

impl GroupListener {
    /// Opens all addresses, so that a port that is taken is known before anything starts.
    ///
    /// # Errors
    /// If one cannot be opened.
    pub async fn bind(
        addresses: &[SocketAddr],
        security: GroupSecurity,
    ) -> Result<Self, GroupError> {
        let mut listeners = Vec::new();
        for &address in addresses {
            let opened = async {
                let listener = TcpListener::bind(address).await?;
                let address = listener.local_addr()?;
                Ok((listener, address))
            };
            listeners.push(opened.await.map_err(|error| GroupError::Bind { address, error })?);
        }
        Ok(Self { listeners, security, nodes: None })
    }

    /// The addresses that it listens at (with the port that the system chose for port 0).
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.listeners.iter().map(|(_, address)| *address)
    }

    /// Takes name servers of other nodes too, with a token of their own: Reporters' is on web
    /// servers. `events` hears them, and nothing of Reporters.
    #[must_use]
    pub fn with_nodes(mut self, token: Token, events: mpsc::Sender<GroupEvent>) -> Self {
        self.nodes = Some(Nodes { token, events });
        self
    }

    /// Serves until shutdown, in tasks of its own. `events` should be bounded: a Controller that
    /// cannot follow slows its Reporters down instead of growing.
    pub fn serve(
        self,
        events: mpsc::Sender<GroupEvent>,
        clock: Clock,
        shutdown: Shutdown,
    ) -> Arc<GroupCounters> {
        let session = clock.unix_ms();
        let served = Arc::new(Served {
            acceptor: TlsAcceptor::from(self.security.identity.config.clone()),
            security: self.security,
            nodes: self.nodes,
            session,
            events,
            clock,
            shutdown,
            counters: Arc::default(),
            room: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            refusals: Limited::new(Duration::from_secs(10)),
        });
        let counters = served.counters.clone();
        for (listener, address) in self.listeners {
            tokio::spawn(served.clone().accept(listener, address));
        }
        counters
    }
}

/// What all connections of a group share.
pub(super) struct Served {
    pub(super) acceptor: TlsAcceptor,
    pub(super) security: GroupSecurity,
    pub(super) nodes: Option<Nodes>,
    pub(super) session: u64,
    pub(super) events: mpsc::Sender<GroupEvent>,
    pub(super) clock: Clock,
    pub(super) shutdown: Shutdown,
    pub(super) counters: Arc<GroupCounters>,
    room: Arc<Semaphore>,
    refusals: Limited,
}

impl Served {
    async fn accept(self: Arc<Self>, listener: TcpListener, address: SocketAddr) {
        tracing::info!(%address, fingerprint = %self.security.identity.fingerprint,
            "listening for Reporters");
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.shutdown.requested() => return,
            };
            match accepted {
                Ok((stream, peer)) => self.clone().take(stream, peer),
                Err(error) => {
                    // Out of descriptors, as a rule: accepting again at once would spin.
                    self.refused(None, &format!("cannot accept: {error}"));
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    fn take(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let Ok(room) = self.room.clone().try_acquire_owned() else {
            self.refused(Some(peer), "too many connections");
            return;
        };
        // Reports are small and should not wait for each other.
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let _room = room;
            Connection::new(self, peer).run(stream).await;
        });
    }

    /// Counts a refusal and says so in the log, now and then.
    pub(super) fn refused(&self, peer: Option<SocketAddr>, reason: &str) {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        if let Some(left_out) = self.refusals.pass() {
            let peer = peer.map(|peer| peer.to_string()).unwrap_or_default();
            tracing::warn!(%peer, reason, left_out, "a connection to the group was refused");
        }
    }
}

/// What the group counted since its start.
#[derive(Debug, Default)]
pub struct GroupCounters {
    connected: AtomicU64,
    refused: AtomicU64,
    unknown_kinds: AtomicU64,
}

impl GroupCounters {
    /// Reporters connected now.
    #[must_use]
    pub fn connected(&self) -> u64 {
        self.connected.load(Ordering::Relaxed)
    }

    /// Connections refused: no room, no or a wrong hello, plaintext, garbage, refused reports.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Messages of a kind that this program does not know, which were skipped.
    #[must_use]
    pub fn unknown_kinds(&self) -> u64 {
        self.unknown_kinds.load(Ordering::Relaxed)
    }

    pub(super) fn skipped_unknown_kind(&self) {
        self.unknown_kinds.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn joined(&self) {
        self.connected.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn left(&self) {
        self.connected.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why the group has no listener.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// An address cannot be listened at.
    #[error(
        "cannot listen for Reporters at {address}: is the port taken (`ss -ltnp`), or the address \
         not of this machine?"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The configured token file.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token in the state directory.
    #[error(transparent)]
    State(#[from] StateError),
}
