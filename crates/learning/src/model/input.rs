//! Where each modality lies in the slots, and how it is cut into tokens.

use protocol::study::{Cohort, Modality, Shape, Span};

use super::ModelError;

/// A modality's place in the slots: `bins · features` of them from `offset` on.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) name: String,
    /// The first of its slots.
    pub(super) offset: usize,
    pub(super) bins: usize,
    pub(super) features: usize,
    pub(super) kind: Kind,
}

/// Whether a modality is followed over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One bin, which is one token.
    Static,
    /// Tokens of equally many bins each.
    Series { tokens: usize },
}

impl Input {
    /// Of each modality, in order.
    pub(super) fn of(cohort: &Cohort) -> Result<Vec<Self>, ModelError> {
        let mut offset = 0_usize;
        let mut inputs = Vec::new();
        for modality in &cohort.modalities {
            let input = Self::of_modality(modality, cohort.history, offset)?;
            let slots = input
                .bins
                .checked_mul(input.features)
                .ok_or(ModelError::TooLarge)?;
            offset = offset.checked_add(slots).ok_or(ModelError::TooLarge)?;
            inputs.push(input);
        }
        if offset > ModelError::MOST_WEIGHTS {
            Err(ModelError::TooLarge)
        } else {
            Ok(inputs)
        }
    }

    /// Slots of all modalities.
    pub(super) fn slots(inputs: &[Self]) -> usize {
        inputs.iter().map(|input| input.bins * input.features).sum()
    }

    pub(super) fn tokens(&self) -> usize {
        match self.kind {
            Kind::Static => 1,
            Kind::Series { tokens } => tokens,
        }
    }

    /// Slots that make one token: whole bins, the oldest first.
    pub(super) fn slots_per_token(&self) -> usize {
        self.bins / self.tokens() * self.features
    }

    fn of_modality(modality: &Modality, history: Span, offset: usize) -> Result<Self, ModelError> {
        let setting = |what: &str, got: u32, want| {
            Err(ModelError::Setting {
                what: format!("{what} of {}", modality.name),
                got,
                want,
            })
        };
        if modality.features.is_empty() {
            return setting("the number of features", 0, "at least 1");
        }
        let (bins, kind) = match modality.shape {
            Shape::Static => (1, Kind::Static),
            Shape::Series {
                bin,
                bins_per_token,
            } => {
                let Some(bins) = history.parts(bin).filter(|bins| *bins > 0) else {
                    return setting(
                        "hours of a bin",
                        bin.in_hours(),
                        "a divisor of the history's",
                    );
                };
                if bins_per_token == 0 || !bins.is_multiple_of(bins_per_token) {
                    return setting(
                        "bins-per-token",
                        bins_per_token,
                        "a divisor of the number of bins",
                    );
                }
                (
                    bins,
                    Kind::Series {
                        tokens: size(bins / bins_per_token),
                    },
                )
            }
        };
        Ok(Self {
            name: modality.name.clone(),
            offset,
            bins: size(bins),
            features: modality.features.len(),
            kind,
        })
    }
}

/// A size of the study as a size in memory.
pub(super) fn size(value: u32) -> usize {
    usize::try_from(value).expect("memory has at least 32-bit addresses")
}
