//! `GET /v1/study`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;
use crate::service::Service;

/// The study file as it is, byte for byte: its digest is the study's name.
pub(crate) async fn study(State(service): State<Arc<Service>>) -> Result<Response, Problem> {
    let kind = HeaderValue::from_static("application/toml");
    Ok(([(header::CONTENT_TYPE, kind)], service.running()?.file()).into_response())
}
