//! A section before its noise, and with it.

use std::num::NonZeroU16;

use privacy::{Mu, allocation, rounding};

use super::budget::Budget;
use super::{Section, SectionName};
use crate::study::{Manifest, StudyError};

/// A section before its noise.
#[derive(Clone, Copy)]
pub(super) struct Plain {
    pub(super) name: SectionName,
    pub(super) length: usize,
    /// Entries that one patient can change.
    pub(super) touched: usize,
    pub(super) grid: f64,
    /// L2, without rounding.
    pub(super) sensitivity: f64,
    /// The most that the sum over a site's patients can be, in real values.
    pub(super) most: f64,
    pub(super) kind: Kind,
}

/// What the entries of a section are.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Whole numbers of labels: multiples of the grid, which rounding leaves as they are.
    Counts,
    /// Sums of floating-point numbers, rounded to the grid at random.
    Reals,
}

/// What one patient changes is at most this many times the clip norm, since floating-point sums depend on all that is summed.
///
/// A patient's own part is at most the clip norm, rounding included (`learning::model`), so a sum moves by that and by the
/// errors of both sums. Those are sums in blocks ([`privacy::BlockedSum`]): with u = 2⁻⁵³ and blocks of 2¹³ patients, of n
/// patients each is off by at most (2¹³ + n/2¹³) · u · n clip norms. For n = 2²⁷, more than there are values that a site can
/// prepare (`cohort`), that is 0.75 · 2⁻¹¹, and for both 0.75 · 2⁻¹⁰. Labels of one patient that cancel each other are added
/// 32 at a time, and each is at most 64 clip norms long: 2⁻¹⁵ for n = 2²⁷. Together below 2⁻¹⁰.
const FLOAT_MARGIN: f64 = 1.0 + 1.0 / 1_024.0;

impl Plain {
    /// With noise of which the sites that are promised to survive have enough together.
    pub(super) fn noised(self, manifest: &Manifest, budget: Budget) -> Result<Section, StudyError> {
        self.noised_among(manifest.privacy.honest_survivors, budget)
    }

    /// With noise of which `sites` have enough together.
    pub(super) fn noised_among(
        self,
        sites: u16,
        Budget(mu): Budget,
    ) -> Result<Section, StudyError> {
        let refused = |problem: String| StudyError::Noise {
            section: self.name.name(),
            problem,
        };
        let sensitivity = match self.kind {
            Kind::Counts => self.sensitivity,
            Kind::Reals => rounding::rounded_sensitivity(
                self.sensitivity * FLOAT_MARGIN,
                self.grid,
                self.touched,
            ),
        };
        let honest = NonZeroU16::new(sites)
            .ok_or_else(|| refused("no site is promised to survive".to_owned()))?;
        let variance = mu
            .map(|mu| allocation::site_variance(sensitivity, mu, self.grid, honest))
            .transpose()
            .map_err(|error| refused(error.to_string()))?;
        Ok(Section {
            bound: self.bound() + variance.map_or(0, tail),
            sensitivity,
            variance,
            mu,
            ..self.unnoised(None)
        })
    }

    /// Without noise, since what it holds has its own or is none of a patient's; `mu` is what it costs.
    pub(super) fn unnoised(self, mu: Option<Mu>) -> Section {
        Section {
            name: self.name,
            length: self.length,
            grid: self.grid,
            sensitivity: self.sensitivity,
            variance: None,
            parts: Vec::new(),
            bound: self.bound(),
            mu,
        }
    }

    fn bound(&self) -> u64 {
        steps(self.most / self.grid) + 1
    }
}

/// The least whole number of steps at or above `value`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and is then refused"
)]
fn steps(value: f64) -> u64 {
    // Half of the range, so that adding the noise's tail cannot wrap.
    (value.ceil() as u64).min(u64::MAX / 4)
}

/// Where noise of this variance ends, in steps: [`TAIL`] standard deviations, beyond which it is with a probability below
/// 2^-100 (CKS20, proposition 25).
pub(in crate::study) fn tail(variance: u128) -> u64 {
    u64::try_from(variance.isqrt() + 1)
        .unwrap_or(u64::MAX / 64)
        .min(u64::MAX / 64)
        * TAIL
}

/// Standard deviations of noise that an entry has room for; what it costs that there are no more is in what a round costs
/// ([`privacy::Discreteness::cut_at`]).
pub(in crate::study) const TAIL: u64 = 12;
