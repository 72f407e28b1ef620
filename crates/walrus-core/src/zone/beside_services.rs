//! What zone files have at the names of services beside what these give.

use std::sync::Arc;

use walrus_dns::record_type;

use super::Zone;
use crate::world::{ServiceType, Topology};

/// Warnings about addresses in zone files that are answered at services' names as they stand: a
/// service that gives A alone leaves an AAAA set of the file alone, and health says nothing about
/// it. Every other record of the file beside a service is what one expects.
#[must_use]
pub fn addresses_beside_services(zones: &[Arc<Zone>], topology: &Topology) -> Vec<String> {
    let mut warnings = Vec::new();
    for service in &topology.services {
        let given = service.records.types();
        let families = [
            (ServiceType::A, record_type::A, ServiceType::Aaaa),
            (ServiceType::Aaaa, record_type::AAAA, ServiceType::A),
        ];
        let within = zones.iter().filter(|zone| service.name.is_within(zone.apex()));
        let Some(zone) = within.max_by_key(|zone| zone.apex().label_count()) else { continue };
        for (family, number, other) in families {
            let is_left = !given.has(family) && given.has(other);
            if is_left && zone.set(&service.name, number).is_some() {
                warnings.push(format!(
                    "the zone {} has {family} records at {}, whose service gives {other} alone: they \
                     are answered as they stand, whether those servers live or not; remove them, or \
                     write \"{family}\" into `types`",
                    zone.apex(),
                    service.name,
                    family = family.name(),
                    other = other.name(),
                ));
            }
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Context, SourceFile, parse};
    use crate::zone::read_zone;

    #[test]
    fn a_family_that_the_service_leaves_to_the_file_is_told_of() {
        let warnings = |types: &str| {
            let text = format!(
                "zone = \"example.com\"\nnameservers = [\"ns.example.net\"]\n[dns]\n\
                 listen = [\"127.0.0.1:5300\"]\n[[cluster]]\nname = \"c\"\nservers = [\n\
                 {{ name = \"s1\", addresses = [\"192.0.2.1\"] }}]\n[[service]]\n\
                 name = \"www.example.com\"\n{types}\n"
            );
            let files = [SourceFile { name: "walrus.toml".into(), text }];
            let context = Context { hostname: "ns1", read: &|_| Ok(String::new()) };
            let topology = parse(&files, &context).unwrap().configuration.topology;
            let zone = "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns.example.net.\n\
                        www 60 A 192.0.2.9\nwww 60 AAAA 2001:db8::9\nwww 60 TXT \"x\"\n";
            let apex = "example.com".parse().unwrap();
            let zone = read_zone("test", zone.as_bytes(), &apex).unwrap().zone;
            addresses_beside_services(&[Arc::new(zone)], &topology)
        };
        assert_eq!(warnings(""), Vec::<String>::new());
        let told = warnings("types = [\"A\"]");
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("AAAA records at www.example.com"), "{told:?}");
    }
}
