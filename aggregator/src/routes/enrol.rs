//! `POST /v1/enrol`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::codec;

use super::whole;
use crate::limits::ENROL_BYTES;
use crate::problem::Problem;
use crate::service::Service;

/// Takes a site's key, against a one-time token.
pub(crate) async fn enrol(
    State(service): State<Arc<Service>>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let request = codec::decode(&whole(body, ENROL_BYTES).await?)?;
    service.enrol(request).await?;
    Ok(StatusCode::NO_CONTENT)
}
