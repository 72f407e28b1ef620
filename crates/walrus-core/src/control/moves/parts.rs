//! How much of a move's traffic each name server answers, and since when it gives the new answers.
//!
//! What it answered before that goes on being old for a TTL after it, not after the decision: so each has a clock of its
//! own. Directors weigh as many queries as they get; name servers that tell of none weigh what the others do on
//! average. A Director that has the old answers and is not heard of is left out: whether it died is not known here, and it is told
//! of by name. One that is heard and answers by a Plan that is not known here counts as having the old ones: it may give them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::answering::{ANSWERERS_MAX, Answerer};
use super::instant::first;
use crate::plan::PlanNumber;
use crate::world::Time;

/// One name server.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) who: Answerer,
    /// Queries a second; `None`: nobody tells.
    pub(super) weight: Option<f64>,
    /// How long its answers may be cached; `None`: as the Plan says.
    pub(super) ttl: Option<Duration>,
    /// Since when it gives the new answers, and gave them before `unknown`; `None`: it does not.
    pub(super) switched: Option<Time>,
    /// It answers by this Plan, of which nobody here knows whether it has the new answers.
    pub(super) unknown: Option<PlanNumber>,
    /// It is not heard of.
    pub(super) is_silent: bool,
}

impl Part {
    /// Whether nothing can be said of what it answers.
    pub(super) fn is_unheard(&self) -> bool {
        self.is_silent && self.gives_new().is_none()
    }

    /// Since when it is known to give the new answers, if it is.
    pub(super) fn gives_new(&self) -> Option<Time> {
        self.switched.filter(|_| self.unknown.is_none())
    }
}

/// All that clients' resolvers of the areas that moved may ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    /// Each with its share as it counts; 1 in sum.
    all: BTreeMap<Answerer, (Part, f64)>,
}

impl Parts {
    pub(super) fn new(all: Vec<Part>) -> Self {
        let mut parts = Self::default();
        parts.change(&[], all);
        parts
    }

    /// Some are no name servers any more, some are new or have changed.
    pub(super) fn change(&mut self, gone: &[Answerer], changed: Vec<Part>) {
        for who in gone {
            self.all.remove(who);
        }
        for part in changed {
            if self.all.len() < ANSWERERS_MAX || self.all.contains_key(&part.who) {
                self.all.insert(part.who.clone(), (part, 0.0));
            }
        }
        self.weigh();
    }

    fn weigh(&mut self) {
        let known: Vec<f64> = self.heard().filter_map(|(part, _)| part.weight).collect();
        let positive = |weight: f64| if weight.is_finite() { weight.max(0.0) } else { 0.0 };
        let mut sum: f64 = known.iter().copied().map(positive).sum();
        let usual = if sum > 0.0 { sum / known.len() as f64 } else { 1.0 };
        let is_known = sum > 0.0;
        let weight = |part: &Part| match part.weight {
            Some(weight) if is_known => positive(weight),
            _ => usual,
        };
        sum = self.heard().map(|(part, _)| weight(part)).sum();
        for (part, share) in self.all.values_mut() {
            *share = if part.is_unheard() { 0.0 } else { weight(part) / sum };
        }
    }

    /// Whether nobody is known of whom there is news.
    pub(super) fn is_empty(&self) -> bool {
        self.heard().next().is_none()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, who: &Answerer) -> Option<&Part> {
        self.all.get(who).map(|(part, _)| part)
    }

    pub(super) fn has_name_servers(&self) -> bool {
        // They come last.
        matches!(self.all.last_key_value(), Some((Answerer::NameServer { .. }, _)))
    }

    /// Those that count, each with its share of the traffic.
    fn heard(&self) -> impl Iterator<Item = (&Part, f64)> {
        let all = self.all.values().map(|(part, share)| (part, *share));
        all.filter(|(part, _)| !part.is_unheard())
    }

    /// Those that were not heard of since before they had the new answers: they have no share.
    pub(super) fn unheard(&self) -> impl Iterator<Item = &Answerer> {
        self.all.values().filter(|(part, _)| part.is_unheard()).map(|(part, _)| &part.who)
    }

    /// The share that still follows old answers, if caches forget them evenly over the TTL.
    pub(super) fn still(&self, ttl: Duration, now: Time) -> f64 {
        if self.is_empty() {
            return 1.0;
        }
        let still = self.heard().map(|(part, share)| {
            let ttl = part.ttl.unwrap_or(ttl);
            share * part.gives_new().map_or(1.0, |switched| cached(now.since(switched), ttl))
        });
        still.sum::<f64>().clamp(0.0, 1.0)
    }

    /// When no more than `rest` is left of it; `None` as long as more than that gets old answers.
    pub(super) fn reached(&self, ttl: Duration, rest: f64) -> Option<Time> {
        if self.is_empty() || self.behind_share() > rest {
            return None;
        }
        let switched = || self.heard().filter_map(|(part, _)| part.gives_new());
        let (from, to) = (switched().min()?, switched().max()? + self.longest_ttl(ttl));
        Some(first(from, to, |at| self.still(ttl, at) <= rest))
    }

    /// The longest that an answer of any of them may be cached.
    pub(super) fn longest_ttl(&self, ttl: Duration) -> Duration {
        self.heard().map(|(part, _)| part.ttl.unwrap_or(ttl)).max().unwrap_or(ttl)
    }

    /// When the last of them began to give the new answers; `None` if those that do not have more than `rest`.
    pub(super) fn last_switch(&self, rest: f64) -> Option<Time> {
        let last = self.heard().filter_map(|(part, _)| part.gives_new()).max();
        last.filter(|_| self.behind_share() <= rest)
    }

    /// Those that do not yet, each with its share of the traffic.
    pub(super) fn behind(&self) -> impl Iterator<Item = (&Answerer, f64)> {
        let behind = self.heard().filter(|(part, _)| part.gives_new().is_none());
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
        let switched = switched.map(Time::from_secs);
        Part { who, weight, ttl: None, switched, unknown: None, is_silent: false }
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

    #[test]
    fn who_is_not_heard_of_has_no_share_unless_it_had_the_new_answers() {
        let silent = |of: Part| Part { is_silent: true, ..of };
        let ttl = Duration::from_secs(100);
        let old = || silent(part("b", Some(3.0), None));
        let parts = Parts::new(vec![part("a", Some(1.0), Some(0)), old()]);
        assert!((parts.still(ttl, Time::from_secs(50)) - 0.5).abs() < 1e-9, "{parts:?}");
        assert_eq!((parts.behind().count(), parts.unheard().count(), parts.len()), (0, 1, 2));
        let new = silent(part("b", Some(3.0), Some(20)));
        let parts = Parts::new(vec![part("a", Some(1.0), Some(0)), new]);
        assert!((parts.still(ttl, Time::from_secs(50)) - 0.65).abs() < 1e-9, "{parts:?}");
        // Nobody is heard of at all.
        let parts = Parts::new(vec![old()]);
        assert_eq!((parts.still(ttl, Time::from_secs(500)), parts.behind_share()), (1.0, 1.0));
        let many = (0..ANSWERERS_MAX + 9).map(|it| part(&format!("n{it}"), None, None));
        assert_eq!(Parts::new(many.collect()).len(), ANSWERERS_MAX);
    }
}
