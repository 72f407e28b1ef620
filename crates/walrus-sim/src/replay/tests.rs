//! The replay as a whole: logs, configurations and Worlds in, who moves out.

use std::sync::Arc;

use walrus_core::answer::ZoneTable;
use walrus_core::config::{Context, SourceFile, parse};
use walrus_core::control::{Controller, Effect, Input, JournalRecord, Start, Stored};
use walrus_core::map::Map;
use walrus_core::plan::{Digests, PlanNumber};
use walrus_core::world::{Condition, Life, OverrideState, Target, Time};
use walrus_core::zone::zone_of_nameservers;

use super::worlds::{JournalReader, Opened};
use super::*;

/// `near` (two servers), `far` (one); `here` at home in near, the world in far: the configuration of the
/// command line's tests, without its address of IPv6.
const TWO: &str = include_str!("../../../walrus/tests/cli/two_clusters.toml");

fn configuration(text: &str) -> walrus_core::config::Configuration {
    let text = text.replace("ADDRESS", "192.0.2.53").replace(", \"2001:db8::1\"", "");
    let files = [SourceFile { name: "walrus.toml".into(), text }];
    let read = |_: &str| Err("there are no files here".to_owned());
    match parse(&files, &Context { hostname: "one", read: &read }) {
        Ok(parsed) => parsed.configuration,
        Err(problems) => panic!("{problems:?}"),
    }
}

fn proposal(text: &str) -> Proposal {
    let configuration = configuration(text);
    let topology = configuration.topology;
    let zones: Vec<_> = configuration
        .zones
        .iter()
        .map(|zone| Arc::new(zone_of_nameservers(&zone.apex, &zone.nameservers)))
        .collect();
    let services: Vec<_> = topology.services.iter().map(|it| it.name.clone()).collect();
    Proposal {
        map: Arc::new(Map::build(&topology, &[]).unwrap()),
        zones: Arc::new(ZoneTable::compile(&zones, &services).unwrap()),
        digests: Digests { configuration: configuration.digest, ..Digests::default() },
        listen: "192.0.2.53:53".parse().unwrap(),
        udp_size_max: 1232,
        topology: Arc::new(topology),
    }
}

/// A line of the log: who asked, and the cluster and server that it was sent to.
fn line(client: &str, sent: Option<(&str, &str)>, weight: u32) -> String {
    let sent = sent.map_or_else(
        || r#""area":null,"cluster":null,"server":null"#.to_owned(),
        |(cluster, server)| {
            let area = if client.starts_with("203.0.113.") { "here" } else { "world" };
            format!(r#""area":"{area}","cluster":"{cluster}","server":"{server}""#)
        },
    );
    format!(
        r#"{{"walrus":1,"kind":"decision","time_unix_ms":1000,"weight":{weight},"resolver":"{client}","subnet":null,"transport":"udp","do":false,"name":"www.walrus.example","type":1,"rcode":0,{sent},"answered":[],"scope":0,"ttl":5,"plan":"1/one/1"}}
"#
    )
}

/// Eight clients of `here`, asking in turn for near1 and near2, and two of the world.
fn ten_lines() -> String {
    let server = |client: u8| if client.is_multiple_of(2) { "near1" } else { "near2" };
    let here = (0..8).map(|it| line(&format!("203.0.113.{it}"), Some(("near", server(it))), 1));
    let world = (0..2).map(|it| line(&format!("198.51.100.{it}"), Some(("far", "far1")), 1));
    here.chain(world).collect()
}

fn replayed(
    new: &str,
    old: Option<&str>,
    world: World<'_>,
    text: &str,
) -> Result<ReplayOutcome, ReplayError> {
    let sides = Sides { proposed: proposal(new), against: old.map(proposal) };
    let mut replay = Replay::new(sides, world)?;
    let mut log = Log::default();
    log.push(text.as_bytes(), &mut |found| replay.take(found));
    log.finish(&mut |found| replay.take(found));
    replay.finish()
}

/// In a World of which nothing is known.
fn idle() -> World<'static> {
    World::Snapshot(Box::default())
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-6
}

