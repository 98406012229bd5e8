//! `GET /v1/progress`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use protocol::api::Progress;

use crate::problem::Problem;
use crate::service::Service;

/// Every round so far, for people and dashboards.
pub(crate) async fn progress(
    State(service): State<Arc<Service>>,
) -> Result<Json<Progress>, Problem> {
    Ok(Json(service.running()?.board().progress().clone()))
}
