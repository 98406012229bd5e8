//! Which patients and which of their measurements a study looks at.

mod table;

use serde::{Deserialize, Serialize};

use self::table::{CohortTable, ShapeTable};
use super::refusal::{self, StudyError};
use super::span::Span;

/// The `[cohort]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "CohortTable", into = "CohortTable")]
pub struct Cohort {
    /// How long before the prediction time events are looked at: `history-days` or `history-hours`. What happened up to
    /// and including the prediction time is used, as MEDS says, and so is what happened exactly this long before.
    pub history: Span,
    /// The classes of the label, from the lowest to the highest risk; a label is an index or a name of these.
    pub classes: Vec<String>,
    /// Where the mean and standard deviation of each feature come from.
    pub normalisation: Normalisation,
    /// How patients are split where a site has no file of splits.
    pub split: Split,
    /// The most labels of one patient that are used: of more, the first by prediction time. All of them are one
    /// patient to the promise of privacy, so more labels want more noise on every count. From 1 to
    /// [`Cohort::MOST_LABELS`].
    pub labels_per_patient: u32,
    /// The modalities, in the order of the model's inputs.
    pub modalities: Vec<Modality>,
}

impl Cohort {
    /// The most labels of one patient that a study can use: a patient's labels are computed together.
    pub const MOST_LABELS: u32 = 32;

    /// Parses and checks the `[cohort]` table of a study or of a draft, whatever else is in it.
    ///
    /// # Errors
    ///
    /// Bytes that are no TOML with such a table, and a cohort that cannot be read as it says.
    pub fn of_draft(bytes: &[u8]) -> Result<Self, StudyError> {
        #[derive(Deserialize)]
        struct Draft {
            cohort: Cohort,
        }
        let text = std::str::from_utf8(bytes).map_err(|_| StudyError::NotText)?;
        let draft: Draft =
            toml::from_str(text).map_err(|error| StudyError::Malformed(error.to_string()))?;
        refusal::check_cohort(&draft.cohort)?;
        Ok(draft.cohort)
    }

    /// The features of all modalities in order.
    pub fn features(&self) -> impl Iterator<Item = &Feature> {
        self.modalities
            .iter()
            .flat_map(|modality| &modality.features)
    }

    /// Bins of a modality with this shape: 1 where it is static, 0 where bins do not divide the history, which
    /// no checked cohort has.
    #[must_use]
    pub fn bins(&self, shape: Shape) -> usize {
        let bins = match shape {
            Shape::Static => 1,
            Shape::Series { bin, .. } => self.history.parts(bin).unwrap_or(0),
        };
        usize::try_from(bins).unwrap_or(usize::MAX)
    }
}

/// Where the mean and standard deviation of each feature come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalisation {
    /// The public reference values of the study's file.
    Reference,
    /// A first round of securely added (and noised) moments.
    Shared,
}

/// Shares of patients by a hash of the subject; the rest, up to 1, is held out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Share of the patients to train on, above 0 and at most 1.
    pub train: f64,
    /// Share of the patients to choose by (MEDS: `tuning`).
    pub tuning: f64,
}

/// A group of features that reach the model together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Modality {
    /// Its name, unique in the study.
    pub name: String,
    /// Whether its features are followed over time.
    pub shape: Shape,
    /// Its features, in the order of the model's inputs.
    #[serde(rename = "feature")]
    pub features: Vec<Feature>,
}

/// Whether a modality is followed over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ShapeTable", into = "ShapeTable")]
pub enum Shape {
    /// One value a feature: the last one up to and including the prediction time.
    Static,
    /// Mean values in bins of `bin`, counted back from the prediction time `p`: bin `k` from the end is
    /// `(p − (k + 1)·bin, p − k·bin]`, and the first one has its beginning, the history's, too.
    Series {
        /// The length of a bin, which divides the history exactly: `bin-days` or `bin-hours`.
        bin: Span,
        /// Bins that make one token of the Transformer, which divide the number of bins exactly.
        bins_per_token: u32,
    },
}

/// One input of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Feature {
    /// The MEDS code of its events, for example `LOINC//8867-4`.
    pub code: String,
    /// What a person calls it.
    pub name: String,
    /// The unit of its values, in UCUM.
    pub unit: String,
    /// How an event becomes a number.
    #[serde(default)]
    pub encoding: Encoding,
    /// The least plausible value; lower ones are set to it.
    pub low: f64,
    /// The greatest plausible value; higher ones are set to it.
    pub high: f64,
    /// The mean of a reference population.
    pub mean: f64,
    /// The standard deviation of a reference population, above 0.
    pub sd: f64,
}

/// How an event becomes a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// The event's numeric value.
    #[default]
    Value,
    /// 1 where an event with the code exists, else 0; never missing.
    Presence,
    /// Years of 365.25 days from the event to the prediction time, however long ago it was: with `MEDS_BIRTH`, the age. Of static
    /// modalities alone.
    YearsSince,
}
