//! What a round of a study costs, and all of them together.
//!
//! There is one function of what a round costs, [`Study::cost`]: the study is checked by it, and ledgers charge it.
//!
//! Where all patients are in every step, each section's part of the budget follows from shares. Where they are sampled,
//! the sections over all patients take their shares as well, and the noise of the steps is what fills the rest: stated
//! in the file, since it takes a search, and checked here.

use std::num::NonZeroU32;

use privacy::{Budget, Cost, Delta, Epsilon, Loss, Mu, NoiseMultiplier, Planned, Total};

use super::layout::{Layout, Noise, Sample};
use super::{Algorithm, Manifest, Study, StudyError};
use crate::id::Purpose;

impl Study {
    /// What one round with this purpose costs a patient: what the study's own check, a hospital's ledger and its patient
    /// budget add up. Nothing for a purpose that no round of the plan has.
    ///
    /// # Panics
    ///
    /// Never: a study whose costs cannot be computed is refused when it is parsed.
    #[must_use]
    pub fn cost(&self, purpose: Purpose) -> Cost {
        cost(&self.manifest, purpose).expect("every cost was computed when the study was parsed")
    }

    /// What all rounds of the plan cost together.
    #[must_use]
    pub fn planned_cost(&self) -> Total {
        let of = |purpose| Total::of([self.cost(purpose)]).times(self.manifest.planned(purpose));
        Purpose::ALL
            .map(of)
            .into_iter()
            .fold(Total::ZERO, Total::and_total)
    }

    /// What the study promises a patient for all that it releases; `None` where its ε is infinite.
    ///
    /// # Panics
    ///
    /// Never: a study with another ε or δ is refused when it is parsed.
    #[must_use]
    pub fn promise(&self) -> Option<Budget> {
        promise(&self.manifest).expect("both were checked when the study was parsed")
    }
}

/// Refuses a study whose planned rounds cost more than it promises.
pub(super) fn check(manifest: &Manifest) -> Result<(), StudyError> {
    let sample = Sample::of(manifest)?;
    if sample.is_none() && manifest.privacy.noise_multiplier.is_some() {
        return Err(StudyError::setting(
            NOISE_MULTIPLIER,
            &"is only of studies with sampled patients and a finite epsilon",
        ));
    }
    let total = planned(manifest)?;
    let Some(promise) = promise(manifest)? else {
        return Ok(());
    };
    if let Some(excess) = promise.raise_beyond(total.discreteness()) {
        return Err(StudyError::Coarse { excess });
    }
    if promise.covers(&total) {
        return Ok(());
    }
    let (would, promised) = (total.epsilon(promise.delta), promise.epsilon.get());
    let Some(sample) = sample else {
        return Err(StudyError::Dear { would, promised });
    };
    let problem = format!(
        "{} makes an epsilon of {would:.4}, and the study promises {promised}; remove it and let `host compose` find it",
        sample.noise_multiplier.get(),
    );
    Err(StudyError::setting(NOISE_MULTIPLIER, &problem))
}

/// [`Study::cost`].
fn cost(manifest: &Manifest, purpose: Purpose) -> Result<Cost, StudyError> {
    let layout = Layout::of(manifest, purpose)?;
    let noise = Noise {
        sites: manifest.privacy.honest_survivors,
        all: manifest.crowd(purpose).sites,
        lack: 1.0,
    };
    Ok(Cost {
        loss: layout.loss,
        discreteness: layout.discreteness(noise),
    })
}

/// [`Study::planned_cost`].
fn planned(manifest: &Manifest) -> Result<Total, StudyError> {
    let mut total = Total::ZERO;
    for purpose in Purpose::ALL {
        let rounds = manifest.planned(purpose);
        // Layouts of all purposes are made here once, so that none is missing later.
        let one = Total::of([cost(manifest, purpose)?]);
        total = total.and_total(one.times(rounds));
    }
    Ok(total)
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
        let Some(promise) = promise(&manifest)? else {
            return Ok(None);
        };
        let left = promise.for_continuous_noise();
        planned
            .noise_multiplier(left.epsilon, left.delta)
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

/// [`Study::promise`].
pub(super) fn promise(manifest: &Manifest) -> Result<Option<Budget>, StudyError> {
    let privacy = &manifest.privacy;
    if privacy.epsilon.is_infinite() {
        return Ok(None);
    }
    let epsilon = Epsilon::try_from(privacy.epsilon)
        .map_err(|error| StudyError::setting("privacy.epsilon", &error))?;
    let delta = Delta::try_from(privacy.delta)
        .map_err(|error| StudyError::setting("privacy.delta", &error))?;
    Ok(Some(Budget { epsilon, delta }))
}

/// The name of the setting.
pub(super) const NOISE_MULTIPLIER: &str = "privacy.noise-multiplier";

/// Small, so that its noise fits any modulus that the real one fits.
const PROVISIONAL: f64 = 1.0;
