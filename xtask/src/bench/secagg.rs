//! `cargo xtask bench secagg`: what a round of secure aggregation costs a site and the aggregator, beside Flower's own
//! functions on the same machine. Writes `docs/results/secure-aggregation.{md,csv,svg}`.

mod page;
mod table;

use anyhow::{Context, Result};

use self::table::Table;
use super::peers::Peers;
use super::{Cores, Extent, Values, line, measure};
use crate::figures::{self, Figures};
use crate::module;
use crate::shell::{root, say, show, target};

/// Measures, prints and writes.
pub(super) fn run(peers: &Peers, extent: Extent, figures: &mut Figures) -> Result<()> {
    module::build(&target().join("module-out"))?;
    let mut table = Table::default();
    for (_, values) in measure("protocol", "secagg", Some("rounds"), Cores::One)? {
        table.keep_round(&values);
    }
    for (_, values) in measure("protocol", "secagg", Some("rounds"), Cores::All)? {
        table.keep_parallel(&values);
    }
    if extent == Extent::Full {
        for (_, values) in measure("protocol", "secagg", Some("many"), Cores::One)? {
            table.keep_round(&values);
        }
    }
    for (_, values) in measure("client-wasm", "door", Some("secagg"), Cores::One)? {
        table.keep_site(&values);
    }
    for values in peers.aggregate()? {
        table.keep_peer(&values);
    }
    let kernels = measure("protocol", "secagg", Some("kernels"), Cores::One)?;
    for (name, row) in table.rows() {
        figures.record(&name, row.values());
        show(&line(&name, &row.values()));
    }
    for (name, values) in &kernels {
        figures.record(name, values.clone());
        show(&line(name, values));
    }
    if let Peers::Absent(why) = peers {
        show(&format!("peers left out: {why}"));
    }
    write(&table, &kernels)
}

fn write(table: &Table, kernels: &[(String, Values)]) -> Result<()> {
    let folder = root().join("docs/results");
    let origin = format!(
        "`cargo xtask bench secagg --peers PYTHON` on {}",
        figures::machine()
    );
    let files = [
        ("md", page::text(table, kernels, &origin)),
        ("csv", table.csv()?),
        ("svg", page::plot(table).svg()?),
    ];
    for (extension, text) in files {
        let path = folder.join(format!("secure-aggregation.{extension}"));
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        say(&format!("written  {}", path.display()));
    }
    Ok(())
}
