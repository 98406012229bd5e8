//! `GET /v1/states/{digest}`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use protocol::id::Digest;

use super::cbor;
use crate::problem::Problem;
use crate::service::Service;

/// The state that the open round starts from, or the published one.
pub(crate) async fn state(
    State(service): State<Arc<Service>>,
    digest: Result<Path<Digest>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(digest) = digest?;
    let state = service.running()?.board().state(digest);
    state.map(cbor).ok_or(Problem::UnknownState(digest))
}
