//! What changes from one Plan to another, for `walrus plan --diff` and the log.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{AreaPlan, ListIndex, Plan, ServicePlan};
use crate::world::{Life, Name};

/// All that differs, in order of names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanDiff {
    /// Servers that came, went, or changed their life.
    pub servers: Vec<ServerChange>,
    /// Services that came.
    pub services_added: Vec<String>,
    /// Services that went.
    pub services_removed: Vec<String>,
    /// Services whose configuration changed.
    pub services_changed: Vec<String>,
    /// Areas of services, in both Plans, whose answers change; those that came or went have `None`.
    pub areas: Vec<AreaChange>,
}

/// A server's change of life; `None` where it does not exist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerChange {
    /// Which.
    pub server: Name,
    /// In the old Plan.
    pub from: Option<Life>,
    /// In the new one.
    pub to: Option<Life>,
    /// Why, for people.
    pub reason: String,
}

/// What changes for one area of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AreaChange {
    /// The service.
    pub service: String,
    /// The area.
    pub area: Name,
    /// Clusters and shares in the old Plan; `None` if the area is new.
    pub clusters_from: Option<Vec<(Name, f64)>>,
    /// Clusters and shares in the new one; `None` if the area is gone.
    pub clusters_to: Option<Vec<(Name, f64)>>,
    /// Servers that become candidates.
    pub added: Vec<Name>,
    /// Servers that cease to be candidates.
    pub removed: Vec<Name>,
    /// The candidates' shares, weights, ramps or order change, or which of them are above the
    /// threshold.
    pub reweighted: bool,
    /// The longest TTL in seconds before and after, if it changes (halving while degraded counts).
    pub ttl: Option<(u32, u32)>,
    /// What decided in the new Plan.
    pub reason: String,
}

/// What changes from `old` to `new`.
#[must_use]
pub fn diff(old: &Plan, new: &Plan) -> PlanDiff {
    let mut result = PlanDiff { servers: server_changes(old, new), ..PlanDiff::default() };
    let mut comparison = Comparison { old, new, known: BTreeMap::new() };
    let services = by_key(&old.services, &new.services, |service| service.name.as_str());
    for (name, (before, after)) in services {
        match (before, after) {
            (Some(before), Some(after)) => {
                if before.digest != after.digest {
                    result.services_changed.push(name.to_owned());
                }
                let areas = by_key(&before.areas, &after.areas, |entry| entry.area.as_str());
                let changes = areas
                    .into_values()
                    .filter_map(|areas| comparison.area_change((before, after), areas));
                result.areas.extend(changes);
            }
            (None, _) => result.services_added.push(name.to_owned()),
            (_, None) => result.services_removed.push(name.to_owned()),
        }
    }
    result
}

impl PlanDiff {
    /// Nothing changes for any client.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The changes as plain text, one a line; none if nothing changes.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.servers.iter().map(ServerChange::line).collect();
        let services = [
            ("added", &self.services_added),
            ("removed", &self.services_removed),
            ("configured anew", &self.services_changed),
        ];
        for (what, names) in services {
            lines.extend(names.iter().map(|name| format!("service {name}: {what}")));
        }
        lines.extend(self.areas.iter().map(AreaChange::line));
        lines
    }
}

impl ServerChange {
    fn line(&self) -> String {
        let word = |life: Option<Life>| match life {
            None => "not there",
            Some(Life::Living) => "living",
            Some(Life::Unknown) => "unknown",
            Some(Life::Drained) => "drained",
            Some(Life::Bypass) => "bypass",
            Some(Life::Panic) => "panic",
            Some(Life::Dead) => "dead",
        };
        let reason =
            if self.reason.is_empty() { String::new() } else { format!(" ({})", self.reason) };
        format!("server {}: {} -> {}{reason}", self.server, word(self.from), word(self.to))
    }
}

impl AreaChange {
    fn line(&self) -> String {
        let mut parts = Vec::new();
        if self.clusters_from != self.clusters_to {
            let from = shares_text(self.clusters_from.as_deref());
            parts.push(format!("{from} -> {}", shares_text(self.clusters_to.as_deref())));
        }
        for (sign, names) in [('+', &self.added), ('-', &self.removed)] {
            parts.extend(names.iter().map(|name| format!("{sign}{name}")));
        }
        if self.reweighted {
            parts.push("candidates weighted anew".to_owned());
        }
        if let Some((from, to)) = self.ttl {
            parts.push(format!("ttl {from} s -> {to} s"));
        }
        let reason =
            if self.reason.is_empty() { String::new() } else { format!(" ({})", self.reason) };
        format!("service {}, area {}: {}{reason}", self.service, self.area, parts.join(", "))
    }
}

/// "frankfurt 20 %, paris 80 %".
fn shares_text(clusters: Option<&[(Name, f64)]>) -> String {
    match clusters {
        None | Some([]) => "nowhere".to_owned(),
        Some([(name, _)]) => name.to_string(),
        Some(clusters) => {
            let text = |(name, share): &(Name, f64)| format!("{name} {:.0} %", share * 100.0);
            clusters.iter().map(text).collect::<Vec<_>>().join(", ")
        }
    }
}

