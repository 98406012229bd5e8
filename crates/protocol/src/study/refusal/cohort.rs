//! What makes a cohort one that can be read.

use super::{StudyError, require, unique};
use crate::study::{Cohort, Shape};

pub(super) fn check(cohort: &Cohort) -> Result<(), StudyError> {
    let days = cohort.history_days;
    require((1..=3_660).contains(&days), "cohort.history-days", || {
        format!("{days} is not from 1 to 3660")
    })?;
    require(
        (2..=16).contains(&cohort.classes.len()),
        "cohort.classes",
        || format!("{} classes; want 2 to 16", cohort.classes.len()),
    )?;
    unique(cohort.classes.iter(), "cohort.classes")?;
    let split = cohort.split;
    let shares_fit = split.train > 0.0 && split.tuning >= 0.0 && split.train + split.tuning <= 1.0;
    require(shares_fit, "cohort.split", || {
        format!(
            "train {} and tuning {} are no shares that add to at most 1",
            split.train, split.tuning
        )
    })?;
    let labels = cohort.labels_per_patient;
    require(
        (1..=Cohort::MOST_LABELS).contains(&labels),
        "cohort.labels-per-patient",
        || format!("{labels} is not from 1 to {}", Cohort::MOST_LABELS),
    )?;
    require(!cohort.modalities.is_empty(), "cohort.modality", || {
        "want at least one".to_owned()
    })?;
    unique(
        cohort.modalities.iter().map(|modality| &modality.name),
        "cohort.modality.name",
    )?;
    for modality in &cohort.modalities {
        let name = &modality.name;
        require(
            (1..=4_096).contains(&modality.features.len()),
            "cohort.modality.feature",
            || {
                format!(
                    "{name} has {} features; want 1 to 4096",
                    modality.features.len()
                )
            },
        )?;
        if let Shape::Series {
            bin_days,
            bins_per_token,
        } = modality.shape
        {
            let bins_fit = bin_days > 0 && days.is_multiple_of(bin_days);
            require(bins_fit, "cohort.modality.shape.series.bin-days", || {
                format!("{name}: bins of {bin_days} days do not divide a history of {days} days")
            })?;
            let tokens_fit = bins_per_token > 0 && (days / bin_days).is_multiple_of(bins_per_token);
            require(
                tokens_fit,
                "cohort.modality.shape.series.bins-per-token",
                || {
                    format!(
                        "{name}: {bins_per_token} does not divide its {} bins",
                        days / bin_days
                    )
                },
            )?;
        }
    }
    for feature in cohort.features() {
        let finite = [feature.low, feature.high, feature.mean, feature.sd]
            .iter()
            .all(|v| v.is_finite());
        require(
            finite && feature.low < feature.high && feature.sd > 0.0 && feature.width().is_finite(),
            "cohort.modality.feature",
            || {
                format!(
                    "{}: want low < high and sd > 0, all finite, as high - low; has low {}, high {}, mean {}, sd {}",
                    feature.code, feature.low, feature.high, feature.mean, feature.sd
                )
            },
        )?;
    }
    unique(
        cohort.features().map(|feature| &feature.code),
        "cohort.modality.feature.code",
    )
}
