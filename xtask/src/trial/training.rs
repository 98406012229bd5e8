//! Trains in one way or another.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::{Federation, Programs, Site, finish};
use indicatif::{ProgressBar, ProgressStyle};
use protocol::api::Progress;
use protocol::id::Purpose;

use super::predictions::Predictions;
use crate::shell::say;

/// The longest that a federation of a trial may take.
const LIMIT: Duration = Duration::from_secs(3 * 3_600);

/// Hospitals that have approved a study.
#[derive(Debug)]
pub(crate) struct Ground {
    federation: Federation,
    folder: PathBuf,
}

/// A trained model.
#[derive(Clone, Debug)]
pub(crate) struct Trained {
    /// The file of its state.
    pub(crate) state: PathBuf,
    /// Seconds of training, the start of the programs included.
    pub(crate) seconds: f64,
    /// Rounds of training; none where nothing was sent.
    pub(crate) rounds: Option<usize>,
}

impl Ground {
    /// Enrols the hospitals and has them approve the study that `settings` make of the draft, started from public
    /// `weights` where there are any.
    pub(crate) fn set_up(
        programs: &Programs,
        sites: &[Site],
        draft: &Path,
        settings: &[String],
        weights: Option<&Path>,
        folder: &Path,
    ) -> Result<Self> {
        Ok(Self {
            federation: Federation::set_up(
                programs.clone(),
                folder,
                draft,
                settings,
                weights,
                sites.to_vec(),
            )?,
            folder: folder.to_path_buf(),
        })
    }

    /// The hospitals.
    pub(crate) fn sites(&self) -> &[Site] {
        self.federation.sites()
    }

    /// Trains one hospital's patients alone.
    pub(crate) fn alone(&self, place: usize) -> Result<Trained> {
        say(&format!("training on {} alone", self.sites()[place].name));
        self.baseline(place, &[place])
    }

    /// Trains all patients in one place, without clipping and noise.
    pub(crate) fn pooled(&self) -> Result<Trained> {
        say("training on all patients in one place");
        let all: Vec<usize> = (0..self.sites().len()).collect();
        self.baseline(0, &all)
    }

    /// Runs the federation to its end, named `name` where it is shown; the last hospital is killed in the middle of
    /// round `kill_at`.
    pub(crate) fn federated(&mut self, name: &str, kill_at: Option<u32>) -> Result<Trained> {
        let federation = &mut self.federation;
        let start = Instant::now();
        federation.start_aggregator()?;
        for place in 0..federation.sites().len() {
            federation.start_host(place)?;
        }
        if let Some(round) = kill_at {
            federation.wait(LIMIT, |progress| progress.rounds.len() >= round as usize)?;
            let last = federation.sites().len() - 1;
            federation.kill_host(last)?;
            say(&format!(
                "killed {} in round {round}",
                federation.sites()[last].name
            ));
        }
        let bar = bar(name);
        let progress = federation.wait(LIMIT, |progress| {
            show_progress(&bar, progress);
            progress.model.is_some()
        })?;
        bar.finish();
        let seconds = start.elapsed().as_secs_f64();
        federation.wait_for_hosts(Duration::from_secs(60))?;
        let state = federation.study().with_file_name("model.state");
        let mut model = federation.programs().host();
        model.arg("model").arg("--config").arg(federation.config(0));
        finish(model.arg("--out").arg(&state))?;
        let trained = progress
            .rounds
            .iter()
            .filter(|round| round.purpose == Purpose::Train);
        Ok(Trained {
            state,
            seconds,
            rounds: Some(trained.count()),
        })
    }

    /// What a model says of the held-out patients of all hospitals.
    pub(crate) fn predictions(&self, trained: &Trained) -> Result<Predictions> {
        let name = trained.state.file_stem().unwrap_or_default();
        let folder = self.folder.join("predictions").join(name);
        Predictions::of(&self.federation, &trained.state, &folder)
    }

    /// Trains on the patients of `places` in the module of the site `at`.
    fn baseline(&self, at: usize, places: &[usize]) -> Result<Trained> {
        let words: Vec<String> = places.iter().map(usize::to_string).collect();
        let state = self
            .folder
            .join(format!("baseline-{}.state", words.join("-")));
        let mut command = self.federation.programs().host();
        command
            .arg("baseline")
            .arg("--config")
            .arg(self.federation.config(at))
            .arg("--out")
            .arg(&state)
            // Real hospitals lack a feature here and there.
            .arg("--accept-doubts");
        for place in places {
            command.arg("--data").arg(&self.sites()[*place].data);
        }
        let start = Instant::now();
        finish(&mut command)?;
        Ok(Trained {
            state,
            seconds: start.elapsed().as_secs_f64(),
            rounds: None,
        })
    }
}

fn show_progress(bar: &ProgressBar, progress: &Progress) {
    bar.set_length(u64::from(progress.planned));
    bar.set_position(progress.rounds.len() as u64);
    let stage = progress.stage.map_or("done", |stage| stage.name());
    let last = progress
        .rounds
        .last()
        .map_or_else(String::new, |round| match &round.abandoned {
            Some(reason) => format!(", round {} abandoned: {reason}", round.number),
            None => format!(
                ", {} hospitals in round {}",
                round.survivors.len(),
                round.number
            ),
        });
    bar.set_message(format!("{stage}{last}"));
}

fn bar(name: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{prefix:<24} {bar:30} {pos}/{len} rounds {elapsed} {msg}");
    let bar = ProgressBar::new(1).with_prefix(name.to_owned());
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
