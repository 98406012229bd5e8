//! What a release costs: what it tells of a patient with continuous noise, and how far its noise is from that.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::directed::{down, up};
use crate::discreteness::Discreteness;
use crate::{Delta, Epsilon, Mu, NoiseMultiplier, Rate, Total};

/// What a release costs a patient: all that studies, ledgers and patient budgets add up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// What it can tell of one patient, were its noise continuous.
    pub loss: Loss,
    /// How far its noise is from that.
    pub discreteness: Discreteness,
}

impl Cost {
    /// Of a release with continuous noise, or with none.
    #[must_use]
    pub const fn continuous(loss: Loss) -> Self {
        Self {
            loss,
            discreteness: Discreteness::NONE,
        }
    }

    /// What a line of a ledger says of it: the second part is left out where there is nothing to say.
    #[must_use]
    pub fn parts(self) -> (Loss, Option<Discreteness>) {
        let discreteness = Some(self.discreteness).filter(|of| !of.is_none());
        (self.loss, discreteness)
    }

    /// What a line of a ledger says.
    ///
    /// # Errors
    ///
    /// [`UnknownDiscreteness`] where noise was added and the second part is missing.
    pub fn of_parts(
        loss: Loss,
        discreteness: Option<Discreteness>,
    ) -> Result<Self, UnknownDiscreteness> {
        match discreteness {
            Some(discreteness) => Ok(Self { loss, discreteness }),
            None if loss.is_noised() => Err(UnknownDiscreteness),
            None => Ok(Self::continuous(loss)),
        }
    }

    /// The least ε proved for this release alone at this δ, rounded up; infinite without noise.
    #[must_use]
    pub fn epsilon(self, delta: Delta) -> f64 {
        Total::of([self]).epsilon(delta)
    }

    /// The least δ proved for this release alone at this ε, rounded up; 1 without noise.
    #[must_use]
    pub fn delta(self, epsilon: Epsilon) -> f64 {
        Total::of([self]).delta(epsilon)
    }
}

/// A line of a ledger says what noise was added, and not how far it is from continuous noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the release has noise and no `discreteness`: an older version wrote it, which did not count what discrete noise costs; \
     compute it again from the study's file (`Study::cost`)"
)]
pub struct UnknownDiscreteness;

/// What a release can tell of one patient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Loss {
    /// Gaussian noise was added.
    Gaussian(Mu),
    /// Gaussian noise was added to a sum over a sample of the patients, and the same vector may have
    /// sections over all of them.
    Sampled {
        /// The noise of the sampled sections together, for a sensitivity of 1: they share a sample,
        /// so their losses count as one Gaussian of the root of the sum of squares.
        noise_multiplier: NoiseMultiplier,
        /// The probability with which each patient is in the sample.
        rate: Rate,
        /// How many such sums with samples of their own the release follows from: 1, which is left
        /// out, but for a site's own steps.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        steps: NonZeroU32,
        /// What the sections over all patients can tell; 0, and left out, where there are none.
        #[serde(default = "no_loss", skip_serializing_if = "Mu::is_zero")]
        gaussian: Mu,
    },
    /// No noise was added: nothing is proved, ε is infinite.
    Unprotected,
}

impl Loss {
    /// The loss where the noise has only one part in `factor`, at least 1, of the variance; rounded up. Unprotected where it
    /// overflows.
    #[must_use]
    pub fn weaker(self, factor: f64) -> Self {
        let root = up(factor.sqrt());
        let more = |mu: Mu| Mu::try_from(up(mu.get() * root)).ok();
        let weaker = match self {
            Self::Gaussian(mu) => more(mu).map(Self::Gaussian),
            Self::Sampled {
                noise_multiplier,
                rate,
                steps,
                gaussian,
            } => more(gaussian)
                .zip(NoiseMultiplier::try_from(down(noise_multiplier.get() / root)).ok())
                .map(|(gaussian, noise_multiplier)| Self::Sampled {
                    noise_multiplier,
                    rate,
                    steps,
                    gaussian,
                }),
            Self::Unprotected => None,
        };
        weaker.unwrap_or(Self::Unprotected)
    }

    /// Whether noise was added to something of a patient.
    fn is_noised(self) -> bool {
        match self {
            Self::Gaussian(mu) => !mu.is_zero(),
            Self::Sampled { .. } => true,
            Self::Unprotected => false,
        }
    }
}

const fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands a reference over"
)]
fn is_one(steps: &NonZeroU32) -> bool {
    *steps == NonZeroU32::MIN
}

const fn no_loss() -> Mu {
    Mu::ZERO
}
