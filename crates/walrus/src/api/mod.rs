//! The HTTP API: JSON out, a token for whatever changes state, loopback by default.

pub(crate) mod client;
pub(crate) mod clocks;
mod error;
mod expiry_metrics;
pub(crate) mod explain;
pub(crate) mod group;
pub(crate) mod keys;
mod metrics;
pub(crate) mod moves;
mod name_server_metrics;
pub(crate) mod openapi;
mod outbound_metrics;
pub(crate) mod plan;
pub(crate) mod published;
pub(crate) mod secondary;
pub(crate) mod signing;
pub(crate) mod status;
#[cfg(test)]
mod tests;
mod token;
pub(crate) mod traffic;
pub(crate) mod transferred;
pub(crate) mod updated;
pub(crate) mod vantage;
pub(crate) mod zone;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walrus_core::world::OverrideState;

use crate::node::keys::KeysRefused;
use crate::node::{Caller, Node};
use crate::output::Envelope;
pub(crate) use error::{ApiError, ErrorView};
use explain::ExplainQuery;
use keys::{AddKeyRequest, KeyRequest};
use plan::ProposedConfiguration;
use token::Trusted;

/// The largest body that is read: a proposed configuration with its client files.
const BODY_BYTES_MAX: usize = 64 << 20;

/// All routes of a node.
pub(crate) fn router(node: Arc<Node>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/status", get(status))
        .route("/plan", get(plan_in_force))
        .route("/plan/diff", post(plan_diff))
        .route("/explain", get(explain_answer))
        .route("/traffic", get(traffic))
        .route("/zone", get(zone_text))
        .route("/drain", post(drain))
        .route("/undrain", post(undrain))
        .route("/reload", post(reload))
        .route("/keys", get(keys_now))
        .route("/keys/add", post(add_key))
        .route("/keys/retire", post(retire_key))
        .route("/keys/import", post(import_key))
        .route("/metrics", get(metrics_text))
        .route("/ready", get(ready))
        .route("/openapi.json", get(openapi_document))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::other_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(node.clone(), token::readers))
        .with_state(node)
}

type Answer = Result<Response, ApiError>;

/// Every answer is one object that begins with `"walrus": 1, "kind": ...`.
fn json<T: Serialize>(kind: &str, body: &T) -> Response {
    match serde_json::to_vec(&Envelope::new(kind, body)) {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn index() -> &'static str {
    "Walrus. Look at /status, /plan, /explain?name=NAME&client=IP, /traffic, /zone?name=NAME, \
     /keys, /metrics, /ready and /openapi.json.\n"
}

async fn status(
    State(node): State<Arc<Node>>,
    query: Result<Query<status::StatusQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Answer {
    let mut status = node.status(query?.0.server.as_deref()).await?;
    if !token::is_given(&node, &headers) {
        status.demand.iter_mut().for_each(|demand| demand.heaviest.clear());
    }
    Ok(json("status", &status))
}

async fn plan_in_force(State(node): State<Arc<Node>>, headers: HeaderMap) -> Answer {
    let Some(plan) = node.plan() else {
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "there is no Plan yet"));
    };
    let who_asks = plan.services.iter().any(|service| service.demand.is_some());
    if !who_asks || token::is_given(&node, &headers) {
        return Ok(json("plan", &*plan));
    }
    let mut plan = (*plan).clone();
    let demands = plan.services.iter_mut().filter_map(|service| service.demand.as_mut());
    demands.for_each(|demand| demand.domains.clear());
    Ok(json("plan", &plan))
}

async fn plan_diff(
    State(node): State<Arc<Node>>,
    proposed: Result<axum::Json<ProposedConfiguration>, JsonRejection>,
) -> Answer {
    Ok(json("plan_diff", &node.diff(proposed?.0).await?))
}

async fn explain_answer(
    State(node): State<Arc<Node>>,
    query: Result<Query<ExplainQuery>, QueryRejection>,
) -> Answer {
    Ok(json("explanation", &node.explain(&query?.0)?))
}

/// What `POST /drain` and `POST /undrain` take.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DrainRequest {
    /// A server's or cluster's name, or `server:NAME`, `cluster:NAME`.
    pub(crate) target: String,
    /// Drain even the last usable server of a service.
    #[serde(default)]
    pub(crate) force: bool,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DoneView {
    /// In a sentence.
    pub(crate) done: String,
}

