//! The public state that a round starts from, parsed: every number of it lies in a range that follows from the study.
//!
//! ```text
//! bytes ──State::of(study, purpose)───▶ State   what a round is computed from
//!       └─State::published(study)─────▶ State   what patients are predicted by, or a model goes on from
//! ```
//!
//! A state is the aggregator's word. Numbers that no honest aggregator publishes could be made so that a site's answer, or
//! whether it answers, tells of its patients: so a state is parsed before a patient is looked at, and refused for what
//! follows from the study alone. The ranges are those that an honest aggregator keeps to whatever sums come in; it sets
//! what noise leads beyond to their end.

use std::ops::RangeInclusive;

use crate::codec::{self, DecodeError};
use crate::door::{Moments, State};
use crate::id::Purpose;
use crate::study::{Feature, Normalisation, Study};

impl State {
    /// The greatest weight, either way of 0, that a state can have: far beyond every model that predicts anything.
    pub const MOST_WEIGHT: f32 = 1e6;

    /// The state that a round of `study` with this purpose starts from.
    ///
    /// # Errors
    ///
    /// Bytes that are no state; and a state that no round of the study with this purpose can start from:
    ///
    /// - weights that are not as many as the study's parameters, not finite, or beyond [`State::MOST_WEIGHT`];
    /// - a control variate where the study has none or of another length, or one beyond
    ///   [`crate::study::Manifest::most_control`];
    /// - a clip norm where the study has no adaptive one, none where it has, or one beyond
    ///   [`crate::study::Manifest::clip_norms`];
    /// - moments where there are none yet or never, others than one pair a feature after that, means and standard deviations
    ///   beyond [`Feature::shared_means`] and [`Feature::shared_deviations`];
    /// - centres that are no whole ones, outside the ball, or more than [`crate::study::Clustering::most_centres`].
    pub fn of(study: &Study, purpose: Purpose, bytes: &[u8]) -> Result<Self, StateError> {
        let state: Self = codec::decode(bytes)?;
        let shared = study.manifest().cohort.normalisation == Normalisation::Shared;
        let moments = if shared && purpose != Purpose::Moments {
            Wanted::All
        } else {
            Wanted::None
        };
        state.check(
            study,
            Wants {
                moments,
                rounds: Wanted::All,
                purpose: Some(purpose),
            },
        )?;
        Ok(state)
    }

    /// The state of a model that patients are predicted by, that a model of a site's own goes on from, or that is given away:
    /// what the aggregator publishes at the end, or what training at one place ended in. Of what only rounds need, control
    /// variate and clip norm, there may be none.
    ///
    /// # Errors
    ///
    /// As of [`State::of`]; moments are wanted wherever the study shares them.
    pub fn published(study: &Study, bytes: &[u8]) -> Result<Self, StateError> {
        let state: Self = codec::decode(bytes)?;
        let moments = match study.manifest().cohort.normalisation {
            Normalisation::Shared => Wanted::All,
            Normalisation::Reference => Wanted::None,
        };
        state.check(
            study,
            Wants {
                moments,
                rounds: Wanted::AllOrNone,
                purpose: None,
            },
        )?;
        Ok(state)
    }

    fn check(&self, study: &Study, wants: Wants) -> Result<(), StateError> {
        self.check_weights(study)?;
        self.check_control(study, wants.rounds)?;
        self.check_clip_norm(study, wants.rounds)?;
        self.check_moments(study, wants.moments)?;
        self.check_centres(study, wants.purpose)
    }

    fn check_weights(&self, study: &Study) -> Result<(), StateError> {
        let (got, want) = (self.offset.len(), study.manifest().weights());
        if got != want {
            return Err(StateError::Weights { got, want });
        }
        let most = Self::MOST_WEIGHT;
        match beyond(&self.offset, most) {
            Some((place, value)) => Err(StateError::Weight { place, value, most }),
            None => Ok(()),
        }
    }

    fn check_control(&self, study: &Study, wanted: Wanted) -> Result<(), StateError> {
        let manifest = study.manifest();
        let most = manifest.most_control();
        let (got, want) = (
            self.control.len(),
            most.map_or(0, |_| study.manifest().weights()),
        );
        if got != want && !(got == 0 && wanted == Wanted::AllOrNone) {
            return Err(StateError::Control { got, want });
        }
        let most = most.unwrap_or(0.0);
        match beyond(&self.control, most) {
            Some((place, value)) => Err(StateError::ControlValue { place, value, most }),
            None => Ok(()),
        }
    }

    fn check_clip_norm(&self, study: &Study, wanted: Wanted) -> Result<(), StateError> {
        match (self.clip_norm, study.manifest().clip_norms()) {
            (None, None) => Ok(()),
            (None, Some(_)) if wanted == Wanted::AllOrNone => Ok(()),
            (None, Some(_)) => Err(StateError::NoClipNorm),
            (Some(got), None) => Err(StateError::UnwantedClipNorm(got)),
            (Some(got), Some(range)) if range.contains(&got) => Ok(()),
            (Some(got), Some(range)) => Err(StateError::ClipNorm {
                got,
                least: *range.start(),
                most: *range.end(),
            }),
        }
    }

    fn check_moments(&self, study: &Study, wanted: Wanted) -> Result<(), StateError> {
        let cohort = &study.manifest().cohort;
        let want = match wanted {
            Wanted::None => 0,
            Wanted::All | Wanted::AllOrNone => cohort.features().count(),
        };
        let got = self.normalisation.len();
        if got != want {
            return Err(StateError::Moments { got, want });
        }
        for (feature, Moments { mean, sd }) in cohort.features().zip(&self.normalisation) {
            within(feature, "mean", *mean, feature.shared_means())?;
            within(
                feature,
                "standard deviation",
                *sd,
                feature.shared_deviations(),
            )?;
        }
        Ok(())
    }

