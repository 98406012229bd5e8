//! A look at a hospital's files: what a study, or a draft of one, would use of them.
//!
//! The files are read by the same code as for training, so what is told is what the model would see.

mod distribution;
mod explained;
mod spikes;

use std::ops::Range;

use protocol::door::{BadRows, Checked, File};
use protocol::id::Digest;
use protocol::study::Cohort;

use self::distribution::Distributions;
use self::explained::Explaining;
use crate::error::CohortError;
use crate::prepare;
use crate::values::{Fate, Row};

/// Reads a hospital's files as [`crate::prepare()`] does, and tells what they hold.
///
/// For each feature it gives the distribution of the values that are used, for the patient `explain` each event and each input.
/// Memory beside that of preparation: some 64 MiB at most.
///
/// # Errors
///
/// As [`crate::prepare()`].
pub fn check(
    cohort: &Cohort,
    study: &Digest,
    files: &[File],
    bad_rows: BadRows,
    explain: Option<i64>,
) -> Result<Checked, CohortError> {
    let mut inspection = Inspection::new(cohort, explain);
    let read = prepare::read(cohort, study, files, bad_rows, Some(&mut inspection))?;
    let distributions = inspection.distributions.finish(cohort, &read.patients);
    let explaining = inspection.explaining;
    Ok(Checked {
        distributions,
        explained: explaining
            .map(|explaining| explaining.finish(cohort, &read.patients, &read.labelled)),
        report: read.report,
    })
}

/// What is noted while events are read.
pub(crate) struct Inspection {
    distributions: Distributions,
    explaining: Option<Explaining>,
}

impl Inspection {
    fn new(cohort: &Cohort, explain: Option<i64>) -> Self {
        Self {
            distributions: Distributions::new(cohort.features().count()),
            explaining: explain.map(Explaining::new),
        }
    }

    /// An event; `labels` are the places of its subject's labels, `uses` the labels and bins that it is used for.
    pub(crate) fn see(&mut self, row: &Row<'_>, labels: &Range<usize>, uses: &[(usize, usize)]) {
        if let Fate::Used(feature, used) = row.fate {
            self.distributions.add(feature, row.subject, used.value);
        }
        if let Some(explaining) = &mut self.explaining {
            explaining.see(row, labels, uses);
        }
    }
}
