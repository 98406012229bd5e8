//! One file a thing: extract, call the service, answer.

pub(crate) mod announcements;
pub(crate) mod chunks;
pub(crate) mod enrol;
pub(crate) mod health;
pub(crate) mod progress;
pub(crate) mod roll_call;
pub(crate) mod rounds;
pub(crate) mod states;
pub(crate) mod study;
pub(crate) mod withdraw;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

/// A body in our one encoding.
fn cbor(bytes: Bytes) -> Response {
    let kind = HeaderValue::from_static("application/cbor");
    ([(header::CONTENT_TYPE, kind)], bytes).into_response()
}

/// The whole body, of at most `limit` bytes.
async fn whole(body: Body, limit: usize) -> Result<Bytes, Problem> {
    axum::body::to_bytes(body, limit).await.map_err(|error| {
        let mut source: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = source {
            if error.is::<http_body_util::LengthLimitError>() {
                return Problem::TooLarge { limit };
            }
            source = error.source();
        }
        Problem::Body
    })
}
