//! Where each key stands and what it waits for, in words.

use serde::Serialize;

use super::rules::{Look, is_new, look, roll_at};
use super::state::{AtParent, KeyEntry, Presence};
use super::{DnsKey, KeyRole, Rollover};

/// How far a key has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Made; nothing of it is served.
    Made,
    /// It signs already, but is not published yet: the first of its algorithm.
    SigningAhead,
    /// Its DNSKEY is served; resolvers may still lack it.
    Published,
    /// Known everywhere; the parent's DS is waited for.
    WaitingForParent,
    /// It does all that it is for.
    Active,
    /// On its way out.
    Retiring,
}

/// One key for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    /// The key.
    pub key: DnsKey,
    /// What it is for.
    pub role: KeyRole,
    /// How far it has come.
    pub stage: Stage,
    /// When it was made, in seconds since 1970.
    pub made: u64,
    /// When the next step is due, in seconds since 1970, if time is all it waits for.
    pub until: Option<u64>,
    /// What the next step is and what it waits for.
    pub next: String,
    /// Whether CDS and CDNSKEY name it.
    pub is_wanted: bool,
    /// What the parent shows.
    pub ds: AtParent,
}

impl Rollover {
    /// Where each key stands, in the order in which they were taken in.
    #[must_use]
    pub fn report(&self, now: u64) -> Vec<KeyReport> {
        let look = look(&self.state, &self.settings, now);
        let one = |entry: &KeyEntry| {
            let stage = stage(&look, entry);
            let (next, until) = self.next_step(&look, entry, stage);
            KeyReport {
                key: entry.key.clone(),
                role: entry.role,
                stage,
                made: entry.made,
                until: until.filter(|at| *at > now),
                next,
                is_wanted: entry.cds.is_served(),
                ds: entry.ds,
            }
        };
        self.state.keys.iter().map(one).collect()
    }

    /// What an operator should know beyond the steps of each key.
    #[must_use]
    pub fn notices(&self, now: u64) -> Vec<String> {
        let zone = &self.state.zone;
        let mut notices: Vec<String> = self.state.ds_mismatch().into_iter().collect();
        for report in self.report(now) {
            let tag = report.key.tag();
            if report.stage == Stage::WaitingForParent {
                notices.push(format!(
                    "{zone}: key {tag} is ready: give the parent the DS that `walrus keys ds \
                     {zone}` prints, unless it reads CDS records by itself"
                ));
            }
        }
        notices
    }

    fn next_step(&self, look: &Look<'_>, entry: &KeyEntry, stage: Stage) -> (String, Option<u64>) {
        let of = |since: Option<u64>, ttl: u32| since.map(|at| at + u64::from(ttl) + look.margin);
        let (dnskey_ttl, zone_ttl) = (self.state.dnskey_ttl.ttl, self.state.zone_ttl.ttl);
        if let Some(missing) = self.missing(entry) {
            return (missing, None);
        }
        match stage {
            Stage::Made if is_new(&self.state) => ("waits for the zone's other keys".into(), None),
            Stage::Made => ("waits until all is signed with its algorithm".into(), None),
            Stage::SigningAhead => (
                "is published when no cache holds records without its signatures".into(),
                of(entry.signatures.since(), zone_ttl),
            ),
            Stage::Published if look.dnskey_everywhere(entry) && entry.signatures.is_served() => (
                "waits until no cache holds records without its signatures".into(),
                of(entry.signatures.since(), zone_ttl),
            ),
            Stage::Published if look.dnskey_everywhere(entry) && !entry.role.signs_zone() => (
                "waits until no cache holds records without its zone key's signatures".into(),
                None,
            ),
            Stage::Published if look.dnskey_everywhere(entry) => {
                ("begins to sign when nothing is left of older signatures".into(), None)
            }
            Stage::Published => {
                ("waits until no cache lacks it".into(), of(entry.dnskey.since(), dnskey_ttl))
            }
            Stage::WaitingForParent => match entry.ds {
                AtParent::Some => {
                    ("waits until all of the parent's servers show its DS".into(), None)
                }
                _ => ("waits for its DS at the parent".into(), None),
            },
            Stage::Active => match roll_at(&self.settings, entry) {
                Some(at) => ("is rolled over".into(), Some(at)),
                None => ("stays until it is retired".into(), None),
            },
            Stage::Retiring => self.way_out(look, entry),
        }
    }

