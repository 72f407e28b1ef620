//! Decides for every (service, area) which clusters serve it and which servers are candidates.

use super::{CandidateList, ListIndex, Memory};
use crate::policy::assign::{Cause, Reason};
use crate::world::{ClusterId, Condition, ServiceId, Time, Topology};

/// All that a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct DecideInput<'a> {
    /// What stands where.
    pub topology: &'a Topology,
    /// How each server fares, by [`crate::world::ServerId`]; a missing one counts as unknown.
    pub conditions: &'a [Condition],
    /// Queries a second of each (service, area), at `service * areas + area`; a missing one
    /// counts as 0.
    pub area_hits: &'a [f64],
    /// What the last decision remembered.
    pub memory: &'a Memory,
    /// The time of this decision.
    pub now: Time,
    /// Why now.
    pub cause: Cause,
}

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// At `service * areas + area`.
    pub areas: Vec<AreaDecision>,
    /// The candidate lists that `areas` name; server numbers are ids.
    pub lists: Vec<CandidateList>,
    /// For the next decision.
    pub memory: Memory,
    /// Services that nobody serves any more, or whose servers function again: edges only.
    pub alerts: Vec<Alert>,
}

/// What was decided for one (service, area).
#[derive(Clone, Debug, PartialEq)]
pub struct AreaDecision {
    /// Clusters with their shares; the first is where the area points.
    pub clusters: Vec<(ClusterId, f64)>,
    /// Candidates for A in [`Decision::lists`]; `None` if the service has no such server.
    pub ipv4: Option<ListIndex>,
    /// Candidates for AAAA in [`Decision::lists`]; `None` if the service has no such server.
    pub ipv6: Option<ListIndex>,
    /// The area is worse off than it should be.
    pub degraded: bool,
    /// What decided.
    pub reason: Reason,
}

/// "Nobody functions" began or ended for a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Alert {
    /// Which service.
    pub service: ServiceId,
    /// It is over.
    pub recovered: bool,
}

/// Decides. Pure and deterministic: the same input gives the same decision, on any machine.
#[must_use]
pub fn decide(input: &DecideInput<'_>) -> Decision {
    let _ = input;
    Decision::default()
}