    fn check_centres(&self, study: &Study, purpose: Option<Purpose>) -> Result<(), StateError> {
        let got = self.centres.len();
        let Some(clustering) = &study.manifest().clustering else {
            return if got == 0 {
                Ok(())
            } else {
                Err(StateError::NoClustering(got))
            };
        };
        let (length, most) = (
            clustering.centre_length().get(),
            clustering.most_centres(purpose),
        );
        if !got.is_multiple_of(length) || got / length > most {
            return Err(StateError::Centres { got, length, most });
        }
        let norm = |centre: &[f32]| {
            let squares = centre.iter().map(|value| f64::from(*value).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let norms = self.centres.chunks_exact(length).map(norm);
        let is_out = |norm: f64| norm.is_nan() || norm > BALL;
        match norms.enumerate().find(|(_, norm)| is_out(*norm)) {
            Some((centre, norm)) => Err(StateError::Centre { centre, norm }),
            None => Ok(()),
        }
    }
}

/// What a state is to have.
#[derive(Clone, Copy)]
struct Wants {
    moments: Wanted,
    /// What goes from round to round: control variate and clip norm.
    rounds: Wanted,
    /// That of the round; `None` behind the last one.
    purpose: Option<Purpose>,
}

/// Whether a part of a state is to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    None,
    All,
    AllOrNone,
}

/// Centres are of `f32`, whose rounding can lead this far out of the ball.
const BALL: f64 = 1.0 + 1e-6;

/// The first value that is not a number, or is beyond `most` either way.
fn beyond(values: &[f32], most: f32) -> Option<(usize, f32)> {
    let each = || values.iter().copied();
    // A loop without an end in the middle has vectors; it is nearly always enough.
    if each().fold(true, |all, value| all & (value.abs() <= most)) {
        return None;
    }
    each()
        .enumerate()
        .find(|(_, value)| value.is_nan() || value.abs() > most)
}

fn within(
    feature: &Feature,
    what: &'static str,
    got: f64,
    range: RangeInclusive<f64>,
) -> Result<(), StateError> {
    if range.contains(&got) {
        return Ok(());
    }
    Err(StateError::Moment {
        feature: feature.code.clone(),
        what,
        got,
        least: *range.start(),
        most: *range.end(),
    })
}

/// Why bytes are no state that the study can have. The aggregator is at fault, or the state is of another study.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The bytes are no state.
    #[error("the state cannot be read: {0}")]
    Decode(#[from] DecodeError),
    /// A number of weights that is not the study's.
    #[error("the state has {got} weights and the study {want}")]
    Weights {
        /// Weights of the state.
        got: usize,
        /// The study's parameters.
        want: usize,
    },
    /// A weight that no training gets to.
    #[error("weight {place} of the state is {value}, not finite or beyond ±{most}")]
    Weight {
        /// Its place.
        place: usize,
        /// What it is.
        value: f32,
        /// What it may be, either way.
        most: f32,
    },
    /// A control variate of another length.
    #[error("the state's control variate has {got} values and the study's has {want}")]
    Control {
        /// Its values.
        got: usize,
        /// The study's parameters; 0 where it has no control variates.
        want: usize,
    },
    /// A value of the control variate that no training gets to.
    #[error(
        "value {place} of the state's control variate is {value}, not finite or beyond ±{most}"
    )]
    ControlValue {
        /// Its place.
        place: usize,
        /// What it is.
        value: f32,
        /// What it may be, either way.
        most: f32,
    },
    /// There is no clip norm, and the study adapts it.
    #[error("the state has no clip norm, and the study adapts it from round to round")]
    NoClipNorm,
    /// There is a clip norm, and the study keeps its own.
    #[error("the state has a clip norm of {0}, and the study keeps its own")]
    UnwantedClipNorm(f64),
    /// A clip norm that the study's rounds cannot get to.
    #[error(
        "the state's clip norm is {got}, and the study's rounds can move it from {least} to {most}"
    )]
    ClipNorm {
        /// What it is.
        got: f64,
        /// The least that it can be.
        least: f64,
        /// The most that it can be.
        most: f64,
    },
    /// Moments of another number of features.
    #[error("the state has moments of {got} features, and wanted are {want}")]
    Moments {
        /// Pairs of moments.
        got: usize,
        /// The study's features; 0 where there are no moments yet, or never.
        want: usize,
    },
    /// A mean or a standard deviation that the feature cannot have.
    #[error("the {what} of {feature} is {got} in the state, and can be from {least} to {most}")]
    Moment {
        /// The feature's code.
        feature: String,
        /// Which of the two.
        what: &'static str,
        /// What it is.
        got: f64,
        /// The least that it can be.
        least: f64,
        /// The most that it can be.
        most: f64,
    },
    /// There are centres, and the study looks for no clusters.
    #[error("the state has {0} numbers of centres, and the study looks for no clusters")]
    NoClustering(usize),
    /// Centres that are no whole ones, or too many.
    #[error(
        "the state has {got} numbers of centres, and wanted are at most {most} centres of {length}"
    )]
    Centres {
        /// Numbers of all centres.
        got: usize,
        /// Numbers of one.
        length: usize,
        /// The most centres.
        most: usize,
    },
    /// A centre outside the ball.
    #[error("centre {centre} of the state has a norm of {norm}, and all lie in a ball of radius 1")]
    Centre {
        /// Its place.
        centre: usize,
        /// Its L2 norm, in radii.
        norm: f64,
    },
}
