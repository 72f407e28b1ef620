//! Replies with DO over random zones: everything is signed, every "no" is proven, and whoever uses
//! our chains as RFC 8198 allows never comes to deny what exists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use walrus_core::answer::{
    Outcome, Request, ServerOptions, Transport, WorkerState, respond_completely,
};
use walrus_core::dnssec::Denial;
use walrus_core::world::Time;
use walrus_core::zone::Zone;
use walrus_dns::DomainName;
use walrus_dns::record_type::{MX, NS, RRSIG, SOA};

mod proof;
mod random;
#[expect(unreachable_pub, reason = "the fuzz crate uses it too")]
#[path = "../../../fuzz/src/sample.rs"]
mod sample;
#[expect(unreachable_pub, reason = "the fuzz crate uses it too")]
#[path = "../../../fuzz/src/signed.rs"]
mod signed;

use proof::{Link, Reply, Trust};
use random::{APEXES, name, names, query, set, types, zones};

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn everything_is_signed_and_every_no_is_proven(
        zones in zones(),
        services in vec(names(), 0..8),
        queries in vec((names(), types()), 1..60),
        denials in any::<[Option<bool>; 4]>(),
        // They take a thousand times longer than the rest.
        signed_answers in proptest::bool::weighted(0.05),
    ) {
        check(&zones, services, &queries, denials, signed_answers);
    }
}

/// Signatures come from the zone that a service is in, and an unsigned one has none.
#[test]
fn an_unsigned_zone_below_a_signed_one_stays_unsigned() {
    let zone = |apex: &str| {
        let soa = [name("ns.other").as_wire(), name("admin.other").as_wire(), &[0; 20]].concat();
        let head = [(SOA, soa), (NS, name("ns.other").as_wire().to_vec())];
        let sets = head.map(|(record_type, data)| set(record_type, vec![data.into()]));
        Arc::new(Zone::from_sets(name(apex), sets.map(|set| (name(apex), set))))
    };
    let services = ["www.b.example.com", "*.b.example.com"].map(name).to_vec();
    let queries = [(name("*.www.b.example.com"), MX), (name("a.a.b.example.com"), MX)];
    let denials = [None, None, None, Some(true)];
    check(&[zone("b.example.com"), zone(".")], services, &queries, denials, true);
}

/// Asks all this and looks at each reply as a validator would; `denials` by [`APEXES`]: whether a
/// zone is signed, and whether its chain is hashed.
fn check(
    zones: &[Arc<Zone>],
    mut services: Vec<DomainName>,
    queries: &[(DomainName, u16)],
    denials: [Option<bool>; 4],
    signed_answers: bool,
) {
    let mut placed = Vec::new();
    services.retain(|service| {
        placed.push(service.clone());
        let sound = sample::table(zones, &placed).is_ok();
        if !sound {
            placed.pop();
        }
        sound
    });
    let trusted: BTreeMap<DomainName, bool> = zones
        .iter()
        .map(|zone| {
            let place = APEXES.iter().position(|text| name(text) == *zone.apex());
            (zone.apex().clone(), place.is_some_and(|place| denials[place].is_some()))
        })
        .collect();
    let zones = signed::sign_all(zones, &given(&services), |apex| {
        let place = APEXES.iter().position(|text| name(text) == *apex)?;
        denials[place].map(|hashed| if hashed { Denial::Nsec3 } else { Denial::Nsec })
    });
    let table = sample::table(&zones, &services).expect("each service has its place");
    let table = if signed_answers { signed::sign_answers(&table, &zones, 50) } else { table };
    let mut worker = WorkerState::new(1, &table);
    let of_service = |owner: &DomainName, record_type: u16| {
        // The sample leaves some areas without what a service promises.
        services.iter().enumerate().any(|(index, service)| {
            (service == owner || stands_for(service, owner))
                && sample::given(index).chain([RRSIG]).any(|given| given == record_type)
        })
    };
    let trust = Trust { zones: &trusted, unsigned: &of_service };
    let mut cached = BTreeSet::new();
    for (name, record_type) in queries {
        let query = query(name, *record_type, 1, Some((1232, 0x80, Vec::new())));
        let request = Request {
            query: &query,
            client: [203, 0, 113, 9].into(),
            local: ([192, 0, 2, 53], 53).into(),
            transport: Transport::Tcp,
            now: Time::ZERO,
            unix_secs: 0,
            udp_size_max: 1232,
            server: ServerOptions::SILENT,
        };
        let mut bytes = vec![0; 65_535];
        let Outcome::Reply(len) = respond_completely(&table, &mut worker, &request, &mut bytes)
        else {
            panic!("every question is answered");
        };
        let reply = Reply::read(&bytes[..len]);
        trust.check(&reply, name, *record_type);
        cached.extend(reply.chain());
    }
    for zone in &zones {
        check_aggressive_use(zone, &trusted, &services, &cached);
    }
}

fn stands_for(wildcard: &DomainName, name: &DomainName) -> bool {
    wildcard.is_wildcard() && wildcard.parent().is_some_and(|parent| name.is_within(&parent))
}

/// Nothing that exists in the zone is denied by what a resolver has seen of its chain (RFC 8198
/// section 5): no name is jumped over, no type that is there or promised is missing.
fn check_aggressive_use(
    zone: &Zone,
    zones: &BTreeMap<DomainName, bool>,
    services: &[DomainName],
    cached: &BTreeSet<Link>,
) {
    let of_zone = |name: &DomainName| {
        let below = |apex: &&DomainName| name.is_within(apex) && *apex != zone.apex();
        let deeper = zones.keys().filter(below).any(|apex| apex.is_within(zone.apex()));
        name.is_within(zone.apex()) && !deeper && !is_delegated(zone, name)
    };
    let mut exists: BTreeSet<(DomainName, u16)> = BTreeSet::new();
    for (name, sets) in zone.iter() {
        exists.extend(sets.iter().map(|set| (name.clone(), set.record_type())));
    }
    for (index, service) in services.iter().enumerate() {
        exists.extend(sample::given(index).map(|promised| (service.clone(), promised)));
    }
    let chain: Vec<&Link> = cached.iter().filter(|link| link.zone == *zone.apex()).collect();
    for (name, record_type) in exists.iter().filter(|(name, _)| of_zone(name)) {
        for link in &chain {
            assert!(!link.covers(name), "{name} is jumped over by {link:?}");
            assert!(!link.is_at(name) || link.has(*record_type), "{name} {record_type}");
        }
    }
}

fn is_delegated(zone: &Zone, name: &DomainName) -> bool {
    let at_or_above = std::iter::successors(Some(name.clone()), DomainName::parent);
    let mut below_apex = at_or_above.take_while(|above| above != zone.apex());
    below_apex.any(|above| zone.set(&above, NS).is_some())
}

fn given(services: &[DomainName]) -> Vec<(DomainName, Vec<u16>)> {
    let types = (0..).map(|index| sample::given(index).collect());
    services.iter().cloned().zip(types).collect()
}
