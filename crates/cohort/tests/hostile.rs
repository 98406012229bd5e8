//! Bytes that are no file of ours: refused, or read as something, but never a panic and never without bound.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod support;

use cohort::File;
use cohort::{DecodeError, Patients, prepare};
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::schema::types::ColumnPath;
use proptest::prelude::*;
use protocol::door::{BadRows, Role};
use protocol::id::Digest;
use protocol::study::{Cohort, Encoding as Coding, Shape, Span};
use support::{Cell, EVENTS, cell, event, feature, modality, study, written};

fn cohort() -> Cohort {
    let features = vec![
        feature("HR", Coding::Value, 20.0, 250.0),
        feature("CT", Coding::Presence, 0.0, 1.0),
    ];
    study(
        28,
        vec![modality(
            "vitals",
            Shape::Series {
                bin: Span::days(7),
                bins_per_token: 1,
            },
            features,
        )],
    )
}

/// Files as our writer leaves them.
fn files() -> [File; 3] {
    files_with(&WriterProperties::builder().set_compression(Compression::SNAPPY))
}

/// The ways to write a file that differ in what the reader runs through.
fn variants() -> Vec<[File; 3]> {
    let plain = || WriterProperties::builder().set_dictionary_enabled(false);
    let version_2 = || WriterProperties::builder().set_writer_version(WriterVersion::PARQUET_2_0);
    vec![
        files(),
        files_with(&WriterProperties::builder()),
        files_with(&plain()),
        files_with(&version_2()),
        files_with(
            &version_2()
                .set_dictionary_enabled(false)
                .set_encoding(Encoding::PLAIN),
        ),
        files_with(&delta(version_2(), Encoding::DELTA_LENGTH_BYTE_ARRAY)),
        files_with(&delta(plain(), Encoding::DELTA_BYTE_ARRAY)),
    ]
}

/// Numbers as differences, values in split bytes, texts as they are said.
fn delta(properties: WriterPropertiesBuilder, texts: Encoding) -> WriterPropertiesBuilder {
    let column = |name: &str| ColumnPath::new(vec![name.to_owned()]);
    ["subject_id", "time", "prediction_time"]
        .iter()
        .fold(properties.set_dictionary_enabled(false), |all, name| {
            all.set_column_encoding(column(name), Encoding::DELTA_BINARY_PACKED)
        })
        .set_column_encoding(column("numeric_value"), Encoding::BYTE_STREAM_SPLIT)
        .set_column_encoding(column("code"), texts)
        .set_column_encoding(column("split"), texts)
}

fn files_with(properties: &WriterPropertiesBuilder) -> [File; 3] {
    let codes = ["HR", "CT"].iter().cycle();
    let rows: Vec<_> = (0..50)
        .zip(codes)
        .map(|(row, code)| {
            event(
                row % 5,
                (row % 7 != 0).then_some(row),
                code,
                (row % 3 != 0).then_some(60.0),
            )
        })
        .collect();
    let labels: Vec<_> = (0..5)
        .map(|row| {
            vec![
                cell::int(row),
                cell::time(1_000),
                if row % 2 == 0 {
                    cell::yes()
                } else {
                    cell::no()
                },
            ]
        })
        .collect();
    let splits: Vec<_> = (0..5)
        .map(|row| vec![cell::int(row), cell::text("train")])
        .collect();
    let file = |name, role, columns, rows: &[Vec<Cell>]| {
        written(name, role, columns, rows, 1_000, properties.clone().build())
    };
    [
        file("events", Role::Events, EVENTS, &rows),
        file(
            "labels",
            Role::Labels,
            "subject_id:i64 prediction_time:us boolean_value:bool",
            &labels,
        ),
        file("splits", Role::Splits, "subject_id:i64 split:text", &splits),
    ]
}

fn read(files: &[File]) {
    let _ = prepare(&cohort(), &Digest::of(b"study"), files, BadRows::Drop);
}

fn patients() -> Patients {
    prepare(&cohort(), &Digest::of(b"study"), &files(), BadRows::Stop)
        .unwrap()
        .0
}

