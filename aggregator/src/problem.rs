//! What a refused request is told: problem details (RFC 9457).

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::chunk::ChunkError;
use protocol::codec::DecodeError;
use protocol::id::Digest;
use protocol::message::MessageError;
use protocol::round::SiteFault as Refused;
use serde::Serialize;

use crate::rounds::{Fault, RoundsError, SiteFault};
use crate::store::{EnrolError, StoreError};

/// Why a request is not answered as it asks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No route has this path.
    #[error("there is nothing at this path")]
    NotFound,
    /// The route does not take this method.
    #[error("this path does not take this method")]
    Method,
    /// A part of the path is not what the route wants there.
    #[error("{0}")]
    Path(String),
    /// The query is not what the route wants.
    #[error("{0}")]
    Query(String),
    /// The body did not arrive as a whole.
    #[error("the body did not arrive as a whole")]
    Body,
    /// The body is larger than any that is right here.
    #[error("the body is larger than {limit} bytes, the most that is right here")]
    TooLarge {
        /// The most bytes.
        limit: usize,
    },
    /// The request took too long to arrive, or to be answered.
    #[error("the request took longer than {seconds} s")]
    Timeout {
        /// The most seconds.
        seconds: u64,
    },
    /// The body is not a message of this route.
    #[error("{0}")]
    Malformed(#[from] DecodeError),
    /// The service runs without a study: sites can enrol, and no more.
    #[error("no study is running yet: sites can enrol, and no more")]
    NoStudy,
    /// No state with this digest is kept.
    #[error("no state {0} is kept")]
    UnknownState(Digest),
    /// A site did not enrol, or what it reveals was not taken.
    #[error(transparent)]
    Enrol(EnrolError),
    /// A site's request does not fit the rounds.
    #[error(transparent)]
    Site(SiteFault),
    /// The study stopped before its end.
    #[error("the study stopped: {0}")]
    Stopped(String),
    /// We are at fault.
    #[error(transparent)]
    Internal(#[from] Fault),
}

impl Problem {
    /// The one place where status and type are decided.
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"),
            Self::Path(_) => (StatusCode::NOT_FOUND, "malformed-path"),
            Self::Query(_) => (StatusCode::BAD_REQUEST, "malformed-query"),
            Self::Body => (StatusCode::BAD_REQUEST, "incomplete-body"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large"),
            Self::Timeout { .. } => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed-message"),
            Self::NoStudy => (StatusCode::NOT_FOUND, "no-study"),
            Self::UnknownState(_) => (StatusCode::NOT_FOUND, "unknown-state"),
            Self::Enrol(EnrolError::UnknownToken) => (StatusCode::FORBIDDEN, "unknown-token"),
            Self::Enrol(EnrolError::TokenUsed) => (StatusCode::CONFLICT, "token-used"),
            Self::Enrol(EnrolError::OtherName { .. }) => (StatusCode::FORBIDDEN, "other-name"),
            Self::Enrol(EnrolError::Signature) => (StatusCode::FORBIDDEN, "bad-signature"),
            Self::Enrol(EnrolError::Closed) => (StatusCode::CONFLICT, "roster-closed"),
            Self::Enrol(EnrolError::Open) => (StatusCode::CONFLICT, "roster-open"),
            Self::Enrol(EnrolError::OtherList { .. }) => (StatusCode::CONFLICT, "other-list"),
            Self::Enrol(EnrolError::NotListed) => (StatusCode::FORBIDDEN, "not-in-roster"),
            Self::Enrol(EnrolError::OtherNonce) => (StatusCode::FORBIDDEN, "other-nonce"),
            Self::Site(fault) => site_kind(fault),
            Self::Stopped(_) => (StatusCode::GONE, "study-stopped"),
            Self::Internal(_) | Self::Enrol(EnrolError::Store(_)) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal")
            }
        }
    }
}

fn site_kind(fault: &SiteFault) -> (StatusCode, &'static str) {
    match fault {
        SiteFault::UnknownRound { .. } => (StatusCode::NOT_FOUND, "unknown-round"),
        SiteFault::RoundOver { .. } => (StatusCode::GONE, "round-over"),
        SiteFault::NotYet { .. } | SiteFault::Refused(Refused::Early { .. }) => {
            (StatusCode::CONFLICT, "stage-not-open")
        }
        SiteFault::NoLonger { .. } | SiteFault::Refused(Refused::Late { .. }) => {
            (StatusCode::CONFLICT, "stage-closed")
        }
        SiteFault::Outside(_) | SiteFault::Refused(Refused::NotAwaited { .. }) => {
            (StatusCode::CONFLICT, "not-awaited")
        }
        SiteFault::Malformed(_)
        | SiteFault::Refused(Refused::Message(MessageError::Body { .. })) => {
            (StatusCode::BAD_REQUEST, "malformed-message")
        }
        SiteFault::Refused(Refused::Message(MessageError::NotInRoster(_))) => {
            (StatusCode::FORBIDDEN, "not-in-roster")
        }
        SiteFault::Refused(Refused::Message(MessageError::NotInRound(_))) => {
            (StatusCode::CONFLICT, "not-in-round")
        }
        SiteFault::Withdrawal(_) | SiteFault::Refused(Refused::Message(_)) => {
            (StatusCode::FORBIDDEN, "bad-signature")
        }
        SiteFault::Refused(Refused::Conflict { .. }) => (StatusCode::CONFLICT, "different-message"),
        SiteFault::Refused(Refused::NotAnnounced(_)) => (StatusCode::CONFLICT, "not-announced"),
        SiteFault::Refused(Refused::Chunk {
            error: ChunkError::Number { .. },
            ..
        }) => (StatusCode::NOT_FOUND, "unknown-chunk"),
        SiteFault::Refused(Refused::Chunk { .. }) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "different-chunk")
        }
        // Signed by the site, and yet not what the stage can take: keys, shares, vectors, lists, openings.
        SiteFault::Refused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "refused-message"),
    }
}

/// The body of a problem.
#[derive(Serialize)]
struct Details {
    r#type: String,
    title: String,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, kind) = self.kind();
        let details = if status.is_server_error() {
            tracing::error!(error = %self, "a request failed by our own fault");
            // Ours to mend: nothing that a caller could act on, and nothing that tells of our insides.
            Details {
                r#type: "about:blank".to_owned(),
                title: "internal server error".to_owned(),
                status: status.as_u16(),
                detail: None,
            }
        } else {
            Details {
                r#type: format!("urn:wardround:problem:{kind}"),
                title: kind.replace('-', " "),
                status: status.as_u16(),
                detail: Some(self.to_string()),
            }
        };
        let body = serde_json::to_vec(&details).expect("strings and a number are always JSON");
        let kind = HeaderValue::from_static("application/problem+json");
        (status, [(header::CONTENT_TYPE, kind)], body).into_response()
    }
}

impl From<RoundsError> for Problem {
    fn from(error: RoundsError) -> Self {
        match error {
            RoundsError::Site(fault) => Self::Site(fault),
            RoundsError::Stopped(reason) => Self::Stopped(reason),
            RoundsError::Internal(fault) => Self::Internal(fault),
        }
    }
}

impl From<SiteFault> for Problem {
    fn from(fault: SiteFault) -> Self {
        Self::Site(fault)
    }
}

impl From<EnrolError> for Problem {
    fn from(error: EnrolError) -> Self {
        Self::Enrol(error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::Path(rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::Query(rejection.body_text())
    }
}
