//! One exchange with a name server: requests out, signed; replies in, believed only if the key says so.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use domain::base::Message;
use domain::base::iana::TsigRcode;
use domain::base::message_builder::PushError;
use domain::base::name::{Name, ParsedName, ToName as _};
use domain::rdata::Tsig;
use domain::rdata::tsig::Time48;
use domain::tsig::{Algorithm, ClientTransaction, Key, KeyName, ValidationError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use walrus_core::config::{NameServerSettings, UpdateAlgorithm, UpdateKey, UpdateTransport};
use walrus_core::update::{Exchange, Failure, Reply, ReplyError, Request};
use walrus_host::clock::Clock;
use walrus_host::seed::secret_bytes;

use super::secret::read_secret;

/// For a connection, and for each reply.
const WAIT: Duration = Duration::from_secs(5);
/// Waits for a datagram: once, twice, four times this.
const FIRST_WAIT: Duration = Duration::from_millis(800);
/// How often a request is sent by UDP.
const TRIES: u32 = 3;
/// The longest datagram that is sent (DNS flag day 2020).
const UDP_BYTES_MAX: usize = 1232;
/// Datagrams for somebody else that are skipped in one try.
const STRANGERS_MAX: usize = 32;

/// Carries an exchange out.
pub(super) async fn carry_out(
    settings: &NameServerSettings,
    exchange: &Exchange,
    clock: &Clock,
) -> Result<Vec<Reply>, Failure> {
    // Read each time, so that a secret that was replaced is used without a reload.
    let key = settings.key.as_ref().map(load_key).transpose()?;
    let (mut stream, mut replies) = (None, Vec::with_capacity(exchange.requests.len()));
    for request in &exchange.requests {
        let signed = Signed::new(request, key.as_ref(), clock)?;
        let reply = match settings.transport {
            UpdateTransport::Udp if signed.bytes.len() <= UDP_BYTES_MAX => {
                let reply = by_udp(settings.address, &signed, request, clock).await?;
                match reply.is_truncated {
                    true => by_tcp(&mut stream, settings.address, &signed, request, clock).await?,
                    false => reply,
                }
            }
            _ => by_tcp(&mut stream, settings.address, &signed, request, clock).await?,
        };
        replies.push(reply);
    }
    Ok(replies)
}

fn load_key(key: &UpdateKey) -> Result<Key, Failure> {
    let secret = read_secret(key).map_err(|error| Failure::Secret(error.to_string()))?;
    let algorithm = match key.algorithm {
        UpdateAlgorithm::HmacSha256 => Algorithm::Sha256,
        UpdateAlgorithm::HmacSha384 => Algorithm::Sha384,
        UpdateAlgorithm::HmacSha512 => Algorithm::Sha512,
    };
    let unusable = |why: &str| Failure::Secret(why.to_owned());
    let name: KeyName = Name::from_octets(key.name.as_wire())
        .ok()
        .and_then(|name| name.try_to_name().ok())
        .ok_or_else(|| unusable("its name is too long"))?;
    Key::new(algorithm, &secret, name, None, None).map_err(|error| unusable(&error.to_string()))
}

/// A request as it travels.
struct Signed {
    id: u16,
    bytes: Vec<u8>,
    transaction: Option<ClientTransaction<Key>>,
}

impl Signed {
    fn new(request: &Request, key: Option<&Key>, clock: &Clock) -> Result<Self, Failure> {
        let too_long = |_: PushError| Failure::Secret("a message would be too long".to_owned());
        let id = secret_bytes::<2>().map_err(|error| Failure::Unreachable(error.to_string()))?;
        let id = u16::from_be_bytes(id);
        let mut message = request.compose(id).map_err(too_long)?;
        let transaction = match key {
            Some(key) => Some(
                ClientTransaction::request(key.clone(), &mut message, now(clock))
                    .map_err(too_long)?,
            ),
            None => None,
        };
        Ok(Self { id, bytes: message.finish(), transaction })
    }

    /// What the reply says, if it is one and its signature is good; `None` if it is for somebody else.
    fn read(
        &self,
        bytes: Vec<u8>,
        request: &Request,
        clock: &Clock,
    ) -> Option<Result<Reply, Failure>> {
        let mut message = Message::from_octets(bytes).ok()?;
        if message.header().id() != self.id || !message.header().qr() {
            return None;
        }
        if let Some(transaction) = &self.transaction {
            let code = message.header().rcode().to_int();
            let clock_differs = clock_said(&message, now(clock));
            if let Err(error) = transaction.answer(&mut message, now(clock)) {
                return Some(Err(match (error, clock_differs) {
                    // Name servers do not agree on what is signed then. It is only told, and by how much.
                    (ValidationError::BadSig, Some(seconds)) => Failure::Clock(seconds),
                    _ => distrusted(error, code),
                }));
            }
        }
        match Reply::read(message.as_slice(), self.id, request) {
            Ok(reply) => Some(Ok(reply)),
            Err(ReplyError::Stranger) => None,
            Err(ReplyError::Malformed) => Some(Err(Failure::Malformed)),
        }
    }
}

fn now(clock: &Clock) -> Time48 {
    Time48::from_u64(clock.unix_ms() / 1000)
}

/// By how many seconds the name server says that its clock is ahead, if that is why it refuses.
fn clock_said(message: &Message<Vec<u8>>, now: Time48) -> Option<i64> {
    let last = message.additional().ok()?.last()?.ok()?;
    let record = last.to_record::<Tsig<_, ParsedName<_>>>().ok()??;
    if record.data().error() != TsigRcode::BADTIME {
        return None;
    }
    Some(ahead(record.data().other_time()?, now))
}

fn ahead(server: Time48, client: Time48) -> i64 {
    let seconds = |time: Time48| i64::try_from(u64::from(time)).unwrap_or(i64::MAX);
    seconds(server).saturating_sub(seconds(client))
}

/// Why a reply is not believed, or what the name server has against our signature.
fn distrusted(error: ValidationError, code: u8) -> Failure {
    match error {
        ValidationError::ServerUnsigned | ValidationError::TooManyUnsigned => {
            Failure::Unsigned(code)
        }
        ValidationError::ServerBadKey => Failure::KeyUnknown,
        ValidationError::ServerBadSig => Failure::SignatureRefused,
        ValidationError::ServerBadTime { client, server } => Failure::Clock(ahead(server, client)),
        ValidationError::BadTime => Failure::AnswerLate,
        ValidationError::BadSig
        | ValidationError::BadTrunc
        | ValidationError::BadKey
        | ValidationError::BadAlg => Failure::AnswerForged,
        ValidationError::FormErr | ValidationError::BadOther => Failure::Malformed,
    }
}

async fn by_tcp(
    stream: &mut Option<TcpStream>,
    server: SocketAddr,
    signed: &Signed,
    request: &Request,
    clock: &Clock,
) -> Result<Reply, Failure> {
    let connected = match stream.take() {
        Some(stream) => stream,
        None => match timeout(WAIT, TcpStream::connect(server)).await {
            Ok(stream) => stream.map_err(|error| failed(&error))?,
            Err(_) => return Err(Failure::Silent),
        },
    };
    let (connected, bytes) = match timeout(WAIT, send_and_receive(connected, &signed.bytes)).await {
        Ok(received) => received.map_err(|error| failed(&error))?,
        Err(_) => return Err(Failure::Silent),
    };
    *stream = Some(connected);
    signed.read(bytes, request, clock).unwrap_or(Err(Failure::Malformed))
}

async fn send_and_receive(
    mut stream: TcpStream,
    request: &[u8],
) -> io::Result<(TcpStream, Vec<u8>)> {
    let len = u16::try_from(request.len()).map_err(io::Error::other)?;
    stream.write_all(&[&len.to_be_bytes(), request].concat()).await?;
    let mut reply = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut reply).await?;
    Ok((stream, reply))
}

async fn by_udp(
    server: SocketAddr,
    signed: &Signed,
    request: &Request,
    clock: &Clock,
) -> Result<Reply, Failure> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let failed = |error: io::Error| failed(&error);
    let socket = UdpSocket::bind((any, 0)).await.map_err(failed)?;
    socket.connect(server).await.map_err(failed)?;
    let mut wait = FIRST_WAIT;
    for _ in 0..TRIES {
        socket.send(&signed.bytes).await.map_err(failed)?;
        let heard = async {
            let mut buffer = vec![0; usize::from(u16::MAX)];
            for _ in 0..STRANGERS_MAX {
                let len = socket.recv(&mut buffer).await?;
                if let Some(reply) = signed.read(buffer[..len].to_vec(), request, clock) {
                    return Ok(reply);
                }
            }
            Ok(Err(Failure::Malformed))
        };
        match timeout(wait, heard).await {
            Ok(reply) => return reply.map_err(failed)?,
            Err(_) => wait *= 2,
        }
    }
    Err(Failure::Silent)
}

fn failed(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::Unreachable(error.to_string()),
    }
}
