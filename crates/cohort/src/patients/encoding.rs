//! Patients as bytes: what the host keeps between preparation and training.
//!
//! ```text
//! magic "ward-coh" · version 4 · outcomes u8 (0: all known, 1: any) · fingerprint of the features [32] · rows u32
//! subjects i64… · times i64… · splits u8… · labels u8… (255: not known) · observed, one bit a value · the observed values f32…
//! ```
//!
//! Numbers are little-endian. Bits fill bytes from the lowest; the last byte's unused bits are 0.

use protocol::door::{Outcomes, Split};
use protocol::id::Digest;
use protocol::study::{Cohort, Encoding, Shape};

use super::{Columns, Outcome, Rows};
use crate::slots::Slots;

const MAGIC: &[u8; 8] = b"ward-coh";
const VERSION: u8 = 4;
/// In the place of a label that is not known: a study has fewer classes.
const UNKNOWN: u8 = u8::MAX;
/// Bytes of a row beside its values: subject, time, split and label.
const ROW: usize = 18;

/// Why bytes are not the patients of a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes do not begin as a prepared cohort does.
    #[error("these bytes are no prepared cohort")]
    NotCohort,
    /// Another version of the module wrote the bytes.
    #[error(
        "the prepared cohort has version {0} and this module reads {VERSION}: prepare it again"
    )]
    Version(u8),
    /// The rows were prepared without asking for outcomes.
    #[error(
        "these patients were prepared for predictions alone, where an outcome need not be known: prepare them for training"
    )]
    ForPrediction,
    /// The cohort was prepared for other features, classes or bins.
    #[error("the cohort was prepared for other features than the study's: prepare it again")]
    OtherFeatures,
    /// The bytes end too early, or go on after the end.
    #[error("the prepared cohort is {found} bytes long and should be {want}")]
    Length {
        /// Bytes there are.
        found: usize,
        /// Bytes that the cohort's own numbers ask for.
        want: usize,
    },
    /// A row's subject, split, label or value is none that preparation writes.
    #[error("the prepared cohort is damaged: row {0} (from 0) has an impossible entry")]
    Damaged(usize),
}

