//! What is said to a primary: its serial asked for by UDP (TCP if that is not answered), zones
//! transferred by TCP, both signed if there is a key.
//!
//! Each wait has its bound, and so has the whole, by its length: a primary that stands still, or trickles,
//! holds up its own zones alone.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use walrus_core::transfer::{
    Asked, Step, Transfer, TransferError, TransferLimits, TransferReader, read_serial,
};
use walrus_core::zone::Record;
use walrus_dns::{DomainName, rcode, record_type};
use walrus_host::clock::Clock;
use walrus_host::seed::secret_bytes;

use super::memory::MemoryPart;
use super::pace::Pace;
use crate::tsig::{ReplyRefused, ReplyVerifier, SharedKey};

/// A question for a serial is put by UDP once for each of these.
const DATAGRAM_WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// For a connection, and for each message after that.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
const MESSAGE_WAIT: Duration = Duration::from_secs(30);
/// For a whole transfer.
const TRANSFER_WAIT: Duration = Duration::from_secs(2 * 3600);
/// Datagrams of others that are skipped in one try.
const STRANGERS_MAX: usize = 32;
/// What a datagram may have.
const UDP_SIZE: usize = 1232;

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("it does not answer")]
    Silent,
    #[error("it sends less than {0} bytes a second")]
    Slow(u64),
    #[error("it cannot be reached: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error(transparent)]
    Signature(#[from] ReplyRefused),
    #[error("it answers {}", rcode::name(u16::from(*.0)))]
    Refused(u8),
    #[error("it does not serve the zone, or not as its authority")]
    NotAuthoritative,
    #[error("there are no random numbers")]
    NoRandom,
}

/// Whom to ask, and how.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) key: Option<SharedKey>,
}

/// A transfer and its terms.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) apex: DomainName,
    pub(super) asked: Asked,
    /// The SOA record of what is here, for IXFR.
    pub(super) soa: Option<Record>,
    pub(super) keeps_signatures: bool,
    pub(super) limits: TransferLimits,
}

/// The serial that a primary has.
pub(super) async fn serial(peer: &Peer, apex: &DomainName, clock: &Clock) -> Result<u32, Failure> {
    let mut refused = None;
    for wait in DATAGRAM_WAITS {
        let question = Question::new(apex, record_type::SOA, None, peer, clock)?;
        let asking = serial_by_udp(peer, apex, (question, &mut refused), clock);
        match timeout(wait, asking).await {
            Ok(Ok(Some(serial))) => return Ok(serial),
            // Cut short: the answer is too long for a datagram.
            Ok(Ok(None)) => break,
            Ok(Err(Failure::Io(error))) if error.kind() == io::ErrorKind::ConnectionRefused => {
                break;
            }
            Ok(Err(Failure::Silent)) | Err(_) => {}
            Ok(Err(failure)) => return Err(failure),
        }
    }
    let by_tcp = async {
        let mut question = Question::new(apex, record_type::SOA, None, peer, clock)?;
        let mut stream = connect(peer, &question).await?;
        let reply = question.reply(&mut stream, clock).await?;
        question.is_proven()?;
        read_reply(&reply, question.id, apex)?.ok_or(Failure::NotAuthoritative)
    };
    let by_tcp = timeout(MESSAGE_WAIT, by_tcp).await.unwrap_or(Err(Failure::Silent));
    by_tcp.map_err(|failure| match (failure, refused) {
        // It says more than that nobody is there.
        (Failure::Silent | Failure::Io(_), Some(refused)) => Failure::Signature(refused),
        (failure, _) => failure,
    })
}

/// `refused` becomes why a reply was not believed: anybody may send one, so that the right one is waited for (RFC 8945
/// section 5.4).
async fn serial_by_udp(
    peer: &Peer,
    apex: &DomainName,
    (mut question, refused): (Question, &mut Option<ReplyRefused>),
    clock: &Clock,
) -> Result<Option<u32>, Failure> {
    let any: IpAddr = match peer.address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(peer.address).await?;
    socket.send(&question.bytes).await?;
    let mut buffer = vec![0; UDP_SIZE];
    for _ in 0..STRANGERS_MAX {
        let len = socket.recv(&mut buffer).await?;
        let mut reply = buffer[..len].to_vec();
        if !question.is_answered_by(&reply) {
            continue;
        }
        match question.verify(&mut reply, clock) {
            Ok(()) => {}
            Err(Failure::Signature(why)) => {
                *refused = Some(why);
                continue;
            }
            Err(failure) => return Err(failure),
        }
        return read_reply(&reply, question.id, apex);
    }
    Err(Failure::Silent)
}

/// A serial out of a reply; `None` if it was cut short.
fn read_reply(reply: &[u8], id: u16, apex: &DomainName) -> Result<Option<u32>, Failure> {
    if reply.get(2).is_some_and(|flags| flags & 0x02 != 0) {
        return Ok(None);
    }
    match reply.get(3).map(|flags| flags & 0x0f) {
        Some(0) => {}
        code => return Err(Failure::Refused(code.unwrap_or(2))),
    }
    // AA: whoever only remembers the zone, or has it no longer, says so by its absence.
    if reply.get(2).is_none_or(|flags| flags & 0x04 == 0) {
        return Err(Failure::NotAuthoritative);
    }
    read_serial(reply, id, apex).map(Some).ok_or(Failure::NotAuthoritative)
}

