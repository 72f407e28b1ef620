//! Who asks: from observations and reports into Plans, which changes bring a Plan, and what is
//! refused.

use super::harness::*;
use crate::control::{Demands, Input, JournalRecord, Refusal, replay};
use crate::plan::ServiceDemand;
use crate::world::{DomainCount, Observation, ReportBody, RequestCounts, ServiceCounts};

/// `www` looks at who asks, `plain` does not; both are served by all servers.
fn two_services() -> String {
    format!(
        "{}adaptive_ttl = \"TTL/2\"\nhot_share = 0.5\n[[service]]\nname = \"plain.example.com\"\n",
        TWO_CLUSTERS.replace("round = \"10s\"", "round = \"10s\"\njournal_rounds = 100"),
    )
}

/// Both with this TTL, in seconds.
fn two_services_of(ttl: u32) -> String {
    let text = two_services();
    assert!(text.contains("ttl = \"5s\"\n"), "{text}");
    text.replace("ttl = \"5s\"\n", &format!("ttl = \"{ttl}s\"\n"))
}

/// The same, where `www` also looks at what servers see of it.
fn observing() -> String {
    two_services().replace("adaptive_ttl = \"TTL/2\"", "choose = \"crml\"")
}

struct Scene {
    harness: Harness,
    sequence: u64,
    /// Queries in ten seconds, by service and domain.
    asked: Vec<(&'static str, String, u64)>,
    /// First answers in ten seconds.
    answered: Vec<(&'static str, &'static str, u64)>,
    /// Requests in a second, by server and prefix.
    served: Vec<(&'static str, &'static str, u64)>,
    /// Servers that report as before but have lost their log.
    without_log: Vec<&'static str>,
}

impl Scene {
    fn new() -> Self {
        Self::of(&two_services())
    }

    fn of(text: &str) -> Self {
        let mut harness = Harness::new(text);
        harness.all_report(&busy(0.5));
        harness.pass(1_500);
        let (asked, answered, served) = (Vec::new(), Vec::new(), Vec::new());
        Self { harness, sequence: 0, asked, answered, served, without_log: Vec::new() }
    }

