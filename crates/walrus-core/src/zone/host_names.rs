//! The names that services' records give servers, added to the zones with the servers' addresses.

use std::net::IpAddr;
use std::sync::Arc;

use walrus_dns::{DomainName, record_type};

use super::{OwnNames, RecordSet, Zone, ZonesOwnNames};
use crate::world::{Name, NamedHost, Topology};

/// Zones that serve the addresses of the hosts that records point at.
#[derive(Clone, Debug)]
pub struct HostedZones {
    /// In the order in which they came.
    pub zones: Vec<Arc<Zone>>,
    /// The hosts that were added to them: nothing but services' records speaks of these.
    pub added: Vec<DomainName>,
    /// Hosts whose addresses Walrus does not serve, though their names lie in its zones.
    pub warnings: Vec<String>,
    /// Hosts that a zone says otherwise about: it stays as it is there.
    pub conflicts: Vec<HostConflict>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct HostedZone {
    /// With its hosts.
    pub zone: Arc<Zone>,
    /// See [`HostedZones`].
    pub added: Vec<DomainName>,
    /// See [`HostedZones`].
    pub warnings: Vec<String>,
    /// See [`HostedZones`].
    pub conflicts: Vec<HostConflict>,
}

/// A zone says otherwise about a host that services' records name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error(
    "the zone {zone} has {what} at {host}, which is the name of the server `{server}` in services' \
     records: remove it from the zone, or write another `host` in the server"
)]
pub struct HostConflict {
    /// The zone.
    pub zone: DomainName,
    /// The host.
    pub host: DomainName,
    /// Whose name it is.
    pub server: Name,
    /// What stands there.
    pub what: String,
}

/// Adds A and AAAA sets for each host of [`Topology::hosts`] that lies in one of the zones and is
/// not there yet. Zones without any stay as they are.
///
/// # Errors
/// Every host that a zone says otherwise about.
pub fn add_hosts(zones: &[Arc<Zone>], topology: &Topology) -> Result<HostedZones, Vec<String>> {
    let hosted = add_hosts_that_fit(zones, topology);
    if hosted.conflicts.is_empty() {
        return Ok(hosted);
    }
    Err(hosted.conflicts.iter().map(ToString::to_string).collect())
}

/// The same for zones that nobody here has made: what they say otherwise stays.
#[must_use]
pub fn add_hosts_that_fit(zones: &[Arc<Zone>], topology: &Topology) -> HostedZones {
    let own = ZonesOwnNames::new(zones.iter().map(|zone| zone.apex()), topology);
    let (mut hosted, mut added) = (Vec::with_capacity(zones.len()), Vec::new());
    let (mut warnings, mut conflicts) = (Vec::new(), Vec::new());
    for zone in zones {
        let one = own.of(zone.apex()).with_hosts(zone);
        hosted.push(one.zone);
        added.extend(one.added);
        warnings.extend(one.warnings);
        conflicts.extend(one.conflicts);
    }
    HostedZones { zones: hosted, added, warnings, conflicts }
}

impl OwnNames {
    /// A zone with its hosts' addresses, but for what it says otherwise.
    #[must_use]
    pub fn with_hosts(&self, zone: &Arc<Zone>) -> HostedZone {
        let mut added: Vec<(DomainName, RecordSet)> = Vec::new();
        let (mut warnings, mut conflicts, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for host in &self.hosts {
            match place_of(zone, host) {
                Place::Free => {
                    added.extend(sets_of(host));
                    names.push(host.name.clone());
                }
                Place::Same => {}
                Place::Delegated(cut) => warnings.push(format!(
                    "{} lies below {cut}, which the zone gives to others: Walrus names `{}` so, but \
                     does not serve its addresses",
                    host.name, host.server
                )),
                Place::Other(what) => conflicts.push(HostConflict {
                    zone: zone.apex().clone(),
                    host: host.name.clone(),
                    server: host.server.clone(),
                    what,
                }),
            }
        }
        let zone =
            if added.is_empty() { Arc::clone(zone) } else { Arc::new(zone.with_sets(added)) };
        HostedZone { zone, added: names, warnings, conflicts }
    }
}

/// What a zone says otherwise about a host in it.
pub(super) fn conflict_of(zone: &Zone, host: &NamedHost) -> Option<HostConflict> {
    let Place::Other(what) = place_of(zone, host) else { return None };
    let (zone, server) = (zone.apex().clone(), host.server.clone());
    Some(HostConflict { zone, host: host.name.clone(), server, what })
}

/// What a zone has where a host's addresses are to stand.
enum Place {
    Free,
    /// The same addresses.
    Same,
    /// It lies at or below this delegation, or below this DNAME.
    Delegated(DomainName),
    /// Something else.
    Other(String),
}

fn place_of(zone: &Zone, host: &NamedHost) -> Place {
    let depth = zone.apex().label_count();
    for labels in depth + 1..=host.name.label_count() {
        let above = host.name.suffix(labels);
        let is_below = labels < host.name.label_count();
        let sets = zone.sets(&above);
        if sets.of_type(record_type::NS).is_some()
            || (is_below && sets.of_type(record_type::DNAME).is_some())
        {
            return Place::Delegated(above);
        }
    }
    let sets = zone.sets(&host.name);
    if sets.of_type(record_type::CNAME).is_some() {
        return Place::Other("an alias (CNAME)".to_owned());
    }
    let found = addresses_at(zone, &host.name);
    let mut wanted = host.addresses.clone();
    wanted.sort_unstable();
    match found.first() {
        None => Place::Free,
        Some(_) if found == wanted => Place::Same,
        Some(first) => Place::Other(format!("other addresses ({first} ...)")),
    }
}

/// The addresses that a zone has at a name, in order.
pub(super) fn addresses_at(zone: &Zone, name: &DomainName) -> Vec<IpAddr> {
    let sets = zone.sets(name);
    let mut found: Vec<IpAddr> = Vec::new();
    for family in [record_type::A, record_type::AAAA] {
        let data = sets.of_type(family).into_iter().flat_map(super::SetView::data);
        found.extend(data.filter_map(|data| match data.len() {
            4 => data.first_chunk::<4>().map(|bytes| IpAddr::from(*bytes)),
            _ => data.first_chunk::<16>().map(|bytes| IpAddr::from(*bytes)),
        }));
    }
    found.sort_unstable();
    found
}

fn sets_of(host: &NamedHost) -> impl Iterator<Item = (DomainName, RecordSet)> {
    let mut sets = [record_type::A, record_type::AAAA].map(|record_type| RecordSet {
        record_type,
        ttl: host.ttl,
        ..RecordSet::default()
    });
    for address in &host.addresses {
        match address {
            IpAddr::V4(address) => sets[0].data.push(address.octets().into()),
            IpAddr::V6(address) => sets[1].data.push(address.octets().into()),
        }
    }
    let name = host.name.clone();
    // A set without data would remove: there is nothing to remove here.
    let sets = sets.into_iter().filter(|set| !set.data.is_empty());
    sets.map(move |set| (name.clone(), set))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Context, SourceFile, parse};
    use crate::zone::read_zone;

