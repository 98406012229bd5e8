//! Where the time comes from: an argument everywhere but here.

use std::fmt;
use std::time::Instant;

/// Tells the time. Deadlines are the only use of it, so a restarted service gives each stage its full time again.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present moment; never before one that was told earlier.
    fn now(&self) -> Instant;
}

/// The machine's monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}
