//! TLS handshakes, on a thread of their own: what they compute (a key exchange and a signature each) holds up no
//! query of those who have agreed or want no TLS.
//!
//! A connection comes here with its first byte; who says nothing takes nothing but its place among the connections.
//! So many may be agreeing at once as may be new where all places are taken: a fourth of all. One client network has
//! a fourth of that, and waits for its own. A flood of those who begin and do not go on, from many networks, ends
//! its own: the oldest of the network that has most gives way.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use super::places::{NEW_PART, Place, Places, one_client};

/// The first byte of a handshake (RFC 8446 section 5.1).
pub(super) const HANDSHAKE: u8 = 22;

/// The nice value of the thread: where cores are short, queries go before those who only begin to ask.
const NICE: i32 = 5;

/// Beside those that have a turn there are as many of proxies, and those that gave way: they stay in memory until
/// the thread comes to them.
const TASKS_OF_A_TURN: usize = 3;

/// The thread, and who may give it work.
pub(super) struct Handshakes {
    runtime: Handle,
    /// Who is agreeing now, by client.
    turns: Rc<Places>,
    /// Each client's own, while it has or waits for one.
    of_clients: Rc<RefCell<BTreeMap<IpAddr, Rc<Semaphore>>>>,
    tasks: Arc<Semaphore>,
    /// Dropped before the thread is waited for.
    ends: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Disagreement {
    /// There are too many handshakes.
    TooMany,
    /// There are, and this one had to give way.
    GaveWay,
    /// It did not come about.
    Failed,
}

impl Handshakes {
    /// For so many connections in all.
    ///
    /// # Errors
    /// If the thread or its runtime cannot be made.
    pub(super) fn start(connections_max: usize) -> io::Result<Self> {
        // The sockets stay with the runtime that accepted them: here is only computed.
        let runtime = Builder::new_current_thread().build()?;
        let handle = runtime.handle().clone();
        let (ends, ended) = oneshot::channel::<()>();
        let thread =
            std::thread::Builder::new().name("dns-handshakes".into()).spawn(move || {
                // Where it is forbidden, it goes on as it is.
                let _ = rustix::process::nice(NICE);
                let _ = runtime.block_on(ended);
            })?;
        let turns_max = (connections_max / NEW_PART).max(1);
        Ok(Self {
            runtime: handle,
            turns: Places::new(turns_max),
            of_clients: Rc::default(),
            tasks: Arc::new(Semaphore::new(turns_max.saturating_mul(TASKS_OF_A_TURN))),
            ends: Some(ends),
            thread: Some(thread),
        })
    }

    /// Agrees with a client, on what is there when its turn has come; what is agreed on goes on where this is awaited.
    /// Whoever no longer waits ends it.
    ///
    /// # Errors
    /// [`Disagreement`].
    pub(super) async fn agree(
        &self,
        stream: TcpStream,
        client: IpAddr,
        config: impl FnOnce() -> Option<Arc<ServerConfig>>,
    ) -> Result<TlsStream<TcpStream>, Disagreement> {
        // Who says nothing, has gone, or speaks something else takes nobody's turn.
        let mut first = [0];
        let is_first = stream.peek(&mut first).await.is_ok_and(|count| count > 0);
        if !is_first || first != [HANDSHAKE] {
            return Err(Disagreement::Failed);
        }
        let client = OneClient::of(&self.of_clients, client, self.turns.of_one_max());
        let _own = client.semaphore.acquire().await.map_err(|_| Disagreement::Failed)?;
        let turn = self.turns.take(client.network).ok_or(Disagreement::TooMany)?;
        // Whoever was silent, or waited, while it was replaced is shown the new one.
        let config = config().ok_or(Disagreement::Failed)?;
        self.agree_in_turn(stream, config, Some(&turn)).await
    }

    /// The same for a proxy, which agrees for many clients. It has a bound of its own before it comes here.
    ///
    /// # Errors
    /// [`Disagreement`].
    pub(super) async fn agree_with_proxy(
        &self,
        stream: TcpStream,
        config: Arc<ServerConfig>,
    ) -> Result<TlsStream<TcpStream>, Disagreement> {
        self.agree_in_turn(stream, config, None).await
    }

    async fn agree_in_turn(
        &self,
        stream: TcpStream,
        config: Arc<ServerConfig>,
        turn: Option<&Place>,
    ) -> Result<TlsStream<TcpStream>, Disagreement> {
        let task = Arc::clone(&self.tasks).try_acquire_owned();
        let task = task.map_err(|_| Disagreement::TooMany)?;
        let accepting = TlsAcceptor::from(config).accept(stream);
        let agreeing = self.runtime.spawn(async move {
            // Until it has ended, however it ends.
            let _task = task;
            accepting.await
        });
        let _ends_with_this = EndsWithThis(agreeing.abort_handle());
        let lost = async {
            match turn {
                Some(turn) => turn.lost().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // What is agreed on is kept, though the turn be lost. An error is a panic there, or the thread's end.
            agreed = agreeing => {
                agreed.map_err(io::Error::other).flatten().map_err(|_| Disagreement::Failed)
            }
            () = lost => Err(Disagreement::GaveWay),
        }
    }
}

impl Drop for Handshakes {
    fn drop(&mut self) {
        drop(self.ends.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

/// A client's handshakes; forgotten with the last of them.
struct OneClient {
    network: IpAddr,
    semaphore: Rc<Semaphore>,
    all: Rc<RefCell<BTreeMap<IpAddr, Rc<Semaphore>>>>,
}

impl OneClient {
    fn of(
        all: &Rc<RefCell<BTreeMap<IpAddr, Rc<Semaphore>>>>,
        client: IpAddr,
        at_once_max: usize,
    ) -> Self {
        let network = one_client(client);
        let mut clients = all.borrow_mut();
        let semaphore =
            clients.entry(network).or_insert_with(|| Rc::new(Semaphore::new(at_once_max)));
        Self { network, semaphore: Rc::clone(semaphore), all: Rc::clone(all) }
    }
}

impl Drop for OneClient {
    fn drop(&mut self) {
        // This one's, and that in the map.
        if Rc::strong_count(&self.semaphore) <= 2 {
            self.all.borrow_mut().remove(&self.network);
        }
    }
}

/// Ends a task when dropped.
struct EndsWithThis(AbortHandle);

impl Drop for EndsWithThis {
    fn drop(&mut self) {
        self.0.abort();
    }
}
