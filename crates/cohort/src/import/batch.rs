//! The events of as many patients as memory is to hold, the next ones by number.
//!
//! A file of events is sorted by patient, and a table may hold more events than memory does. So a large table is read
//! several times: each time the next patients by number are taken, as many as fit. While the reading goes on, it is not
//! known which these are: whenever the memory is full, those with the greater numbers are put off.

use crate::meds::{Events, Timestamp};

/// Bytes of memory that an event takes: 24, as much again while the list grows or is sorted.
const BYTES: usize = 48;

/// MiB that everything else takes.
const OTHERS: usize = 256;

/// The most events of a batch, and the least that a batch is worth.
const EVENTS: std::ops::RangeInclusive<usize> = 1 << 20..=1 << 26;

/// Events of a batch in so much memory.
pub(super) fn events_in(memory_mib: u32) -> usize {
    let mib = usize::try_from(memory_mib).unwrap_or(usize::MAX);
    let bytes = mib.saturating_sub(OTHERS).min(4_096) << 20;
    (bytes / BYTES).clamp(*EVENTS.start(), *EVENTS.end())
}

/// The events of the next patients.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: Events,
    /// Events of earlier patients, which did not fill a row group.
    carried: usize,
    /// The greatest number of the patients before.
    after: Option<i64>,
    /// The greatest number of this batch; all that are left where there is none.
    pub(super) up_to: Option<i64>,
    most: usize,
}

/// All events are of one patient, and more than this many.
#[derive(Debug)]
pub(super) struct OnePatient(pub(super) usize);

impl Batch {
    /// The first patients, with at most so many events.
    pub(super) fn new(most: usize) -> Self {
        Self {
            events: Events::default(),
            carried: 0,
            after: None,
            up_to: None,
            most,
        }
    }

    /// The patients after this batch, with what is left of its events; nothing where there are none.
    pub(super) fn next(self) -> Option<Self> {
        let after = self.up_to?;
        Some(Self {
            carried: self.events.len(),
            after: Some(after),
            up_to: None,
            ..self
        })
    }

    /// Whether a patient is of this batch.
    pub(super) fn takes(&self, subject: i64) -> bool {
        self.after.is_none_or(|after| subject > after)
            && self.up_to.is_none_or(|up_to| subject <= up_to)
    }

    /// Adds an event, where its patient is of this batch.
    pub(super) fn push(
        &mut self,
        subject: i64,
        time: Option<Timestamp>,
        code: &str,
        value: Option<f32>,
    ) -> Result<(), OnePatient> {
        if !self.takes(subject) {
            return Ok(());
        }
        if self.events.len() - self.carried >= self.most {
            self.up_to = Some(
                self.events
                    .halve(self.carried)
                    .ok_or(OnePatient(self.most))?,
            );
            if !self.takes(subject) {
                return Ok(());
            }
        }
        self.events.push(subject, time, code, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_fits_into_the_memory() {
        assert_eq!(events_in(16), 1 << 20);
        assert_eq!(events_in(1_024), 16_777_216);
        assert_eq!(events_in(u32::MAX), 1 << 26);
    }

    #[test]
    fn batches_take_all_patients_in_order() {
        let subjects: Vec<i64> = (0..1_000).map(|place| place * 7_919 % 101 - 50).collect();
        let mut batch = Batch::new(100);
        let (mut taken, mut batches) = (Vec::new(), 0);
        loop {
            for subject in &subjects {
                batch.push(*subject, None, "HR", None).unwrap();
            }
            batches += 1;
            taken.push((batch.after, batch.up_to));
            assert!(batch.events.len() - batch.carried <= 100);
            match batch.next() {
                Some(next) => batch = next,
                None => break,
            }
        }
        assert!((10..=25).contains(&batches), "{taken:?}");
        assert!(
            taken
                .windows(2)
                .all(|pair| pair[0].1 == pair[1].0 && pair[1].1 != pair[1].0)
        );
    }

    #[test]
    fn one_patient_with_too_many_events_is_refused() {
        let mut batch = Batch::new(10);
        let pushed: Result<Vec<()>, _> = (0..11).map(|_| batch.push(7, None, "HR", None)).collect();
        assert!(pushed.is_err());
    }
}