/// A zone, or what changed in it.
pub(super) async fn transfer(
    peer: &Peer,
    wish: &Wish,
    memory: &MemoryPart,
    clock: &Clock,
) -> Result<Transfer, Failure> {
    let transfer = timeout(TRANSFER_WAIT, take_over(peer, wish, memory, clock)).await;
    transfer.unwrap_or(Err(Failure::Silent))
}

async fn take_over(
    peer: &Peer,
    wish: &Wish,
    memory: &MemoryPart,
    clock: &Clock,
) -> Result<Transfer, Failure> {
    let (kind, soa) = match wish.asked {
        Asked::Whole { .. } => (record_type::AXFR, None),
        Asked::Since(_) => (record_type::IXFR, wish.soa.as_ref()),
    };
    let mut question = Question::new(&wish.apex, kind, soa, peer, clock)?;
    let mut reader = TransferReader::new(
        wish.apex.clone(),
        wish.asked,
        question.id,
        wish.keeps_signatures,
        wish.limits,
    );
    let mut stream = connect(peer, &question).await?;
    let (mut pace, bytes_max) = (Pace::new(Instant::now()), wish.limits.memory_max);
    loop {
        let reply = timeout(MESSAGE_WAIT, question.reply(&mut stream, clock)).await;
        let reply = reply.unwrap_or(Err(Failure::Silent))?;
        let is_crowded = memory.is_waited_for(bytes_max);
        if let Some(rate_min) = pace.add(reply.len(), Instant::now(), is_crowded) {
            return Err(Failure::Slow(rate_min));
        }
        // Reading a message may take some milliseconds; putting the whole zone together much more.
        let read = tokio::task::spawn_blocking(move || {
            let step = reader.read(&reply);
            (reader, step)
        });
        let (next, step) = read.await.map_err(|error| Failure::Io(io::Error::other(error)))?;
        reader = next;
        if let Step::Done(transfer) = step? {
            // What came unsigned in between is proven by the last one's signature alone.
            question.is_proven()?;
            return Ok(transfer);
        }
        let since = Instant::now();
        memory.grow(reader.memory(), bytes_max).await;
        pace.rest(since, Instant::now());
    }
}

async fn connect(peer: &Peer, question: &Question) -> Result<TcpStream, Failure> {
    let connected = timeout(CONNECT_WAIT, TcpStream::connect(peer.address)).await;
    let mut stream = connected.map_err(|_| Failure::Silent)??;
    // A question has some hundred bytes.
    let len = (question.bytes.len() as u16).to_be_bytes();
    stream.write_all(&[&len[..], &question.bytes].concat()).await?;
    Ok(stream)
}

/// A question as it travels, and who checks its replies.
struct Question {
    id: u16,
    bytes: Vec<u8>,
    /// Up to the end of the question.
    len: usize,
    verifier: Option<ReplyVerifier>,
}

impl Question {
    fn new(
        apex: &DomainName,
        kind: u16,
        soa: Option<&Record>,
        peer: &Peer,
        clock: &Clock,
    ) -> Result<Self, Failure> {
        let id = secret_bytes::<2>().map_err(|_| Failure::NoRandom)?;
        let mut bytes = id.to_vec();
        bytes.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, u8::from(soa.is_some()), 0, 0]);
        bytes.extend_from_slice(apex.as_wire());
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&record_type::CLASS_IN.to_be_bytes());
        let len = bytes.len();
        if let Some(soa) = soa {
            // The authority section says what is here (RFC 1995 section 3).
            bytes.extend_from_slice(&[0xc0, 12]);
            bytes.extend_from_slice(&record_type::SOA.to_be_bytes());
            bytes.extend_from_slice(&record_type::CLASS_IN.to_be_bytes());
            bytes.extend_from_slice(&soa.ttl.to_be_bytes());
            // A SOA record has at most 530 bytes.
            bytes.extend_from_slice(&(soa.data.len() as u16).to_be_bytes());
            bytes.extend_from_slice(&soa.data);
        }
        let sign = |key: &SharedKey| key.sign_request(&mut bytes, seconds(clock));
        let verifier = peer.key.as_ref().map(sign);
        Ok(Self { id: u16::from_be_bytes(id), bytes, len, verifier })
    }

    /// Whether a datagram is a reply to this: number and question.
    fn is_answered_by(&self, reply: &[u8]) -> bool {
        let is_reply = reply.get(2).is_some_and(|flags| flags & 0x80 != 0);
        let question = reply.get(12..self.len).unwrap_or_default();
        is_reply
            && reply.get(..2) == self.bytes.get(..2)
            && (question.is_empty() || question.eq_ignore_ascii_case(&self.bytes[12..self.len]))
    }

    fn verify(&mut self, reply: &mut Vec<u8>, clock: &Clock) -> Result<(), Failure> {
        match &mut self.verifier {
            Some(verifier) => Ok(verifier.verify(reply, seconds(clock))?),
            None => Ok(()),
        }
    }

    fn is_proven(&self) -> Result<(), Failure> {
        match &self.verifier {
            Some(verifier) => Ok(verifier.finish()?),
            None => Ok(()),
        }
    }

    /// The next reply of a connection, checked.
    async fn reply(&mut self, stream: &mut TcpStream, clock: &Clock) -> Result<Vec<u8>, Failure> {
        let mut reply = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut reply).await?;
        self.verify(&mut reply, clock)?;
        Ok(reply)
    }
}

fn seconds(clock: &Clock) -> u64 {
    clock.unix_ms() / 1000
}
