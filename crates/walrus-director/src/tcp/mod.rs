//! TCP (RFC 7766): one thread for all connections, with bounds on all that a client could fill.
//!
//! Messages may be pipelined; replies go out in the order of the queries, several in one write.
//! A connection must bring a whole message within the idle time, counted from the last one (not
//! from the last byte), and must take its replies within the same time. When all places are taken,
//! whoever has brought no message for longest gives way (RFC 7766 section 6.2.3 lets a server under
//! pressure close idle connections): silence alone keeps nobody out.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::{Instant, timeout_at};
use walrus_core::answer::Transport;
use walrus_host::shutdown::Shutdown;

use crate::answering::{Answering, Incoming};
use crate::counters::Count;

/// The longest query that is taken, as for UDP.
const QUERY_SIZE_MAX: usize = 4096;

/// The longest reply that the length field allows.
const REPLY_SIZE_MAX: usize = u16::MAX as usize;

/// Replies are written once so many bytes are waiting.
const WRITE_AT: usize = 16 * 1024;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// How long to wait after a failed accept (out of file descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One client may have this part of all connections: a fourth, at least two.
const CLIENT_PART: usize = 4;

/// The bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at once; at least 1.
    pub(crate) connections_max: usize,
    /// How long a message may take to come, and its reply to go.
    pub(crate) idle: Duration,
}

/// A listening socket.
///
/// # Errors
/// As `bind` and `listen`.
pub(crate) fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for old connections to be forgotten.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A listening socket that somebody else opened.
///
/// # Errors
/// If it cannot be made to wait for nobody.
pub(crate) fn prepare(listener: std::net::TcpListener) -> io::Result<std::net::TcpListener> {
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves all connections on the calling thread until `shutdown`. Each `wake` calls
/// [`Answering::begin_batch`].
///
/// # Errors
/// If the runtime cannot be made.
pub(crate) fn run<A: Answering + 'static>(
    listeners: Vec<std::net::TcpListener>,
    limits: Limits,
    shutdown: Shutdown,
    wake: Arc<Notify>,
    answering: A,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let server = Rc::new(Server {
        answering: RefCell::new((answering, vec![0; REPLY_SIZE_MAX])),
        connections: RefCell::default(),
        limits,
    });
    let local = LocalSet::new();
    local
        .block_on(&runtime, async {
            for listener in listeners {
                let listener = TcpListener::from_std(listener)?;
                tokio::task::spawn_local(server.clone().accept(listener));
            }
            let waking = async {
                loop {
                    wake.notified().await;
                    server.answering.borrow_mut().0.begin_batch();
                }
            };
            tokio::select! {
                () = shutdown.requested() => Ok(()),
                () = waking => Ok(()),
            }
        })
        .inspect(|()| server.answering.borrow_mut().0.end())
    // Connections end where they are: their clients ask again.
}

struct Server<A> {
    /// Borrowed only between two waits, so never twice. With it the room for one reply.
    answering: RefCell<(A, Vec<u8>)>,
    connections: RefCell<Connections>,
    limits: Limits,
}

impl<A: Answering + 'static> Server<A> {
    async fn accept(self: Rc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, client)) => self.clone().begin(stream, client.ip()),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    /// Serves a connection beside the others, or closes it if there are too many.
    fn begin(self: Rc<Self>, stream: TcpStream, client: IpAddr) {
        let Some(place) = Place::take(&self, client_key(client)) else {
            self.count(Count::TcpRefused);
            return;
        };
        self.count(Count::TcpConnections);
        tokio::task::spawn_local(async move {
            let served = tokio::select! {
                served = self.serve(stream, client, &place) => served,
                () = place.give_way.notified() => Err(io::ErrorKind::TimedOut.into()),
            };
            if served.is_err() {
                self.count(Count::TcpTimeouts);
            }
        });
    }

    /// Answers a connection's messages until the client ends it. An error is a client that is too
    /// slow, too long or gone.
    async fn serve(
        &self,
        mut stream: TcpStream,
        client: IpAddr,
        place: &Place<A>,
    ) -> io::Result<()> {
        let local = stream.local_addr()?;
        // Replies are whole; waiting for more to send with them would only delay them.
        stream.set_nodelay(true)?;
        let mut input = Input::default();
        let mut output = Vec::new();
        loop {
            let deadline = Instant::now() + self.limits.idle;
            while !input.has_message() {
                if timeout_at(deadline, input.read(&mut stream)).await?? == 0 {
                    return Ok(());
                }
            }
            place.renew();
            self.answering.borrow_mut().0.begin_batch();
            while let Some(query) = input.next()? {
                self.answer(query, client, local, &mut output);
                if output.len() >= WRITE_AT {
                    self.write(&mut stream, &mut output).await?;
                }
            }
            self.write(&mut stream, &mut output).await?;
        }
    }

    /// Appends the reply, if there is one, with its length in front.
    fn answer(&self, query: &[u8], client: IpAddr, local: SocketAddr, output: &mut Vec<u8>) {
        let mut guard = self.answering.borrow_mut();
        let (answering, reply) = &mut *guard;
        answering.counters().add(Count::TcpQueries, 1);
        let client = client.to_canonical();
        let incoming = Incoming { query, client, local, transport: Transport::Tcp };
        let Some(length) = answering.answer(incoming, reply) else { return };
        // The room for a reply is as long as a length can say.
        let length = length.min(REPLY_SIZE_MAX);
        output.extend_from_slice(&(length as u16).to_be_bytes());
        output.extend_from_slice(&reply[..length]);
    }

    async fn write(&self, stream: &mut TcpStream, output: &mut Vec<u8>) -> io::Result<()> {
        let deadline = Instant::now() + self.limits.idle;
        timeout_at(deadline, stream.write_all(output)).await??;
        output.clear();
        Ok(())
    }

    fn count(&self, count: Count) {
        self.answering.borrow().0.counters().add(count, 1);
    }
}

