//! The World of a round to the Plan that Directors carry out.

mod number;
mod types;

pub use number::PlanNumber;
pub use types::{
    AreaPlan, Candidate, CandidateList, DemandEntry, Digests, FORMAT, Group, ListIndex, Plan,
    PlannedServer, ServicePlan,
};
