//! `GET /openapi.json`: the API's description, generated from its types.

use serde_json::json;
use utoipa::OpenApi;

use super::explain::ExplanationView;
use super::keys::{AddKeyRequest, KeyRequest, KeysView};
use super::plan::{DiffView, PlanView, ProposedConfiguration};
use super::status::StatusView;
use super::traffic::TrafficView;
use super::{DoneView, DrainRequest, ErrorView, ReloadView};
use crate::cli::check::CheckView;
use crate::sim::{ReplayView, SimCompareView, SimFaultsView, SimRunView, SimSweepView};
use crate::top::TopView;

/// Which `kind` goes with which schema: over HTTP and for `--json` alike.
const KINDS: [(&str, &str); 16] = [
    ("StatusView", "status"),
    ("PlanView", "plan"),
    ("DiffView", "plan_diff"),
    ("ExplanationView", "explanation"),
    ("TrafficView", "traffic"),
    ("KeysView", "keys"),
    ("TopView", "top"),
    ("DoneView", "done"),
    ("ReloadView", "reload"),
    ("CheckView", "check"),
    ("ReplayView", "replay"),
    ("SimRunView", "sim_run"),
    ("SimCompareView", "sim_compare"),
    ("SimSweepView", "sim_sweep"),
    ("SimFaultsView", "sim_faults"),
    ("ErrorView", "error"),
];

/// The document as JSON.
///
/// The two members that begin every answer are put into the schemas here: the types do not have
/// them, since they are written by whoever writes an answer out.
pub(crate) fn document() -> String {
    let mut document = serde_json::to_value(Description::openapi()).unwrap_or_default();
    for (schema, kind) in KINDS {
        let schema = &mut document["components"]["schemas"][schema];
        schema["properties"]["walrus"] = json!({
            "description": "Version of this form; a version only adds.",
            "type": "integer",
            "enum": [1],
        });
        schema["properties"]["kind"] = json!({ "type": "string", "enum": [kind] });
        if let Some(required) = schema["required"].as_array_mut() {
            required.splice(0..0, [json!("walrus"), json!("kind")]);
        }
    }
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Walrus",
        description = "Every answer is one object that begins with `\"walrus\": 1, \"kind\": ...`. \
                       A version only adds. What changes state wants `Authorization: Bearer TOKEN`."
    ),
    paths(
        status, plan, plan_diff, explain, traffic, zone, drain, undrain, reload, keys, add_key,
        retire_key, import_key, metrics, ready
    ),
    components(schemas(
        StatusView,
        PlanView,
        DiffView,
        ProposedConfiguration,
        ExplanationView,
        TrafficView,
        TopView,
        KeysView,
        AddKeyRequest,
        KeyRequest,
        DrainRequest,
        DoneView,
        ReloadView,
        CheckView,
        ReplayView,
        SimRunView,
        SimCompareView,
        SimSweepView,
        SimFaultsView,
        ErrorView
    ))
)]
struct Description;

// The functions below are never called: each only carries a path's description.

#[utoipa::path(get, path = "/status", params(super::status::StatusQuery), responses(
    (status = 200, description = "How the system stands", body = StatusView),
    (status = 404, description = "There is no such server", body = ErrorView)))]
#[expect(dead_code, reason = "carries a description")]
fn status() {}

#[utoipa::path(get, path = "/plan", responses(
    (status = 200, description = "The Plan in force", body = PlanView),
    (status = 503, description = "There is no Plan yet", body = ErrorView)))]
#[expect(dead_code, reason = "carries a description")]
fn plan() {}

#[utoipa::path(post, path = "/plan/diff", request_body = ProposedConfiguration, responses(
    (status = 200, description = "What that configuration would change", body = DiffView),
    (status = 422, description = "It has problems", body = ErrorView)))]
#[expect(dead_code, reason = "carries a description")]
fn plan_diff() {}

#[utoipa::path(get, path = "/explain", params(super::explain::ExplainQuery), responses(
    (status = 200, description = "Why a client gets its answer", body = ExplanationView),
    (status = 400, description = "The question makes no query", body = ErrorView)))]
#[expect(dead_code, reason = "carries a description")]
fn explain() {}