async fn drain(
    State(node): State<Arc<Node>>,
    Trusted(request, by): Trusted<DrainRequest>,
) -> Answer {
    let done = node.set_drain(&request.target, OverrideState::Drained, request.force, &by).await?;
    Ok(json("done", &DoneView { done }))
}

async fn undrain(
    State(node): State<Arc<Node>>,
    Trusted(request, by): Trusted<DrainRequest>,
) -> Answer {
    let done = node.set_drain(&request.target, OverrideState::None, false, &by).await?;
    Ok(json("done", &DoneView { done }))
}

/// What `POST /reload` answers.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReloadView {
    /// Digest of the shared configuration that is now in force.
    pub(crate) configuration: String,
    /// What is accepted but hardly meant.
    pub(crate) warnings: Vec<String>,
}

async fn reload(State(node): State<Arc<Node>>, headers: HeaderMap) -> Answer {
    let by = token::may_steer(&node, &headers, token::CHANGES)?;
    tracing::info!(operator = by.as_str(), "a reload is asked for");
    // In a task of its own: when whoever asked hangs up, this function ends where it waits, and the
    // name server would have what the Controller never hears of.
    let reloaded = tokio::spawn(async move { node.reload().await });
    Ok(json("reload", &reloaded.await.map_err(ApiError::internal)??))
}

async fn keys_now(State(node): State<Arc<Node>>) -> Answer {
    let view = in_background(move || node.keys().view()).await?;
    Ok(json("keys", &view))
}

async fn add_key(
    State(node): State<Arc<Node>>,
    Trusted(request, by): Trusted<AddKeyRequest>,
) -> Answer {
    keys_changed("add", &by, in_background(move || node.keys().add(&request)).await?)
}

async fn retire_key(
    State(node): State<Arc<Node>>,
    Trusted(request, by): Trusted<KeyRequest>,
) -> Answer {
    let KeyRequest { zone, tag } = request;
    keys_changed("retire", &by, in_background(move || node.keys().retire(&zone, tag)).await?)
}

async fn import_key(
    State(node): State<Arc<Node>>,
    Trusted(request, by): Trusted<KeyRequest>,
) -> Answer {
    let KeyRequest { zone, tag } = request;
    keys_changed("import", &by, in_background(move || node.keys().import(&zone, tag)).await?)
}

fn keys_changed(what: &str, by: &Caller, done: Result<String, KeysRefused>) -> Answer {
    let outcome = match &done {
        Ok(done) => done.clone(),
        Err(refused) => refused.to_string(),
    };
    tracing::info!(operator = by.as_str(), what, outcome, "keys");
    let done = done.map_err(|refused| {
        let status = match refused {
            KeysRefused::Wrong(_) => StatusCode::NOT_FOUND,
            KeysRefused::No(_) => StatusCode::CONFLICT,
            KeysRefused::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        ApiError::new(status, refused.to_string())
    })?;
    Ok(json("done", &DoneView { done }))
}

/// Keys are files: whoever asks for them may wait for the disk.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)
}

async fn traffic(State(node): State<Arc<Node>>, headers: HeaderMap) -> Answer {
    let what = "this tells who asks for what (/metrics has the counts) and";
    token::may_read(&node, &headers, what)?;
    Ok(json("traffic", &node.traffic().await?))
}

async fn zone_text(
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    query: Result<Query<zone::ZoneQuery>, QueryRejection>,
) -> Answer {
    token::may_read(&node, &headers, "a list of all names")?;
    let text = node.zone_text(query?.0).await?;
    Ok(([(header::CONTENT_TYPE, "text/dns; charset=us-ascii")], text).into_response())
}

async fn metrics_text(State(node): State<Arc<Node>>) -> Answer {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = metrics::render(&node).await?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

async fn ready(State(node): State<Arc<Node>>) -> Answer {
    match node.plan() {
        Some(plan) => Ok(format!("ready with Plan {}\n", plan.number).into_response()),
        None => Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "there is no Plan yet")),
    }
}

async fn openapi_document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::document()).into_response()
}