    fn way_out(&self, look: &Look<'_>, entry: &KeyEntry) -> (String, Option<u64>) {
        let after = |since: u64, ttl: u32| Some(since + u64::from(ttl) + look.margin);
        let is_shown = matches!(entry.ds, AtParent::Present { .. } | AtParent::Some);
        if entry.dnskey.is_served() && entry.role.is_entry_point() && !look.ds_nowhere(entry) {
            return match entry.ds {
                _ if entry.cds.is_served() => ("waits until its successor is ready".into(), None),
                AtParent::Unknown => ("waits until the parent can be asked".into(), None),
                AtParent::Absent { .. } => match look.ds_gone_at(entry) {
                    Some(until) => ("waits until no cache holds its DS".into(), Some(until)),
                    None => ("waits until the parent shows its successor's DS".into(), None),
                },
                _ if is_shown => ("waits until the parent drops its DS".into(), None),
                _ => (String::new(), None),
            };
        }
        match (entry.signatures, entry.dnskey) {
            (Presence::Absent { since }, _) if !look.signatures_nowhere(entry) => (
                "waits until no cache holds its signatures".into(),
                after(since, self.state.zone_ttl.ttl),
            ),
            (_, Presence::Absent { since }) if !look.dnskey_nowhere(entry) => {
                ("waits until no cache holds it".into(), after(since, self.state.dnskey_ttl.ttl))
            }
            _ => ("waits until its successor has taken over".into(), None),
        }
    }

    /// Which nodes a key waits for.
    fn missing(&self, entry: &KeyEntry) -> Option<String> {
        let generation =
            [entry.dnskey, entry.signatures, entry.cds].into_iter().find_map(|it| match it {
                Presence::Coming { generation } | Presence::Going { generation } => {
                    Some(generation)
                }
                Presence::Absent { .. } | Presence::Present { .. } => None,
            });
        let lacks = |node: &&crate::world::Name| {
            self.acknowledged.get(*node).is_none_or(|said| !said.held.contains(&entry.key))
        };
        let lags = |node: &&crate::world::Name| {
            let said = self.acknowledged.get(*node).map(|said| said.generation);
            generation.is_some_and(|wanted| said.is_none_or(|said| said < wanted))
        };
        let names = |nodes: Vec<&crate::world::Name>| {
            let first: Vec<_> = nodes.iter().take(5).map(ToString::to_string).collect();
            let more = nodes.len().saturating_sub(5);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{}{more}", first.join(", "))
        };
        let without: Vec<_> = match entry.retired {
            None => self.settings.nodes.iter().filter(lacks).collect(),
            Some(_) => Vec::new(),
        };
        if !without.is_empty() {
            return Some(format!("waits until {} holds its private key", names(without)));
        }
        let late: Vec<_> = self.settings.nodes.iter().filter(lags).collect();
        (!late.is_empty()).then(|| format!("waits until {} serves the change", names(late)))
    }
}

fn stage(look: &Look<'_>, entry: &KeyEntry) -> Stage {
    let served = entry.dnskey.is_served();
    if entry.retired.is_some() {
        return Stage::Retiring;
    }
    if !served {
        let signs = entry.signatures.is_served();
        return if signs { Stage::SigningAhead } else { Stage::Made };
    }
    let signs = !entry.role.signs_zone() || entry.signatures.is_served();
    if !look.dnskey_everywhere(entry) || !signs {
        return Stage::Published;
    }
    match entry.ds {
        AtParent::Present { .. } => Stage::Active,
        _ if !entry.role.is_entry_point() => Stage::Active,
        _ if entry.cds.is_served() => Stage::WaitingForParent,
        _ => Stage::Published,
    }
}
