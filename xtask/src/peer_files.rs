//! Files of pyarrow and polars, and tables that pandas reads, for the tests that compare what is read in them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shell::{has, root, run, say, target};

/// What is installed: writers of Parquet, a reader of CSV, MEDS's own schemas, and the tool that makes MEDS of tables.
const PACKAGES: [&str; 7] = [
    "MEDS-extract==0.7.1",
    "blake3==1.0.11",
    "meds==0.4.1",
    "numpy==2.4.6",
    "pandas==3.1.1",
    "polars==1.44.2",
    "pyarrow==26.0.1",
];

/// Folders of files, and the Python that wrote them.
#[derive(Debug)]
pub(crate) struct PeerFiles {
    /// Of Parquet, with `cases.jsonl`.
    parquet: PathBuf,
    /// Of CSV, with `tables.jsonl`.
    tables: PathBuf,
    python: PathBuf,
}

/// Tables that `cargo xtask test` compares.
const TABLES: u64 = 300;

impl PeerFiles {
    /// Writes them; nothing where there is no Python to do it.
    pub(crate) fn write() -> Result<Option<Self>> {
        let Some(python) = python()? else {
            return Ok(None);
        };
        let parquet = target().join("peer-files");
        let mut command = script(&python, "files.py");
        run(command.arg("write").arg(&parquet))?;
        ensure!(
            parquet.join("cases.jsonl").is_file(),
            "peers/files.py wrote no cases.jsonl"
        );
        let mut same = script(&python, "same_patients.py");
        run(same.arg(parquet.join("same-patients")))?;
        let tables = target().join("peer-tables");
        write_tables(&python, &tables, 1, TABLES)?;
        Ok(Some(Self {
            parquet,
            tables,
            python,
        }))
    }

    /// Tells tests where the files are.
    pub(crate) fn tell(&self, tests: &mut Command) {
        tests
            .env("WARDROUND_PEER_FILES", &self.parquet)
            .env(TABLES_VARIABLE, &self.tables);
    }

    /// Checks what the tests wrote there against MEDS's own schemas.
    pub(crate) fn check(&self) -> Result<()> {
        run(script(&self.python, "files.py")
            .arg("check")
            .arg(&self.parquet))
        .context("what Wardround writes is not as MEDS wants it")
    }
}

/// Writes so many tables of a seed into a folder of their own, and gives it with the variable that names it to the test;
/// nothing where there is no Python to do it.
pub(crate) fn tables_of(seed: u64, count: u64) -> Result<Option<(&'static str, PathBuf)>> {
    let Some(python) = python()? else {
        return Ok(None);
    };
    let folder = target().join("peer-tables-soak");
    write_tables(&python, &folder, seed, count)?;
    Ok(Some((TABLES_VARIABLE, folder)))
}

const TABLES_VARIABLE: &str = "WARDROUND_PEER_TABLES";

fn write_tables(python: &Path, folder: &Path, seed: u64, count: u64) -> Result<()> {
    let mut command = script(python, "tables.py");
    command.arg(folder);
    run(command.args([seed.to_string(), count.to_string()]))?;
    ensure!(
        folder.join("tables.jsonl").is_file(),
        "peers/tables.py wrote no tables.jsonl"
    );
    Ok(())
}

/// A Python of our own, with the packages; nothing where the machine has none.
pub(crate) fn python() -> Result<Option<PathBuf>> {
    if !has("python3") {
        say("python3 is not installed: files of pyarrow, polars and pandas are not compared here");
        return Ok(None);
    }
    let venv = target().join("peers");
    let python = venv.join("bin/python");
    let stamp = venv.join("packages");
    let wanted = PACKAGES.join(" ");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Some(python));
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))
        .context("python3 has no venv: apt-get install python3-venv")?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    run(install.args(PACKAGES))?;
    std::fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(Some(python))
}

fn script(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(root().join("crates/cohort/peers").join(name));
    command
}