    fn ask(&mut self, all: &[(&'static str, &str, u64)]) {
        self.asked = all.iter().map(|(at, of, count)| (*at, (*of).to_owned(), *count)).collect();
    }

    fn observe(&mut self) {
        self.sequence += 1;
        let services = ["www.example.com", "plain.example.com"].map(|service| ServiceCounts {
            service: service.to_owned(),
            servers: self
                .answered
                .iter()
                .filter(|(of, ..)| *of == service)
                .map(|(_, server, count)| (name(server), *count))
                .collect(),
            domains: self
                .asked
                .iter()
                .filter(|(of, ..)| *of == service)
                .map(|(_, domain, queries)| count(domain, *queries))
                .collect(),
            ..ServiceCounts::default()
        });
        let observation = Observation {
            session: 1,
            sequence: self.sequence,
            duration_ms: 10_000,
            services: services.into(),
        };
        let observed = Input::Observed { director: name("ns1"), observation };
        self.harness.input(observed).unwrap();
    }

    /// So many times ten seconds.
    fn pass(&mut self, times: usize) {
        for _ in 0..times {
            self.observe();
            for second in 0..10 {
                let mut servers = self.without_log.clone();
                servers.extend(self.served.iter().map(|(at, ..)| *at));
                servers.sort();
                servers.dedup();
                for server in servers {
                    let of = |(at, ..): &&(&str, &str, u64)| *at == server;
                    let domains = self.served.iter().filter(of);
                    let domains = domains.map(|(_, prefix, requests)| count(prefix, *requests));
                    let requests =
                        RequestCounts { duration_ms: 1000, domains: domains.collect(), rest: 0 };
                    let report = self.harness.make_report(&name(server), busy(0.5));
                    let sequence = 1_000_000 * (self.sequence * 10 + second);
                    let session = 2;
                    let requests = Some(requests).filter(|_| !self.without_log.contains(&server));
                    let report = crate::world::Report { session, sequence, requests, ..report };
                    self.harness.reporters.remove(&name(server));
                    self.harness.input(Input::Report(report)).unwrap();
                }
                self.harness.pass(1_000);
            }
        }
    }

    fn demand(&self) -> Option<ServiceDemand> {
        let plan = self.harness.plan();
        assert!(plan.validate().is_ok());
        let plain = plan.services.iter().find(|it| it.name == "plain.example.com").unwrap();
        assert_eq!(plain.demand, None, "nobody wants to know");
        plan.services.iter().find(|it| it.name == "www.example.com").unwrap().demand.clone()
    }

    /// Domains with rates and whether they are hot.
    fn domains(&self) -> Vec<(String, f64, bool)> {
        let demand = self.demand().into_iter().flat_map(|demand| demand.domains);
        demand.map(|it| (it.domain, it.rate, it.hot)).collect()
    }
}

fn count(domain: &str, queries: u64) -> DomainCount {
    DomainCount { domain: domain.to_owned(), queries, error: 0 }
}

#[test]
fn a_hot_domain_shows_in_the_plan_and_fades_when_it_falls_silent() {
    let mut scene = Scene::new();
    assert_eq!(scene.demand(), None);
    scene.ask(&[("www.example.com", "192.0.2.53", 300), ("www.example.com", "10.0.0.0/24", 100)]);
    scene.pass(3);
    let (heavy, light) = ("192.0.2.53".to_owned(), "10.0.0.0/24".to_owned());
    assert_eq!(scene.domains(), [(heavy.clone(), 30.0, true), (light.clone(), 10.0, false)]);
    assert_eq!(scene.demand().unwrap().rate, 40.0);
    scene.ask(&[("www.example.com", "10.0.0.0/24", 100)]);
    scene.pass(12);
    let domains = scene.domains();
    assert_eq!((&domains[0].0, domains[0].2), (&light, true));
    assert!(domains[1].1 < 5.0, "{domains:?}");
    let status = scene.harness.status().services;
    let status = status.iter().find_map(|service| service.demand.as_ref()).unwrap();
    assert_eq!((status.named, status.hot), (2, 1));
    // No Director is left.
    scene.harness.pass(1_200_000);
    assert_eq!(scene.demand(), None);
}

/// Long TTLs make a resolver ask seldom, and its clients stay its clients.
#[test]
fn a_resolver_is_remembered_for_an_hour() {
    for ttl in [5, 240] {
        let mut scene = Scene::of(&two_services_of(ttl));
        scene.served = vec![("asia1", "192.0.2.0/24", 50), ("asia1", "198.51.100.0/24", 10)];
        let often = ("www.example.com", "198.51.100.53", 1);
        scene.ask(&[often, ("www.example.com", "192.0.2.53", 1)]);
        scene.pass(1);
        scene.ask(&[often]);
        scene.pass(6 * 45);
        let found = |scene: &Scene| {
            let domains = scene.demand().unwrap().domains;
            domains.into_iter().map(|it| (it.domain, it.silent)).collect::<Vec<_>>()
        };
        let seldom = ("192.0.2.53".to_owned(), false);
        assert_eq!(found(&scene), [seldom, ("198.51.100.53".to_owned(), false)], "TTL {ttl}");
        scene.pass(6 * 90);
        let stranger = ("192.0.2.0/24".to_owned(), true);
        assert_eq!(found(&scene), [stranger, ("198.51.100.53".to_owned(), false)], "TTL {ttl}");
    }
}

/// It asks once a TTL of 240 s: averaged over a minute, its rate would come and go fifty-fold between two queries.
#[test]
fn a_resolver_that_keeps_to_a_long_ttl_has_a_steady_rate() {
    let mut scene = Scene::of(&two_services_of(240));
    let mut told = Vec::new();
    for round in 0..20 {
        scene.ask(&[("www.example.com", "192.0.2.53", 1)]);
        scene.pass(1);
        for _ in 1..24 {
            scene.ask(&[]);
            scene.pass(1);
            if round >= 8 {
                told.push(scene.domains()[0].1 * 240.0);
            }
        }
    }
    assert!(told.iter().all(|rate| (0.8..1.4).contains(rate)), "{told:?}");
}

#[test]
fn steady_demand_and_noise_bring_no_plan() {
    let mut scene = Scene::new();
    let asked = |one: u64, two: u64| {
        [("www.example.com", "192.0.2.1", one), ("www.example.com", "192.0.2.2", two)]
    };
    scene.ask(&asked(300, 100));
    scene.pass(3);
    let settled = scene.harness.number();
    for (one, two) in [(302, 99), (297, 103), (310, 100), (300, 95), (290, 101)] {
        scene.ask(&asked(one, two));
        scene.pass(2);
    }
    assert_eq!(scene.harness.number(), settled);
    // At most one a round, and in the end none.
    scene.ask(&asked(300, 1000));
    let before = scene.harness.plans().len();
    scene.pass(20);
    let (plans, rounds) = (scene.harness.plans().len() - before, 20);
    assert!((2..=rounds).contains(&plans), "{plans}");
    assert!(scene.domains()[0].1 > 90.0);
    let settled = scene.harness.number();
    scene.pass(10);
    assert_eq!(scene.harness.number(), settled);
}

#[test]
fn between_rounds_demand_stays_as_it_was() {
    let mut scene = Scene::new();
    scene.ask(&[("www.example.com", "192.0.2.1", 300)]);
    scene.observe();
    let before = scene.demand();
    scene.harness.report("asia1", panic());
    scene.harness.pass(200);
    assert_eq!((scene.demand(), before), (None, None));
    scene.harness.pass(10_000);
    assert!(scene.demand().is_some());
}

#[test]
fn requests_of_a_server_are_divided_by_first_answers_and_replace_queries() {
    let mut scene = Scene::of(&observing());
    scene.ask(&[
        ("www.example.com", "192.0.2.53", 10),
        ("www.example.com", "203.0.113.53", 10),
        ("plain.example.com", "192.0.2.53", 10),
    ]);
    scene.answered = vec![("www.example.com", "asia1", 30), ("plain.example.com", "asia1", 10)];
    scene.served = vec![("asia1", "192.0.2.0/24", 80), ("europe1", "192.0.2.0/24", 20)];
    scene.pass(3);
    // asia1: three quarters of 80; europe1, never answered with: half of 20.
    let expected = [("192.0.2.53".to_owned(), 70.0, true), ("203.0.113.53".to_owned(), 70.0, true)];
    let mut domains = scene.domains();
    domains.sort_by(|one, two| one.0.cmp(&two.0));
    let found: Vec<_> = domains.iter().map(|(domain, rate, _)| (domain.clone(), *rate)).collect();
    assert_eq!(found, expected.map(|(domain, rate, _)| (domain, rate)));
    let plan = scene.harness.plan();
    let place = |server: &str| {
        let index = plan.servers.iter().position(|it| it.name.as_str() == server).unwrap();
        u32::try_from(index).unwrap()
    };
    let demand = scene.demand().unwrap();
    let seen = |domain: &str| {
        let found = demand.domains.iter().find(|it| it.domain == domain).unwrap();
        (found.hot, found.observed.clone())
    };
    // Both have half of the whole, which is not above half.
    assert_eq!(seen("192.0.2.53"), (false, vec![]));
    scene.served[0].2 = 160;
    scene.ask(&[("www.example.com", "192.0.2.53", 10), ("www.example.com", "203.0.113.53", 1)]);
    scene.pass(60);
    let demand = scene.demand().unwrap();
    let hot = demand.domains.iter().find(|it| it.hot).unwrap();
    assert_eq!(hot.domain, "192.0.2.53");
    let observed = [(place("asia1"), 120.0), (place("europe1"), 10.0)];
    assert_eq!(hot.observed.len(), observed.len());
    for ((server, rate), (expected_server, expected)) in hot.observed.iter().zip(observed) {
        assert_eq!(*server, expected_server);
        assert!((rate / expected - 1.0).abs() < 0.1, "{rate} for {expected}");
    }
}

/// Reports come every second and tell of that second; rounds are every ten. What is told on is of a
/// second or two ago at first and gets ten seconds older a round; with a TTL of 30 s it is told again
/// once it is 30 s older than what is known, though it has not changed.
#[test]
fn what_crml_charges_says_how_old_it_is_and_is_told_again_after_a_ttl() {
    for (choose, told_again) in [("crml", true), ("mrl", false)] {
        let policy = format!("ttl = \"30s\"\nchoose = \"{choose}\"\nhot_share = 0.5\n");
        let text = two_services().replace("ttl = \"5s\"", &policy);
        let text = text.replace("adaptive_ttl = \"TTL/2\"\nhot_share = 0.5\n", "");
        let mut scene = Scene::of(&text);
        scene.ask(&[("www.example.com", "192.0.2.53", 10)]);
        scene.served = vec![("asia1", "192.0.2.0/24", 80)];
        scene.pass(4);
        let (plans, mut ages) = (scene.harness.plans().len(), Vec::new());
        for _ in 0..20 {
            scene.pass(1);
            ages.push(scene.demand().unwrap().observed_over_ms);
        }
        let plans = scene.harness.plans().len() - plans;
        assert_eq!(plans, if told_again { 5 } else { 0 }, "{choose}: once in four rounds");
        let told = if told_again { 1_000..=2_000 } else { 0..=0 };
        assert!(ages.iter().all(|age| told.contains(age)), "{choose}: {ages:?}");
        // A Plan for another reason: of what was told then, not of now.
        scene.pass(2);
        scene.harness.report("europe2", panic());
        scene.harness.pass(200);
        let age = scene.demand().unwrap().observed_over_ms;
        let told = if told_again { 10_000..=32_000 } else { 0..=0 };
        assert!(told.contains(&age), "{choose}: {age}");
    }
}

/// With what servers see of them, which gets older from line to line.
#[test]
fn the_journal_tells_who_asks_where_that_changed() {
    let mut scene = Scene::of(&observing().replace("ttl = \"5s\"", "ttl = \"1h\""));
    scene.ask(&[("www.example.com", "192.0.2.53", 10)]);
    scene.served = vec![("asia1", "192.0.2.0/24", 80)];
    scene.pass(4);
    let from = scene.harness.journal.len();
    scene.pass(50);
    let lines = &scene.harness.journal[from..];
    let tells = |line: &&String| line.contains("192.0.2.53");
    let told: Vec<usize> =
        lines.iter().enumerate().filter(|(_, line)| tells(line)).map(|(at, _)| at).collect();
    assert!((2..=4).contains(&told.len()), "{told:?} of {}", lines.len());
    // A journal that begins anywhere is known from a line on that tells.
    let (mut demands, mut ages) = (Demands::default(), Vec::new());
    for (at, line) in lines.iter().enumerate() {
        let mut record: JournalRecord = serde_json::from_str(line).unwrap();
        assert_eq!(demands.fill_in(&mut record), at >= told[0], "{at}");
        ages.extend(record.demand.get("www.example.com").map(|it| it.observed_over_ms));
    }
    assert_eq!(ages.len(), lines.len() - told[0]);
    let is_older = |pair: &[u64]| pair[1] == pair[0] + 10_000;
    assert!(ages.windows(2).all(is_older), "{ages:?}");
    // A line that was not written is not taken for another.
    let mut demands = Demands::default();
    let mut record: JournalRecord = serde_json::from_str(&lines[told[0]]).unwrap();
    record.now = crate::world::Time::from_millis(7);
    assert!(demands.fill_in(&mut record));
    let mut record: JournalRecord = serde_json::from_str(&lines[told[0] + 1]).unwrap();
    assert!(!demands.fill_in(&mut record) && record.demand.is_empty());
}

#[test]
fn what_servers_see_is_told_only_to_whom_it_matters() {
    for (text, is_told) in [(two_services(), false), (observing(), true)] {
        let mut scene = Scene::of(&text);
        scene.ask(&[("www.example.com", "192.0.2.53", 10)]);
        scene.served = vec![("asia1", "192.0.2.0/24", 80)];
        scene.pass(4);
        let demand = scene.demand().unwrap();
        assert!(demand.domains[0].hot);
        assert_eq!(!demand.domains[0].observed.is_empty(), is_told);
    }
}

/// Reports go on, but tell of no requests any more.
#[test]
fn requests_of_which_nothing_is_told_are_soon_unseen_and_fade() {
    let mut scene = Scene::of(&observing());
    scene.answered = vec![("www.example.com", "asia1", 30)];
    scene.ask(&[("www.example.com", "192.0.2.53", 10), ("www.example.com", "203.0.113.53", 10)]);
    scene.served = vec![("asia1", "192.0.2.0/24", 80)];
    scene.pass(4);
    assert!(!scene.demand().unwrap().domains[0].hot);
    let rate = |scene: &Scene, domain: &str| {
        scene.domains().iter().find(|it| it.0 == domain).map_or(0.0, |it| it.1)
    };
    let observed = |scene: &Scene| {
        scene.demand().unwrap().domains.iter().map(|it| it.observed.len()).sum::<usize>()
    };
    assert_eq!((rate(&scene, "192.0.2.53"), observed(&scene)), (80.0, 0), "none is hot");
    scene.served[0].2 = 800;
    scene.ask(&[("www.example.com", "192.0.2.53", 10), ("www.example.com", "203.0.113.53", 1)]);
    scene.pass(12);
    let before = rate(&scene, "192.0.2.53");
    assert!(before > 600.0 && observed(&scene) == 1, "{:?}", scene.demand());
    scene.without_log = vec!["asia1"];
    scene.pass(2);
    assert_eq!(observed(&scene), 0, "two intervals are long over");
    let soon = rate(&scene, "192.0.2.53");
    assert!(soon > 0.5 * before, "{soon} of {before}");
    scene.pass(12);
    let later = rate(&scene, "192.0.2.53");
    assert!((0.05..0.3).contains(&(later / before)), "{later} of {before}");
    scene.pass(120);
    assert_eq!(scene.domains()[0], ("192.0.2.53".to_owned(), 1.0, true), "queries are left");
    assert_eq!(scene.harness.status().servers[0].condition.life, crate::world::Life::Living);
}

/// A resolver may tell more of a client than anybody looks at when it asks again.
#[test]
fn clients_are_named_as_far_as_answers_look_for_them() {
    let mut scene = Scene::new();
    scene.ask(&[
        ("www.example.com", "2001:db8:1:2::/64", 10),
        ("www.example.com", "2001:db8:1:3::/64", 20),
        ("www.example.com", "198.51.100.128/25", 40),
        ("www.example.com", "192.0.2.53", 80),
    ]);
    scene.pass(4);
    let named: Vec<_> = scene.domains().into_iter().map(|it| (it.0, it.1)).collect();
    let expected = [("192.0.2.53", 8.0), ("198.51.100.0/24", 4.0), ("2001:db8:1::/56", 3.0)];
    assert_eq!(named, expected.map(|(domain, rate)| (domain.to_owned(), rate)));
}

#[test]
fn demand_is_replayed_and_survives_a_restart() {
    let mut scene = Scene::new();
    scene.ask(&[("www.example.com", "192.0.2.53", 333), ("www.example.com", "10.0.0.1", 77)]);
    scene.served = vec![("asia1", "192.0.2.0/24", 80)];
    scene.pass(4);
    scene.served[0].2 = 400;
    scene.pass(4);
    let (harness, configuration) = (&scene.harness, &scene.harness.configuration);
    let plans = harness.plans();
    let mut replayed = 0;
    let mut demands = Demands::default();
    for line in &harness.journal {
        let (topology, digest) = (&configuration.topology, &configuration.digest);
        let plan = replay(line, &mut demands, topology, digest).unwrap();
        if !line.contains("\"published\":true") {
            continue;
        }
        let original = plans.iter().find(|(_, it)| it.number == plan.number).unwrap();
        assert_eq!(*original.1, plan);
        replayed += usize::from(plan.services.iter().any(|service| service.demand.is_some()));
    }
    assert!(replayed >= 3, "{replayed}");
    let stored = crate::control::Stored { plan: Some(harness.plan()), ..Default::default() };
    let text = two_services();
    let again = Harness::start(&text, stored);
    let demand = |plan: &crate::plan::Plan| -> Vec<(String, f64)> {
        let demand = plan.services.iter().find_map(|service| service.demand.clone()).unwrap();
        demand.domains.into_iter().map(|it| (it.domain, it.rate)).collect()
    };
    assert_eq!(demand(&again.plan()), demand(&harness.plan()));
    assert!(again.number() > harness.number());
}

/// One Director of several speaks first, of queries; a minute later servers have spoken, too.
#[test]
fn the_stored_demand_holds_for_a_minute_and_ends_if_nobody_speaks() {
    let mut scene = Scene::new();
    scene.ask(&[("www.example.com", "192.0.2.53", 10), ("www.example.com", "198.51.100.53", 10)]);
    scene.served = vec![("asia1", "192.0.2.0/24", 80)];
    scene.pass(4);
    let before = scene.domains();
    assert_eq!(before[0].1, before[1].1);
    let stored = crate::control::Stored { plan: Some(scene.harness.plan()), ..Default::default() };
    let restart = || {
        let mut again = Scene::new();
        again.harness = Harness::start(&two_services(), stored.clone());
        again.harness.all_report(&busy(0.5));
        again
    };
    let mut again = restart();
    again.ask(&[("www.example.com", "203.0.113.53", 10)]);
    again.pass(5);
    assert_eq!(again.domains(), before);
    again.pass(2);
    assert_eq!(again.domains(), [("203.0.113.53".to_owned(), 1.0, true)]);
    let mut silent = restart();
    silent.harness.pass(590_000);
    assert_eq!(silent.domains(), before);
    silent.harness.pass(20_000);
    assert_eq!(silent.demand(), None);
}

/// Whoever keeps an answer for four minutes need not have spoken before.
#[test]
fn the_stored_demand_holds_for_a_ttl_and_through_a_reload() {
    let text = |rest: &str| two_services_of(240) + rest;
    let mut scene = Scene::of(&text(""));
    scene.ask(&[("www.example.com", "192.0.2.53", 10), ("www.example.com", "198.51.100.53", 10)]);
    scene.pass(4);
    let before = scene.domains();
    let stored = crate::control::Stored { plan: Some(scene.harness.plan()), ..Default::default() };
    let mut again = Scene::of(&text(""));
    again.harness = Harness::start(&text(""), stored);
    again.harness.all_report(&busy(0.5));
    again.ask(&[("www.example.com", "203.0.113.53", 10)]);
    again.pass(5);
    assert_eq!(again.domains(), before);
    let next = configuration(&text("[[area]]\nname = \"moon\"\nclients = [\"10.9.0.0/16\"]\n"));
    let now = again.harness.now;
    again.harness.controller.reconfigure(now, next.clone(), digests(&next));
    again.pass(14);
    assert_eq!(again.domains(), before);
    again.pass(8);
    assert_eq!(again.domains().len(), 1);
    assert_eq!(again.domains()[0].0, "203.0.113.53");
}

#[test]
fn a_flood_of_domains_stays_bounded_and_hides_nobody() {
    let mut scene = Scene::new();
    for round in 0..6_u32 {
        let mut asked: Vec<_> = (0..20_000_u32)
            .map(|index| {
                let address = std::net::Ipv4Addr::from_bits((round * 20_000 + index) << 4);
                ("www.example.com", address.to_string(), 1)
            })
            .collect();
        asked.push(("www.example.com", "not an address".to_owned(), 5));
        asked.push(("www.example.com", "2001:db8::53".to_owned(), 30_000));
        scene.asked = asked;
        scene.pass(1);
    }
    let demand = scene.demand().unwrap();
    assert_eq!(demand.domains.len(), ServiceDemand::DOMAINS_MAX);
    let first = &demand.domains[0];
    assert_eq!((first.domain.as_str(), first.rate, first.hot), ("2001:db8::53", 3000.0, true));
    assert!((4_900.0..=5_100.0).contains(&demand.rate), "{}", demand.rate);
}

#[test]
fn odd_requests_are_refused_with_a_reason_and_change_nothing() {
    let mut scene = Scene::new();
    let before = scene.harness.status();
    let requests = |duration_ms, domain: &str| RequestCounts {
        duration_ms,
        domains: vec![count(domain, 7)],
        rest: 0,
    };
    for (requests, refusal) in [
        (requests(0, "192.0.2.0/24"), Refusal::RequestsDuration(0)),
        (requests(1000, "example.com"), Refusal::NoPrefix("example.com".to_owned())),
    ] {
        let report = scene.harness.make_report(
            &name("asia1"),
            ReportBody::Panic { reason: "not to be taken in".to_owned() },
        );
        let report = crate::world::Report { session: 9, requests: Some(requests), ..report };
        assert_eq!(scene.harness.input(Input::Report(report)), Err(refusal));
    }
    let after = scene.harness.status();
    assert_eq!(after.servers, before.servers);
    assert_eq!(after.counters.reports_refused, before.counters.reports_refused + 2);
}

#[test]
fn a_backlog_is_what_a_reporter_counts() {
    let mut scene = Scene::new();
    let ReportBody::Statistics(statistics) = busy(0.9) else { panic!("no statistics") };
    let statistics = crate::world::Statistics { busy: Some(37), ..statistics };
    scene.harness.reporters.insert(name("asia1"), ReportBody::Statistics(statistics));
    scene.harness.pass(20_000);
    let backlogs: Vec<_> = scene.harness.plan().servers.iter().map(|it| it.backlog).collect();
    assert_eq!(backlogs, [Some(37), None, None, None]);
    let before = scene.harness.number();
    let ReportBody::Statistics(statistics) = busy(0.9) else { panic!("no statistics") };
    let statistics = crate::world::Statistics { busy: Some(100), ..statistics };
    scene.harness.reporters.insert(name("asia1"), ReportBody::Statistics(statistics));
    scene.harness.pass(20_000);
    assert_eq!(scene.harness.number(), before, "no service weighs it");
}
