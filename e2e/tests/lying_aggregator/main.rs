//! The real program of a hospital against an aggregator that follows a script of lies.
//!
//! ```text
//! script ─▶ aggregator in this process ──HTTP on loopback──▶ `host run`, its module, its patients
//!              │  the other sites, in memory                     │ killed, restarted, its folders damaged
//!              └──────────────▶ record of all that left ◀────────┘ ─▶ checks
//! ```
//!
//! [`script::Script`] is a list of typed lies. [`performance::perform`] plays it and gives a [`record::Record`], of which
//! [`checks::violations`] says what must never be so, whatever the script. Each promise has a script of its own
//! ([`scripts`], [`promises`]); others are drawn from a seed ([`draw`], [`random`]), by the hour in `cargo xtask soak`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod aggregator;
mod call;
mod checks;
mod damage;
mod draw;
mod hospital;
mod http;
mod kind;
mod patients;
mod performance;
mod prepared;
mod promises;
mod random;
mod record;
mod relay;
mod script;
mod scripts;
mod state;
