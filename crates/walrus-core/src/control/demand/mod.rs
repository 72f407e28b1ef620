//! How much is asked for: by (service, area) as Directors see it, and by domain.
//!
//! A Director is forgotten with its areas' rates when it falls silent ([`areas`]). Domains' rates fade
//! ([`rates`]), are kept of those services only that want them ([`domains`]), and are joined with what
//! servers' access logs say ([`join`]) once a round.

mod areas;
mod domains;
mod join;
mod rates;
mod requests;

use std::collections::BTreeMap;
use std::time::Duration;

use self::areas::AreaRates;
use self::domains::{Domains, Hearing};
pub(super) use self::requests::CheckedRequests;
use super::Refusal;
use crate::message::RefusedPlan;
use crate::plan::{PlanNumber, ServiceDemand};
use crate::world::{AreaId, Name, Observation, ServerId, ServiceCounts, ServiceId, Time, Topology};
pub(super) use rates::kept_after;

/// As many Directors as are heard at once.
const DIRECTORS_MAX: usize = 1024;

/// A Director is forgotten with its name after this.
const DIRECTOR_FORGOTTEN: Duration = Duration::from_secs(600);

/// The longest time that an observation or a report of requests may cover, in milliseconds.
const COVERED_MAX_MS: u64 = 24 * 3600 * 1000;

/// What all Directors say, and what servers' logs say.
#[derive(Clone, Debug, Default)]
pub(super) struct Demand {
    directors: BTreeMap<Name, Director>,
    services: BTreeMap<String, ServiceId>,
    areas: usize,
    domains: Domains,
}

/// Of the Directors that will speak again: since when, and how often they do.
fn speaking(
    directors: &BTreeMap<Name, Director>,
    now: Time,
) -> impl Iterator<Item = (Duration, Duration)> + Clone {
    let heard = directors.values().filter_map(|director| director.observed);
    let heard = heard.map(move |(at, covered)| (now.since(at), covered));
    heard.filter(|(gap, covered)| rates::will_speak(*gap, *covered))
}

/// What one Director says.
#[derive(Clone, Debug)]
pub(super) struct Director {
    /// The Plan that it said it holds.
    pub(super) plan: Option<PlanNumber>,
    /// The one that came and that it does not carry out.
    pub(super) refused: Option<RefusedPlan>,
    /// When it was last heard.
    pub(super) heard_at: Time,
    /// It should have been heard since.
    pub(super) is_silent: bool,
    /// Session and sequence of the last observation.
    place: Option<(u64, u64)>,
    /// When the last observation came, and the time that it covered.
    observed: Option<(Time, Duration)>,
    areas: AreaRates,
}

impl Demand {
    /// Takes over a topology; `old` is the one that the rates so far belong to.
    pub(super) fn retarget(&mut self, old: &Topology, new: &Topology) {
        let service = |id: ServiceId| new.service(&old.services.get(id.index())?.name);
        let area = |id: AreaId| new.area(old.areas.get(id.index())?.name.as_str());
        let server = |id: ServerId| new.server(old.servers.get(id.index())?.name.as_str());
        for director in self.directors.values_mut() {
            director.areas.rename(service, area);
        }
        self.domains.retarget(new, service, server);
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
        refused: Option<RefusedPlan>,
        now: Time,
    ) -> Result<(), Refusal> {
        let entry = self.entry(director, now)?;
        (entry.plan, entry.refused) = (plan, refused);
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
        let mut services: Vec<(ServiceId, &ServiceCounts)> = Vec::new();
        for service in &observation.services {
            let Some(of) = self.services.get(service.service.as_str()) else { continue };
            services.push((*of, service));
            for (name, queries) in &service.areas {
                let Some(from) = topology.area(name.as_str()) else { continue };
                let count = counts.entry((*of, from)).or_default();
                *count = count.saturating_add(*queries);
            }
        }
        let covered = Duration::from_millis(millis);
        let entry = self.entry(director, now)?;
        entry.place = Some((session, sequence));
        let ttl = |service: ServiceId| {
            let service = topology.services.get(service.index());
            Duration::from_secs(service.map_or(0, |it| u64::from(it.ttl.seconds_mean())))
        };
        entry.areas.average(&counts, ttl, covered, now);
        entry.heard_at = now;
        let before = entry.observed.replace((now, covered));
        let gap = before.map(|(before, _)| now.since(before));
        let over = self.averaged_over(now);
        self.domains.pass(over, now);
        for service in services {
            self.domains.take(service, Hearing { covered, gap, over }, topology, now);
        }
        Ok(())
    }

