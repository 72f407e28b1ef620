//! A small DNS client: one question to one server, by UDP, then TCP if the reply is cut short.
//!
//! For what runs beside the answering: the DS records that a parent shows, the addresses behind an
//! alias. It believes only replies from the address that was asked, with its random number and
//! question; it validates nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use walrus_dns::{DomainName, rcode, record_type};

use crate::seed::secret_bytes;

/// A question is put by UDP once for each of these waits before the server counts as silent.
const WAITS: [Duration; 3] =
    [Duration::from_millis(800), Duration::from_millis(1600), Duration::from_millis(3200)];
/// For a whole exchange by TCP.
const TCP_WAIT: Duration = Duration::from_secs(5);
/// What we say we take by UDP (DNS flag day 2020).
const UDP_SIZE: u16 = 1232;
/// Datagrams with another number or question that are skipped in one try.
const STRANGERS_MAX: usize = 32;
/// Records of one reply that are read.
const RECORDS_MAX: usize = 1024;
/// Hops that a compressed name may take: as many as it may have labels.
const HOPS_MAX: usize = 128;

const FLAG_AUTHORITATIVE: u8 = 0x04;
const FLAG_TRUNCATED: u8 = 0x02;
const FLAG_RECURSION_DESIRED: u8 = 0x01;

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 0 is NOERROR, 3 NXDOMAIN (without the extension of EDNS).
    pub rcode: u8,
    /// Whether the server speaks for the zone, so that TTLs are the original ones.
    pub is_authoritative: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authority: Vec<Record>,
}

impl Reply {
    /// Whether it says what there is, be that nothing: the server did not fail or refuse.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.rcode.into(), rcode::NOERROR | rcode::NXDOMAIN)
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its owner.
    pub owner: DomainName,
    /// Its type.
    pub record_type: u16,
    /// In seconds.
    pub ttl: u32,
    /// Its data; of NS, CNAME and DNAME the name in wire format, decompressed.
    pub data: Vec<u8>,
}

