//! What of vantage points is told in the log: what they see differently, and verdicts that wait.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Vantage, ballot};
use crate::world::{DownWhen, ServerId, Time, Topology};

/// Between two times that something is told: what comes one after another is told together.
const TOLD_APART: Duration = Duration::from_secs(10);

/// So many lines at a time; what is in none is in `status`.
const LINES_MAX: usize = 8;

/// Servers of which the same is to be told, and the longest of their times.
type Told<'a> = BTreeMap<String, (u64, Vec<&'a str>)>;

impl Vantage {
    /// Lines for the log about servers that are seen differently for long, and no longer.
    pub(in crate::control) fn tell(
        &mut self,
        patience: impl Fn(ServerId) -> Duration,
        topology: &Topology,
        now: Time,
    ) -> Vec<String> {
        if now < self.may_tell_at() {
            return Vec::new();
        }
        let name = |id: ServerId| Some(topology.servers.get(id.index())?.name.as_str());
        // By what there is to tell: for how long, and of whom.
        let mut told: BTreeMap<(bool, String), (u64, Vec<&str>)> = BTreeMap::new();
        for id in self.differences.ended() {
            let ballot = self.ballot(id, DownWhen::Majority);
            let how = if ballot.down.is_empty() { "up" } else { "down" };
            told.entry((false, how.to_owned())).or_default().1.extend(name(id));
        }
        for (id, since) in self.differences.due(&patience, now) {
            let Some(server) = topology.servers.get(id.index()) else { continue };
            let down_when = server.probe.as_ref().map(|probe| probe.down_when).unwrap_or_default();
            let ballot = self.ballot(id, down_when);
            let taken_for = if ballot.is_down() { "down" } else { "up" };
            let what = format!("{}; taken for {taken_for}", ballot.describe());
            let (secs, servers) = told.entry((true, what)).or_default();
            *secs = now.since(since).as_secs().max(*secs);
            servers.push(server.name.as_str());
        }
        if !told.is_empty() {
            self.told_at = Some(now);
        }
        let told = told.into_iter().take(LINES_MAX);
        told.map(|((differ, what), told)| line(differ.then_some(told.0), &what, &told.1)).collect()
    }

    /// When [`Self::tell`] has something to say next.
    pub(in crate::control) fn next_told(
        &self,
        patience: impl Fn(ServerId) -> Duration,
    ) -> Option<Time> {
        let due = self.differences.next(&patience)?;
        Some(due.max(self.may_tell_at()))
    }

    /// Lines for the log about servers whose verdict would be another one if it did not wait.
    pub(in crate::control) fn tell_waits(
        &mut self,
        held_back: &[(ServerId, bool)],
        topology: &Topology,
        now: Time,
    ) -> Vec<String> {
        let mut told = Told::new();
        for (id, down) in held_back {
            let Some(server) = topology.servers.get(id.index()) else { continue };
            let Some(probe) = &server.probe else { continue };
            let ballot = self.ballot(*id, probe.down_when).describe();
            let (names, until) = self.waits_for(*id, probe, now);
            let down = if *down { "down" } else { "up" };
            let whom = if names.is_empty() {
                "all that may be heard".to_owned()
            } else {
                ballot::list(&names)
            };
            let what = format!("not taken for {down} yet: {ballot}; that waits for {whom}");
            let (secs, servers) = told.entry(what).or_default();
            *secs = until
                .since(now)
                .as_millis()
                .div_ceil(1000)
                .try_into()
                .unwrap_or(u64::MAX)
                .max(*secs);
            servers.push(server.name.as_str());
        }
        if !told.is_empty() {
            self.told_at = Some(now);
        }
        let line = |(what, (secs, servers)): (String, (u64, Vec<&str>))| {
            let (s, are) = number(&servers);
            format!("server{s} {} {are} {what}, {secs} s at most", ballot::list(&servers))
        };
        told.into_iter().take(LINES_MAX).map(line).collect()
    }

    /// When something may be told next.
    pub(in crate::control) fn may_tell_at(&self) -> Time {
        self.told_at.map_or(Time::ZERO, |at| at + TOLD_APART)
    }
}

/// One for all servers of which the same is to be told.
fn line(differ_secs: Option<u64>, what: &str, servers: &[&str]) -> String {
    let (s, are) = number(servers);
    let servers = ballot::list(servers);
    if let Some(secs) = differ_secs {
        format!("server{s} {servers} {are} seen differently for {secs} s: {what}")
    } else {
        format!("vantage points see server{s} {servers} alike again: {what}")
    }
}

fn number(servers: &[&str]) -> (&'static str, &'static str) {
    if servers.len() == 1 { ("", "is") } else { ("s", "are") }
}
