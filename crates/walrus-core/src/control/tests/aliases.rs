//! Aliases to outside names, resolved in the background.

use std::net::IpAddr;
use std::time::Duration;

use super::harness::*;
use crate::control::{Demands, Effect, Input, ResolveRequest, Resolved, Stored, replay};
use crate::plan::{Plan, with_found};
use crate::world::{Life, Time, Topology};

const ALIAS: &str = "\n[[service]]\nname = \"example.com\"\nalias = \"t.cdn.example.net\"\n";
const SERVER: &str = "alias-example-com";

fn text() -> String {
    let text = TWO_CLUSTERS.replace("reporter = true\n", "");
    text.replace("round = \"10s\"", "round = \"10s\"\nresolvers = [\"192.0.2.99\"]") + ALIAS
}

fn requests(harness: &Harness) -> Vec<(Time, ResolveRequest)> {
    let request = |(at, effect): &(Time, Effect)| match effect {
        Effect::Resolve(request) => Some((*at, request.clone())),
        _ => None,
    };
    harness.effects.iter().filter_map(request).collect()
}

fn answer(harness: &mut Harness, outcome: Result<(&[&str], u64), &str>) {
    let outcome = outcome.map_err(str::to_owned).map(|(addresses, ttl)| Resolved {
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        ttl: Duration::from_secs(ttl),
    });
    let target = "t.cdn.example.net".parse().unwrap();
    harness.input(Input::Resolved { target, outcome }).unwrap();
    harness.pass(200);
}

fn addresses(plan: &Plan) -> Vec<String> {
    let server = plan.servers.iter().find(|server| server.name.as_str() == SERVER).unwrap();
    server.addresses.iter().map(IpAddr::to_string).collect()
}

fn families(plan: &Plan) -> Option<(bool, bool)> {
    let service = plan.services.iter().find(|service| service.name == "example.com")?;
    Some((service.areas[0].ipv4.is_some(), service.areas[0].ipv6.is_some()))
}

#[test]
fn an_alias_is_answered_once_it_is_resolved() {
    let mut harness = Harness::new(&text());
    let asked = requests(&harness);
    assert_eq!(asked.len(), 1, "at once");
    assert_eq!(asked[0].1.target.to_string(), "t.cdn.example.net");
    assert_eq!(asked[0].1.resolvers, ["192.0.2.99:53".parse().unwrap()]);
    assert_eq!(families(&harness.plan()), None, "nothing to answer with yet");
    assert_eq!(harness.life(SERVER), Life::Unknown);
    answer(&mut harness, Ok((&["203.0.113.2", "203.0.113.1"], 20)));
    assert_eq!(addresses(&harness.plan()), ["203.0.113.1", "203.0.113.2"]);
    assert_eq!(families(&harness.plan()), Some((true, false)));
    assert_eq!(harness.life(SERVER), Life::Living);
    assert!(harness.notices().is_empty(), "{:?}", harness.notices());
    let says = &harness.server(SERVER).sources[0];
    assert_eq!(
        (&*says.source, &*says.says),
        ("alias t.cdn.example.net", "resolved to 2 addresses")
    );
    // The other services' servers are no candidates for it.
    assert_eq!(harness.candidates("east"), [SERVER]);
}

#[test]
fn it_is_resolved_again_when_its_ttl_has_passed_within_bounds() {
    for (ttl, again) in [(20, 20), (0, 5), (86_400, 3600)] {
        let mut harness = Harness::new(&text());
        answer(&mut harness, Ok((&["203.0.113.1"], ttl)));
        harness.pass(again * 1000 - 300);
        assert_eq!(requests(&harness).len(), 1, "ttl {ttl}");
        harness.pass(400);
        assert_eq!(requests(&harness).len(), 2, "ttl {ttl}");
    }
}

