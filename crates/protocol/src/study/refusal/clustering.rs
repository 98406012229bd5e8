//! What makes clusters ones that can be looked for.

use super::{StudyError, require};
use crate::study::Clustering;

pub(super) fn check(clustering: &Clustering) -> Result<(), StudyError> {
    let most = Clustering::MOST_CLUSTERS;
    require(
        (2..=most).contains(&clustering.clusters),
        "clustering.clusters",
        || format!("{} is not from 2 to {most}", clustering.clusters),
    )?;
    require(
        (1..=1_000).contains(&clustering.rounds),
        "clustering.rounds",
        || format!("{} is not from 1 to 1000", clustering.rounds),
    )?;
    require(
        (1..=1_024).contains(&clustering.dimensions),
        "clustering.dimensions",
        || format!("{} is not from 1 to 1024", clustering.dimensions),
    )?;
    require(
        clustering.radius > 0.0 && clustering.radius <= 1e6,
        "clustering.radius",
        || format!("{} is not above 0 and at most 1000000", clustering.radius),
    )?;
    require(
        clustering.share > 0.0 && clustering.share < 1.0,
        "clustering.share",
        || format!("{} is not between 0 and 1", clustering.share),
    )
}
