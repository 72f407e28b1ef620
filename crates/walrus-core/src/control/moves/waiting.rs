//! The resolvers that asked before a move and have not asked since, and when each is expected to.
//!
//! **Rule.** A resolver that asks every five minutes whatever the TTL says is expected five minutes after it asked last,
//! and counts until it asks. One of which nothing is heard for twice its own interval, or twice the TTL if that is
//! longer, has nobody behind it any more, and counts no longer. A domain that asks more than twice a TTL stands for
//! several resolvers: when one has asked, the others follow over the TTL.

use std::collections::BTreeMap;
use std::time::Duration;

use super::instant::first;
use super::parts::cached;
use crate::world::Time;

/// No resolver is waited for longer.
pub(super) const WAITED_MAX: Duration = Duration::from_secs(3600);

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// How much hangs on it: any unit, as long as it is everybody's.
    pub(super) weight: f64,
    /// When it asked last.
    pub(super) asked: Time,
    /// How long it usually takes to ask again; `None` if it was seen once only.
    pub(super) interval: Option<Duration>,
}

impl Waits {
    /// Whether it asks more often than one resolver does.
    fn is_many(&self, ttl: Duration) -> bool {
        self.interval.is_some_and(|interval| interval * 2 < ttl)
    }

    /// For how long it is believed to hold an answer.
    fn holds(&self, ttl: Duration) -> Duration {
        self.interval.unwrap_or(ttl).max(ttl).min(WAITED_MAX.max(ttl))
    }

    fn gone(&self, switched: Time, ttl: Duration) -> Time {
        switched + self.holds(ttl) * 2
    }

    /// It got an old answer until then at the latest, so the next one is new.
    fn expected(&self, switched: Time, ttl: Duration, now: Time) -> Time {
        let due = (self.asked + self.interval.unwrap_or(ttl)).max(switched);
        if due > now { due.min(switched + self.holds(ttl)) } else { self.gone(switched, ttl) }
    }
}

/// Those of one service.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    all: BTreeMap<String, Waits>,
    /// The weight of those that have asked and may be many resolvers each: some of them have yet to ask.
    fading: f64,
    /// The weight of all that asked before.
    of: f64,
}

impl Waiting {
    pub(super) fn new(all: BTreeMap<String, Waits>) -> Self {
        let of = all.values().map(|it| it.weight).sum();
        Self { all, fading: 0.0, of }
    }

    /// One has asked, and got the new answer.
    pub(super) fn asked(&mut self, domain: &str, ttl: Duration) {
        if let Some(gone) = self.all.remove(domain).filter(|it| it.is_many(ttl)) {
            self.fading += gone.weight;
        }
    }

    /// The share that still follows old answers; `None` if nobody is known. `switched` says since when the new ones
    /// are given out, if they are.
    pub(super) fn share(&self, switched: Option<Time>, ttl: Duration, now: Time) -> Option<f64> {
        self.share_of(switched, (ttl, now), |it, switched| it.gone(switched, ttl))
    }

    /// When no more than `rest` is expected to be left; `None` if nobody is known.
    pub(super) fn expected(
        &self,
        switched: Time,
        ttl: Duration,
        rest: f64,
        now: Time,
    ) -> Option<Time> {
        let share = |at: Time| {
            self.share_of(Some(switched), (ttl, at), |it, switched| it.expected(switched, ttl, now))
        };
        share(now)?;
        let last = switched + self.longest(ttl).max(ttl) * 2;
        Some(first(now, last.max(now), |at| share(at).is_some_and(|left| left <= rest + 1e-9)))
    }

    fn share_of(
        &self,
        switched: Option<Time>,
        (ttl, at): (Duration, Time),
        goes: impl Fn(&Waits, Time) -> Time,
    ) -> Option<f64> {
        let waits = |it: &&Waits| switched.is_none_or(|switched| goes(it, switched) > at);
        let waiting = self.all.values().filter(waits).map(|it| it.weight).sum::<f64>();
        let part = switched.map_or(1.0, |switched| cached(at.since(switched), ttl));
        let left = waiting + self.fading * part;
        (self.of > 0.0).then(|| (left / self.of).clamp(0.0, 1.0))
    }

    /// The longest that any of them is believed to hold an answer.
    pub(super) fn longest(&self, ttl: Duration) -> Duration {
        self.all.values().map(|it| it.holds(ttl)).max().unwrap_or_default()
    }
}
