//! Each decision's World as one line of JSON, so that it can be made again and looked into.
//!
//! Every round has a line, and every event that led to a Plan. A line holds all that [`plan::decide`]
//! was given but the topology, which it names by the configuration's digest, and who asks, if a line
//! before it tells that ([`Demands`]). Numbers survive the way through text unchanged (the workspace asks
//! `serde_json` for exact reading), so that [`replay`] gives the same Plan to the last bit.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::plan::{self, Cause, DecideInput, Digests, Memory, Plan, PlanNumber, ServiceDemand};
use crate::world::{Condition, Name, Time, Topology};

/// The World of one decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalRecord {
    /// When, by the Controller's own clock.
    pub now: Time,
    /// When, in milliseconds of Unix time: whoever writes the line says it, for the core has no such
    /// clock. None in journals of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unix_ms: Option<u64>,
    /// A round, or something that died, drained or returned.
    pub cause: Cause,
    /// The Plan in force after it.
    pub number: PlanNumber,
    /// Whether that is this decision's own: one that changes nothing for a Director is not
    /// published.
    pub published: bool,
    /// What it was made for; the configuration's digest names the topology.
    pub digests: Digests,
    /// How each server fared.
    pub conditions: Vec<Condition>,
    /// Queries a second of each (service, area).
    pub area_hits: Vec<f64>,
    /// Addresses of servers that stand for aliases.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<Name, Vec<IpAddr>>,
    /// Who asks for services that want to know, by service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub demand: BTreeMap<String, ServiceDemand>,
    /// It is left out here, for it is still that of the line of this time ([`Demands`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand_of: Option<Time>,
    /// What the decision before remembered.
    pub memory: Memory,
}

#[derive(Serialize)]
struct Line<'a> {
    walrus: u32,
    kind: &'static str,
    #[serde(flatten)]
    record: &'a JournalRecord,
}

/// Why a line cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Cut short, or no line of a journal.
    #[error("this is no line of a Walrus journal")]
    Malformed(#[from] serde_json::Error),
    /// Made for another configuration.
    #[error("the line was written under configuration {0}: replay it with that one")]
    Configuration(crate::world::Digest),
    /// It comes without the line before it that it needs.
    #[error("the line leaves out who asks, for a line before it tells: begin with that one")]
    Demand,
}

/// Lines that leave out who asks are at most so many in a row: of a journal whose beginning is lost, no
/// more are of no use.
const LEFT_OUT_MAX: u32 = 20;

/// Who asks may be a megabyte a line, and is the same for many lines: then it is told once. This is for
/// whoever writes or reads a journal, line by line.
#[derive(Clone, Debug, Default)]
pub struct Demands {
    /// The last that was told, and when.
    told: Option<(Time, BTreeMap<String, ServiceDemand>)>,
    left_out: u32,
}

impl Demands {
    /// Leaves the demand out of a record that is about to be written, if it was told before.
    pub(super) fn leave_out(&mut self, record: &mut JournalRecord) {
        let told = self.told.as_ref().map(|(at, _)| *at);
        let is_told =
            told.is_some_and(|at| self.of(at, record.now).as_ref() == Some(&record.demand));
        if is_told && !record.demand.is_empty() && self.left_out < LEFT_OUT_MAX {
            self.left_out += 1;
            record.demand = BTreeMap::new();
            record.demand_of = told;
        } else {
            self.left_out = 0;
            self.told = Some((record.now, record.demand.clone()));
        }
    }

    /// Gives a record that was read the demand that it leaves out. Tells whether it is known: what was
    /// before the beginning of a journal is not.
    #[must_use]
    pub fn fill_in(&mut self, record: &mut JournalRecord) -> bool {
        let Some(of) = record.demand_of.take() else {
            self.told = Some((record.now, record.demand.clone()));
            return true;
        };
        let demand = self.of(of, record.now);
        let is_known = demand.is_some();
        record.demand = demand.unwrap_or_default();
        is_known
    }

    /// What was told then, as old as it is now.
    fn of(&self, told_at: Time, now: Time) -> Option<BTreeMap<String, ServiceDemand>> {
        let (_, told) = self.told.as_ref().filter(|(at, _)| *at == told_at)?;
        let mut demand = told.clone();
        let millis = u64::try_from(now.since(told_at).as_millis()).unwrap_or(u64::MAX);
        demand.values_mut().for_each(|demand| demand.age(millis));
        Some(demand)
    }
}

impl JournalRecord {
    /// The record as one line of JSON, without the end of the line.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(&Line { walrus: 1, kind: "round", record: self })
            .unwrap_or_else(|_| unreachable!("records have string keys and finite numbers"))
    }
}

/// Makes a journalled decision again. For one that was published the result equals its Plan. `demands`
/// knows the lines before it.
///
/// # Errors
/// If the line is damaged, leaves out what `demands` does not know, or was written under another
/// configuration than `topology`'s, whose digest is `configuration`.
pub fn replay(
    line: &str,
    demands: &mut Demands,
    topology: &Topology,
    configuration: &crate::world::Digest,
) -> Result<Plan, ReplayError> {
    let mut record: JournalRecord = serde_json::from_str(line)?;
    if !demands.fill_in(&mut record) {
        return Err(ReplayError::Demand);
    }
    if record.digests.configuration != *configuration {
        return Err(ReplayError::Configuration(record.digests.configuration));
    }
    let mut resolved = topology.clone();
    for (name, addresses) in &record.addresses {
        if let Some(id) = topology.server(name.as_str()) {
            resolved.servers[id.index()].addresses.clone_from(addresses);
        }
    }
    let topology = &resolved;
    let decision = plan::decide(&DecideInput {
        topology,
        conditions: &record.conditions,
        area_hits: &record.area_hits,
        memory: &record.memory,
        now: record.now,
        cause: record.cause,
    });
    let plan = plan::build(topology, &record.conditions, &decision, record.number, record.digests);
    Ok(plan.with_demand(&record.demand))
}