impl Record {
    /// The address of an A or AAAA record.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        let data = &self.data[..];
        match self.record_type {
            record_type::A => <[u8; 4]>::try_from(data).ok().map(|it| Ipv4Addr::from(it).into()),
            record_type::AAAA => {
                <[u8; 16]>::try_from(data).ok().map(|it| Ipv6Addr::from(it).into())
            }
            _ => None,
        }
    }

    /// The name of an NS, CNAME or DNAME record.
    #[must_use]
    pub fn name(&self) -> Option<DomainName> {
        DomainName::from_wire(&self.data).ok().filter(|_| has_one_name(self.record_type))
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum DnsClientError {
    /// Nothing came back in time.
    #[error("{0} does not answer")]
    Silent(SocketAddr),
    /// There is no way to it.
    #[error("cannot ask {server}")]
    Io {
        /// Who was asked.
        server: SocketAddr,
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
    /// The reply is damaged.
    #[error("{0} answers with something that is no DNS message")]
    Malformed(SocketAddr),
    /// No random bytes.
    #[error(transparent)]
    Seed(#[from] crate::seed::SeedError),
}

impl DnsClientError {
    /// Whether this machine has no route there: it has no IPv6, say.
    #[must_use]
    pub fn is_no_route(&self) -> bool {
        use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable};
        matches!(self, Self::Io { error, .. }
            if matches!(error.kind(), NetworkUnreachable | HostUnreachable | AddrNotAvailable))
    }
}

/// Asks one server one question, with the wish for recursion.
///
/// # Errors
/// If it cannot be reached or does not answer within about six seconds, ten with TCP.
pub async fn ask(
    server: SocketAddr,
    name: &DomainName,
    record_type: u16,
) -> Result<Reply, DnsClientError> {
    ask_within(server, name, record_type, &WAITS).await
}

/// The same with one datagram and so long a wait for its reply: what is lost on the way is lost.
///
/// # Errors
/// If it cannot be reached or does not answer by then.
pub async fn ask_once(
    server: SocketAddr,
    name: &DomainName,
    record_type: u16,
    wait: Duration,
) -> Result<Reply, DnsClientError> {
    ask_within(server, name, record_type, &[wait]).await
}

async fn ask_within(
    server: SocketAddr,
    name: &DomainName,
    record_type: u16,
    waits: &[Duration],
) -> Result<Reply, DnsClientError> {
    let id = secret_bytes::<2>()?;
    let query = query(id, name, record_type);
    let failed = |error| DnsClientError::Io { server, error };
    let reply = by_udp(server, &query, waits).await?;
    let reply = match reply.get(2).is_some_and(|flags| flags & FLAG_TRUNCATED != 0) {
        false => reply,
        true => match tokio::time::timeout(TCP_WAIT, by_tcp(server, &query)).await {
            Ok(reply) => reply.map_err(failed)?,
            Err(_) => return Err(DnsClientError::Silent(server)),
        },
    };
    if !answers(&reply, &query) {
        return Err(DnsClientError::Malformed(server));
    }
    parse(&reply).ok_or(DnsClientError::Malformed(server))
}

async fn by_udp(
    server: SocketAddr,
    query: &[u8],
    waits: &[Duration],
) -> Result<Vec<u8>, DnsClientError> {
    let failed = |error| DnsClientError::Io { server, error };
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    for wait in waits {
        // A port of its own for each try: one more thing to guess.
        let socket = UdpSocket::bind((any, 0)).await.map_err(failed)?;
        socket.connect(server).await.map_err(failed)?;
        socket.send(query).await.map_err(failed)?;
        let heard = async {
            let mut buffer = vec![0; usize::from(UDP_SIZE)];
            for _ in 0..STRANGERS_MAX {
                let len = socket.recv(&mut buffer).await?;
                if answers(&buffer[..len], query) {
                    return Ok(buffer[..len].to_vec());
                }
            }
            Err(io::Error::other("only replies to other questions"))
        };
        if let Ok(reply) = tokio::time::timeout(*wait, heard).await {
            return reply.map_err(failed);
        }
    }
    Err(DnsClientError::Silent(server))
}

async fn by_tcp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    // A query has at most 255 + 27 bytes.
    let len = (query.len() as u16).to_be_bytes();
    stream.write_all(&[&len[..], query].concat()).await?;
    let mut reply = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

/// A query with EDNS and without DNSSEC's records.
fn query(id: [u8; 2], name: &DomainName, record_type: u16) -> Vec<u8> {
    let mut query = id.to_vec();
    query.extend_from_slice(&[FLAG_RECURSION_DESIRED, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    query.extend_from_slice(name.as_wire());
    query.extend_from_slice(&record_type.to_be_bytes());
    query.extend_from_slice(&record_type::CLASS_IN.to_be_bytes());
    query.push(0);
    query.extend_from_slice(&record_type::OPT.to_be_bytes());
    query.extend_from_slice(&UDP_SIZE.to_be_bytes());
    query.extend_from_slice(&[0; 6]);
    query
}

/// Whether this is a reply to that query: its number, and its question in whatever case.
fn answers(reply: &[u8], query: &[u8]) -> bool {
    // The query ends with the OPT record of eleven bytes.
    let question = &query[12..query.len() - 11];
    let is_reply = reply.get(2).is_some_and(|flags| flags & 0x80 != 0);
    let asked = reply.get(12..12 + question.len());
    is_reply
        && reply.get(..2) == query.get(..2)
        && asked.is_some_and(|asked| asked.eq_ignore_ascii_case(question))
}

fn parse(reply: &[u8]) -> Option<Reply> {
    let count = |at: usize| Some(u16::from_be_bytes([*reply.get(at)?, *reply.get(at + 1)?]));
    let mut at = 12;
    for _ in 0..count(4)? {
        at = skip_name(reply, at)?.checked_add(4)?;
    }
    let mut section = |records: u16| {
        let mut found = Vec::new();
        for _ in 0..usize::from(records).min(RECORDS_MAX) {
            let (record, next) = parse_record(reply, at)?;
            at = next;
            found.push(record);
        }
        Some(found)
    };
    Some(Reply {
        rcode: reply.get(3)? & 0x0f,
        is_authoritative: reply.get(2)? & FLAG_AUTHORITATIVE != 0,
        answers: section(count(6)?)?,
        authority: section(count(8)?)?,
    })
}

fn parse_record(reply: &[u8], at: usize) -> Option<(Record, usize)> {
    let owner = read_name(reply, at)?;
    let at = skip_name(reply, at)?;
    let (head, _) = reply.get(at..)?.split_first_chunk::<10>()?;
    let record_type = u16::from_be_bytes([head[0], head[1]]);
    let ttl = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let start = at + 10;
    let end = start + usize::from(u16::from_be_bytes([head[8], head[9]]));
    let data = reply.get(start..end)?;
    let data = match has_one_name(record_type) {
        true => read_name(reply, start)?.as_wire().to_vec(),
        false => data.to_vec(),
    };
    // The highest bit is no part of it (RFC 2181 section 8).
    let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
    Some((Record { owner, record_type, ttl, data }, end))
}

const fn has_one_name(record_type: u16) -> bool {
    matches!(record_type, record_type::NS | record_type::CNAME | record_type::DNAME)
}

/// The name at a place, whose parts may stand before it.
fn read_name(message: &[u8], mut at: usize) -> Option<DomainName> {
    let mut wire = Vec::new();
    for _ in 0..HOPS_MAX {
        let len = *message.get(at)?;
        match len {
            0 => {
                wire.push(0);
                return DomainName::from_wire(&wire).ok();
            }
            1..=63 => {
                let end = at + 1 + usize::from(len);
                wire.extend_from_slice(message.get(at..end)?);
                at = end;
            }
            0xc0.. => at = usize::from(len & 0x3f) << 8 | usize::from(*message.get(at + 1)?),
            _ => return None,
        }
    }
    None
}

/// Where the name at a place ends.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            len @ 1..=63 => at += 1 + usize::from(len),
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests;
