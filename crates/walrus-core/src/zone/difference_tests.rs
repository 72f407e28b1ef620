//! Differences applied give what they were made from, and what does not fit is refused.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use walrus_dns::DomainName;
use walrus_dns::record_type::{A, CNAME, NS, NSEC3, RRSIG, SOA, TXT};

use super::{DifferenceError, Record, ZoneDifference};
use crate::zone::{RecordSet, Zone, ZoneReader, read_zone};

fn zone(serial: u32, body: &str) -> Zone {
    let apex = "z".parse().unwrap();
    let text = format!("@ 60 SOA ns host {serial} 2 3 4 5\n@ 60 NS ns.x.\n{body}");
    let read = read_zone("test", text.as_bytes(), &apex);
    read.unwrap_or_else(|problems| panic!("{problems:?}")).zone
}

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

fn record(owner: &str, record_type: u16, ttl: u32, data: &[u8]) -> Record {
    Record { name: name(owner), record_type, ttl, data: data.into() }
}

/// A set as a zone with the same records in another order would have it.
fn sorted(zone: &Zone) -> Vec<(DomainName, RecordSet)> {
    let sets = zone.iter().flat_map(|(name, sets)| {
        let sets: Vec<_> = sets.iter().map(|set| (name.clone(), set.to_set())).collect();
        sets
    });
    let mut sets: Vec<_> = sets.collect();
    for (_, set) in &mut sets {
        set.data.sort();
        set.signatures.sort();
    }
    sets.sort_by(|(a, x), (b, y)| (a, x.record_type).cmp(&(b, y.record_type)));
    sets
}

fn bodies() -> impl Strategy<Value = String> {
    let owner = select(vec!["a", "b", "c.a", "*.b", "x.y.z"]);
    let data = select(vec!["A 192.0.2.1", "A 192.0.2.2", "TXT x", "TXT y", "MX 1 a", "MX 2 B"]);
    let ttl = select(vec![60, 60, 60, 61]);
    vec((owner, ttl, data), 0..12).prop_map(|lines| {
        let line = |(owner, ttl, data): &(&str, u32, &str)| format!("{owner} {ttl} {data}\n");
        lines.iter().map(line).collect()
    })
}

proptest! {
    #[test]
    fn the_difference_of_two_zones_leads_from_one_to_the_other(one in bodies(), two in bodies()) {
        let (old, new) = (zone(7, &one), zone(9, &two));
        let difference = old.difference_to(&new);
        prop_assert_eq!((difference.from_serial, difference.to_serial), (7, 9));
        prop_assert_eq!(difference.removed[0].record_type, SOA);
        prop_assert_eq!(difference.added[0].record_type, SOA);
        let made = old.with_difference(&difference).unwrap();
        prop_assert_eq!(sorted(&made), sorted(&new));
        prop_assert_eq!(made.name_count(), new.name_count());
        let back = new.with_difference(&new.difference_to(&old)).unwrap();
        prop_assert_eq!(sorted(&back), sorted(&old));
        let same = old.difference_to(&old);
        prop_assert!(same.is_empty());
        let counted = new.records().count();
        let sets = sorted(&new);
        prop_assert_eq!(counted, sets.iter().map(|(_, set)| set.data.len()).sum::<usize>());
        prop_assert_eq!(new.records().next().unwrap().record_type, SOA);
    }
}

fn change(removed: Vec<Record>, added: Vec<Record>) -> ZoneDifference {
    let (old, new) = (zone(1, ""), zone(2, ""));
    let mut difference = old.difference_to(&new);
    difference.removed.extend(removed);
    difference.added.extend(added);
    difference
}

