//! `cargo xtask experiments`: every table and plot, from the real programs.
//!
//! ```text
//! catalogue: experiment = data + draft + rows
//!     for each row and seed: kept? ──▶ outcome ◀── trial on loopback
//!                                        │
//!                  mean ± sd over seeds ─┴─▶ CSV, SVG, a page, in docs/results
//! ```

mod catalogue;
mod curves;
mod definition;
mod page;
mod peers;
mod published;
mod released;
mod results;
mod run;
mod scores;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;

use self::catalogue::ALL;
use self::definition::{Experiment, Published};
use self::page::{Beside, Origin};
use self::peers::Peers;
use self::results::RowResults;
use self::run::Bench;
use crate::figures::{Figures, machine};
use crate::shell::{output, root, say, show, target};
use crate::trial::Built;

/// Of `cargo xtask experiments`
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Which experiments, or `released-metrics`: released figures beside exact ones, in memory [default: all with programs]
    names: Vec<String>,
    /// Seeds of each row [default: as many as the experiment asks for]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    seeds: Option<u32>,
    /// Folder of the data sets, `heart_disease` and `diabetes130` [default: ../shared/data]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Folder that tables, plots and pages are written to [default: docs/results]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Python with PyTorch, Opacus and scikit-learn, to train with them on the same data where there is a script
    #[arg(long)]
    peers: Option<PathBuf>,
    /// File that every figure is written to
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Runs experiments and writes their tables, plots and pages.
pub(crate) fn run_command(arguments: &Arguments) -> Result<()> {
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| root().join("docs/results"));
    if arguments.names == [released::NAME] {
        let page = released::page(&command_line(), &today()?)?;
        show(&page);
        let path = out.join(format!("{}.md", released::NAME));
        return std::fs::write(&path, page).with_context(|| format!("writing {}", path.display()));
    }
    let experiments = chosen(&arguments.names)?;
    let mut figures = Figures::new("experiments");
    let Built { module, programs } = Built::now()?;
    let data = arguments
        .data
        .clone()
        .unwrap_or_else(|| root().join("../shared/data"));
    let kept = target().join("experiments");
    for folder in [&out, &kept] {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("creating {}", folder.display()))?;
    }
    let bench = Bench {
        programs: &programs,
        module: &module,
        data: &data,
        folder: &kept,
    };
    for experiment in experiments {
        let missing = experiment.data.source(&data, 1).files();
        if let Some(file) = missing.iter().find(|file| !file.is_file()) {
            say(&format!(
                "{}: skipped, {} is not there",
                experiment.name,
                file.display()
            ));
            continue;
        }
        let seeds = arguments.seeds.unwrap_or(experiment.seeds);
        let results = run_experiment(&bench, experiment, seeds)?;
        let origin = Origin {
            command: command_line(),
            date: today()?,
            machine: machine(),
            module: module.digest.clone(),
        };
        let peers = Peers::train(arguments.peers.as_deref(), &bench, experiment, seeds)?;
        let rows: Vec<_> = results
            .iter()
            .map(|result| json!({ "row": result.row.name, "outcomes": result.outcomes }))
            .chain(peers.rows().iter().map(|row| json!(row)))
            .collect();
        figures.record(experiment.name, rows);
        let page = write(experiment, &results, &origin, &peers, &data, &out)?;
        show(&page);
    }
    if let Some(path) = &arguments.json {
        figures.write(path)?;
        say(&format!("figures  {}", path.display()));
    }
    Ok(())
}

/// The experiments of these names; all without one.
fn chosen(names: &[String]) -> Result<Vec<&'static Experiment>> {
    if names.is_empty() {
        return Ok(ALL.iter().collect());
    }
    let by_name = |name: &String| {
        let found = ALL.iter().find(|experiment| experiment.name == name);
        match found {
            Some(experiment) => Ok(experiment),
            None => bail!(
                "there is no experiment {name}; there are {}, and released-metrics by itself",
                ALL.iter()
                    .map(|experiment| experiment.name)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        }
    };
    names.iter().map(by_name).collect()
}

