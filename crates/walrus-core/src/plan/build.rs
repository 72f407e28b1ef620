//! Writes a decision down as a Plan: ids become names.

use super::{Decision, Digests, FORMAT, Plan, PlanNumber};
use crate::world::{Condition, Topology};

/// The Plan of a decision. `topology` and `conditions` are those it was decided for.
#[must_use]
pub fn build(
    topology: &Topology,
    conditions: &[Condition],
    decision: &Decision,
    number: PlanNumber,
    digests: Digests,
) -> Plan {
    let _ = (topology, conditions);
    Plan {
        format: FORMAT,
        number,
        digests,
        servers: Vec::new(),
        lists: decision.lists.clone(),
        services: Vec::new(),
        demand: Vec::new(),
    }
}