impl<L: Outcome> Rows<L> {
    /// The patients as bytes, for [`Rows::decode`] with the same features.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + self.len() * ROW + self.values.len() * 5);
        bytes.extend(MAGIC);
        bytes.push(VERSION);
        bytes.push(outcomes_code(L::OUTCOMES));
        bytes.extend(self.fingerprint.0);
        bytes.extend(u32::try_from(self.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(
            self.subjects
                .iter()
                .flat_map(|subject| subject.to_le_bytes()),
        );
        bytes.extend(self.times.iter().flat_map(|time| time.to_le_bytes()));
        bytes.extend(self.splits.iter().map(|split| split_code(*split)));
        bytes.extend(self.labels.iter().map(|label| label_code(*label)));
        bytes.extend(self.observed.chunks(8).map(pack));
        for (value, observed) in self.values.iter().zip(&self.observed) {
            if *observed != 0 {
                bytes.extend(value.to_le_bytes());
            }
        }
        bytes
    }

    /// The patients that [`Rows::encode`] wrote for a study with these features; those to train on are read as
    /// [`super::Candidates`] too.
    ///
    /// # Errors
    ///
    /// Any bytes but those: total, and no more memory than a small multiple of the bytes' length.
    pub fn decode(bytes: &[u8], cohort: &Cohort) -> Result<Self, DecodeError> {
        let mut rest = bytes;
        if take(&mut rest, MAGIC.len()) != Some(MAGIC) {
            return Err(DecodeError::NotCohort);
        }
        match take(&mut rest, 1) {
            Some([VERSION]) => {}
            Some([version]) => return Err(DecodeError::Version(*version)),
            _ => return Err(DecodeError::NotCohort),
        }
        match take(&mut rest, 1).and_then(|code| outcomes_of(code[0])) {
            Some(Outcomes::Known) => {}
            Some(Outcomes::Any) if L::OUTCOMES == Outcomes::Any => {}
            Some(Outcomes::Any) => return Err(DecodeError::ForPrediction),
            None => return Err(DecodeError::NotCohort),
        }
        if take(&mut rest, 32).ok_or(DecodeError::NotCohort)? != fingerprint(cohort).0.as_slice() {
            return Err(DecodeError::OtherFeatures);
        }
        let patients = take(&mut rest, 4).and_then(|bytes| bytes.try_into().ok());
        let patients = u32::from_le_bytes(patients.ok_or(DecodeError::NotCohort)?);
        let patients = usize::try_from(patients).unwrap_or(usize::MAX);
        let slots = Slots::of(cohort).len();
        let head = bytes.len() - rest.len();
        let stored = Stored::cut(rest, patients, slots).map_err(|want| DecodeError::Length {
            found: bytes.len(),
            want: want.saturating_add(head),
        })?;
        stored.read(cohort, slots)
    }
}

/// The bytes of each column; their lengths fit.
struct Stored<'a> {
    subjects: &'a [u8],
    times: &'a [u8],
    splits: &'a [u8],
    labels: &'a [u8],
    observed: &'a [u8],
    values: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Cuts `bytes` into columns, or says how long they should be.
    fn cut(bytes: &'a [u8], patients: usize, slots: usize) -> Result<Self, usize> {
        let mask = patients.checked_mul(slots).ok_or(usize::MAX)?.div_ceil(8);
        let fixed = patients
            .checked_mul(ROW)
            .and_then(|fixed| fixed.checked_add(mask))
            .ok_or(usize::MAX)?;
        let (fixed_bytes, values) = bytes.split_at_checked(fixed).ok_or(fixed)?;
        let (subjects, rest) = fixed_bytes.split_at(patients * 8);
        let (times, rest) = rest.split_at(patients * 8);
        let (splits, rest) = rest.split_at(patients);
        let (labels, observed) = rest.split_at(patients);
        let count: usize = observed.iter().map(|bits| bits.count_ones() as usize).sum();
        let want = count.checked_mul(4).ok_or(usize::MAX)?;
        if values.len() == want {
            Ok(Self {
                subjects,
                times,
                splits,
                labels,
                observed,
                values,
            })
        } else {
            Err(fixed.saturating_add(want))
        }
    }

    fn read<L: Outcome>(&self, cohort: &Cohort, slots: usize) -> Result<Rows<L>, DecodeError> {
        let patients = self.splits.len();
        let splits = self.splits.iter().enumerate();
        let splits =
            splits.map(|(patient, code)| split_of(*code).ok_or(DecodeError::Damaged(patient)));
        let labels = self.labels.iter().enumerate().map(|(patient, label)| {
            let class = match *label {
                UNKNOWN => None,
                class if usize::from(class) < cohort.classes.len() => Some(u32::from(class)),
                _ => return Err(DecodeError::Damaged(patient)),
            };
            L::of(class).ok_or(DecodeError::Damaged(patient))
        });
        let mut observed: Vec<u8> = Vec::with_capacity(self.observed.len() * 8);
        for bits in self.observed {
            observed.extend_from_slice(&unpack(*bits));
        }
        if observed.drain(patients * slots..).any(|spare| spare != 0) {
            return Err(DecodeError::Damaged(patients.saturating_sub(1)));
        }
        let mut values = vec![0.0; observed.len()];
        let mut stored = self.values.as_chunks().0.iter();
        for (place, (value, observed)) in values.iter_mut().zip(&observed).enumerate() {
            if *observed != 0 {
                *value = stored
                    .next()
                    .map_or(f32::NAN, |bytes| f32::from_le_bytes(*bytes));
                if !value.is_finite() {
                    return Err(DecodeError::Damaged(place / slots));
                }
            }
        }
        let splits = splits.collect::<Result<_, _>>()?;
        let labels = labels.collect::<Result<_, _>>()?;
        let patients = Rows::new(
            cohort,
            Columns {
                subjects: integers(self.subjects),
                times: integers(self.times),
                splits,
                labels,
                observed,
                values,
            },
        );
        match misplaced(&patients, cohort) {
            Some(row) => Err(DecodeError::Damaged(row)),
            None => Ok(patients),
        }
    }
}