/// Every row with every seed: all rows with the first seed first, so that there is a whole table early.
fn run_experiment(
    bench: &Bench<'_>,
    experiment: &Experiment,
    seeds: u32,
) -> Result<Vec<RowResults>> {
    let mut results: Vec<RowResults> = experiment
        .rows
        .iter()
        .map(|row| RowResults {
            row: *row,
            outcomes: Vec::new(),
        })
        .collect();
    for seed in 1..=seeds {
        for result in &mut results {
            let outcome = bench.outcome(experiment, &result.row, seed)?;
            result.outcomes.push(outcome);
        }
    }
    Ok(results)
}

/// Writes all files of an experiment; gives the page.
fn write(
    experiment: &Experiment,
    results: &[RowResults],
    origin: &Origin,
    peers: &Peers,
    data: &Path,
    out: &Path,
) -> Result<String> {
    let name = experiment.name;
    let mut files: Vec<(String, String)> = vec![
        (format!("{name}.csv"), results::summary_csv(results)?),
        (format!("{name}-runs.csv"), results::runs_csv(results)?),
        (
            format!("{name}-confusion.csv"),
            results::confusion_csv(results)?,
        ),
        (
            format!("{name}-reliability.csv"),
            results::reliability_csv(results)?,
        ),
    ];
    let tables: Vec<String> = files.iter().map(|(file, _)| file.clone()).collect();
    let mut plots = Vec::new();
    let curves = [
        (
            "privacy-utility",
            curves::privacy_utility(experiment, results),
        ),
        (
            "reliability",
            Some(curves::reliability(experiment, results)),
        ),
    ];
    for (kind, plot) in curves {
        if let Some(plot) = plot {
            let file = format!("{name}-{kind}.svg");
            files.push((file.clone(), plot.svg()?));
            plots.push(file);
        }
    }
    let published = match experiment.published {
        Published::Nothing => Ok(Vec::new()),
        Published::Flamby => published::flamby(data)?
            .ok_or("the file of FLamby's results was not there when this page was made."),
    };
    let beside = Beside {
        origin,
        peers,
        published,
        plots: &plots,
        tables: &tables,
    };
    let page = page::markdown(experiment, results, &beside);
    files.push((format!("{name}.md"), page.clone()));
    for (file, text) in files {
        let path = out.join(file);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(page)
}

/// The command that was called, without paths, which are the caller's own.
fn command_line() -> String {
    without_paths(std::env::args().skip(1))
}

fn without_paths(arguments: impl Iterator<Item = String>) -> String {
    let mut words = vec!["cargo xtask".to_owned()];
    let mut is_path = false;
    for argument in arguments {
        words.push(if is_path {
            "PATH".to_owned()
        } else {
            argument.clone()
        });
        is_path = ["--data", "--out", "--json", "--peers"].contains(&argument.as_str());
    }
    words.join(" ")
}

/// The day, as in `2026-11-23`.
fn today() -> Result<String> {
    let date = output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    Ok(date.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn experiments_are_chosen_by_name() {
        assert_eq!(chosen(&[]).unwrap().len(), ALL.len());
        let one = chosen(&["heart-disease".to_owned()]).unwrap();
        assert_eq!((one.len(), one[0].name), (1, "heart-disease"));
        let error = chosen(&["heart".to_owned()]).unwrap_err().to_string();
        assert!(
            error.contains("synthetic, synthetic-transformer"),
            "{error}"
        );
    }

    #[test]
    fn a_command_line_shows_no_paths() {
        let words = [
            "experiments",
            "heart-disease",
            "--peers",
            "/home/me/python",
            "--seeds",
            "2",
        ];
        assert_eq!(
            without_paths(words.map(str::to_owned).into_iter()),
            "cargo xtask experiments heart-disease --peers PATH --seeds 2"
        );
    }

    #[test]
    fn all_files_of_an_experiment_are_written() {
        let out = tempfile::tempdir().unwrap();
        let origin = Origin {
            command: command_line(),
            date: today().unwrap(),
            machine: machine(),
            module: "ab".to_owned(),
        };
        let results = results::tests::results();
        let heart = chosen(&["heart-disease".to_owned()]).unwrap()[0];
        let peers = Peers::NotRun;
        write(heart, &results, &origin, &peers, out.path(), out.path()).unwrap();
        let page = std::fs::read_to_string(out.path().join("heart-disease.md")).unwrap();
        assert!(page.contains("was not there"), "{page}");
        for file in ["heart-disease.csv", "heart-disease-reliability.svg"] {
            assert!(page.contains(file) && out.path().join(file).is_file());
        }
    }
}
