//! What is known of a row's outcome.

use protocol::door::Outcomes;
use protocol::study::Cohort;

/// What is known of a row's outcome: its class (`u32`), or perhaps nothing yet (`Option<u32>`).
pub trait Outcome: Copy {
    /// Which rows such patients have.
    const OUTCOMES: Outcomes;

    /// The outcome of a row with this class; `None` where such rows must have one and this has none.
    fn of(class: Option<u32>) -> Option<Self>;

    /// The index of the class, where it is known.
    fn class(self) -> Option<u32>;

    /// Rows of one patient that are used at most.
    fn most_rows(cohort: &Cohort) -> u32;
}

impl Outcome for u32 {
    const OUTCOMES: Outcomes = Outcomes::Known;

    fn of(class: Option<u32>) -> Option<Self> {
        class
    }

    fn class(self) -> Option<u32> {
        Some(self)
    }

    /// What the noise hides: [`Cohort::labels_per_patient`].
    fn most_rows(cohort: &Cohort) -> u32 {
        cohort.labels_per_patient
    }
}

impl Outcome for Option<u32> {
    const OUTCOMES: Outcomes = Outcomes::Any;

    fn of(class: Option<u32>) -> Option<Self> {
        Some(class)
    }

    fn class(self) -> Option<u32> {
        self
    }

    /// Nothing is released of them, so there is no limit.
    fn most_rows(_cohort: &Cohort) -> u32 {
        u32::MAX
    }
}
