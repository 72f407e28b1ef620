//! Which servers have clients that have not followed the answers yet.
//!
//! **Problem.** Loads are of those clients that a server had when they were measured. Who was left out or died a
//! moment ago had clients then, and those that remain have none of them yet. Judged as if they had, they seem to
//! bear what is still to come, and the next one is left out, and the next.
//!
//! **Rule.** A server that ceases to be given out, or is given out anew, counts as what it was before until this is a
//! TTL old (the longest of its class of services): then caches have forgotten.
//!
//! **Source.** Our own; the time is that of A23.
//!
//! **When it is wrong.** Resolvers that keep answers for longer, and reports that come as seldom as answers end: they
//! tell of a time in which not all had followed.

use serde::{Deserialize, Serialize};

use crate::world::{ServerId, Time};

/// A server that is given out, or is not, for so short a time that loads are of before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Following {
    /// Which.
    pub server: ServerId,
    /// Since when it is not as it was.
    pub since: Time,
    /// Whether it was given out when loads were measured.
    pub was_given: bool,
}

/// What loads are of, by server: was it given out?
#[derive(Clone, Debug)]
pub(super) struct Measured {
    was_given: Vec<bool>,
    following: Vec<Following>,
    /// Those that were given out at the last decision.
    given: Vec<bool>,
}

impl Measured {
    /// From what the last decision remembered, in order of servers; `is_old` says of a time whether it is a TTL ago.
    pub(super) fn new(
        given: Vec<bool>,
        following: &[Following],
        is_old: impl Fn(Time) -> bool,
    ) -> Self {
        let following = following.iter().copied();
        let following: Vec<Following> =
            following.filter(|it| it.server.index() < given.len() && !is_old(it.since)).collect();
        let mut was_given = given.clone();
        following.iter().for_each(|it| was_given[it.server.index()] = it.was_given);
        Self { was_given, following, given }
    }

    /// Whether the server was given out when loads were measured.
    pub(super) fn was_given(&self, server: usize) -> bool {
        self.was_given.get(server).copied().unwrap_or(false)
    }

    /// What is to be remembered once it is decided who is given out now.
    pub(super) fn remember(&self, given: &[bool], now: Time) -> Vec<Following> {
        let changed = (0..).map(ServerId).zip(given).filter_map(|(server, is_given)| {
            let index = server.index();
            let was_given = self.was_given(index);
            if was_given == *is_given {
                return None;
            }
            let is_new = self.given.get(index) != Some(is_given);
            let known = self.following.binary_search_by_key(&server, |it| it.server);
            let known = known.ok().filter(|_| !is_new);
            let since = known.map_or(now, |index| self.following[index].since);
            Some(Following { server, since, was_given })
        });
        changed.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Time {
        Time::from_secs(seconds)
    }

    #[test]
    fn a_server_counts_as_it_was_until_its_change_is_old() {
        let is_old = |now: u64| move |since: Time| at(now).since(since).as_secs() >= 60;
        let measured = Measured::new(vec![true, true, false], &[], is_old(100));
        // The first is left out, the last given out anew.
        let now = [false, true, true];
        let following = measured.remember(&now, at(100));
        assert_eq!(following.len(), 2);
        let measured = Measured::new(now.to_vec(), &following, is_old(110));
        assert_eq!([0, 1, 2].map(|server| measured.was_given(server)), [true, true, false]);
        assert_eq!(measured.remember(&now, at(110)), following, "the time goes on");
        assert!(measured.remember(&[true, true, false], at(110)).is_empty(), "it is as it was");
        let measured = Measured::new(now.to_vec(), &following, is_old(160));
        assert_eq!([0, 1, 2].map(|server| measured.was_given(server)), [false, true, true]);
        assert!(measured.remember(&now, at(160)).is_empty());
        // There and back and there again: from then on.
        let back = Measured::new(now.to_vec(), &following, is_old(110));
        let again =
            Measured::new(vec![true, true, true], &back.remember(&[true; 3], at(110)), is_old(120));
        assert_eq!(again.remember(&now, at(120))[0].since, at(120));
    }

    #[test]
    fn what_is_not_there_does_not_count() {
        let gone = Following { server: ServerId(7), since: at(1), was_given: true };
        let measured = Measured::new(vec![true], &[gone], |_| false);
        assert!(measured.was_given(0) && !measured.was_given(7));
        assert!(measured.remember(&[true], at(2)).is_empty());
    }
}