#[test]
fn the_last_good_answer_stays_and_failures_are_asked_about_ever_later() {
    let mut harness = Harness::new(&text());
    answer(&mut harness, Ok((&["203.0.113.1"], 5)));
    let plan = harness.plan();
    harness.pass(5_000);
    let mut waits = Vec::new();
    for _ in 0..9 {
        let count = requests(&harness).len();
        answer(&mut harness, Err("192.0.2.99:53 answered SERVFAIL"));
        let failed = harness.now;
        while requests(&harness).len() == count {
            harness.pass(500);
        }
        waits.push((harness.now.since(failed).as_secs_f64() + 0.2).round() as u64);
    }
    assert!(waits[0] <= 2 && waits.is_sorted() && waits[8] <= 61, "{waits:?}");
    assert!(waits[8] >= 55, "{waits:?}");
    assert_eq!(addresses(&harness.plan()), addresses(&plan));
    assert!(harness.server(SERVER).sources[0].says.contains("failed 9 times"));
    let told = |harness: &Harness, word: &str| {
        let is_it = |(_, effect): &&(Time, Effect)| matches!(effect, Effect::Warn(text) if text.contains(word));
        harness.effects.iter().filter(is_it).count()
    };
    assert_eq!(told(&harness, "its last addresses go on"), 1, "once");
    // An answer without addresses is no answer.
    answer(&mut harness, Ok((&[], 5)));
    assert_eq!(addresses(&harness.plan()), addresses(&plan));
    while requests(&harness).len() < 12 {
        harness.pass(500);
    }
    answer(&mut harness, Ok((&["203.0.113.9", "2001:db8::9"], 5)));
    assert_eq!(addresses(&harness.plan()), ["203.0.113.9", "2001:db8::9"]);
    assert_eq!(families(&harness.plan()), Some((true, true)));
    assert_eq!(told(&harness, "resolved again"), 1);
}

#[test]
fn what_never_resolved_is_told_of_and_what_was_lost_is_asked_again() {
    let mut harness = Harness::new(&text());
    harness.pass(59_000);
    assert_eq!(requests(&harness).len(), 1, "one at a time");
    harness.pass(3_000);
    assert_eq!(requests(&harness).len(), 2, "lost, and asked again");
    answer(&mut harness, Err("192.0.2.99:53 answered NXDOMAIN"));
    harness.pass(10_000);
    let told: Vec<_> = harness.notices().into_iter().map(|(_, notice)| notice.text).collect();
    assert_eq!(
        told,
        ["no server of example.com functions; t.cdn.example.net was never resolved, so questions \
          for it fail"]
    );
    // Nobody asked for this one.
    let stray = Input::Resolved {
        target: "other.example.net".parse().unwrap(),
        outcome: Ok(Resolved { addresses: Vec::new(), ttl: Duration::ZERO }),
    };
    harness.input(stray).unwrap();
}

#[test]
fn a_restart_begins_with_the_stored_answer_and_the_journal_replays() {
    let mut harness = Harness::new(&text());
    answer(&mut harness, Ok((&["203.0.113.1"], 3600)));
    let plan = harness.plan();
    let line = harness.journal.last().unwrap();
    let configuration = configuration(&text());
    let (topology, digest) = (&configuration.topology, &configuration.digest);
    let again = replay(line, &mut Demands::default(), topology, digest).unwrap();
    assert_eq!(again, *plan);
    let stored = Stored { epoch: 1, plan: Some(plan), ..Stored::default() };
    let restarted = Harness::start(&text(), stored);
    assert_eq!(addresses(&restarted.plan()), ["203.0.113.1"]);
    assert_eq!(families(&restarted.plan()), Some((true, false)));
    assert_eq!(requests(&restarted).len(), 1);
}

#[test]
fn what_its_target_has_is_promised_and_both_families_before_that_is_known() {
    let mut harness = Harness::new(&text());
    let promised = |topology: &Topology| {
        let service = topology.service(&"example.com".parse().unwrap()).unwrap();
        topology.promised_types(service)
    };
    let topology = &configuration(&text()).topology;
    assert!(with_found(topology, &harness.plan()).is_none());
    assert_eq!(promised(topology), [1, 28]);
    answer(&mut harness, Ok((&["203.0.113.1"], 5)));
    let one = with_found(topology, &harness.plan()).unwrap();
    assert_eq!(promised(&one), [1]);
    harness.pass(5_000);
    answer(&mut harness, Ok((&["203.0.113.2"], 5)));
    assert!(with_found(&one, &harness.plan()).is_none(), "other addresses, the same families");
    harness.pass(5_000);
    answer(&mut harness, Ok((&["203.0.113.2", "2001:db8::1"], 5)));
    let both = with_found(&one, &harness.plan()).unwrap();
    assert_eq!(promised(&both), [1, 28]);
    let unresolved = Plan { servers: Vec::new(), ..(*harness.plan()).clone() };
    assert!(with_found(&one, &unresolved).is_none(), "what was known last");
}

#[test]
fn of_each_family_as_many_addresses_are_kept_as_an_answer_has() {
    let mut harness = Harness::new(&text());
    let many: Vec<String> = (0..70)
        .flat_map(|host| [format!("203.0.113.{host}"), format!("2001:db8::{host:x}")])
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    answer(&mut harness, Ok((&many, 5)));
    let kept = addresses(&harness.plan());
    let ipv6 = kept.iter().filter(|address| address.contains(':')).count();
    assert_eq!((kept.len() - ipv6, ipv6), (64, 64));
}
