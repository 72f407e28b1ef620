//! Which of several Controllers is master, and whether one knows enough to be.
//!
//! **Problem.** The first to have joined is master (as in Spread). But one that comes back from being cut off is
//! still the first, and what it believes is what it heard before: its Plans would lead clients by a world
//! of long ago, while a peer knows better.
//!
//! **Rule.** Master is the first to have joined of those that *hear*; if none hears, the first of all. A
//! Controller hears if it has heard Reporters, or seen probes succeed (or heard of another vantage point that
//! does), for one detection time without a silence as long: by then it knows of each server whether it is silent. Where no server has a Reporter or a
//! probe there is nothing to hear, and everyone does. A lone Controller is always master: after a start it goes on with the
//! stored Plan.
//!
//! **When it is wrong.** One that hears a single server hears. Views differ in a partition; then each side
//! has a master, which is what the thesis wants.
//!
//! **Example.** one joined before two, reports each 8 s. one is cut off for 20 minutes, two is master. one is
//! back: two stays master. 16.5 s after its first report one hears, and may be master again.

use std::time::Duration;

use super::{Controller, detect};
use crate::world::Time;

/// What Controllers tell each other of themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidacy {
    /// Its place in the order of joining, lower first; whoever returns from the dead joins anew.
    pub joined: u64,
    /// [`Controller::hears`].
    pub hears: bool,
}

/// The master of those that are in view, each with its id, by which ties are decided.
#[must_use]
pub fn elect<Id: Ord>(view: impl IntoIterator<Item = (Id, Candidacy)>) -> Option<Id> {
    let first = view
        .into_iter()
        .min_by(|(a, one), (b, two)| (!one.hears, one.joined, a).cmp(&(!two.hears, two.joined, b)));
    first.map(|(id, _)| id)
}

/// Since when a Controller hears, and for how long without a further word.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hearing {
    complete_at: Time,
    until: Time,
}

impl Hearing {
    /// A server gave a sign of life; of its kind none is missed before `silence` has passed.
    pub(super) fn heard(&mut self, silence: Duration, now: Time) {
        if now >= self.until {
            self.complete_at = now + silence;
        }
        self.until = self.until.max(now + silence);
    }

    fn is_complete(&self, now: Time) -> bool {
        now >= self.complete_at && now < self.until
    }
}

impl Controller {
    /// Whether it knows how servers fare, as far as a Controller can. Pure in its arguments.
    #[must_use]
    pub fn hears(&self, now: Time) -> bool {
        let servers = &self.configuration.topology.servers;
        let is_deaf_by_nature = servers.iter().all(|it| !it.reporter && it.probe.is_none());
        is_deaf_by_nature || (self.hearing.is_complete(now) && !self.cut_off.is_unsure(now))
    }

    /// A server gave a sign of life, and should again within its Reporter's unit or else a round.
    pub(super) fn heard_from(&mut self, unit: Option<Duration>) {
        let rules = self.judge_at(self.now).rules();
        let silence = detect::detection(unit.unwrap_or(rules.round), rules);
        self.hearing.heard(silence, self.now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_have_joined_of_those_that_hear_is_master() {
        let view = |list: &[(&'static str, u64, bool)]| {
            let candidacy = |(id, joined, hears): &(&'static str, u64, bool)| {
                (*id, Candidacy { joined: *joined, hears: *hears })
            };
            elect(list.iter().map(candidacy).collect::<Vec<_>>())
        };
        for (list, expected) in [
            (&[][..], None),
            (&[("one", 1, false)], Some("one")),
            (&[("one", 1, true), ("two", 2, true)], Some("one")),
            (&[("two", 2, true), ("one", 1, true)], Some("one")),
            (&[("one", 1, false), ("two", 2, true)], Some("two")),
            (&[("one", 1, false), ("two", 2, false)], Some("one")),
            (&[("one", 1, false), ("two", 2, true), ("three", 3, true)], Some("two")),
            (&[("b", 1, true), ("a", 1, true)], Some("a")),
        ] {
            assert_eq!(view(list), expected, "{list:?}");
        }
    }

    #[test]
    fn who_was_cut_off_hears_after_one_detection_time() {
        let silence = Duration::from_secs(16);
        let mut hearing = Hearing::default();
        let at = Time::from_secs;
        assert!(!hearing.is_complete(at(5)), "it has heard nobody yet");
        for second in 10..100 {
            hearing.heard(silence, at(second));
            assert_eq!(hearing.is_complete(at(second)), second >= 26, "{second}");
        }
        assert!(hearing.is_complete(at(114)));
        assert!(!hearing.is_complete(at(115)), "silence");
        hearing.heard(silence, at(1000));
        assert!(!hearing.is_complete(at(1001)), "it has yet to hear the others");
        hearing.heard(silence, at(1008));
        assert!(hearing.is_complete(at(1016)));
    }
}
