//! Vantage points in `GET /status` and `/metrics`: who probes, and which servers they see differently.

use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walrus_core::control::{DisagreementStatus, SeenStatus, VantagePointStatus, WaitStatus};

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

/// How many vantage points see a server how, of those whose word counts.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct SeenView {
    /// So many see it up.
    pub(crate) up: usize,
    /// So many see it down.
    pub(crate) down: usize,
}

/// A server's verdict by probes waits, and would be another one if it did not.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct WaitView {
    /// What those that have told of it take it for: "up" or "down".
    pub(crate) would_be: String,
    /// Who they are, in words.
    pub(crate) so_far: String,
    /// Who is waited for; all who may be heard, after a start, if nobody is named.
    pub(crate) waits_for: Vec<String>,
    /// For so long at most, in milliseconds.
    pub(crate) remaining_ms: u64,
}

impl From<SeenStatus> for SeenView {
    fn from(status: SeenStatus) -> Self {
        Self { up: status.up, down: status.down }
    }
}

impl From<&WaitStatus> for WaitView {
    fn from(status: &WaitStatus) -> Self {
        Self {
            would_be: if status.down { "down" } else { "up" }.to_owned(),
            so_far: status.so_far.clone(),
            waits_for: status.waits_for.clone(),
            remaining_ms: status.remaining_ms,
        }
    }
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
    let differ = status.seen_differently;
    gauge("servers_seen_differently", "Servers that some see up and others down", differ);
    gauge("servers_waiting", "Servers whose verdict waits for other nodes' word", status.waiting);
}
