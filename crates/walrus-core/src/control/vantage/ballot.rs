//! What the vantage points' words on one server come to.

use super::{Point, Vantage, Word, finds_out_within, gathered_within};
use crate::control::detect::Verdict;
use crate::world::{DownWhen, Name, Probe, ServerId, Time};

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

/// Who has a vote: if this changes, so may each verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Votes {
    /// Who sees nobody has none.
    pub(super) without_blind: bool,
    blind: Vec<bool>,
}

/// What the words on one server come to now.
#[derive(Debug, Default, PartialEq)]
pub(in crate::control) struct Outcome {
    /// Whether it lives, as far as probes tell; `None` if nobody tells, or it hangs on who has not spoken yet.
    pub(in crate::control) verdict: Option<Verdict>,
    /// Whether those that have spoken take it for down, whoever is still waited for; `None` if nobody has.
    pub(in crate::control) so_far: Option<bool>,
    /// When that may change by the passing of time alone.
    pub(in crate::control) until: Option<Time>,
}

impl Vantage {
    /// Finds out who has a vote. Half of all vantage points at most can be without for seeing nobody.
    pub(super) fn reckon_votes(&self) -> Votes {
        let points = || std::iter::once(&self.own).chain(self.others.values().map(|it| &it.point));
        let blind: Vec<bool> = points().map(Point::is_blind).collect();
        let are_blind = blind.iter().filter(|it| **it).count();
        let speak = points().filter(|point| point.counts() != (0, 0)).count();
        let without_blind = points().any(Point::sees_any) && are_blind * 2 <= speak;
        Votes { without_blind, blind }
    }

    /// Those that have a vote: who, since when, and what it says.
    fn voters(&self) -> impl Iterator<Item = (&Name, Option<Time>, &Point)> {
        let own = (&self.name, self.own_began, &self.own);
        let others = self.others.iter();
        let others = others.map(|((_, name), other)| (name, Some(other.began), &other.point));
        let all = std::iter::once(own).chain(others);
        all.filter(|(_, _, point)| !(self.votes.without_blind && point.is_blind()))
    }

    /// The votes on a server.
    pub(super) fn ballot(&self, id: ServerId, down_when: DownWhen) -> Ballot<'_> {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        for (name, _, point) in self.voters() {
            match point.word(id) {
                Some(word) if word.is_up() => up.push(name.as_str()),
                Some(word) => down.push((name.as_str(), word)),
                None => {}
            }
        }
        // The same words give the same text at every Controller.
        up.sort_unstable();
        down.sort_unstable_by_key(|(name, _)| *name);
        let needed = down_when.needed(up.len() + down.len());
        Ballot { up, down, needed }
    }

    /// Who has not said a word on a server and had no time to find it out, and until when: they began lately, or nobody
    /// has told of it for long.
    fn undecided(
        &self,
        id: ServerId,
        probe: &Probe,
        now: Time,
    ) -> impl Iterator<Item = (&Name, Time)> {
        let within = finds_out_within(probe, self.silence);
        let told_since = self.told_since.get(id.index()).copied().flatten().unwrap_or(Time::ZERO);
        let ends = self
            .voters()
            .filter(move |(_, _, point)| point.word(id).is_none())
            .filter_map(move |(name, began, _)| Some((name, began?.max(told_since) + within)));
        ends.filter(move |(_, end)| now < *end)
    }

    /// Until when nobody is the first to be heard.
    fn gathers_until(&self, now: Time) -> Option<Time> {
        let until = self.gathers_since? + gathered_within(self.silence);
        (now < until).then_some(until)
    }

    /// Whether a server lives, as far as probes tell.
    pub(in crate::control) fn outcome(&self, id: ServerId, probe: &Probe, now: Time) -> Outcome {
        let ballot = self.ballot(id, probe.down_when);
        let (up, down) = (ballot.up.len(), ballot.down.len());
        let so_far = (up + down > 0).then(|| ballot.is_down());
        if let Some(until) = self.gathers_until(now) {
            return Outcome { verdict: None, so_far, until: Some(until) };
        }
        if so_far.is_none() {
            return Outcome::default();
        }
        let (mut open, mut until) = (0, None);
        for (_, end) in self.undecided(id, probe, now) {
            (open, until) = (open + 1, until.map_or(Some(end), |first: Time| Some(first.min(end))));
        }
        let needed = probe.down_when.needed(up + down + open);
        let verdict = if down >= needed {
            Verdict::silent(ballot.reason(&self.name), ballot.last_up())
        } else if down + open < needed {
            Verdict::LIVING
        } else {
            return Outcome { verdict: None, so_far, until };
        };
        Outcome { verdict: Some(verdict), so_far, until: None }
    }

    /// For whom a verdict on a server waits, by name, and until when at most; for all who may still be heard if nobody
    /// is named.
    pub(super) fn waits_for(&self, id: ServerId, probe: &Probe, now: Time) -> (Vec<&str>, Time) {
        if let Some(until) = self.gathers_until(now) {
            return (Vec::new(), until);
        }
        let undecided = || self.undecided(id, probe, now);
        let mut names: Vec<&str> = undecided().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        (names, undecided().map(|(_, end)| end).max().unwrap_or(now))
    }
}

impl Ballot<'_> {
    pub(super) fn is_down(&self) -> bool {
        self.down.len() >= self.needed
    }

    /// When the last of those that see it down saw it up. That others see it still is no sign to them.
    fn last_up(&self) -> Time {
        self.down.iter().filter_map(|(_, word)| word.up_at()).max().unwrap_or(Time::ZERO)
    }

    fn reason(&self, own: &Name) -> String {
        let first = self.first_reason();
        match (&self.down[..], &self.up[..]) {
            // Nobody else looks.
            ([(name, _)], []) if *name == own.as_str() => first.to_owned(),
            _ => format!("{}: {first}", self.describe()),
        }
    }

    fn first_reason(&self) -> &str {
        self.down.first().and_then(|(_, word)| word.reason()).unwrap_or_default()
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
pub(super) fn list(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let named = names[..names.len() - more].join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}
