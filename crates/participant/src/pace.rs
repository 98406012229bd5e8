//! When the first message of a round leaves, so that it tells nothing of the patients.
//!
//! Training takes as long as there are patients. So the advert leaves at the study's floor after the site saw the round, or, at
//! a slower site, at a power of two times the floor, which is chosen from a local trial when the study is approved and stays for
//! the whole study. A round that takes longer still leaves at the next power of two; that is an overrun, which is counted and
//! told to the site's people.

use std::time::Duration;

use protocol::door::{Moments, State};
use protocol::id::Purpose;
use protocol::study::{Normalisation, Study};

/// When this site's adverts leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    floor: Duration,
    doublings: u8,
}

/// When an advert is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// From when the site saw the round.
    pub after: Duration,
    /// Whether that is when it always is.
    pub kept: Kept,
}

/// Whether the pace was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It was.
    Pace,
    /// The work took longer.
    Overrun,
}

impl Pace {
    /// The pace of a site whose adverts leave at `2^doublings` times the study's floor; at most [`MOST_DOUBLINGS`] count.
    #[must_use]
    pub fn new(study: &Study, doublings: u8) -> Self {
        Self {
            floor: Duration::from_secs_f64(study.manifest().rounds.floor_seconds),
            doublings: doublings.min(MOST_DOUBLINGS),
        }
    }

    /// The doublings of the floor that a site needs whose longest round took `trial`: with as much time again to spare.
    #[must_use]
    pub fn doublings(study: &Study, trial: Duration) -> u8 {
        let pace = Self::new(study, 0);
        if pace.floor.is_zero() {
            return 0;
        }
        pace.least(trial.saturating_mul(2))
    }

    /// How long after it saw a round this site always answers.
    #[must_use]
    pub fn usual(&self) -> Duration {
        self.after(self.doublings)
    }

    /// When an advert leaves that is ready so long after the site saw its round.
    #[must_use]
    pub fn due(&self, ready: Duration) -> Due {
        if self.floor.is_zero() {
            return Due {
                after: ready,
                kept: Kept::Pace,
            };
        }
        let needed = self.least(ready);
        if needed <= self.doublings {
            Due {
                after: self.usual(),
                kept: Kept::Pace,
            }
        } else {
            Due {
                after: self.after(needed).max(ready),
                kept: Kept::Overrun,
            }
        }
    }

    fn after(&self, doublings: u8) -> Duration {
        self.floor.saturating_mul(1 << doublings)
    }

    /// The fewest doublings that cover `time`.
    fn least(&self, time: Duration) -> u8 {
        (0..MOST_DOUBLINGS)
            .find(|doublings| self.after(*doublings) >= time)
            .unwrap_or(MOST_DOUBLINGS)
    }
}

/// The state that the first round with this purpose starts from, where moments are shared with the features' reference values
/// in their place: what a local trial is done with.
#[must_use]
pub fn first_state(study: &Study, purpose: Purpose) -> State {
    let manifest = study.manifest();
    let parameters = usize::try_from(manifest.model.parameters).unwrap_or(usize::MAX);
    let reference = manifest.cohort.features().map(|feature| Moments {
        mean: feature.mean,
        sd: feature.sd,
    });
    State {
        offset: vec![0.0; parameters],
        normalisation: match (manifest.cohort.normalisation, purpose) {
            (Normalisation::Reference, _) | (_, Purpose::Moments) => Vec::new(),
            (Normalisation::Shared, _) => reference.collect(),
        },
        control: if manifest.training.algorithm.has_control_variates() {
            vec![0.0; parameters]
        } else {
            Vec::new()
        },
        clip_norm: manifest
            .privacy
            .adaptive_clip
            .map(|_| manifest.privacy.clip_norm),
        centres: Vec::new(),
    }
}

/// A million times the floor.
pub const MOST_DOUBLINGS: u8 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(floor: u64, doublings: u8) -> Pace {
        Pace {
            floor: Duration::from_millis(floor),
            doublings,
        }
    }

    #[test]
    fn an_advert_leaves_at_the_same_time_however_long_the_work_took() {
        let pace = pace(250, 1);
        for ready in [0, 1, 249, 250, 251, 500] {
            let due = pace.due(Duration::from_millis(ready));
            assert_eq!(due.after, Duration::from_millis(500));
            assert_eq!(due.kept, Kept::Pace);
        }
        for (ready, after) in [(501, 1_000), (1_000, 1_000), (1_001, 2_000)] {
            let due = pace.due(Duration::from_millis(ready));
            assert_eq!(due.after, Duration::from_millis(after));
            assert_eq!(due.kept, Kept::Overrun);
        }
    }

    #[test]
    fn a_slower_site_takes_a_power_of_two_times_the_floor() {
        let study = testkit::study(3, 2).study;
        let floor = Duration::from_secs_f64(study.manifest().rounds.floor_seconds);
        assert!(floor.is_zero() && Pace::doublings(&study, Duration::from_secs(9)) == 0);
        let pace = pace(250, 0);
        for (trial, doublings) in [
            (0, 0),
            (250, 0),
            (251, 1),
            (999, 2),
            (u64::MAX / 2, MOST_DOUBLINGS),
        ] {
            assert_eq!(pace.least(Duration::from_millis(trial)), doublings);
        }
        assert!(pace.due(Duration::MAX).after == Duration::MAX);
    }
}
