//! Two masters that do not hear each other, and name servers that both reach.
//!
//! **Problem.** A Director that hears both holds the higher of two numbers, and says so. The other master begins an epoch
//! above it, the Director takes that, and says so to the first: two Plans would follow each other with each
//! hello, for ever, and move areas to and fro. Name servers that both keep up to date show the same by their marks,
//! more slowly: the way there and back takes up to a minute.
//!
//! **Rule.** Whoever finds itself behind goes above at once, the first time: the other may be long dead. If it is behind
//! again, and has not heard the other meanwhile, the other lives. Then the one with the earlier name goes on as before,
//! and the one with the later name waits: behind a Director four times as long each time, up to a minute, for
//! Directors that hear it alone take its Plans all the same; behind a mark ten minutes, for what its name server
//! says is the other's, who looks after it. It goes on being master. Once both hear each other there is nothing to wait for.
//!
//! **When it is wrong.** Names say nothing of who knows better, but both know them, as they may not know each other's
//! join numbers. If the other dies while one waits, what both reach goes on from its last Plan for up to a
//! minute, or ten.
//!
//! **Example.** Detection takes 3 s. b is behind a's Plan at 0 s and goes above it; a goes above b's at 1 s. b tries again at 3 s,
//! 15 s, 63 s, and then each minute; a answers within a second each time.

use std::time::Duration;

use crate::world::{Name, Time};

/// Where the other's number was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeenAt {
    /// A Director holds it, or somebody knows of one.
    Director,
    /// A name server that is kept up to date is marked with it.
    Mark,
}

impl SeenAt {
    /// The next wait after this one, of the one with the later name.
    fn longer(self, wait: Duration, detection: Duration) -> Duration {
        match self {
            Self::Director => (wait * 4).min(Duration::from_secs(60).max(detection)),
            Self::Mark => Duration::from_secs(600).max(detection),
        }
    }

    /// Whoever is behind no sooner than so long after it might have gone above is behind anew: several times the
    /// longest way there and back.
    const fn forgotten(self) -> Duration {
        match self {
            Self::Director => Duration::from_secs(60),
            Self::Mark => Duration::from_secs(3600),
        }
    }
}

/// When the next epoch may begin because of a number that is above.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contest {
    seen_at: SeenAt,
    /// When one began last.
    began: Time,
    wait: Duration,
    /// One began, and the other was not heard since.
    is_open: bool,
}

impl Contest {
    pub(super) const fn new(seen_at: SeenAt, now: Time) -> Self {
        Self { seen_at, began: now, wait: Duration::ZERO, is_open: false }
    }

    /// The earliest time.
    pub(super) fn not_before(&self) -> Time {
        self.began + self.wait
    }

    /// Both hear each other: they agree by themselves upon who is master.
    pub(super) fn is_over(&mut self, detection: Duration) {
        self.wait = self.wait.min(detection);
        self.is_open = false;
    }

    /// An epoch begins now, above a number of `other`.
    pub(super) fn goes_above(
        &mut self,
        (own, other): (&Name, &Name),
        detection: Duration,
        now: Time,
    ) {
        let ago = now.since(self.not_before());
        let is_again = self.is_open && ago <= self.seen_at.forgotten().max(self.wait * 2);
        self.wait = if is_again && other < own {
            self.seen_at.longer(self.wait, detection)
        } else {
            detection
        };
        self.is_open = true;
        self.began = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DETECTION: Duration = Duration::from_secs(3);

    fn names(own: &str, other: &str) -> (Name, Name) {
        (own.parse().unwrap(), other.parse().unwrap())
    }

    /// When one that is behind a number of `other` again so many seconds after it went above goes above.
    fn goes_above(seen_at: SeenAt, own: &str, other: &str, back: u64) -> Vec<u64> {
        let (own, other) = names(own, other);
        let mut contest = Contest::new(seen_at, Time::ZERO);
        let mut times = Vec::new();
        let mut behind_from = 0;
        for second in 0..2000 {
            let now = Time::from_secs(second);
            if second >= behind_from && contest.not_before() <= now {
                contest.goes_above((&own, &other), DETECTION, now);
                times.push(second);
                behind_from = second + back;
            }
        }
        times
    }

    #[test]
    fn the_later_name_gives_way_and_tries_again_ever_later() {
        let director = SeenAt::Director;
        assert_eq!(goes_above(director, "b", "a", 1)[..6], [0, 3, 15, 63, 123, 183]);
        assert_eq!(goes_above(director, "b", "a", 20)[..5], [0, 20, 40, 88, 148], "a long way");
        assert_eq!(goes_above(director, "a", "b", 1).len(), 667, "the earlier name goes on");
        assert_eq!(goes_above(director, "a", "a", 1).len(), 667, "who forgot its own, too");
    }

    #[test]
    fn what_a_zone_tells_after_most_of_a_minute_is_told_again() {
        let mark = SeenAt::Mark;
        for back in [1, 12, 40, 57] {
            let second = back.max(3);
            let tries = goes_above(mark, "b", "a", back);
            assert_eq!(tries, [0, second, second + 600, second + 1200, second + 1800], "{back}");
        }
        assert_eq!(goes_above(mark, "a", "b", 40).len(), 50, "the earlier name goes on");
    }

    #[test]
    fn what_is_long_over_does_not_count() {
        let (a, b) = names("a", "b");
        let mut contest = Contest::new(SeenAt::Director, Time::ZERO);
        for second in [0, 3, 15] {
            contest.goes_above((&b, &a), DETECTION, Time::from_secs(second));
        }
        assert_eq!(contest.not_before(), Time::from_secs(63));
        let mut heard = contest;
        heard.is_over(DETECTION);
        assert_eq!(heard.not_before(), Time::from_secs(18));
        heard.goes_above((&b, &a), DETECTION, Time::from_secs(18));
        assert_eq!(heard.not_before(), Time::from_secs(21), "they heard each other meanwhile");
        contest.goes_above((&b, &a), DETECTION, Time::from_secs(300));
        assert_eq!(contest.not_before(), Time::from_secs(303));
    }
}
