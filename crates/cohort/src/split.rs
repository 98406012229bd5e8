//! Which part of the cohort a patient is in.

use protocol::door::Split;
use protocol::id::Digest;
use protocol::study;

const DOMAIN: &[u8] = b"wardround split 1";

/// The split of a patient by a hash of study and subject: each site can tell it alone, and cannot choose it.
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact in an f64")]
pub(crate) fn by_hash(study: &Digest, subject: i64, shares: study::Split) -> Split {
    let digest = Digest::of(&[DOMAIN, &study.0, &subject.to_le_bytes()].concat());
    let first = digest
        .0
        .iter()
        .take(8)
        .fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    // Uniform over [0, 1) on a grid of 2^-53.
    let place = (first >> 11) as f64 * (-53f64).exp2();
    if place < shares.train {
        Split::Train
    } else if place < shares.train + shares.tuning {
        Split::Tuning
    } else {
        Split::HeldOut
    }
}

/// The split that MEDS calls `name`.
pub(crate) fn by_name(name: &[u8]) -> Option<Split> {
    match name {
        b"train" => Some(Split::Train),
        b"tuning" => Some(Split::Tuning),
        b"held_out" => Some(Split::HeldOut),
        _ => None,
    }
}

/// What MEDS calls a split.
#[must_use]
pub fn name(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Tuning => "tuning",
        Split::HeldOut => "held_out",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARES: study::Split = study::Split {
        train: 0.7,
        tuning: 0.1,
    };

    #[test]
    fn shares_are_kept_and_another_study_splits_otherwise() {
        let splits = |study: &[u8]| -> Vec<Split> {
            let study = Digest::of(study);
            (0..10_000)
                .map(|subject| by_hash(&study, subject, SHARES))
                .collect()
        };
        let first = splits(b"first");
        let count = |split| first.iter().filter(|found| **found == split).count();
        assert!((6_800..7_200).contains(&count(Split::Train)));
        assert!((900..1_100).contains(&count(Split::Tuning)));
        assert!((1_800..2_200).contains(&count(Split::HeldOut)));
        assert_ne!(first, splits(b"second"));
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for split in [Split::Train, Split::Tuning, Split::HeldOut] {
            assert_eq!(by_name(name(split).as_bytes()), Some(split));
        }
        assert_eq!(by_name(b"test"), None);
    }
}
