//! What a zone's parent shows: its DS records, asked for at every name server of the parent (RFC
//! 7583 section 3.3.2 wants all of them to have changed).

use std::net::SocketAddr;
use std::path::Path;

use walrus_core::dnssec::rollover::ParentView;
use walrus_dns::{DomainName, record_type};

use crate::dns_client::{DnsClientError, Reply, ask};

const NXDOMAIN: u8 = 3;

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
    #[error("{server} answers with code {rcode} when asked for the DS of {zone}")]
    Refused {
        /// The zone.
        zone: DomainName,
        /// Who.
        server: SocketAddr,
        /// What it said.
        rcode: u8,
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
            found = find(zone, &resolvers()).await?;
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
            Ok(reply) if reply.rcode == 0 || reply.rcode == NXDOMAIN => {
                views.push(shown(zone, &reply));
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

/// DS records of one reply and how long they are kept.
fn shown(zone: &DomainName, reply: &Reply) -> (Vec<Vec<u8>>, u32) {
    let of_zone =
        |it: &&crate::dns_client::Record| it.record_type == record_type::DS && it.owner == *zone;
    let records = || reply.answers.iter().filter(of_zone);
    let ttl = match records().map(|record| record.ttl).max() {
        Some(ttl) => ttl,
        None => {
            let soa = reply.authority.iter().find(|it| it.record_type == record_type::SOA);
            soa.map_or(NEGATIVE_TTL, |soa| soa.ttl)
        }
    };
    let ttl = if reply.is_authoritative { ttl } else { ttl.max(RESOLVER_TTL) };
    (records().map(|record| record.data.clone()).collect(), ttl)
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
        let names: Vec<DomainName> = match first(resolvers, zone, &name, record_type::NS).await? {
            Some(reply) => reply
                .answers
                .iter()
                .filter(|it| it.owner == name && it.record_type == record_type::NS)
                .filter_map(crate::dns_client::Record::name)
                .collect(),
            None => Vec::new(),
        };
        let mut servers = Vec::new();
        for server in names.iter().take(SERVERS_MAX) {
            for family in [record_type::A, record_type::AAAA] {
                let Some(reply) = first(resolvers, zone, server, family).await? else { continue };
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

async fn first(
    resolvers: &[SocketAddr],
    zone: &DomainName,
    name: &DomainName,
    record_type: u16,
) -> Result<Option<Reply>, ParentError> {
    let mut last = None;
    for resolver in resolvers {
        match ask(*resolver, name, record_type).await {
            Ok(reply) => return Ok(Some(reply)),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(ParentError::Ask { zone: zone.clone(), error }),
        None => Err(ParentError::NoServers(zone.clone())),
    }
}

/// The system's resolvers, by `/etc/resolv.conf`; at most three, as the C library takes.
#[must_use]
pub fn resolvers() -> Vec<SocketAddr> {
    resolvers_in(Path::new("/etc/resolv.conf"))
}

fn resolvers_in(file: &Path) -> Vec<SocketAddr> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let of = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    };
    text.lines().filter_map(of).take(3).map(|address| SocketAddr::new(address, 53)).collect()
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
    fn resolvers_are_read_as_the_system_has_them() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "# nameserver 192.0.2.9\nsearch example\nnameserver 192.0.2.1\nnameserver \
                    2001:db8::1\nnameserver x\n";
        std::fs::write(file.path(), text).unwrap();
        let expected = ["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()];
        assert_eq!(resolvers_in(file.path()), expected);
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