/// The first row of a patient that stands twice, has more rows than the study uses, or is in two splits: each would
/// make one patient count for more than the noise hides.
fn misplaced<L: Outcome>(patients: &Rows<L>, cohort: &Cohort) -> Option<usize> {
    let most = usize::try_from(L::most_rows(cohort)).unwrap_or(usize::MAX);
    let (subjects, splits) = (patients.subjects(), patients.splits());
    let mut before = None;
    for rows in patients.patients() {
        let subject = subjects[rows.start];
        let one_split = splits[rows.clone()]
            .iter()
            .all(|split| *split == splits[rows.start]);
        if rows.len() > most || !one_split || before.is_some_and(|before| subject <= before) {
            return Some(rows.start);
        }
        before = Some(subject);
    }
    None
}

/// A digest of all that decides what the values mean: prepared values of other features are not mistaken for these.
pub(super) fn fingerprint(cohort: &Cohort) -> Digest {
    let mut text = Vec::new();
    let mut put = |part: &[u8]| {
        text.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        text.extend(part);
    };
    put(&cohort.history.in_hours().to_le_bytes());
    put(cohort.classes.join("\n").as_bytes());
    put(&cohort.labels_per_patient.to_le_bytes());
    for modality in &cohort.modalities {
        put(modality.name.as_bytes());
        match modality.shape {
            Shape::Static => put(b"static"),
            // How bins are grouped into tokens is the model's business, not the values'.
            Shape::Series { bin, .. } => put(&bin.in_hours().to_le_bytes()),
        }
        for feature in &modality.features {
            put(feature.code.as_bytes());
            put(feature.unit.as_bytes());
            put(&feature.low.to_le_bytes());
            put(&feature.high.to_le_bytes());
            put(match feature.encoding {
                Encoding::Value => b"value",
                Encoding::Presence => b"presence",
                Encoding::YearsSince => b"years-since",
            });
        }
    }
    Digest::of(&text)
}

fn integers(bytes: &[u8]) -> Vec<i64> {
    let numbers = bytes.as_chunks().0.iter();
    numbers.map(|bytes| i64::from_le_bytes(*bytes)).collect()
}

fn outcomes_code(outcomes: Outcomes) -> u8 {
    match outcomes {
        Outcomes::Known => 0,
        Outcomes::Any => 1,
    }
}

fn outcomes_of(code: u8) -> Option<Outcomes> {
    match code {
        0 => Some(Outcomes::Known),
        1 => Some(Outcomes::Any),
        _ => None,
    }
}

fn label_code(label: impl Outcome) -> u8 {
    let class = label.class().and_then(|class| u8::try_from(class).ok());
    class.unwrap_or(UNKNOWN)
}

fn split_code(split: Split) -> u8 {
    match split {
        Split::Train => 0,
        Split::Tuning => 1,
        Split::HeldOut => 2,
    }
}

fn split_of(code: u8) -> Option<Split> {
    match code {
        0 => Some(Split::Train),
        1 => Some(Split::Tuning),
        2 => Some(Split::HeldOut),
        _ => None,
    }
}

/// Up to eight flags as bits.
fn pack(flags: &[u8]) -> u8 {
    flags
        .iter()
        .enumerate()
        .fold(0, |bits, (bit, flag)| bits | u8::from(*flag != 0) << bit)
}

/// The reverse of [`pack`].
fn unpack(bits: u8) -> [u8; 8] {
    std::array::from_fn(|bit| bits >> bit & 1)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(taken)
}
