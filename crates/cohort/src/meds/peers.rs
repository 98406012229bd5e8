//! Files that pyarrow and polars wrote, read value by value.
//!
//! `peers/files.py` writes the files, and says what is right in each by Python's own numbers; `cargo xtask test` runs it
//! and names the folder in `WARDROUND_PEER_FILES`. Without the folder, this test says so and passes.

use std::path::Path;

use protocol::door::{BadRows, Outcomes, Role, Source, Split, piece};
use serde::Deserialize;

use super::{Arrived, Arriving, EventRow, Events, LabelValue, Labels, Reader, Splits, Timestamp};
use crate::error::CohortError;

#[derive(Deserialize)]
struct Case {
    file: String,
    /// The use of the column under test.
    r#use: String,
    want: Want,
}

#[derive(Deserialize, PartialEq, Debug)]
#[serde(untagged)]
enum Want {
    /// `refused`: no row can be read.
    Refused(String),
    /// One text a row.
    Rows(Vec<String>),
}

const BAD: &str = "bad";
const NULL: &str = "null";

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped must say so")]
fn every_file_of_pyarrow_and_polars_is_read_as_they_read_it_or_refused() {
    let Some(folder) = std::env::var_os("WARDROUND_PEER_FILES") else {
        eprintln!("skipped: WARDROUND_PEER_FILES names no folder; `cargo xtask test` makes one");
        return;
    };
    let folder = Path::new(&folder);
    let cases = std::fs::read_to_string(folder.join("cases.jsonl")).unwrap();
    let mut wrong = Vec::new();
    let mut refused = 0;
    for line in cases.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let bytes = std::fs::read(folder.join(&case.file)).unwrap();
        let got = read(&case.r#use, &case.file, &bytes);
        refused += usize::from(matches!(got, Want::Refused(_)));
        let same = match (&got, &case.want) {
            (Want::Refused(message), Want::Refused(_)) => is_helpful(message),
            (got, want) => got == want,
        };
        if !same {
            wrong.push(difference(&case, &got));
        }
    }
    assert!(refused > 100 && cases.lines().count() > 1_000);
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    write(folder);
}

/// A refusal names file, column and type, and says what to write.
fn is_helpful(message: &str) -> bool {
    message.contains(".parquet, column ")
        && (message.contains("; want ")
            || message.contains("write it as timestamp[us]")
            || message.contains("; write one value a row"))
}

fn difference(case: &Case, got: &Want) -> String {
    let place = match (got, &case.want) {
        (Want::Rows(got), Want::Rows(want)) => {
            let mut rows = got.iter().zip(want).enumerate();
            let row = rows.find(|(_, (got, want))| got != want);
            format!("{row:?} of {} and {}", got.len(), want.len())
        }
        _ => format!("{got:.200?} for {:.200?}", case.want),
    };
    format!("{} as {}: {place}", case.file, case.r#use)
}

/// What is read of a file, one text a row.
fn read(use_of: &str, name: &str, bytes: &[u8]) -> Want {
    let mut reader = Reader::new(BadRows::Drop);
    let mut rows: Vec<(u64, String)> = Vec::new();
    let last = read_rows(&mut reader, use_of, name, bytes, |row, text| {
        rows.push((row, text.unwrap_or_else(|| NULL.to_owned())));
    });
    match last {
        Err(error) => Want::Refused(error.to_string()),
        Ok(()) => {
            let bad = usize::try_from(reader.triage.dropped).unwrap();
            let mut texts = vec![BAD.to_owned(); rows.len() + bad];
            for (row, text) in rows {
                texts[usize::try_from(row).unwrap() - 1] = text;
            }
            Want::Rows(texts)
        }
    }
}

/// Gives the number and the cell of each row.
fn read_rows(
    reader: &mut Reader,
    use_of: &str,
    name: &str,
    bytes: &[u8],
    mut each: impl FnMut(u64, Option<String>),
) -> Result<(), CohortError> {
    let mut arriving = Arriving::new(&Source {
        name: name.to_owned(),
        role: Role::Events,
        bytes: bytes.len() as u64,
        zone: None,
    })?;
    let is_label = matches!(use_of, "boolean" | "integer");
    let (mut labels, mut events) = (None, None);
    loop {
        match arriving.next()? {
            Arrived::End => return Ok(()),
            Arrived::Wants(number) => arriving.take(piece(bytes, number))?,
            Arrived::Footer(parquet) if is_label => {
                let columns = reader.label_columns(parquet, Outcomes::Known)?;
                let places = columns.places();
                labels = Some(columns);
                arriving.choose(places);
            }
            Arrived::Footer(parquet) => {
                let columns = reader.event_columns(parquet)?;
                let places = columns.places();
                events = Some(columns);
                arriving.choose(places);
            }
            Arrived::Group(parquet, group) => {
                if let Some(columns) = &mut labels {
                    reader.labels(parquet, group, columns, |label, _| {
                        each(label.row, label_text(&label.value));
                        Ok(())
                    })?;
                }
                if let Some(columns) = &mut events {
                    reader.events(parquet, group, columns, |event, _| {
                        each(event.row, event_text(use_of, event));
                        Ok(())
                    })?;
                }
            }
        }
    }
}

fn label_text(value: &LabelValue<'_>) -> Option<String> {
    match value {
        LabelValue::None => None,
        LabelValue::Boolean(value) => Some(value.to_string()),
        LabelValue::Integer(value) => Some(value.to_string()),
        _ => Some("another value".to_owned()),
    }
}

fn event_text(use_of: &str, event: &EventRow<'_>) -> Option<String> {
    match use_of {
        "id" => event.subject.map(|subject| subject.to_string()),
        "time" => event.time.map(|Timestamp(micros)| micros.to_string()),
        "text" => event
            .code
            .map(|code| String::from_utf8_lossy(code).into_owned()),
        _ => event.value.map(number),
    }
}

/// The bits of a number: texts of floats differ between languages.
fn number(value: f64) -> String {
    if value.is_nan() {
        "nan".to_owned()
    } else {
        format!("{:016x}", value.to_bits())
    }
}

/// What Wardround writes, for the check against MEDS's own schemas.
fn write(folder: &Path) {
    let (mut events, mut labels, mut splits) =
        (Events::default(), Labels::default(), Splits::default());
    for subject in 1..=3_i64 {
        events.push(subject, None, "GENDER//F", None);
        events.push(subject, Some(Timestamp(subject)), "HR", Some(60.5));
        labels.push(subject, Timestamp(9), 1);
        splits.push(subject, Split::HeldOut);
    }
    for (name, bytes) in [
        ("events", events.into_parquet()),
        ("labels", labels.into_parquet()),
        ("splits", splits.into_parquet()),
    ] {
        std::fs::write(folder.join(format!("written-{name}.parquet")), bytes).unwrap();
    }
}
