//! A Controller that had peers hears none, and most servers with them: then it is cut off.
//!
//! **Problem.** A link breaks that joined an area to the world. The Controller in the area still sees the servers on its
//! side; all others have fallen silent. They are not dead: their own side serves its clients from them. If
//! they counted as dead, a service without a server on this side would have nothing but the last usable answer.
//!
//! **Rule** (design, section 3). A Controller that had peers, now hears none, and has lost more than half of all servers since it heard the
//! last of them is *cut off*. The servers that it lost are then *unknown*: below any living server that is
//! seen, above none at all; areas whose Directors are on this side move to a seen living cluster if there is one.
//! Lost is a server that is out for silence alone and was not yet when the last peer was last heard; whoever was dead
//! before stays dead. When a peer is heard again, or half of the servers are, those that
//! are still unseen have one detection time of theirs to be heard; then they are dead. Until that is
//! over the Controller does not say of itself that it hears: who was on the larger side knows better, and its
//! Plan moves nobody needlessly.
//!
//! **When it is wrong.** If the peers and most servers did die together, unknown servers are named only where no living one
//! is seen: nobody could be served better. A Controller on the larger side has lost less than half: it takes the
//! others for dead, and moves their areas.
//!
//! **Example.** 9 servers, 3 here. The link breaks at 0 s; at 3 s no peer is heard. At 16 s the fourth is silent, 4 of 9:
//! dead. At 17 s the fifth: more than half, and all five are unknown. At 600 s a peer is heard again; by 617 s all
//! servers are, and the Controller may be master again.

use super::servers::{Judge, Record, Servers};
use crate::world::Time;

/// As long as the Controller is cut off.
const FOREVER: Time = Time::from_nanos(u64::MAX);

/// Whether a Controller is cut off.
#[derive(Clone, Debug, Default)]
pub(super) struct CutOff {
    /// When a peer was last heard, if ever.
    last_word: Option<Time>,
    /// Whether any is heard now.
    hears_peers: bool,
    is_active: bool,
    /// Not active any more, but who was lost may yet be heard: until then at the latest.
    settled_at: Option<Time>,
}

impl CutOff {
    /// A Controller that starts; `had_peers` if what it stored tells that there were others.
    pub(super) fn new(had_peers: Option<Time>) -> Self {
        Self { last_word: had_peers, ..Self::default() }
    }

    /// As the group is now.
    pub(super) fn peers(&mut self, last_word: Option<Time>, hears_peers: bool) {
        // Never back: whoever ended in good order was heard as well.
        self.last_word = self.last_word.max(last_word);
        self.hears_peers = hears_peers;
    }

    pub(super) const fn is_active(&self) -> bool {
        self.is_active
    }

    /// Whether what this Controller does not see may be there all the same.
    pub(super) fn is_unsure(&self, now: Time) -> bool {
        self.is_active || self.settled_at.is_some_and(|at| now < at)
    }

    /// Before a decision: finds out whether this Controller is cut off, and marks servers accordingly.
    pub(super) fn weigh(&mut self, servers: &mut Servers, judge: &Judge<'_>) {
        let Some(last_word) = self.last_word else { return };
        let lost = servers.lost_since(last_word);
        let was_active = std::mem::replace(
            &mut self.is_active,
            !self.hears_peers && lost.len() * 2 > judge.topology.servers.len(),
        );
        if self.is_active {
            self.settled_at = None;
            for server in lost {
                servers.set_out_of_sight(server, true, judge);
            }
        } else if was_active {
            let ends = servers.out_of_sight().into_iter();
            self.settled_at =
                ends.filter_map(|it| servers.set_out_of_sight(it, false, judge)).max();
        } else if self.settled_at.is_some() && servers.out_of_sight().is_empty() {
            self.settled_at = None;
        }
    }
}

impl Servers {
    /// Who is out for silence alone, and was not at that time.
    fn lost_since(&self, last_word: Time) -> Vec<usize> {
        let is_lost = |record: &Record| {
            let is_later = record.life_since >= last_word || record.out_of_sight.is_some();
            record.silent.is_some() && !record.life.functions() && is_later
        };
        self.places(is_lost)
    }

    /// Who was lost, and neither heard nor given up since.
    fn out_of_sight(&self) -> Vec<usize> {
        self.places(|record| record.out_of_sight.is_some())
    }

    fn places(&self, is_meant: impl Fn(&Record) -> bool) -> Vec<usize> {
        self.iter().enumerate().filter(|(_, it)| is_meant(it)).map(|(index, _)| index).collect()
    }

    /// A server is unknown as long as it is not heard: from now on, or for one more detection time. Tells
    /// until when.
    fn set_out_of_sight(&mut self, index: usize, stays: bool, judge: &Judge<'_>) -> Option<Time> {
        let detection = self.record(index)?.detection(judge.rules());
        let until = if stays { FOREVER } else { judge.now + detection };
        self.change(index, judge, |record| {
            if record.out_of_sight != Some(until) {
                record.out_of_sight = Some(until);
                // Its own side has handed it out all the time: there is nothing to come back from.
                record.was_out = false;
            }
        });
        Some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_never_goes_back() {
        let at = |seconds| Some(Time::from_secs(seconds));
        let mut cut_off = CutOff::new(None);
        cut_off.peers(at(100), true);
        // Whoever spoke last has ended in good order; another had fallen silent long before.
        cut_off.peers(at(50), false);
        assert_eq!(cut_off.last_word, at(100));
        cut_off.peers(None, false);
        assert_eq!(cut_off.last_word, at(100));
    }
}
