//! Who may change something, or see what is not for everybody: whoever has the token.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::ApiError;
use crate::node::Node;

/// What asks for the token in most places.
pub(super) const CHANGES: &str = "this changes state and";

/// What is asked for by somebody who has the token. Nothing of a body is read without it.
pub(super) struct Trusted<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Node>> for Trusted<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, node: &Arc<Node>) -> Result<Self, ApiError> {
        check(node, request.headers(), CHANGES)?;
        let axum::Json(body) = axum::Json::from_request(request, node).await?;
        Ok(Self(body))
    }
}

/// # Errors
/// Without the token; `what` begins the sentence that asks for it.
pub(super) fn check(node: &Node, headers: &HeaderMap, what: &str) -> Result<(), ApiError> {
    if is_given(node, headers) {
        return Ok(());
    }
    let text = format!(
        "{what} wants the token: `Authorization: Bearer TOKEN`; walrus takes it from --token-file, \
         WALRUS_TOKEN_FILE or STATE/token"
    );
    Err(ApiError::new(StatusCode::UNAUTHORIZED, text))
}

/// Whether the token came along.
pub(super) fn is_given(node: &Node, headers: &HeaderMap) -> bool {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = header.and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
    node.api_token().matches(given.trim())
}
