//! Zones against the plain map of names to sets that they stand for.

use std::collections::BTreeMap;
use std::ops::Bound;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use walrus_dns::DomainName;
use walrus_dns::record_type::{A, CNAME, MX, NS, NSEC, SOA, TXT};

use crate::zone::{RecordSet, Zone};

/// What a zone is: nothing clever.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model(BTreeMap<DomainName, Vec<RecordSet>>);

impl Model {
    fn change(&mut self, sets: &[(DomainName, RecordSet)]) {
        for (name, set) in sets {
            let present = self.0.entry(name.clone()).or_default();
            present.retain(|other| other.record_type != set.record_type);
            if !set.data.is_empty() {
                present.push(set.clone());
            }
            if present.is_empty() {
                self.0.remove(name);
            }
        }
    }
}

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

fn names(apex: &'static str) -> impl Strategy<Value = DomainName> {
    let label = prop_oneof![
        4 => "[a-e]{1,2}",
        1 => Just("*".to_owned()),
        1 => Just("\\000".to_owned()),
        1 => Just("\\255z".to_owned()),
    ];
    vec(label, 0..4).prop_map(move |labels| match (labels.is_empty(), apex) {
        (true, apex) => name(apex),
        (false, ".") => name(&labels.join(".")),
        (false, apex) => name(&format!("{}.{apex}", labels.join("."))),
    })
}

fn set() -> impl Strategy<Value = RecordSet> {
    let types = select(vec![A, A, NS, CNAME, MX, SOA, TXT, NSEC, 65_400]);
    let target = prop_oneof![names("z"), names("a.z"), Just(name("other"))];
    let data = (vec(any::<u8>(), 0..9), target, any::<bool>());
    let signatures = vec(vec(any::<u8>(), 0..20), 0..3);
    (types, any::<u32>(), vec(data, 0..4), signatures).prop_map(
        |(record_type, ttl, data, signatures)| {
            let data = data.into_iter().map(|(bytes, target, upper)| {
                let mut target = target.as_wire().to_vec();
                if upper {
                    target.make_ascii_uppercase();
                }
                let target = match record_type {
                    NS | CNAME => target,
                    MX => [&[0, 7], target.as_slice()].concat(),
                    SOA => [target.as_slice(), &target, &[5; 20]].concat(),
                    _ => Vec::new(),
                };
                // Some are not what their type says.
                if target.is_empty() || bytes.len() > 7 { bytes } else { target }.into()
            });
            let data: Vec<Box<[u8]>> = data.collect();
            let signatures = signatures.into_iter().map(Into::into).collect();
            RecordSet { record_type, ttl, data, signatures }
        },
    )
}

fn zones() -> impl Strategy<Value = (&'static str, Vec<Vec<(DomainName, RecordSet)>>)> {
    select(vec!["z", "a.z", "."])
        .prop_flat_map(|apex| (Just(apex), vec(vec((names(apex), set()), 0..80), 1..4)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_zone_is_the_map_of_its_sets(
        (apex, steps) in zones(),
        asked in vec(prop_oneof![names("z"), names("a.z"), names(".")], 20),
    ) {
        let mut model = Model::default();
        let mut zone = Zone::from_sets(name(apex), []);
        for step in steps {
            model.change(&step);
            zone = zone.with_sets(step);
            let sets = zone.iter().map(|(name, sets)| {
                (name, sets.iter().map(|set| set.to_set()).collect())
            });
            prop_assert_eq!(Model(sets.collect()), model.clone());
            prop_assert_eq!(zone.name_count(), model.0.len());
        }
        let all = model.0.iter().flat_map(|(name, sets)| {
            sets.iter().map(|set| (name.clone(), set.clone()))
        });
        prop_assert_eq!(&Zone::from_sets(name(apex), all), &zone, "one way or the other");
        for asked in asked.iter().chain(model.0.keys()) {
            let sets: Vec<RecordSet> = zone.sets(asked).iter().map(|set| set.to_set()).collect();
            prop_assert_eq!(Some(&sets).filter(|sets| !sets.is_empty()), model.0.get(asked));
            let before = model.0.range((Bound::Unbounded, Bound::Included(asked)));
            let found = zone.at_or_before(asked);
            prop_assert_eq!(found.as_ref(), before.clone().next_back().map(|it| it.0));
            let mut after = model.0.range((Bound::Excluded(asked), Bound::Unbounded));
            let found = zone.after(asked);
            prop_assert_eq!(found.as_ref(), after.next().map(|it| it.0));
            if asked.is_within(zone.apex()) {
                let wire = asked.as_wire();
                let relative = &wire[..wire.len() - zone.apex().as_wire().len()];
                let found = zone.arena().nsec_at_or_before(relative);
                let found = found.map(|node| zone.absolute(node.name()));
                let has_nsec = |sets: &[RecordSet]| sets.iter().any(|set| set.record_type == NSEC);
                let expected = before.rev().find(|(_, sets)| has_nsec(sets));
                prop_assert_eq!(found.as_ref(), expected.map(|it| it.0));
            }
        }
    }
}

#[test]
fn what_no_reply_holds_is_told_and_the_rest_stays() {
    let many = |record_type, count: u16| RecordSet {
        record_type,
        ttl: 1,
        data: (0..count).map(|number| number.to_be_bytes().to_vec().into()).collect(),
        ..RecordSet::default()
    };
    let sets = [(name("a.z"), many(TXT, 10_000)), (name("a.z"), many(A, 2))];
    let zone = Zone::from_sets(name("z"), sets);
    assert_eq!(zone.unfit().len(), 1);
    assert!(zone.set(&name("a.z"), TXT).is_none());
    assert_eq!(zone.set(&name("a.z"), A).unwrap().record_count(), 2);
    let types = (1..=300).map(|record_type| (name("b.z"), many(record_type, 1)));
    assert_eq!(Zone::from_sets(name("z"), types).unfit().len(), 1);
}
