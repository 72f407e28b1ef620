//! Resolves an outside name's addresses by plain DNS.
//!
//! It asks a resolver that recurses, believes what that says about the name asked for, and follows
//! no referral.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;
use walrus_core::control::{ResolveRequest, Resolved};
use walrus_dns::{DomainName, rcode, record_type};

use crate::dns_client::{DnsClientError, Record, Reply, ask};
use crate::resolvers::{RESOLVERS_MAX, SYSTEM_RESOLVERS, system_resolvers};

/// How long one resolver may take for one question: by UDP it is asked three times within this.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Aliases that lead from the name to its addresses.
const ALIASES_MAX: usize = 16;

/// Why a name has no addresses.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Nobody to ask.
    #[error("{SYSTEM_RESOLVERS} names no resolver: write resolvers = [\"192.0.2.1\"] in [control]")]
    NoResolver,
    /// A resolver could not be asked, or its answer not be read.
    #[error("the resolver gives no answer")]
    Ask(#[from] DnsClientError),
    /// A resolver did not answer.
    #[error("{0} gave no answer in {TIMEOUT:?}")]
    Silent(SocketAddr),
    /// A resolver answered with an error.
    #[error("{resolver} answered {}", rcode::name(u16::from(*.rcode)))]
    Refused {
        /// Which.
        resolver: SocketAddr,
        /// What it said.
        rcode: u8,
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
        resolvers = system_resolvers();
    }
    resolvers.truncate(RESOLVERS_MAX);
    let mut last = ResolveError::NoResolver;
    for resolver in resolvers {
        match ask_both(resolver, &request.target).await {
            Ok(resolved) => return Ok(resolved),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn ask_both(resolver: SocketAddr, name: &DomainName) -> Result<Resolved, ResolveError> {
    let mut resolved = Resolved { addresses: Vec::new(), ttl: Duration::MAX };
    for family in [record_type::A, record_type::AAAA] {
        let reply = timeout(TIMEOUT, ask(resolver, name, family)).await;
        let reply = reply.map_err(|_| ResolveError::Silent(resolver))??;
        if u16::from(reply.rcode) != rcode::NOERROR {
            return Err(ResolveError::Refused { resolver, rcode: reply.rcode });
        }
        take(&reply, name, family, &mut resolved);
    }
    Ok(resolved)
}

/// Adds the addresses that the answer has for the name or for what it is an alias of.
fn take(reply: &Reply, name: &DomainName, family: u16, resolved: &mut Resolved) {
    let mut name = name.clone();
    let mut count = |record: &Record| {
        resolved.ttl = resolved.ttl.min(Duration::from_secs(record.ttl.into()));
    };
    let of = |name: &DomainName, record_type| {
        let name = name.clone();
        let records = reply.answers.iter();
        records.filter(move |it| it.record_type == record_type && it.owner == name)
    };
    for _ in 0..ALIASES_MAX {
        let alias = of(&name, record_type::CNAME).next();
        let Some((alias, target)) = alias.and_then(|alias| Some((alias, alias.name()?))) else {
            break;
        };
        count(alias);
        name = target;
    }
    for record in of(&name, family) {
        let Some(address) = record.address() else { continue };
        count(record);
        resolved.addresses.push(address);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use domain::base::iana::{Class, Rcode, Rtype};
    use domain::base::{Message, MessageBuilder, Name, Record, Ttl};
    use domain::rdata::{A, Aaaa, Cname};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, UdpSocket};

    use super::{ResolveRequest, resolve};
    use crate::log::chain;

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
        assert_eq!(resolved.ttl.as_secs(), 20);
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
            vec![other; 100]
        })
        .await;
        let error = resolve(&request(vec![flood])).await.unwrap_err();
        assert!(chain(&error).contains("replies to other questions"), "{error:?}");
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
}
