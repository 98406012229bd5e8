//! The states that rounds start from, true and false.

use protocol::codec;
use protocol::door::{Moments, State};
use protocol::id::{Digest, Purpose};
use protocol::study::{Normalisation, Study};

/// What is said to be the state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stated {
    /// One that no round started from before, and that an honest round could have led to.
    Fresh,
    /// That of the round before.
    Same,
    /// That of the script's first round.
    First,
    /// With this clip norm.
    ClipNorm(f64),
    /// With this mean and standard deviation of the last feature, where the study shares them.
    LastFeature {
        /// In the feature's unit.
        mean: f64,
        /// In the feature's unit.
        sd: f64,
    },
    /// With this first weight.
    Weight(f32),
    /// With this first number of the first centre.
    Centre(f32),
    /// With so many weights more than the study has; fewer, where it is negative.
    Longer(i8),
    /// Bytes that are no state.
    Garbage,
    /// Other bytes than those whose digest the header names.
    OtherBytes,
}

/// The state of a round as the header names it, and what is given for it.
pub(crate) struct Served {
    /// What the header says.
    pub(crate) digest: Digest,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Stated {
    /// Whether no site may compute anything from it, whatever the study.
    pub(crate) fn is_none_of_the_studys(self, study: &Study) -> bool {
        match self {
            Self::Fresh | Self::Same | Self::First => false,
            Self::Weight(weight) => !weight.is_finite(),
            Self::ClipNorm(norm) => {
                study.manifest().privacy.adaptive_clip.is_none() || !PLAUSIBLE.contains(&norm)
            }
            Self::LastFeature { .. }
            | Self::Centre(_)
            | Self::Longer(_)
            | Self::Garbage
            | Self::OtherBytes => true,
        }
    }

    /// The state itself; `count` tells states of one script apart, `before` is that of the round before.
    pub(crate) fn served(
        self,
        study: &Study,
        purpose: Purpose,
        count: u16,
        before: Option<&[u8]>,
    ) -> Served {
        let mut state = sound(study, purpose, count);
        let named = |bytes: Vec<u8>| Served {
            digest: Digest::of(&bytes),
            bytes,
        };
        match self {
            Self::Fresh => {}
            Self::First => state = sound(study, purpose, 0),
            Self::Same => {
                if let Some(before) = before {
                    return named(before.to_vec());
                }
            }
            Self::ClipNorm(norm) => state.clip_norm = Some(norm),
            Self::LastFeature { mean, sd } => {
                state.normalisation.pop();
                state.normalisation.push(Moments { mean, sd });
            }
            Self::Weight(weight) => state.offset[0] = weight,
            Self::Centre(number) => {
                if state.centres.is_empty() {
                    state.centres.push(number);
                } else {
                    state.centres[0] = number;
                }
            }
            Self::Longer(more) => {
                let length = state.offset.len().saturating_add_signed(more.into());
                state.offset.resize(length, 0.0);
            }
            Self::Garbage => return named(vec![0xff; 64]),
            Self::OtherBytes => {
                return Served {
                    digest: Digest::of(b"another state"),
                    bytes: codec::encode(&state),
                };
            }
        }
        named(codec::encode(&state))
    }
}

/// Clip norms that a study could come to; beyond, each study refuses.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 1e-9..=1e9;

/// A state that an honest round could have led to.
pub(crate) fn sound(study: &Study, purpose: Purpose, count: u16) -> State {
    let manifest = study.manifest();
    let parameters = usize::try_from(manifest.model.parameters).unwrap();
    let shared = manifest.cohort.normalisation == Normalisation::Shared;
    let normalisation = if shared && purpose != Purpose::Moments {
        let reference = |feature: &protocol::study::Feature| Moments {
            mean: feature.mean,
            sd: feature.sd,
        };
        manifest.cohort.features().map(reference).collect()
    } else {
        Vec::new()
    };
    let control = if manifest.training.algorithm.has_control_variates() {
        vec![0.0; parameters]
    } else {
        Vec::new()
    };
    let dimensions = manifest
        .clustering
        .map_or(0, |clustering| clustering.dimensions);
    let centres = if purpose == Purpose::Cluster {
        vec![0.1; usize::try_from(dimensions).unwrap() * 2]
    } else {
        Vec::new()
    };
    State {
        offset: vec![f32::from(count) / 1_024.0; parameters],
        normalisation,
        control,
        clip_norm: manifest
            .privacy
            .adaptive_clip
            .map(|_| manifest.privacy.clip_norm),
        centres,
    }
}
