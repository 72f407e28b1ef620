//! What the threads counted, put together into an observation.

use std::collections::BTreeMap;

use walrus_core::world::{DomainCount, Name, Observation, ServiceCounts, Time};

use crate::domains::Domain;
use crate::serving::{Serving, Tally};

/// Counts since the last observation, by name: they may come from several tables.
pub(crate) struct Gathering {
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
}

impl Gathering {
    pub(crate) const fn new(session: u64, now: Time) -> Self {
        Self { session, sequence: 0, since: now, services: BTreeMap::new() }
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
            let gathered = self.services.entry(service_name(name)).or_default();
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
            let gathered = self.services.entry(service_name(name)).or_default();
            let (count, error) = gathered.domains.entry(counted.domain).or_default();
            *count += counted.count;
            *error += counted.error;
        }
    }

    /// Tells what was gathered and begins anew, with at most so many domains a service.
    pub(crate) fn finish(&mut self, now: Time, domains_max: usize) -> Observation {
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
                .map(|(service, gathered)| gathered.told(service, domains_max))
                .collect(),
        }
    }
}

impl Gathered {
    fn told(self, service: String, domains_max: usize) -> ServiceCounts {
        let mut domains: Vec<_> = self.domains.into_iter().collect();
        domains.sort_by_key(|(domain, (count, _))| (std::cmp::Reverse(*count), *domain));
        let rest = domains.iter().skip(domains_max).map(|(_, (count, _))| count).sum();
        domains.truncate(domains_max);
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
            rest,
        }
    }
}

/// As observations and Plans write it: lower case, without the last dot.
pub(crate) fn service_name(name: &walrus_dns::DomainName) -> String {
    let text = name.to_string();
    match text.strip_suffix('.') {
        Some(short) if !short.is_empty() => short.to_owned(),
        _ => text,
    }
}
