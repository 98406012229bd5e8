//! When to try again: later each time, and never all sites at once.

use std::time::Duration;

/// How long a failing call is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The longest wait before the second try; doubled for each one after.
    pub first: Duration,
    /// The longest wait of all.
    pub longest: Duration,
    /// All waits together; the try after them is the last one.
    pub total: Duration,
}

impl Patience {
    /// No second try: the caller repeats the call.
    pub const NONE: Self = Self {
        first: Duration::ZERO,
        longest: Duration::ZERO,
        total: Duration::ZERO,
    };
    /// For a person who is waiting: gives up within seconds.
    pub const SHORT: Self = Self {
        first: Duration::from_millis(250),
        longest: Duration::from_secs(2),
        total: Duration::from_secs(6),
    };
    /// For a study that runs for days: outlasts a restart of the aggregator, and a night of network work.
    pub const LONG: Self = Self {
        first: Duration::from_millis(250),
        longest: Duration::from_secs(30),
        total: Duration::from_secs(12 * 3_600),
    };

    /// The waits between tries; `random` gives uniform bytes.
    pub fn waits(self, mut random: impl FnMut() -> u8) -> impl Iterator<Item = Duration> {
        let mut waits = Waits::new(self);
        std::iter::from_fn(move || waits.next(random()))
    }
}

/// The waits that are left of some patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// The longest that the next one may be.
    cap: Duration,
    longest: Duration,
    left: Duration,
}

impl Waits {
    /// All of them.
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        Self {
            cap: patience.first,
            longest: patience.longest,
            left: patience.total,
        }
    }

    /// The next one; none where patience is over. `random` is uniform.
    pub fn next(&mut self, random: u8) -> Option<Duration> {
        if self.left.is_zero() {
            return None;
        }
        // "Equal jitter": half fixed, half random, so that sites that failed together do not come back together.
        let wait = (self.cap / 2 + self.cap / 2 * u32::from(random) / 255).min(self.left);
        self.left -= wait;
        self.cap = (self.cap * 2).min(self.longest);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_end() {
        let patience = Patience {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(4),
            total: Duration::from_secs(14),
        };
        let seconds = |random: u8| -> Vec<f64> {
            patience
                .waits(|| random)
                .map(|wait| wait.as_secs_f64())
                .collect()
        };
        assert_eq!(seconds(255), [1.0, 2.0, 4.0, 4.0, 3.0]);
        assert_eq!(seconds(0), [0.5, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 0.5]);
    }
}
