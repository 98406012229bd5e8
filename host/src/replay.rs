//! The auditor's view: a recorded round, run again through the module, message by message ([`participant::replay`]).

use participant::journal::{Damaged, Journal};
use participant::replay::Comparison;
use protocol::door::{Open, Progress};

use crate::sandbox::{Sandbox, SandboxError};
use crate::session::Session;

/// Runs a recorded round again; `open` is what its instance was opened with.
///
/// # Errors
///
/// A module that fails or refuses where it answered when the round was run, and a recorded message that is none.
pub fn replay(
    sandbox: &Sandbox,
    open: Open,
    journal: &Journal,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Comparison>, ReplayError> {
    let mut session = Session::open(sandbox, open, progress)?;
    let mut comparisons = Vec::new();
    for exchange in journal.exchanges() {
        let Some(sending) = &exchange.sending else {
            continue;
        };
        let body = session.body(&exchange.request)?;
        comparisons.push(Comparison::of(sending, &body)?);
    }
    Ok(comparisons)
}

/// Why a round cannot be run again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The module failed or refused.
    #[error(transparent)]
    Module(#[from] SandboxError),
    /// What the journal says was sent is no message.
    #[error(transparent)]
    Journal(#[from] Damaged),
}
