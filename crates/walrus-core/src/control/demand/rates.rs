//! Rates that fade: what was counted an hour ago says nothing of now.
//!
//! **Rule.** A rate is an exponentially weighted average over about [`AVERAGED_OVER`] (Colajanni, Yu,
//! Dias 1998: w <- (1-a) w + a n/interval). Here a = 1 - e^(-t/60 s) where t is the time since the
//! same source was heard last, and all sources add to one sum that fades by e^(-t/60 s): that is the
//! sum of each source's own average, without keeping one a source. Whoever falls silent fades by
//! itself. A source that is heard for the first time counts as if it had always been so (a = 1).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::world::Time;

/// The time over which rates are averaged.
pub(in crate::control) const AVERAGED_OVER: Duration = Duration::from_secs(60);

/// A rate below this, a second, has faded away: an event that came once in ten seconds, after
/// seven minutes.
const FADED: f64 = 1e-4;

/// Fading in smaller steps than this would cost more than it tells (at most 1.7 %).
const FADING_STEP: Duration = Duration::from_secs(1);

/// Rates by key, a second.
#[derive(Clone, Debug)]
pub(super) struct Rates<K> {
    rates: BTreeMap<K, f64>,
    rest: f64,
    faded_to: Time,
}

impl<K> Default for Rates<K> {
    fn default() -> Self {
        Self { rates: BTreeMap::new(), rest: 0.0, faded_to: Time::ZERO }
    }
}

/// The weight `a` of what a source says: it covered `covered`, and was last heard `gap` ago. The
/// longer of both, so that it also stands for what was lost on the way.
pub(super) fn weight(gap: Option<Duration>, covered: Duration) -> f64 {
    match gap {
        None => 1.0,
        Some(gap) => 1.0 - kept_after(gap.max(covered)),
    }
}

/// What is left of a rate after a time without news.
fn kept_after(time: Duration) -> f64 {
    (-time.as_secs_f64() / AVERAGED_OVER.as_secs_f64()).exp()
}

impl<K: Ord + Copy> Rates<K> {
    /// Fades to now, if that is worth it.
    pub(super) fn pass(&mut self, now: Time) {
        if now.since(self.faded_to) >= FADING_STEP {
            self.pass_exactly(now);
        }
    }

    /// Fades to now.
    pub(super) fn pass_exactly(&mut self, now: Time) {
        let kept = kept_after(now.since(self.faded_to));
        self.faded_to = self.faded_to.max(now);
        self.rest *= kept;
        self.rates.retain(|_, rate| {
            *rate *= kept;
            *rate >= FADED
        });
        if self.rest < FADED {
            self.rest = 0.0;
        }
    }

    /// Adds to a key's rate.
    pub(super) fn add(&mut self, key: K, rate: f64) {
        if rate > 0.0 {
            *self.rates.entry(key).or_default() += rate;
        }
    }

    /// Adds to the rate of all that are not named.
    pub(super) fn add_rest(&mut self, rate: f64) {
        self.rest += rate;
    }

    /// Keeps the highest rates, at most so many; the others become part of the rest.
    pub(super) fn keep(&mut self, most: usize) {
        let Some(surplus) = self.rates.len().checked_sub(most).filter(|surplus| *surplus > 0)
        else {
            return;
        };
        let mut by_rate: Vec<(f64, K)> =
            self.rates.iter().map(|(key, rate)| (*rate, *key)).collect();
        by_rate.sort_by(|one, two| one.0.total_cmp(&two.0).then(two.1.cmp(&one.1)));
        for (rate, key) in by_rate.into_iter().take(surplus) {
            self.rates.remove(&key);
            self.rest += rate;
        }
    }

    /// The keys with another name; those without are forgotten.
    pub(super) fn renamed<L: Ord>(self, name: impl Fn(K) -> Option<L>) -> Rates<L> {
        let named = |(key, rate)| Some((name(key)?, rate));
        Rates {
            rates: self.rates.into_iter().filter_map(named).collect(),
            rest: self.rest,
            faded_to: self.faded_to,
        }
    }

    /// All keys with their rates, in order.
    pub(super) const fn named(&self) -> &BTreeMap<K, f64> {
        &self.rates
    }

    /// The rate of all others together.
    pub(super) const fn rest(&self) -> f64 {
        self.rest
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.rates.is_empty() && self.rest == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COVERED: Duration = Duration::from_secs(10);

    /// One source that counts so many each ten seconds, heard from then on.
    fn hear(rates: &mut Rates<u8>, counts: &[u64], mut at: Time, first: bool) -> Time {
        for (index, count) in counts.iter().enumerate() {
            at += COVERED;
            rates.pass_exactly(at);
            let gap = (!first || index > 0).then_some(COVERED);
            rates.add(1, weight(gap, COVERED) * *count as f64 / COVERED.as_secs_f64());
        }
        at
    }

    #[test]
    fn an_average_holds_at_once_follows_and_fades() {
        let mut rates = Rates::default();
        let at = hear(&mut rates, &[100, 100, 100], Time::from_secs(1000), true);
        assert!((rates.named()[&1] - 10.0).abs() < 1e-9, "from the first word on");
        let at = hear(&mut rates, &[200; 6], at, false);
        let expected = 20.0 - 10.0 * (-1.0_f64).exp();
        assert!((rates.named()[&1] - expected).abs() < 1e-9, "two thirds of the way in a minute");
        rates.pass_exactly(at + AVERAGED_OVER);
        assert!((rates.named()[&1] - expected * (-1.0_f64).exp()).abs() < 1e-9);
        rates.pass_exactly(at + AVERAGED_OVER * 20);
        assert!(rates.is_empty(), "nothing stays that nobody renews");
    }

    #[test]
    fn what_was_lost_is_filled_up_by_what_came() {
        let lost = weight(Some(COVERED * 3), COVERED);
        let told = (0..3).fold(0.0, |sum, _| sum + (1.0 - sum) * weight(Some(COVERED), COVERED));
        assert!((lost - told).abs() < 1e-12);
        assert_eq!(weight(Some(Duration::ZERO), COVERED), weight(Some(COVERED), COVERED));
    }

    #[test]
    fn the_lightest_leave_and_become_rest() {
        let mut rates = Rates::default();
        for key in 0..10_u8 {
            rates.add(key, f64::from(key) + 1.0);
        }
        rates.add(3, 100.0);
        rates.keep(3);
        assert_eq!(rates.named().keys().copied().collect::<Vec<_>>(), [3, 8, 9]);
        assert_eq!(rates.rest(), f64::from(1 + 2 + 3 + 5 + 6 + 7 + 8));
    }
}
