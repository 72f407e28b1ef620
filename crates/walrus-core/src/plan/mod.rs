//! The World of a round to the Plan that Directors carry out.

mod build;
mod candidates;
mod content;
mod decide;
mod diff;
mod difference;
mod elsewhere;
mod encoding;
mod found;
mod left_out;
mod memory;
mod number;
#[cfg(test)]
mod tests;
mod transfer;
mod validate;

pub use crate::policy::assign::{Cause, Reason};
pub use build::build;
pub use content::{
    AreaPlan, Candidate, CandidateList, Digests, DomainDemand, FORMAT, Group, ListIndex, Plan,
    PlannedServer, ServiceDemand, ServicePlan,
};
pub use decide::{Alert, AreaDecision, DecideInput, Decision, decide};
pub use diff::{AreaChange, PlanDiff, ServerChange, diff};
pub use difference::{ApplyError, PlanDifference, apply, difference};
pub use elsewhere::why_elsewhere;
pub use encoding::{PlanError, from_bytes, to_bytes};
pub use found::with_found;
pub use left_out::{LeftOut, left_out};
pub use memory::{LastUsable, Memory};
pub use number::PlanNumber;
pub use transfer::{PLAN_PARTS_MAX, PLAN_TEXT_MAX, PlanPart, PlanReceiver, PlanSender, PlanWanted};
pub use validate::PlanInvalid;
