//! What a zone's parent shows: its DS records, asked for at every name server of the parent (RFC
//! 7583 section 3.3.2 wants all of them to have changed).

use std::net::SocketAddr;

use walrus_core::dnssec::rollover::ParentView;
use walrus_dns::{DomainName, rcode, record_type};

use crate::dns_client::{DnsClientError, Record, Reply, ask};
use crate::resolvers::system_resolvers;

/// Addresses of the parent's servers that are asked; the root has 26.
const SERVERS_MAX: usize = 64;

/// The TTL of a DS that a resolver shows is what is left of it: a day is what parents use at most.
const RESOLVER_TTL: u32 = 86_400;

/// The TTL of nothing, if its SOA does not say.
const NEGATIVE_TTL: u32 = 3600;

/// Why it is not known what the parent shows.
#[derive(Debug, thiserror::Error)]
pub enum ParentError {
    /// One of its servers does not answer.
    #[error("the parent of {zone} cannot be asked")]
    Ask {
        /// The zone.
        zone: DomainName,
        /// Why.
        #[source]
        error: DnsClientError,
    },
    /// One of its servers refuses.
    #[error("{server} answers {} when asked for the DS of {zone}", rcode::name(u16::from(*.rcode)))]
    Refused {
        /// The zone.
        zone: DomainName,
        /// Who.
        server: SocketAddr,
        /// What it said.
        rcode: u8,
    },
    /// The system's resolvers do not find its servers.
    #[error(
        "{server} answers {} when asked for {name}, to find the parent of {zone}: name its servers \
         in [dnssec] parent",
        rcode::name(u16::from(*.rcode))
    )]
    Resolver {
        /// The zone.
        zone: DomainName,
        /// What was asked for.
        name: DomainName,
        /// Who.
        server: SocketAddr,
        /// What it said.
        rcode: u8,
    },
    /// One of its servers knows nothing of the zone: what it does not show may be elsewhere.
    #[error(
        "{server} is asked for the DS of {zone} and points elsewhere: it serves no parent of it; \
         name those that do in [dnssec] parent"
    )]
    Elsewhere {
        /// The zone.
        zone: DomainName,
        /// Who.
        server: SocketAddr,
    },
    /// Its servers cannot be found.
    #[error("the name servers of the parent of {0} cannot be found: name them in [dnssec] parent")]
    NoServers(DomainName),
}

/// Asks all of these servers for the zone's DS records; without any, all name servers of its parent
/// that the system's resolvers know of. Those that this machine has no route to are left out.
///
/// # Errors
/// If one of them does not answer, or none is found.
pub async fn look(zone: &DomainName, servers: &[SocketAddr]) -> Result<ParentView, ParentError> {
    let found;
    let servers = match servers {
        [] => {
            found = find(zone, &system_resolvers()).await?;
            &found[..]
        }
        servers => servers,
    };
    let questions: Vec<_> = servers
        .iter()
        .take(SERVERS_MAX)
        .map(|server| {
            let (server, zone) = (*server, zone.clone());
            (server, tokio::spawn(async move { ask(server, &zone, record_type::DS).await }))
        })
        .collect();
    let mut views = Vec::new();
    for (server, question) in questions {
        // A task that was stopped with the runtime: nobody waits for this any more.
        let Ok(reply) = question.await else { continue };
        match reply {
            Ok(reply) if reply.is_final() => {
                let view = shown(zone, &reply);
                views.push(view.ok_or(ParentError::Elsewhere { zone: zone.clone(), server })?);
            }
            Ok(Reply { rcode, .. }) => {
                return Err(ParentError::Refused { zone: zone.clone(), server, rcode });
            }
            Err(error) if error.is_no_route() => {}
            Err(error) => return Err(ParentError::Ask { zone: zone.clone(), error }),
        }
    }
    merge(&views).ok_or_else(|| ParentError::NoServers(zone.clone()))
}

/// DS records of one reply and how long they are kept; `None` if it does not say whether there are
/// any, but refers to others. To take that for "there is none" would end a roll-over too early.
fn shown(zone: &DomainName, reply: &Reply) -> Option<(Vec<Vec<u8>>, u32)> {
    let of_zone = |it: &&Record| it.record_type == record_type::DS && it.owner == *zone;
    let records = || reply.answers.iter().filter(of_zone);
    let ttl = match records().map(|record| record.ttl).max() {
        Some(ttl) => ttl,
        None => {
            let soa = reply.authority.iter().find(|it| it.record_type == record_type::SOA);
            if soa.is_none() && !reply.is_authoritative {
                return None;
            }
            soa.map_or(NEGATIVE_TTL, |soa| soa.ttl)
        }
    };
    let ttl = if reply.is_authoritative { ttl } else { ttl.max(RESOLVER_TTL) };
    Some((records().map(|record| record.data.clone()).collect(), ttl))
}

