//! The aggregator: a service that adds the masked vectors of hospitals, and learns from the sum alone.
//!
//! ```text
//! sites ──HTTPS──▶ app ─▶ routes ─▶ Service ─▶ Rounds ─▶ protocol::round     masks, signatures, the sum
//!                   │                             │ ├──▶ learning::optimizer  the sum moves the weights
//!                   │ problem: one match          │ └──▶ store::Journal       every step, before its answer
//!                   └ reads: Board ◀──publishes───┘
//! ```
//!
//! It knows no model and sees no patient: a vector's length, its sections and a rule to move weights by all stand in
//! the study. What it must not do by mistake, types forbid; what it must not do at all, the sites see to
//! ([`protocol::site`]).

#![forbid(unsafe_code)]

mod app;
mod clock;
mod limits;
mod problem;
pub mod rounds;
mod routes;
pub mod serve;
mod service;
pub mod store;

pub use app::app;
pub use clock::{Clock, SystemClock};
pub use limits::BodyLimits;
pub use problem::Problem;
pub use service::{Running, Service, StartError};
