//! Whose clients the measured loads are of, where servers have been left out or come back of late.
//!
//! **Problem.** Loads are of those clients that a server has now. Who was left out or died a
//! moment ago has its clients still, and those that remain have none of them yet. Judged as if they had, they seem to
//! bear what is still to come, and the next one is left out, and the next. Judged as if nobody had followed
//! until all have, those that have followed count twice, and who was left out is given out again.
//!
//! **Rule.** Clients are where the answers of the last TTL sent them, as many by each moment of it. An answer that was given
//! while servers of the weight W were given out put a part of 1/W on each unit of it; so the clients that a unit
//! has now are the mean of 1/W over the last TTL (the longest of its class of services).
//!
//! **Source.** Our own; the time is that of A23.
//!
//! **When it is wrong.** Resolvers that keep answers for longer (of an adaptive TTL the mean counts), and reports that come as
//! seldom as answers end: they tell of a time in which fewer had followed. Who goes and comes back within a TTL counts as
//! if it had never gone.
//!
//! **Example.** TTL 60 s, three servers of weight 1; the first was left out 15 s ago. 1/W was 1/3 for 45 s and is 1/2: the mean
//! is 3/8. Each of the others has 3/8 of the clients, and will have 1/2: a third more than now.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::standing::EPSILON;
use crate::world::{ServerId, Time};

/// A server that is given out, or is not, for so short a time that loads are of before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Following {
    /// Which.
    pub server: ServerId,
    /// Since when it is not as it was.
    pub since: Time,
    /// Whether it was given out before that.
    pub was_given: bool,
}

/// Who was given out when, over the last TTL.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// By server: it was given out at the last decision.
    given: Vec<bool>,
    /// In order of servers.
    following: Vec<Following>,
    now: Time,
    ttl: Duration,
}

impl Measured {
    /// From what the last decision remembered, in order of servers.
    pub(super) fn new(
        given: Vec<bool>,
        following: &[Following],
        (now, ttl): (Time, Duration),
    ) -> Self {
        let following = following.iter().copied();
        let is_recent =
            |it: &Following| it.server.index() < given.len() && now.since(it.since) < ttl;
        let following = following.filter(is_recent).collect();
        Self { given, following, now, ttl }
    }

    /// Whether the server had clients a TTL ago, and may have some of them still.
    pub(super) fn was_given(&self, server: usize) -> bool {
        let given = || self.given.get(server).copied().unwrap_or(false);
        self.change(server).map_or_else(given, |change| change.was_given)
    }

    /// Whether the server was given out all the time, so that its load is that of its clients.
    pub(super) fn was_always_given(&self, server: usize) -> bool {
        self.change(server).is_none() && self.given.get(server).copied().unwrap_or(false)
    }

    /// The weight over which these servers' clients are spread: that of those who were given out, in the
    /// harmonic mean of the last TTL. 0 if that was nobody.
    pub(super) fn spread_over(
        &self,
        servers: impl Iterator<Item = usize> + Clone,
        weight: impl Fn(usize) -> f64,
    ) -> f64 {
        let given = servers.clone().filter(|server| self.given.get(*server) == Some(&true));
        let mut sum: f64 = given.map(&weight).sum();
        let mut changes: Vec<(Time, f64)> = Vec::new();
        if !self.following.is_empty() {
            let of = |server: usize| {
                let change = self.change(server)?;
                let sign = if change.was_given { 1.0 } else { -1.0 };
                Some((change.since, sign * weight(server)))
            };
            changes.extend(servers.filter_map(of));
            changes.sort_by_key(|(since, _)| std::cmp::Reverse(*since));
        }
        // Back in time: what was given out between this change and the one after it.
        let (mut until, mut times, mut shares) = (self.now, 0.0, 0.0);
        let begin = Time::from_nanos(self.now.as_nanos().saturating_sub(nanos(self.ttl)));
        for (since, before) in changes.into_iter().chain([(begin, 0.0)]) {
            let time = until.since(since).as_secs_f64();
            if sum > EPSILON {
                times += time;
                shares += time / sum;
            }
            (until, sum) = (since.min(until), (sum + before).max(0.0));
        }
        match shares > 0.0 {
            true => times / shares,
            // No time has passed at all, or nobody was given out in it.
            false => sum,
        }
    }