#[test]
fn an_area_that_gets_another_home_moves_and_nobody_else() {
    let new = TWO.replace("home = \"near\"", "home = \"far\"");
    for old in [Some(TWO), None] {
        let outcome = replayed(&new, old, idle(), &ten_lines()).unwrap();
        assert_eq!((outcome.queries, outcome.domains.count), (10.0, 10));
        assert!(close(outcome.moved.share, 0.8), "{outcome:#?}");
        assert_eq!(outcome.moved_domains.count, 8);
        assert_eq!((outcome.lost.share, outcome.gained.share), (0.0, 0.0));
        let [flow] = &outcome.flows[..] else { panic!("{outcome:#?}") };
        assert_eq!(flow.area_before.as_deref(), Some("here"));
        assert_eq!((flow.from.as_deref(), flow.to.as_deref()), (Some("near"), Some("far")));
        assert!(close(flow.queries, 8.0));
        let shares =
            outcome.servers.iter().map(|it| (&*it.server, it.queries_before, it.queries_after));
        let shares: Vec<_> = shares.collect();
        assert_eq!(shares, [("far1", 2.0, 10.0), ("near1", 4.0, 0.0), ("near2", 4.0, 0.0)]);
        let here = &outcome.areas[0];
        assert_eq!(
            (&*here.area, &*here.before[0].cluster, &*here.after[0].cluster),
            ("here", "near", "far")
        );
    }
}

#[test]
fn who_decides_alike_moves_nobody_however_it_draws() {
    for policy in ["", "choose = \"random\"\n", "choose = \"weighted\"\n", "assign = \"all\"\n"] {
        let config = format!("{TWO}{policy}");
        let outcome = replayed(&config, Some(&config), idle(), &ten_lines()).unwrap();
        assert_eq!((outcome.moved.share, outcome.moved_servers.share), (0.0, 0.0), "{policy}");
        assert!(outcome.flows.is_empty() && outcome.drawn.is_empty(), "{policy}");
    }
}

#[test]
fn weights_move_shares_not_single_draws() {
    let weighted = format!("{TWO}choose = \"weighted\"\n");
    let new = weighted.replace("\"near2\", ", "\"near2\", weight = 3, ");
    let outcome = replayed(&new, Some(&weighted), idle(), &ten_lines()).unwrap();
    assert_eq!(outcome.moved.share, 0.0);
    // A half to three quarters of eight in ten.
    assert!(close(outcome.moved_servers.share, 0.2), "{outcome:#?}");
    let near2 = &outcome.servers[2];
    assert!(close(near2.before.share, 0.4) && close(near2.after.share, 0.6));
    assert!(near2.after.low < 0.6 && near2.after.high > 0.6, "servers are drawn");
    let far1 = &outcome.servers[0];
    assert_eq!((far1.after.low, far1.after.high), (far1.after.share, far1.after.share));
    // Chance alone: what was recorded differs from a half by less than three deviations.
    let recorded = replayed(&weighted, None, idle(), &ten_lines()).unwrap();
    assert_eq!(recorded.moved_servers.share, 0.0, "{recorded:#?}");
}

#[test]
fn a_policy_that_looks_at_who_asks_is_counted_draw_by_draw_and_named() {
    for policy in ["hash", "mrl", "pow2"] {
        let new = format!("{TWO}choose = \"{policy}\"\n");
        let outcome = replayed(&new, Some(TWO), idle(), &ten_lines()).unwrap();
        assert_eq!(outcome.drawn, ["www.walrus.example"], "{policy}");
        assert_eq!(outcome.moved.share, 0.0, "{policy}: clusters stay what they are");
        let near: f64 = outcome.servers[1..].iter().map(|it| it.queries_after).sum();
        assert!(close(near, 8.0) && close(outcome.servers[0].queries_after, 2.0), "{policy}");
    }
}

#[test]
fn a_sample_stands_for_the_queries_that_it_was_taken_from() {
    let new = TWO.replace("home = \"near\"", "home = \"far\"");
    let lines = [line("203.0.113.1", None, 1000), line("198.51.100.1", None, 3000)].concat();
    let outcome = replayed(&new, Some(TWO), idle(), &lines).unwrap();
    assert!(close(outcome.queries, 4000.0) && close(outcome.moved.share, 0.25));
    assert!(outcome.moved.low < 0.1 && outcome.moved.high > 0.6, "two lines tell little");
}

