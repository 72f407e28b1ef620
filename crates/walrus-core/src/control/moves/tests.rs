//! What is told of moves, over worlds in which it is known who has followed.

use super::*;
use crate::plan::{
    AreaPlan, Candidate, CandidateList, Digests, DomainDemand, FORMAT, Group, PlanNumber,
    PlannedServer, ServiceDemand, ServicePlan,
};
use crate::world::{Digest, DomainCount, Life, ServiceCounts, TtlPolicy};

const TTL: u32 = 60;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A service with two areas; each gets one server.
fn plan(sequence: u64, east: &str, west: &str) -> Plan {
    let server = |text: &str| PlannedServer {
        name: name(text),
        cluster: name(text),
        addresses: Vec::new(),
        life: Life::Living,
        load: None,
        backlog: None,
        capacity: None,
        reason: String::new(),
    };
    let list = |server| CandidateList {
        groups: vec![Group {
            share: 1.0,
            candidates: vec![Candidate { server, weight: 1, over_threshold: false, ramp: 1.0 }],
        }],
    };
    let index = |text: &str| u32::from(text == "b");
    let area = |area: &str, at: &str| AreaPlan {
        area: name(area),
        clusters: vec![(name(at), 1.0)],
        ipv4: Some(index(at)),
        ipv6: None,
        hosts: None,
        degraded: false,
        reason: format!("to {at}"),
    };
    Plan {
        format: FORMAT,
        number: PlanNumber { epoch: 1, controller: name("c"), sequence },
        digests: Digests::default(),
        servers: vec![server("a"), server("b")],
        lists: if east == west && east == "b" {
            vec![list(1), list(1)]
        } else {
            vec![list(0), list(1)]
        },
        services: vec![ServicePlan {
            name: "www.example.com".to_owned(),
            digest: Digest::default(),
            locate: Vec::new(),
            choose: crate::world::ChoosePolicy::Weighted,
            choose_parameters: Default::default(),
            ttl: TtlPolicy::Constant { seconds: TTL },
            answers: None,
            areas: vec![area("east", east), area("west", west)],
            demand: None,
        }],
    }
}

fn hits(pairs: &[(&str, f64)]) -> BTreeMap<Name, f64> {
    pairs.iter().map(|(server, hits)| (name(server), *hits)).collect()
}

fn observation(domains: &[&str]) -> Observation {
    let domain = |domain: &&str| DomainCount { domain: (*domain).to_owned(), queries: 1, error: 0 };
    Observation {
        session: 1,
        sequence: 1,
        duration_ms: 10_000,
        services: vec![ServiceCounts {
            service: "www.example.com".to_owned(),
            domains: domains.iter().map(domain).collect(),
            ..ServiceCounts::default()
        }],
    }
}

const fn at(seconds: u64) -> Time {
    Time::from_secs(seconds)
}

#[test]
fn by_the_ttl_alone_it_takes_nineteen_twentieths_of_it() {
    let mut moves = Moves::default();
    moves.planned(&plan(1, "a", "b"), &plan(2, "a", "b"), &hits(&[]), &BTreeMap::new(), at(1000));
    assert!(moves.is_empty(), "nothing moved");
    moves.planned(&plan(2, "a", "b"), &plan(3, "b", "b"), &hits(&[]), &BTreeMap::new(), at(1000));
    for (after, still, moved) in [(0, 1.0, None), (30, 0.5, None), (57, 0.05, Some(57_000))] {
        let told = moves.status(at(1000 + after)).remove(0);
        assert!((told.still_by_ttl - still).abs() < 1e-9, "{after}");
        assert_eq!((told.moved_95_ms, told.still_by_askers), (moved, None), "{after}");
        assert_eq!(
            (told.areas, told.left, told.added),
            ([name("east")].into(), [name("a")].into(), [name("b")].into())
        );
    }
    assert!(moves.status(at(1000 + 3600)).is_empty(), "forgotten after an hour");
}

#[test]
fn by_requests_where_a_server_is_left_by_all() {
    let mut moves = Moves::default();
    let before = hits(&[("a", 120.0), ("b", 50.0)]);
    moves.planned(&plan(1, "a", "b"), &plan(2, "b", "b"), &before, &BTreeMap::new(), at(1000));
    moves.counted(&hits(&[("a", 66.0), ("b", 104.0)]), at(1030));
    let told = moves.status(at(1030)).remove(0);
    assert_eq!((told.still_by_requests, told.requests_a_second), (Some(0.55), Some(66.0)));
    // Half of the clients keep answers: the TTL says that all is over, requests say that it is not.
    moves.counted(&hits(&[("a", 60.0)]), at(1300));
    assert_eq!(moves.status(at(1300))[0].moved_95_ms, None);
    moves.counted(&hits(&[("a", 6.0)]), at(1400));
    assert_eq!(moves.status(at(1500))[0].moved_95_ms, Some(400_000));
    // It is handed out again: what comes there now is its own.
    moves.planned(&plan(2, "b", "b"), &plan(3, "a", "b"), &before, &BTreeMap::new(), at(1600));
    assert_eq!(moves.status(at(1600)).last().unwrap().still_by_requests, None);
    // Where another area still goes there, its requests are not told apart.
    let mut moves = Moves::default();
    moves.planned(&plan(1, "a", "a"), &plan(2, "b", "a"), &before, &BTreeMap::new(), at(1000));
    assert_eq!(moves.status(at(1001))[0].still_by_requests, None);
}

#[test]
fn by_who_has_asked_since() {
    let mut moves = Moves::default();
    moves.observed(&observation(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]), |_| true, at(990));
    let elephant =
        DomainDemand { domain: "10.0.0.1".to_owned(), rate: 98.0, ..DomainDemand::default() };
    let demand = ServiceDemand { domains: vec![elephant], ..ServiceDemand::default() };
    let demand = BTreeMap::from([("www.example.com".to_owned(), demand)]);
    moves.planned(&plan(1, "a", "b"), &plan(2, "b", "b"), &hits(&[]), &demand, at(1000));
    assert_eq!(moves.status(at(1001))[0].still_by_askers, Some(1.0));
    // What a Director counted in part before the move tells nothing.
    moves.observed(&observation(&["10.0.0.1"]), |_| true, at(1005));
    assert_eq!(moves.status(at(1005))[0].still_by_askers, Some(1.0));
    moves.observed(&observation(&["10.0.0.1"]), |_| true, at(1015));
    let told = moves.status(at(1015)).remove(0);
    assert!(told.still_by_askers.unwrap() < 0.01, "the elephant has asked: {told:?}");
    assert_eq!(told.moved_95_ms, Some(15_000), "long before the TTL is over");
    // One that never asks again is taken for gone after two TTLs.
    let mut moves = Moves::default();
    moves.observed(&observation(&["10.0.0.1"]), |_| true, at(990));
    moves.planned(&plan(1, "a", "b"), &plan(2, "b", "b"), &hits(&[]), &BTreeMap::new(), at(1000));
    assert_eq!(moves.status(at(1119))[0].moved_95_ms, None);
    assert_eq!(moves.status(at(1120))[0].moved_95_ms, Some(120_000));
}

#[test]
fn no_more_than_the_newest_are_kept() {
    let mut moves = Moves::default();
    for sequence in 0..MOVES_MAX as u64 + 10 {
        let (old, new) = (plan(sequence, "a", "b"), plan(sequence + 1, "b", "b"));
        moves.planned(&old, &new, &hits(&[]), &BTreeMap::new(), at(1000 + sequence));
    }
    assert_eq!(moves.status(at(1300)).len(), MOVES_MAX);
}
