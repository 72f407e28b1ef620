//! How changes of the answers spread: how much traffic still follows the old ones, as `GET /status` shows it.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walrus_core::control::{MoveStatus, best_estimate};

/// Servers that ceased to be handed out to areas, and what still comes to them.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct MoveView {
    /// The service.
    pub(crate) service: String,
    /// Areas whose answers changed, at most eight.
    pub(crate) areas: Vec<String>,
    /// How many areas there are of them.
    pub(crate) area_count: u64,
    /// Servers that are not handed out to them any more.
    pub(crate) left: Vec<String>,
    /// Servers that are handed out instead, and were not before.
    pub(crate) added: Vec<String>,
    /// Why.
    pub(crate) reason: String,
    /// The Plan that did it, as `epoch/controller/sequence`.
    pub(crate) plan: String,
    /// How long ago, in milliseconds.
    pub(crate) age_ms: u64,
    /// How long the old answers may be cached, in milliseconds.
    pub(crate) ttl_ms: u64,
    /// The share that still follows the old answers by the TTL alone, 0 to 1.
    pub(crate) still_by_ttl: f64,
    /// The same by resolvers that have not asked since; absent if none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) still_by_askers: Option<f64>,
    /// The same by requests that still come; absent where they are not counted, or others' as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) still_by_requests: Option<f64>,
    /// Requests a second that still come to the servers that were left; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) requests_a_second: Option<f64>,
    /// How long after the move 95 % had moved, in milliseconds; absent until they have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) moved_95_ms: Option<u64>,
    /// When they are expected to have by the TTL, in milliseconds after the move.
    pub(crate) expected_95_ms: u64,
}

impl From<&MoveStatus> for MoveView {
    fn from(status: &MoveStatus) -> Self {
        let names =
            |names: &[walrus_core::world::Name]| names.iter().map(ToString::to_string).collect();
        Self {
            service: status.service.clone(),
            areas: names(&status.areas),
            area_count: status.area_count,
            left: names(&status.left),
            added: names(&status.added),
            reason: status.reason.clone(),
            plan: status.plan.clone(),
            age_ms: status.age_ms,
            ttl_ms: status.ttl_ms,
            still_by_ttl: status.still_by_ttl,
            still_by_askers: status.still_by_askers,
            still_by_requests: status.still_by_requests,
            requests_a_second: status.requests_a_second,
            moved_95_ms: status.moved_95_ms,
            expected_95_ms: status.expected_95_ms,
        }
    }
}

impl MoveView {
    /// By the best estimate that there is.
    pub(crate) fn still(&self) -> f64 {
        let estimates = [self.still_by_requests, self.still_by_askers];
        let (age, ttl) = (Duration::from_millis(self.age_ms), Duration::from_millis(self.ttl_ms));
        best_estimate(estimates, self.still_by_ttl, age, ttl)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MoveLabels {
    service: String,
}

/// One figure a service: of the move that is least far.
pub(super) fn register(registry: &mut Registry, moves: &[MoveView]) {
    let still = Family::<MoveLabels, Gauge<f64, std::sync::atomic::AtomicU64>>::default();
    for of in moves.iter().filter(|it| it.moved_95_ms.is_none()) {
        let gauge = still.get_or_create(&MoveLabels { service: of.service.clone() });
        gauge.set(gauge.get().max(of.still()));
    }
    let help = "Share of the traffic that still follows old answers, of moves that are under way";
    registry.register("move_still_ratio", help, still);
}
