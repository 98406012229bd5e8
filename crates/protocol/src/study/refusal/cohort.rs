//! What makes a cohort one that can be read.

use super::{StudyError, require, unique};
use crate::study::{Cohort, Encoding, Feature, Shape, Span};

/// The longest history: ten years.
const LONGEST: Span = Span::days(3_660);

/// Most bins of a history.
const MOST_BINS: u32 = 3_660;

pub(super) fn check(cohort: &Cohort) -> Result<(), StudyError> {
    let history = cohort.history;
    require(
        history > Span::hours(0) && history <= LONGEST,
        history.setting("cohort.history-days", "cohort.history-hours"),
        || format!("{history} is not from 1 hour to {LONGEST}"),
    )?;
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
        let since = |feature: &Feature| feature.encoding == Encoding::YearsSince;
        require(
            modality.shape == Shape::Static || !modality.features.iter().any(since),
            "cohort.modality.feature.encoding",
            || format!("{name}: years-since is for modalities with shape = \"static\""),
        )?;
        if let Shape::Series {
            bin,
            bins_per_token,
        } = modality.shape
        {
            let setting = bin.setting(
                "cohort.modality.shape.series.bin-days",
                "cohort.modality.shape.series.bin-hours",
            );
            let bins = history.parts(bin);
            require(bins.is_some(), setting, || {
                format!("{name}: bins of {bin} do not divide a history of {history}")
            })?;
            let bins = bins.unwrap_or_default();
            require(bins <= MOST_BINS, setting, || {
                format!("{name}: {bins} bins; want at most {MOST_BINS}")
            })?;
            let tokens_fit = bins_per_token > 0 && bins.is_multiple_of(bins_per_token);
            require(
                tokens_fit,
                "cohort.modality.shape.series.bins-per-token",
                || format!("{name}: {bins_per_token} does not divide its {bins} bins"),
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
