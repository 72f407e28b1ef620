//! Who may change something, or see what is not for everybody: the node's own token, or an operator's.

use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::de::DeserializeOwned;
use walrus_core::world::OperatorRight;

use super::ApiError;
use crate::node::{Caller, Denied, Node};

/// What asks for the token in most places.
pub(super) const CHANGES: &str = "this changes state and";
/// What is told without a token in any case: nothing of it is about this system but whether it is ready.
const OPEN: [&str; 3] = ["/", "/ready", "/openapi.json"];

/// What is asked for by somebody who may change state, and who that is. Nothing of a body is read of others.
pub(super) struct Trusted<T>(pub(super) T, pub(super) Caller);

impl<T: DeserializeOwned> FromRequest<Arc<Node>> for Trusted<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, node: &Arc<Node>) -> Result<Self, ApiError> {
        let caller = may_steer(node, request.headers(), CHANGES)?;
        let axum::Json(body) = axum::Json::from_request(request, node).await?;
        Ok(Self(body, caller))
    }
}

/// Who asks, if they may change state; `what` begins the sentence that asks for a token.
pub(super) fn may_steer(node: &Node, headers: &HeaderMap, what: &str) -> Result<Caller, ApiError> {
    node.access().admit(given(headers), OperatorRight::Steer, what).map_err(refused)
}

/// # Errors
/// If whoever asks may not see what is not for everybody.
pub(super) fn may_read(node: &Node, headers: &HeaderMap, what: &str) -> Result<(), ApiError> {
    let found = node.access().admit(given(headers), OperatorRight::Read, what);
    found.map(|_| ()).map_err(refused)
}

/// Whether a token came along that lets its bearer read everything.
pub(super) fn is_given(node: &Node, headers: &HeaderMap) -> bool {
    node.access().may_read(given(headers))
}

/// Before every request: where reading needs a token, nothing is told without.
pub(super) async fn readers(
    State(node): State<Arc<Node>>,
    request: Request,
    next: Next,
) -> Response {
    if node.access().read_needs_token() && !OPEN.contains(&request.uri().path()) {
        let read = may_read(&node, request.headers(), "reading (`read_needs_token` of [api])");
        if let Err(error) = read {
            return error.into_response();
        }
    }
    next.run(request).await
}

fn given(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    header.and_then(|header| header.strip_prefix("Bearer ")).map(str::trim)
}

fn refused(denied: Denied) -> ApiError {
    match denied {
        Denied::Unknown(reason) => ApiError::new(StatusCode::UNAUTHORIZED, reason),
        Denied::NotAllowed(reason) => ApiError::new(StatusCode::FORBIDDEN, reason),
    }
}
