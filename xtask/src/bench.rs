//! `cargo xtask bench`: how fast, measured side by side in one run. Figures are of this machine at this moment.

mod import;
mod peers;
mod secagg;
mod training;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use self::peers::Peers;
use crate::figures::{self, Figures};
use crate::shell::{cargo, output, run, say, show};

/// The figures of one thing.
type Values = Map<String, Value>;

/// Of `cargo xtask bench`
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// What to measure [default: all]
    #[arg(value_enum)]
    topic: Option<Topic>,
    /// Python with PyTorch, Opacus and Flower, to measure beside them [default: they are left out]
    #[arg(long, value_name = "PYTHON")]
    peers: Option<PathBuf>,
    /// Also rounds of secure aggregation with 1,000 sites, and with 10 million weights: half an hour; and a table of 5 GB
    #[arg(long)]
    full: bool,
    /// File that every printed figure is written to
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Topic {
    /// Clipped gradients in the sandbox, native, and with PyTorch and Opacus
    Training,
    /// Rounds of secure aggregation, beside Flower's; writes docs/results/secure-aggregation.*
    Secagg,
    /// Tables that become events, beside polars and MEDS-extract
    Import,
    /// The noise of a sum over that which its study promises
    Noise,
}

impl Topic {
    const ALL: [Self; 4] = [Self::Training, Self::Secagg, Self::Import, Self::Noise];
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// Some ten minutes.
    Usual,
    /// Also rounds of 1,000 sites, and of 10 million weights with more than 5, and a table of 5 GB: an hour.
    Full,
}

/// Runs the benchmarks and prints their figures.
pub(crate) fn run_command(arguments: &Arguments) -> Result<()> {
    let mut figures = Figures::new("bench");
    show(&format!("on {}", figures::machine()));
    let topics = arguments
        .topic
        .map_or(Topic::ALL.to_vec(), |topic| vec![topic]);
    let extent = if arguments.full {
        Extent::Full
    } else {
        Extent::Usual
    };
    for topic in topics {
        match topic {
            Topic::Training => {
                training::run(&Peers::find(arguments.peers.as_deref()), &mut figures)?
            }
            Topic::Secagg => secagg::run(
                &Peers::find(arguments.peers.as_deref()),
                extent,
                &mut figures,
            )?,
            Topic::Import => import::run(extent, &mut figures)?,
            Topic::Noise => noise(&mut figures)?,
        }
    }
    if let Some(path) = &arguments.json {
        figures.write(path)?;
        say(&format!("figures  {}", path.display()));
    }
    Ok(())
}

/// Shows and records what noise a sum has.
fn noise(figures: &mut Figures) -> Result<()> {
    for (name, values) in measure("protocol", "noise", None, Cores::All)? {
        show(&line(&name, &values));
        figures.record(&name, values);
    }
    Ok(())
}

/// What a benchmark may use of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cores {
    /// The first core, by `taskset` of util-linux.
    One,
    All,
}

/// The figures of a benchmark, each with its name.
fn measure(
    package: &str,
    benchmark: &str,
    part: Option<&str>,
    cores: Cores,
) -> Result<Vec<(String, Values)>> {
    say(&format!(
        "building and running the benchmark {benchmark} of {package}"
    ));
    let target = ["--package", package, "--bench", benchmark];
    let build = ["bench", "--quiet", "--locked"];
    // Whatever it is measured on, it is built on all cores.
    run(cargo().args(build).args(target).arg("--no-run"))?;
    let mut bench = match cores {
        Cores::All => cargo(),
        Cores::One => on_one_core(&cargo()),
    };
    bench.args(build).args(target).arg("--");
    bench.args(part);
    let named = |mut values: Values| {
        let name = values.remove("name").unwrap_or_default();
        (name.as_str().unwrap_or_default().to_owned(), values)
    };
    let figures = json_lines(&output(&mut bench)?)?;
    Ok(figures.into_iter().map(named).collect())
}

/// The command with its folder and variables, kept on the first core with all that it starts.
fn on_one_core(command: &Command) -> Command {
    let mut kept = Command::new("taskset");
    kept.args(["--cpu-list", "0"]).arg(command.get_program());
    kept.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        kept.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => kept.env(name, value),
            None => kept.env_remove(name),
        };
    }
    kept
}

/// The lines that are JSON objects.
fn json_lines(text: &str) -> Result<Vec<Values>> {
    text.lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).context("reading a figure"))
        .collect()
}

fn line(name: &str, values: &Values) -> String {
    let values = values.iter().map(|(name, value)| match value.as_f64() {
        Some(number) => format!("{name} {number:.4}"),
        None => format!("{name} {value}"),
    });
    format!("{name:<60} {}", values.collect::<Vec<_>>().join("   "))
}
