//! Rounds of a running Director, whose table and settings a test changes under it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use walrus_core::config::{SerialPolicy, TransferRule, TransferredServices};
use walrus_core::map::Map;
use walrus_core::world::Topology;
use walrus_core::zone::{read_zone, zone_of_nameservers};
use walrus_host::clock::{Clock, ManualClock};

use super::super::serials::used_serials;
use super::*;
use crate::fixture::{SERVICE, digests, plan, settings, topology, zone};
use crate::signing::SigningStart;
use crate::start::{Director, DirectorStart};
use crate::zones::MovingZone;

/// How long anything may take on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(20);

pub(in crate::zones::outbound) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(in crate::zones::outbound) fn start(
    zones: Vec<Arc<Zone>>,
    moving: Vec<MovingZone>,
    serials: &[(DomainName, u32)],
) -> (DirectorHandle, ManualClock) {
    let topology = topology();
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    let (clock, time) = Clock::manual();
    let director = Director::start(DirectorStart {
        dns: settings(&["127.0.0.1:0"], 1),
        topology,
        zones,
        moving,
        serials: serials.iter().cloned().collect(),
        updates: crate::UpdateSettings::default(),
        keys: Default::default(),
        digests: digests(&map),
        plan: Some(plan(1, 1, &digests(&map))),
        map,
        signing: SigningStart::default(),
        seed: 1,
        clock,
    });
    (director.unwrap(), time)
}

pub(in crate::zones::outbound) fn sent(
    zones: &[Arc<Zone>],
    serial: SerialPolicy,
) -> BTreeMap<DomainName, ZoneTransfers> {
    let anybody = TransferRule { from: Some(([127, 0, 0, 0].into(), 8)), key: None };
    let transfers =
        ZoneTransfers { transfer_to: vec![anybody], serial, ..ZoneTransfers::default() };
    zones.iter().map(|zone| (zone.apex().clone(), transfers.clone())).collect()
}

pub(in crate::zones::outbound) fn serials(director: &DirectorHandle) -> Vec<Option<u32>> {
    director.outbound().iter().map(|it| it.serial).collect()
}

fn generation(director: &DirectorHandle) -> u64 {
    director.inner().current.load().generation
}

/// The serial that queries see.
fn answered(director: &DirectorHandle, apex: &DomainName) -> Option<u32> {
    director.inner().current.load().table.zones().zone(apex).map(|zone| zone.serial())
}

#[test]
fn zones_that_change_together_cost_one_table() {
    let state = tempfile::tempdir().unwrap();
    let other = |number: u32| {
        let apex = format!("zone{number}.example").parse().unwrap();
        Arc::new(zone_of_nameservers(&apex, &["ns.example.net".parse().unwrap()]))
    };
    let zones: Vec<_> = std::iter::once(zone()).chain((0..30).map(other)).collect();
    let (director, _time) = start(zones.clone(), Vec::new(), &[]);
    let before = generation(&director);
    let state = Some(state.path().to_owned());
    let zones = sent(&zones, SerialPolicy::UnixTime);
    director.set_outbound(OutboundSettings { zones, state, ..OutboundSettings::default() });
    until("all have serials", || serials(&director).iter().all(Option::is_some));
    assert_eq!(generation(&director), before + 1);
    director.shutdown();
}

#[test]
fn a_serial_that_cannot_be_answered_is_taken_back_and_comes_later() {
    let (director, time) = start(vec![zone()], Vec::new(), &[]);
    // A service in no zone: such a table cannot be compiled.
    let broken = {
        let good = topology();
        let mut service = good.services[0].clone();
        service.name = "www.elsewhere.example".parse().unwrap();
        Arc::new(Topology { services: vec![service], ..Topology::clone(&good) })
    };
    let good = {
        let mut rebuilding = director.rebuilding();
        std::mem::replace(&mut rebuilding.wanted.topology, broken)
    };
    let zones = sent(&[zone()], SerialPolicy::Increment);
    let apex = zone().apex().clone();
    let first = answered(&director, &apex);
    director.set_outbound(OutboundSettings { zones, ..OutboundSettings::default() });
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!((serials(&director), answered(&director, &apex)), (vec![None], first));
    assert_eq!(director.inner().outbound.serials(), BTreeMap::new());
    director.rebuilding().wanted.topology = good;
    time.advance_to(director.inner().clock.now() + RETRY_AFTER);
    until("it comes", || serials(&director) != [None]);
    let next = first.map(|first| first + 1);
    assert_eq!((serials(&director), answered(&director, &apex)), (vec![next], next));
    director.shutdown();
}

