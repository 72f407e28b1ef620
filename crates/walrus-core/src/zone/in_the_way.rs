//! Records of a zone that stand where services and servers are: what others change has them at times, and no
//! service may be lost by that.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use domain::base::iana::Rtype;
use walrus_dns::{DomainName, record_type};

use super::host_names::addresses_at;
use super::{OwnNames, RecordSet, Zone};
use crate::world::NamedHost;

/// Records that are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InTheWay {
    /// Where they stand.
    pub name: DomainName,
    /// Their type's number.
    pub record_type: u16,
    /// The service or server that they would hide.
    pub hides: DomainName,
}

impl fmt::Display for InTheWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, record_type, hides } = self;
        let kind = Rtype::from_int(*record_type);
        write!(
            f,
            "the {kind} records at {name} are not served, for they would hide {hides}, which the configuration \
             names: remove them by an update, or name it otherwise"
        )
    }
}

impl OwnNames {
    /// The zone without what would hide one of these, and what that was. Where nothing does, it is the same.
    #[must_use]
    pub fn without_what_hides_them(&self, zone: &Arc<Zone>) -> (Arc<Zone>, Vec<InTheWay>) {
        let mut found: BTreeMap<(DomainName, u16), DomainName> = BTreeMap::new();
        for service in &self.services {
            for (name, record_type) in hiding(zone, service) {
                found.entry((name, record_type)).or_insert_with(|| service.clone());
            }
        }
        for host in &self.hosts {
            for record_type in in_place_of(zone, host) {
                let place = (host.name.clone(), record_type);
                found.entry(place).or_insert_with(|| host.name.clone());
            }
        }
        if found.is_empty() {
            return (Arc::clone(zone), Vec::new());
        }
        let none = |(name, record_type): &(DomainName, u16)| {
            (name.clone(), RecordSet { record_type: *record_type, ..RecordSet::default() })
        };
        let rest = zone.with_sets(found.keys().map(none));
        let told = found.into_iter();
        let told = told.map(|((name, record_type), hides)| InTheWay { name, record_type, hides });
        (Arc::new(rest), told.collect())
    }
}

/// What makes a service unreachable: an alias at its name, a delegation there or above, a DNAME above.
fn hiding(zone: &Zone, service: &DomainName) -> Vec<(DomainName, u16)> {
    let (top, own) = (zone.apex().label_count(), service.label_count());
    let mut found = Vec::new();
    for labels in top..=own {
        let name = service.suffix(labels);
        let sets = zone.sets(&name);
        let hides = [
            (record_type::NS, labels > top),
            (record_type::DNAME, labels < own),
            (record_type::CNAME, labels == own),
        ];
        let hides =
            hides.into_iter().filter(|(number, counts)| *counts && sets.of_type(*number).is_some());
        found.extend(hides.map(|(number, _)| (name.clone(), number)));
    }
    found
}

/// What says otherwise about a server's name.
fn in_place_of(zone: &Zone, host: &NamedHost) -> Vec<u16> {
    let sets = zone.sets(&host.name);
    if sets.of_type(record_type::CNAME).is_some() {
        return vec![record_type::CNAME];
    }
    let (found, mut wanted) = (addresses_at(zone, &host.name), host.addresses.clone());
    wanted.sort_unstable();
    if found.is_empty() || found == wanted {
        return Vec::new();
    }
    let families = [record_type::A, record_type::AAAA].into_iter();
    families.filter(|family| sets.of_type(*family).is_some()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::read_zone;

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    fn zone(body: &str) -> Arc<Zone> {
        let text = format!("@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns.example.net.\n{body}");
        Arc::new(read_zone("test", text.as_bytes(), &name("example")).unwrap().zone)
    }

    fn own() -> OwnNames {
        let host = NamedHost {
            name: name("mail.example"),
            server: "s1".parse().unwrap(),
            addresses: vec!["192.0.2.1".parse().unwrap()],
            ttl: 60,
        };
        OwnNames { services: vec![name("www.app.example")], hosts: vec![host] }
    }

    #[test]
    fn only_what_hides_is_left_out() {
        for (body, expected) in [
            (
                "www.app A 192.0.2.7\napp CNAME x\nmail 9 A 192.0.2.1\nx NS ns.example.net.\n",
                &[][..],
            ),
            ("www.app CNAME x\n", &[("www.app.example", 5)]),
            ("app NS ns.example.net.\n", &[("app.example", 2)]),
            ("www.app NS ns.example.net.\n", &[("www.app.example", 2)]),
            ("app DNAME x\n", &[("app.example", 39)]),
            ("@ DNAME x.example.net.\n", &[("example", 39)]),
            ("www.app DNAME x\n", &[]),
            ("mail CNAME x\n", &[("mail.example", 5)]),
            (
                "mail A 192.0.2.9\nmail AAAA 2001:db8::9\n",
                &[("mail.example", 1), ("mail.example", 28)],
            ),
        ] {
            let zone = zone(&format!("{body}kept TXT x\n"));
            let (rest, told) = own().without_what_hides_them(&zone);
            let told: Vec<_> = told.iter().map(|it| (it.name.clone(), it.record_type)).collect();
            let expected: Vec<_> = expected.iter().map(|(at, kind)| (name(at), *kind)).collect();
            assert_eq!(told, expected, "{body}");
            assert!(rest.set(&name("kept.example"), 16).is_some());
            assert!(expected.iter().all(|(at, kind)| rest.set(at, *kind).is_none()));
            assert_eq!(Arc::ptr_eq(&rest, &zone), expected.is_empty());
        }
    }

    #[test]
    fn what_is_said_names_both() {
        let (_, told) = own().without_what_hides_them(&zone("www.app CNAME x\n"));
        let text = told[0].to_string();
        assert!(text.contains("the CNAME records at www.app.example"), "{text}");
    }
}
