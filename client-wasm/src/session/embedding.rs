//! Patients as points: what clusters are found of.

use learning::clustering::{self, Cells, Point, Projection};
use learning::model::Network;
use protocol::door::{Phenotype, State};
use protocol::id::{Digest, Purpose};
use protocol::seed::Seed;
use protocol::study::{Clustering, Study};

use super::error::SessionError;
use super::inputs::{Portion, rows};

/// Makes a point of each patient: the mean of the embeddings of the patient's labels, projected, in radii, clipped.
pub(crate) struct Embedding {
    projection: Projection,
    settings: Clustering,
    /// Public, the same at all sites.
    seed: Seed,
}

impl Embedding {
    /// That of a study; `None` where it looks for no clusters.
    pub(crate) fn of(study: &Study, network: &Network) -> Result<Option<Self>, SessionError> {
        let Some(settings) = study.manifest().clustering else {
            return Ok(None);
        };
        let Digest(digest) = study.digest();
        let seed = Seed::new(digest).derive("clustering");
        let (width, stated) = (network.width(), settings.dimensions);
        let mut rng = seed.derive("projection").rng();
        let projection = Projection::new(width, settings.centre_length().get(), &mut rng)
            .ok_or(SessionError::Dimensions { width, stated })?;
        Ok(Some(Self {
            projection,
            settings,
            seed,
        }))
    }

    /// A point for each patient; `None` for those of whom the model makes no finite numbers.
    pub(crate) fn points(
        &self,
        network: &Network,
        weights: &[f32],
        portion: &Portion<impl Copy>,
    ) -> Result<Vec<Option<Point>>, SessionError> {
        let embeddings = network.usable_embeddings(weights, rows(&portion.values))?;
        let mut left = embeddings.each();
        let point = |labels: &usize| {
            let own: Vec<Option<&[f32]>> = left.by_ref().take(*labels).collect();
            self.point(own)
        };
        Ok(portion.patients.iter().map(point).collect())
    }

    fn point(&self, labels: Vec<Option<&[f32]>>) -> Option<Point> {
        let mut sum = Vec::new();
        let mut count = 0.0;
        for label in labels {
            let label = label?;
            sum.resize(label.len(), 0.0);
            for (sum, value) in sum.iter_mut().zip(label) {
                *sum += f64::from(*value);
            }
            count += 1.0;
        }
        let mut point = self.projection.apply(sum);
        for value in &mut point {
            *value /= count * self.settings.radius;
        }
        clustering::clip(&mut point);
        point.iter().all(|value| value.is_finite()).then_some(point)
    }

    /// The centres of a state, which is parsed: they are whole.
    pub(crate) fn centres(&self, state: &State) -> Vec<Point> {
        clustering::centres(&state.centres, self.settings.centre_length())
    }

    /// The cells of a round.
    pub(crate) fn cells(&self, purpose: Purpose, state: &State) -> Cells {
        let centres = self.centres(state);
        if purpose == Purpose::Seed {
            Cells::halves(centres, &mut self.seed.derive("hyperplanes").rng())
        } else {
            Cells::clusters(centres)
        }
    }

    /// The cluster of a patient; `None` where there are no centres.
    pub(crate) fn phenotype(&self, point: &Point, centres: &[Point]) -> Option<Phenotype> {
        let (place, distance) = clustering::nearest(point, centres)?;
        Some(Phenotype {
            cluster: u32::try_from(place).ok()?,
            distance: distance * self.settings.radius,
        })
    }
}
