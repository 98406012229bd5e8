//! Values that many patients have: codes for "missing" that an export left in place look so.

use std::cmp::Reverse;
use std::collections::HashMap;

use protocol::door::Spike;

/// Values that are told.
const TOLD: usize = 5;

/// How many patients have each value.
///
/// Of more values than are followed, those of a single patient are forgotten, so what a few of a hundred patients have is found,
/// and its number is about right.
#[derive(Clone, Default)]
pub(super) struct Spikes {
    values: HashMap<u64, Followed>,
}

#[derive(Clone, Copy)]
struct Followed {
    patients: u32,
    last: i64,
}

impl Spikes {
    /// Notes a value; `most` values are followed at a time.
    pub(super) fn add(&mut self, subject: i64, value: f64, most: usize) {
        // -0 is 0.
        let bits = (value + 0.0).to_bits();
        if let Some(followed) = self.values.get_mut(&bits) {
            followed.patients += u32::from(followed.last != subject);
            followed.last = subject;
            return;
        }
        if self.values.len() >= most {
            self.values.retain(|_, followed| followed.patients > 1);
        }
        if self.values.len() < most {
            let followed = Followed {
                patients: 1,
                last: subject,
            };
            self.values.insert(bits, followed);
        }
    }

    pub(super) fn finish(self) -> Vec<Spike> {
        let shared = self.values.into_iter();
        let shared = shared.filter(|(_, followed)| followed.patients > 1);
        let mut spikes: Vec<Spike> = shared
            .map(|(bits, followed)| Spike {
                value: f64::from_bits(bits),
                patients: followed.patients,
            })
            .collect();
        spikes.sort_unstable_by(|one, other| {
            let by_patients = Reverse(one.patients).cmp(&Reverse(other.patients));
            by_patients.then(one.value.total_cmp(&other.value))
        });
        spikes.truncate(TOLD);
        spikes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_many_patients_is_found_among_many_values() {
        let mut spikes = Spikes::default();
        for subject in 0..5_000_i32 {
            spikes.add(i64::from(subject), f64::from(subject) + 0.5, 1_024);
            if subject % 10 == 0 {
                // Twice of one patient is once.
                spikes.add(i64::from(subject), -9.0, 1_024);
                spikes.add(i64::from(subject), -9.0, 1_024);
            }
        }
        let found = spikes.finish();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].value < 0.0 && (450..=500).contains(&found[0].patients));
    }
}
