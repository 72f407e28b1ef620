//! From when until when a signature is valid: a function of time and of what is signed, so that all
//! nodes with the same keys come to the same inception and expiry without talking.

use std::time::Duration;

/// How long signatures live, and how early they are renewed.
///
/// Time is cut into periods of `renew_every`; each set has its own phase in it (by its name and
/// type), so that renewals spread evenly instead of all coming at once. There are 64 phases, not
/// one for every set: each renewal builds the zone anew, which with a million names takes seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidityPolicy {
    /// Time between two signatures of one set.
    pub renew_every: Duration,
    /// From a period's start to the expiry of its signatures; more than `renew_every`, by as much
    /// as may go wrong before anybody notices.
    pub valid_for: Duration,
    /// How long before its period a signature already counts, for validators whose clocks are slow.
    pub before: Duration,
}

/// Moments in a period at which signatures are renewed.
const PHASES: u64 = 64;

impl Default for ValidityPolicy {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self { renew_every: days(7), valid_for: days(21), before: Duration::from_secs(3600) }
    }
}

/// Seconds since 1970 in 32 bits, to be compared as serial numbers (RFC 4034 section 3.1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Validity {
    /// Not before.
    pub inception: u32,
    /// Not after.
    pub expiry: u32,
}

impl Validity {
    /// The end in seconds since 1970, seen from a moment within 68 years of it.
    #[must_use]
    pub const fn ends_at(self, now: u64) -> u64 {
        now.saturating_add_signed(self.expiry.wrapping_sub(now as u32).cast_signed() as i64)
    }

    /// The same, beginning no earlier than then, in seconds since 1970; unless it would be over.
    #[must_use]
    pub const fn no_earlier_than(mut self, then: u64) -> Self {
        // The fields wrap: differences count.
        let then = then as u32;
        let is_later = then.wrapping_sub(self.inception).cast_signed() > 0;
        if is_later && self.expiry.wrapping_sub(then).cast_signed() > 0 {
            self.inception = then;
        }
        self
    }
}

impl ValidityPolicy {
    /// The validity of what is signed at `now` (seconds since 1970) with this phase, any number.
    #[must_use]
    pub fn at(&self, now: u64, phase: u64) -> Validity {
        let (period, phase) = self.period_and_phase(phase);
        // Before the first period's start everything counts to it.
        let start = (now.saturating_sub(phase) / period) * period + phase;
        let expiry = start + self.valid_for.as_secs();
        // The field wraps in 2106, and is meant to (RFC 4034 section 3.1.5).
        let inception = start.saturating_sub(self.before.as_secs()) as u32;
        Validity { inception, expiry: expiry as u32 }
    }

    /// When, in seconds since 1970, the set of this phase is signed anew after `now`.
    #[must_use]
    pub fn next_renewal(&self, now: u64, phase: u64) -> u64 {
        let (period, phase) = self.period_and_phase(phase);
        if now < phase { phase } else { ((now - phase) / period + 1) * period + phase }
    }

    /// The period's length, and when in it the phase begins, in seconds.
    fn period_and_phase(&self, phase: u64) -> (u64, u64) {
        let period = self.renew_every.as_secs().max(1);
        let step = (period / PHASES).max(1);
        (period, phase % PHASES.min(period) * step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_found_on_either_side_of_the_fields_end() {
        const FIELD: u64 = 1 << 32;
        for (now, end) in
            [(1000, 990), (1000, 2000), (FIELD - 5, FIELD + 7), (FIELD + 7, FIELD - 5)]
        {
            assert_eq!(Validity { inception: 0, expiry: end as u32 }.ends_at(now), end);
        }
    }

    #[test]
    fn a_validity_may_begin_later_but_not_end_before_it_began() {
        let from = |inception, expiry| Validity { inception, expiry };
        for (then, at, inception) in [
            (99, from(100, 200), 100),
            (150, from(100, 200), 150),
            (200, from(100, 200), 100),
            (0, from(100, 200), 100),
            // Around the end of the field.
            ((1 << 32) + 5, from(u32::MAX - 5, 100), 5),
            ((1 << 32) - 20, from(u32::MAX - 5, 100), u32::MAX - 5),
        ] {
            assert_eq!(at.no_earlier_than(then), Validity { inception, ..at }, "{then}");
        }
    }

    #[test]
    fn every_moment_has_a_valid_signature_and_renewals_come_in_time() {
        let policy = ValidityPolicy::default();
        for phase in [0, 1, 12_345, 604_799, u64::MAX] {
            for now in [1_800_000_000_u64, 1_800_000_001, 1_800_604_800] {
                let Validity { inception, expiry } = policy.at(now, phase);
                assert!(
                    u64::from(inception) <= now - 3600 && now + 13 * 86_400 < u64::from(expiry)
                );
                let next = policy.next_renewal(now, phase);
                assert!(next > now && next <= now + 604_800);
                assert_eq!(policy.at(next - 1, phase), policy.at(now, phase));
                assert_ne!(policy.at(next, phase), policy.at(now, phase));
            }
        }
    }
}
