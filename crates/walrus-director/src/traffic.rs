//! What went through the name server, for metrics and for whoever looks inside.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use walrus_core::world::Time;

use crate::counters::CounterSnapshot;
use crate::latency::Latency;
use crate::recent::{Recent, RecentGathering};
use crate::replies::Replies;
use crate::serving::{Serving, Tally};

/// Pairs of a service with an area or a server that are counted apart: each is a series in
/// whatever stores the metrics. Those that come after so many count as [`OTHER`], for good, so
/// that no count ever falls.
const PAIRS_MAX: usize = 4_096;

/// No service, area or server can have this name.
const OTHER: &str = "(other)";

/// What went through the name server. Counts are since its start.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// When, by the Director's clock.
    pub at: Time,
    /// Counters of all threads.
    pub counters: CounterSnapshot,
    /// Replies by transport, type and code.
    pub replies: Replies,
    /// How long answers by UDP took.
    pub latency: Latency,
    /// Services that were asked for, in the order of names.
    pub services: Vec<ServiceTraffic>,
    /// What was asked of late.
    pub recent: Recent,
}

/// What went through one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceTraffic {
    /// Its name, or `(other)`: see the bound on what is counted apart.
    pub service: String,
    /// Queries by the area that their clients were taken to be in.
    pub areas: Vec<(String, u64)>,
    /// How often each server came first in an answer.
    pub servers: Vec<(String, u64)>,
}

/// What is kept between two looks.
pub(crate) struct TrafficGathering {
    totals: BTreeMap<String, ServiceTotals>,
    pairs_max: usize,
    pairs: usize,
    pub(crate) recent: RecentGathering,
    /// The last that was told, and when.
    pub(crate) told: Option<(Instant, Arc<Traffic>)>,
}

#[derive(Default)]
struct ServiceTotals {
    areas: BTreeMap<String, u64>,
    servers: BTreeMap<String, u64>,
}

