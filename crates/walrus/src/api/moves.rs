//! How changes of the answers spread: how much traffic still follows the old ones, as `GET /status` shows it.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walrus_core::control::{AnswererKind, BehindStatus, MoveStatus};

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
    /// How long ago it was decided, which is T, in milliseconds.
    pub(crate) age_ms: u64,
    /// How long the old answers may be cached, in milliseconds.
    pub(crate) ttl_ms: u64,
    /// The share that still follows the old answers by the best estimate, 0 to 1.
    pub(crate) still: f64,
    /// Which that is: `requests`, `askers` or `ttl`; of a move that is over, which told of it.
    pub(crate) by: String,
    /// The share by the TTL alone, from when each name server had the Plan.
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
    /// How many name servers are known to answer for the areas that moved.
    pub(crate) answerers: u64,
    /// Those of them that still give old answers, or may, at most 32; absent if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) behind: Vec<BehindView>,
    /// How many of them there are.
    #[serde(default)]
    pub(crate) behind_count: u64,
    /// Their part of the traffic that was to move, 0 to 1.
    #[serde(default)]
    pub(crate) behind_share: f64,
    /// Directors that were not heard of since before they had the new answers, at most 32; the figures leave them out. Absent if there
    /// is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unheard: Vec<BehindView>,
    /// How many of them there are.
    #[serde(default)]
    pub(crate) unheard_count: u64,
    /// How long after the move 95 % had moved, in milliseconds; absent until they have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) moved_95_ms: Option<u64>,
    /// When they have or are expected to have, in milliseconds after the move; absent where nobody can tell: name
    /// servers still give old answers, or requests come that should not, or came when they were last counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expected_95_ms: Option<u64>,
    /// When the last old answer should be forgotten, in milliseconds after the move; absent while some are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until_ms: Option<u64>,
}

/// A name server that still gives old answers, or of which nobody knows whether it does.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct BehindView {
    /// Its name.
    pub(crate) name: String,
    /// director, or name_server: one that is already there and takes updates.
    pub(crate) kind: String,
    /// Its part of the traffic that was to move, 0 to 1; 0 of one that is left out.
    pub(crate) share: f64,
    /// The Plan by which it answers; absent if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<String>,
    /// Since it was last heard of, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) heard_ms: Option<u64>,
    /// Why, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

impl From<&BehindStatus> for BehindView {
    fn from(status: &BehindStatus) -> Self {
        Self {
            name: status.name.clone(),
            kind: match status.kind {
                AnswererKind::Director => "director",
                AnswererKind::NameServer => "name_server",
            }
            .to_owned(),
            share: status.share,
            plan: status.plan.clone(),
            heard_ms: status.heard_ms,
            problem: status.problem.clone(),
        }
    }
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
            still: status.still,
            by: status.by.as_str().to_owned(),
            still_by_ttl: status.still_by_ttl,
            still_by_askers: status.still_by_askers,
            still_by_requests: status.still_by_requests,
            requests_a_second: status.requests_a_second,
            answerers: status.answerers,
            behind: status.behind.iter().map(BehindView::from).collect(),
            behind_count: status.behind_count,
            behind_share: status.behind_share,
            unheard: status.unheard.iter().map(BehindView::from).collect(),
            unheard_count: status.unheard_count,
            moved_95_ms: status.moved_95_ms,
            expected_95_ms: status.expected_95_ms,
            until_ms: status.until_ms,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MoveLabels {
    service: String,
}

type Figure = Family<MoveLabels, Gauge<f64, AtomicU64>>;

/// One figure a service: of the move that is least far, and of the last that is over.
pub(crate) fn register(registry: &mut Registry, moves: &[MoveView], left_out: u64) {
    let (still, behind, expected, last) =
        (Figure::default(), Figure::default(), Figure::default(), Figure::default());
    // The newest come first.
    for of in moves.iter().rev() {
        let labels = MoveLabels { service: of.service.clone() };
        let raise = |figure: &Figure, value: f64| {
            let gauge = figure.get_or_create(&labels);
            gauge.set(gauge.get().max(value));
        };
        if let Some(moved) = of.moved_95_ms {
            last.get_or_create(&labels).set(seconds(moved));
            continue;
        }
        raise(&still, of.still);
        raise(&behind, of.behind_share);
        let wait = of.expected_95_ms.map(|at| seconds(at.saturating_sub(of.age_ms)));
        // Until nobody knows when, which no number of seconds would say.
        raise(&expected, wait.unwrap_or(f64::INFINITY));
    }
    let help = "Share of the traffic that still follows old answers, of moves that are under way";
    registry.register("move_still_ratio", help, still);
    let help = "Share of the traffic whose name servers still give old answers, of moves that are under way";
    registry.register("move_behind_ratio", help, behind);
    let help = "Time until 95 % are expected to have followed, +Inf if nobody can tell, of moves that are under way";
    registry.register("move_expected_seconds", help, expected);
    let help = "How long the last move took that is over, until 95 % had followed";
    registry.register("move_last_seconds", help, last);
    let without_room = Gauge::<u64, AtomicU64>::default();
    without_room.set(left_out);
    let help = "Moves within the last hour that there was no room to follow";
    registry.register("moves_left_out", help, without_room);
}

fn seconds(millis: u64) -> f64 {
    Duration::from_millis(millis).as_secs_f64()
}
