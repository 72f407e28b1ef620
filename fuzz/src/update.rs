//! DNS UPDATE taken in, and journals read.

use walrus_core::dynamic::{
    JournalChange, UpdateGround, UpdateMessage, UpdateRule, UpdateRules, decide, read_journal,
    write_base, write_change,
};
use walrus_core::zone::{Zone, read_zone};
use walrus_dns::DomainName;

const ZONE: &str = "@ 60 SOA ns host 4294967295 2 3 4 5\n@ 60 NS ns.example.net.\n@ 60 NS ns2\n\
    a 60 A 192.0.2.1\na 60 TXT \"x\"\nalias 60 CNAME a\nmx 60 MX 10 a\n_acme-challenge 60 TXT \"y\"\n";

fn name(text: &str) -> DomainName {
    text.parse().expect("a name")
}

fn zone() -> Zone {
    read_zone("zone", ZONE.as_bytes(), &name("example")).expect("a zone").zone
}

/// An UPDATE message to `example` by a key that may do everything, and by one for `_acme-challenge` alone: no
/// panic; a difference that fits the zone, raises its serial and leaves services alone; what the journal says
/// of it is the same; the second key changes nothing else.
pub fn update(data: &[u8]) {
    let Ok(message) = UpdateMessage::read(data) else { return };
    let zone = zone();
    let services = [name("www.example"), name("svc.deep.example")];
    let ground = UpdateGround { zone: &zone, services: &services, hosts: &[] };
    let all = UpdateRules(vec![UpdateRule::default()]);
    let acme = UpdateRules(vec![UpdateRule { acme: true, ..UpdateRule::default() }]);
    for rules in [all, acme] {
        let Ok(difference) = decide(&ground, &message, &rules) else { continue };
        assert_eq!(difference.is_empty(), difference.to_serial == difference.from_serial);
        if difference.is_empty() {
            continue;
        }
        let next = zone.with_difference(&difference).expect("it fits");
        assert!((1..1 << 31).contains(&next.serial().wrapping_sub(zone.serial())), "it rises");
        for service in &services {
            assert!(next.sets(service).is_empty(), "nobody updates a service");
        }
        if rules.0[0].acme {
            let changed = difference.added.iter().chain(&difference.removed);
            let mut others = changed.filter(|record| record.record_type != 6);
            assert!(others.all(|record| {
                record.record_type == 16 && record.name.labels().next() == Some(b"_acme-challenge")
            }));
        }
        let mut bytes: Vec<u8> = write_base(&zone, true, b"").flatten().collect();
        let (place, by) = (bytes.len() as u64, JournalChange { at: 1, key: name("key") });
        write_change(&mut bytes, (place, place), &by, &difference);
        let read = read_journal(&bytes, zone.apex()).expect("what was written");
        assert!(next.difference_to(&read.zone).is_empty(), "the same zone");
    }
}

/// A journal of `example`, or what follows a whole one: no panic; what is read ends within the bytes, and is a zone.
pub fn journal(data: &[u8]) {
    let base: Vec<u8> = write_base(&zone(), true, b"").flatten().collect();
    for bytes in [data.to_vec(), [&base[..], data].concat()] {
        if let Ok(content) = read_journal(&bytes, &name("example")) {
            assert!(content.base_len <= content.whole_len);
            assert!(content.whole_len <= bytes.len() as u64);
            assert!(content.zone.set(content.zone.apex(), 6).is_some());
        }
    }
}
