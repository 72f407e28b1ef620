//! Why a request was not done: always the same JSON object, whoever found out.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::json;

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
#[derive(Debug)]
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

    /// Not ours to mend: something here is broken.
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
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

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        // 422 is kept for configurations: a body that is no request is a bad request.
        let status = match rejection.status() {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            other => other,
        };
        Self::new(status, rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

/// For a path that is none.
pub(super) async fn no_such_path(uri: Uri) -> ApiError {
    let text = format!("there is no {}: GET / lists what there is", uri.path());
    ApiError::new(StatusCode::NOT_FOUND, text)
}

/// For a path that wants another method.
pub(super) async fn other_method(method: Method, uri: Uri) -> ApiError {
    let text = format!("{} does not take {method}: /openapi.json says what it takes", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, text)
}
