//! The World of a round to the Plan that Directors carry out.

mod content;
mod number;

pub use content::{
    AreaPlan, Candidate, CandidateList, DemandEntry, Digests, FORMAT, Group, ListIndex, Plan,
    PlannedServer, ServicePlan,
};
pub use number::PlanNumber;
