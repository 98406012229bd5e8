//! `PUT /v1/rounds/{number}/chunks/{site}/{chunk}` and `GET /v1/rounds/{number}/chunks/{site}`: masked vectors on their
//! way.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use protocol::codec;
use protocol::id::SiteId;

use super::{cbor, whole};
use crate::problem::Problem;
use crate::service::Service;

/// Takes a sealed chunk. Whoever brings it, it is the one that its site announced and signed, or it is refused.
pub(crate) async fn chunk(
    State(service): State<Arc<Service>>,
    path: Result<Path<(u32, SiteId, u32)>, PathRejection>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let Path((number, site, chunk)) = path?;
    let running = service.running()?;
    let bytes = whole(body, running.limits().chunk()).await?;
    running.put_chunk(number, site, chunk, bytes).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which chunks of a site's vector are still to be sent.
pub(crate) async fn missing(
    State(service): State<Arc<Service>>,
    path: Result<Path<(u32, SiteId)>, PathRejection>,
) -> Result<Response, Problem> {
    let Path((number, site)) = path?;
    let missing = service.running()?.missing_chunks(number, site).await?;
    Ok(cbor(codec::encode(&missing).into()))
}
