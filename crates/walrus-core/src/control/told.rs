//! Who asks for services, as Plans tell it: what the stored Plan said, what was worth telling since,
//! and how old that is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::demand::Demand;
use super::publish::{is_observed_too_long_ago, is_worth_telling};
use crate::plan::{Plan, ServiceDemand};
use crate::world::{Service, Time, Topology};

/// How much older what servers observed is taken for than a stored Plan says: a day.
const UNKNOWN_AGE_MS: u64 = 24 * 3600 * 1000;

/// After a start, what the stored Plan says of who asks holds for so long, or for a TTL if that is longer (but no
/// longer than [`STORED_FORGOTTEN`]):
/// who speaks first may be one Director of many, may speak of queries before any server speaks of requests,
/// and speaks of those alone whose answers have ended.
const STORED_HOLDS: Duration = Duration::from_secs(60);

/// Nobody speaks of who asks: after so long the stored Plan says nothing of it any more.
const STORED_FORGOTTEN: Duration = Duration::from_secs(600);

/// What Plans tell of who asks for services that want to know.
#[derive(Clone, Debug)]
pub(super) struct ToldDemand {
    by_service: BTreeMap<String, ServiceDemand>,
    started: Time,
    /// Services whose demand is still the stored Plan's.
    stored: BTreeSet<String>,
    /// When what was told was as old as it says.
    aged_at: Time,
    /// It says the same as in the Plan in force, but of a later time that is worth a Plan.
    told_again: bool,
}

impl ToldDemand {
    /// As the stored Plan tells it. Nobody knows how old that is.
    pub(super) fn new(stored: Option<&Plan>, now: Time) -> Self {
        let services = stored.into_iter().flat_map(|plan| &plan.services);
        let told = services.filter_map(|service| Some((&service.name, service.demand.clone()?)));
        let aged = told.map(|(name, mut demand)| {
            demand.age(UNKNOWN_AGE_MS);
            (name.clone(), demand)
        });
        let by_service: BTreeMap<String, ServiceDemand> = aged.collect();
        let stored = by_service.keys().cloned().collect();
        Self { by_service, started: now, stored, aged_at: now, told_again: false }
    }

    /// By service, as the next Plan says it.
    pub(super) const fn by_service(&self) -> &BTreeMap<String, ServiceDemand> {
        &self.by_service
    }

    /// Whether what servers observe is told again, once.
    pub(super) const fn take_told_again(&mut self) -> bool {
        std::mem::replace(&mut self.told_again, false)
    }

    /// What was told gets older while it is told on.
    pub(super) fn age(&mut self, now: Time) {
        let passed = now.since(std::mem::replace(&mut self.aged_at, now));
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        self.by_service.values_mut().for_each(|demand| demand.age(millis));
    }

    /// Reckons who asks, and takes over what is worth telling.
    pub(super) fn renew(&mut self, demand: &mut Demand, topology: &Topology, now: Time) {
        let since_start = now.since(self.started);
        if !demand.knows_domains() {
            if since_start >= STORED_FORGOTTEN {
                self.by_service.clear();
            }
            return;
        }
        self.forget_stored(topology, now);
        let mut fresh = demand.by_domain(topology, &self.by_service, now);
        fresh.retain(|service, _| !self.stored.contains(service));
        let stored = &self.stored;
        self.by_service.retain(|name, _| fresh.contains_key(name) || stored.contains(name));
        for (name, demand) in fresh {
            let told = self.by_service.get(&name);
            let is_told_again = told.is_some_and(|told| {
                let service = service_of(topology, &name);
                service.is_some_and(|of| is_observed_too_long_ago(of, told, &demand))
            });
            self.told_again |= is_told_again;
            if is_told_again || told.is_none_or(|told| is_worth_telling(told, &demand)) {
                self.by_service.insert(name, demand);
            }
        }
    }

    /// The same for a topology that changed, where servers have other places. What was not yet heard
    /// of since the start is told on as the stored Plan has it.
    pub(super) fn renew_all(&mut self, demand: &mut Demand, topology: &Topology, now: Time) {
        let wants = |name: &str| service_of(topology, name).is_some_and(Service::wants_demand);
        self.by_service.retain(|name, _| wants(name));
        self.stored.retain(|name| wants(name));
        self.aged_at = now;
        let fresh = if demand.knows_domains() {
            self.forget_stored(topology, now);
            demand.by_domain(topology, &self.by_service, now)
        } else {
            BTreeMap::new()
        };
        self.by_service.retain(|name, _| self.stored.contains(name));
        for demand in self.by_service.values_mut() {
            demand.domains.iter_mut().for_each(|domain| domain.observed.clear());
            demand.observed_over_ms = 0;
        }
        for (name, demand) in fresh {
            self.by_service.entry(name).or_insert(demand);
        }
    }

    /// What has been stored for long enough does not hold any more.
    fn forget_stored(&mut self, topology: &Topology, now: Time) {
        let since_start = now.since(self.started);
        self.stored.retain(|name| {
            let ttl = service_of(topology, name).map_or(0, |service| service.ttl.seconds_mean());
            let ttl = Duration::from_secs(ttl.into());
            since_start < STORED_HOLDS.max(ttl.min(STORED_FORGOTTEN))
        });
    }
}

fn service_of<'a>(topology: &'a Topology, name: &str) -> Option<&'a Service> {
    let id = topology.service(&name.parse().ok()?)?;
    topology.services.get(id.index())
}
