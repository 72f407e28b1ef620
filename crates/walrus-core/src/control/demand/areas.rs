//! How many queries a second one Director gets for each (service, area).
//!
//! A rate is a moving average over about a minute, so that one odd interval does not make an
//! area the worst (A3). A Director that falls silent is forgotten with its rates after three of
//! its intervals, and after a minute at least.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rates::AVERAGED_OVER;
use crate::world::{AreaId, ServiceId, Time};

/// A Director's rates are forgotten after this at the soonest.
const RATES_FORGOTTEN_MIN: Duration = Duration::from_secs(60);

/// One Director's rates.
#[derive(Clone, Debug)]
pub(super) struct AreaRates {
    end: Time,
    rates: BTreeMap<(ServiceId, AreaId), f64>,
}

impl AreaRates {
    pub(super) const fn new(now: Time) -> Self {
        Self { end: now, rates: BTreeMap::new() }
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

    /// Moves the average by what was counted in `covered`: the longer that is, the further.
    pub(super) fn average(
        &mut self,
        counts: &BTreeMap<(ServiceId, AreaId), u64>,
        covered: Duration,
        now: Time,
    ) {
        let seconds = covered.as_secs_f64();
        let first = self.rates.is_empty() || now >= self.end;
        let part = if first { 1.0 } else { seconds / (seconds + AVERAGED_OVER.as_secs_f64()) };
        for rate in self.rates.values_mut() {
            *rate *= 1.0 - part;
        }
        for (key, queries) in counts {
            *self.rates.entry(*key).or_default() += part * *queries as f64 / seconds;
        }
        // What has faded away makes room.
        self.rates.retain(|_, rate| *rate > 1e-6);
        self.end = now + covered.saturating_mul(3).max(RATES_FORGOTTEN_MIN);
    }

    /// Unless they are forgotten.
    pub(super) fn rates(&self, now: Time) -> impl Iterator<Item = (ServiceId, AreaId, f64)> {
        let rates = self.rates.iter().filter(move |_| now < self.end);
        rates.map(|((service, area), rate)| (*service, *area, *rate))
    }
}
