//! How many queries a second one Director gets for each (service, area).
//!
//! A rate is a moving average over a minute or three of the Director's intervals, so that one odd interval does not
//! make an area the worst (A3), and over a TTL of the service: caches ask once a TTL, and what an area
//! brings along is told by these rates. It grows to that from the first word on, as of domains ([`super::rates`]), but not to three
//! TTLs: an area has more resolvers than one, and who waits for so long learns of a flash crowd too late (with
//! TTLs of a minute `stable` lost 5 % of the pages instead of 3).
//! A Director that falls silent is forgotten with its rates after three of its intervals, and after a minute at least.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rates::{averaged_over, weight};
use crate::world::{AreaId, ServiceId, Time};

/// A Director's rates are forgotten after this at the soonest.
const RATES_FORGOTTEN_MIN: Duration = Duration::from_secs(60);

/// One Director's rates.
#[derive(Clone, Debug)]
pub(super) struct AreaRates {
    end: Time,
    /// Since when there are rates without a break, and the last word.
    heard: Option<(Time, Time)>,
    rates: BTreeMap<(ServiceId, AreaId), f64>,
}

impl AreaRates {
    pub(super) const fn new(now: Time) -> Self {
        Self { end: now, heard: None, rates: BTreeMap::new() }
    }

    /// The same under other ids; what has none is forgotten.
    pub(super) fn rename(
        &mut self,
        service: impl Fn(ServiceId) -> Option<ServiceId>,
        area: impl Fn(AreaId) -> Option<AreaId>,
    ) {
        self.rates = std::mem::take(&mut self.rates)
            .into_iter()
            .filter_map(|((of, from), rate)| Some(((service(of)?, area(from)?), rate)))
            .collect();
    }

    /// Moves the averages by what was counted in `covered`: the longer that is, the further. `ttl` says a service's.
    pub(super) fn average(
        &mut self,
        counts: &BTreeMap<(ServiceId, AreaId), u64>,
        ttl: impl Fn(ServiceId) -> Duration,
        covered: Duration,
        now: Time,
    ) {
        let heard = self.heard.filter(|_| now < self.end);
        if heard.is_none() {
            self.rates.clear();
        }
        let (begun, gap) =
            heard.map_or((now, None), |(begun, last)| (begun, Some(now.since(last))));
        let part = |service: ServiceId| {
            let most = ttl(service).min(now.since(begun));
            weight(gap, covered, averaged_over(covered).max(most))
        };
        for ((service, _), rate) in &mut self.rates {
            *rate *= 1.0 - part(*service);
        }
        for ((service, area), queries) in counts {
            let rate = part(*service) * *queries as f64 / covered.as_secs_f64();
            *self.rates.entry((*service, *area)).or_default() += rate;
        }
        // What has faded away makes room.
        self.rates.retain(|_, rate| *rate > 1e-6);
        self.heard = Some((begun, now));
        self.end = now + covered.saturating_mul(3).max(RATES_FORGOTTEN_MIN);
    }

    /// Whether they are those of now.
    pub(super) fn is_heard(&self, now: Time) -> bool {
        self.heard.is_some() && now < self.end
    }

    /// Unless they are forgotten.
    pub(super) fn rates(&self, now: Time) -> impl Iterator<Item = (ServiceId, AreaId, f64)> {
        let rates = self.rates.iter().filter(move |_| now < self.end);
        rates.map(|((service, area), rate)| (*service, *area, *rate))
    }
}
