//! What changes from one Plan to another, for `walrus plan --diff` and the log.

use serde::{Deserialize, Serialize};

use super::Plan;
use crate::world::{Life, Name};

/// All that differs, in order of names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanDiff {
    /// Servers that came, went, or changed their life.
    pub servers: Vec<ServerChange>,
    /// Services that came.
    pub services_added: Vec<String>,
    /// Services that went.
    pub services_removed: Vec<String>,
    /// Areas of services whose answers change.
    pub areas: Vec<AreaChange>,
}

/// A server's change of life; `None` where it does not exist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerChange {
    /// Which.
    pub server: Name,
    /// In the old Plan.
    pub from: Option<Life>,
    /// In the new one.
    pub to: Option<Life>,
    /// Why, for people.
    pub reason: String,
}

/// What changes for one area of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AreaChange {
    /// The service.
    pub service: String,
    /// The area.
    pub area: Name,
    /// Clusters and shares in the old Plan.
    pub clusters_from: Vec<(Name, f64)>,
    /// Clusters and shares in the new one.
    pub clusters_to: Vec<(Name, f64)>,
    /// Servers that become candidates.
    pub added: Vec<Name>,
    /// Servers that cease to be candidates.
    pub removed: Vec<Name>,
    /// The longest TTL in seconds before and after, if it changes (halving while degraded counts).
    pub ttl: Option<(u32, u32)>,
    /// What decided in the new Plan.
    pub reason: String,
}

/// What changes from `old` to `new`.
#[must_use]
pub fn diff(old: &Plan, new: &Plan) -> PlanDiff {
    let _ = (old, new);
    PlanDiff::default()
}

impl PlanDiff {
    /// Nothing changes for any client.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
            && self.services_added.is_empty()
            && self.services_removed.is_empty()
            && self.areas.is_empty()
    }

    /// The changes as plain text, one a line.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        Vec::new()
    }
}
