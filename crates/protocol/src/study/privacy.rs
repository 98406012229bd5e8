//! Aggregation and privacy settings of a study.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::Graph;
use crate::id::{AgreementKey, IdentityKey};
use crate::lottery::Lot;

/// A site that takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Member {
    /// The site's name, unique in the study.
    pub name: String,
    /// The key that the site signs with.
    pub key: IdentityKey,
    /// The site's part in the lottery of who takes part; all members have one, or none. A study that draws the sites of a
    /// round needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lot: Option<Lot>,
}

/// The `[aggregation]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Aggregation {
    /// The aggregator's key, to which masked inputs are sealed.
    pub key: AgreementKey,
    /// Sites that must agree before masks are opened: above half of the roster.
    pub threshold: u16,
    /// Who shares masks with whom in rounds of more than 32 sites; without it, all with all. How many neighbours are enough
    /// takes a search, which `host compose` makes; here it is only checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph: Option<Graph>,
    /// The most patients that one site is expected to bring. A site with more takes part like any other: its sums are set
    /// to the end of their range where they pass it.
    pub patients_per_site: u32,
    /// Bits after the binary point of a value whose clip norm is 1.
    pub fraction_bits: u8,
}

/// The `[privacy]` table; the unit is the patient (add or remove one patient at one site).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Privacy {
    /// ε of all that the study releases together; `inf` says in words that nothing is noised.
    pub epsilon: f64,
    /// δ, below one in the number of patients.
    pub delta: f64,
    /// L2 norm to which each patient's gradient is clipped: one of [`Privacy::CLIP_NORMS`].
    pub clip_norm: f64,
    /// Standard deviation of a training step's noise over the clip norm, where patients are sampled and ε is finite: how
    /// much is enough takes a search, which `host compose` makes; here it is only checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise_multiplier: Option<f64>,
    /// How the clip norm follows the gradients; without it, it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptive_clip: Option<AdaptiveClip>,
    /// Sites that are promised to survive each round honestly: each site adds the noise that makes these enough.
    pub honest_survivors: u16,
    /// What happens to the noise that a sum does not need, since more sites survived than the threshold.
    #[serde(default, skip_serializing_if = "ExcessNoise::is_default")]
    pub excess_noise: ExcessNoise,
    /// Share of the budget for a first round of moments; 0 where normalisation is by reference.
    #[serde(default)]
    pub moments_share: f64,
    /// Share of the budget for evaluations on held-out patients.
    pub metrics_share: f64,
    /// Share of each training step's budget for the number of patients.
    pub weight_share: f64,
}

impl Privacy {
    /// The clip norms that a study can have: beyond, the range of the sum or the precision of a gradient would be lost.
    pub const CLIP_NORMS: RangeInclusive<f64> = 1e-6..=1e6;
}

/// What happens to noise that the promise does not need.
///
/// Where nothing is noised, or each site's steps carry all of the noise, there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExcessNoise {
    /// It is taken off the sum.
    #[default]
    Removed,
    /// It stays.
    Kept,
}

impl ExcessNoise {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A clip norm that follows a quantile of the gradients' norms (Andrew et al. 2021, [algorithm 1]).
///
/// [algorithm 1]: https://arxiv.org/abs/1905.03871
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AdaptiveClip {
    /// The share of patients whose gradients are to be shorter than the clip norm, between 0 and 1.
    pub quantile: f64,
    /// How fast the norm moves, above 0: it is multiplied by `exp(−rate · (share of shorter gradients − quantile))`.
    pub rate: f64,
    /// Share of each training step's budget for the number of shorter gradients.
    pub share: f64,
}
