//! Connections: TCP (RFC 7766), TLS (RFC 7858) and HTTPS (RFC 8484), all on one thread but for the
//! handshakes ([`handshakes`]), with bounds on all that a client could fill.
//!
//! Messages may be pipelined. What is answered here is there at once and goes out in the order of the queries, several in
//! one write; what others answer (changes of zones, transfers, signed queries: [`awaited`]) is overtaken by what was asked
//! behind it. A connection must bring a whole message within the idle time, counted from the last one (not from the last byte),
//! unless it waits for a reply, and must take its replies within the same time; TLS must be agreed on within it, too. When all places are taken, whoever has brought no message
//! yet, or none for longest, gives way (RFC 7766 section 6.2.3 lets a server under pressure close idle
//! connections): silence alone keeps nobody out. Over all a connection lasts no longer than `total`.

mod awaited;
mod certificate;
mod framed;
mod handshakes;
mod https;
mod input;
mod places;
mod proxied;

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::LocalSet;
use tokio::time::timeout;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use walrus_core::answer::Transport;
use walrus_host::shutdown::Shutdown;

use crate::answering::{Answering, Incoming};
use crate::counters::Count;
use crate::networks::Networks;
use crate::zones::{Back, Caller, HandOff, HandedOver, Outbound};
use handshakes::{Disagreement, Handshakes};
use places::{LargePlaces, Place, Places};

pub(crate) use certificate::Certificates;
pub use certificate::{CertificateError, NewCertificate};

/// The longest query that is taken, as for UDP.
const QUERY_SIZE_MAX: usize = 4096;

/// The longest update that is taken: all that the length field allows.
const UPDATE_SIZE_MAX: usize = u16::MAX as usize;

/// How long the zone keeper may take: for a disk, and for zones to be signed and compiled.
const KEEPER_WITHIN: Duration = Duration::from_secs(30);

/// The longest reply that the length field allows.
const REPLY_SIZE_MAX: usize = u16::MAX as usize;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// How long to wait after a failed accept (out of file descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bounds, and who is believed to ask for others.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Connections at once; at least 1.
    pub(crate) connections_max: usize,
    /// How long a message may take to come, and its reply to go.
    pub(crate) idle: Duration,
    /// How long a connection may last.
    pub(crate) total: Duration,
    /// Whose connections begin with a PROXY header.
    pub(crate) proxies: Networks,
}

/// A listening socket and what is spoken there.
pub(crate) struct Listening {
    pub(crate) socket: std::net::TcpListener,
    pub(crate) transport: Transport,
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
    listeners: Vec<Listening>,
    (certificates, outbound): (Arc<Certificates>, Arc<Outbound>),
    limits: Limits,
    (shutdown, wake): (Shutdown, Arc<Notify>),
    (answering, hand_off): (A, HandOff),
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answers = Rc::new(Answers {
        answering: RefCell::new((answering, vec![0; REPLY_SIZE_MAX])),
        hand_off,
        outbound,
        large: LargePlaces::new(),
    });
    let places = Places::new(limits.connections_max);
    let is_encrypted = listeners.iter().any(|listening| listening.transport.is_encrypted());
    let handshakes = is_encrypted.then(|| Handshakes::start(limits.connections_max));
    // Plain TCP is served though there be no thread left for it.
    let lost = |error: &io::Error| tracing::error!(%error, "TLS and HTTPS are not served");
    let handshakes = handshakes.and_then(|started| started.inspect_err(lost).ok());
    let server = Rc::new(Server { answers, places, limits, certificates, handshakes });
    let local = LocalSet::new();
    local
        .block_on(&runtime, async {
            for Listening { socket, transport } in listeners {
                let listener = TcpListener::from_std(socket)?;
                tokio::task::spawn_local(server.clone().accept(listener, transport));
            }
            let waking = async {
                loop {
                    wake.notified().await;
                    server.answers.begin();
                }
            };
            tokio::select! {
                () = shutdown.requested() => Ok(()),
                () = waking => Ok(()),
            }
        })
        .inspect(|()| server.answers.answering.borrow_mut().0.end())
    // Connections end where they are: their clients ask again.
}