#[test]
fn what_does_not_fit_is_refused() {
    let held = zone(1, "a A 192.0.2.1\nb CNAME a\n");
    let a = |last| record("a.z", A, 60, &[192, 0, 2, last]);
    let cname = |owner, target: &str| record(owner, CNAME, 60, name(target).as_wire());
    let refused = |removed, added| held.with_difference(&change(removed, added)).unwrap_err();
    let not_there =
        |owner, record_type| DifferenceError::NotThere { name: name(owner), record_type };
    assert_eq!(refused(vec![a(9)], vec![]), not_there("a.z", A));
    assert_eq!(refused(vec![a(1), a(1)], vec![]), not_there("a.z", A));
    let outside = record("y", A, 60, &[1, 1, 1, 1]);
    assert_eq!(refused(vec![], vec![outside]), DifferenceError::Outside(name("y")));
    for added in [cname("b.z", "c.z"), cname("a.z", "c.z"), record("b.z", A, 60, &[1, 1, 1, 1])] {
        let is_no_zone = matches!(refused(vec![], vec![added]), DifferenceError::NoZone { .. });
        assert!(is_no_zone);
    }
    let ns = record("z", NS, 60, name("ns.x").as_wire());
    assert!(matches!(refused(vec![ns], vec![]), DifferenceError::NoZone { .. }));
    let hashed = record("a.z", NSEC3, 60, &[1, 0, 0, 0, 0]);
    assert_eq!(refused(vec![], vec![hashed]), DifferenceError::Hashed);
    let of_other = zone(3, "").difference_to(&zone(4, ""));
    let expected = DifferenceError::OtherSerial { from: 3, held: 1 };
    assert_eq!(held.with_difference(&of_other).unwrap_err(), expected);
    let mut lies = change(vec![], vec![]);
    lies.to_serial = 5;
    assert!(matches!(held.with_difference(&lies), Err(DifferenceError::NoZone { .. })));
    let soa = lies.added[0].clone();
    assert!(
        matches!(
            held.with_difference(&change(
                vec![],
                vec![Record {
                    data: {
                        let mut data = soa.data.to_vec();
                        let at = data.len() - 20;
                        data[at + 3] = 3;
                        data.into()
                    },
                    ..soa
                }]
            )),
            Err(DifferenceError::NoZone { .. })
        ),
        "two SOA records"
    );
}

#[test]
fn a_set_that_no_reply_holds_is_refused() {
    let held = zone(1, "");
    let a = |number: u32| record("a.z", A, 60, &number.to_be_bytes());
    let with = |count| held.with_difference(&change(vec![], (0..count).map(a).collect()));
    assert!(with(3750).is_ok());
    assert!(matches!(with(3751), Err(DifferenceError::NoZone { .. })));
    // However many there are.
    assert!(with(300_000).is_err());
}

#[test]
fn the_ttl_of_what_comes_counts_and_case_in_names_does_not() {
    let held = zone(1, "a A 192.0.2.1\na A 192.0.2.2\nb CNAME Target.z.\nc TXT a\n");
    let lower = record("b.z", CNAME, 60, name("target.z").as_wire());
    let removed = vec![record("a.z", A, 60, &[192, 0, 2, 1]), lower];
    let made = held
        .with_difference(&change(
            removed,
            vec![record("a.z", A, 5, &[192, 0, 2, 2]), record("a.z", A, 5, &[192, 0, 2, 3])],
        ))
        .unwrap();
    let set = made.set(&name("a.z"), A).unwrap().to_set();
    assert_eq!((set.ttl, set.data.len()), (5, 2));
    assert!(made.sets(&name("b.z")).is_empty());
    let upper = record("c.z", TXT, 60, b"\x01A");
    assert!(held.with_difference(&change(vec![upper], vec![])).is_err());
}

#[test]
fn signatures_change_with_their_sets() {
    let rrsig = |owner: &str, text: &str| {
        format!("{owner} 60 RRSIG A 13 2 60 20300101000000 20200101000000 1 z. {text}\n")
    };
    let read = |serial: u32, body: String| {
        let text = format!("@ 60 SOA ns host {serial} 2 3 4 5\n@ 60 NS ns.x.\n{body}");
        let apex = name("z");
        let reader = ZoneReader::new("test", &apex).keeping_signatures(true);
        reader.read(text.as_bytes(), None).unwrap().zone
    };
    let old = read(1, format!("a 60 A 192.0.2.1\n{}", rrsig("a", "AAAA")));
    let new = read(2, format!("a 60 A 192.0.2.1\n{}", rrsig("a", "BBBB")));
    let difference = old.difference_to(&new);
    let types: Vec<u16> = difference.removed.iter().map(|record| record.record_type).collect();
    assert_eq!(types, [SOA, RRSIG]);
    assert_eq!(sorted(&old.with_difference(&difference).unwrap()), sorted(&new));
    let gone = read(3, String::new());
    let to_gone = old.difference_to(&gone);
    assert_eq!(sorted(&old.with_difference(&to_gone).unwrap()), sorted(&gone));
}