#[test]
fn the_world_decides_with() {
    let mut snapshot = Snapshot::default();
    let dead = Condition::out(Life::Dead, "probe refused");
    for server in ["near1", "near2"] {
        snapshot.conditions.insert(server.parse().unwrap(), dead.clone());
    }
    let world = World::Snapshot(Box::new(snapshot));
    let outcome = replayed(TWO, None, world, &ten_lines()).unwrap();
    assert!(close(outcome.moved.share, 0.8), "{outcome:#?}");
    let far1 = &outcome.servers[0];
    assert_eq!((far1.load, far1.queries_after), (None, 10.0));
}

#[test]
fn a_service_or_server_that_goes_or_comes_is_told() {
    let gone = TWO.replace("www.walrus.example", "web.walrus.example");
    for old in [Some(TWO), None] {
        let outcome = replayed(&gone, old, idle(), &ten_lines()).unwrap();
        assert_eq!((outcome.lost.share, outcome.moved.share), (1.0, 0.0), "{outcome:#?}");
        assert_eq!(outcome.flows.len(), 2);
        assert_eq!(outcome.flows[0].service, "www.walrus.example");
        let [code] = &outcome.codes[..] else { panic!("{outcome:#?}") };
        assert_eq!((code.before, code.after, code.queries), (0, 3, 10.0));
    }
    let outcome = replayed(TWO, Some(&gone), idle(), &ten_lines()).unwrap();
    assert_eq!((outcome.gained.share, outcome.moved.share), (1.0, 0.0));
    let fewer = TWO.replace(", { name = \"near2\", addresses = [\"192.0.2.2\"] }", "");
    let outcome = replayed(&fewer, None, idle(), &ten_lines()).unwrap();
    assert!(close(outcome.moved_servers.share, 0.4), "{outcome:#?}");
    assert_eq!(outcome.moved.share, 0.0);
}

#[test]
fn broken_lines_are_counted_and_survived() {
    let text = format!("nonsense\n{}{{\"kind\"\n{}", ten_lines(), "x\n".repeat(20));
    let outcome = replayed(TWO, Some(TWO), idle(), &text).unwrap();
    assert_eq!((outcome.log.read, outcome.log.broken), (10, 22));
    let places: Vec<u64> = outcome.log.first_broken.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [1, 12, 13, 14, 15]);
}

#[test]
fn queries_alone_need_a_configuration_to_compare_with() {
    let bytes = frame_stream::tests::file(&[dnstap::tests::frame(1, [203, 0, 113, 7])]);
    let run = |old: Option<&str>| {
        let sides = Sides { proposed: proposal(TWO), against: old.map(proposal) };
        let mut replay = Replay::new(sides, idle()).unwrap();
        let mut log = Log::default();
        log.push(&bytes, &mut |found| replay.take(found));
        replay.finish()
    };
    let error = run(None).unwrap_err().to_string();
    assert!(error.contains("name a configuration to compare with"), "{error}");
    let outcome = run(Some(TWO)).unwrap();
    assert_eq!((outcome.queries, outcome.moved.share), (1.0, 0.0));
}

#[test]
fn a_file_that_bind_wrote_is_read() {
    // Three queries for www A with 203.0.113.0/24, one for www AAAA by TCP, one for ns1 A: as BIND
    // 9.18 logged them with `dnstap { auth; }`.
    let bytes = include_bytes!("bind.dnstap");
    let sides = Sides { proposed: proposal(TWO), against: Some(proposal(TWO)) };
    let mut replay = Replay::new(sides, idle()).unwrap();
    let mut log = Log::default();
    log.push(bytes, &mut |found| replay.take(found));
    log.finish(&mut |found| replay.take(found));
    let outcome = replay.finish().unwrap();
    let counts = &outcome.log;
    assert_eq!((counts.read, counts.broken, counts.others), (5, 0, 1.0), "{outcome:#?}");
    assert_eq!((outcome.queries, outcome.domains.count), (3.0, 1));
    assert_eq!((&*outcome.areas[0].area, outcome.areas.len()), ("here", 1));
}

/// The journal of a Controller whose server `near1` and `near2` are drained after ten rounds, and
/// the numbers of the Plans before and after.
fn journal() -> (Vec<JournalRecord>, [String; 2]) {
    let configuration = Arc::new(configuration(TWO));
    let digests = Digests { configuration: configuration.digest.clone(), ..Digests::default() };
    let start = Start {
        name: "one".parse().unwrap(),
        configuration,
        digests,
        seed: 1,
        stored: Stored::default(),
        group: None,
    };
    let mut controller = Controller::new(start, Time::ZERO);
    let (mut records, mut numbers) = (Vec::new(), Vec::new());
    for second in 0..20 {
        let now = Time::from_secs(second);
        if second == 10 {
            numbers.push(controller.number().to_string());
            let target = Target::Cluster("near".parse().unwrap());
            let state = OverrideState::Drained;
            let drain = Input::SetOverride { target, state, force: true, unix_ms: 0, by: None };
            controller.handle(now, drain).unwrap();
        }
        while let Some(effect) = controller.poll(now) {
            if let Effect::Journal(record) = effect {
                records.push(*record);
            }
        }
    }
    numbers.push(controller.number().to_string());
    (records, numbers.try_into().unwrap())
}

