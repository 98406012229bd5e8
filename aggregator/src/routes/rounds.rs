//! `GET /v1/round`, `POST /v1/rounds/{number}/{stage}`, and what sites fetch of a round.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use protocol::api::Stage;
use protocol::codec;
use protocol::id::SiteId;
use serde::Deserialize;

use super::{cbor, whole};
use crate::limits::LONGEST_WAIT;
use crate::problem::Problem;
use crate::service::Service;

/// What a site has seen, and how long it waits for more.
#[derive(Debug, Deserialize)]
pub(crate) struct Poll {
    /// The version that it has seen; 0 for none.
    #[serde(default)]
    seen: u64,
    /// Seconds.
    #[serde(default)]
    wait: u64,
}

/// Where the study is.
pub(crate) async fn view(
    State(service): State<Arc<Service>>,
    poll: Result<Query<Poll>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Poll { seen, wait }) = poll?;
    let board = service
        .news(seen, Duration::from_secs(wait).min(LONGEST_WAIT))
        .await?;
    Ok(cbor(codec::encode(&board.view()?).into()))
}

/// Takes a site's message of a stage.
pub(crate) async fn message(
    State(service): State<Arc<Service>>,
    path: Result<Path<(u32, String)>, PathRejection>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let Path((number, stage)) = path?;
    let stage: Stage = stage.parse().map_err(|_| Problem::NotFound)?;
    let running = service.running()?;
    let bytes = whole(body, running.limits().message(stage)).await?;
    running.accept(number, stage, bytes).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a round has for all its sites.
pub(crate) async fn part(
    State(service): State<Arc<Service>>,
    path: Result<Path<(u32, String)>, PathRejection>,
) -> Result<Response, Problem> {
    let Path((number, part)) = path?;
    let board = service.running()?.board();
    let bytes = match part.as_str() {
        "adverts" => board.adverts(number)?,
        "survivors" => board.survivors(number)?,
        "statements" => board.statements(number)?,
        _ => return Err(Problem::NotFound),
    };
    Ok(cbor(bytes))
}

/// The shares that were sent to one site; only that site can read them.
pub(crate) async fn inbox(
    State(service): State<Arc<Service>>,
    path: Result<Path<(u32, SiteId)>, PathRejection>,
) -> Result<Response, Problem> {
    let Path((number, site)) = path?;
    Ok(cbor(service.running()?.board().inbox(number, site)?))
}
