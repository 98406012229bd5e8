//! What becomes of every event: counted by feature, for people at the site.

mod close;
mod codes;

pub(crate) use codes::shown;

use protocol::door::Coverage;
use protocol::study::Cohort;

use self::codes::Codes;
use crate::slots::Slots;
use crate::values::{Labelled, of_subjects};

/// Subjects that are shown of events, to see how they are numbered.
const SUBJECTS_SHOWN: usize = 5;

/// Why an event of a feature is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unused {
    /// Its patient has no label that is used.
    NoLabel,
    /// The feature is a value, and the event has none.
    NoNumber,
    /// Its number is not finite.
    NotFinite,
    /// The feature is followed over time, and the event has no time.
    NoTime,
    /// It is before the history of every label that it could belong to.
    Early,
    /// It is after every prediction time of its patient.
    Late,
}

impl Unused {
    /// The reason, for a person.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NoLabel => "the patient has no label that is used",
            Self::NoNumber => "it has no number",
            Self::NotFinite => "its number is not finite",
            Self::NoTime => "it has no time",
            Self::Early => "it is before the history",
            Self::Late => "it is after the prediction time",
        }
    }
}

/// How an event was used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// What its feature takes of it, before it is set to the end of the plausible range.
    pub(crate) value: f64,
    /// At exactly the prediction time of a label.
    pub(crate) at_prediction: bool,
    /// Set to the end of the plausible range.
    pub(crate) clipped: bool,
}

/// Counts of events while they are read.
pub(crate) struct Tally {
    /// One per feature, in the study's order.
    features: Vec<Coverage>,
    /// Codes of no feature.
    codes: Codes,
    /// By the place of a subject's first label: whether the subject has an event.
    seen: Vec<bool>,
    /// The first few subjects of events.
    subjects: Vec<i64>,
}

impl Tally {
    pub(crate) fn new(cohort: &Cohort, labels: usize) -> Self {
        let coverage = |feature: &protocol::study::Feature| Coverage {
            code: feature.code.clone(),
            name: feature.name.clone(),
            ..Coverage::default()
        };
        Self {
            features: cohort.features().map(coverage).collect(),
            codes: Codes::default(),
            seen: vec![false; labels],
            subjects: Vec::new(),
        }
    }

    /// An event of a subject; `label` is the place of the subject's first label, where there is one.
    pub(crate) fn subject(&mut self, subject: i64, label: Option<usize>) {
        if let Some(label) = label {
            self.seen[label] = true;
        }
        if self.subjects.len() < SUBJECTS_SHOWN && !self.subjects.contains(&subject) {
            self.subjects.push(subject);
        }
    }

    /// An event of no feature.
    pub(crate) fn other(&mut self, code: &[u8]) {
        self.codes.add(code);
    }

    /// An event that the feature at this place uses.
    pub(crate) fn used(&mut self, feature: usize, used: Used) {
        let coverage = &mut self.features[feature];
        coverage.events += 1;
        coverage.used += 1;
        coverage.at_prediction += u64::from(used.at_prediction);
        coverage.clipped += u64::from(used.clipped);
    }

    /// An event that the feature at this place does not use.
    pub(crate) fn unused(&mut self, feature: usize, why: Unused) {
        let coverage = &mut self.features[feature];
        coverage.events += 1;
        let count = match why {
            Unused::NoLabel => &mut coverage.without_label,
            Unused::NoNumber => &mut coverage.without_number,
            Unused::NotFinite => &mut coverage.not_finite,
            Unused::NoTime => &mut coverage.without_time,
            Unused::Early => &mut coverage.early,
            Unused::Late => &mut coverage.late,
        };
        *count += 1;
    }

    /// What was counted; `counts` are the events of each label in each slot, `[labels, slots]`.
    pub(crate) fn finish<L>(
        self,
        cohort: &Cohort,
        labelled: &[Labelled<L>],
        counts: &[u32],
    ) -> Counted {
        let slots = Slots::of(cohort);
        let mut features = self.features;
        let (mut empty, mut without_events) = (0, 0);
        let width = slots.len();
        let mut first = 0;
        for labels in of_subjects(labelled) {
            let own = counts[first * width..][..labels.len() * width].chunks(width);
            for (coverage, places) in features.iter_mut().zip(slots.of_features()) {
                let there = |counts: &&[u32]| places.clone().any(|place| counts[place] > 0);
                let with_value = number(own.clone().filter(there).count());
                coverage.labels += with_value;
                coverage.patients += u32::from(with_value > 0);
            }
            let none = |counts: &&[u32]| counts.iter().all(|count| *count == 0);
            empty += number(own.filter(none).count());
            if !self.seen[first] {
                without_events += number(labels.len());
            }
            first += labels.len();
        }
        let codes = self.codes.by_frequency();
        let missing = features.iter_mut().filter(|coverage| coverage.events == 0);
        close::find(missing.collect(), &codes);
        Counted {
            features,
            other_events: self.codes.events(),
            other_codes: codes::told(&codes),
            empty,
            without_events,
            event_subjects: self.subjects,
        }
    }
}

/// What was counted.
pub(crate) struct Counted {
    pub(crate) features: Vec<Coverage>,
    pub(crate) other_events: u64,
    pub(crate) other_codes: Vec<protocol::door::CodeCount>,
    /// Labels that no event is used for.
    pub(crate) empty: u32,
    pub(crate) without_events: u32,
    pub(crate) event_subjects: Vec<i64>,
}

/// The first few subjects of labels that are sorted by subject.
pub(crate) fn first_subjects<L>(labelled: &[Labelled<L>]) -> Vec<i64> {
    let first = of_subjects(labelled).take(SUBJECTS_SHOWN);
    first.map(|labels| labels[0].subject).collect()
}

/// A number of labels, or a place, as the door carries it.
pub(crate) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
