//! Differential privacy for Wardround: discrete noise, an accountant, and the ledger of what a site
//! released.
//!
//! ```text
//! Epsilon, Delta ──▶ Mu::calibrate ──▶ allocation::{share, per_step} ──▶ site_variance
//!                                                                            │ σ² of one site
//! values / grid ──▶ rounding::round ──▶ integers + DiscreteGaussian::sample ◀┘
//!                                              │ summed over the sites, then released
//!           Ledger::charge ◀── Release, Cost ─┘         Ledger::spent(δ) ──▶ ε
//! ```
//!
//! No I/O, no clock, no randomness of its own; floats only by IEEE operations and [`libm`], so that
//! a hospital's server and a browser compute the same bits. The sampler has no floats at all.
//!
//! # What is claimed
//!
//! Two data sets are *neighbours* when one has one patient more than the other, at one site. A
//! release adds noise of standard deviation σ to a sum that neighbours change by at most Δ in L2
//! norm; its loss is μ = Δ / σ ([`Mu`], Gaussian differential privacy of Dong, Roth & Su 2019).
//! Releases compose, adaptively, to the root of the sum of squares, and the (ε, δ) of μ is exact
//! for continuous Gaussian noise (Balle & Wang 2018, theorem 8). An ε or a δ is rounded up, a
//! calibrated μ down, a variance up.
//!
//! A release can also be of a *Poisson sample*: every patient is in it by a coin of their own, which
//! nobody sees. Such releases have no single μ. [`Total`] counts them, and everything beside them, by
//! the distributions of their privacy losses (Koskela, Jälkö & Honkela 2020, Gopi, Lee & Wutschitz
//! 2021, Doroshenko et al. 2022), for adding and for removing the patient; it is never below the truth,
//! and Rényi divergences (Mironov 2017; Mironov, Talwar & Zhang 2019) are a check of it.
//! [`Planned::noise_multiplier`] is the way back. A sample of a fixed size, or one by shuffling, is
//! none of these, and nothing here holds for it.
//!
//! # How the claim carries over to the noise that is really added
//!
//! The noise is discrete, and it is a sum over sites. Three steps lead from the curve above to it:
//!
//! 1. **Rounding to the grid.** Conditioned on the rounding's own randomness, neighbours differ by
//!    at most [`rounding::rounded_sensitivity`]; that randomness does not depend on the data, so a
//!    bound that holds for each of its values holds for the mixture.
//! 2. **A sum of t discrete Gaussians is not a discrete Gaussian.** Its probabilities are within a
//!    factor e^±τ of those of N<sub>ℤ</sub>(0, tσ²), per coordinate, where τ = 10 ·
//!    Σ<sub>k=1..t−1</sub> exp(−2π²σ² · k / (k + 1)), for a site's σ ≥ ½ in grid units (Kairouz,
//!    Liu & Steinke 2021, [arXiv 2102.06387]). Its first term leads: τ ≈ 10 · exp(−π²σ²), which is
//!    5e-4 at σ = 1, 7e-17 at σ = 2, **3e-68 at σ = 4**, and 2e-428 at σ = 10.
//!    [`allocation::site_variance`] refuses σ < 4 ([`allocation::LEAST_SITE_VARIANCE`]), so 2³⁰
//!    coordinates in 2²⁰ rounds add less than 1e-52 to ε. More survivors than promised only add
//!    independent noise. Terms may be of unequal width, as where a site's noise is cut into parts:
//!    the convolution of N<sub>ℤ</sub>(0, a) and N<sub>ℤ</sub>(0, b) is exp(−z² / 2(a + b)) times
//!    a sum over a shifted lattice of Gaussians of variance r = ab / (a + b), which by Poisson
//!    summation depends on the shift by a factor of at most 1 ± 2.01 exp(−2π²r). With a, b ≥ 16 it is
//!    r ≥ 8, so each further term costs a factor within e^±3e-68, and 4,096 sites of five parts
//!    e^±7e-64: less than 1e-47 for as many coordinates and rounds.
//! 3. **A discrete Gaussian is not a continuous one.** Its zero-concentrated privacy is the same:
//!    μ²/2-zCDP, in any dimension: none of its Rényi divergences is larger (Canonne, Kamath &
//!    Steinke 2020, theorem 4, [arXiv 2004.00010]). Its (ε, δ) curve is not. In one dimension the
//!    exact δ is their theorem 7, P\[Y > εσ²/Δ − Δ/2\] − e^ε P\[Y > εσ²/Δ + Δ/2\] with Y ~
//!    N<sub>ℤ</sub>(0, σ²), integer Δ: a polygon (over e^ε) that weaves around the continuous curve
//!    with a period of Δ/σ² in ε. With a = ε/μ − μ/2 it is above by up to about (a² + 3) / 24σ² of
//!    δ, and below by twice that: at a = 5, 1.2 % for σ = 10 and 1.2e-6 for σ = 1000 (σ of the sum,
//!    in grid units). In more dimensions no exact formula is known. **So the continuous curve alone
//!    proves nothing for discrete noise; the curve with ε and δ raised by
//!    [`Discreteness`] does**, in any dimension and under composition. The raise is some
//!    n / 8σ²: with 2²⁰ coordinates released in all and σ = 2²⁰ grid units for the sum, 1.2e-7. It
//!    is what a finer grid buys, and a reason to choose one. A [`Cost`] has it beside the loss, and
//!    [`Total`] counts both, so whoever adds up releases adds up both.
//!
//! # What is not claimed
//!
//! That a caller's clipped sum has the sensitivity it says: sums of floats depend on their order,
//! so the caller has to count that into Δ, or to round each patient's contribution before it sums.
//! That the time a sample takes is independent of its value: it is not, so who can time a site's
//! sampling learns something of its noise.
//!
//! [arXiv 2004.00010]: https://arxiv.org/abs/2004.00010
//! [arXiv 2102.06387]: https://arxiv.org/abs/2102.06387

#![forbid(unsafe_code)]

pub mod allocation;
mod calibration;
mod composition;
mod cost;
mod delta;
mod directed;
pub mod discreteness;
mod dots;
mod epsilon;
mod erfcx;
mod gaussian;
pub mod ledger;
mod renyi;
pub mod rounding;
mod sampled;
pub mod sampler;
mod spectrum;
mod step;
mod sum;
mod total;

pub use calibration::{NothingLeft, Planned};
pub use cost::{Cost, Loss, UnknownDiscreteness};
pub use delta::{Delta, InvalidDelta};
pub use discreteness::Discreteness;
pub use epsilon::{Epsilon, InvalidEpsilon};
pub use gaussian::{InvalidMu, Mu};
pub use ledger::{Budget, ChargeError, Ledger, Purpose, Release};
pub use sampled::{InvalidNoiseMultiplier, InvalidRate, NoiseMultiplier, Rate, Sampled};
pub use sampler::DiscreteGaussian;
pub use sum::BlockedSum;
pub use total::Total;
