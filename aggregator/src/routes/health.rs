//! `GET /v1/health`.

use axum::http::StatusCode;

/// The service answers.
pub(crate) async fn health() -> StatusCode {
    StatusCode::NO_CONTENT
}
