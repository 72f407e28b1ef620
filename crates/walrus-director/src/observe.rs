//! What the threads counted, put together into an observation.

use std::collections::BTreeMap;

use walrus_core::world::{DomainCount, Name, Observation, ServiceCounts, Time};

use crate::domains::Domain;
use crate::serving::{Serving, Tally};

/// Domains of all services that wait to be told, about 32 MiB. Beyond it only the heaviest of each
/// service stay: many Plans may come between two observations, each with other domains.
const DOMAINS_WAITING_MAX: usize = 1 << 18;

/// Counts since the last observation, by name: they may come from several tables.
pub(crate) struct Gathering {
    /// Domains of a service that are told.
    domains_max: usize,
    domains_waiting_max: usize,
    session: u64,
    sequence: u64,
    since: Time,
    services: BTreeMap<String, Gathered>,
}

#[derive(Default)]
struct Gathered {
    areas: BTreeMap<Name, u64>,
    servers: BTreeMap<Name, u64>,
    /// Count and error.
    domains: BTreeMap<Domain, (u64, u64)>,
    /// Queries of all other domains.
    rest: u64,
}

impl Gathering {
    /// Tells at most so many domains a service.
    pub(crate) const fn new(session: u64, now: Time, domains_max: usize) -> Self {
        Self {
            domains_max,
            domains_waiting_max: DOMAINS_WAITING_MAX,
            session,
            sequence: 0,
            since: now,
            services: BTreeMap::new(),
        }
    }

    /// Adds what one thread counted under one table.
    pub(crate) fn add(&mut self, serving: &Serving, tally: &Tally) {
        let table = &serving.table;
        let servers = table.plan().map_or(&[][..], |plan| &plan.servers);
        for (number, name) in (0_u32..).zip(table.services()) {
            let areas = tally.counters.areas(number);
            if areas.iter().all(|count| *count == 0) {
                continue;
            }
            let gathered = self.services.entry(name.to_string()).or_default();
            for (area, count) in table.areas().iter().zip(areas).filter(|(_, count)| **count > 0) {
                *gathered.areas.entry(area.clone()).or_default() += count;
            }
            for (place, count) in tally.counters.servers(number) {
                if let Some(server) = servers.get(place as usize) {
                    *gathered.servers.entry(server.name.clone()).or_default() += count;
                }
            }
        }
        for counted in tally.domains.iter() {
            let Some(name) = table.services().get(counted.service as usize) else { continue };
            let gathered = self.services.entry(name.to_string()).or_default();
            let (count, error) = gathered.domains.entry(counted.domain).or_default();
            *count += counted.count;
            *error += counted.error;
        }
        if self.domains_waiting() > self.domains_waiting_max {
            self.services.values_mut().for_each(|gathered| gathered.keep(self.domains_max));
        }
    }

    fn domains_waiting(&self) -> usize {
        self.services.values().map(|gathered| gathered.domains.len()).sum()
    }

    /// Tells what was gathered and begins anew.
    pub(crate) fn finish(&mut self, now: Time) -> Observation {
        self.sequence += 1;
        let duration = now.since(self.since);
        self.since = now;
        let services = std::mem::take(&mut self.services);
        Observation {
            session: self.session,
            sequence: self.sequence,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            services: services
                .into_iter()
                .map(|(service, gathered)| gathered.told(service, self.domains_max))
                .collect(),
        }
    }
}

impl Gathered {
    /// Keeps the heaviest domains, heaviest first; the others' queries become the rest.
    fn keep_heaviest(&mut self, domains_max: usize) -> Vec<(Domain, (u64, u64))> {
        let mut domains: Vec<_> = std::mem::take(&mut self.domains).into_iter().collect();
        domains.sort_by_key(|(domain, (count, _))| (std::cmp::Reverse(*count), *domain));
        self.rest += domains.iter().skip(domains_max).map(|(_, (count, _))| count).sum::<u64>();
        domains.truncate(domains_max);
        domains
    }

    fn keep(&mut self, domains_max: usize) {
        self.domains = self.keep_heaviest(domains_max).into_iter().collect();
    }

    fn told(mut self, service: String, domains_max: usize) -> ServiceCounts {
        let domains = self.keep_heaviest(domains_max);
        ServiceCounts {
            service,
            areas: self.areas.into_iter().collect(),
            servers: self.servers.into_iter().collect(),
            domains: domains
                .into_iter()
                .map(|(domain, (queries, error))| DomainCount {
                    domain: domain.to_string(),
                    queries,
                    error,
                })
                .collect(),
            rest: self.rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use walrus_core::answer::AnswerTable;
    use walrus_core::map::Map;

    use super::*;
    use crate::director::tests::zone_table;
    use crate::fixture::topology;

    #[test]
    fn what_waits_to_be_told_is_bounded_and_no_query_is_lost() {
        let mut gathering = Gathering::new(1, Time::ZERO, 10);
        gathering.domains_waiting_max = 100;
        let topology = topology();
        let map = Arc::new(Map::build(&topology, &[]).unwrap());
        let zones = Arc::new(zone_table(&topology));
        let serving = Serving::new(AnswerTable::new(zones, map, &topology), 1, 10);
        let heavy = IpAddr::from([192, 0, 2, 1]);
        for plan in 0..50_u32 {
            let mut tally = Tally::new(&serving.table, 10);
            (0..5).for_each(|_| tally.domains.add(0, Domain::of(None, heavy)));
            for other in 0..15 {
                let other = IpAddr::V4((plan * 100 + other).into());
                tally.domains.add(0, Domain::of(None, other));
            }
            gathering.add(&serving, &tally);
            assert!(gathering.domains_waiting() <= 100);
        }
        let told = gathering.finish(Time::ZERO).services.remove(0);
        assert_eq!((told.domains.len(), told.domains[0].domain.as_str()), (10, "192.0.2.1"));
        let queries: u64 = told.domains.iter().map(|counted| counted.queries).sum();
        assert_eq!(queries + told.rest, 50 * 20);
    }
}
