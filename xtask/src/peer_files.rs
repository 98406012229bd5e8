//! Files of pyarrow and polars, for the tests that compare what is read in them with what they read.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shell::{has, root, run, say, target};

/// What is installed: writers of Parquet, MEDS's own schemas, and the tool that makes MEDS of tables.
const PACKAGES: [&str; 6] = [
    "MEDS-extract==0.7.1",
    "blake3==1.0.11",
    "meds==0.4.1",
    "numpy==2.4.6",
    "polars==1.44.2",
    "pyarrow==26.0.1",
];

/// A folder of files, and the Python that wrote them.
#[derive(Debug)]
pub(crate) struct PeerFiles {
    /// The folder, with `cases.jsonl`: tests are told by the variable [`VARIABLE`].
    pub(crate) folder: PathBuf,
    python: PathBuf,
}

/// Names the folder to the tests.
pub(crate) const VARIABLE: &str = "WARDROUND_PEER_FILES";

impl PeerFiles {
    /// Writes them; nothing where there is no Python to do it.
    pub(crate) fn write() -> Result<Option<Self>> {
        let Some(python) = python()? else {
            return Ok(None);
        };
        let folder = target().join("peer-files");
        let mut command = script(&python, "write", &folder);
        run(&mut command)?;
        ensure!(
            folder.join("cases.jsonl").is_file(),
            "peers/files.py wrote no cases.jsonl"
        );
        let mut same = Command::new(&python);
        same.arg(root().join("crates/cohort/peers/same_patients.py"));
        run(same.arg(folder.join("same-patients")))?;
        Ok(Some(Self { folder, python }))
    }

    /// Checks what the tests wrote there against MEDS's own schemas.
    pub(crate) fn check(&self) -> Result<()> {
        run(&mut script(&self.python, "check", &self.folder))
            .context("what Wardround writes is not as MEDS wants it")
    }
}

/// A Python of our own, with the packages; nothing where the machine has none.
pub(crate) fn python() -> Result<Option<PathBuf>> {
    if !has("python3") {
        say("python3 is not installed: files of pyarrow and polars are not compared here");
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

fn script(python: &Path, verb: &str, folder: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg(root().join("crates/cohort/peers/files.py"));
    command.arg(verb).arg(folder);
    command
}