    /// A server's Reporter told of requests.
    pub(super) fn take_requests(&mut self, server: ServerId, found: &CheckedRequests, now: Time) {
        self.domains.take_requests(server, found, now);
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
            refused: None,
            heard_at: now,
            is_silent: false,
            place: None,
            observed: None,
            areas: AreaRates::new(now),
        }))
    }

    /// Finds out which Directors fell silent, and which are heard again (false); each is told once. The one of this
    /// process, `own`, says something only when there is something to say.
    pub(super) fn find_silent(
        &mut self,
        own: &Name,
        silence: Duration,
        now: Time,
    ) -> Vec<(Name, bool)> {
        let mut found = Vec::new();
        for (name, director) in self.directors.iter_mut().filter(|it| it.0 != own) {
            let is_silent = now.since(director.heard_at) >= silence;
            if std::mem::replace(&mut director.is_silent, is_silent) != is_silent {
                found.push((name.clone(), is_silent));
            }
        }
        found
    }

    /// It was this process that did not listen.
    pub(super) fn hear_anew(&mut self, now: Time) {
        for director in self.directors.values_mut().filter(|director| !director.is_silent) {
            director.heard_at = now;
        }
    }

    /// Queries a second by `service * areas + area`.
    pub(super) fn area_hits(&self, now: Time) -> Vec<f64> {
        let mut hits = vec![0.0; self.services.len() * self.areas];
        for (service, area, rate) in self.directors.values().flat_map(|it| it.areas.rates(now)) {
            if let Some(sum) = hits.get_mut(service.index() * self.areas + area.index()) {
                *sum += rate;
            }
        }
        hits
    }

    /// Queries a second that a Director gets for a service from these areas; `None` if it tells of none.
    pub(super) fn queries(
        &self,
        director: &Name,
        service: &str,
        areas: &[Name],
        topology: &Topology,
        now: Time,
    ) -> Option<f64> {
        let rates = &self.directors.get(director)?.areas;
        let of = *self.services.get(service)?;
        let is_among = |id: AreaId| {
            topology.areas.get(id.index()).is_some_and(|area| areas.contains(&area.name))
        };
        let of = rates.rates(now).filter(|(service, area, _)| *service == of && is_among(*area));
        rates.is_heard(now).then(|| of.map(|(.., rate)| rate).sum())
    }

    /// The demand of every service that wants to know, by its name; `before` is what was told last.
    pub(super) fn by_domain(
        &mut self,
        topology: &Topology,
        before: &BTreeMap<String, ServiceDemand>,
        now: Time,
    ) -> BTreeMap<String, ServiceDemand> {
        let gaps = speaking(&self.directors, now).map(|(gap, _)| gap);
        self.domains.reckon(topology, before, gaps, now)
    }

    /// The time over which Directors' queries by domain are averaged.
    fn averaged_over(&self, now: Time) -> Duration {
        let longest = speaking(&self.directors, now).map(|(_, covered)| covered).max();
        rates::averaged_over(longest.unwrap_or_default())
    }

    /// Whether anything was heard of who asks for a service that wants to know.
    pub(super) const fn knows_domains(&self) -> bool {
        self.domains.heard
    }

    /// The Directors heard of late.
    pub(super) fn directors(&self, now: Time) -> impl Iterator<Item = (&Name, &Director)> {
        self.directors
            .iter()
            .filter(move |(_, known)| now.since(known.heard_at) < DIRECTOR_FORGOTTEN)
    }
}
