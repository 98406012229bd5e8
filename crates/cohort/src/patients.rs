//! The prepared cohort: what a hospital's files say of each labelled patient, before normalisation.

mod encoding;

pub use encoding::DecodeError;
use protocol::door::Split;
use protocol::id::Digest;
use protocol::study::Cohort;

use crate::slots::Slots;

/// Labelled patients and their raw values, column by column.
///
/// A patient's values are in the order of [`crate::Slots`], in the units of the study. What is missing is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Patients {
    /// What the values mean: the digest of the study's features, classes and bins.
    fingerprint: Digest,
    /// Values of one patient.
    slots: usize,
    /// The hospital's own numbers.
    subjects: Vec<i64>,
    splits: Vec<Split>,
    /// Indices of classes.
    labels: Vec<u32>,
    /// `[patients, slots]`: 1 where there is a value, else 0.
    observed: Vec<u8>,
    /// `[patients, slots]`, finite; 0 where there is no value.
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

impl Patients {
    /// Patients of a study, in columns of one length; what is not observed is set to 0.
    pub(crate) fn new(cohort: &Cohort, columns: Columns) -> Self {
        let Columns {
            subjects,
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
            subjects,
            splits,
            labels,
            observed,
            values,
        }
    }

    /// The patients of several sites as one cohort, in order: for training on pooled data, which no site does in a
    /// federation. A subject's number may then stand more than once.
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
            pooled.subjects.extend(cohort.subjects);
            pooled.splits.extend(cohort.splits);
            pooled.labels.extend(cohort.labels);
            pooled.observed.extend(cohort.observed);
            pooled.values.extend(cohort.values);
        }
        Ok(pooled)
    }

    /// Patients.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subjects.len()
    }

    /// Whether there is no patient.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// Values of one patient: [`crate::Slots::len`].
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The hospital's own number of each patient.
    #[must_use]
    pub fn subjects(&self) -> &[i64] {
        &self.subjects
    }

    /// The index of each patient's class.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Which part of the cohort each patient is in.
    #[must_use]
    pub fn splits(&self) -> &[Split] {
        &self.splits
    }

    /// The patients of one part of the cohort, by their places.
    #[must_use]
    pub fn of_split(&self, split: Split) -> Vec<usize> {
        (0..self.len())
            .filter(|patient| self.splits[*patient] == split)
            .collect()
    }

    /// A patient's values, `[slots]`, in the study's units; 0 where missing.
    ///
    /// # Panics
    ///
    /// `patient` is not below [`Patients::len`].
    #[must_use]
    pub fn values(&self, patient: usize) -> &[f32] {
        &self.values[patient * self.slots..][..self.slots]
    }

    /// Which of a patient's values there are, `[slots]`: 1 where there is one, else 0.
    ///
    /// # Panics
    ///
    /// `patient` is not below [`Patients::len`].
    #[must_use]
    pub fn observed(&self, patient: usize) -> &[u8] {
        &self.observed[patient * self.slots..][..self.slots]
    }
}

/// The columns of [`Patients`], of one length each.
pub(crate) struct Columns {
    pub(crate) subjects: Vec<i64>,
    pub(crate) splits: Vec<Split>,
    pub(crate) labels: Vec<u32>,
    pub(crate) observed: Vec<u8>,
    pub(crate) values: Vec<f32>,
}
