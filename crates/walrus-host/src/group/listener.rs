//! Listens for Reporters and bounds how many there are.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use walrus_core::message::SameToken;
use walrus_core::world::{Time, legible};

use super::connection::Connection;
use super::{GroupDoor, GroupEvent, GroupSecurity};
use crate::clock::Clock;
use crate::log::Limited;
use crate::shutdown::Shutdown;
use crate::state::StateError;
use crate::tls::TlsError;
use crate::token::TokenError;

/// Connections at once, those that have not yet said who they are included.
const CONNECTIONS_MAX: usize = 20_000;
/// Refusals that are remembered for `status`.
const REFUSALS_MAX: usize = 16;
/// Characters of a reason; the longest of ours, with names in it, is shorter.
pub(super) const REASON_MAX: usize = 500;

/// The group's open sockets, not yet served.
#[derive(Debug)]
pub struct GroupListener {
    listeners: Vec<(TcpListener, SocketAddr)>,
    door: GroupDoor,
    /// Who hears name servers of other nodes.
    nodes: Option<mpsc::Sender<GroupEvent>>,
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
        Ok(Self { listeners, door: GroupDoor::new(security), nodes: None })
    }

    /// The addresses that it listens at (with the port that the system chose for port 0).
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.listeners.iter().map(|(_, address)| *address)
    }

    /// Takes name servers of other nodes too. `events` hears them, and nothing of Reporters.
    #[must_use]
    pub fn with_nodes(mut self, events: mpsc::Sender<GroupEvent>) -> Self {
        self.nodes = Some(events);
        self
    }

    /// To let others in than before.
    #[must_use]
    pub fn door(&self) -> GroupDoor {
        self.door.clone()
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
            security: self.door.watch(),
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
    /// What holds now; who waits for it to change takes a copy.
    pub(super) security: watch::Receiver<Arc<GroupSecurity>>,
    pub(super) nodes: Option<mpsc::Sender<GroupEvent>>,
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
        let fingerprint = self.security.borrow().identity.fingerprint.clone();
        tracing::info!(%address, %fingerprint, "listening for Reporters");
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
    /// The reason may quote what a stranger sent.
    pub(super) fn refused(&self, peer: Option<SocketAddr>, reason: &str) {
        // Once more changes nothing.
        let reason = &legible(reason, REASON_MAX);
        self.counters.note(self.clock.now(), peer, reason);
        if let Some(left_out) = self.refusals.pass() {
            let peer = peer.map(|peer| peer.to_string()).unwrap_or_default();
            tracing::warn!(%peer, reason, left_out, "a connection to the group was refused");
        }
    }
}

/// What one machine may take its addresses from: of IPv6 a network of 64 bits.
fn network(address: Option<IpAddr>) -> Option<IpAddr> {
    const NETWORK: u128 = u128::MAX << 64;
    Some(match address? {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & NETWORK).into()),
        address => address,
    })
}

/// What the group counted since its start.
#[derive(Debug, Default)]
pub struct GroupCounters {
    connected: AtomicU64,
    refused: AtomicU64,
    unknown_kinds: AtomicU64,
    last: Mutex<VecDeque<Refusal>>,
}

/// Connections that one machine made and that were refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where they came from; `None` if none came to be.
    pub from: Option<IpAddr>,
    /// Why, and what to do.
    pub reason: String,
    /// How often.
    pub count: u64,
    /// When the last one was refused.
    pub at: Time,
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

    /// What was refused last, the newest first: of so many machines and reasons only.
    #[must_use]
    pub fn refusals(&self) -> Vec<Refusal> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn note(&self, at: Time, peer: Option<SocketAddr>, reason: &str) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let from = peer.map(|peer| peer.ip().to_canonical());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let same = last.iter().position(|it| it.from == from && it.reason == reason);
        let before = same.and_then(|index| last.remove(index));
        let count = before.map_or(0, |before| before.count) + 1;
        last.push_front(Refusal { from, reason: reason.to_owned(), count, at });
        if last.len() > REFUSALS_MAX {
            // The oldest of whoever has most, so that nobody can push out what others were refused for.
            let of = |index: usize| network(last[index].from);
            let same = |index| (0..last.len()).filter(|other| of(*other) == of(index)).count();
            let most = (0..last.len()).max_by_key(|index| (same(*index), *index));
            most.and_then(|index| last.remove(index));
        }
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
    /// Two with one token.
    #[error(transparent)]
    SameToken(#[from] SameToken),
    /// The token in the state directory.
    #[error(transparent)]
    State(#[from] StateError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_machine_pushes_out_what_others_were_refused_for() {
        let counters = GroupCounters::default();
        let note = |peer: &str, reason: &str| {
            counters.note(Time::ZERO, Some(peer.parse().unwrap()), reason);
        };
        note("192.0.2.1:1", "the one that matters");
        note("[2001:db8:1::1]:1", "another");
        for index in 0..100 {
            note("198.51.100.1:1", &format!("flood {index}"));
            note(&format!("[2001:db8::{index:x}]:1"), "flood");
        }
        let told = counters.refusals();
        assert_eq!(told.len(), REFUSALS_MAX);
        for reason in ["the one that matters", "another", "flood 99"] {
            assert!(told.iter().any(|it| it.reason == reason), "{reason}: {told:?}");
        }
    }
}
