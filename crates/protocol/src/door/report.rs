//! What was read from a hospital's files, for a person at the site: it never leaves.

use minicbor::{Decode, Encode};

/// What was read from a hospital's files.
///
/// Every event is accounted for: `events` is the sum of [`Coverage::events`] over the features, of `other_events`, and of
/// the rows of events that were left out because their subject or code is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Report {
    /// Labels of patients to train on.
    #[n(0)]
    pub train: u32,
    /// Labels of patients to choose by.
    #[n(1)]
    pub tuning: u32,
    /// Labels of patients held out.
    #[n(2)]
    pub held_out: u32,
    /// Labels of each class, in the study's order.
    #[n(3)]
    pub classes: Vec<u32>,
    /// Events read.
    #[n(4)]
    pub events: u64,
    /// Events used: of a feature of the study, in the history, up to and including the prediction time.
    #[n(5)]
    pub used: u64,
    /// Rows left out, with the first reasons.
    #[n(6)]
    pub dropped: u64,
    /// The first few reasons, each naming file, row and column.
    #[n(7)]
    pub reasons: Vec<String>,
    /// Values that were outside their plausible range and were set to its end.
    #[n(8)]
    pub clipped: u64,
    /// Labels without any usable event: they count, with every value missing.
    #[n(9)]
    pub empty: u32,
    /// Labels that are not used, since the study uses fewer of one patient: the last by time.
    #[n(10)]
    pub surplus: u32,
    /// Patients with a label that is used.
    #[n(11)]
    pub patients: u32,
    /// Those of them to train on.
    #[n(12)]
    pub training_patients: u32,
    /// Labels whose patient has no event at all, of any code.
    #[n(13)]
    pub without_events: u32,
    /// One per feature, in the study's order.
    #[n(14)]
    pub features: Vec<Coverage>,
    /// Events of codes that no feature uses.
    #[n(15)]
    pub other_events: u64,
    /// The most frequent of these codes, the most frequent first: to spot one that is spelt otherwise than the study has it.
    #[n(16)]
    pub other_codes: Vec<CodeCount>,
    /// The first few patients with labels, by their numbers.
    #[n(17)]
    pub label_subjects: Vec<i64>,
    /// The first few patients with events, as the files have them.
    #[n(18)]
    pub event_subjects: Vec<i64>,
    /// Labels whose outcome is not known, in none of the counts of labels by part or class: with
    /// [`Outcomes::Any`](super::Outcomes::Any) alone.
    #[n(19)]
    pub unknown: u32,
}

/// What there is of one feature.
///
/// `events` is the sum of what was used and of all reasons not to use one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Coverage {
    /// The feature's code.
    #[n(0)]
    pub code: String,
    /// What a person calls it.
    #[n(1)]
    pub name: String,
    /// Patients with a value, or, where presence counts, with such an event.
    #[n(2)]
    pub patients: u32,
    /// Labels with one.
    #[n(3)]
    pub labels: u32,
    /// Events with its code in all.
    #[n(4)]
    pub events: u64,
    /// Events used.
    #[n(5)]
    pub used: u64,
    /// Of those used, the ones at exactly the prediction time of a label: what is written down then may tell the outcome.
    #[n(6)]
    pub at_prediction: u64,
    /// Of those used, the ones outside of the plausible range, set to its end.
    #[n(7)]
    pub clipped: u64,
    /// Events before the history of every label that they could belong to.
    #[n(8)]
    pub early: u64,
    /// Events after every prediction time of their patient.
    #[n(9)]
    pub late: u64,
    /// Events of patients without a label that is used.
    #[n(10)]
    pub without_label: u64,
    /// Events without a number, where the feature is a value.
    #[n(11)]
    pub without_number: u64,
    /// Events without a time, where the feature is followed over time.
    #[n(12)]
    pub without_time: u64,
    /// Events whose number is not finite: they are among the rows left out.
    #[n(13)]
    pub not_finite: u64,
    /// Codes of the files that look like this one, where no event has it; the closest first.
    #[n(14)]
    pub close: Vec<String>,
}

/// How often a code occurs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CodeCount {
    /// The code, or its beginning.
    #[n(0)]
    pub code: String,
    /// Events that have it.
    #[n(1)]
    pub events: u64,
}
