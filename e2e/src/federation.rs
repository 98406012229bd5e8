//! One aggregator and its hospitals.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use protocol::api::Progress;

use crate::process::Process;
use crate::programs::{Programs, finish};

/// A hospital and where its MEDS files are.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// The folder of its files: `events.parquet`, `labels.parquet`, `splits.parquet`.
    pub data: PathBuf,
}

/// One aggregator and its hospitals, on loopback, with all their files in one folder.
#[derive(Debug)]
pub struct Federation {
    programs: Programs,
    folder: PathBuf,
    address: String,
    sites: Vec<Site>,
    aggregator: Option<Process>,
    hosts: Vec<Option<Process>>,
    stage_seconds: u32,
}

impl Federation {
    /// Does what people do before a study can run: keys, enrolment, the study file, approval at every hospital.
    ///
    /// `settings` replace those of the draft, each as `name=value`; `weights` are public ones to start from.
    ///
    /// # Errors
    ///
    /// Whatever one of the programs refuses.
    pub fn set_up(
        programs: Programs,
        folder: &Path,
        draft: &Path,
        settings: &[String],
        weights: Option<&Path>,
        sites: Vec<Site>,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("creating {}", folder.display()))?;
        let hosts = sites.iter().map(|_| None).collect();
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut federation = Self {
            programs,
            folder: folder.to_path_buf(),
            address,
            sites,
            aggregator: None,
            hosts,
            stage_seconds: 5,
        };
        federation.enrol()?;
        let roster = federation.roster(drawn(draft, settings)?)?;
        federation.compose(draft, settings, weights, &roster)?;
        for place in 0..federation.sites.len() {
            federation.approve(place, weights)?;
        }
        Ok(federation)
    }

    /// How long a stage may take, from the aggregator's next start on, before those who are there go on without the
    /// rest; 5 seconds unless said otherwise.
    #[must_use]
    pub fn with_stage_seconds(self, stage_seconds: u32) -> Self {
        Self {
            stage_seconds,
            ..self
        }
    }

    /// The study file.
    #[must_use]
    pub fn study(&self) -> PathBuf {
        self.folder.join("study.toml")
    }

    /// The folder of a site's configuration, key, journal and ledger.
    #[must_use]
    pub fn site_folder(&self, place: usize) -> PathBuf {
        self.folder.join(&self.sites[place].name)
    }

    /// The sites.
    #[must_use]
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The programs.
    #[must_use]
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Starts the aggregator, or starts it again.
    ///
    /// # Errors
    ///
    /// An aggregator that does not answer within some seconds.
    pub fn start_aggregator(&mut self) -> Result<()> {
        let study = self.study();
        self.serve(Some(&study))
    }

    /// Starts the host of a site, or starts it again.
    ///
    /// # Errors
    ///
    /// A host that cannot be started.
    pub fn start_host(&mut self, place: usize) -> Result<()> {
        let log = self.folder.join(format!("{}.log", self.sites[place].name));
        let mut command = self.programs.host();
        command.arg("run").arg("--config").arg(self.config(place));
        self.hosts[place] = Some(Process::start(&mut command, &log)?);
        Ok(())
    }

    /// Kills the aggregator at once.
    ///
    /// # Errors
    ///
    /// One that is not running.
    pub fn kill_aggregator(&mut self) -> Result<()> {
        self.aggregator
            .take()
            .context("no aggregator is running")?
            .kill()
    }

    /// Kills the host of a site at once.
    ///
    /// # Errors
    ///
    /// One that is not running.
    pub fn kill_host(&mut self, place: usize) -> Result<()> {
        self.hosts[place]
            .take()
            .context("this host is not running")?
            .kill()
    }

    /// Every round so far.
    ///
    /// # Errors
    ///
    /// An aggregator that does not answer.
    pub fn progress(&self) -> Result<Progress> {
        let mut response = ureq::get(format!("http://{}/v1/progress", self.address)).call()?;
        let text = response.body_mut().read_to_string()?;
        serde_json::from_str(&text).context("reading the aggregator's progress")
    }

    /// Waits until `reached` says so; calls it with each new progress.
    ///
    /// # Errors
    ///
    /// A host that ends before with an error, an aggregator that ends, and `limit` passing.
    pub fn wait(
        &mut self,
        limit: Duration,
        mut reached: impl FnMut(&Progress) -> bool,
    ) -> Result<Progress> {
        let start = Instant::now();
        loop {
            self.check_running()?;
            if let Ok(progress) = self.progress()
                && reached(&progress)
            {
                return Ok(progress);
            }
            ensure!(
                start.elapsed() < limit,
                "not reached within {} s; {}",
                limit.as_secs(),
                self.last_words()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the hosts that run have ended by themselves.
    ///
    /// # Errors
    ///
    /// A host that ends with an error, and `limit` passing.
    pub fn wait_for_hosts(&mut self, limit: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            self.check_running()?;
            if self.hosts.iter().all(Option::is_none) {
                return Ok(());
            }
            ensure!(
                start.elapsed() < limit,
                "hosts still run after {} s; {}",
                limit.as_secs(),
                self.last_words()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The aggregator's address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Makes a site reach the aggregator at another address.
    ///
    /// # Errors
    ///
    /// A configuration that cannot be read or written.
    pub fn reroute(&self, place: usize, address: &str) -> Result<()> {
        let path = self.config(place);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        let text = text.replace(&self.address, address);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// The configuration file of a site.
    #[must_use]
    pub fn config(&self, place: usize) -> PathBuf {
        self.site_folder(place).join("host.toml")
    }

    fn check_running(&mut self) -> Result<()> {
        if let Some(aggregator) = &mut self.aggregator
            && let Some(status) = aggregator.ended()?
        {
            bail!(
                "the aggregator ended with {status}:\n{}",
                aggregator.last_words()
            );
        }
        for (place, slot) in self.hosts.iter_mut().enumerate() {
            let Some(host) = slot else { continue };
            let Some(status) = host.ended()? else {
                continue;
            };
            if !status.success() {
                bail!(
                    "{} ended with {status}:\n{}",
                    self.sites[place].name,
                    host.last_words()
                );
            }
            *slot = None;
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let running = self.hosts.iter().flatten().chain(&self.aggregator);
        running
            .map(Process::last_words)
            .collect::<Vec<_>>()
            .join("\n---\n")
    }

    /// Enrols every site with a one-time token.
    fn enrol(&mut self) -> Result<()> {
        self.serve(None)?;
        for site in self.sites.clone() {
            let folder = self.folder.join(&site.name);
            let store = self.store();
            let mut token = self.programs.aggregator();
            token
                .args(["token", "--site", &site.name, "--store"])
                .arg(&store);
            let token = finish(&mut token)?;
            let mut init = self.programs.host();
            init.arg("init")
                .arg(&folder)
                .args(["--site", &site.name, "--data"])
                .arg(&site.data);
            init.arg("--aggregator")
                .arg(format!("http://{}", self.address))
                // Synthetic or public patients, and studies without noise among them.
                .args(["--patient-budget", "none"]);
            finish(&mut init)?;
            let mut enrol = self.programs.host();
            enrol
                .arg("enrol")
                .args(["--token", token.trim(), "--config"])
                .arg(folder.join("host.toml"));
            finish(&mut enrol)?;
        }
        Ok(())
    }

    /// Gives the roster file; where sites are drawn by lot, the list is closed and every site reveals its nonce for it.
    fn roster(&mut self, participants: Drawn) -> Result<PathBuf> {
        if participants == Drawn::ByLot {
            let mut close = self.programs.aggregator();
            finish(
                close
                    .args(["roster", "--close", "--store"])
                    .arg(self.store()),
            )?;
            for place in 0..self.sites.len() {
                let mut reveal = self.programs.host();
                finish(
                    reveal
                        .args(["reveal", "--yes", "--config"])
                        .arg(self.config(place)),
                )?;
            }
        }
        self.kill_aggregator()?;
        let mut roster = self.programs.aggregator();
        let roster = finish(roster.arg("roster").arg("--store").arg(self.store()))?;
        let path = self.folder.join("roster.toml");
        std::fs::write(&path, roster).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    fn compose(
        &self,
        draft: &Path,
        settings: &[String],
        weights: Option<&Path>,
        roster: &Path,
    ) -> Result<()> {
        let mut key = self.programs.aggregator();
        let key = finish(key.arg("key").arg("--store").arg(self.store()))?;
        let mut compose = self.programs.host();
        compose
            .arg("compose")
            .arg(draft)
            .arg("--module")
            .arg(&self.programs.module);
        compose
            .args(["--aggregator-key", key.trim(), "--roster"])
            .arg(roster)
            // All of them are run here.
            .args(["--dishonest-sites", "0"]);
        for setting in settings {
            compose.args(["--set", setting]);
        }
        if let Some(weights) = weights {
            compose.arg("--weights").arg(weights);
        }
        finish(compose.arg("--out").arg(self.study()))?;
        Ok(())
    }

    fn approve(&self, place: usize, weights: Option<&Path>) -> Result<()> {
        let mut approve = self.programs.host();
        approve
            .arg("approve")
            .arg(self.study())
            .arg("--module")
            .arg(&self.programs.module);
        if let Some(weights) = weights {
            approve.arg("--weights").arg(weights);
        }
        // The same patients are in many federations, one after the other; real hospitals lack a feature here and there.
        approve.args(["--yes", "--new-ledger", "--accept-doubts"]);
        finish(approve.arg("--config").arg(self.config(place)))?;
        Ok(())
    }

    fn serve(&mut self, study: Option<&Path>) -> Result<()> {
        let mut command = self.programs.aggregator();
        command
            .arg("serve")
            .arg("--store")
            .arg(self.store())
            .args(["--listen", &self.address]);
        command
            .args(["--stage-seconds", &self.stage_seconds.to_string()])
            .args(["--advertise-seconds", "90"]);
        if let Some(study) = study {
            command.arg("--study").arg(study);
        }
        self.aggregator = Some(Process::start(
            &mut command,
            &self.folder.join("aggregator.log"),
        )?);
        let start = Instant::now();
        while ureq::get(format!("http://{}/v1/health", self.address))
            .call()
            .is_err()
        {
            self.check_running()?;
            ensure!(
                start.elapsed() < Duration::from_secs(20),
                "the aggregator does not answer"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn store(&self) -> PathBuf {
        self.folder.join("aggregator")
    }
}

/// Who takes part in a round of training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drawn {
    /// Every site.
    All,
    /// Some, by lot.
    ByLot,
}

/// Who takes part in a study of this draft with these settings.
fn drawn(draft: &Path, settings: &[String]) -> Result<Drawn> {
    let text =
        std::fs::read_to_string(draft).with_context(|| format!("reading {}", draft.display()))?;
    let setting = "participants";
    let of_draft = text
        .lines()
        .any(|line| line.trim_start().starts_with(setting));
    let of_settings = settings
        .iter()
        .any(|text| text.starts_with("training.participants"));
    Ok(if of_draft || of_settings {
        Drawn::ByLot
    } else {
        Drawn::All
    })
}

/// A port of loopback that nothing listened on a moment ago.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    Ok(listener.local_addr().context("asking for the port")?.port())
}