fn merge(views: &[(Vec<Vec<u8>>, u32)]) -> Option<ParentView> {
    let mut by_any: Vec<Vec<u8>> = views.iter().flat_map(|(ds, _)| ds.clone()).collect();
    by_any.sort();
    by_any.dedup();
    let in_all = |ds: &&Vec<u8>| views.iter().all(|(shown, _)| shown.contains(ds));
    let by_all = by_any.iter().filter(in_all).cloned().collect();
    let ttl = views.iter().map(|(_, ttl)| *ttl).max()?;
    Some(ParentView { by_all, by_any, ttl })
}

/// Addresses of the name servers of the nearest zone above, by the first resolver that answers.
async fn find(zone: &DomainName, resolvers: &[SocketAddr]) -> Result<Vec<SocketAddr>, ParentError> {
    let mut above = zone.parent();
    while let Some(name) = above {
        let reply = first(resolvers, zone, &name, record_type::NS).await?;
        let names: Vec<DomainName> = reply
            .answers
            .iter()
            .filter(|it| it.owner == name && it.record_type == record_type::NS)
            .filter_map(Record::name)
            .collect();
        let mut servers = Vec::new();
        for server in names.iter().take(SERVERS_MAX) {
            for family in [record_type::A, record_type::AAAA] {
                let reply = first(resolvers, zone, server, family).await?;
                let addresses = reply.answers.iter().filter_map(|record| record.address());
                servers.extend(addresses.map(|address| SocketAddr::new(address, 53)));
            }
        }
        if !servers.is_empty() {
            servers.sort();
            servers.dedup();
            return Ok(servers);
        }
        above = name.parent();
    }
    Err(ParentError::NoServers(zone.clone()))
}

/// What the first resolver says that finds out: one that fails must not look like a name that is
/// not there.
async fn first(
    resolvers: &[SocketAddr],
    zone: &DomainName,
    name: &DomainName,
    record_type: u16,
) -> Result<Reply, ParentError> {
    let mut failed = ParentError::NoServers(zone.clone());
    for resolver in resolvers {
        failed = match ask(*resolver, name, record_type).await {
            Ok(reply) if reply.is_final() => return Ok(reply),
            Ok(Reply { rcode, .. }) => {
                let (name, server) = (name.clone(), *resolver);
                ParentError::Resolver { zone: zone.clone(), name, server, rcode }
            }
            Err(error) => ParentError::Ask { zone: zone.clone(), error },
        };
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_must_show_what_counts_as_shown() {
        let views = [(vec![vec![1], vec![2]], 60), (vec![vec![2]], 3600)];
        let view = merge(&views).unwrap();
        assert_eq!(
            (view.by_all, view.by_any, view.ttl),
            (vec![vec![2]], vec![vec![1], vec![2]], 3600)
        );
        assert_eq!(merge(&[]), None);
    }

    #[test]
    fn a_referral_is_no_proof_that_there_is_no_ds() {
        let record = |owner: &str, record_type, data: &[u8]| Record {
            owner: owner.parse().unwrap(),
            record_type,
            ttl: 900,
            data: data.to_vec(),
        };
        let zone: DomainName = "walrus.example".parse().unwrap();
        let reply = |is_authoritative, answers, authority| Reply {
            rcode: 0,
            is_authoritative,
            answers,
            authority,
        };
        let referral = vec![record("example", record_type::NS, &[0])];
        assert_eq!(shown(&zone, &reply(false, vec![], referral)), None);
        let soa = vec![record("example", record_type::SOA, &[0])];
        assert_eq!(shown(&zone, &reply(true, vec![], soa.clone())), Some((vec![], 900)));
        let from_resolver = shown(&zone, &reply(false, vec![], soa));
        assert_eq!(from_resolver, Some((vec![], RESOLVER_TTL)));
        let ds = vec![record("walrus.example", record_type::DS, &[1])];
        assert_eq!(shown(&zone, &reply(true, ds, vec![])), Some((vec![vec![1]], 900)));
    }

    #[tokio::test]
    async fn a_resolver_that_fails_is_not_taken_at_its_word() {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((len, client)) = socket.recv_from(&mut query).await {
                // SERVFAIL, with nothing but the question.
                (query[2], query[3], query[11]) = (0x81, 0x82, 0);
                let _ = socket.send_to(&query[..len - 11], client).await;
            }
        });
        let zone: DomainName = "walrus.example".parse().unwrap();
        let error = find(&zone, &[address]).await.unwrap_err();
        assert!(matches!(error, ParentError::Resolver { rcode: 2, .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_parent_that_does_not_answer_is_an_error() {
        let zone: DomainName = "walrus.example".parse().unwrap();
        // A port that was free a moment ago: refused at once, or silent.
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);
        assert!(matches!(look(&zone, &[address]).await, Err(ParentError::Ask { .. })));
    }
}
