//! `GET /v1/announcements/{site}`.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use protocol::codec;
use protocol::id::SiteId;
use serde::Deserialize;

use super::cbor;
use crate::problem::Problem;
use crate::service::Service;

/// Where a page begins.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    /// The least number of a round.
    #[serde(default)]
    from: u32,
}

/// What a site announced, so that one that lost the end of its ledger can restore it by its own signatures.
pub(crate) async fn announcements(
    State(service): State<Arc<Service>>,
    path: Result<Path<SiteId>, PathRejection>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Problem> {
    let (Path(site), Query(Page { from })) = (path?, page?);
    let found = service.running()?.announcements(site, from).await?;
    Ok(cbor(codec::encode(&found).into()))
}