#[test]
fn a_round_that_a_reload_overtakes_gives_nothing_to_a_zone_that_is_sent_no_longer() {
    let (director, _time) = start(vec![zone()], Vec::new(), &[]);
    let apex = zone().apex().clone();
    let first = answered(&director, &apex);
    let outbound = &director.inner().outbound;
    // What the round has found while the zone was still sent.
    let found = Arc::new(Snapshot { zone: zone(), history: Vec::new() });
    director.answer_under(&[(apex.clone(), 99)].into()).unwrap();
    outbound.keep(&[(apex.clone(), found)]);
    assert_eq!((answered(&director, &apex), outbound.serials()), (first, BTreeMap::new()));
    assert!(outbound.snapshots.load().is_empty());
    director.shutdown();
}

/// Settings that send these zones.
fn sending(zones: &[Arc<Zone>]) -> OutboundSettings {
    let zones = sent(zones, SerialPolicy::UnixTime);
    OutboundSettings { zones, ..OutboundSettings::default() }
}

/// A Director whose rounds are a test's own.
fn without_rounds() -> (DirectorHandle, ManualClock) {
    let (director, time) = start(vec![zone()], Vec::new(), &[]);
    director.inner().followers.stop();
    (director, time)
}

#[test]
fn a_zone_that_is_taken_out_and_in_again_between_two_rounds_is_sent() {
    let (director, _time) = without_rounds();
    let mut rounds = Rounds::default();
    director.set_outbound(sending(&[zone()]));
    director.follow(&mut rounds);
    let first = serials(&director);
    assert!(first[0].is_some());
    let again = |rounds: &mut Rounds| {
        director.set_outbound(sending(&[]));
        director.set_outbound(sending(&[zone()]));
        assert_eq!(serials(&director), [None]);
        director.follow(rounds);
        serials(&director)
    };
    assert_eq!(again(&mut rounds), first, "the content is the same");
    // Also one that has had a new serial just now.
    let now = director.inner().outbound.clock.now();
    rounds.zones.values_mut().for_each(|it| it.changed_at = Some(now));
    assert_eq!(again(&mut rounds), first);
    director.shutdown();
}

#[test]
fn a_zone_that_goes_to_nobody_any_more_is_answered_under_its_own_serial_at_once() {
    let (director, _time) = without_rounds();
    let apex = zone().apex().clone();
    let own = answered(&director, &apex);
    director.set_outbound(sending(&[zone()]));
    director.follow(&mut Rounds::default());
    let given = serials(&director)[0];
    assert!(given.is_some() && given != own);
    assert_eq!(answered(&director, &apex), given);
    director.set_outbound(sending(&[]));
    assert_eq!(answered(&director, &apex), own);
    director.shutdown();
}

#[test]
fn a_serial_that_the_disk_refuses_is_seen_by_nobody_and_comes_when_there_is_room() {
    let (director, time) = without_rounds();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    // Nothing can be written below a file.
    std::fs::write(&state, "").unwrap();
    let apex = zone().apex().clone();
    let own = answered(&director, &apex);
    director.set_outbound(OutboundSettings { state: Some(state.clone()), ..sending(&[zone()]) });
    let mut rounds = Rounds::default();
    for _ in 0..2 {
        director.follow(&mut rounds);
        assert_eq!((serials(&director), answered(&director, &apex)), (vec![None], own));
    }
    std::fs::remove_file(&state).unwrap();
    std::fs::create_dir(&state).unwrap();
    time.advance_to(director.inner().clock.now() + RETRY_AFTER);
    director.follow(&mut rounds);
    let given = serials(&director)[0];
    assert!(given.is_some() && given != own);
    assert_eq!(answered(&director, &apex), given);
    assert_eq!(used_serials(std::slice::from_ref(&apex), &state).get(&apex).copied(), given);
    director.shutdown();
}

#[test]
fn what_a_round_leaves_that_settings_overtook_is_gone_with_the_next() {
    let (director, _time) = without_rounds();
    let (apex, other) = (zone().apex().clone(), "other.example".parse::<DomainName>().unwrap());
    director.set_outbound(sending(&[zone()]));
    let outbound = &director.inner().outbound;
    let snapshot = Arc::new(Snapshot { zone: zone(), history: Vec::new() });
    outbound.snapshots.store(Arc::new([(other.clone(), snapshot)].into()));
    outbound.recipients.told(&apex, [192, 0, 2, 1].into());
    outbound.recipients.told(&other, [192, 0, 2, 1].into());
    director.follow(&mut Rounds::default());
    assert_eq!(outbound.snapshots.load().keys().collect::<Vec<_>>(), [&apex]);
    assert_eq!(outbound.recipients.of(&apex), []);
    assert_eq!(outbound.recipients.of(&other), []);
    // A serial that could not be answered comes back to none but what is sent.
    let before = [(apex.clone(), 5), (other.clone(), 5)].into();
    lock(&outbound.serials).extend([(apex.clone(), 7), (other.clone(), 7)]);
    outbound.take_back([&apex, &other].into_iter(), &before);
    assert_eq!(outbound.serials(), [(apex, 5)].into());
    director.shutdown();
}