struct Server<A> {
    answers: Rc<Answers<A>>,
    places: Rc<Places>,
    limits: Limits,
    certificates: Arc<Certificates>,
    /// Where TLS is agreed on, if it is spoken.
    handshakes: Option<Handshakes>,
}

impl<A: Answering + 'static> Server<A> {
    async fn accept(self: Rc<Self>, listener: TcpListener, transport: Transport) {
        loop {
            match listener.accept().await {
                Ok((stream, client)) => self.clone().begin(stream, client.ip(), transport),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    /// Serves a connection beside the others, or closes it if there are too many.
    fn begin(self: Rc<Self>, stream: TcpStream, client: IpAddr, transport: Transport) {
        let client = client.to_canonical();
        if self.limits.proxies.contain(client) {
            return self.begin_proxied(stream, client, transport);
        }
        let Some(place) = self.place_for(client) else { return };
        tokio::task::spawn_local(async move {
            self.until_lost(&place, self.serve(stream, (client, transport), &place)).await;
        });
    }

    /// Serves a connection until it ends, or has to give way.
    async fn until_lost(&self, place: &Place, serving: impl Future<Output = io::Result<()>>) {
        let served = tokio::select! {
            served = serving => served,
            () = place.lost() => Err(io::ErrorKind::TimedOut.into()),
        };
        if served.is_err_and(|error| !has_left(&error)) {
            self.answers.count(Count::TcpTimeouts);
        }
    }

    /// A place among the connections that are served; `None` if the client has too many.
    fn place_for(&self, client: IpAddr) -> Option<Rc<Place>> {
        let place = self.places.take(client).map(Rc::new);
        self.answers.count(match place {
            Some(_) => Count::TcpConnections,
            None => Count::TcpRefused,
        });
        place
    }

    async fn serve(
        &self,
        stream: TcpStream,
        (client, transport): (IpAddr, Transport),
        place: &Rc<Place>,
    ) -> io::Result<()> {
        let connection = Connection { client, local: stream.local_addr()?, transport };
        // Replies are whole; waiting for more to send with them would only delay them.
        stream.set_nodelay(true)?;
        self.serve_connection(stream, connection, place).await
    }

    /// Agrees on encryption, if there is to be any, and answers.
    async fn serve_connection(
        &self,
        stream: TcpStream,
        connection: Connection,
        place: &Rc<Place>,
    ) -> io::Result<()> {
        let (answers, limits, transport) = (&self.answers, &self.limits, connection.transport);
        if matches!(transport, Transport::Udp | Transport::Tcp) {
            return framed::serve(stream, connection, place, answers, limits).await;
        }
        // Never in plain text what was to be encrypted.
        let Some((handshakes, _)) = self.for_tls(transport) else { return Ok(()) };
        let agreeing =
            handshakes.agree(stream, connection.client, || self.certificates.of(transport));
        match timeout(limits.idle, agreeing).await {
            Ok(Ok(stream)) => self.serve_encrypted(stream, connection, place).await,
            Ok(Err(why)) => {
                answers.count(why.count());
                Ok(())
            }
            Err(_) => {
                answers.count(Count::TlsFailures);
                Ok(())
            }
        }
    }

    /// Where and on what is agreed with whoever connects for this; `None` where nothing is encrypted.
    fn for_tls(&self, transport: Transport) -> Option<(&Handshakes, Arc<ServerConfig>)> {
        self.handshakes.as_ref().zip(self.certificates.of(transport))
    }

    async fn serve_encrypted(
        &self,
        stream: TlsStream<TcpStream>,
        connection: Connection,
        place: &Rc<Place>,
    ) -> io::Result<()> {
        let (answers, limits) = (&self.answers, &self.limits);
        // The state of an agreed connection is large: on the heap, so that plain ones stay small.
        if connection.transport == Transport::Https {
            Box::pin(https::serve(stream, connection, place, answers, limits)).await
        } else {
            Box::pin(framed::serve(stream, connection, place, answers, limits)).await
        }
    }
}

/// Whether the client ended the connection itself. Many do so by TLS without saying that nothing more comes.
fn has_left(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

impl Disagreement {
    /// What it counts as.
    const fn count(&self) -> Count {
        match self {
            Self::TooMany => Count::TcpRefused,
            Self::GaveWay => Count::TcpTimeouts,
            Self::Failed => Count::TlsFailures,
        }
    }
}

/// What a connection's queries have in common.
#[derive(Clone, Copy, Debug)]
struct Connection {
    client: IpAddr,
    local: SocketAddr,
    transport: Transport,
}

/// What becomes of a message that changes zones.
enum Taken {
    /// The reply comes here.
    HandedOver(oneshot::Receiver<Vec<u8>>),
    /// With this reply.
    Refused(Vec<u8>),
    /// The zone keeper has too much to do.
    Lost,
}

/// Where replies come from.
struct Answers<A> {
    /// With the room for one. Borrowed only between two waits, so never twice.
    answering: RefCell<(A, Vec<u8>)>,
    hand_off: HandOff,
    /// Where transfers and signed queries go.
    outbound: Arc<Outbound>,
    /// Places for messages that are longer than any query.
    large: Rc<LargePlaces>,
}

impl<A: Answering> Answers<A> {
    fn begin(&self) {
        self.answering.borrow_mut().0.begin_batch();
    }

    /// Appends the reply, if there is one, with its length in front.
    fn append(&self, query: &[u8], connection: Connection, output: &mut Vec<u8>) {
        self.with_reply(query, connection, |reply| {
            // The room for a reply is as long as a length can say.
            output.extend_from_slice(&(reply.len() as u16).to_be_bytes());
            output.extend_from_slice(reply);
        });
    }

    /// Gives the reply to `take`; `None` if there is none.
    fn with_reply<T>(
        &self,
        query: &[u8],
        connection: Connection,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Option<T> {
        let mut guard = self.answering.borrow_mut();
        let (answering, reply) = &mut *guard;
        let Connection { client, local, transport } = connection;
        answering.counters().add(Count::of_queries(transport), 1);
        let incoming = Incoming { query, client: client.to_canonical(), local, transport };
        let length = answering.answer(incoming, reply)?;
        Some(take(&reply[..length.min(REPLY_SIZE_MAX)]))
    }

    /// Hands over what changes zones; an update without a signature is refused at once.
    fn hand_over(&self, message: &[u8], connection: Connection) -> Taken {
        let Connection { client, local, transport } = connection;
        self.count(Count::of_queries(transport));
        let client = client.to_canonical();
        let caller = self.hand_off.caller(message, client);
        if matches!(caller, Caller::Unsigned) {
            let mut guard = self.answering.borrow_mut();
            let (answering, reply) = &mut *guard;
            let incoming = Incoming { query: message, client, local, transport };
            let length = answering.refuse(incoming, reply);
            return length.map_or(Taken::Lost, |length| Taken::Refused(reply[..length].to_vec()));
        }
        let (sender, reply) = oneshot::channel();
        let handed = HandedOver {
            message: message.to_vec(),
            // Nobody replies there.
            client: SocketAddr::new(client, 0),
            local,
            transport,
            back: Back::Stream(sender),
            signed: None,
        };
        let was_taken = self.hand_off.offer(handed, caller);
        self.count(if was_taken { Count::HandedOver } else { Count::HandedOverLost });
        if was_taken { Taken::HandedOver(reply) } else { Taken::Lost }
    }

    /// Takes note of what others have answered.
    fn tell(&self, query: &[u8], connection: Connection, reply: &[u8]) {
        let Connection { client, local, transport } = connection;
        let incoming = Incoming { query, client: client.to_canonical(), local, transport };
        self.answering.borrow_mut().0.tell(incoming, Some(reply));
    }

    fn count(&self, count: Count) {
        self.answering.borrow().0.counters().add(count, 1);
    }
}

#[cfg(test)]
mod framed_tests;
#[cfg(test)]
mod handshake_tests;
#[cfg(test)]
mod https_tests;
#[cfg(test)]
mod tests;
