//! A hospital's part in a study: a state machine that decides what the hospital sends, and when.
//!
//! It stands outside of the sandbox and trusts neither the module nor the aggregator. It does no I/O, has no clock, no
//! threads and no randomness of its own: it gives [`Step`]s, its driver does them and gives back [`Event`]s. A server with
//! files and a browser tab with a database run the same one, and so do the simulations of the tests.
//!
//! ```text
//!             ┌──────────── Participant::step(event, now) ───────────┐
//!             │ view ▸ plan ▸ state ▸ ledger ▸ module ▸ egress rules │
//!             └───────────────────────┬──────────────────────────────┘
//!   poll · fetch · draw · read · open · ask · sign · store · load · send · wait · finished
//!                                     ▼
//!             driver: HTTP, sandbox, key, disk, clock  ──Event──▶ back
//! ```
//!
//! **Stored and charged before sent** is a type that holds every driver to it: the only thing that can be sent is an
//! [`Outgoing`], and it is made only of what the egress rules let pass ([`egress`]), what is in the round's [`journal`]
//! with the [`Receipt`] of the disk, and, where it carries a vector, of the proof that the [`ledger`] has it.
//!
//! ```compile_fail
//! // Nobody makes up what is sent.
//! let outgoing = participant::Outgoing { destination: todo!(), bytes: vec![1, 2, 3] };
//! ```
//!
//! ```compile_fail
//! // A masked vector is not sent without the proof that it was charged.
//! fn send(sent: &participant::journal::Sending) -> participant::Outgoing {
//!     participant::Outgoing::vector(7, sent)
//! }
//! ```
//!
//! ```
//! // With it, it is.
//! use participant::{Outgoing, journal::Sending, ledger::Charged};
//! fn send(sent: &Sending, charged: &Charged) -> Option<Outgoing> {
//!     Outgoing::vector(7, sent, charged)
//! }
//! ```
//!
//! ```compile_fail
//! // The proof cannot be made up either,
//! let charged = participant::ledger::Charged { number: 7, body: todo!() };
//! ```
//!
//! ```compile_fail
//! // and what was not handed to the disk has no receipt.
//! let receipt = participant::Receipt { ticket: 0 };
//! ```

#![forbid(unsafe_code)]

pub mod egress;
pub mod journal;
mod jsonl;
pub mod ledger;
mod notice;
mod outgoing;
pub mod pace;
mod participant;
pub mod patience;
pub mod plan;
pub mod reading;
pub mod reconcile;
pub mod register;
pub mod replay;
mod starting;
mod state;
mod step;
mod stop;
mod taking;
mod writes;

pub use notice::Notice;
pub use outgoing::{Destination, Outgoing};
pub use participant::{Participant, Site};
pub use step::{Event, Failure, Fetch, ModuleFailure, Now, Step, StepKind};
pub use stop::Stop;
pub use writes::{Key, Receipt, Write, Writes};
