//! The tables of a cohort as they stand in the file, where a length of time has two names.

use serde::{Deserialize, Serialize};

use super::{Cohort, Modality, Normalisation, Shape, Split};
use crate::study::span::{Span, SpanError};

/// [`Cohort`] in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CohortTable {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    history_days: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    history_hours: Option<u32>,
    classes: Vec<String>,
    normalisation: Normalisation,
    split: Split,
    #[serde(default = "one")]
    labels_per_patient: u32,
    #[serde(rename = "modality")]
    modalities: Vec<Modality>,
}

fn one() -> u32 {
    1
}

impl TryFrom<CohortTable> for Cohort {
    type Error = SpanError;

    fn try_from(table: CohortTable) -> Result<Self, SpanError> {
        Ok(Self {
            history: Span::stated("history", table.history_days, table.history_hours)?,
            classes: table.classes,
            normalisation: table.normalisation,
            split: table.split,
            labels_per_patient: table.labels_per_patient,
            modalities: table.modalities,
        })
    }
}

impl From<Cohort> for CohortTable {
    fn from(cohort: Cohort) -> Self {
        let (history_days, history_hours) = cohort.history.as_stated();
        Self {
            history_days,
            history_hours,
            classes: cohort.classes,
            normalisation: cohort.normalisation,
            split: cohort.split,
            labels_per_patient: cohort.labels_per_patient,
            modalities: cohort.modalities,
        }
    }
}

/// [`Shape`] in the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ShapeTable {
    Static,
    Series(SeriesTable),
}

/// [`Shape::Series`] in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SeriesTable {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bin_days: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bin_hours: Option<u32>,
    bins_per_token: u32,
}

impl TryFrom<ShapeTable> for Shape {
    type Error = SpanError;

    fn try_from(table: ShapeTable) -> Result<Self, SpanError> {
        match table {
            ShapeTable::Static => Ok(Self::Static),
            ShapeTable::Series(series) => Ok(Self::Series {
                bin: Span::stated("bin", series.bin_days, series.bin_hours)?,
                bins_per_token: series.bins_per_token,
            }),
        }
    }
}

impl From<Shape> for ShapeTable {
    fn from(shape: Shape) -> Self {
        match shape {
            Shape::Static => Self::Static,
            Shape::Series {
                bin,
                bins_per_token,
            } => {
                let (bin_days, bin_hours) = bin.as_stated();
                Self::Series(SeriesTable {
                    bin_days,
                    bin_hours,
                    bins_per_token,
                })
            }
        }
    }
}