impl TrafficGathering {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            totals: BTreeMap::new(),
            pairs_max: PAIRS_MAX,
            pairs: 0,
            recent: RecentGathering::new(now),
            told: None,
        }
    }

    /// Adds what one thread counted under one table.
    pub(crate) fn add(&mut self, serving: &Serving, tally: &Tally) {
        self.recent.add(serving, tally);
        let table = &serving.table;
        let servers = table.plan().map_or(&[][..], |plan| &plan.servers);
        for (number, service) in (0_u32..).zip(table.services()) {
            let areas = tally.counters.areas(number);
            if areas.iter().all(|count| *count == 0) {
                continue;
            }
            let service = service.to_string();
            for (area, count) in table.areas().iter().zip(areas).filter(|(_, count)| **count > 0) {
                self.count(&service, area.as_str(), *count, |totals| &mut totals.areas);
            }
            for (place, count) in tally.counters.servers(number) {
                if let Some(server) = servers.get(place as usize) {
                    let name = server.name.as_str();
                    self.count(&service, name, count, |totals| &mut totals.servers);
                }
            }
        }
    }

    fn count(
        &mut self,
        service: &str,
        name: &str,
        count: u64,
        part: fn(&mut ServiceTotals) -> &mut BTreeMap<String, u64>,
    ) {
        let known = self.totals.get_mut(service).and_then(|totals| part(totals).get_mut(name));
        if let Some(sum) = known {
            *sum += count;
            return;
        }
        let is_room = self.pairs < self.pairs_max;
        self.pairs += usize::from(is_room);
        let (service, name) = if is_room { (service, name) } else { (OTHER, OTHER) };
        let totals = self.totals.entry(service.to_owned()).or_default();
        *part(totals).entry(name.to_owned()).or_default() += count;
    }

    /// Services that were asked for, in the order of names.
    pub(crate) fn services(&self) -> Vec<ServiceTraffic> {
        let pairs = |counts: &BTreeMap<String, u64>| {
            counts.iter().map(|(name, count)| (name.clone(), *count)).collect()
        };
        let service = |(service, totals): (&String, &ServiceTotals)| ServiceTraffic {
            service: service.clone(),
            areas: pairs(&totals.areas),
            servers: pairs(&totals.servers),
        };
        self.totals.iter().map(service).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use walrus_core::answer::{AnswerTable, Decision, Transport};
    use walrus_core::map::Map;
    use walrus_core::world::Generator;

    use super::*;
    use crate::answering::Incoming;
    use crate::director::tests::zone_table;
    use crate::domains::Domain;
    use crate::fixture::{query, topology};
    use crate::sample::Sampled;

    fn serving() -> Serving {
        let topology = topology();
        let map = Arc::new(Map::build(&topology, &[]).unwrap());
        let zones = Arc::new(zone_table(&topology));
        Serving::new(AnswerTable::new(zones, map, &topology), 1, 10)
    }

    /// Counts an answer as an answering thread does.
    fn answer(tally: &mut Tally, generator: &mut Generator, name: &str, client: u32, at: Time) {
        let client = IpAddr::V4(client.into());
        tally.domains.add(0, Domain::of(None, client));
        if tally.sample.takes_this() {
            let query = query(1, name, None);
            let local = ([127, 0, 0, 1], 53).into();
            let transport = Transport::Udp;
            let incoming = Incoming { query: &query, client, local, transport };
            let sampled = Sampled::new(at, &incoming, &Decision::default());
            tally.sample.take(sampled, generator);
        }
    }

    #[test]
    fn pairs_beyond_the_bound_count_together_and_no_count_falls() {
        let mut gathering = TrafficGathering::new(Time::ZERO);
        gathering.pairs_max = 3;
        for _ in 0..2 {
            for area in ["a", "b", "c", "d", "e"] {
                gathering.count("www.example.com", area, 1, |totals| &mut totals.areas);
            }
        }
        gathering.count("mail.example.com", "one", 5, |totals| &mut totals.servers);
        let services = gathering.services();
        assert_eq!(services.len(), 2, "{services:?}");
        assert_eq!(services[0].areas, [("(other)".to_owned(), 4)]);
        assert_eq!(services[0].servers, [("(other)".to_owned(), 5)]);
        let kept = ["a", "b", "c"].map(|area| (area.to_owned(), 2));
        assert_eq!(services[1].areas, kept);
    }

    #[test]
    fn the_heaviest_name_is_found_in_a_flood_of_names_that_do_not_exist() {
        let serving = serving();
        for seed in 1..=5 {
            let mut generator = Generator::new(seed);
            let mut gathering = TrafficGathering::new(Time::ZERO);
            let mut now = Time::ZERO;
            for second in 0..8_u32 {
                let mut tally = Tally::new(&serving.table, 10);
                for number in 0..20_000_u32 {
                    let (name, client) = match number % 10 {
                        0 | 1 => ("www.walrus.example".to_owned(), 1),
                        2 => ("ns1.walrus.example".to_owned(), 2),
                        _ => (format!("{second}-{number}.walrus.example"), 1_000 + number),
                    };
                    answer(&mut tally, &mut generator, &name, client, now);
                }
                now += Duration::from_secs(1);
                gathering.add(&serving, &tally);
                gathering.recent.turn(now, true);
            }
            let recent = gathering.recent.told();
            assert_eq!((recent.answers, recent.duration.as_secs()), (160_000, 8));
            assert_eq!(recent.sampled, 8 * crate::sample::KEPT_MAX as u64);
            let near = |heavy: &crate::recent::Heavy, what: &str, share: f64| {
                let found = heavy.queries / recent.answers as f64;
                assert_eq!(heavy.what, what, "seed {seed}");
                assert!((found - share).abs() < 0.03, "{what}: {found}, seed {seed}");
            };
            near(&recent.names[0], "www.walrus.example", 0.2);
            near(&recent.names[1], "ns1.walrus.example", 0.1);
            near(&recent.resolvers[0], "0.0.0.1", 0.2);
            near(&recent.domains[0], "0.0.0.1", 0.2);
            assert_eq!((recent.domains_queries, recent.domains_duration.as_secs()), (160_000, 8));
        }
    }

    #[test]
    fn what_was_heavy_a_while_ago_is_forgotten() {
        let (serving, mut generator) = (serving(), Generator::new(1));
        let mut gathering = TrafficGathering::new(Time::ZERO);
        let mut now = Time::ZERO;
        for second in 0..40 {
            let mut tally = Tally::new(&serving.table, 10);
            let name = if second < 5 { "old.walrus.example" } else { "new.walrus.example" };
            (0..100).for_each(|_| answer(&mut tally, &mut generator, name, 1, now));
            now += Duration::from_secs(1);
            gathering.add(&serving, &tally);
            gathering.recent.turn(now, false);
            let recent = gathering.recent.told();
            assert_eq!(recent.answers, 100 * recent.duration.as_secs(), "what a rate is made of");
            assert!(recent.duration.as_secs() <= 20);
        }
        let recent = gathering.recent.told();
        let names: Vec<_> = recent.names.iter().map(|heavy| heavy.what.as_str()).collect();
        assert_eq!(names, ["new.walrus.example"]);
        assert_eq!(recent.decisions.len(), 100);
        assert_eq!(recent.decisions[0].at, Time::from_secs(39), "the last first");
        assert!(recent.decisions.is_sorted_by_key(|decision| std::cmp::Reverse(decision.at)));
    }
}
