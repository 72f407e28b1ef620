//! Who sees what, for people.

use std::time::Duration;

use serde::Serialize;

use super::Vantage;
use super::point::Point;
use crate::control::SourceStatus;
use crate::message::Role;
use crate::world::{DownWhen, Name, Probe, ServerId, Time};

/// One vantage point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VantagePointStatus {
    /// The node.
    pub name: Name,
    /// As what it speaks: "controller" or "director".
    pub role: Role,
    /// Since it was last heard, in milliseconds; 0 for this Controller.
    pub age_ms: u64,
    /// Servers that it sees up.
    pub up: usize,
    /// Servers that it sees down.
    pub down: usize,
    /// It sees none, while another one sees some: it has no vote.
    pub blind: bool,
}

/// How many vantage points see a server how, of those that have a vote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SeenStatus {
    /// So many see it up.
    pub up: usize,
    /// So many see it down.
    pub down: usize,
}

/// A server's verdict by probes waits, and would be another one if it did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitStatus {
    /// What those that have told of it take it for: down, or up.
    pub down: bool,
    /// Who they are, in words.
    pub so_far: String,
    /// Who is waited for; whoever may still be heard if nobody is named.
    pub waits_for: Vec<String>,
    /// For so long at most, in milliseconds.
    pub remaining_ms: u64,
}

/// Vantage points see a server differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DisagreementStatus {
    /// Who sees it up.
    pub up: Vec<String>,
    /// Who sees it down, and why.
    pub down: Vec<(String, String)>,
    /// So many must see it down before it is.
    pub needed: usize,
    /// For how long they have differed, in milliseconds.
    pub age_ms: u64,
}

impl Vantage {
    /// All that are heard, this Controller among them if it probes.
    pub(in crate::control) fn status(&self, now: Time) -> Vec<VantagePointStatus> {
        let of = |name: &Name, role, age: Duration, point: &Point| {
            let (up, down) = point.counts();
            let blind = self.votes.without_blind && point.is_blind();
            VantagePointStatus { name: name.clone(), role, age_ms: millis(age), up, down, blind }
        };
        let own = (self.own.counts() != (0, 0))
            .then(|| of(&self.name, Role::Controller, Duration::ZERO, &self.own));
        let others = self
            .others
            .iter()
            .map(|((role, name), other)| of(name, *role, now.since(other.heard_at), &other.point));
        own.into_iter().chain(others).collect()
    }

    /// Whether a server is seen differently, and by whom.
    pub(in crate::control) fn disagreement(
        &self,
        id: ServerId,
        down_when: DownWhen,
        now: Time,
    ) -> Option<DisagreementStatus> {
        let since = self.differences.since(id)?;
        let ballot = self.ballot(id, down_when);
        let down = ballot
            .down
            .iter()
            .map(|(name, word)| ((*name).to_owned(), word.reason().unwrap_or_default().to_owned()));
        Some(DisagreementStatus {
            up: ballot.up.iter().map(|name| (*name).to_owned()).collect(),
            down: down.collect(),
            needed: ballot.needed,
            age_ms: millis(now.since(since)),
        })
    }

    /// How many see a server how.
    pub(in crate::control) fn seen(&self, id: ServerId) -> SeenStatus {
        let ballot = self.ballot(id, DownWhen::Majority);
        SeenStatus { up: ballot.up.len(), down: ballot.down.len() }
    }

    /// Since when a server is seen differently, if it is.
    pub(in crate::control) fn differ_since(&self, id: ServerId) -> Option<Time> {
        self.differences.since(id)
    }

    /// For whom and how long the verdict on a server waits that would be this one.
    pub(in crate::control) fn wait(
        &self,
        (id, down): (ServerId, bool),
        probe: &Probe,
        now: Time,
    ) -> WaitStatus {
        let (names, until) = self.waits_for(id, probe, now);
        WaitStatus {
            down,
            so_far: self.ballot(id, probe.down_when).describe(),
            waits_for: names.into_iter().map(str::to_owned).collect(),
            remaining_ms: millis(until.since(now)),
        }
    }

    /// What others say of a server, as sources of what is known of it.
    pub(in crate::control) fn sources(&self, id: ServerId, now: Time) -> Vec<SourceStatus> {
        let words =
            self.others.iter().filter_map(|((_, name), other)| Some((name, other.point.word(id)?)));
        let source = |(name, word): (&Name, &super::Word)| SourceStatus {
            source: "vantage point".to_owned(),
            observer: name.clone(),
            says: word.reason().map_or_else(|| "up".to_owned(), |reason| format!("down: {reason}")),
            age_ms: Some(millis(now.since(word.at))),
            skew_ms: None,
            unit_ms: Some(millis(self.silence)),
            sequence: None,
            version: None,
        };
        words.map(source).collect()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