    fn change(&self, server: usize) -> Option<&Following> {
        let place = self.following.binary_search_by_key(&server, |it| it.server.index());
        place.ok().and_then(|place| self.following.get(place))
    }

    /// What is to be remembered once it is decided who is given out now.
    pub(super) fn remember(&self, given: &[bool]) -> Vec<Following> {
        let changed = (0..).map(ServerId).zip(given).filter_map(|(server, is_given)| {
            let index = server.index();
            let was_given = self.was_given(index);
            if was_given == *is_given {
                return None;
            }
            let is_new = self.given.get(index) != Some(is_given);
            let known = self.change(index).filter(|_| !is_new);
            let since = known.map_or(self.now, |known| known.since);
            Some(Following { server, since, was_given })
        });
        changed.collect()
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    const fn at(seconds: u64) -> (Time, Duration) {
        (Time::from_secs(seconds), TTL)
    }

    #[test]
    fn a_change_is_remembered_for_a_ttl() {
        let measured = Measured::new(vec![true, true, false], &[], at(100));
        // The first is left out, the last given out anew.
        let now = [false, true, true];
        let following = measured.remember(&now);
        assert_eq!(following.len(), 2);
        let measured = Measured::new(now.to_vec(), &following, at(110));
        assert_eq!([0, 1, 2].map(|server| measured.was_given(server)), [true, true, false]);
        assert_eq!([0, 1, 2].map(|it| measured.was_always_given(it)), [false, true, false]);
        assert_eq!(measured.remember(&now), following, "the time goes on");
        assert!(measured.remember(&[true, true, false]).is_empty(), "it is as it was");
        let measured = Measured::new(now.to_vec(), &following, at(160));
        assert_eq!([0, 1, 2].map(|server| measured.was_given(server)), [false, true, true]);
        assert!(measured.remember(&now).is_empty());
        // There and back and there again: from then on.
        let back = Measured::new(now.to_vec(), &following, at(110));
        let again = Measured::new(vec![true, true, true], &back.remember(&[true; 3]), at(120));
        assert_eq!(again.remember(&now)[0].since, Time::from_secs(120));
    }

    #[test]
    fn what_is_not_there_does_not_count() {
        let gone = Following { server: ServerId(7), since: Time::from_secs(1), was_given: true };
        let measured = Measured::new(vec![true], &[gone], at(2));
        assert!(measured.was_given(0) && !measured.was_given(7));
        assert!(measured.remember(&[true]).is_empty());
    }

    #[test]
    fn clients_are_where_the_answers_of_the_last_ttl_sent_them() {
        let change = |server, seconds, was_given| Following {
            server: ServerId(server),
            since: Time::from_secs(seconds),
            was_given,
        };
        let weights = [1.0, 1.0, 2.0];
        for (given, changes, expected, why) in [
            ([true, true, true], &[][..], 4.0, "nothing has changed"),
            ([false, true, true], &[change(0, 1000, true)], 4.0, "nobody has followed yet"),
            ([false, true, true], &[change(0, 985, true)], 1.0 / (0.75 / 4.0 + 0.25 / 3.0), "some"),
            ([false, true, true], &[change(0, 940, true)], 3.0, "all have"),
            ([true, true, true], &[change(2, 970, false)], 1.0 / (0.5 / 4.0 + 0.5 / 2.0), "back"),
            (
                [false, false, true],
                &[change(0, 980, true), change(1, 960, true)],
                3.0 / (1.0 / 4.0 + 1.0 / 3.0 + 1.0 / 2.0),
                "one after the other",
            ),
            ([false, false, false], &[change(2, 970, true)], 2.0, "nobody now"),
            ([false, false, false], &[], 0.0, "nobody ever"),
        ] {
            let measured = Measured::new(given.to_vec(), changes, at(1000));
            let spread = measured.spread_over(0..3, |server| weights[server]);
            assert!((spread - expected).abs() < 1e-9, "{why}: {spread}, {expected}");
        }
        let soon = Measured::new(vec![true; 3], &[change(0, 3, false)], at(5));
        assert!((2.0..4.0).contains(&soon.spread_over(0..3, |_| 1.0)), "less than a TTL old");
    }
}
