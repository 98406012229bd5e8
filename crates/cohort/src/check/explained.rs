//! One patient, event by event and input by input.

use std::ops::Range;

use protocol::door::{Explained, ExplainedLabel, ExplainedRow, Use};
use protocol::study::Cohort;

use crate::coverage::{number, shown};
use crate::normalise::{self, Normaliser};
use crate::patients::Patients;
use crate::values::{Fate, Labelled, Row};

/// Events that are listed.
const MOST_ROWS: usize = 100_000;

/// The patient while events are read.
pub(super) struct Explaining {
    subject: i64,
    rows: Vec<ExplainedRow>,
    more: u64,
}

impl Explaining {
    pub(super) fn new(subject: i64) -> Self {
        Self {
            subject,
            rows: Vec::new(),
            more: 0,
        }
    }

    pub(super) fn see(&mut self, row: &Row<'_>, labels: &Range<usize>, uses: &[(usize, usize)]) {
        if row.subject != self.subject {
            return;
        }
        if self.rows.len() == MOST_ROWS {
            self.more += 1;
            return;
        }
        let (feature, reason) = match row.fate {
            Fate::Other => (None, "no feature has its code"),
            Fate::Unused(feature, why) => (Some(feature), why.reason()),
            Fate::Used(feature, _) => (Some(feature), ""),
        };
        let used = |(label, bin): &(usize, usize)| Use {
            label: number(label - labels.start),
            bin: number(*bin),
        };
        self.rows.push(ExplainedRow {
            file: row.file.to_owned(),
            row: row.event.row,
            time: row.event.time.map(|time| time.to_string()),
            code: shown(row.code),
            value: row.event.value.filter(|value| value.is_finite()),
            feature: feature.map(number),
            uses: uses.iter().map(used).collect(),
            reason: reason.to_owned(),
        });
    }

    pub(super) fn finish(
        self,
        cohort: &Cohort,
        patients: &Patients,
        labelled: &[Labelled<u32>],
    ) -> Explained {
        let start = labelled.partition_point(|label| label.subject < self.subject);
        let own = labelled[start..].partition_point(|label| label.subject == self.subject);
        let places: Vec<usize> = (start..start + own).collect();
        let normaliser = Normaliser::new(cohort, &normalise::reference(cohort))
            .expect("the reference of a checked cohort is finite, and its deviations are above 0");
        let batch = normaliser.apply(patients, &places);
        let inputs = batch.values.chunks(batch.slots.max(1));
        let label = |(place, normalised): (&usize, &[f32])| ExplainedLabel {
            time: labelled[*place].time.to_string(),
            label: labelled[*place].label,
            split: labelled[*place].split,
            values: patients.values(*place).to_vec(),
            normalised: normalised.to_vec(),
            observed: patients.observed(*place).to_vec().into(),
        };
        Explained {
            subject: self.subject,
            labels: places.iter().zip(inputs).map(label).collect(),
            rows: self.rows,
            more: self.more,
        }
    }
}
