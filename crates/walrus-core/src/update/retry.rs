//! When a name server is tried again that failed.

use std::time::Duration;

use crate::world::{Generator, Time};

/// After the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// After many: an area whose name server is back waits no longer for the newest addresses.
const LONGEST: Duration = Duration::from_secs(60);
/// Name servers that failed together are not tried together.
const JITTER: f64 = 0.25;

/// Waits that double from [`FIRST`] to [`LONGEST`].
#[derive(Clone, Debug)]
pub(super) struct Retry {
    generator: Generator,
    failures: u32,
}

impl Retry {
    pub(super) const fn new(seed: u64) -> Self {
        Self { generator: Generator::new(seed), failures: 0 }
    }

    /// When to try again, after one more failure.
    pub(super) fn failed(&mut self, now: Time) -> Time {
        let wait = doubled(self.failures);
        self.failures = self.failures.saturating_add(1);
        now + self.generator.jittered(wait, JITTER)
    }

    /// It worked.
    pub(super) const fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// An interval that does not keep step with others.
    pub(super) fn jittered(&mut self, interval: Duration) -> Duration {
        self.generator.jittered(interval, JITTER)
    }
}

/// How long to wait after one more failure than so many.
pub(super) fn doubled(failures: u32) -> Duration {
    let times = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
    FIRST.saturating_mul(times).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_minute_and_begin_anew_after_a_success() {
        let mut retry = Retry::new(7);
        for expected in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            let wait = retry.failed(Time::ZERO).as_secs_f64();
            assert!((wait / expected - 1.0).abs() <= JITTER, "{wait} {expected}");
        }
        for _ in 0..100 {
            assert!(retry.failed(Time::ZERO).as_secs_f64() <= 75.0);
        }
        retry.succeeded();
        assert!(retry.failed(Time::ZERO).as_secs_f64() <= 1.25);
    }
}