fn journal_world() -> World<'static> {
    let mut records = journal().0.into_iter();
    World::Journal(Box::new(move || records.next()))
}

#[test]
fn each_line_is_replayed_in_the_world_of_its_plan() {
    let (_, [before, after]) = journal();
    assert_ne!(before, after);
    let lines = |number: &str| ten_lines().replace("1/one/1", number);
    // Before the drain nothing is different; after it, all of near's clients were sent to far.
    let calm = replayed(TWO, Some(TWO), journal_world(), &lines(&before)).unwrap();
    assert_eq!((calm.servers[1].queries_after, calm.log.without_world), (4.0, 0));
    let both = lines(&before) + &lines(&after);
    let outcome = replayed(TWO, Some(TWO), journal_world(), &both).unwrap();
    assert_eq!((outcome.queries, outcome.moved.share), (20.0, 0.0));
    assert!(close(outcome.servers[0].queries_after, 2.0 + 10.0), "{outcome:#?}");
    // A Plan that the journal does not have, and a line that comes late.
    let odd = lines(&after) + &lines("9/one/1") + &lines(&before);
    let outcome = replayed(TWO, Some(TWO), journal_world(), &odd).unwrap();
    assert_eq!((outcome.log.without_world, outcome.log.late), (10, 10));
}

/// The journal with times of day: the drain was so many milliseconds after a question of the dnstap
/// file, or before it.
fn timed_journal(drain_after_ms: i64) -> Vec<JournalRecord> {
    let mut records = journal().0;
    for record in &mut records {
        let since_drain = i64::try_from(record.now.as_nanos() / 1_000_000).unwrap() - 10_000;
        let unix_ms = 1_795_356_187_000 + drain_after_ms + since_drain;
        record.unix_ms = Some(u64::try_from(unix_ms).unwrap());
    }
    records
}

#[test]
fn a_dnstap_file_is_replayed_in_the_world_of_its_time() {
    let far_of = |records: Vec<JournalRecord>| {
        let mut records = records.into_iter();
        let world = World::Journal(Box::new(move || records.next()));
        let sides = Sides { proposed: proposal(TWO), against: Some(proposal(TWO)) };
        let mut replay = Replay::new(sides, world).unwrap();
        let mut log = Log::default();
        log.push(include_bytes!("bind.dnstap"), &mut |found| replay.take(found));
        log.finish(&mut |found| replay.take(found));
        let outcome = replay.finish().unwrap();
        let far = outcome.servers.iter().find(|it| it.server == "far1");
        (far.map_or(0.0, |far| far.queries_after), outcome.log.late, outcome.log.without_world)
    };
    assert_eq!(far_of(timed_journal(5_000)), (0.0, 0, 0), "before the drain");
    assert_eq!(far_of(timed_journal(-5_000)), (3.0, 0, 0), "after it");
    assert_eq!(far_of(journal().0), (3.0, 0, 0), "without times the last World stands in");
    assert_eq!(far_of(timed_journal(60_000)), (0.0, 5, 0), "older than the journal");
}

