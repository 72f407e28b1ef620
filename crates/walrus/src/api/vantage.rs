//! Vantage points in `GET /status` and `/metrics`: who probes, and which servers they see differently.

use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walrus_core::control::{DisagreementStatus, VantagePointStatus};

use super::status::StatusView;

/// A node that probes servers and tells how it sees them.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct VantagePointView {
    /// The node.
    pub(crate) name: String,
    /// As what it speaks: "controller" or "director".
    pub(crate) role: String,
    /// Since it was last heard, in milliseconds; 0 for the Controller that answers.
    pub(crate) age_ms: u64,
    /// Servers that it sees up.
    pub(crate) up: usize,
    /// Servers that it sees down.
    pub(crate) down: usize,
    /// It sees none of its servers up while others see some: its word does not count.
    pub(crate) blind: bool,
}

/// Vantage points see a server differently.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DisagreementView {
    /// Who sees it up.
    pub(crate) up: Vec<String>,
    /// Who sees it down, and why.
    pub(crate) down: Vec<SeenDownView>,
    /// So many must see it down before it is out.
    pub(crate) needed: usize,
    /// For how long they have differed, in milliseconds.
    pub(crate) age_ms: u64,
}

/// A vantage point that sees a server down.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct SeenDownView {
    /// The node.
    pub(crate) name: String,
    /// Why.
    pub(crate) reason: String,
}

impl From<&VantagePointStatus> for VantagePointView {
    fn from(status: &VantagePointStatus) -> Self {
        Self {
            name: status.name.to_string(),
            role: status.role.as_str().to_owned(),
            age_ms: status.age_ms,
            up: status.up,
            down: status.down,
            blind: status.blind,
        }
    }
}

impl From<&DisagreementStatus> for DisagreementView {
    fn from(status: &DisagreementStatus) -> Self {
        let seen = |(name, reason): &(String, String)| SeenDownView {
            name: name.clone(),
            reason: reason.clone(),
        };
        Self {
            up: status.up.clone(),
            down: status.down.iter().map(seen).collect(),
            needed: status.needed,
            age_ms: status.age_ms,
        }
    }
}

/// What a Controller that has vantage points adds to its metrics.
pub(super) fn register(registry: &mut Registry, status: &StatusView) {
    if status.vantage_points.is_empty() {
        return;
    }
    let mut gauge = |name: &str, help: &str, count: usize| {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        registry.register(name, help, ConstGauge::new(count));
    };
    let points = &status.vantage_points;
    gauge("vantage_points", "Nodes whose probes are heard", points.len());
    let blind = points.iter().filter(|point| point.blind).count();
    gauge("vantage_points_blind", "... that see no server up while others do", blind);
    let differ = status.servers.iter().filter(|server| server.disagreement.is_some()).count();
    gauge("servers_seen_differently", "Servers that some see up and others down", differ);
}
