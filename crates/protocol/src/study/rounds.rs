//! When sites answer, and how often a round may be begun: what a site holds the aggregator to.

use serde::{Deserialize, Serialize};

use super::StudyError;

/// The `[rounds]` table. All limits are counted by each site for itself, over the whole study.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Rounds {
    /// Seconds from when a site sees a new round until its first message leaves, however soon it is ready: 0 to 86,400. So
    /// when a site answers tells nothing of its patients. A slower site takes a power of two times as long, always.
    pub floor_seconds: f64,
    /// How often the rounds of one place of the plan may be begun before one of them is charged, at least 1.
    pub tries: u32,
    /// How many rounds may be begun and never charged, at least 1.
    pub uncharged: u32,
    /// How many rounds may start from a state again after a sum from it was opened: a round that was abandoned in its
    /// last stage leaves the state as it was. Never where ε is infinite.
    pub repeats: u32,
}

impl Default for Rounds {
    fn default() -> Self {
        Self {
            floor_seconds: 1.0,
            tries: 1_000,
            uncharged: 10_000,
            repeats: 3,
        }
    }
}

impl Rounds {
    /// Refuses settings that cannot be kept.
    pub(super) fn check(&self) -> Result<(), StudyError> {
        if !(0.0..=LONGEST_FLOOR).contains(&self.floor_seconds) {
            let problem = format!("is {}; want 0 to {LONGEST_FLOOR}", self.floor_seconds);
            return Err(StudyError::setting("rounds.floor-seconds", &problem));
        }
        for (setting, number) in [
            ("rounds.tries", self.tries),
            ("rounds.uncharged", self.uncharged),
        ] {
            if number == 0 {
                return Err(StudyError::setting(setting, &"is 0; want at least 1"));
            }
        }
        Ok(())
    }
}

/// A day.
const LONGEST_FLOOR: f64 = 86_400.0;
