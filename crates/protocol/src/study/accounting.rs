//! What a study of sampled patients costs as a whole, which no formula gives.
//!
//! Where all patients are in every step, each section's part of the budget follows from shares. Where they are sampled,
//! the sections over all patients take their shares as well, and the noise of the steps is what fills the rest: stated
//! in the file, since it takes a search, and checked here.

use std::num::NonZeroU32;

use privacy::{Budget, Delta, Epsilon, Loss, Mu, NoiseMultiplier, Planned, Total};

use super::layout::{DISCRETENESS, Layout, Sample};
use super::{Algorithm, Manifest, StudyError};
use crate::id::Purpose;

/// Refuses a study of sampled patients whose noise does not keep its ε.
pub(super) fn check(manifest: &Manifest) -> Result<(), StudyError> {
    let Some(sample) = Sample::of(manifest)? else {
        return match manifest.privacy.noise_multiplier {
            None => Ok(()),
            Some(_) => Err(StudyError::setting(
                NOISE_MULTIPLIER,
                &"is only of studies with sampled patients and a finite epsilon",
            )),
        };
    };
    let kind = privacy::Sampled {
        noise_multiplier: sample.noise_multiplier,
        rate: sample.rate,
    };
    let total = Total::of([Loss::Gaussian(whole(manifest)?)])
        .and_sampled(kind, steps(manifest).get().into());
    let (epsilon, delta) = promise(manifest)?;
    if (Budget { epsilon, delta }).covers(&total) {
        Ok(())
    } else {
        let problem = format!(
            "{} makes an epsilon of {:.4}, and the study promises {}; remove it and let `host compose` find it",
            sample.noise_multiplier.get(),
            total.epsilon(delta),
            manifest.privacy.epsilon
        );
        Err(StudyError::setting(NOISE_MULTIPLIER, &problem))
    }
}

impl Manifest {
    /// The least noise multiplier that keeps the study's ε, where its patients are sampled and it states none; `None`
    /// where it needs none.
    ///
    /// # Errors
    ///
    /// Settings of which no layout can be made, and an ε that the rest of the study has spent.
    pub fn needed_noise_multiplier(&self) -> Result<Option<NoiseMultiplier>, StudyError> {
        let mut manifest = self.clone();
        // What is over all patients does not depend on it.
        manifest.privacy.noise_multiplier = Some(PROVISIONAL);
        let Some(sample) = Sample::of(&manifest)? else {
            return Ok(None);
        };
        if self.privacy.noise_multiplier.is_some() {
            return Ok(None);
        }
        let planned = Planned {
            steps: steps(&manifest),
            rate: sample.rate,
            rest: whole(&manifest)?,
        };
        let (epsilon, delta) = promise(&manifest)?;
        planned
            .noise_multiplier(epsilon, delta)
            .map(Some)
            .map_err(|error| StudyError::setting(NOISE_MULTIPLIER, &error))
    }
}

/// What all sections over all patients cost together.
fn whole(manifest: &Manifest) -> Result<Mu, StudyError> {
    let mut parts = Vec::new();
    for purpose in Purpose::ALL {
        let rounds = usize::try_from(manifest.planned(purpose)).unwrap_or(usize::MAX);
        let part = match Layout::of(manifest, purpose)?.loss {
            Loss::Gaussian(mu) | Loss::Sampled { gaussian: mu, .. } => mu,
            Loss::Unprotected => Mu::ZERO,
        };
        parts.push(Mu::compose(std::iter::repeat_n(part, rounds)));
    }
    Ok(Mu::compose(parts))
}

/// Sampled steps of the whole study.
fn steps(manifest: &Manifest) -> NonZeroU32 {
    let of_round = match &manifest.training.algorithm {
        Algorithm::Gradient { .. } => 1,
        Algorithm::Averaging(averaging) => averaging.steps,
    };
    let steps = manifest.planned(Purpose::Train).saturating_mul(of_round);
    NonZeroU32::new(steps).unwrap_or(NonZeroU32::MIN)
}

/// The study's ε and δ, less what is kept back for discrete noise.
pub(super) fn promise(manifest: &Manifest) -> Result<(Epsilon, Delta), StudyError> {
    let privacy = &manifest.privacy;
    let epsilon = Epsilon::try_from(privacy.epsilon * (1.0 - DISCRETENESS))
        .map_err(|error| StudyError::setting("privacy.epsilon", &error))?;
    let delta = Delta::try_from(privacy.delta)
        .map_err(|error| StudyError::setting("privacy.delta", &error))?;
    Ok((epsilon, delta))
}

/// The name of the setting.
pub(super) const NOISE_MULTIPLIER: &str = "privacy.noise-multiplier";

/// Small, so that its noise fits any modulus that the real one fits.
const PROVISIONAL: f64 = 1.0;