fn server_changes(old: &Plan, new: &Plan) -> Vec<ServerChange> {
    let servers = by_key(&old.servers, &new.servers, |server| server.name.as_str());
    let changes = servers.into_values().filter_map(|(before, after)| {
        let (from, to) = (before.map(|server| server.life), after.map(|server| server.life));
        let server = &after.or(before)?.name;
        (from != to).then(|| ServerChange {
            server: server.clone(),
            from,
            to,
            reason: after.map_or_else(String::new, |server| server.reason.clone()),
        })
    });
    changes.collect()
}

/// The lists of one area, for A and AAAA.
type AreaLists = [Option<ListIndex>; 3];

/// What the change from some lists to others means for candidates.
#[derive(Default, PartialEq)]
struct CandidateChange {
    added: Vec<Name>,
    removed: Vec<Name>,
    reweighted: bool,
}

/// Areas share lists, so each change from one to another is looked into once.
struct Comparison<'a> {
    old: &'a Plan,
    new: &'a Plan,
    known: BTreeMap<(AreaLists, AreaLists), CandidateChange>,
}

impl Comparison<'_> {
    fn area_change(
        &mut self,
        (service_before, service_after): (&ServicePlan, &ServicePlan),
        (before, after): (Option<&AreaPlan>, Option<&AreaPlan>),
    ) -> Option<AreaChange> {
        let area = &after.or(before)?.area;
        let (clusters_from, clusters_to) =
            (before.map(|entry| &entry.clusters), after.map(|entry| &entry.clusters));
        let ttl = |service: &ServicePlan, entry: &AreaPlan| {
            let seconds = service.ttl.seconds_mean();
            if entry.degraded { (seconds / 2).max(1).min(seconds) } else { seconds }
        };
        let ttl = before.zip(after).map(|(a, b)| (ttl(service_before, a), ttl(service_after, b)));
        let ttl = ttl.filter(|(from, to)| from != to);
        let lists = |entry: Option<&AreaPlan>| {
            entry.map_or([None; 3], |entry| [entry.ipv4, entry.ipv6, entry.hosts])
        };
        let candidates = self.candidate_change(lists(before), lists(after));
        if clusters_from == clusters_to
            && ttl.is_none()
            && *candidates == CandidateChange::default()
        {
            return None;
        }
        Some(AreaChange {
            service: service_after.name.clone(),
            area: area.clone(),
            clusters_from: clusters_from.cloned(),
            clusters_to: clusters_to.cloned(),
            added: candidates.added.clone(),
            removed: candidates.removed.clone(),
            reweighted: candidates.reweighted,
            ttl,
            reason: after.map_or_else(String::new, |entry| entry.reason.clone()),
        })
    }

    fn candidate_change(&mut self, before: AreaLists, after: AreaLists) -> &CandidateChange {
        let (old, new) = (self.old, self.new);
        self.known
            .entry((before, after))
            .or_insert_with(|| CandidateChange::between((old, before), (new, after)))
    }
}

impl CandidateChange {
    fn between((old, before): (&Plan, AreaLists), (new, after): (&Plan, AreaLists)) -> Self {
        let (before, after) = (candidates(old, before), candidates(new, after));
        let names = |all: &[CandidateFacts<'_>]| -> BTreeSet<Name> {
            all.iter().map(|candidate| candidate.server.clone()).collect()
        };
        let (names_before, names_after) = (names(&before), names(&after));
        Self {
            added: names_after.difference(&names_before).cloned().collect(),
            removed: names_before.difference(&names_after).cloned().collect(),
            reweighted: names_before == names_after && before != after,
        }
    }
}

/// Everything about a candidate that an answer depends on.
#[derive(PartialEq)]
struct CandidateFacts<'a> {
    family: usize,
    share: f64,
    server: &'a Name,
    weight: u32,
    over_threshold: bool,
    ramp: f64,
}

/// All candidates of an area's lists, in order.
fn candidates(plan: &Plan, lists: AreaLists) -> Vec<CandidateFacts<'_>> {
    let mut all = Vec::new();
    for (family, list) in lists.into_iter().enumerate() {
        let list = list.and_then(|list| plan.lists.get(list as usize));
        for group in list.map_or(&[][..], |list| &list.groups) {
            for candidate in &group.candidates {
                let Some(server) = plan.servers.get(candidate.server as usize) else { continue };
                all.push(CandidateFacts {
                    family,
                    share: group.share,
                    server: &server.name,
                    weight: candidate.weight,
                    over_threshold: candidate.over_threshold,
                    ramp: candidate.ramp,
                });
            }
        }
    }
    all
}

/// Both sides' entries by key, in its order.
fn by_key<'a, T>(
    old: &'a [T],
    new: &'a [T],
    key: impl Fn(&'a T) -> &'a str,
) -> BTreeMap<&'a str, (Option<&'a T>, Option<&'a T>)> {
    let mut all: BTreeMap<&str, (Option<&T>, Option<&T>)> = BTreeMap::new();
    for item in old {
        all.entry(key(item)).or_default().0 = Some(item);
    }
    for item in new {
        all.entry(key(item)).or_default().1 = Some(item);
    }
    all
}
