//! The hospitals that are lied to: alike in all but their patients.

use cohort::meds::{Events, Labels, Splits, Timestamp};
use protocol::door::Split;

/// A hospital, by its patients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hospital {
    /// Forty patients, none of them odd.
    Usual,
    /// As many, some of whom are as old as the study allows, or as salty, or were never measured.
    Odd,
    /// Three times as many: more than the study's range is for.
    Crowded,
}

/// A hospital's files in MEDS.
pub(crate) struct Files {
    /// Each file's name and bytes.
    pub(crate) files: [(&'static str, Vec<u8>); 3],
}

/// A patient of a test.
struct Patient {
    sodium: Option<f32>,
    age: Option<f32>,
}

impl Hospital {
    /// Its files.
    pub(crate) fn files(self) -> Files {
        let (mut events, mut labels, mut splits) =
            (Events::default(), Labels::default(), Splits::default());
        for place in 0..self.size() {
            let (subject, patient) = (i64::from(place) + 1, self.patient(place));
            for day in 1..=14_i64 {
                if let Some(sodium) = patient.sodium {
                    events.push(subject, Some(before(day)), "sodium", Some(sodium));
                }
            }
            if let Some(age) = patient.age {
                events.push(subject, Some(before(1)), "age", Some(age));
            }
            labels.push(subject, DISCHARGE, u32::from(place % 3));
            let split = if place % 5 == 0 {
                Split::HeldOut
            } else {
                Split::Train
            };
            splits.push(subject, split);
        }
        Files {
            files: [
                ("events.parquet", events.into_parquet()),
                ("labels.parquet", labels.into_parquet()),
                ("splits.parquet", splits.into_parquet()),
            ],
        }
    }

    fn size(self) -> u8 {
        match self {
            Self::Usual | Self::Odd => 40,
            Self::Crowded => 120,
        }
    }

    fn patient(self, place: u8) -> Patient {
        let usual = Patient {
            sodium: Some(134.0 + f32::from(place % 10)),
            age: Some(45.0 + f32::from(place % 40)),
        };
        match (self, place) {
            (Self::Odd, 1) => Patient {
                age: Some(OLDEST),
                ..usual
            },
            (Self::Odd, 2) => Patient {
                sodium: Some(180.0),
                ..usual
            },
            (Self::Odd, 3) => Patient {
                sodium: None,
                age: None,
            },
            _ => usual,
        }
    }
}

/// The greatest age at [`Hospital::Odd`]; elsewhere, nobody is above 84.
pub(crate) const OLDEST: f32 = 110.0;

const DISCHARGE: Timestamp = Timestamp(1_704_067_200 * Timestamp::SECOND);

fn before(days: i64) -> Timestamp {
    DISCHARGE.plus(-days * 86_400 * Timestamp::SECOND)
}