#[test]
fn within_a_plan_a_line_is_of_the_round_of_its_time() {
    let first = journal().0.remove(0);
    let record = |sequence: u64, unix_ms| {
        let number = PlanNumber { sequence, ..first.number.clone() };
        JournalRecord { number, unix_ms, ..first.clone() }
    };
    let timed = [(1, 1000), (1, 2000), (1, 3000), (2, 4000), (2, 5000)];
    let old = [(1, None), (1, None), (2, None), (2, Some(5000)), (2, Some(6000))];
    let timed = timed.map(|(sequence, at)| (sequence, Some(at)));
    // (the journal, the line's Plan and time, how many records it has passed)
    for (journal, plan, unix_ms, passed) in [
        (timed, Some(1), 2500, 2),
        (timed, Some(1), 4500, 3),
        (timed, Some(2), 4500, 4),
        // The name server's clock is slow, or the Plan was late.
        (timed, Some(2), 3500, 4),
        (timed, Some(2), 9000, 5),
        (timed, Some(9), 1000, 5),
        (timed, None, 3500, 3),
        (timed, None, 500, 1),
        (timed, None, 0, 5),
        (timed, Some(1), 0, 3),
        (old, Some(1), 1000, 2),
        (old, None, 1000, 3),
        (old, None, 5500, 4),
    ] {
        let mut records = journal.into_iter().map(|(sequence, at)| record(sequence, at));
        let opened = JournalReader::open(Box::new(move || records.next()), &|_| true);
        let Ok(Opened { mut reader, .. }) = opened else { panic!("there are records") };
        let number = |sequence| PlanNumber { sequence, ..first.number.clone() };
        let asked = Asked { plan: plan.map(number), unix_ms, ..asked() };
        let mut count = 1;
        while reader.next_until(&asked).is_some() {
            count += 1;
        }
        assert_eq!(count, passed, "{journal:?} {plan:?} {unix_ms}");
    }
}

fn asked() -> Asked {
    Asked {
        name: "www.walrus.example".parse().unwrap(),
        record_type: 1,
        resolver: "192.0.2.1".parse().unwrap(),
        subnet: None,
        local: None,
        is_udp: true,
        dnssec_ok: false,
        unix_ms: 0,
        weight: 1,
        plan: None,
        recorded: None,
    }
}

#[test]
fn a_journal_needs_the_configuration_that_it_was_written_under() {
    let new = TWO.replace("home = \"near\"", "home = \"far\"");
    let error = replayed(&new, None, journal_world(), "").unwrap_err().to_string();
    assert!(error.contains("no round of the journal was under"), "{error}");
    let (_, [before, _]) = journal();
    let lines = ten_lines().replace("1/one/1", &before);
    let outcome = replayed(&new, Some(TWO), journal_world(), &lines).unwrap();
    assert!(close(outcome.moved.share, 0.8), "{outcome:#?}");
    let empty = World::Journal(Box::new(|| None));
    assert!(matches!(replayed(TWO, None, empty, ""), Err(ReplayError::NoRecords)));
}

#[test]
fn rounds_under_an_older_configuration_are_passed_over() {
    let (records, [before, after]) = journal();
    let mut old = records[..5].to_vec();
    old.iter_mut().for_each(|record| record.digests.configuration = digest_of("older"));
    let foreign = old.len() as u64;
    let mut all = old.into_iter().chain(records);
    let world = World::Journal(Box::new(move || all.next()));
    let lines = ten_lines().replace("1/one/1", &before) + &ten_lines().replace("1/one/1", &after);
    let outcome = replayed(TWO, Some(TWO), world, &lines).unwrap();
    assert_eq!((outcome.queries, outcome.log.other_rounds), (20.0, foreign));
    assert!(close(outcome.servers[0].queries_after, 2.0 + 10.0), "{outcome:#?}");
    // In between as well; and nothing but such is no World.
    let (mut records, _) = journal();
    records[3].digests.configuration = digest_of("another");
    let mut between = records.clone().into_iter();
    let world = World::Journal(Box::new(move || between.next()));
    let outcome = replayed(TWO, None, world, &ten_lines().replace("1/one/1", &after)).unwrap();
    assert_eq!(outcome.log.other_rounds, 1);
    records.retain(|record| record.digests.configuration == digest_of("another"));
    let mut none = records.into_iter();
    let world = World::Journal(Box::new(move || none.next()));
    assert!(matches!(replayed(TWO, None, world, ""), Err(ReplayError::Configuration(_))));
}

fn digest_of(text: &str) -> walrus_core::world::Digest {
    configuration(&TWO.replace("walrus.example", &format!("{text}.example"))).digest
}

