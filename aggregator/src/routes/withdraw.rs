//! `POST /v1/withdraw`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;

use super::whole;
use crate::limits::WITHDRAW_BYTES;
use crate::problem::Problem;
use crate::service::Service;

/// Takes a site's notice that it takes no further part in the open round.
pub(crate) async fn withdraw(
    State(service): State<Arc<Service>>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let bytes = whole(body, WITHDRAW_BYTES).await?;
    service.running()?.withdraw(bytes).await?;
    Ok(StatusCode::NO_CONTENT)
}
