//! How much of a move's traffic each name server answers, and since when it gives the new answers.
//!
//! What it answered before that goes on being old for a TTL after it, not after the decision: so each has a clock of its
//! own. Directors weigh as many queries as they get; name servers that tell of none weigh what the others do on
//! average.

use std::time::Duration;

use super::answering::Answerer;
use super::instant::first;
use crate::world::Time;

/// One name server.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) who: Answerer,
    /// Queries a second; `None`: nobody tells.
    pub(super) weight: Option<f64>,
    /// How long its answers may be cached; `None`: as the Plan says.
    pub(super) ttl: Option<Duration>,
    /// Since when it gives the new answers; `None`: it does not.
    pub(super) switched: Option<Time>,
}

/// All that clients' resolvers of the areas that moved may ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    all: Vec<Part>,
    /// As they count, 1 in sum.
    shares: Vec<f64>,
}

impl Parts {
    pub(super) fn new(all: Vec<Part>) -> Self {
        let mut parts = Self { all, shares: Vec::new() };
        parts.weigh();
        parts
    }

    pub(super) fn add(&mut self, part: Part) {
        self.all.push(part);
        self.weigh();
    }

    fn weigh(&mut self) {
        let known: Vec<f64> = self.all.iter().filter_map(|part| part.weight).collect();
        let positive = |weight: f64| if weight.is_finite() { weight.max(0.0) } else { 0.0 };
        let mut sum: f64 = known.iter().copied().map(positive).sum();
        let usual = if sum > 0.0 { sum / known.len() as f64 } else { 1.0 };
        let is_known = sum > 0.0;
        let weight = |part: &Part| match part.weight {
            Some(weight) if is_known => positive(weight),
            _ => usual,
        };
        self.shares = self.all.iter().map(weight).collect();
        sum = self.shares.iter().sum();
        self.shares.iter_mut().for_each(|share| *share /= sum);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) const fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_known(&self, who: &Answerer) -> bool {
        self.all.iter().any(|part| part.who == *who)
    }

    pub(super) fn switched(&self, who: &Answerer) -> Option<Time> {
        self.all.iter().find(|part| part.who == *who)?.switched
    }

    /// It gives the new answers since then, or no longer; who did stays with the first time.
    pub(super) fn set(&mut self, who: &Answerer, switched: Option<Time>) {
        for part in self.all.iter_mut().filter(|part| part.who == *who) {
            part.switched = switched.and(part.switched.or(switched));
        }
    }

    /// It is no name server any more.
    pub(super) fn remove(&mut self, who: &Answerer) {
        self.all.retain(|part| part.who != *who);
        self.weigh();
    }

    pub(super) fn has_name_servers(&self) -> bool {
        self.all.iter().any(|part| matches!(part.who, Answerer::NameServer(..)))
    }

    fn shared(&self) -> impl Iterator<Item = (&Part, f64)> {
        self.all.iter().zip(self.shares.iter().copied())
    }

    /// The share that still follows old answers, if caches forget them evenly over the TTL.
    pub(super) fn still(&self, ttl: Duration, now: Time) -> f64 {
        if self.all.is_empty() {
            return 1.0;
        }
        let still = self.shared().map(|(part, share)| {
            let ttl = part.ttl.unwrap_or(ttl);
            share * part.switched.map_or(1.0, |switched| cached(now.since(switched), ttl))
        });
        still.sum::<f64>().clamp(0.0, 1.0)
    }

    /// When no more than `rest` is left of it; `None` as long as more than that gets old answers.
    pub(super) fn reached(&self, ttl: Duration, rest: f64) -> Option<Time> {
        if self.is_empty() || self.behind_share() > rest {
            return None;
        }
        let switched = || self.all.iter().filter_map(|part| part.switched);
        let (from, to) = (switched().min()?, switched().max()? + self.longest_ttl(ttl));
        Some(first(from, to, |at| self.still(ttl, at) <= rest))
    }

    /// The longest that an answer of any of them may be cached.
    pub(super) fn longest_ttl(&self, ttl: Duration) -> Duration {
        self.all.iter().map(|part| part.ttl.unwrap_or(ttl)).max().unwrap_or(ttl)
    }

    /// When the last of them began to give the new answers; `None` if those that do not have more than `rest`.
    pub(super) fn last_switch(&self, rest: f64) -> Option<Time> {
        let last = self.all.iter().filter_map(|part| part.switched).max();
        last.filter(|_| self.behind_share() <= rest)
    }

    /// Those that do not yet, each with its share of the traffic.
    pub(super) fn behind(&self) -> impl Iterator<Item = (&Answerer, f64)> {
        let behind = self.shared().filter(|(part, _)| part.switched.is_none());
        behind.map(|(part, share)| (&part.who, share))
    }

    pub(super) fn behind_share(&self) -> f64 {
        if self.is_empty() { 1.0 } else { self.behind().map(|(_, share)| share).sum() }
    }
}

/// The share of what was cached that is left after this time.
pub(super) fn cached(age: Duration, ttl: Duration) -> f64 {
    if age >= ttl { 0.0 } else { 1.0 - age.as_secs_f64() / ttl.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, weight: Option<f64>, switched: Option<u64>) -> Part {
        let who = Answerer::Director(name.parse().unwrap());
        Part { who, weight, ttl: None, switched: switched.map(Time::from_secs) }
    }

    #[test]
    fn each_has_a_clock_and_a_weight_of_its_own() {
        let ttl = Duration::from_secs(100);
        // (name servers, share that is left at 50 s, when 95 % have followed)
        for (parts, still, reached) in [
            (vec![], 1.0, None),
            (vec![part("a", Some(5.0), Some(0))], 0.5, Some(95.0)),
            (vec![part("a", None, Some(0)), part("b", None, Some(20))], 0.6, Some(110.0)),
            (vec![part("a", Some(3.0), Some(0)), part("b", Some(1.0), None)], 0.625, None),
            // Nobody asks it; one that does not tell counts as the others.
            (vec![part("a", Some(3.0), Some(0)), part("b", Some(0.0), None)], 0.5, Some(95.0)),
            (vec![part("a", Some(3.0), Some(0)), part("b", None, None)], 0.75, None),
            (vec![part("a", Some(0.0), Some(0)), part("b", Some(0.0), None)], 0.75, None),
            // 4 % get old answers; 1 % more may be cached.
            (
                vec![part("a", Some(96.0), Some(0)), part("b", Some(4.0), None)],
                0.52,
                Some(100.0 * (1.0 - 1.0 / 96.0)),
            ),
        ] {
            let parts = Parts::new(parts);
            assert!((parts.still(ttl, Time::from_secs(50)) - still).abs() < 1e-9, "{parts:?}");
            let found = parts.reached(ttl, 0.05).map(Time::as_secs_f64);
            match (found, reached) {
                (Some(found), Some(reached)) => assert!((found - reached).abs() < 1e-3, "{found}"),
                (found, reached) => assert_eq!(found, reached, "{parts:?}"),
            }
        }
        let own = Part { ttl: Some(ttl * 2), ..part("a", None, Some(0)) };
        let reached = Parts::new(vec![own]).reached(ttl, 0.05).map(Time::as_secs_f64);
        assert!((reached.unwrap() - 190.0).abs() < 1e-3, "a TTL of its own");
        let parts = Parts::new(vec![part("a", None, Some(7))]);
        assert_eq!(parts.reached(Duration::ZERO, 0.05), Some(Time::from_secs(7)), "no TTL");
    }
}
