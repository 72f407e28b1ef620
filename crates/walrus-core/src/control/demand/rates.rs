//! Rates that fade: the longer ago something was counted, the less it says of how much it is now.
//!
//! **Rule.** A rate is an exponentially weighted average (Colajanni, Yu, Dias 1998: w <- (1-a) w + a
//! n/interval). Here a = 1 - e^(-t/T) where t is the time since the same source was heard last, and all
//! sources add to one sum that fades by e^(-t/T): that is the sum of each source's own average, without
//! keeping one a source. Whoever falls silent fades by itself. A source that is heard for the first
//! time counts as if it had always been so (a = 1).
//!
//! T is [`AVERAGED_OVER`], or three times the longest interval between two words of a source if that is
//! more. Of queries it grows to three times their service's TTL: it is the time since they were first heard
//! until then, so that what came first does not weigh more than what came next. What has faded since the last word of
//! sources that will speak again is no loss: [`made_good`] says by how much to raise a sum that is read in
//! between. Who came may matter for longer than how much it was: such rates stay, as next to nothing, for
//! an hour after they were heard last ([`Rates::remembering`]).
//!
//! **When it is wrong.** Sources that share a sum are made good alike: of two whose words lie half an
//! interval of 10 s apart one reads some 4 % high, the other low, always by the same.

use std::collections::BTreeMap;
use std::time::Duration;

pub(super) use crate::world::AVERAGED_OVER;
use crate::world::Time;

/// A rate below this, a second, has faded away: an event that came once in ten seconds, after
/// seven minutes.
pub(super) const FADED: f64 = 1e-4;

/// Where it matters who ever came, they are remembered for so long, or for T if that is more.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// A source is silent after so many of its intervals, and averages are over as many.
const INTERVALS: u32 = 3;

/// Fading in smaller steps than this would cost more than it tells (at most 1.7 %).
const FADING_STEP: Duration = Duration::from_secs(1);

/// Rates by key, a second.
#[derive(Clone, Debug)]
pub(super) struct Rates<K> {
    rates: BTreeMap<K, f64>,
    rest: f64,
    faded_to: Time,
    /// T of the header.
    over: Duration,
    /// Keys stay though their rates have faded away.
    remembers: bool,
    /// When the first of them was heard, if T grows.
    begun: Option<Time>,
}

impl<K> Default for Rates<K> {
    fn default() -> Self {
        Self {
            rates: BTreeMap::new(),
            rest: 0.0,
            faded_to: Time::ZERO,
            over: AVERAGED_OVER,
            remembers: false,
            begun: None,
        }
    }
}

impl<K> Rates<K> {
    /// Keys stay for an hour or more after they came last, with rates of next to nothing.
    pub(super) fn remembering() -> Self {
        Self { remembers: true, ..Self::default() }
    }

    /// A key whose rate is below this is gone: who came once in T, after the time for which it is remembered.
    fn lowest(&self) -> f64 {
        let over = self.over.as_secs_f64();
        if self.remembers { kept_after(REMEMBERED.max(self.over), self.over) / over } else { FADED }
    }

    /// T.
    pub(super) const fn over(&self) -> Duration {
        self.over
    }
}

/// The weight `a` of what a source says: it covered `covered`, and was last heard `gap` ago. The
/// longer of both, so that it also stands for what was lost on the way.
pub(super) fn weight(gap: Option<Duration>, covered: Duration, over: Duration) -> f64 {
    match gap {
        None => 1.0,
        Some(gap) => 1.0 - kept_after(gap.max(covered), over),
    }
}

/// The time over which sources are averaged that speak this often at the least.
pub(super) fn averaged_over(longest: Duration) -> Duration {
    AVERAGED_OVER.max(longest.saturating_mul(INTERVALS))
}

/// Whether a source that was heard `gap` ago, and then told of `covered`, will speak again.
pub(super) fn will_speak(gap: Duration, covered: Duration) -> bool {
    gap <= covered.saturating_mul(INTERVALS)
}

/// By how much a sum is to be raised whose sources were heard so long ago; 1 without any.
pub(super) fn made_good(gaps: impl Iterator<Item = Duration>, over: Duration) -> f64 {
    let (count, kept) =
        gaps.fold((0_u32, 0.0), |(count, sum), gap| (count + 1, sum + kept_after(gap, over)));
    if kept > 0.0 { f64::from(count) / kept } else { 1.0 }
}

