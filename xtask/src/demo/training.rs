//! Trains in every way that the table compares.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::{Federation, Programs, finish};
use indicatif::{ProgressBar, ProgressStyle};
use protocol::api::{Metrics, Progress};
use protocol::id::Purpose;

use super::Arguments;
use super::evaluation::metrics;
use super::hospitals::Hospitals;
use super::table::{Row, Rows};
use crate::shell::say;

/// The longest that a federation of the demo may take.
const LIMIT: Duration = Duration::from_secs(3 * 3_600);

/// Trains on each hospital alone, on the federation without noise and at ε, and on all patients in one place.
pub(crate) fn compare(
    programs: &Programs,
    arguments: &Arguments,
    hospitals: &Hospitals,
    folder: &Path,
) -> Result<Rows> {
    let plain = federation(programs, hospitals, &folder.join("without-noise"), "inf")?;
    let alone = locals(&plain, hospitals, folder)?;
    let central = central(&plain, hospitals, folder)?;
    let (open, _) = federated(plain, None, "federated, no noise", folder)?;
    let epsilon = toml::Value::Float(arguments.epsilon).to_string();
    let private = federation(programs, hospitals, &folder.join("private"), &epsilon)?;
    let name = format!("federated, ε = {}", arguments.epsilon);
    let (private, model) = federated(private, arguments.kill_at, &name, folder)?;
    Ok(Rows {
        rows: vec![alone, open, private, central],
        model,
    })
}

fn federation(
    programs: &Programs,
    hospitals: &Hospitals,
    folder: &Path,
    epsilon: &str,
) -> Result<Federation> {
    let settings = [format!("privacy.epsilon={epsilon}")];
    Federation::set_up(
        programs.clone(),
        folder,
        &hospitals.draft,
        &settings,
        hospitals.sites.clone(),
    )
}

/// The mean over the hospitals of what each reaches alone, on the pooled held-out patients.
fn locals(federation: &Federation, hospitals: &Hospitals, folder: &Path) -> Result<Row> {
    let mut each = Vec::new();
    let start = Instant::now();
    let mut seconds = 0.0;
    for place in 0..hospitals.sites.len() {
        say(&format!(
            "training on {} alone",
            hospitals.sites[place].name
        ));
        let begun = start.elapsed();
        let state = baseline(federation, place, &[place], folder)?;
        seconds += (start.elapsed() - begun).as_secs_f64();
        each.push(metrics(
            federation,
            &state,
            &predictions(folder, &format!("alone-{place}"))?,
        )?);
    }
    let seconds = seconds / each.len() as f64;
    Ok(Row {
        name: "one hospital alone (mean)".to_owned(),
        metrics: mean(&each),
        seconds,
        rounds: None,
    })
}

fn central(federation: &Federation, hospitals: &Hospitals, folder: &Path) -> Result<Row> {
    say("training on all patients in one place");
    let all: Vec<usize> = (0..hospitals.sites.len()).collect();
    let start = Instant::now();
    let state = baseline(federation, 0, &all, folder)?;
    let seconds = start.elapsed().as_secs_f64();
    let metrics = metrics(federation, &state, &predictions(folder, "central")?)?;
    Ok(Row {
        name: "all patients in one place".to_owned(),
        metrics,
        seconds,
        rounds: None,
    })
}

/// Trains on the patients of `places` in the module of the site `at`; gives the file of the state.
fn baseline(
    federation: &Federation,
    at: usize,
    places: &[usize],
    folder: &Path,
) -> Result<PathBuf> {
    let words: Vec<String> = places.iter().map(usize::to_string).collect();
    let state = folder.join(format!("baseline-{}.state", words.join("-")));
    let mut command = federation.programs().host();
    command
        .arg("baseline")
        .arg("--config")
        .arg(federation.config(at))
        .arg("--out")
        .arg(&state);
    for place in places {
        command.arg("--data").arg(&federation.sites()[*place].data);
    }
    finish(&mut command)?;
    Ok(state)
}

/// Runs a federation to its end; gives its row and the file of its model.
fn federated(
    mut federation: Federation,
    kill_at: Option<u32>,
    name: &str,
    folder: &Path,
) -> Result<(Row, PathBuf)> {
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
    finish(
        model
            .arg("model")
            .arg("--config")
            .arg(federation.config(0))
            .arg("--out")
            .arg(&state),
    )?;
    let metrics = metrics(&federation, &state, &predictions(folder, name)?)?;
    let trained = progress
        .rounds
        .iter()
        .filter(|round| round.purpose == Purpose::Train);
    let row = Row {
        name: name.to_owned(),
        metrics,
        seconds,
        rounds: Some(trained.count()),
    };
    Ok((row, state))
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

fn predictions(folder: &Path, name: &str) -> Result<PathBuf> {
    let folder = folder.join("predictions").join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}

/// The mean of each figure; the confusion matrices are added.
fn mean(each: &[Metrics]) -> Metrics {
    let count = each.len() as f64;
    let of = |figure: fn(&Metrics) -> f64| each.iter().map(figure).sum::<f64>() / count;
    let mut confusion = each[0].confusion.clone();
    for other in &each[1..] {
        for (row, added) in confusion.iter_mut().zip(&other.confusion) {
            for (cell, value) in row.iter_mut().zip(added) {
                *cell += value;
            }
        }
    }
    Metrics {
        accuracy: of(|metrics| metrics.accuracy),
        macro_auc: of(|metrics| metrics.macro_auc),
        macro_f1: of(|metrics| metrics.macro_f1),
        confusion,
    }
}
