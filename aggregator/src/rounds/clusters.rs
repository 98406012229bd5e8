//! Clusters of patients, as rounds of sums find them.
//!
//! ```text
//! Seed     sums of halves ─▶ their means, those of too few left out ─▶ to be cut again
//! (last)   means, weighted by members ──k-means++──▶ as many as the study wants
//! Cluster  sums of clusters ─▶ their means; one of too few stays where it was
//! ```
//!
//! All of it follows from noised sums, and costs nothing more.

use learning::clustering::{self, Cells, Mean, Weighted};
use minicbor::{Decode, Encode};
use protocol::id::{Digest, Purpose};
use protocol::seed::Seed;
use protocol::study::{SectionName, Study};

use super::sum::RealSum;

/// Clusters of patients; none before the first round that looks for them.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct Clusters {
    /// One after the other, in radii.
    #[n(0)]
    centres: Vec<f32>,
    /// How many patients each of them stood for when it was found, noise included; empty once they are as many as wanted.
    #[n(1)]
    weights: Vec<f64>,
}

/// A cell whose count is not above this many standard deviations of its noise can be noise alone: one in forty.
const FLOOR: f64 = 2.0;

impl Clusters {
    /// The centres that a round with this purpose, or whoever comes after the last one, starts from.
    pub(super) fn centres(&self, study: &Study, purpose: Option<Purpose>) -> Vec<f32> {
        let Some(clustering) = &study.manifest().clustering else {
            return Vec::new();
        };
        if purpose == Some(Purpose::Seed) || self.weights.is_empty() {
            return self.centres.clone();
        }
        let Digest(digest) = study.digest();
        // Public, so that everyone who has the sums comes to the same centres.
        let mut rng = Seed::new(digest).derive("clusters").rng();
        let points: Vec<Weighted> = clustering::centres(&self.centres, clustering.centre_length())
            .into_iter()
            .zip(&self.weights)
            .map(|(point, weight)| Weighted {
                point,
                weight: *weight,
            })
            .collect();
        let wanted = usize::try_from(clustering.clusters).unwrap_or(usize::MAX);
        clustering::flat(&clustering::kmeans(&points, wanted, &mut rng))
    }

    /// Takes in the sum of a round.
    pub(super) fn take_in(&mut self, study: &Study, sum: &RealSum) {
        let Some(clustering) = &study.manifest().clustering else {
            return;
        };
        let floor = (FLOOR * sum.noise(SectionName::Members)).max(1.0);
        let means = clustering::means(
            sum.section(SectionName::Members),
            sum.section(SectionName::Embeddings),
            floor,
        );
        let before = self.centres(study, Some(sum.purpose()));
        let before = clustering::centres(&before, clustering.centre_length());
        if sum.purpose() == Purpose::Seed {
            // Cells beyond these are nobody's.
            let cells = (2 * before.len()).max(1);
            let found: Vec<Mean> = means.into_iter().take(cells).flatten().collect();
            if !found.is_empty() {
                self.weights = found.iter().map(|mean| mean.members).collect();
                let points: Vec<_> = found.into_iter().map(|mean| mean.point).collect();
                self.centres = clustering::flat(&points);
            }
            return;
        }
        let cells = Cells::clusters(before.clone()).count();
        let kept = before.into_iter().map(Some).chain(std::iter::once(None));
        let moved: Vec<_> = means
            .into_iter()
            .take(cells)
            .zip(kept)
            .filter_map(|(mean, before)| mean.map(|mean| mean.point).or(before))
            .collect();
        self.centres = clustering::flat(&moved);
        self.weights.clear();
    }
}
