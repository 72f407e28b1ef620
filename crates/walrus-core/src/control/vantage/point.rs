//! One vantage point: what it says of each server.

use super::target::Same;
use crate::world::{ServerId, Time, Topology};

/// How a server looks from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control) enum Seen {
    Up,
    Down {
        /// For people.
        reason: String,
        /// When it was seen up last there, or became known there if it never was. By the receiver's clock, in whose time
        /// the sender's "so long ago" is put when it comes in: late by the way of the message, and moved with each word.
        up_at: Time,
    },
}

/// What one says of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control) struct Word {
    pub(in crate::control) seen: Seen,
    /// When it was said last.
    pub(in crate::control) at: Time,
}

impl Word {
    pub(in crate::control) const fn is_up(&self) -> bool {
        matches!(self.seen, Seen::Up)
    }

    /// Why it is seen down, if it is.
    pub(super) fn reason(&self) -> Option<&str> {
        match &self.seen {
            Seen::Up => None,
            Seen::Down { reason, .. } => Some(reason),
        }
    }

    /// When it was seen up last, if it is seen down.
    pub(super) const fn up_at(&self) -> Option<Time> {
        match self.seen {
            Seen::Up => None,
            Seen::Down { up_at, .. } => Some(up_at),
        }
    }
}

/// What one says of all.
#[derive(Clone, Debug, Default)]
pub(super) struct Point {
    words: Vec<Option<Word>>,
    up: usize,
    down: usize,
    is_blind: bool,
}

impl Point {
    pub(super) fn word(&self, id: ServerId) -> Option<&Word> {
        self.words.get(id.index())?.as_ref()
    }

    pub(super) const fn sees_any(&self) -> bool {
        self.up > 0
    }

    /// Sees nobody up, and those that it sees down stand in several clusters.
    pub(super) const fn is_blind(&self) -> bool {
        self.is_blind
    }

    /// Servers that it sees up, and down.
    pub(super) const fn counts(&self) -> (usize, usize) {
        (self.up, self.down)
    }

    /// Replaces a word; tells whether the server is seen otherwise now, or for another reason. To be followed by [`Self::reckon`].
    pub(super) fn set(&mut self, id: ServerId, word: Option<Word>, topology: &Topology) -> bool {
        self.words.resize(topology.servers.len(), None);
        let Some(place) = self.words.get_mut(id.index()) else { return false };
        let is_up = |word: &Option<Word>| word.as_ref().map(Word::is_up);
        let (old, new) = (is_up(place), is_up(&word));
        let reason = |word: &Option<Word>| word.as_ref().and_then(Word::reason).map(str::to_owned);
        let is_otherwise = old != new || reason(place) != reason(&word);
        *place = word;
        for (state, by) in [(old, -1), (new, 1)] {
            match state {
                Some(true) => self.up = self.up.saturating_add_signed(by),
                Some(false) => self.down = self.down.saturating_add_signed(by),
                None => {}
            }
        }
        is_otherwise
    }

    /// Finds out whether it is blind.
    pub(super) fn reckon(&mut self, topology: &Topology) {
        self.is_blind = self.up == 0 && self.down > 1 && {
            let spoken =
                self.words.iter().zip(&topology.servers).filter(|(word, _)| word.is_some());
            let mut clusters = spoken.map(|(_, server)| server.cluster);
            let first = clusters.next();
            clusters.any(|cluster| Some(cluster) != first)
        };
    }

    /// The same for another topology: what was said of what is still probed.
    pub(super) fn carry(&mut self, same: &Same<'_>) {
        let words = same.carry(&mut self.words);
        *self = Self::default();
        for (id, word) in super::ids(same.new.0).zip(words) {
            self.set(id, word, same.new.0);
        }
        self.reckon(same.new.0);
    }

    /// Forgets words that are over; tells whether there was any.
    pub(super) fn forget(&mut self, is_over: impl Fn(&Word) -> bool, topology: &Topology) -> bool {
        let mut any = false;
        for id in super::ids(topology) {
            if self.word(id).is_some_and(&is_over) {
                any |= self.set(id, None, topology);
            }
        }
        self.reckon(topology);
        any
    }

    /// It was not its fault that nothing was heard.
    pub(super) fn hear_anew(&mut self, now: Time) {
        for word in self.words.iter_mut().flatten() {
            word.at = now;
        }
    }
}
