//! Rates that fade: what was counted an hour ago says nothing of now.
//!
//! **Rule.** A rate is an exponentially weighted average (Colajanni, Yu, Dias 1998: w <- (1-a) w + a
//! n/interval). Here a = 1 - e^(-t/T) where t is the time since the same source was heard last, and all
//! sources add to one sum that fades by e^(-t/T): that is the sum of each source's own average, without
//! keeping one a source. Whoever falls silent fades by itself. A source that is heard for the first
//! time counts as if it had always been so (a = 1).
//!
//! T is [`AVERAGED_OVER`], or three times the longest interval between two words of a source if that is
//! more (of queries also three times their service's TTL). What has faded since the last word of sources that will speak again is no loss:
//! [`made_good`] says by how much to raise a sum that is read in between.
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

/// The same where it matters who ever came: an event that came once in ten seconds, after an hour and
/// some minutes (T is a minute).
const FORGOTTEN: f64 = 1e-30;

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
    /// A key whose rate is below this is gone.
    lowest: f64,
}

impl<K> Default for Rates<K> {
    fn default() -> Self {
        let rates = BTreeMap::new();
        Self { rates, rest: 0.0, faded_to: Time::ZERO, over: AVERAGED_OVER, lowest: FADED }
    }
}

impl<K> Rates<K> {
    /// Keys stay for an hour or more after they came last, with rates of next to nothing.
    pub(super) fn remembering() -> Self {
        Self { lowest: FORGOTTEN, ..Self::default() }
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
fn kept_after(time: Duration, over: Duration) -> f64 {
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
        self.rates.retain(|_, rate| {
            *rate *= kept;
            *rate >= self.lowest
        });
        if self.rest < FADED {
            self.rest = 0.0;
        }
    }

    /// Averages over this time from now on.
    pub(super) const fn average_over(&mut self, over: Duration) {
        self.over = over;
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
            lowest: self.lowest,
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