/// All connections, and how many each client has.
#[derive(Default)]
struct Connections {
    /// By their turn: the first has brought no message for longest.
    all: BTreeMap<u64, (IpAddr, Rc<Notify>)>,
    by_client: BTreeMap<IpAddr, usize>,
    next_turn: u64,
}

impl Connections {
    /// Puts a connection behind all others and tells its turn.
    fn add(&mut self, client: IpAddr, give_way: Rc<Notify>) -> u64 {
        let turn = self.next_turn;
        self.next_turn += 1;
        self.all.insert(turn, (client, give_way));
        *self.by_client.entry(client).or_default() += 1;
        turn
    }

    /// Takes a connection out; `None` if it had to give way before.
    fn remove(&mut self, turn: u64) -> Option<(IpAddr, Rc<Notify>)> {
        let (client, give_way) = self.all.remove(&turn)?;
        if let Some(of_client) = self.by_client.get_mut(&client) {
            *of_client -= 1;
            if *of_client == 0 {
                self.by_client.remove(&client);
            }
        }
        Some((client, give_way))
    }
}

/// A connection's place among those allowed; given back when dropped.
struct Place<A> {
    server: Rc<Server<A>>,
    turn: Cell<u64>,
    /// Notified if another connection takes this place.
    give_way: Rc<Notify>,
}

impl<A> Place<A> {
    /// A place for a client that has not too many yet, if need be that of the connection that was
    /// silent for longest.
    fn take(server: &Rc<Server<A>>, client: IpAddr) -> Option<Self> {
        let max = server.limits.connections_max;
        let mut connections = server.connections.borrow_mut();
        let of_client = connections.by_client.get(&client).copied().unwrap_or(0);
        if of_client >= (max / CLIENT_PART).max(2) {
            return None;
        }
        if connections.all.len() >= max {
            let silent = connections.all.first_key_value().map(|(turn, _)| *turn)?;
            let (_, give_way) = connections.remove(silent)?;
            give_way.notify_one();
        }
        let give_way = Rc::new(Notify::new());
        let turn = Cell::new(connections.add(client, Rc::clone(&give_way)));
        Some(Self { server: server.clone(), turn, give_way })
    }

    /// The connection has brought a message: all others give way before it.
    fn renew(&self) {
        let mut connections = self.server.connections.borrow_mut();
        if let Some((client, give_way)) = connections.remove(self.turn.get()) {
            self.turn.set(connections.add(client, give_way));
        }
    }
}

impl<A> Drop for Place<A> {
    fn drop(&mut self) {
        self.server.connections.borrow_mut().remove(self.turn.get());
    }
}

/// Who counts as one client: an IPv4 address, an IPv6 /64.
fn client_key(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// What a connection brought and is not yet answered: at most one message and what came with it.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    /// Where the next message begins.
    place: usize,
}

impl Input {
    /// Reads more; 0 at the end.
    async fn read(&mut self, stream: &mut TcpStream) -> io::Result<usize> {
        self.bytes.drain(..self.place);
        self.place = 0;
        // An unfinished message has at most this, so there is always room to read.
        let mut limited = stream.take((2 + QUERY_SIZE_MAX) as u64);
        limited.read_buf(&mut self.bytes).await
    }

    /// Whether `next` has something to say.
    fn has_message(&self) -> bool {
        match self.length() {
            Some(length) => length > QUERY_SIZE_MAX || self.rest().len() >= 2 + length,
            None => false,
        }
    }

    /// The next whole message; an error if it is longer than allowed.
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let Some(length) = self.length() else { return Ok(None) };
        if length > QUERY_SIZE_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if self.rest().len() < 2 + length {
            return Ok(None);
        }
        let message = self.place + 2..self.place + 2 + length;
        self.place = message.end;
        Ok(Some(&self.bytes[message]))
    }

    fn length(&self) -> Option<usize> {
        let length = self.rest().first_chunk()?;
        Some(usize::from(u16::from_be_bytes(*length)))
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.place..]
    }
}

#[cfg(test)]
mod tests;
