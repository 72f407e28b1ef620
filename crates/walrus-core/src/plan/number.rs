//! A Plan's number: (epoch, controller id, sequence), compared in that order.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::world::Name;

/// Orders all Plans of a system; no clock is compared.
///
/// The sequence rises with every Plan. Who becomes master, or sees a higher epoch, takes the
/// highest epoch seen or stored plus one, and stores it before use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlanNumber {
    /// Rises with each change of master.
    pub epoch: u64,
    /// Who made the Plan.
    pub controller: Name,
    /// Rises with each Plan of that Controller in that epoch.
    pub sequence: u64,
}

impl PlanNumber {
    /// No count of starts comes near it; whoever says so is wrong, and one more could not be counted.
    pub const EPOCH_MAX: u64 = 1 << 62;

    /// Whether its epoch can come from counting.
    #[must_use]
    pub const fn is_plausible(&self) -> bool {
        self.epoch < Self::EPOCH_MAX
    }

    /// Whether it is `other`, or a later one of the same master: whoever holds it has had `other` or what came of it.
    #[must_use]
    pub fn follows(&self, other: &Self) -> bool {
        (self.epoch, &self.controller) == (other.epoch, &other.controller)
            && self.sequence >= other.sequence
    }
}

impl fmt::Display for PlanNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.epoch, self.controller, self.sequence)
    }
}
