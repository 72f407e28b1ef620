//! What the vantage points' words on one server come to.

use super::{Vantage, Word};
use crate::control::detect::Verdict;
use crate::control::vantage::point::Seen;
use crate::world::{DownWhen, ServerId, Time};

/// Vantage points that are named; the others are counted.
const NAMED_MAX: usize = 4;

/// Who sees a server how, of those that have a vote; by name.
#[derive(Debug)]
pub(in crate::control) struct Ballot<'a> {
    pub(super) up: Vec<&'a str>,
    pub(super) down: Vec<(&'a str, &'a Word)>,
    /// So many must see it down.
    pub(super) needed: usize,
}

impl Vantage {
    /// The votes on a server.
    pub(super) fn ballot(&self, id: ServerId, down_when: DownWhen) -> Ballot<'_> {
        let others = self.others.iter();
        let others = others.map(|((_, name), other)| (name.as_str(), &other.point));
        let points = || std::iter::once((self.name.as_str(), &self.own)).chain(others.clone());
        let somebody_sees = points().any(|(_, point)| point.sees_any());
        let voters = points().filter(|(_, point)| !(somebody_sees && point.is_blind()));
        let (mut up, mut down) = (Vec::new(), Vec::new());
        for (name, point) in voters {
            match point.word(id) {
                Some(word) if word.is_up() => up.push(name),
                Some(word) => down.push((name, word)),
                None => {}
            }
        }
        // The same words give the same text at every Controller.
        up.sort_unstable();
        down.sort_unstable_by_key(|(name, _)| *name);
        let needed = down_when.needed(up.len() + down.len());
        Ballot { up, down, needed }
    }

    /// Whether a server lives, as far as probes tell; `None` if nobody tells.
    pub(in crate::control) fn verdict(&self, id: ServerId, down_when: DownWhen) -> Option<Verdict> {
        let ballot = self.ballot(id, down_when);
        if ballot.up.is_empty() && ballot.down.is_empty() {
            return None;
        }
        if !ballot.is_down() {
            return Some(Verdict::LIVING);
        }
        Some(Verdict::silent(ballot.reason(&self.name), ballot.last_up()))
    }
}

impl Ballot<'_> {
    pub(super) fn is_down(&self) -> bool {
        self.down.len() >= self.needed
    }

    /// When the last of those that see it down saw it up. That others see it still is no sign to them.
    fn last_up(&self) -> Time {
        self.down.iter().map(|(_, word)| word.up_at).max().unwrap_or(Time::ZERO)
    }

    fn reason(&self, own: &crate::world::Name) -> String {
        let first = self.first_reason();
        match (&self.down[..], &self.up[..]) {
            // Nobody else looks.
            ([(name, _)], []) if *name == own.as_str() => first.to_owned(),
            _ => format!("{}: {first}", self.describe()),
        }
    }

    fn first_reason(&self) -> &str {
        let first = self.down.first().map(|(_, word)| &word.seen);
        first.map_or("", |seen| match seen {
            Seen::Up => "",
            Seen::Down(reason) => reason,
        })
    }

    /// "3 of 4 vantage points see it down (asia, eu, us; ns1 sees it up)".
    pub(super) fn describe(&self) -> String {
        let (down, up) = (self.down.len(), self.up.len());
        let names: Vec<&str> = self.down.iter().map(|(name, _)| *name).collect();
        let verb = |count| if count == 1 { "sees" } else { "see" };
        let mut text = format!("{down} of {} vantage points {} it down (", down + up, verb(down));
        text.push_str(&list(&names));
        if up > 0 {
            text.push_str(&format!("; {} {} it up", list(&self.up), verb(up)));
        }
        text.push(')');
        text
    }
}

/// The first few names; the others are counted.
fn list(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let named = names[..names.len() - more].join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}
