//! What makes privacy settings ones that can be accounted for.

use privacy::{Delta, Epsilon};

use super::{StudyError, require};
use crate::study::{AdaptiveClip, Algorithm, Batch, Manifest, Normalisation, Privacy};

pub(super) fn check(privacy: &Privacy, normalisation: Normalisation) -> Result<(), StudyError> {
    if privacy.epsilon.is_nan() || privacy.epsilon < f64::INFINITY {
        Epsilon::try_from(privacy.epsilon).map_err(|error| {
            let problem = format!("{error}; `inf` says that nothing is noised");
            StudyError::setting("privacy.epsilon", &problem)
        })?;
    }
    Delta::try_from(privacy.delta).map_err(|error| StudyError::setting("privacy.delta", &error))?;
    require(
        Privacy::CLIP_NORMS.contains(&privacy.clip_norm),
        "privacy.clip-norm",
        || {
            format!(
                "{} is not from 0.000001 to 1000000: range and precision of the sum depend on it",
                privacy.clip_norm
            )
        },
    )?;
    let shares = [
        privacy.moments_share,
        privacy.metrics_share,
        privacy.weight_share,
    ];
    let fits = shares.iter().all(|share| (0.0..1.0).contains(share));
    require(fits, "privacy", || {
        format!(
            "moments-share {}, metrics-share {} and weight-share {} must each be from 0 to below 1",
            shares[0], shares[1], shares[2]
        )
    })?;
    if privacy.epsilon.is_infinite() {
        return Ok(());
    }
    require(
        privacy.metrics_share > 0.0 && privacy.weight_share > 0.0,
        "privacy",
        || {
            "metrics-share and weight-share must be above 0: what they pay for is always released"
                .to_owned()
        },
    )?;
    let moments_released = normalisation == Normalisation::Shared;
    require(
        moments_released == (privacy.moments_share > 0.0),
        "privacy.moments-share",
        || {
            format!(
                "{} does not fit {normalisation:?} normalisation: above 0 where moments are shared, else 0",
                privacy.moments_share
            )
        },
    )
}

/// Refuses shares that leave nothing of the budget to training.
pub(super) fn check_shares(manifest: &Manifest) -> Result<(), StudyError> {
    let privacy = &manifest.privacy;
    let clustering = manifest
        .clustering
        .map_or(0.0, |clustering| clustering.share);
    let together = privacy.moments_share + privacy.metrics_share + clustering;
    require(together < 1.0, "privacy", || {
        format!(
            "moments-share {}, metrics-share {} and clustering.share {clustering} add to {together}, which leaves \
             nothing for training: they must add to less than 1",
            privacy.moments_share, privacy.metrics_share
        )
    })
}

/// Refuses algorithm and privacy settings that no accountant here covers together.
pub(super) fn check_accounting(manifest: &Manifest) -> Result<(), StudyError> {
    let training = &manifest.training;
    if let Some(AdaptiveClip {
        quantile,
        rate,
        share,
    }) = manifest.privacy.adaptive_clip
    {
        let between = |value: f64| value > 0.0 && value < 1.0;
        require(
            between(quantile) && between(share) && rate > 0.0 && rate.is_finite(),
            "privacy.adaptive-clip",
            || {
                format!(
                    "want quantile {quantile} and share {share} between 0 and 1, and rate {rate} above 0"
                )
            },
        )?;
        require(
            matches!(training.algorithm, Algorithm::Gradient { .. }),
            "privacy.adaptive-clip",
            || "only gradients are counted; averaging has no adaptive clip norm".to_owned(),
        )?;
    }
    if manifest.privacy.epsilon.is_infinite() {
        return Ok(());
    }
    require(
        !matches!(training.algorithm.batch(), Batch::Shuffled { .. }),
        "training.algorithm.batch",
        || {
            "shuffled mini-batches have no proved ε; take batch = \"all\" or batch.sampled, or epsilon = inf"
                .to_owned()
        },
    )
}