#[test]
fn after_a_restart_time_begins_anew_and_areas_go_on_moving() {
    // An hour of uptime in which near was drained, then a new start in which it is well again: areas
    // return, although the clock is far from where they last moved.
    let (records, _) = journal();
    let (mut calm, mut uptime) = (records[..5].to_vec(), records);
    for (record, second) in uptime.iter_mut().zip(3600..) {
        record.now = Time::from_secs(second);
    }
    for (record, second) in calm.iter_mut().zip(0..) {
        record.now = Time::from_secs(second * 600);
        record.number = PlanNumber { epoch: record.number.epoch + 1, ..record.number.clone() };
    }
    let last = calm.last().unwrap().number.to_string();
    let mut all = uptime.into_iter().chain(calm);
    let world = World::Journal(Box::new(move || all.next()));
    let lines = ten_lines().replace("1/one/1", &last);
    let outcome = replayed(TWO, Some(TWO), world, &lines).unwrap();
    assert_eq!(outcome.servers[0].server, "far1");
    assert!(close(outcome.servers[0].queries_after, 2.0), "{outcome:#?}");
}

#[test]
fn what_was_recorded_moves_in_many_small_areas_as_in_a_large_one() {
    // Forty areas of five lines, each for a thousand queries, all of them sent to near1.
    let areas: String = (0..40)
        .map(|area| {
            format!(
                "[[area]]\nname = \"a{area}\"\nhome = \"near\"\nclients = [\"10.0.{area}.0/24\"]\n"
            )
        })
        .collect();
    let (head, tail) = TWO.split_once("[[service]]").unwrap();
    let new = format!("{head}{areas}[[service]]{tail}");
    let line = |area: u32, client: u32| {
        line(&format!("10.0.{area}.{client}"), Some(("near", "near1")), 1000)
            .replace("\"area\":\"world\"", &format!("\"area\":\"a{area}\""))
    };
    let lines: String =
        (0..40).flat_map(|area| (0..5).map(move |client| line(area, client))).collect();
    let outcome = replayed(&new, None, idle(), &lines).unwrap();
    assert_eq!(outcome.queries, 200_000.0);
    assert!(close(outcome.moved_servers.share, 0.5), "{:#?}", outcome.moved_servers);
    assert_eq!(outcome.moved.share, 0.0);
    let half = |from: &str| outcome.servers.iter().find(|it| it.server == from).unwrap();
    assert!(close(half("near1").after.share, 0.5) && close(half("near2").after.share, 0.5));
}

#[test]
fn many_areas_and_plans_are_all_counted() {
    // More areas than groups are kept at a time.
    let areas: String = (0..5000)
        .map(|area| {
            let (high, low) = (area / 256, area % 256);
            format!(
                "[[area]]\nname = \"a{area}\"\nhome = \"near\"\nclients = [\"10.{high}.{low}.0/24\"]\n"
            )
        })
        .collect();
    let (head, tail) = TWO.split_once("[[service]]").unwrap();
    let old = format!("{head}{areas}[[service]]{tail}");
    let (before, after) = old.split_at(old.len() / 2);
    let new = before.to_owned() + &after.replace("home = \"near\"", "home = \"far\"");
    let moving = after.matches("home = \"near\"").count() as f64;
    let lines: String = (0..5000)
        .map(|area| line(&format!("10.{}.{}.7", area / 256, area % 256), None, 1))
        .collect();
    let outcome = replayed(&new, Some(&old), idle(), &lines).unwrap();
    assert_eq!((outcome.queries, outcome.log.beyond), (5000.0, 0.0));
    assert!(close(outcome.moved.share, moving / 5000.0), "{:?} {moving}", outcome.moved);
    assert_eq!(outcome.areas.len(), 5000);
}

#[test]
fn two_draws_that_differ_by_chance_move_nobody() {
    // `hash` on both sides, one of them with another weight elsewhere: nobody moves, whoever asks.
    let hash = format!("{TWO}choose = \"pow2\"\n");
    let other = hash.replace("ttl = \"5s\"", "ttl = \"6s\"");
    let clients = (0..200_u32).flat_map(|client| (0..5_u32).map(move |_| client));
    let lines: String = clients.map(|it| line(&format!("203.0.113.{it}"), None, 1)).collect();
    let outcome = replayed(&other, Some(&hash), idle(), &lines).unwrap();
    assert_eq!((outcome.moved_servers.share, outcome.drawn.len()), (0.0, 1), "{outcome:#?}");
}

#[test]
fn the_same_log_gives_the_same_bytes() {
    let new = format!("{TWO}choose = \"random\"\n").replace("home = \"far\"", "home = \"near\"");
    let run = || {
        let outcome = replayed(&new, Some(TWO), idle(), &ten_lines()).unwrap();
        serde_json::to_string(&outcome).unwrap()
    };
    assert_eq!(run(), run());
}
