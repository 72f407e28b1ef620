//! Whether services fit into a zone that another name server sends, or that others change: nobody here
//! chose what it holds.
//!
//! What does not fit costs that service its answers, which are refused with the reason, and never the
//! zone: old content in the place of the new would be wrong about all other names.

use std::collections::BTreeMap;

use walrus_dns::{DomainName, record_type};

use super::host_names::{HostConflict, conflict_of};
use super::{OwnNames, Zone};
use crate::world::{Topology, host_of};

/// Why a service does not fit into a zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum ServiceUnfit {
    /// Its answers could have no signatures.
    #[error(
        "the zone {zone} comes signed, and an answer of the service {service} would have no \
         signature: write dnssec = \"sign\" into its [[zone]], so that Walrus signs it, or let its \
         primary send it unsigned"
    )]
    SignedElsewhere {
        /// The zone.
        zone: DomainName,
        /// The service.
        service: DomainName,
    },
    /// An alias stands at its name.
    #[error(
        "the zone {zone} has an alias (CNAME) at {service}, which is a service here: remove it where \
         the zone is made, or take the [[service]] out"
    )]
    Alias {
        /// The zone.
        zone: DomainName,
        /// The service.
        service: DomainName,
    },
    /// It lies at or below a delegation, or below a DNAME record.
    #[error(
        "the zone {zone} gives {cut} to others, and the service {service} lies there: remove that \
         where the zone is made, or take the [[service]] out"
    )]
    GivenAway {
        /// The zone.
        zone: DomainName,
        /// The service.
        service: DomainName,
        /// What is given away.
        cut: DomainName,
    },
    /// The zone says otherwise about a server that it names.
    #[error("the service {service} names servers by their hosts, but {conflict}")]
    Host {
        /// The service.
        service: DomainName,
        /// What the zone says.
        conflict: HostConflict,
    },
}

impl ServiceUnfit {
    /// The service.
    #[must_use]
    pub const fn service(&self) -> &DomainName {
        match self {
            Self::SignedElsewhere { service, .. }
            | Self::Alias { service, .. }
            | Self::GivenAway { service, .. }
            | Self::Host { service, .. } => service,
        }
    }
}

/// The services that do not fit a zone, by name, of `own`, which lies in it, and of those elsewhere whose records name a
/// host in it. A zone that is signed is so by others: what Walrus is to sign comes without signatures.
#[must_use]
pub fn unfit_services(
    zone: &Zone,
    own: &OwnNames,
    topology: &Topology,
) -> BTreeMap<DomainName, ServiceUnfit> {
    let mut unfit = BTreeMap::new();
    let conflicts = own.hosts.iter().filter_map(|host| conflict_of(zone, host));
    let conflicts: BTreeMap<_, _> = conflicts.map(|it| (it.host.clone(), it)).collect();
    if !conflicts.is_empty() {
        for (service, host) in named_hosts(topology) {
            if let Some(conflict) = conflicts.get(&host) {
                let (service, conflict) = (service.clone(), conflict.clone());
                unfit.insert(service.clone(), ServiceUnfit::Host { service, conflict });
            }
        }
    }
    for service in &own.services {
        if let Some(why) = at_own_name(zone, service) {
            unfit.insert(service.clone(), why);
        }
    }
    unfit
}

/// What stands in the way at the service's own name, or above.
fn at_own_name(zone: &Zone, service: &DomainName) -> Option<ServiceUnfit> {
    let (apex, name) = (zone.apex(), service.clone());
    for labels in apex.label_count()..=service.label_count() {
        let above = service.suffix(labels);
        let sets = zone.sets(&above);
        let renames = above != *service && sets.of_type(record_type::DNAME).is_some();
        let delegates = above != *apex && sets.of_type(record_type::NS).is_some();
        if renames || delegates {
            let zone = apex.clone();
            return Some(ServiceUnfit::GivenAway { zone, service: name, cut: above });
        }
    }
    if zone.set(service, record_type::CNAME).is_some() {
        return Some(ServiceUnfit::Alias { zone: apex.clone(), service: name });
    }
    let signed = || ServiceUnfit::SignedElsewhere { zone: apex.clone(), service: name };
    zone.is_signed().then(signed)
}

/// The services whose records name hosts, with each of these.
fn named_hosts(topology: &Topology) -> impl Iterator<Item = (&DomainName, DomainName)> {
    let services = topology.services.iter().filter(|service| service.records.names_servers());
    services.flat_map(move |service| {
        let servers = service.clusters.iter().flat_map(|it| &topology.clusters[it.index()].servers);
        let servers = servers.map(|id| &topology.servers[id.index()]);
        let hosts = servers.filter_map(|server| host_of(&service.name, server));
        hosts.map(|host| (&service.name, host))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Context, SourceFile, parse};
    use crate::zone::{ZoneReader, ZonesOwnNames};

    const CONFIGURATION: &str = r#"
[dns]
listen = ["127.0.0.1:5300"]
[[zone]]
name = "example.com"
nameservers = ["ns.example.net"]
[[zone]]
name = "deep.example.com"
nameservers = ["ns.example.net"]
[[cluster]]
name = "c"
servers = [{ name = "s1", addresses = ["192.0.2.1"], host = "mail.example.com" }]
[[service]]
name = "www.example.com"
[[service]]
name = "example.com"
[[service]]
name = "a.deep.example.com"
[[service]]
name = "_sip._tcp.deep.example.com"
srv = { port = 5060 }
"#;

    fn unfit(body: &str) -> Vec<(String, String)> {
        let files = [SourceFile { name: "walrus.toml".into(), text: CONFIGURATION.into() }];
        let context = Context { hostname: "ns1", read: &|_| Ok(String::new()) };
        let parsed = parse(&files, &context).unwrap_or_else(|it| panic!("{it:#?}"));
        let configuration = parsed.configuration;
        let apex = "example.com".parse().unwrap();
        let text = format!("@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.53\n{body}");
        let reader = ZoneReader::new("test", &apex).keeping_signatures(true);
        let zone = reader.read(text.as_bytes(), None).unwrap().zone;
        let apexes = configuration.zones.iter().map(|zone| &zone.apex);
        let own = ZonesOwnNames::new(apexes, &configuration.topology);
        let unfit = unfit_services(&zone, own.of(&apex), &configuration.topology);
        unfit.into_iter().map(|(name, why)| (name.to_string(), why.to_string())).collect()
    }

    #[test]
    fn what_a_zone_holds_costs_those_services_that_do_not_fit() {
        let names = |body| unfit(body).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("mail 60 A 192.0.2.1\nwww 60 A 192.0.2.9\n"), Vec::<String>::new());
        assert_eq!(names("www 60 CNAME ns\n"), ["www.example.com"]);
        assert_eq!(names("www 60 NS ns.elsewhere.\n"), ["www.example.com"]);
        assert_eq!(names("@ 60 DNAME elsewhere.\n"), ["www.example.com"]);
        // A service of another zone points at a host in this one.
        assert_eq!(names("mail 60 A 192.0.2.9\n"), ["_sip._tcp.deep.example.com"]);
        let signature = "13 2 60 20300101000000 20200101000000 1 example.com. AAAA";
        let signed = format!("@ 60 RRSIG SOA {signature}\n");
        assert_eq!(names(&signed), ["example.com", "www.example.com"]);
        let told = unfit("mail 60 A 192.0.2.9\n").remove(0).1;
        assert!(told.contains("192.0.2.9") && told.contains("mail.example.com"), "{told}");
    }
}
