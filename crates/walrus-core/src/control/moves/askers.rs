//! Who asks for each service of late, and how much, in bounded memory.

use std::collections::BTreeMap;
use std::time::Duration;

use super::waiting::{WAITED_MAX, Waits};
use crate::control::demand::kept_after;
use crate::plan::ServiceDemand;
use crate::world::Time;

/// So many domains are kept of a service, those that ask most.
pub(super) const DOMAINS_MAX: usize = 256;

/// So many services are kept.
const SERVICES_MAX: usize = 128;

/// Rates are averaged over about so long.
const AVERAGED_OVER: Duration = Duration::from_secs(300);

/// By service and domain.
#[derive(Clone, Debug, Default)]
pub(super) struct Askers {
    services: BTreeMap<String, Asked>,
}

/// Who asks for one service.
#[derive(Clone, Debug, Default)]
struct Asked {
    domains: BTreeMap<String, Asker>,
    last: Time,
}

#[derive(Clone, Copy, Debug)]
struct Asker {
    /// Queries a second.
    rate: f64,
    last: Time,
    /// From one query to the next, on average; `None` before the second observation that tells of it.
    interval: Option<Duration>,
}

impl Asker {
    fn now(&self, now: Time) -> f64 {
        self.rate * kept_after(now.since(self.last), AVERAGED_OVER)
    }
}

impl Askers {
    /// A domain asked so often in the time that a Director tells of.
    pub(super) fn asked(
        &mut self,
        service: &str,
        domain: &str,
        queries: u64,
        covered: Duration,
        now: Time,
    ) {
        if !self.services.contains_key(service) && !self.make_room(now) {
            return;
        }
        let asked = self.services.entry(service.to_owned()).or_default();
        asked.last = now;
        let domains = &mut asked.domains;
        if !domains.contains_key(domain) && domains.len() >= DOMAINS_MAX {
            let least = domains.iter().min_by(|a, b| a.1.now(now).total_cmp(&b.1.now(now)));
            if let Some(least) = least.map(|(domain, _)| domain.clone()) {
                domains.remove(&least);
            }
        }
        let seconds = covered.as_secs_f64().max(1e-3);
        let part = 1.0 - kept_after(covered.max(Duration::from_millis(1)), AVERAGED_OVER);
        let known = domains.get(domain).map(|asker| (now.since(asker.last), asker.interval));
        let new = Asker { rate: 0.0, last: now, interval: None };
        let asker = domains.entry(domain.to_owned()).or_insert(new);
        if let Some((gap, interval)) = known {
            let found = gap.div_f64(queries.max(1) as f64);
            asker.interval = Some(interval.map_or(found, |before| (before + found) / 2));
        }
        asker.rate = asker.now(now) + part * queries as f64 / seconds;
        asker.last = now;
    }

    /// Whether there is room for one more service; what nobody asked for of late makes way.
    fn make_room(&mut self, now: Time) -> bool {
        if self.services.len() >= SERVICES_MAX {
            self.services.retain(|_, asked| now.since(asked.last) < AVERAGED_OVER);
        }
        self.services.len() < SERVICES_MAX
    }

    /// Those that may still have an answer, each with its weight: what is known of its requests, else how often it asks.
    /// Whoever was not heard for two TTLs, or two intervals of its own, has none.
    pub(super) fn active(
        &self,
        service: &str,
        ttl: Duration,
        now: Time,
        demand: Option<&ServiceDemand>,
    ) -> BTreeMap<String, Waits> {
        let named = demand.into_iter().flat_map(|demand| &demand.domains);
        let demand: BTreeMap<&str, f64> =
            named.map(|domain| (domain.domain.as_str(), domain.rate)).collect();
        let recent = |asker: &Asker| {
            let usual = asker.interval.map_or(ttl, |interval| interval.max(ttl)).min(WAITED_MAX);
            usual.saturating_mul(2).max(Duration::from_secs(60))
        };
        let domains = self.services.get(service).into_iter().flat_map(|asked| &asked.domains);
        let active = domains.filter(|(_, asker)| now.since(asker.last) <= recent(asker));
        let waits = |(domain, asker): (&String, &Asker)| {
            let weight = demand.get(domain.as_str()).copied().unwrap_or_else(|| asker.now(now));
            let waits = Waits { weight, asked: asker.last, interval: asker.interval };
            (weight.is_finite() && weight > 0.0).then(|| (domain.clone(), waits))
        };
        active.filter_map(waits).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_are_kept() {
        let mut askers = Askers::default();
        let second = Duration::from_secs(1);
        for round in 1..20_u64 {
            for domain in 0..2 * DOMAINS_MAX as u64 {
                let queries = if domain < 100 { 50 } else { 1 };
                let name = format!("10.0.{domain}");
                askers.asked("a", &name, queries, second, Time::from_secs(round));
            }
        }
        let active = askers.active("a", second, Time::from_secs(20), None);
        assert_eq!(active.len(), DOMAINS_MAX);
        assert!((0..100).all(|domain| active.contains_key(&format!("10.0.{domain}"))));
        assert!(askers.active("a", second, Time::from_secs(200), None).is_empty());
        for service in 0..1000 {
            askers.asked(&service.to_string(), "10.0.0.1", 1, second, Time::from_secs(30));
        }
        assert_eq!(askers.services.len(), SERVICES_MAX);
        askers.asked("new", "10.0.0.1", 1, second, Time::from_secs(40));
        assert!(!askers.services.contains_key("new"), "all others are asked for");
        askers.asked("1", "10.0.0.1", 1, second, Time::from_secs(300));
        askers.asked("new", "10.0.0.1", 1, second, Time::from_secs(400));
        let left: Vec<&str> = askers.services.keys().map(String::as_str).collect();
        assert_eq!(left, ["1", "new"], "what nobody asks for makes way");
    }
}
