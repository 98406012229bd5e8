//! The routes under `/v1` ([`protocol::api`]), and what all of them have in common.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};

use crate::limits::{MESSAGE, REQUEST};
use crate::problem::Problem;
use crate::routes::{
    announcements, chunks, enrol, health, progress, roll_call, rounds, states, study, withdraw,
};
use crate::service::Service;

/// The service as axum wants it.
pub fn app(service: Arc<Service>) -> Router {
    // Only here are bodies more than a few lines.
    let messages = Router::new()
        .route(
            "/rounds/{number}/{part}",
            get(rounds::part).post(rounds::message),
        )
        .route("/rounds/{number}/chunks/{site}/{chunk}", put(chunks::chunk))
        .layer(from_fn_with_state(MESSAGE, within));
    let others = Router::new()
        .route("/enrol", post(enrol::enrol))
        .route("/roll-call", get(roll_call::roll_call))
        .route("/reveal", post(roll_call::reveal))
        .route("/study", get(study::study))
        .route("/withdraw", post(withdraw::withdraw))
        .route("/round", get(rounds::view))
        .route("/rounds/{number}/shares/{site}", get(rounds::inbox))
        .route("/rounds/{number}/chunks/{site}", get(chunks::missing))
        .route("/states/{digest}", get(states::state))
        .route("/announcements/{site}", get(announcements::announcements))
        .route("/progress", get(progress::progress))
        .route("/health", get(health::health))
        .layer(from_fn_with_state(REQUEST, within));
    Router::new()
        .nest("/v1", messages.merge(others))
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::Method)
        .layer(from_fn(logged))
        .with_state(service)
}

/// Gives the request up after the time.
async fn within(State(time): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::Timeout {
            seconds: time.as_secs(),
        }
        .into_response(),
    }
}

/// One line a request, without its body: that is where tokens and vectors are.
async fn logged(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let start = Instant::now();
    let response = next.run(request).await;
    let (status, duration_ms) = (response.status().as_u16(), start.elapsed().as_millis());
    tracing::debug!(%method, path, status, duration_ms, "request answered");
    response
}
