//! The HTTP API: JSON out, a token for whatever changes state, loopback by default.

pub(crate) mod client;
pub(crate) mod explain;
mod metrics;
mod name_server_metrics;
pub(crate) mod openapi;
pub(crate) mod plan;
pub(crate) mod status;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walrus_core::world::OverrideState;

use crate::node::Node;
use explain::ExplainQuery;
use plan::ProposedConfiguration;

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
        .route("/drain", post(drain))
        .route("/undrain", post(undrain))
        .route("/reload", post(reload))
        .route("/metrics", get(metrics_text))
        .route("/ready", get(ready))
        .route("/openapi.json", get(openapi_document))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(node)
}

/// Why a request was not done.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ErrorView {
    /// What is wrong and what to do.
    pub(crate) error: String,
    /// All problems of a configuration, one a line of text each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) problems: Vec<String>,
}

/// A refusal with its status code.
pub(crate) struct ApiError {
    status: StatusCode,
    view: ErrorView,
}

impl ApiError {
    /// A refusal in a sentence.
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, view: ErrorView { error: error.into(), problems: Vec::new() } }
    }

    /// A configuration that has problems.
    pub(crate) fn problems(problems: Vec<String>) -> Self {
        let error = "the configuration has problems; nothing was changed".to_owned();
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, view: ErrorView { error, problems } }
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.view.error)?;
        self.view.problems.iter().try_for_each(|problem| write!(f, "; {problem}"))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = json("error", &self.view);
        *response.status_mut() = self.status;
        response
    }
}

type Answer = Result<Response, ApiError>;

/// Every answer is one object that begins with `"walrus": 1, "kind": ...`.
fn json<T: Serialize>(kind: &str, body: &T) -> Response {
    #[derive(Serialize)]
    struct Envelope<'a, T> {
        walrus: u32,
        kind: &'a str,
        #[serde(flatten)]
        body: &'a T,
    }
    match serde_json::to_vec(&Envelope { walrus: 1, kind, body }) {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn index() -> &'static str {
    "Walrus. Look at /status, /plan, /explain?name=NAME&client=IP, /metrics, /ready and \
     /openapi.json.\n"
}

async fn status(State(node): State<Arc<Node>>) -> Answer {
    Ok(json("status", &node.status().await?))
}

async fn plan_in_force(State(node): State<Arc<Node>>) -> Answer {
    match node.plan() {
        Some(plan) => Ok(json("plan", &*plan)),
        None => Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "there is no Plan yet")),
    }
}

async fn plan_diff(
    State(node): State<Arc<Node>>,
    axum::Json(proposed): axum::Json<ProposedConfiguration>,
) -> Answer {
    Ok(json("plan_diff", &node.diff(proposed).await?))
}

async fn explain_answer(
    State(node): State<Arc<Node>>,
    Query(query): Query<ExplainQuery>,
) -> Answer {
    Ok(json("explanation", &node.explain(&query)?))
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
    headers: HeaderMap,
    axum::Json(request): axum::Json<DrainRequest>,
) -> Answer {
    check_token(&node, &headers)?;
    let done = node.set_drain(&request.target, OverrideState::Drained, request.force).await?;
    Ok(json("done", &DoneView { done }))
}

async fn undrain(
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    axum::Json(request): axum::Json<DrainRequest>,
) -> Answer {
    check_token(&node, &headers)?;
    let done = node.set_drain(&request.target, OverrideState::None, false).await?;
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
    check_token(&node, &headers)?;
    Ok(json("reload", &node.reload().await?))
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

fn check_token(node: &Node, headers: &HeaderMap) -> Result<(), ApiError> {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = header.and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
    if node.api_token().matches(given.trim()) {
        return Ok(());
    }
    let text = "this changes state and wants the token: `Authorization: Bearer TOKEN`; walrus \
                takes it from --token-file, WALRUS_TOKEN_FILE or STATE/token";
    Err(ApiError::new(StatusCode::UNAUTHORIZED, text))
}
