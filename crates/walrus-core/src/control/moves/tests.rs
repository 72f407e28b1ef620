//! What is told of moves, over worlds in which it is known who has followed.

use super::*;
use crate::message::KeptNameServer;
use crate::plan::{
    AreaPlan, Candidate, CandidateList, Digests, DomainDemand, FORMAT, Group, PlannedServer,
    ServicePlan,
};
use crate::world::{Digest, DomainCount, Life, ServiceCounts, TtlPolicy};

mod tellers;

const TTL: u32 = 60;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn number(sequence: u64) -> PlanNumber {
    PlanNumber { epoch: 1, controller: name("c"), sequence }
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
        number: number(sequence),
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

/// What is known beside the Plans; no Director tells of queries.
fn planned(moves: &mut Moves, old: &Plan, new: &Plan, before: &[(&str, f64)], now: Time) {
    planned_with(moves, (old, new), before, &BTreeMap::new(), &|_| None, now);
}

fn planned_with(
    moves: &mut Moves,
    (old, new): (&Plan, &Plan),
    before: &[(&str, f64)],
    demand: &BTreeMap<String, ServiceDemand>,
    queries: &dyn Fn(&str) -> Option<f64>,
    now: Time,
) {
    let queries = |director: &Name, _: &str, _: &[Name]| queries(director.as_str());
    let ground =
        Ground { hits: &hits(before), probes: &BTreeMap::new(), demand, queries: &queries, now };
    moves.planned(old, new, &ground);
}

/// Directors that answer by the first Plan, and then by the second.
fn followed(directors: &[&str], before: &[(&str, f64)]) -> Moves {
    let mut moves = Moves::new(at(0));
    hold(&mut moves, directors, 1, 999_000);
    planned(&mut moves, &plan(1, "a", "b"), &plan(2, "b", "b"), before, at(1000));
    moves
}

fn hold(moves: &mut Moves, directors: &[&str], sequence: u64, millis: u64) {
    for director in directors {
        moves.director(&name(director), Some(number(sequence)), None, Time::from_millis(millis));
    }
}

fn observed(moves: &mut Moves, director: &str, domains: &[&str], millis: u64) {
    let now = Time::from_millis(millis);
    moves.observed(&name(director), &observation(domains), |_| true, now);
}

/// After so many seconds since the move.
fn told(moves: &Moves, after: f64) -> MoveStatus {
    moves.status(at(1000) + Duration::from_secs_f64(after)).remove(0)
}

/// To a tenth of a second.
#[track_caller]
fn assert_after(found: Option<u64>, expected: Option<f64>) {
    match (found, expected) {
        (Some(found), Some(expected)) => {
            assert!((found as f64 / 1000.0 - expected).abs() < 0.1, "{found} ms, not {expected} s");
        }
        (found, expected) => assert_eq!(found.is_some(), expected.is_some(), "{found:?}"),
    }
}

#[test]
fn by_the_ttl_alone_it_takes_nineteen_twentieths_of_it_whenever_somebody_looks() {
    let mut moves = followed(&["ns1"], &[]);
    hold(&mut moves, &["ns1"], 2, 1_000_200);
    for (after, still, moved) in
        [(0.2, 1.0, None), (30.2, 0.5, None), (57.1, 0.051, None), (57.3, 0.05, Some(57.2))]
    {
        let told = told(&moves, after);
        assert!((told.still_by_ttl - still).abs() < 2e-3, "{told:?}");
        assert_after(told.moved_95_ms, moved);
        assert_after(told.expected_95_ms, Some(57.2));
        assert_after(told.until_ms, Some(60.2));
        assert_eq!((told.still_by_askers, told.by), (None, Source::Ttl));
        assert_eq!(
            (told.areas, told.left, told.added),
            ([name("east")].into(), [name("a")].into(), [name("b")].into())
        );
    }
    // At odd times, and when nobody looked for long; something may have come in meanwhile or not.
    assert_after(told(&moves, 93.7).moved_95_ms, Some(57.2));
    assert_after(told(&moves, 1117.0).moved_95_ms, Some(57.2));
    hold(&mut moves, &["ns1"], 2, 1_071_300);
    assert_after(told(&moves, 1117.0).moved_95_ms, Some(57.2));
    let mut moves = Moves::new(at(0));
    planned(&mut moves, &plan(1, "a", "b"), &plan(2, "a", "b"), &[], at(1000));
    assert!(moves.is_empty(), "nothing moved");
}

#[test]
fn nothing_moves_where_nobody_is_known_to_give_the_new_answers() {
    let mut moves = Moves::new(at(0));
    planned(&mut moves, &plan(1, "a", "b"), &plan(2, "b", "b"), &[], at(1000));
    let status = told(&moves, 500.0);
    assert_eq!((status.still, status.moved_95_ms, status.expected_95_ms), (1.0, None, None));
    // A Director whose first word comes late, as after a start of the Controller.
    hold(&mut moves, &["ns1"], 2, 1_500_000);
    assert_after(told(&moves, 600.0).moved_95_ms, Some(557.0));
}

#[test]
fn a_director_with_the_old_plan_is_told_by_name_and_keeps_its_part() {
    let mut moves = Moves::new(at(0));
    hold(&mut moves, &["ns1", "ns2"], 1, 999_000);
    let queries = |director: &str| Some(if director == "ns1" { 90.0 } else { 30.0 });
    let plans = (&plan(1, "a", "b"), &plan(2, "b", "b"));
    planned_with(&mut moves, plans, &[], &BTreeMap::new(), &queries, at(1000));
    hold(&mut moves, &["ns1"], 2, 1_000_000);
    moves.director(&name("ns2"), Some(number(1)), Some("refused".to_owned()), at(1001));
    let status = told(&moves, 400.0);
    assert!((status.still_by_ttl - 0.25).abs() < 1e-9, "{status:?}");
    assert_eq!((status.moved_95_ms, status.expected_95_ms, status.until_ms), (None, None, None));
    assert_eq!(status.answerers, 2);
    let [behind] = &status.behind[..] else { panic!("{status:?}") };
    assert_eq!((behind.name.as_str(), behind.kind), ("ns2", AnswererKind::Director));
    assert_eq!((behind.plan.as_deref(), behind.heard_ms), (Some("1/c/1"), Some(399_000)));
    assert_eq!(behind.problem.as_deref(), Some("refused"));
    assert!((behind.share - 0.25).abs() < 1e-9);
    // It gets the Plan after five minutes more: its own clock begins then. 5 % of the whole are 20 % of its part.
    hold(&mut moves, &["ns2"], 2, 1_700_000);
    let status = told(&moves, 2000.0);
    assert_after(status.moved_95_ms, Some(748.0));
    assert_eq!(status.behind, []);

    // One that starts again with an older Plan gives old answers again.
    let mut moves = followed(&["ns1"], &[]);
    hold(&mut moves, &["ns1"], 2, 1_000_000);
    hold(&mut moves, &["ns1"], 1, 1_030_000);
    assert_eq!(told(&moves, 300.0).moved_95_ms, None);
    hold(&mut moves, &["ns1"], 3, 1_301_000);
    assert_after(told(&moves, 600.0).moved_95_ms, Some(358.0));
    // One that is first heard of with an older Plan counts, one with a newer one does not.
    let mut moves = followed(&["ns1"], &[]);
    hold(&mut moves, &["ns1", "ns2"], 2, 1_000_000);
    hold(&mut moves, &["ns3"], 1, 1_001_000);
    let status = told(&moves, 300.0);
    assert_eq!((status.answerers, status.behind[0].name.as_str()), (2, "ns3"));
}

fn kept(plan: Option<u64>, problem: Option<&str>) -> KeptNameServers {
    let name_server = KeptNameServer {
        name: name("europe"),
        area: name("east"),
        address: "192.0.2.53:53".to_owned(),
        zone: "lb.example.com".to_owned(),
        services: vec!["www.example.com".to_owned()],
        ttl_seconds: None,
        plan: plan.map(number),
        problem: problem.map(str::to_owned),
    };
    KeptNameServers { answers_nothing: true, name_servers: vec![name_server] }
}

#[test]
fn a_name_server_that_refuses_updates_keeps_all_where_it_is() {
    let mut moves = Moves::new(at(0));
    let node = name("updater");
    // The node's hello names a Plan, too, but nobody asks the node.
    moves.director(&node, Some(number(1)), None, at(998));
    moves.kept(&node, kept(Some(1), None), at(999));
    planned(&mut moves, &plan(1, "a", "b"), &plan(2, "b", "b"), &[], at(1000));
    moves.kept(&node, kept(Some(1), Some("refused: BADSIG")), at(1001));
    moves.director(&node, Some(number(2)), None, at(1001));
    for after in [25.0, 220.0, 3000.0] {
        let status = told(&moves, after);
        assert_eq!((status.still, status.moved_95_ms), (1.0, None), "{status:?}");
        let [behind] = &status.behind[..] else { panic!("{status:?}") };
        assert_eq!((behind.name.as_str(), behind.kind), ("europe", AnswererKind::NameServer));
        assert_eq!(behind.problem.as_deref(), Some("refused: BADSIG"));
    }
    // Its updater starts again, and does not know yet; then the key is mended.
    moves.kept(&node, kept(None, None), at(1200));
    assert_eq!(told(&moves, 210.0).moved_95_ms, None);
    moves.kept(&node, kept(Some(4), None), at(1300));
    assert_after(told(&moves, 400.0).moved_95_ms, Some(357.0));
    // Where other areas move it has no part.
    planned(&mut moves, &plan(2, "b", "b"), &plan(5, "b", "a"), &[], at(1500));
    assert_eq!(moves.status(at(1501))[0].answerers, 0);
    // What the node no longer tells of is forgotten.
    moves.kept(&node, KeptNameServers::default(), at(1600));
    planned(&mut moves, &plan(5, "b", "b"), &plan(6, "a", "b"), &[], at(1700));
    assert_eq!(moves.status(at(1701))[0].answerers, 0);
}

#[test]
fn a_name_server_that_is_kept_no_longer_or_elsewhere_has_no_part() {
    let node = name("updater");
    let with = |addresses: &[&str]| {
        let mut all = kept(Some(1), None);
        let one = all.name_servers.remove(0);
        let at = |address: &&str| KeptNameServer { address: (*address).to_owned(), ..one.clone() };
        all.name_servers = addresses.iter().map(at).collect();
        all
    };
    let mut moves = followed(&["ns1"], &[]);
    hold(&mut moves, &["ns1"], 2, 1_000_000);
    moves.kept(&node, with(&["192.0.2.1:53", "192.0.2.2:53"]), at(1001));
    let status = told(&moves, 100.0);
    assert_eq!((status.answerers, status.behind.len(), status.expected_95_ms), (3, 2, None));
    // One is given up; the other has another address, where it has the old answers, too.
    moves.kept(&node, with(&["192.0.2.3:53"]), at(1100));
    let status = told(&moves, 100.0);
    assert_eq!((status.answerers, status.behind.len(), status.moved_95_ms), (2, 1, None));
    moves.kept(&node, with(&[]), at(1101));
    let status = told(&moves, 120.0);
    assert_eq!((status.answerers, status.behind.len()), (1, 0));
    assert_after(status.moved_95_ms, Some(57.0));
    // Addresses that are made up anew each time leave nothing behind.
    let mut moves = followed(&["ns1"], &[]);
    for round in 0..100 {
        let made_up: Vec<String> = (0..256).map(|it| format!("10.{round}.{it}.1:53")).collect();
        let made_up: Vec<&str> = made_up.iter().map(String::as_str).collect();
        moves.kept(&node, with(&made_up), at(1001 + round));
    }
    assert_eq!(told(&moves, 200.0).answerers, 257);
}

#[test]
fn a_director_that_is_not_heard_of_is_told_of_and_left_out() {
    // It died with the cluster.
    let dead = || {
        let mut moves = followed(&["ns1", "ns2"], &[]);
        hold(&mut moves, &["ns1"], 2, 1_000_000);
        assert_eq!(told(&moves, 300.0).expected_95_ms, None);
        moves.silent(&name("ns2"), true, at(1010));
        moves
    };
    let mut moves = dead();
    let status = told(&moves, 30.0);
    assert!((status.still - 0.5).abs() < 1e-9, "{status:?}");
    assert_after(status.expected_95_ms, Some(57.0));
    assert_eq!(status.behind, []);
    let [unheard] = &status.unheard[..] else { panic!("{status:?}") };
    assert_eq!(
        (unheard.name.as_str(), unheard.share, unheard.heard_ms),
        ("ns2", 0.0, Some(31_000))
    );
    moves.counted(&hits(&[]), at(1100));
    assert_after(told(&moves, 100.0).moved_95_ms, Some(57.0));
    // It was only cut off, and has given old answers all the time.
    hold(&mut moves, &["ns2"], 1, 1_200_000);
    let status = told(&moves, 200.0);
    assert_eq!((status.moved_95_ms, status.expected_95_ms), (None, None), "{status:?}");
    assert_eq!((status.behind.len(), status.unheard.len()), (1, 0));
    hold(&mut moves, &["ns2"], 2, 1_201_000);
    let status = told(&moves, 300.0);
    // Half of all; 5 % are a tenth of that.
    assert_after(status.moved_95_ms, Some(255.0));
    // One that is silent when the move begins.
    let mut moves = Moves::new(at(0));
    hold(&mut moves, &["ns1", "ns2"], 1, 900_000);
    moves.silent(&name("ns2"), true, at(910));
    planned(&mut moves, &plan(1, "a", "b"), &plan(2, "b", "b"), &[], at(1000));
    hold(&mut moves, &["ns1"], 2, 1_000_000);
    assert_after(told(&moves, 70.0).moved_95_ms, Some(57.0));
    // One that had the new answers stays.
    let mut moves = followed(&["ns1", "ns2"], &[]);
    hold(&mut moves, &["ns1", "ns2"], 2, 1_020_000);
    moves.silent(&name("ns2"), true, at(1021));
    let status = told(&moves, 30.0);
    assert_eq!(status.unheard, []);
    assert_after(status.expected_95_ms, Some(77.0));
    // After an hour it is forgotten.
    let mut moves = dead();
    moves.counted(&hits(&[]), at(1000 + 3600));
    assert_eq!(moves.status(at(1000 + 3600))[0].unheard, []);
}

#[test]
fn what_time_alone_brought_about_is_kept_and_what_is_no_news_looked_for_nowhere() {
    let mut moves = followed(&["ns1"], &[]);
    hold(&mut moves, &["ns1"], 2, 1_000_000);
    moves.counted(&hits(&[]), at(1050));
    assert!(moves.moves[0].moved.is_none());
    moves.counted(&hits(&[]), at(1058));
    assert!(moves.moves[0].moved.is_some());
    let hello = |sequence| Some(number(sequence));
    let ns1 = || Answerer::Director(name("ns1"));
    let mut answering = Answering::default();
    assert!(answering.director(&name("ns1"), hello(1), None, at(1)) == [ns1()]);
    assert!(answering.director(&name("ns1"), hello(1), None, at(2)).is_empty());
    assert!(answering.director(&name("ns1"), hello(2), None, at(3)) == [ns1()]);
    assert!(answering.silent(&name("ns1"), true) == [ns1()]);
    assert!(answering.director(&name("ns1"), hello(2), None, at(4)) == [ns1()]);
}

#[test]
fn by_requests_where_a_server_is_left_by_all() {
    let before = [("a", 120.0), ("b", 50.0)];
    let unit = Duration::from_secs(10);
    let mut moves = followed(&["ns1"], &before);
    hold(&mut moves, &["ns1"], 2, 1_000_000);
    moves.reported(&name("a"), 66.0, unit, at(1030));
    moves.reported(&name("b"), 104.0, unit, at(1030));
    let status = told(&moves, 30.0);
    assert_eq!((status.still_by_requests, status.requests_a_second), (Some(0.55), Some(66.0)));
    assert_eq!((status.still, status.by), (0.55, Source::Requests));
    // Half of the clients keep answers: the TTL says that all is over, requests say that it is not.
    moves.reported(&name("a"), 60.0, unit, at(1300));
    let status = told(&moves, 300.0);
    assert_eq!((status.still_by_ttl, status.moved_95_ms, status.expected_95_ms), (0.0, None, None));
    // From 50 % to 0 within the ten seconds of a unit: 5 % after nine of them.
    moves.reported(&name("a"), 0.0, unit, at(1400));
    let status = told(&moves, 500.0);
    assert_after(status.moved_95_ms, Some(399.0));
    assert_eq!(status.by, Source::Requests);
    // It is handed out again: what comes there now is its own.
    planned(&mut moves, &plan(2, "b", "b"), &plan(3, "a", "b"), &before, at(1600));
    assert_eq!(moves.status(at(1600)).last().unwrap().still_by_requests, None);
    // Where another area still goes there, its requests are not told apart.
    let mut moves = Moves::new(at(0));
    planned(&mut moves, &plan(1, "a", "a"), &plan(2, "b", "a"), &before, at(1000));
    assert_eq!(moves.status(at(1001))[0].still_by_requests, None);
    // A name server is behind, but nobody comes for what it says.
    let mut moves = followed(&["ns1"], &before);
    moves.reported(&name("a"), 0.0, unit, at(1010));
    assert_after(told(&moves, 20.0).moved_95_ms, Some(9.5));
}

#[test]
fn requests_that_were_seen_to_come_do_so_until_they_are_counted_again() {
    let (before, unit) = ([("a", 120.0), ("b", 50.0)], Duration::from_secs(10));
    let mut moves = followed(&["ns1"], &before);
    hold(&mut moves, &["ns1"], 2, 1_000_000);
    moves.reported(&name("a"), 40.0, unit, at(1100));
    // BYPASS or PANIC, or its Reporter is silent: nobody counts any more.
    for seconds in [1120, 1400] {
        moves.counted(&hits(&[]), at(seconds));
    }
    let status = told(&moves, 400.0);
    assert_eq!((status.moved_95_ms, status.expected_95_ms), (None, None), "{status:?}");
    assert_eq!((status.by, status.still_by_requests), (Source::Requests, None));
    assert!((status.still - 40.0 / 120.0).abs() < 1e-9, "{status:?}");
    moves.reported(&name("a"), 0.0, unit, at(1500));
    assert_after(told(&moves, 500.0).moved_95_ms, Some(498.5));

    // One that died counts nothing from the move on, but for the unit in which it did.
    let mut moves = followed(&["ns1"], &before);
    hold(&mut moves, &["ns1"], 2, 1_000_000);
    moves.reported(&name("a"), 100.0, unit, at(1005));
    moves.counted(&hits(&[("b", 50.0)]), at(1020));
    let status = told(&moves, 60.0);
    assert_after(status.moved_95_ms, Some(57.0));
    assert_eq!(status.by, Source::Ttl);
}

#[test]
fn no_more_requests_than_probes_come_to_say_nothing() {
    let (before, unit) = ([("a", 5.0), ("b", 5.0)], Duration::from_secs(10));
    let mut moves = followed(&["ns1"], &before);
    moves.moves[0].probes = 0.6;
    hold(&mut moves, &["ns1"], 2, 1_000_000);
    moves.reported(&name("a"), 0.7, unit, at(1030));
    let status = told(&moves, 100.0);
    assert_eq!((status.moved_95_ms, status.by), (None, Source::Requests), "one is a client's");
    // Half of the TTL is over: what the others say counts, not that nobody comes.
    moves.reported(&name("a"), 0.6, unit, at(1040));
    let status = told(&moves, 40.0);
    assert_eq!((status.moved_95_ms, status.by), (None, Source::Ttl));
    assert_eq!(status.still_by_requests, Some(0.12));
    assert_after(told(&moves, 100.0).moved_95_ms, Some(57.0));
    // Fewer than 5 % decide all the same.
    moves.reported(&name("a"), 0.2, unit, at(1050));
    assert_eq!(told(&moves, 50.0).by, Source::Requests);
}

#[test]
fn by_who_has_asked_since() {
    let mut moves = Moves::new(at(0));
    hold(&mut moves, &["ns1"], 1, 900_000);
    observed(&mut moves, "ns1", &["10.0.0.1", "10.0.0.2", "10.0.0.3"], 990_000);
    let elephant =
        DomainDemand { domain: "10.0.0.1".to_owned(), rate: 98.0, ..DomainDemand::default() };
    let demand = ServiceDemand { domains: vec![elephant], ..ServiceDemand::default() };
    let demand = BTreeMap::from([("www.example.com".to_owned(), demand)]);
    let plans = (&plan(1, "a", "b"), &plan(2, "b", "b"));
    planned_with(&mut moves, plans, &[], &demand, &|_| None, at(1000));
    hold(&mut moves, &["ns1"], 2, 1_001_000);
    assert_eq!(told(&moves, 1.0).still_by_askers, Some(1.0));
    // What a Director counted in part before it had the Plan tells nothing, nor does one that has it not.
    observed(&mut moves, "ns1", &["10.0.0.1"], 1_005_000);
    observed(&mut moves, "ns2", &["10.0.0.1"], 1_012_000);
    assert_eq!(told(&moves, 12.0).still_by_askers, Some(1.0));
    observed(&mut moves, "ns1", &["10.0.0.1"], 1_015_000);
    let status = told(&moves, 15.0);
    assert!(status.still_by_askers.unwrap() < 0.01, "the elephant has asked: {status:?}");
    // Within the ten seconds that were observed.
    assert_after(status.moved_95_ms, Some(14.5));
    assert_eq!(status.by, Source::Askers);
    // One that never asks again is taken for gone after two TTLs, from when it could have got a new answer.
    let mut moves = Moves::new(at(0));
    hold(&mut moves, &["ns1"], 1, 900_000);
    observed(&mut moves, "ns1", &["10.0.0.1"], 990_000);
    planned(&mut moves, &plan(1, "a", "b"), &plan(2, "b", "b"), &[], at(1000));
    assert_eq!(told(&moves, 900.0).moved_95_ms, None);
    hold(&mut moves, &["ns1"], 2, 2_000_000);
    assert_eq!(told(&moves, 1119.9).moved_95_ms, None);
    assert_after(told(&moves, 1200.3).moved_95_ms, Some(1120.0));
}

#[test]
fn a_resolver_that_keeps_answers_for_longer_is_waited_for_as_long_as_it_usually_does() {
    let mut moves = Moves::new(at(0));
    hold(&mut moves, &["ns1"], 1, 100_000);
    // It asks every 300 s, whatever the TTL of 60 s says.
    for second in [100, 400, 700] {
        observed(&mut moves, "ns1", &["10.0.0.1"], second * 1000);
    }
    planned(&mut moves, &plan(1, "a", "b"), &plan(2, "b", "b"), &[], at(800));
    hold(&mut moves, &["ns1"], 2, 800_000);
    let after = |moves: &Moves, seconds: u64| moves.status(at(800 + seconds)).remove(0);
    let status = after(&moves, 10);
    assert_after(status.expected_95_ms, Some(200.0));
    assert_after(status.until_ms, Some(300.0));
    assert_eq!(after(&moves, 150).moved_95_ms, None, "long after the TTL");
    observed(&mut moves, "ns1", &["10.0.0.1"], 1_000_000);
    assert_after(after(&moves, 300).moved_95_ms, Some(199.5));
}

#[test]
fn a_domain_of_many_resolvers_follows_over_the_ttl() {
    let mut moves = Moves::new(at(0));
    hold(&mut moves, &["ns1"], 1, 900_000);
    for second in [970, 980, 990] {
        observed(&mut moves, "ns1", &["10.0.0.1"], second * 1000);
    }
    planned(&mut moves, &plan(1, "a", "b"), &plan(2, "b", "b"), &[], at(1000));
    hold(&mut moves, &["ns1"], 2, 1_000_000);
    // The first of six has asked.
    observed(&mut moves, "ns1", &["10.0.0.1"], 1_010_000);
    assert!((told(&moves, 30.0).still_by_askers.unwrap() - 0.5).abs() < 1e-9);
    assert_after(told(&moves, 80.0).moved_95_ms, Some(57.0));
}

#[test]
fn more_that_are_behind_than_are_named_are_counted_all_the_same() {
    let names: Vec<String> = (0..200).map(|it| format!("ns{it}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let moves = followed(&names, &[]);
    let status = told(&moves, 1.0);
    assert_eq!((status.behind.len(), status.behind_count, status.unheard_count), (32, 200, 0));
    assert!((status.behind_share - 1.0).abs() < 1e-9, "{status:?}");
    let mut moves = moves;
    names.iter().for_each(|it| moves.silent(&name(it), true, at(1010)));
    let status = told(&moves, 11.0);
    assert_eq!((status.unheard.len(), status.unheard_count, status.answerers), (32, 200, 200));
    assert_eq!((status.behind_count, status.behind_share), (0, 0.0));
}

#[test]
fn a_move_that_is_over_gives_way_first() {
    let mut moves = followed(&["ns1"], &[]);
    for sequence in 2..MOVES_MAX as u64 + 1 {
        planned(
            &mut moves,
            &plan(sequence, "a", "b"),
            &plan(sequence + 1, "b", "b"),
            &[],
            at(1001),
        );
    }
    hold(&mut moves, &["ns1"], 3, 1_002_000);
    moves.counted(&hits(&[]), at(1100));
    assert_eq!((moves.moves.len(), moves.left_out(at(1100))), (MOVES_MAX, 0));
    planned(&mut moves, &plan(900, "a", "b"), &plan(901, "b", "b"), &[], at(1101));
    planned(&mut moves, &plan(901, "a", "b"), &plan(902, "b", "b"), &[], at(1101));
    planned(&mut moves, &plan(902, "a", "b"), &plan(903, "b", "b"), &[], at(1101));
    // Two are over; then the oldest of the others goes.
    let oldest = moves.moves[0].plan.clone();
    assert_eq!((oldest, moves.left_out(at(1101))), (number(5), 3));
}

#[test]
fn no_more_than_the_newest_are_kept_and_the_last_of_a_service_for_long() {
    let mut moves = Moves::new(at(0));
    for sequence in 0..MOVES_MAX as u64 + 10 {
        let (old, new) = (plan(sequence, "a", "b"), plan(sequence + 1, "b", "b"));
        planned(&mut moves, &old, &new, &[], at(1000 + sequence));
    }
    assert_eq!(moves.status(at(1300)).len(), MOVES_MAX);
    assert_eq!(moves.status(at(1300 + 3600)).len(), 1, "the others after an hour");
    assert_eq!((moves.left_out(at(1300)), moves.left_out(at(1300 + 3600))), (10, 0));
    moves.forget(at(1300 + 3600));
    assert_eq!(moves.moves.len(), 1);
}