/// What is left of a rate after a time without news.
pub(in crate::control) fn kept_after(time: Duration, over: Duration) -> f64 {
    (-time.as_secs_f64() / over.as_secs_f64()).exp()
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
        let kept = kept_after(now.since(self.faded_to), self.over);
        self.faded_to = self.faded_to.max(now);
        self.rest *= kept;
        let lowest = self.lowest();
        self.rates.retain(|_, rate| {
            *rate *= kept;
            *rate >= lowest
        });
        if self.rest < FADED {
            self.rest = 0.0;
        }
    }

    /// Averages over this time from now on.
    pub(super) const fn average_over(&mut self, over: Duration) {
        self.over = over;
    }

    /// Averages over this time at least, and over all the time since the first word, until that is as long
    /// as the other one.
    pub(super) fn average_over_at_most(&mut self, least: Duration, most: Duration, now: Time) {
        let begun = *self.begun.get_or_insert(now);
        self.over = least.max(most.min(now.since(begun)));
    }

    /// All rates times this.
    pub(super) fn scaled(&self, factor: f64) -> Self {
        let mut scaled = self.clone();
        scaled.rates.values_mut().for_each(|rate| *rate *= factor);
        scaled.rest *= factor;
        scaled
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
            over: self.over,
            remembers: self.remembers,
            begun: self.begun,
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
            rates.add(
                1,
                weight(gap, COVERED, AVERAGED_OVER) * *count as f64 / COVERED.as_secs_f64(),
            );
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
    fn who_ever_came_is_remembered_where_it_matters() {
        let mut rates = Rates::remembering();
        let at = hear(&mut rates, &[1], Time::from_secs(1000), true);
        rates.pass_exactly(at + Duration::from_secs(3600));
        assert!(rates.named()[&1] < FADED && !rates.is_empty());
        rates.pass_exactly(at + Duration::from_secs(2 * 3600));
        assert!(rates.is_empty());
        // The same with an average over a quarter of an hour.
        let mut rates = Rates::remembering();
        rates.average_over(Duration::from_secs(900));
        let at = hear(&mut rates, &[1], Time::from_secs(1000), true);
        rates.pass_exactly(at + Duration::from_secs(3600));
        assert!(!rates.is_empty());
        rates.pass_exactly(at + Duration::from_secs(3 * 3600));
        assert!(rates.is_empty());
    }

    /// Caches of a TTL of 240 s, averaged over three of them: one asks in the first ten seconds, the other later.
    #[test]
    fn an_average_over_ttls_begins_as_a_mean_of_all_that_was_heard() {
        let (ttl, covered) = (240, COVERED);
        let mut rates: Rates<u8> = Rates::remembering();
        let mut at = Time::from_secs(1000);
        for step in 0..600_u64 {
            at += covered;
            rates.pass_exactly(at);
            rates.average_over_at_most(AVERAGED_OVER, Duration::from_secs(3 * ttl), at);
            let gap = (step > 0).then_some(covered);
            let part = weight(gap, covered, rates.over()) / covered.as_secs_f64();
            for (key, offset) in [(1, 0), (2, 11)] {
                if step % (ttl / 10) == offset {
                    rates.add(key, part);
                }
            }
            let (one, two) = (rates.named()[&1], rates.named().get(&2).copied());
            // The first minute counts as one average; it weighs less and less.
            let bounds = if step > 300 { 0.75..1.35 } else { 0.3..3.2 };
            if step > ttl / 10 {
                let expected = 1.0 / ttl as f64;
                for rate in [one, two.unwrap()] {
                    assert!(bounds.contains(&(rate / expected)), "{step}: {one} {two:?}");
                }
            }
        }
        assert_eq!(rates.over(), Duration::from_secs(3 * ttl));
    }

    #[test]
    fn what_was_lost_is_filled_up_by_what_came() {
        let weight = |gap| weight(Some(gap), COVERED, AVERAGED_OVER);
        let lost = weight(COVERED * 3);
        let told = (0..3).fold(0.0, |sum, _| sum + (1.0 - sum) * weight(COVERED));
        assert!((lost - told).abs() < 1e-12);
        assert_eq!(weight(Duration::ZERO), weight(COVERED));
    }

    #[test]
    fn between_two_words_nothing_is_lost_however_far_apart_they_are() {
        for seconds in [1, 10, 60, 3600] {
            let covered = Duration::from_secs(seconds);
            let over = averaged_over(covered);
            let mut rates = Rates::default();
            rates.average_over(over);
            let mut at = Time::from_secs(5);
            for first in [true, false, false, false] {
                at += covered;
                rates.pass_exactly(at);
                let gap = (!first).then_some(covered);
                rates.add(1, weight(gap, covered, over) * 7.0);
            }
            let later = Duration::from_millis(seconds * 900);
            assert!(will_speak(later, covered) && !will_speak(covered * 4, covered));
            rates.pass_exactly(at + later);
            let read = rates.scaled(made_good([later].into_iter(), over));
            assert!((read.named()[&1] - 7.0).abs() < 1e-9, "{seconds} s");
        }
        assert_eq!(made_good(std::iter::empty(), AVERAGED_OVER), 1.0);
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
