//! A look at a hospital's files, before or after a study exists.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::{BadRows, Report, Source, Split};

/// Of [`super::Request::Check`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Check {
    /// The bytes of a `study.toml`, or of a draft: its `[cohort]` table alone is read.
    #[n(0)]
    pub study: ByteVec,
    /// The hospital's files, in any order.
    #[n(1)]
    pub files: Vec<Source>,
    /// What to do with rows that cannot be used.
    #[n(2)]
    pub bad_rows: BadRows,
    /// A patient to explain, by the hospital's own number.
    #[n(3)]
    pub explain: Option<i64>,
}

/// Of [`super::Response::Checked`]: patient data.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Checked {
    /// What was read.
    #[n(0)]
    pub report: Report,
    /// One per feature, in the study's order.
    #[n(1)]
    pub distributions: Vec<Distribution>,
    /// The patient asked for.
    #[n(2)]
    pub explained: Option<Explained>,
}

/// The values of one feature, in its unit, as the files have them: before anything is set to the end of its range.
///
/// All numbers are finite; where there is no value, all are 0.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Distribution {
    /// Values used.
    #[n(0)]
    pub values: u64,
    /// Their mean.
    #[n(1)]
    pub mean: f64,
    /// Their standard deviation.
    #[n(2)]
    pub sd: f64,
    /// The least.
    #[n(3)]
    pub least: f64,
    /// The greatest.
    #[n(4)]
    pub greatest: f64,
    /// The 1st, 25th, 50th, 75th and 99th of a hundred; of an even sample where there are many values.
    #[n(5)]
    pub quantiles: [f64; 5],
    /// The mean over patients of the mean of a patient's inputs, within the plausible range: as a study's shared moments
    /// count it.
    #[n(6)]
    pub patient_mean: f64,
    /// The standard deviation over patients of that mean.
    #[n(7)]
    pub patient_sd: f64,
    /// Where the first bar of the histogram begins.
    #[n(8)]
    pub from: f64,
    /// Where the last one ends.
    #[n(9)]
    pub to: f64,
    /// Values in bars of equal width; those beyond an end are in the bar at that end. Of an even sample where there are many
    /// values.
    #[n(10)]
    pub bars: Vec<u32>,
    /// The most frequent values that more than one patient has, the most frequent first.
    #[n(11)]
    pub spikes: Vec<Spike>,
}

/// A value that many patients have.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct Spike {
    /// The value.
    #[n(0)]
    pub value: f64,
    /// About how many patients have it.
    #[n(1)]
    pub patients: u32,
}

/// What the model sees of one patient, and where it comes from.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Explained {
    /// The hospital's own number of the patient.
    #[n(0)]
    pub subject: i64,
    /// The patient's labels that are used, by time.
    #[n(1)]
    pub labels: Vec<ExplainedLabel>,
    /// The patient's events, in the order of the files.
    #[n(2)]
    pub rows: Vec<ExplainedRow>,
    /// Events beyond those listed.
    #[n(3)]
    pub more: u64,
}

/// A label, with the model's inputs.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct ExplainedLabel {
    /// The prediction time.
    #[n(0)]
    pub time: String,
    /// Index of the class.
    #[n(1)]
    pub label: u32,
    /// Which part of the cohort the patient is in.
    #[n(2)]
    pub split: Split,
    /// Values in the study's units, modality by modality, bin by bin, feature by feature; 0 where missing.
    #[n(3)]
    pub values: Vec<f32>,
    /// The same, normalised by the study's reference values: what the model sees where the study uses these.
    #[n(4)]
    pub normalised: Vec<f32>,
    /// For each value 1 where there is one, 0 where it is missing.
    #[n(5)]
    pub observed: ByteVec,
}

/// An event, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct ExplainedRow {
    /// The file.
    #[n(0)]
    pub file: String,
    /// The row, from 1.
    #[n(1)]
    pub row: u64,
    /// The event's time.
    #[n(2)]
    pub time: Option<String>,
    /// Its code, or the beginning of it.
    #[n(3)]
    pub code: String,
    /// Its number.
    #[n(4)]
    pub value: Option<f64>,
    /// The place of the feature in the study, from 0; none where no feature has the code.
    #[n(5)]
    pub feature: Option<u32>,
    /// Where it is used; empty where it is not.
    #[n(6)]
    pub uses: Vec<Use>,
    /// Why it is not used; empty where it is.
    #[n(7)]
    pub reason: String,
}

/// Where an event is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Use {
    /// The place of the label in [`Explained::labels`], from 0.
    #[n(0)]
    pub label: u32,
    /// The bin, from 0, the oldest first; 0 for a static feature.
    #[n(1)]
    pub bin: u32,
}
