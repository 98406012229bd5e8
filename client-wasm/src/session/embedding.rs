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

    /// A point a patient.
    pub(crate) fn points(
        &self,
        network: &Network,
        weights: &[f32],
        portion: &Portion,
    ) -> Result<Vec<Point>, SessionError> {
        let embeddings = network.embeddings(weights, rows(&portion.values))?;
        let mut left = embeddings.chunks_exact(network.width());
        let point = |labels: &usize| self.point(left.by_ref().take(*labels));
        Ok(portion.patients.iter().map(point).collect())
    }

    fn point<'a>(&self, labels: impl Iterator<Item = &'a [f32]>) -> Point {
        let mut sum = Vec::new();
        let mut count = 0.0;
        for label in labels {
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
        point
    }

    /// The centres of a state.
    pub(crate) fn centres(&self, state: &State) -> Result<Vec<Point>, SessionError> {
        let finite = state.centres.iter().all(|value| value.is_finite());
        let length = self.settings.centre_length();
        if finite && state.centres.len().is_multiple_of(length.get()) {
            Ok(clustering::centres(&state.centres, length))
        } else {
            Err(SessionError::Centres)
        }
    }

    /// The cells of a round.
    pub(crate) fn cells(&self, purpose: Purpose, state: &State) -> Result<Cells, SessionError> {
        let centres = self.centres(state)?;
        Ok(if purpose == Purpose::Seed {
            Cells::halves(centres, &mut self.seed.derive("hyperplanes").rng())
        } else {
            Cells::clusters(centres)
        })
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
