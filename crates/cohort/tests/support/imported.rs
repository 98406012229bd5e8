//! Imports of tables written in a test.

use cohort::import::import;
use protocol::door::{BadRows, Import, Imported};
use protocol::seed::Seed;

/// Imports a table by a map.
pub(crate) fn imported(
    map: &str,
    csv: impl AsRef<[u8]>,
    bad_rows: BadRows,
) -> Result<Imported, String> {
    let request = Import {
        map: map.as_bytes().to_vec().into(),
        name: "t.csv".to_owned(),
        csv: csv.as_ref().to_vec().into(),
        bad_rows,
        id_key: Some(Seed::new([7; 32])),
    };
    let imported = import(&request).map_err(|error| error.to_string())?;
    let passed: u64 = imported.passed.iter().map(|counted| counted.rows).sum();
    let accounted = imported.kept + passed + imported.later + imported.dropped;
    assert_eq!(imported.rows, accounted, "every row is accounted for");
    let by: u64 = imported.dropped_by.iter().map(|counted| counted.rows).sum();
    assert_eq!(imported.dropped, by, "every row left out has a reason");
    Ok(imported)
}