#[utoipa::path(get, path = "/traffic", responses(
    (status = 200, description = "What goes through the name server", body = TrafficView),
    (status = 401, description = "The token is missing or wrong", body = ErrorView),
    (status = 503, description = "This node is no name server", body = ErrorView)))]
#[expect(dead_code, reason = "carries a description")]
fn traffic() {}

#[utoipa::path(get, path = "/zone", params(super::zone::ZoneQuery), responses(
    (status = 200, description = "A zone as it is served, as a zone file", body = String, content_type = "text/dns"),
    (status = 401, description = "The token is missing or wrong", body = ErrorView),
    (status = 404, description = "There is no such zone", body = ErrorView),
    (status = 503, description = "This node is no name server, or the zone is too long", body = ErrorView)))]
#[expect(dead_code, reason = "carries a description")]
fn zone() {}

#[utoipa::path(post, path = "/drain", request_body = DrainRequest, responses(
    (status = 200, description = "Drained", body = DoneView),
    (status = 401, description = "The token is missing or wrong", body = ErrorView),
    (status = 404, description = "There is no such server or cluster", body = ErrorView),
    (status = 409, description = "Refused: the last usable server of a service", body = ErrorView)))]
#[expect(dead_code, reason = "carries a description")]
fn drain() {}

#[utoipa::path(post, path = "/undrain", request_body = DrainRequest, responses(
    (status = 200, description = "Taken back", body = DoneView),
    (status = 401, description = "The token is missing or wrong", body = ErrorView),
    (status = 404, description = "There is no such server or cluster", body = ErrorView)))]
#[expect(dead_code, reason = "carries a description")]
fn undrain() {}

#[utoipa::path(post, path = "/reload", responses(
    (status = 200, description = "The new configuration is in force", body = ReloadView),
    (status = 401, description = "The token is missing or wrong", body = ErrorView),
    (status = 422, description = "It has problems; the running one stays in force", body = ErrorView)))]
#[expect(dead_code, reason = "carries a description")]
fn reload() {}

#[utoipa::path(get, path = "/keys", responses((status = 200, description = "Keys of the signed zones", body = KeysView)))]
#[expect(dead_code, reason = "carries a description")]
fn keys() {}

#[utoipa::path(post, path = "/keys/add", request_body = AddKeyRequest, responses(
    (status = 200, description = "The key is made; the roll-over begins", body = DoneView),
    (status = 401, description = "The token is missing or wrong", body = ErrorView),
    (status = 404, description = "The zone is not signed here, or has no such role", body = ErrorView),
    (status = 409, description = "Refused: this node is not the signer, say", body = ErrorView)))]
#[expect(dead_code, reason = "carries a description")]
fn add_key() {}

#[utoipa::path(post, path = "/keys/retire", request_body = KeyRequest, responses(
    (status = 200, description = "The key goes when nothing needs it any more", body = DoneView),
    (status = 401, description = "The token is missing or wrong", body = ErrorView),
    (status = 404, description = "The zone is not signed here", body = ErrorView),
    (status = 409, description = "Refused: there is no such key, say", body = ErrorView)))]
#[expect(dead_code, reason = "carries a description")]
fn retire_key() {}

#[utoipa::path(post, path = "/keys/import", request_body = KeyRequest, responses(
    (status = 200, description = "The key, whose files are in the state directory, is taken in", body = DoneView),
    (status = 401, description = "The token is missing or wrong", body = ErrorView),
    (status = 404, description = "The zone is not signed here", body = ErrorView),
    (status = 409, description = "Refused: its files are not there, say", body = ErrorView)))]
#[expect(dead_code, reason = "carries a description")]
fn import_key() {}

#[utoipa::path(get, path = "/metrics", responses((status = 200, description = "OpenMetrics text", body = String)))]
#[expect(dead_code, reason = "carries a description")]
fn metrics() {}

#[utoipa::path(get, path = "/ready", responses(
    (status = 200, description = "There is a Plan", body = String),
    (status = 503, description = "There is no Plan yet", body = ErrorView)))]
#[expect(dead_code, reason = "carries a description")]
fn ready() {}
