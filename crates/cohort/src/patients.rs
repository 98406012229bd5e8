//! The prepared cohort: what a hospital's files say of each labelled patient, before normalisation.
//!
//! A row is a label: what is known of a patient before one prediction time. A patient has as many rows as labels that
//! the study uses, one after the other in the order of their times. Only rows whose outcome is known are trained on, and
//! their type says that it is: [`Patients`]. [`Candidates`] are for predictions alone.

mod encoding;
mod outcome;

pub use encoding::DecodeError;
pub use outcome::Outcome;
use std::ops::Range;

use protocol::door::Split;
use protocol::id::Digest;
use protocol::study::Cohort;

use crate::slots::Slots;

/// Patients whose outcomes are known: the index of each row's class. The only ones that a model is trained or measured on.
pub type Patients = Rows<u32>;

/// Patients of whom a model is asked: the outcome of a row may not be known yet, and all rows of a patient are there.
pub type Candidates = Rows<Option<u32>>;

/// Patients and their raw values, column by column; `L` is what is known of a row's outcome.
///
/// A row's values are in the order of [`crate::Slots`], in the units of the study. What is missing is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows<L> {
    /// What the values mean: the digest of the study's features, classes and bins.
    fingerprint: Digest,
    /// Values of one row.
    slots: usize,
    /// The rows of each patient.
    patients: Vec<Range<usize>>,
    /// The hospital's own number of each row's patient.
    subjects: Vec<i64>,
    /// Prediction times: microseconds since 1970, on the hospital's clock.
    times: Vec<i64>,
    splits: Vec<Split>,
    /// Indices of classes.
    labels: Vec<L>,
    /// `[rows, slots]`: 1 where there is a value, else 0.
    observed: Vec<u8>,
    /// `[rows, slots]`, finite; 0 where there is no value.
    values: Vec<f32>,
}

/// Cohorts that cannot be pooled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// There is nothing to pool.
    #[error("there is no cohort to pool")]
    Nothing,
    /// A cohort was prepared for other features than the first.
    #[error("cohort {0} (from 0) was prepared for other features than the first")]
    OtherFeatures(usize),
}

impl<L: Outcome> Rows<L> {
    /// Patients of a study, in columns of one length, the rows of a patient together; what is not observed is set to
    /// 0.
    pub(crate) fn new(cohort: &Cohort, columns: Columns<L>) -> Self {
        let Columns {
            subjects,
            times,
            splits,
            labels,
            observed,
            mut values,
        } = columns;
        for (value, observed) in values.iter_mut().zip(&observed) {
            if *observed == 0 {
                *value = 0.0;
            }
        }
        let slots = Slots::of(cohort).len();
        Self {
            fingerprint: encoding::fingerprint(cohort),
            slots,
            patients: runs(&subjects),
            subjects,
            times,
            splits,
            labels,
            observed,
            values,
        }
    }

    /// The patients of several sites as one cohort, in order: for training on pooled data, which no site does in a
    /// federation. A subject's number may then stand for a patient of each site.
    ///
    /// # Errors
    ///
    /// No cohort, or cohorts that were prepared for different features.
    pub fn pool(cohorts: Vec<Self>) -> Result<Self, PoolError> {
        let mut cohorts = cohorts.into_iter();
        let mut pooled = cohorts.next().ok_or(PoolError::Nothing)?;
        for (place, cohort) in cohorts.enumerate() {
            if cohort.fingerprint != pooled.fingerprint {
                return Err(PoolError::OtherFeatures(place + 1));
            }
            let before = pooled.len();
            let moved = |rows: Range<usize>| rows.start + before..rows.end + before;
            pooled
                .patients
                .extend(cohort.patients.into_iter().map(moved));
            pooled.subjects.extend(cohort.subjects);
            pooled.times.extend(cohort.times);
            pooled.splits.extend(cohort.splits);
            pooled.labels.extend(cohort.labels);
            pooled.observed.extend(cohort.observed);
            pooled.values.extend(cohort.values);
        }
        Ok(pooled)
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subjects.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// Values of one row: [`crate::Slots::len`].
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The hospital's own number of each row's patient.
    #[must_use]
    pub fn subjects(&self) -> &[i64] {
        &self.subjects
    }

    /// Each row's prediction time: microseconds since 1970-01-01T00:00:00, on the hospital's clock.
    #[must_use]
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// The index of each row's class.
    #[must_use]
    pub fn labels(&self) -> &[L] {
        &self.labels
    }

    /// Which part of the cohort each row is in: all rows of a patient are in the same.
    #[must_use]
    pub fn splits(&self) -> &[Split] {
        &self.splits
    }

    /// The rows of each patient.
    #[must_use]
    pub fn patients(&self) -> &[Range<usize>] {
        &self.patients
    }

    /// The rows of each patient of one part of the cohort.
    pub fn of_split(&self, split: Split) -> impl Iterator<Item = Range<usize>> {
        self.patients
            .iter()
            .filter(move |rows| self.splits[rows.start] == split)
            .cloned()
    }

    /// A row's values, `[slots]`, in the study's units; 0 where missing.
    ///
    /// # Panics
    ///
    /// `row` is not below [`Rows::len`].
    #[must_use]
    pub fn values(&self, row: usize) -> &[f32] {
        &self.values[row * self.slots..][..self.slots]
    }

    /// Which of a row's values there are, `[slots]`: 1 where there is one, else 0.
    ///
    /// # Panics
    ///
    /// `row` is not below [`Rows::len`].
    #[must_use]
    pub fn observed(&self, row: usize) -> &[u8] {
        &self.observed[row * self.slots..][..self.slots]
    }
}

/// Where equal numbers stand after each other: none of the ranges is empty.
fn runs(subjects: &[i64]) -> Vec<Range<usize>> {
    let mut end = 0;
    let run = |run: &[i64]| {
        let start = end;
        end += run.len();
        start..end
    };
    subjects
        .chunk_by(|one, next| one == next)
        .map(run)
        .collect()
}

/// The columns of [`Rows`], of one length each.
pub(crate) struct Columns<L> {
    pub(crate) subjects: Vec<i64>,
    pub(crate) times: Vec<i64>,
    pub(crate) splits: Vec<Split>,
    pub(crate) labels: Vec<L>,
    pub(crate) observed: Vec<u8>,
    pub(crate) values: Vec<f32>,
}
