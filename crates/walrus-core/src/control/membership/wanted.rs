//! Who lacks the newest Plan, and when it is said whole.
//!
//! The master answers, to all at once and at most twice a second: two hundred Directors that come up together
//! ask together. A standby answers whoever asks again within 25 seconds: the master does not hear it, or is
//! not heard by it. A Plan's number says whose it is, so anybody may pass it on.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::world::{Name, Time};

/// Between two whole Plans.
const APART: Duration = Duration::from_millis(500);

/// A second question within this time says that nobody answered the first: more than twice the longest time between
/// two questions.
const REPEATED: Duration = Duration::from_secs(25);

/// As many are remembered to have asked.
const ASKERS_MAX: usize = 256;

/// When a Plan is to be said whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    send_at: Option<Time>,
    /// None before this.
    not_before: Time,
    askers: BTreeMap<Name, Time>,
}

impl Wanted {
    /// Somebody asks for a Plan that is here.
    pub(super) fn asked(&mut self, name: Name, is_master: bool, now: Time) {
        self.askers.retain(|_, asked| now.since(*asked) < REPEATED);
        if self.askers.len() >= ASKERS_MAX {
            self.askers.pop_first();
        }
        let is_repeated = self.askers.insert(name, now).is_some();
        if is_master || is_repeated {
            self.send_at.get_or_insert(self.not_before.max(now));
        }
    }

    /// Whether it is to be said now.
    pub(super) fn take(&mut self, now: Time) -> bool {
        let is_due = self.send_at.is_some_and(|at| at <= now);
        if is_due {
            self.send_at = None;
            self.not_before = now + APART;
            self.askers.clear();
        }
        is_due
    }

    pub(super) const fn next(&self) -> Option<Time> {
        self.send_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a Plan is said for questions at these milliseconds.
    fn said(is_master: bool, questions: &[(u64, &str)]) -> Vec<u64> {
        let mut wanted = Wanted::default();
        let mut said = Vec::new();
        for millis in 0..10_000 {
            let now = Time::from_millis(millis);
            for (_, name) in questions.iter().filter(|(at, _)| *at == millis) {
                wanted.asked(name.parse().unwrap(), is_master, now);
            }
            if wanted.take(now) {
                said.push(millis);
            }
        }
        said
    }

    #[test]
    fn a_master_answers_all_at_once() {
        assert_eq!(said(true, &[(5, "a"), (6, "b"), (7, "a"), (800, "c")]), [5, 505, 1005]);
    }

    #[test]
    fn a_standby_answers_who_asks_in_vain() {
        assert_eq!(said(false, &[(5, "a"), (6, "b"), (505, "a")]), [505]);
        assert_eq!(said(false, &[(5, "a"), (26_000, "a")]), [] as [u64; 0]);
    }

    #[test]
    fn who_asks_is_remembered_within_bounds() {
        let mut wanted = Wanted::default();
        for index in 0..10_000 {
            wanted.asked(format!("n{index}").parse().unwrap(), false, Time::ZERO);
        }
        assert_eq!(wanted.askers.len(), ASKERS_MAX);
    }
}
