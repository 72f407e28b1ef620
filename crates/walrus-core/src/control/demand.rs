//! How many queries a second each (service, area) gets, as the Directors see it.
//!
//! A rate is a moving average over about a minute, so that one odd interval does not make an
//! area the worst (A3). A Director that falls silent is forgotten with its rates after three of
//! its intervals, and after a minute at least.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Refusal;
use crate::plan::PlanNumber;
use crate::world::{AreaId, Name, Observation, ServiceId, Time, Topology};

/// As many Directors as are heard at once.
const DIRECTORS_MAX: usize = 1024;

/// The time over which rates are averaged.
const AVERAGED_OVER: Duration = Duration::from_secs(60);

/// A Director is forgotten after this at the soonest, and with its name after the second.
const RATES_FORGOTTEN_MIN: Duration = Duration::from_secs(60);
const DIRECTOR_FORGOTTEN: Duration = Duration::from_secs(600);

/// The longest time that an observation may cover, in milliseconds.
const COVERED_MAX_MS: u64 = 24 * 3600 * 1000;

/// What all Directors say.
#[derive(Clone, Debug, Default)]
pub(super) struct Demand {
    directors: BTreeMap<Name, Director>,
    services: BTreeMap<String, ServiceId>,
    areas: usize,
}

/// What one Director says.
#[derive(Clone, Debug)]
pub(super) struct Director {
    /// The Plan that it said it holds.
    pub(super) plan: Option<PlanNumber>,
    /// When it was last heard.
    pub(super) heard_at: Time,
    /// Session and sequence of the last observation.
    place: Option<(u64, u64)>,
    rates_end: Time,
    rates: BTreeMap<(ServiceId, AreaId), f64>,
}

impl Demand {
    /// Takes over a topology; `old` is the one that the rates so far belong to.
    pub(super) fn retarget(&mut self, old: &Topology, new: &Topology) {
        let service = |id: ServiceId| new.service(&old.services.get(id.index())?.name);
        let area = |id: AreaId| new.area(old.areas.get(id.index())?.name.as_str());
        for director in self.directors.values_mut() {
            director.rates = std::mem::take(&mut director.rates)
                .into_iter()
                .filter_map(|((of, from), rate)| Some(((service(of)?, area(from)?), rate)))
                .collect();
        }
        let names = new.services.iter().map(|service| service.name.to_string());
        self.services = names.zip((0..).map(ServiceId)).collect();
        self.areas = new.areas.len();
    }

    /// A Director said hello.
    ///
    /// # Errors
    /// If there are too many.
    pub(super) fn hello(
        &mut self,
        director: Name,
        plan: Option<PlanNumber>,
        now: Time,
    ) -> Result<(), Refusal> {
        let entry = self.entry(director, now)?;
        entry.plan = plan;
        entry.heard_at = now;
        Ok(())
    }

    /// A Director said what it saw. Names that this configuration does not have are skipped: the
    /// Director may hold another one for a moment.
    ///
    /// # Errors
    /// If it repeats itself, covers no time, or there are too many Directors.
    pub(super) fn take(
        &mut self,
        director: Name,
        observation: &Observation,
        topology: &Topology,
        now: Time,
    ) -> Result<(), Refusal> {
        let millis = observation.duration_ms;
        if !(1..=COVERED_MAX_MS).contains(&millis) {
            return Err(Refusal::ObservationDuration(millis));
        }
        let Observation { session, sequence, .. } = *observation;
        if let Some((_, last)) = self.directors.get(&director).and_then(|known| {
            known.place.filter(|(held, last)| *held == session && sequence <= *last)
        }) {
            return Err(Refusal::OldSequence { session, sequence, last });
        }
        let mut counts: BTreeMap<(ServiceId, AreaId), u64> = BTreeMap::new();
        for service in &observation.services {
            let Some(of) = self.services.get(service.service.as_str()) else { continue };
            for (name, queries) in &service.areas {
                let Some(from) = topology.area(name.as_str()) else { continue };
                let count = counts.entry((*of, from)).or_default();
                *count = count.saturating_add(*queries);
            }
        }
        let covered = Duration::from_millis(millis);
        let entry = self.entry(director, now)?;
        entry.place = Some((session, sequence));
        entry.average(&counts, covered, now);
        entry.heard_at = now;
        entry.rates_end = now + covered.saturating_mul(3).max(RATES_FORGOTTEN_MIN);
        Ok(())
    }

    fn entry(&mut self, director: Name, now: Time) -> Result<&mut Director, Refusal> {
        if !self.directors.contains_key(&director) && self.directors.len() >= DIRECTORS_MAX {
            self.directors.retain(|_, known| now.since(known.heard_at) < DIRECTOR_FORGOTTEN);
            if self.directors.len() >= DIRECTORS_MAX {
                return Err(Refusal::TooManyDirectors(DIRECTORS_MAX));
            }
        }
        Ok(self.directors.entry(director).or_insert_with(|| Director {
            plan: None,
            heard_at: now,
            place: None,
            rates_end: now,
            rates: BTreeMap::new(),
        }))
    }

    /// Queries a second by `service * areas + area`.
    pub(super) fn area_hits(&self, now: Time) -> Vec<f64> {
        let mut hits = vec![0.0; self.services.len() * self.areas];
        for director in self.directors.values().filter(|known| now < known.rates_end) {
            for ((service, area), rate) in &director.rates {
                if let Some(sum) = hits.get_mut(service.index() * self.areas + area.index()) {
                    *sum += rate;
                }
            }
        }
        hits
    }

    /// The Directors heard of late.
    pub(super) fn directors(&self, now: Time) -> impl Iterator<Item = (&Name, &Director)> {
        self.directors
            .iter()
            .filter(move |(_, known)| now.since(known.heard_at) < DIRECTOR_FORGOTTEN)
    }
}

impl Director {
    /// Moves the average by what was counted in `covered`: the longer that is, the further.
    fn average(
        &mut self,
        counts: &BTreeMap<(ServiceId, AreaId), u64>,
        covered: Duration,
        now: Time,
    ) {
        let seconds = covered.as_secs_f64();
        let first = self.rates.is_empty() || now >= self.rates_end;
        let part = if first { 1.0 } else { seconds / (seconds + AVERAGED_OVER.as_secs_f64()) };
        for rate in self.rates.values_mut() {
            *rate *= 1.0 - part;
        }
        for (key, queries) in counts {
            *self.rates.entry(*key).or_default() += part * *queries as f64 / seconds;
        }
        // What has faded away makes room.
        self.rates.retain(|_, rate| *rate > 1e-6);
    }
}
