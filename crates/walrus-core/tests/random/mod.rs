//! Random zones and queries about them, in names of a few kinds only, so that names meet.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use walrus_core::zone::{RecordSet, Zone};
use walrus_dns::DomainName;
use walrus_dns::record_type::{
    A, AAAA, ANY, AXFR, CNAME, DNSKEY, DS, HTTPS, MX, NS, NSEC, PTR, RRSIG, SOA, SRV, SVCB, TXT,
};

pub(crate) const APEXES: [&str; 4] = ["example.com", "b.example.com", "other", "."];

pub(crate) fn zones() -> impl Strategy<Value = Vec<Arc<Zone>>> {
    subsequence(APEXES.to_vec(), 1..=4)
        .prop_flat_map(|apexes| apexes.into_iter().map(zone).collect::<Vec<_>>())
}

pub(crate) fn zone(apex: &'static str) -> impl Strategy<Value = Arc<Zone>> {
    let node = prop_oneof![
        6 => btree_map(select(vec![A, AAAA, TXT, MX, SRV, PTR, 65400]), 1..3_usize, 1..4)
            .prop_map(|types| types.into_iter().collect::<Vec<_>>()),
        2 => Just(vec![(CNAME, 1)]),
        1 => Just(vec![(NS, 2)]),
        1 => Just(vec![(NS, 1), (DS, 1)]),
    ];
    let targets = vec(names(), 4);
    (vec((labels(), node), 0..25), targets, 0_u32..7200).prop_map(
        move |(nodes, targets, minimum)| {
            let apex = name(apex);
            let mut soa = [targets[0].as_wire(), targets[1].as_wire()].concat();
            for number in [1, 2, 3, 4, minimum] {
                soa.extend_from_slice(&number.to_be_bytes());
            }
            let head = vec![set(SOA, vec![soa.into()]), set(NS, vec![targets[0].as_wire().into()])];
            let mut names = BTreeMap::from([(apex.clone(), head)]);
            for (labels, types) in nodes {
                let Ok(owner) = format!("{labels}.{}", apex.to_string().trim_matches('.'))
                    .parse::<DomainName>()
                else {
                    continue;
                };
                // A wildcard that delegates has no meaning (RFC 4592 section 4.2).
                if names.contains_key(&owner) || (owner.is_wildcard() && types[0].0 == NS) {
                    continue;
                }
                let sets = types.iter().map(|(record_type, count)| {
                    set(
                        *record_type,
                        (0..*count).map(|n| data(*record_type, n, &targets)).collect(),
                    )
                });
                names.insert(owner, sets.collect());
            }
            let sets = names.into_iter().flat_map(|(owner, sets): (DomainName, Vec<RecordSet>)| {
                sets.into_iter().map(move |set| (owner.clone(), set))
            });
            Arc::new(Zone::from_sets(apex, sets))
        },
    )
}

pub(crate) fn set(record_type: u16, data: Vec<Box<[u8]>>) -> RecordSet {
    RecordSet { record_type, ttl: 600, data, ..RecordSet::default() }
}

pub(crate) fn data(record_type: u16, number: usize, targets: &[DomainName]) -> Box<[u8]> {
    let target = targets[(usize::from(record_type) + number) % targets.len()].as_wire();
    let number = u8::try_from(number).expect("few records");
    match record_type {
        A => vec![192, 0, 2, number],
        AAAA => vec![number; 16],
        // Two of these do not fit into 512 bytes.
        TXT => [&[200][..], &[b'x'; 200], &[200], &[number; 200]].concat(),
        NS | CNAME | PTR => target.to_vec(),
        MX => [&[0, number], target].concat(),
        SRV => [&[0, 1, 0, 2, 0, number], target].concat(),
        _ => vec![number; 5],
    }
    .into()
}

/// Labels of a few kinds only, so that names meet.
pub(crate) fn labels() -> impl Strategy<Value = String> {
    vec(select(vec!["a", "b", "c", "www", "*"]), 1..4).prop_map(|labels| labels.join("."))
}

pub(crate) fn names() -> impl Strategy<Value = DomainName> {
    let apexes = select(vec!["example.com", "b.example.com", "other", "com", "elsewhere.example"]);
    (proptest::option::weighted(0.85, labels()), apexes).prop_map(|(labels, apex)| match labels {
        Some(labels) => name(&format!("{labels}.{apex}")),
        None => name(apex),
    })
}

pub(crate) fn name(text: &str) -> DomainName {
    text.parse().expect("a name")
}

pub(crate) fn types() -> impl Strategy<Value = u16> {
    select(vec![
        A, A, A, AAAA, AAAA, HTTPS, HTTPS, SVCB, SRV, MX, TXT, MX, NS, SOA, CNAME, PTR, SRV, DS,
        ANY, AXFR, 65400, 41, 0, NSEC, RRSIG, DNSKEY,
    ])
}

pub(crate) fn query(
    name: &DomainName,
    record_type: u16,
    class: u16,
    edns: Option<(u16, u8, Vec<u8>)>,
) -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
    query.extend_from_slice(name.as_wire());
    query.extend_from_slice(&record_type.to_be_bytes());
    query.extend_from_slice(&class.to_be_bytes());
    if let Some((udp_size, flags, options)) = edns {
        query.extend_from_slice(&[0, 0, 41]);
        query.extend_from_slice(&udp_size.to_be_bytes());
        let version = u8::from(flags == 7);
        let len = u8::try_from(options.len()).expect("few options");
        query.extend_from_slice(&[0, version, flags & 0x80, 0, 0, len]);
        query.extend_from_slice(&options);
    }
    query
}
