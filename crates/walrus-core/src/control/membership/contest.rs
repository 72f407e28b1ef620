//! Two masters that do not hear each other, and Directors that hear both.
//!
//! **Problem.** A Director holds the higher of two numbers, and says so. The other master begins an epoch above it, the
//! Director takes that, and says so to the first: two Plans would follow each other with each hello, for ever, and
//! move areas to and fro.
//!
//! **Rule.** Whoever finds itself behind goes above at once, the first time: the other may be long dead. If it is behind
//! again soon after, the other lives. Then the one with the earlier name goes on as before, and the one with the later name
//! waits four times as long each time, up to a minute. It goes on being master: Directors that hear it alone
//! take its Plans. Once both hear each other there is nothing to wait for.
//!
//! **When it is wrong.** Names say nothing of who knows better, but both know them, as they may not know each other's
//! join numbers. If the other dies while one waits, the Directors that heard both go on from its last Plan for up to a
//! minute.
//!
//! **Example.** Detection takes 3 s. b is behind a's Plan at 0 s and goes above it; a goes above b's at 1 s. b tries again at 3 s,
//! 15 s, 63 s, and then each minute; a answers within a second each time.

use std::time::Duration;

use crate::world::{Name, Time};

/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// When the next epoch may begin because of a number that is above.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contest {
    /// When one began last.
    began: Time,
    wait: Duration,
}

impl Contest {
    pub(super) const fn new(now: Time) -> Self {
        Self { began: now, wait: Duration::ZERO }
    }

    /// The earliest time.
    pub(super) fn not_before(&self) -> Time {
        self.began + self.wait
    }

    /// Both hear each other: they agree by themselves upon who is master.
    pub(super) fn is_over(&mut self, detection: Duration) {
        self.wait = self.wait.min(detection);
    }

    /// An epoch begins now, above a number of `other`.
    pub(super) fn goes_above(
        &mut self,
        (own, other): (&Name, &Name),
        detection: Duration,
        now: Time,
    ) {
        let is_again = self.wait > Duration::ZERO && now.since(self.not_before()) <= self.wait * 2;
        self.wait = if is_again && other < own {
            (self.wait * 4).min(WAIT_MAX.max(detection))
        } else {
            detection
        };
        self.began = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When one that is behind a number of `other` again each second after it went above goes above.
    fn goes_above(own: &str, other: &str) -> Vec<u64> {
        let (own, other): (Name, Name) = (own.parse().unwrap(), other.parse().unwrap());
        let mut contest = Contest::new(Time::ZERO);
        let mut times = Vec::new();
        for second in 0..200 {
            let now = Time::from_secs(second);
            if contest.not_before() <= now {
                contest.goes_above((&own, &other), Duration::from_secs(3), now);
                times.push(second);
            }
        }
        times
    }

    #[test]
    fn the_later_name_gives_way_and_tries_again_ever_later() {
        assert_eq!(goes_above("b", "a"), [0, 3, 15, 63, 123, 183]);
        assert_eq!(goes_above("a", "b").len(), 67, "the earlier name goes on at once");
        assert_eq!(goes_above("a", "a").len(), 67, "one that forgot its own numbers, too");
    }

    #[test]
    fn what_is_long_over_does_not_count() {
        let (a, b): (Name, Name) = ("a".parse().unwrap(), "b".parse().unwrap());
        let detection = Duration::from_secs(3);
        let mut contest = Contest::new(Time::ZERO);
        for second in [0, 3, 15] {
            contest.goes_above((&b, &a), detection, Time::from_secs(second));
        }
        assert_eq!(contest.not_before(), Time::from_secs(63));
        let mut heard = contest;
        heard.is_over(detection);
        assert_eq!(heard.not_before(), Time::from_secs(18));
        contest.goes_above((&b, &a), detection, Time::from_secs(300));
        assert_eq!(contest.not_before(), Time::from_secs(303));
    }
}