#[test]
fn every_prefix_of_a_file_is_refused() {
    for (place, whole) in
        (0..3).flat_map(|place| variants().into_iter().map(move |files| (place, files)))
    {
        for length in 0..whole[place].bytes.len() {
            let mut files = whole.clone();
            files[place].bytes = whole[place].bytes[..length].to_vec();
            let refused = prepare(&cohort(), &Digest::of(b"study"), &files, BadRows::Stop);
            assert!(refused.is_err(), "{length} bytes of {}", files[place].name);
        }
    }
}

#[test]
fn every_flipped_bit_is_survived() {
    for (place, whole) in
        (0..3).flat_map(|place| variants().into_iter().map(move |files| (place, files)))
    {
        for bit in 0..whole[place].bytes.len() * 8 {
            let mut files = whole.clone();
            files[place].bytes[bit / 8] ^= 1 << (bit % 8);
            read(&files);
        }
    }
}

#[test]
fn every_truncated_or_damaged_cohort_is_refused() {
    let patients = patients();
    let bytes = patients.encode();
    assert_eq!(Patients::decode(&bytes, &cohort()).as_ref(), Ok(&patients));
    for length in 0..bytes.len() {
        assert!(Patients::decode(&bytes[..length], &cohort()).is_err());
    }
    let mut longer = bytes.clone();
    longer.push(0);
    let length = DecodeError::Length {
        found: bytes.len() + 1,
        want: bytes.len(),
    };
    assert_eq!(Patients::decode(&longer, &cohort()), Err(length));
    let mut newer = bytes.clone();
    newer[8] = 9;
    assert_eq!(
        Patients::decode(&newer, &cohort()),
        Err(DecodeError::Version(9))
    );
    let mut other = cohort();
    other.modalities[0].features[0].high = 300.0;
    assert_eq!(
        Patients::decode(&bytes, &other),
        Err(DecodeError::OtherFeatures)
    );
    // Subjects stand from byte 46 on, eight bytes each: magic, version, kind, fingerprint and number are before them.
    let mut twice = bytes.clone();
    twice.copy_within(46..54, 54);
    assert_eq!(
        Patients::decode(&twice, &cohort()),
        Err(DecodeError::Damaged(0)),
        "a patient with more labels than the study uses"
    );
    let mut unordered = bytes.clone();
    unordered[46..54].copy_from_slice(&i64::MAX.to_le_bytes());
    assert_eq!(
        Patients::decode(&unordered, &cohort()),
        Err(DecodeError::Damaged(1)),
        "a patient could stand in two places"
    );
    let mut infinite = bytes;
    let end = infinite.len();
    infinite[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    assert_eq!(
        Patients::decode(&infinite, &cohort()),
        Err(DecodeError::Damaged(4))
    );
}

proptest! {
    #[test]
    fn random_bytes_are_no_file(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let framed = [b"PAR1".as_slice(), &bytes, b"PAR1"].concat();
        for bytes in [bytes, framed] {
            for place in 0..3 {
                let mut files = files();
                files[place].bytes = bytes.clone();
                read(&files);
            }
        }
    }

    #[test]
    fn overwritten_bytes_are_survived(at in any::<prop::sample::Index>(), patch in prop::collection::vec(any::<u8>(), 1..9)) {
        for place in 0..3 {
            let mut files = files();
            let length = files[place].bytes.len();
            for (offset, byte) in patch.iter().enumerate() {
                files[place].bytes[(at.index(length) + offset) % length] = *byte;
            }
            read(&files);
        }
    }

    #[test]
    fn a_cohort_that_decodes_is_encoded_to_the_same_bytes(
        at in any::<prop::sample::Index>(),
        patch in prop::collection::vec(any::<u8>(), 0..9),
        tail in prop::collection::vec(any::<u8>(), 0..9),
    ) {
        let mut bytes = patients().encode();
        let length = bytes.len();
        for (offset, byte) in patch.iter().enumerate() {
            bytes[(at.index(length) + offset) % length] = *byte;
        }
        bytes.extend(tail);
        if let Ok(patients) = Patients::decode(&bytes, &cohort()) {
            prop_assert_eq!(patients.encode(), bytes);
        }
    }
}
