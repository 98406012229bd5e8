//! Tables that pandas reads, imported and compared with it, value by value.
//!
//! `peers/tables.py` writes the tables and what pandas reads of them; `cargo xtask test` runs it and names the folder in
//! `WARDROUND_PEER_TABLES`. Without the folder, this test says so and passes.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

#[path = "support/imported.rs"]
mod imported;
#[path = "support/table.rs"]
#[expect(dead_code, reason = "labels are for other tests")]
mod table;

use std::path::Path;

use imported::imported;
use protocol::door::BadRows;
use serde::Deserialize;

/// Subject, microseconds, code and the bits of the value.
type Event = (i64, i64, String, Option<String>);

#[derive(Deserialize)]
struct Case {
    file: String,
    map: String,
    want: Vec<Event>,
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped must say so")]
fn every_table_is_imported_as_pandas_reads_it() {
    let Some(folder) = std::env::var_os("WARDROUND_PEER_TABLES") else {
        eprintln!("skipped: WARDROUND_PEER_TABLES names no folder; `cargo xtask test` makes one");
        return;
    };
    let folder = Path::new(&folder);
    let cases = std::fs::read_to_string(folder.join("tables.jsonl")).unwrap();
    let (mut wrong, mut events) = (Vec::new(), 0);
    for line in cases.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let csv = std::fs::read(folder.join(&case.file)).unwrap();
        let mut want = case.want;
        events += want.len();
        want.sort_unstable();
        match read(&case.map, &csv) {
            Ok(got) if got == want => {}
            Ok(got) => {
                let differ = got.iter().zip(&want).find(|(got, want)| got != want);
                let counts = (got.len(), want.len());
                wrong.push(format!(
                    "{}: {differ:?} of {counts:?}\n{}",
                    case.file, case.map
                ));
            }
            Err(error) => wrong.push(format!("{}: {error}\n{}", case.file, case.map)),
        }
    }
    assert!(events > 1_000, "there is something to compare");
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The events of a table, sorted.
fn read(map: &str, csv: &[u8]) -> Result<Vec<Event>, String> {
    let imported = imported(map, csv, BadRows::Stop)?;
    let events = table::events(&imported).into_iter();
    let mut events: Vec<Event> = events
        .map(|(subject, time, code, value)| {
            let bits = value.map(|value| format!("{:08x}", value.to_bits()));
            (subject, time.unwrap_or(i64::MIN), code, bits)
        })
        .collect();
    events.sort_unstable();
    Ok(events)
}