    const CONFIGURATION: &str = r#"
zone = "example.com"
nameservers = ["ns.example.net"]
[dns]
listen = ["127.0.0.1:5300"]
[[cluster]]
name = "c"
servers = [
  { name = "s1", addresses = ["192.0.2.1", "2001:db8::1"] },
  { name = "s2", addresses = ["192.0.2.2"], host = "mail.example.com" },
  { name = "s3", addresses = ["192.0.2.3"], host = "mail.example.org" },
]
[[service]]
name = "www.example.com"
[[service]]
name = "_sip._tcp.example.com"
srv = { port = 5060 }
ttl = "2m"
"#;

    fn topology() -> Topology {
        let files = [SourceFile { name: "walrus.toml".into(), text: CONFIGURATION.into() }];
        let context = Context { hostname: "ns1", read: &|_| Ok(String::new()) };
        parse(&files, &context).unwrap_or_else(|it| panic!("{it:#?}")).configuration.topology
    }

    fn hosted(body: &str) -> Result<HostedZones, Vec<String>> {
        let apex = "example.com".parse().unwrap();
        let text = format!("@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.53\n{body}");
        let zone = read_zone("test", text.as_bytes(), &apex).unwrap().zone;
        add_hosts(&[Arc::new(zone)], &topology())
    }

    fn addresses(zone: &Zone, name: &str, record_type: u16) -> Vec<Vec<u8>> {
        let set = zone.set(&name.parse().unwrap(), record_type);
        set.into_iter().flat_map(|set| set.data().map(<[u8]>::to_vec).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn hosts_get_their_servers_addresses() {
        let hosted = hosted("").unwrap();
        let zone = &hosted.zones[0];
        assert_eq!(addresses(zone, "s1.example.com", 1), [vec![192, 0, 2, 1]]);
        assert_eq!(addresses(zone, "s1.example.com", 28).len(), 1);
        assert_eq!(addresses(zone, "mail.example.com", 1), [vec![192, 0, 2, 2]]);
        assert_eq!(zone.set(&"s1.example.com".parse().unwrap(), 1).unwrap().ttl(), 120);
        assert_eq!(hosted.warnings, Vec::<String>::new());
    }

    #[test]
    fn what_the_zone_file_says_otherwise_is_a_problem() {
        let same = hosted("mail 7 A 192.0.2.2\n").unwrap();
        let mail = "mail.example.com".parse().unwrap();
        assert_eq!(same.zones[0].set(&mail, 1).unwrap().ttl(), 7, "it stays as it is");
        for (body, word) in [("mail A 192.0.2.9\n", "192.0.2.9"), ("mail CNAME ns\n", "CNAME")] {
            let problems = hosted(body).unwrap_err();
            assert!(problems[0].contains(word) && problems.len() == 1, "{problems:?}");
        }
        let below = hosted("mail NS ns.elsewhere.\n").unwrap();
        assert!(below.warnings[0].contains("gives to others"), "{:?}", below.warnings);
        assert!(addresses(&below.zones[0], "mail.example.com", 1).is_empty());
    }
}
