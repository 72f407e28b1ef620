//! One move under way, and what is known of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{MoveStatus, REST};
use crate::world::{Name, Time};

/// A move.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    pub(super) service: String,
    pub(super) areas: Vec<Name>,
    pub(super) area_count: u64,
    pub(super) left: Vec<Name>,
    pub(super) added: Vec<Name>,
    pub(super) reason: String,
    pub(super) plan: String,
    pub(super) at: Time,
    /// The longest that an old answer may be cached.
    pub(super) ttl: Duration,
    /// Requests a second of the servers that were left, if all that still come are late ones.
    pub(super) hits_before: Option<f64>,
    pub(super) hits_now: Option<f64>,
    /// Domains that asked before and have not since, with their weights.
    pub(super) waiting: BTreeMap<String, f64>,
    /// The weight of all that asked before.
    pub(super) asked_of: f64,
    /// How long after the move 95 % had moved.
    pub(super) moved_95: Option<Duration>,
}

impl Tracked {
    fn still_by_ttl(&self, now: Time) -> f64 {
        let age = now.since(self.at).as_secs_f64();
        let ttl = self.ttl.as_secs_f64();
        if age >= ttl { 0.0 } else { 1.0 - age / ttl }
    }

    fn still_by_askers(&self) -> Option<f64> {
        (self.asked_of > 0.0).then(|| self.waiting.values().sum::<f64>() / self.asked_of)
    }

    fn still_by_requests(&self) -> Option<f64> {
        let before = self.hits_before.filter(|before| *before > 0.0)?;
        Some((self.hits_now? / before).clamp(0.0, 1.0))
    }

    /// By the best that there is.
    fn still(&self, now: Time) -> f64 {
        let estimates = [self.still_by_requests(), self.still_by_askers()];
        best_estimate(estimates, self.still_by_ttl(now), now.since(self.at), self.ttl)
    }

    /// Whether 95 % have moved; once they have that stays.
    pub(super) fn settle(&mut self, now: Time) {
        if self.moved_95.is_none() && now > self.at && self.still(now) <= REST + 1e-9 {
            self.moved_95 = Some(now.since(self.at));
        }
    }

    pub(super) fn status(&self, now: Time) -> MoveStatus {
        // Nothing may have come since: what is due by now is told by now.
        let mut latest = self.clone();
        latest.settle(now);
        MoveStatus {
            service: self.service.clone(),
            areas: self.areas.clone(),
            area_count: self.area_count,
            left: self.left.clone(),
            added: self.added.clone(),
            reason: self.reason.clone(),
            plan: self.plan.clone(),
            age_ms: millis(now.since(self.at)),
            ttl_ms: millis(self.ttl),
            still_by_ttl: self.still_by_ttl(now),
            still_by_askers: self.still_by_askers(),
            still_by_requests: self.still_by_requests(),
            requests_a_second: self.hits_now,
            moved_95_ms: latest.moved_95.map(millis),
            expected_95_ms: millis(self.ttl.mul_f64(1.0 - REST)),
        }
    }
}

/// The share that still follows old answers, by the best estimate that there is: by requests, by who has asked, by the
/// TTL. `age` is the time since the move.
#[must_use]
pub fn best_estimate(
    [by_requests, by_askers]: [Option<f64>; 2],
    by_ttl: f64,
    age: Duration,
    ttl: Duration,
) -> f64 {
    // A resolver that has not asked may have nobody behind it any more: long after the TTL silence tells little.
    let by_askers = by_askers.filter(|_| age < ttl * 2);
    by_requests.or(by_askers).unwrap_or(by_ttl)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