#[test]
fn a_zone_that_moves_begins_under_the_serial_that_others_know() {
    let apex = zone().apex().clone();
    let moving = |text: &str| {
        let content = Arc::new(read_zone("test", text.as_bytes(), &apex).unwrap().zone);
        vec![MovingZone { apex: apex.clone(), content: Some(content) }]
    };
    let content = moving("@ 60 SOA ns host 7 2 3 4 5\n@ 60 NS ns.example.net.\n");
    let known = 1_790_000_000;
    let (director, _time) = start(vec![zone()], content.clone(), &[(apex.clone(), known)]);
    assert_eq!(answered(&director, &apex), Some(known));
    // Other content comes before anybody has looked at it.
    let other = moving("@ 60 SOA ns host 8 2 3 4 5\n@ 60 NS ns.example.org.\n");
    director.replace_zone(other[0].content.clone().unwrap()).unwrap();
    assert_eq!(answered(&director, &apex), Some(known));
    director.shutdown();
}

#[test]
fn without_services_nothing_tells_of_their_hosts() {
    let apex = zone().apex().clone();
    let text = "@ 60 SOA ns host 7 2 3 4 5\n@ 60 NS ns.example.net.\n\
                fra1 60 A 192.0.2.10\nown 60 A 192.0.2.11\n";
    let hosted = Arc::new(read_zone("test", text.as_bytes(), &apex).unwrap().zone);
    let (director, _time) = start(vec![Arc::clone(&hosted)], Vec::new(), &[]);
    let mut zones = sent(&[hosted], SerialPolicy::UnixTime);
    zones.values_mut().for_each(|it| it.services = TransferredServices::None);
    let host = |label: &str| format!("{label}.walrus.example").parse::<DomainName>().unwrap();
    let hosts = vec![host("fra1"), host("own")];
    let added = [host("fra1")].into();
    director.set_outbound(OutboundSettings { zones, hosts, added, state: None });
    until("it is sent", || serials(&director) != [None]);
    let snapshot = Arc::clone(&director.inner().outbound.snapshots.load()[&apex]);
    let has = |name: &DomainName| snapshot.zone.set(name, record_type::A).is_some();
    assert_eq!((has(&host("fra1")), has(&host("own"))), (false, true));
    assert!(!has(&SERVICE.parse().unwrap()));
    director.shutdown();
}

#[test]
fn nothing_is_looked_at_twice_and_what_waits_is_looked_at_in_time() {
    let settings = Arc::new(OutboundSettings::default());
    let mut rounds = Rounds::default();
    let at = Time::from_millis;
    assert!(rounds.is_due(1, &settings, at(0)));
    rounds.seen = Some((1, Arc::clone(&settings)));
    assert!(!rounds.is_due(1, &settings, at(1_000_000)));
    assert!(rounds.is_due(2, &settings, at(0)), "another table");
    assert!(rounds.is_due(1, &Arc::default(), at(0)), "other settings");
    rounds.look_again(at(60_000));
    rounds.look_again(at(70_000));
    assert!(!rounds.is_due(1, &settings, at(59_999)) && rounds.is_due(1, &settings, at(60_000)));
}

#[test]
fn a_serial_that_is_not_newer_leads_nowhere() {
    let apex: DomainName = "example.com".parse().unwrap();
    let of = |serial: u32, last: u8| {
        let text = format!(
            "@ 60 SOA ns host {serial} 2 3 4 5\n@ 60 NS ns.example.net.\nwww 60 A 192.0.2.{last}\n"
        );
        Arc::new(read_zone("test", text.as_bytes(), &apex).unwrap().zone)
    };
    let first = Snapshot { zone: of(3, 1), history: Vec::new() };
    let Told { history, records } = Told::of(Some(&first), &of(5, 2));
    assert_eq!((history.len(), records), (1, Some(4)));
    let second = Snapshot { zone: of(5, 2), history };
    assert!(second.since(3).is_some());
    for back in [5, 3] {
        assert_eq!(Told::of(Some(&second), &of(back, 3)).history.len(), 0);
    }
}
