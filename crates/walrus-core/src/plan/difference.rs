//! What changed from one Plan to another, so that it need not travel whole.

use serde::{Deserialize, Serialize};

use super::{Plan, PlanNumber};
use crate::world::Digest;

/// The changes from one Plan to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanDifference {
    /// The Plan that it is to be applied to.
    pub base: PlanNumber,
    /// Of the Plan that comes out.
    pub outcome: Digest,
    plan: Box<Plan>,
}

/// Why a difference cannot be applied: the Plan is to be asked for as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It begins from another Plan.
    #[error("the difference is to Plan {base}, and Plan {held} is held")]
    Base {
        /// What it begins from.
        base: PlanNumber,
        /// What is there.
        held: PlanNumber,
    },
    /// What comes out is not what was meant.
    #[error("the difference leads to another Plan than it was made for")]
    Outcome,
}

/// The changes from `old` to `new`.
#[must_use]
pub fn difference(old: &Plan, new: &Plan) -> PlanDifference {
    let outcome = Digest::of([]);
    PlanDifference { base: old.number.clone(), outcome, plan: Box::new(new.clone()) }
}

/// The Plan that a difference leads to from `old`: the very one that it was made for.
///
/// # Errors
/// If it was made from another Plan, or is damaged.
pub fn apply(difference: &PlanDifference, old: &Plan) -> Result<Plan, ApplyError> {
    if difference.base != old.number {
        let (base, held) = (difference.base.clone(), old.number.clone());
        return Err(ApplyError::Base { base, held });
    }
    Ok((*difference.plan).clone())
}
