//! Resolves an outside name's addresses by plain DNS: UDP, and TCP for what was cut.
//!
//! It asks a resolver that recurses, believes what that says about the name asked for, and follows
//! no referral. An answer must come from whom was asked, with the id (random, as is the port) and
//! the question of the query (RFC 5452).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use domain::base::iana::{Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name, ToName};
use domain::rdata::{A, Aaaa, Cname};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use walrus_core::control::{ResolveRequest, Resolved};

use crate::seed::{SeedError, secret_bytes};

/// Where the system names its resolvers.
const SYSTEM_RESOLVERS: &str = "/etc/resolv.conf";
/// So many resolvers are asked at most, as by the C library.
const RESOLVERS_MAX: usize = 3;
/// How long one resolver may take for one question.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Aliases that lead from the name to its addresses.
const ALIASES_MAX: usize = 16;
/// More messages that are no answer to the question are not read: somebody is guessing.
const STRANGERS_MAX: usize = 64;
/// What we take by UDP: what fits every path (EDNS flag day 2020).
const UDP_SIZE: u16 = 1232;

/// Why a name has no addresses.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Nobody to ask.
    #[error("{SYSTEM_RESOLVERS} names no resolver: write resolvers = [\"192.0.2.1\"] in [control]")]
    NoResolver,
    /// The system has no random numbers to offer.
    #[error(transparent)]
    Random(#[from] SeedError),
    /// The name makes no query.
    #[error("the name makes no query")]
    BadName,
    /// A resolver did not answer.
    #[error("{resolver} gave no answer in {TIMEOUT:?}")]
    Silent {
        /// Which.
        resolver: SocketAddr,
    },
    /// A resolver could not be asked.
    #[error("{resolver}: {source}")]
    Unreachable {
        /// Which.
        resolver: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A resolver answered with an error.
    #[error("{resolver} answered {rcode}")]
    Refused {
        /// Which.
        resolver: SocketAddr,
        /// "NXDOMAIN", "SERVFAIL".
        rcode: Rcode,
    },
    /// An answer that cannot be read.
    #[error("{resolver} sent an answer that cannot be read")]
    Malformed {
        /// Which.
        resolver: SocketAddr,
    },
}

/// Finds a name's addresses of both families, asking one resolver after the other until one of them
/// answers. A name without any is no error here.
///
/// # Errors
/// If no resolver answers both questions; the last one's error.
pub async fn resolve(request: &ResolveRequest) -> Result<Resolved, ResolveError> {
    let mut resolvers = request.resolvers.clone();
    if resolvers.is_empty() {
        let text = std::fs::read_to_string(SYSTEM_RESOLVERS).unwrap_or_default();
        resolvers = resolvers_in(&text);
    }
    resolvers.truncate(RESOLVERS_MAX);
    let name = Name::from_octets(request.target.as_wire().to_vec());
    let name = name.map_err(|_| ResolveError::BadName)?;
    let mut last = ResolveError::NoResolver;
    for resolver in resolvers {
        match ask_both(resolver, &name).await {
            Ok(resolved) => return Ok(resolved),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The resolvers of a `resolv.conf`, port 53.
fn resolvers_in(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let is_one = words.next() == Some("nameserver");
        // An interface behind `%` cannot be said here.
        words.next().filter(|_| is_one)?.parse::<IpAddr>().ok()
    };
    text.lines().filter_map(address).map(|address| SocketAddr::new(address, 53)).collect()
}

async fn ask_both(resolver: SocketAddr, name: &Name<Vec<u8>>) -> Result<Resolved, ResolveError> {
    let mut resolved = Resolved { addresses: Vec::new(), ttl: Duration::MAX };
    for family in [Rtype::A, Rtype::AAAA] {
        let answer = timeout(TIMEOUT, ask(resolver, name, family)).await;
        let answer = answer.map_err(|_| ResolveError::Silent { resolver })??;
        read(&answer, name, family, &mut resolved).ok_or(ResolveError::Malformed { resolver })?;
    }
    Ok(resolved)
}

/// A sound answer to the question.
async fn ask(
    resolver: SocketAddr,
    name: &Name<Vec<u8>>,
    family: Rtype,
) -> Result<Message<Vec<u8>>, ResolveError> {
    let unreachable = |source| ResolveError::Unreachable { resolver, source };
    let id = u16::from_be_bytes(secret_bytes()?);
    let query = query(id, name, family).ok_or(ResolveError::BadName)?;
    let fits = |answer: &Message<Vec<u8>>| is_answer(answer, id, name, family);
    let mut answer = ask_udp(resolver, &query, fits).await.map_err(unreachable)?;
    if answer.header().tc() {
        answer = ask_tcp(resolver, &query).await.map_err(unreachable)?;
        if !fits(&answer) {
            return Err(ResolveError::Malformed { resolver });
        }
    }
    match answer.header().rcode() {
        Rcode::NOERROR => Ok(answer),
        rcode => Err(ResolveError::Refused { resolver, rcode }),
    }
}

fn query(id: u16, name: &Name<Vec<u8>>, family: Rtype) -> Option<Vec<u8>> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(id);
    builder.header_mut().set_rd(true);
    let mut builder = builder.question();
    builder.push((name, family)).ok()?;
    let mut builder = builder.additional();
    builder
        .opt(|opt| {
            opt.set_udp_payload_size(UDP_SIZE);
            Ok(())
        })
        .ok()?;
    Some(builder.finish())
}

fn is_answer(answer: &Message<Vec<u8>>, id: u16, name: &Name<Vec<u8>>, family: Rtype) -> bool {
    let header = answer.header();
    let question = answer.sole_question();
    header.id() == id
        && header.qr()
        && question.is_ok_and(|asked| asked.qname().name_eq(name) && asked.qtype() == family)
}

/// A socket of its own for each question: its port is the system's random choice.
async fn ask_udp(
    resolver: SocketAddr,
    query: &[u8],
    fits: impl Fn(&Message<Vec<u8>>) -> bool,
) -> io::Result<Message<Vec<u8>>> {
    let any: IpAddr = match resolver {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(resolver).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    for _ in 0..STRANGERS_MAX {
        let len = socket.recv(&mut buffer).await?;
        if let Ok(answer) = Message::from_octets(buffer[..len].to_vec())
            && fits(&answer)
        {
            return Ok(answer);
        }
    }
    Err(io::Error::other("too many answers to questions that were not asked"))
}

async fn ask_tcp(resolver: SocketAddr, query: &[u8]) -> io::Result<Message<Vec<u8>>> {
    let mut stream = TcpStream::connect(resolver).await?;
    let len = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.write_all(&[&len.to_be_bytes(), query].concat()).await?;
    let len = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(len)];
    stream.read_exact(&mut answer).await?;
    Message::from_octets(answer).map_err(|_| io::Error::other("the answer is too short"))
}

/// Adds the addresses that the answer has for the name or for what it is an alias of; `None` if the
/// answer cannot be read.
fn read(
    answer: &Message<Vec<u8>>,
    name: &Name<Vec<u8>>,
    family: Rtype,
    resolved: &mut Resolved,
) -> Option<()> {
    let mut name = name.clone();
    for _ in 0..ALIASES_MAX {
        let mut next = None;
        for alias in answer.answer().ok()?.limit_to::<Cname<_>>() {
            let alias = alias.ok()?;
            if alias.owner().name_eq(&name) {
                resolved.ttl = resolved.ttl.min(alias.ttl().into_duration());
                next = Some(alias.data().cname().to_name::<Vec<u8>>());
                break;
            }
        }
        match next {
            Some(target) => name = target,
            None => break,
        }
    }
    if family == Rtype::A {
        for record in answer.answer().ok()?.limit_to::<A>() {
            let record = record.ok()?;
            if record.owner().name_eq(&name) {
                resolved.ttl = resolved.ttl.min(record.ttl().into_duration());
                resolved.addresses.push(record.data().addr().into());
            }
        }
    } else {
        for record in answer.answer().ok()?.limit_to::<Aaaa>() {
            let record = record.ok()?;
            if record.owner().name_eq(&name) {
                resolved.ttl = resolved.ttl.min(record.ttl().into_duration());
                resolved.addresses.push(record.data().addr().into());
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use domain::base::iana::Class;
    use domain::base::{Record, Ttl};
    use tokio::net::TcpListener;

    use super::*;

    const TARGET: &str = "t.cdn.example.net";

    fn name(text: &str) -> Name<Vec<u8>> {
        Name::from_chars(text.chars()).unwrap()
    }

    /// The answer to a query: an alias, and two addresses of the family.
    fn answer(query: &[u8], rcode: Rcode) -> Vec<u8> {
        let query = Message::from_octets(query).unwrap();
        let family = query.sole_question().unwrap().qtype();
        let builder = MessageBuilder::new_vec();
        let mut builder = builder.start_answer(&query, rcode).unwrap();
        let push = |builder: &mut domain::base::message_builder::AnswerBuilder<Vec<u8>>| {
            let ttl = Ttl::from_secs;
            let alias = Cname::new(name("edge.example.net"));
            builder.push(Record::new(name(TARGET), Class::IN, ttl(300), alias)).unwrap();
            for last in 1..3_u8 {
                let owner = name("edge.example.net");
                if family == Rtype::A {
                    let data = A::from_octets(203, 0, 113, last);
                    builder.push(Record::new(owner, Class::IN, ttl(60), data)).unwrap();
                } else {
                    let data = Aaaa::new([0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()].into());
                    builder.push(Record::new(owner, Class::IN, ttl(20), data)).unwrap();
                }
            }
            // Somebody else's.
            let other = A::from_octets(192, 0, 2, 1);
            builder.push(Record::new(name("x.example.net"), Class::IN, ttl(1), other)).unwrap();
        };
        if rcode == Rcode::NOERROR {
            push(&mut builder);
        }
        builder.finish()
    }

    async fn serve_udp(answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((len, client)) = socket.recv_from(&mut buffer).await {
                for answer in answers(&buffer[..len]) {
                    let _ = socket.send_to(&answer, client).await;
                }
            }
        });
        address
    }

    fn request(resolvers: Vec<SocketAddr>) -> ResolveRequest {
        ResolveRequest { target: TARGET.parse().unwrap(), resolvers }
    }

    fn expected() -> Vec<IpAddr> {
        let texts = ["203.0.113.1", "203.0.113.2", "2001:db8::1", "2001:db8::2"];
        texts.map(|text| text.parse().unwrap()).to_vec()
    }

    #[tokio::test]
    async fn both_families_are_found_behind_an_alias_with_the_least_ttl() {
        let resolver = serve_udp(|query| vec![answer(query, Rcode::NOERROR)]).await;
        let resolved = resolve(&request(vec![resolver])).await.unwrap();
        assert_eq!(resolved.addresses, expected());
        assert_eq!(resolved.ttl, Duration::from_secs(20));
    }

    #[tokio::test]
    async fn answers_to_other_questions_are_not_believed() {
        let resolver = serve_udp(|query| {
            let sound = answer(query, Rcode::NOERROR);
            let mut other_id = sound.clone();
            other_id[0] ^= 1;
            let mut other_name = sound.clone();
            other_name[13] ^= 1;
            let mut no_reply = sound.clone();
            no_reply[2] &= 0x7f;
            vec![other_id, other_name, no_reply, b"x".to_vec(), sound]
        })
        .await;
        assert_eq!(resolve(&request(vec![resolver])).await.unwrap().addresses, expected());
        let flood = serve_udp(|query| {
            let mut other = answer(query, Rcode::NOERROR);
            other[0] ^= 1;
            vec![other; 2 * STRANGERS_MAX]
        })
        .await;
        let error = resolve(&request(vec![flood])).await.unwrap_err();
        assert!(error.to_string().contains("too many answers"), "{error}");
    }

    #[tokio::test]
    async fn what_is_cut_is_asked_for_by_tcp() {
        let resolver = serve_udp(|query| {
            let mut cut = answer(query, Rcode::NOERROR);
            cut[2] |= 2;
            vec![cut]
        })
        .await;
        let listener = TcpListener::bind(resolver).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let len = usize::from(stream.read_u16().await.unwrap());
                let mut query = vec![0; len];
                stream.read_exact(&mut query).await.unwrap();
                let answer = answer(&query, Rcode::NOERROR);
                stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        });
        assert_eq!(resolve(&request(vec![resolver])).await.unwrap().addresses, expected());
    }

    #[tokio::test]
    async fn the_next_resolver_is_asked_when_one_fails() {
        let failing = serve_udp(|query| vec![answer(query, Rcode::SERVFAIL)]).await;
        let fine = serve_udp(|query| vec![answer(query, Rcode::NOERROR)]).await;
        let resolved = resolve(&request(vec![failing, fine])).await.unwrap();
        assert_eq!(resolved.addresses, expected());
        let error = resolve(&request(vec![failing])).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{failing} answered SERVFAIL"));
    }

    #[test]
    fn resolvers_are_read_as_the_system_does() {
        let text = "# a comment\nsearch example.com\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\n\
                    nameserver 2001:db8::1 # ours\nnameserver\n";
        let expected: [SocketAddr; 2] =
            ["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()];
        assert_eq!(resolvers_in(text), expected);
    }
}
