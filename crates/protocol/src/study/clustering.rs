//! Phenotypes: clusters of the patients' embeddings by the trained model, found after training.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use crate::id::Purpose;

/// The `[clustering]` table: federated k-means on what the model makes of patients before its last layer.
///
/// ```text
/// seed:    nobody ─▶ mean ─▶ 2 centres ─▶ 4 ─▶ … ─▶ at least thrice as many as wanted  one round each
///          these, with their noised counts, ──k-means++ at the aggregator──▶ the wanted number
/// cluster: nearest centre of each patient ─▶ noised counts and sums ─▶ centres         one round each
/// ```
///
/// Splitting every centre by a hyperplane and going on from the means of the halves is [LBG80]; that more centres than
/// wanted are found, and reduced by their weights, is k-means|| ([BMV+12], steps 7 and 8), with `k-means++` ([AV07]) for
/// the reduction. Hyperplanes are public and at random, as in the trees of [CK21]: so one patient is in one half of one
/// cluster, whatever the number of clusters, and the noise does not grow with it.
///
/// [LBG80]: https://doi.org/10.1109/TCOM.1980.1094577
/// [BMV+12]: https://arxiv.org/abs/1203.6402
/// [AV07]: https://dl.acm.org/doi/10.5555/1283383.1283494
/// [CK21]: https://research.google/blog/practical-differentially-private-clustering/
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Clustering {
    /// Clusters wanted, from 2 to 64; with much noise fewer may be found.
    pub clusters: u32,
    /// Rounds of Lloyd's iteration after the first centres are found.
    pub rounds: u32,
    /// Length of what is clustered, at most the model's own: longer embeddings are projected by a random matrix that
    /// follows from the study (Achlioptas 2003). Noise grows with its root.
    pub dimensions: u32,
    /// L2 norm to which a patient's embedding is clipped, after it is projected.
    pub radius: f64,
    /// Share of the budget for all of these rounds.
    pub share: f64,
}

impl Clustering {
    /// Most clusters of a study.
    pub const MOST_CLUSTERS: u32 = 64;

    /// Numbers of a centre: the dimensions.
    ///
    /// # Panics
    ///
    /// Never of a parsed study: one of no dimensions is refused.
    #[must_use]
    pub fn centre_length(&self) -> NonZeroUsize {
        let stated = usize::try_from(self.dimensions).ok();
        stated
            .and_then(NonZeroUsize::new)
            .expect("a study of no dimensions is refused")
    }

    /// Rounds in which the first centres are found: one for the mean, then one for each doubling.
    #[must_use]
    pub fn seed_rounds(&self) -> u32 {
        1 + self.most_candidates().ilog2()
    }

    /// The most centres that seeding leads to, a power of two that is at least three times the number of clusters.
    ///
    /// Fewer leave little to choose from: a cluster that the cuts happened to miss is then lost.
    #[must_use]
    pub fn most_candidates(&self) -> u32 {
        (3 * self.clusters).next_power_of_two()
    }

    /// The most centres that a round with this purpose starts from, or that the study ends with: those that are to be cut in
    /// two, or as many as are wanted; none before they are looked for.
    #[must_use]
    pub fn most_centres(&self, purpose: Option<Purpose>) -> usize {
        let most = match purpose {
            Some(Purpose::Seed) => self.most_candidates() / 2,
            Some(Purpose::Cluster) | None => self.clusters,
            Some(Purpose::Moments | Purpose::Train | Purpose::Evaluate | Purpose::Tune) => 0,
        };
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    /// The share of a round's budget that goes to counts of patients, the rest going to sums of embeddings.
    ///
    /// The error of a centre is that of its sum over its count. With noise of `σ/√share` on a count and of
    /// `σ/√(1 − share)` on each of d numbers, and a centre at the border of the ball, its square is as
    /// `1/share + d/(1 − share)`: least here. [SCL+16] split the budget of Laplace noise by the same reasoning.
    ///
    /// [SCL+16]: https://arxiv.org/abs/1504.05998
    pub(super) fn count_share(&self) -> f64 {
        1.0 / (1.0 + f64::from(self.dimensions).sqrt())
    }
}
