//! What a part of a study may release.

use std::num::NonZeroU32;

use privacy::Mu;
use privacy::allocation::{self, Share};

use crate::id::Purpose;
use crate::study::accounting::promise;
use crate::study::{Manifest, StudyError};

/// What the whole study may release; `None` where ε is infinite.
#[derive(Clone, Copy)]
pub(super) struct Budget(pub(super) Option<Mu>);

impl Budget {
    pub(super) fn of(manifest: &Manifest) -> Result<Self, StudyError> {
        let Some(promise) = promise(manifest)? else {
            return Ok(Self(None));
        };
        let left = promise.for_continuous_noise();
        Ok(Self(Some(Mu::calibrate(left.epsilon, left.delta))))
    }

    /// A share of it.
    pub(super) fn share(self, share: f64) -> Result<Self, StudyError> {
        let Some(total) = self.0 else { return Ok(self) };
        let share =
            Share::try_from(share).map_err(|error| StudyError::setting("privacy", &error))?;
        Ok(Self(Some(allocation::share(total, share))))
    }

    /// What each of the planned rounds with this purpose may cost.
    pub(super) fn per_round(self, manifest: &Manifest, purpose: Purpose) -> Self {
        self.per_step(manifest.planned(purpose))
    }

    /// What each of `steps` equal releases may cost.
    pub(super) fn per_step(self, steps: u32) -> Self {
        let steps = NonZeroU32::new(steps).unwrap_or(NonZeroU32::MIN);
        Self(self.0.map(|total| allocation::per_step(total, steps)))
    }
}
