//! The real host of one hospital: its process and its folders.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use e2e::{Process, finish};
use tempfile::TempDir;

use crate::damage::Damage;
use crate::prepared::{NAME, NOWHERE, Prepared, approve, folder};

/// A hospital with a folder of its own.
pub(crate) struct Site {
    prepared: &'static Prepared,
    folder: TempDir,
    /// The folder of the configuration that the host runs with.
    site: PathBuf,
    address: String,
    process: Option<Process>,
}

/// How a host ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Whether it says that all went well.
    pub(crate) success: bool,
    /// All that it said since it was started.
    pub(crate) said: String,
}

impl Site {
    /// A copy of what was prepared, for an aggregator at this address.
    pub(crate) fn new(prepared: &'static Prepared, address: &str) -> Result<Self> {
        let folder = tempfile::tempdir_in(folder()).context("a folder for the hospital")?;
        let site = folder.path().join("site");
        copy(&prepared.site, &site)?;
        let hospital = Self {
            prepared,
            folder,
            site,
            address: address.to_owned(),
            process: None,
        };
        hospital.point_at_aggregator()?;
        Ok(hospital)
    }

    /// Starts the host.
    pub(crate) fn start(&mut self) -> Result<()> {
        // What it said before is in `said` of how it ended, or it was killed in the middle of a word.
        let _ = fs::remove_file(self.log());
        let mut command = self.prepared.programs.host();
        command.arg("run").arg("--config").arg(self.config());
        self.process = Some(Process::start(&mut command, &self.log())?);
        Ok(())
    }

    /// Whether it was started and has not been killed or seen to end.
    pub(crate) fn is_started(&self) -> bool {
        self.process.is_some()
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&mut self) -> Result<Option<End>> {
        let Some(process) = &mut self.process else {
            return Ok(None);
        };
        let Some(status) = process.ended()? else {
            return Ok(None);
        };
        self.process = None;
        Ok(Some(End {
            success: status.success(),
            said: self.said(),
        }))
    }

    /// Kills it at once; gives all that it said.
    pub(crate) fn kill(&mut self) -> Result<String> {
        if let Some(process) = self.process.take() {
            process.kill()?;
        }
        Ok(self.said())
    }

    /// The most memory that it has used so far, in KiB, where the system tells.
    pub(crate) fn memory_kib(&self) -> u64 {
        let Some(process) = &self.process else {
            return 0;
        };
        let status = fs::read_to_string(format!("/proc/{}/status", process.id()));
        let status = status.unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(0)
    }

    /// The text of its ledger; empty where there is none.
    pub(crate) fn ledger(&self) -> String {
        fs::read_to_string(self.ledger_path()).unwrap_or_default()
    }

    /// What `host ledger` prints.
    ///
    /// # Errors
    ///
    /// What it refuses.
    pub(crate) fn show_ledger(&self) -> Result<String> {
        let mut command = self.prepared.programs.host();
        finish(command.arg("ledger").arg("--config").arg(self.config()))
    }

    /// The folder of the approved study's journals, which need not be there.
    pub(crate) fn journals(&self) -> Result<PathBuf> {
        let mut studies = fs::read_dir(self.site.join("state/studies"))?;
        let study = studies.next().context("a study was approved")??;
        Ok(study.path().join("rounds"))
    }

    /// Does this to its folders; it has been killed before.
    pub(crate) fn damage(&mut self, damage: Damage) -> Result<()> {
        let (state, copied) = (self.site.join("state"), self.folder.path().join("copy"));
        match damage {
            Damage::Nothing => {}
            Damage::RemoveRounds => {
                remove_folder(&self.journals()?)?;
            }
            Damage::RemoveLedger => remove(&self.ledger_path())?,
            Damage::KeepCopy => {
                remove_folder(&copied)?;
                copy(&state, &copied)?;
            }
            Damage::RestoreLedger if copied.exists() => {
                remove(&self.ledger_path())?;
                let kept = copied.join(LEDGER);
                if kept.exists() {
                    fs::copy(kept, self.ledger_path())?;
                }
            }
            Damage::RestoreState if copied.exists() => {
                remove_folder(&state)?;
                copy(&copied, &state)?;
            }
            Damage::RestoreLedger | Damage::RestoreState => {}
            Damage::SecondFolder => self.second_folder()?,
        }
        Ok(())
    }

    /// A second site of the same name and key, over the first one's patients, at which people approve the same study.
    fn second_folder(&mut self) -> Result<()> {
        let second = self.folder.path().join("second");
        if second.exists() {
            return Ok(());
        }
        let mut init = self.prepared.programs.host();
        init.arg("init").arg(&second).args(["--site", NAME]);
        init.args(["--aggregator", NOWHERE, "--patient-budget", "none"]);
        init.arg("--data");
        finish(init.arg(self.site.join("data")))?;
        fs::copy(self.site.join("identity.key"), second.join("identity.key"))?;
        self.site = second;
        self.point_at_aggregator()?;
        // Refused here or when it runs: either is right.
        let _ = approve(&self.prepared.programs, &self.prepared.study, &self.site);
        Ok(())
    }

    fn point_at_aggregator(&self) -> Result<()> {
        let text = fs::read_to_string(self.config())?;
        fs::write(
            self.config(),
            text.replace(NOWHERE, &format!("http://{}", self.address)),
        )?;
        Ok(())
    }

    fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn config(&self) -> PathBuf {
        self.site.join("host.toml")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn ledger_path(&self) -> PathBuf {
        self.site.join("state").join(LEDGER)
    }
}

/// The ledger's name in a state folder.
const LEDGER: &str = "ledger.jsonl";

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let to = to.join(path.file_name().context("an entry has a name")?);
        if path.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, &to)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    Ok(())
}

fn remove_folder(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path)?;
    }
    Ok(())
}
