//! A look at a hospital's files: what a study, or a draft of one, would use of them.
//!
//! The files are read by the same code as for training, so what is told is what the model would see.

mod distribution;
mod explained;
mod spikes;

use std::ops::Range;

use protocol::door::{BadRows, Checked, Source};
use protocol::id::Digest;
use protocol::study::Cohort;

use self::distribution::Distributions;
use self::explained::Explaining;
use crate::error::CohortError;
use crate::file::{File, Wants, feed};
use crate::prepare::Preparation;
use crate::values::{Fate, Row};

/// A look at a hospital's files on their way through [`Preparation`].
///
/// For each feature it gives the distribution of the values that are used, for one patient each event and each input.
/// Memory beside that of preparation: some 64 MiB at most.
pub struct Checking {
    cohort: Cohort,
    preparation: Preparation<u32>,
}

impl std::fmt::Debug for Checking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checking").finish_non_exhaustive()
    }
}

impl Checking {
    /// Begins to look at files, and at the patient `explain` event by event.
    ///
    /// # Errors
    ///
    /// As [`Preparation::new`].
    pub fn new(
        cohort: &Cohort,
        study: &Digest,
        files: &[Source],
        bad_rows: BadRows,
        explain: Option<i64>,
    ) -> Result<Self, CohortError> {
        let inspection = Some(Inspection::new(cohort, explain));
        let preparation = Preparation::inspecting(cohort, study, files, bad_rows, inspection)?;
        Ok(Self {
            cohort: cohort.clone(),
            preparation,
        })
    }

    /// Goes on with the piece that was wanted; at first without one.
    ///
    /// # Errors
    ///
    /// As [`Preparation::next`].
    pub fn next(&mut self, given: Option<&[u8]>) -> Result<Wants<Checked>, CohortError> {
        let read = match self.preparation.read(given)? {
            Wants::Piece(piece) => return Ok(Wants::Piece(piece)),
            Wants::Nothing(read) => read,
        };
        let cohort = &self.cohort;
        let (mut distributions, mut explained) = (Vec::new(), None);
        if let Some(inspection) = read.inspection {
            distributions = inspection.distributions.finish(cohort, &read.patients);
            let explaining = inspection.explaining;
            explained = explaining
                .map(|explaining| explaining.finish(cohort, &read.patients, &read.labelled));
        }
        Ok(Wants::Nothing(Checked {
            distributions,
            explained,
            report: read.report,
        }))
    }
}

/// As [`Checking`], of files that are in memory.
///
/// # Errors
///
/// As [`Preparation::next`].
pub fn check(
    cohort: &Cohort,
    study: &Digest,
    files: &[File],
    bad_rows: BadRows,
    explain: Option<i64>,
) -> Result<Checked, CohortError> {
    let sources: Vec<Source> = files.iter().map(File::source).collect();
    let mut checking = Checking::new(cohort, study, &sources, bad_rows, explain)?;
    feed(files, |given| checking.next(given))
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
