//! Imports of tables written in a test.

use std::ops::Deref;

use cohort::File;
use cohort::import::import;
use protocol::door::{self, BadRows, Import};
use protocol::seed::Seed;

/// What an import made, and what it told.
#[derive(Debug)]
pub(crate) struct Imported {
    pub(crate) files: Vec<File>,
    told: door::Imported,
}

impl Deref for Imported {
    type Target = door::Imported;

    fn deref(&self) -> &door::Imported {
        &self.told
    }
}

/// Imports a table by a map.
pub(crate) fn imported(
    map: &str,
    csv: impl AsRef<[u8]>,
    bad_rows: BadRows,
) -> Result<Imported, String> {
    let request = Import {
        map: map.as_bytes().to_vec().into(),
        name: "t.csv".to_owned(),
        bad_rows,
        id_key: Some(Seed::new([7; 32])),
        memory_mib: 1_024,
    };
    let (files, told) = import(&request, csv.as_ref()).map_err(|error| error.to_string())?;
    let passed: u64 = told.passed.iter().map(|counted| counted.rows).sum();
    let accounted = told.kept + passed + told.later + told.dropped;
    assert_eq!(told.rows, accounted, "every row is accounted for");
    let by: u64 = told.dropped_by.iter().map(|counted| counted.rows).sum();
    assert_eq!(told.dropped, by, "every row left out has a reason");
    Ok(Imported { files, told })
}
