//! The groups of a reliability diagram: one for each unit of log-odds.

use protocol::study::Histograms;

/// Groups: below −5, −5 to −4, and so on to above 5.
pub(super) const GROUPS: usize = 12;

/// The log-odds at which the first group would begin if it were as wide as the others.
const FIRST: f64 = -6.0;

/// The group of these log-odds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates: all below the first group is in it"
)]
pub(super) fn group(log_odds: f64) -> usize {
    ((log_odds - FIRST) as usize).min(GROUPS - 1)
}

/// The groups that the bins of `histograms` are in, in order: each with its bins.
pub(super) fn groups(histograms: &Histograms) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for bin in 0..histograms.bins() {
        let number = group(histograms.middle(bin));
        match groups.last_mut() {
            Some(last) if last.number == number => last.bins.end = bin + 1,
            _ => groups.push(Group {
                number,
                bins: bin..bin + 1,
            }),
        }
    }
    groups
}

/// A group and its bins.
#[derive(Clone, Debug)]
pub(super) struct Group {
    number: usize,
    pub(super) bins: std::ops::Range<usize>,
}

impl Group {
    /// The probability in its middle.
    pub(super) fn predicted(&self) -> f64 {
        probability(FIRST + self.number as f64 + 0.5)
    }
}

/// The probability with these log-odds.
pub(super) fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}
