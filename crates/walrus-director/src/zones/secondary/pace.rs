//! How fast a transfer has to be: what it holds of places and memory others wait for.

use std::time::{Duration, Instant};

/// It is looked at so often, at what came since.
const WINDOW: Duration = Duration::from_secs(60);
/// Bytes a second, at least.
const RATE_MIN: u64 = 1024;
/// The same of a transfer that takes memory which others wait for.
const CROWDED_RATE_MIN: u64 = 64 << 10;

/// What came in one window. An average since the beginning would let a transfer that began fast stand still for hours.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Instant,
    bytes: u64,
    /// Others waited at its begin and whenever something came since.
    is_crowded: bool,
}

impl Pace {
    pub(super) const fn new(now: Instant) -> Self {
        Self { begun: now, bytes: 0, is_crowded: false }
    }

    /// So many bytes came, and others wait by now. Gives the rate that it has to have and is below, in bytes a second. What
    /// came while nobody waited is not held against it.
    pub(super) fn add(&mut self, bytes: usize, now: Instant, is_crowded: bool) -> Option<u64> {
        self.bytes += bytes as u64;
        self.is_crowded &= is_crowded;
        let elapsed = now.duration_since(self.begun);
        if elapsed < WINDOW {
            return None;
        }
        let rate_min = if self.is_crowded { CROWDED_RATE_MIN } else { RATE_MIN };
        let is_slow = self.bytes < rate_min * elapsed.as_secs();
        *self = Self { begun: now, bytes: 0, is_crowded };
        is_slow.then_some(rate_min)
    }

    /// It had to wait for others: that is not its primary's doing.
    pub(super) fn rest(&mut self, since: Instant, now: Instant) {
        self.begun += now.duration_since(since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds so many bytes each ten seconds, up to this second; when it was too slow.
    fn run(pace: &mut Pace, start: Instant, bytes: usize, seconds: [u64; 2]) -> Option<(u64, u64)> {
        let [from, to] = seconds;
        (from..=to).step_by(10).find_map(|at| {
            let slow = pace.add(bytes, start + Duration::from_secs(at), false);
            slow.map(|rate| (at, rate))
        })
    }

    #[test]
    fn a_transfer_that_began_fast_may_not_drip_for_hours() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(run(&mut pace, start, 1 << 30, [0, 60]), None);
        assert_eq!(run(&mut pace, start, 100, [70, 7200]), Some((120, 1024)));
        let mut pace = Pace::new(start);
        assert_eq!(run(&mut pace, start, 11_000, [0, 7200]), None, "slow, but it comes");
    }

    #[test]
    fn it_is_to_hurry_while_others_wait_but_not_for_what_it_waited_itself() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pace = Pace::new(start);
        assert_eq!(pace.add(2 << 20, at(59), true), None);
        assert_eq!(pace.add(0, at(60), true), None, "they wait only now");
        assert_eq!(pace.add(2 << 20, at(119), true), None);
        assert_eq!(pace.add(0, at(120), true), Some(65536));
        assert_eq!(pace.add(2 << 20, at(150), false), None);
        assert_eq!(pace.add(0, at(180), true), None, "nobody waited in between");
        let mut pace = Pace::new(start);
        assert_eq!(pace.add(4 << 20, at(60), true), None);
        pace.rest(at(60), at(600));
        assert_eq!(pace.add(1000, at(610), true), None);
        assert_eq!(pace.add(1000, at(660), false), Some(1024));
    }
}
