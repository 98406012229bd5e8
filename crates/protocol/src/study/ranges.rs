//! What the numbers of a public state can be, as far as the study decides it: an honest aggregator keeps to these ranges, and
//! sites refuse what is beyond ([`crate::door::State::of`]).

use std::ops::RangeInclusive;

use super::{AdaptiveClip, Algorithm, Manifest, Privacy};
use crate::id::Purpose;

impl Manifest {
    /// The model's parameters, as a length.
    pub(crate) fn weights(&self) -> usize {
        usize::try_from(self.model.parameters).unwrap_or(usize::MAX)
    }

    /// The clip norms that the study's planned rounds can get to from its own; `None` where it does not adapt it.
    ///
    /// Each round multiplies it by `exp(−rate · (share − quantile))`, with a share from 0 to 1; never beyond
    /// [`Privacy::CLIP_NORMS`].
    #[must_use]
    pub fn clip_norms(&self) -> Option<RangeInclusive<f64>> {
        let AdaptiveClip { quantile, rate, .. } = self.privacy.adaptive_clip?;
        let (norm, rounds) = (
            self.privacy.clip_norm,
            f64::from(self.planned(Purpose::Train)),
        );
        // What many products are off by rounding.
        let slack = 1e-9;
        let least = norm * (-rate * (1.0 - quantile) * rounds - slack).exp();
        let most = norm * (rate * quantile * rounds + slack).exp();
        let all = Privacy::CLIP_NORMS;
        Some(least.max(*all.start())..=most.min(*all.end()))
    }

    /// The most that a value of the shared control variate can be, either way of 0, after the study's planned rounds;
    /// `None` where it has none.
    ///
    /// A site adds at most `change-norm` over local steps and rate, and rounding less than that again (Karimireddy et al.
    /// 2020, algorithm 1); the shared one moves by the mean of the sites.
    #[must_use]
    pub fn most_control(&self) -> Option<f32> {
        let Algorithm::Averaging(averaging) = &self.training.algorithm else {
            return None;
        };
        if !self.training.algorithm.has_control_variates() {
            return None;
        }
        let rounds = f64::from(self.planned(Purpose::Train));
        let of_round = 2.0 * averaging.change_norm / averaging.steps_times_rate();
        Some(narrow((rounds * of_round).min(MOST_CONTROL)))
    }
}

/// Where nothing else bounds it: differences and sums of control variates are finite.
const MOST_CONTROL: f64 = 1e30;

#[expect(
    clippy::cast_possible_truncation,
    reason = "control variates are f32, and this is far within their range"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}
