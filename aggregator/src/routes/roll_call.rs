//! `GET /v1/roll-call` and `POST /v1/reveal`: the closed list of sites, and what they reveal for it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::codec;

use super::{cbor, whole};
use crate::limits::REVEAL_BYTES;
use crate::problem::Problem;
use crate::service::Service;

/// The closed list.
pub(crate) async fn roll_call(State(service): State<Arc<Service>>) -> Result<Response, Problem> {
    let list = service.roll_call().await?;
    Ok(cbor(codec::encode(&list).into()))
}

/// Takes a site's nonce and signature.
pub(crate) async fn reveal(
    State(service): State<Arc<Service>>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let reveal = codec::decode(&whole(body, REVEAL_BYTES).await?)?;
    service.reveal(reveal).await?;
    Ok(StatusCode::NO_CONTENT)
}
