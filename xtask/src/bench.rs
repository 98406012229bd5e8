//! `cargo xtask bench`: how fast, measured side by side in one run. Figures are of this machine at this moment.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use crate::figures::{self, Figures};
use crate::module;
use crate::shell::{cargo, output, say, show, target};

/// Of `cargo xtask bench`
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// What to measure [default: all]
    #[arg(value_enum)]
    topic: Option<Topic>,
    /// File that every printed figure is written to
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Topic {
    /// Reading patients and training on them, in the sandbox beside native
    Training,
    /// A round of secure aggregation
    Secagg,
}

impl Topic {
    const ALL: [Self; 2] = [Self::Training, Self::Secagg];

    /// The package and the name of its benchmark.
    fn benchmark(self) -> (&'static str, &'static str) {
        match self {
            Self::Training => ("client-wasm", "door"),
            Self::Secagg => ("protocol", "secagg"),
        }
    }
}

/// Runs the benchmarks and prints their figures.
pub(crate) fn run_command(arguments: &Arguments) -> Result<()> {
    let mut figures = Figures::new("bench");
    show(&format!("on {}", figures::machine()));
    let topics = arguments
        .topic
        .map_or(Topic::ALL.to_vec(), |topic| vec![topic]);
    for topic in topics {
        if topic == Topic::Training {
            module::build(&target().join("module-out"))?;
        }
        for (name, values) in measure(topic)? {
            show(&line(&name, &values));
            figures.record(&name, values);
        }
    }
    if let Some(path) = &arguments.json {
        figures.write(path)?;
        say(&format!("figures  {}", path.display()));
    }
    Ok(())
}

/// The figures of a benchmark, each with its name.
fn measure(topic: Topic) -> Result<Vec<(String, Map<String, Value>)>> {
    let (package, benchmark) = topic.benchmark();
    say(&format!(
        "building and running the benchmark {benchmark} of {package}"
    ));
    let mut bench = cargo();
    bench.args([
        "bench",
        "--quiet",
        "--locked",
        "--package",
        package,
        "--bench",
        benchmark,
    ]);
    let parse = |line: &str| -> Result<(String, Map<String, Value>)> {
        let mut values: Map<String, Value> =
            serde_json::from_str(line).context("reading a figure")?;
        let name = values.remove("name").unwrap_or_default();
        Ok((name.as_str().unwrap_or_default().to_owned(), values))
    };
    output(&mut bench)?
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(parse)
        .collect()
}

fn line(name: &str, values: &Map<String, Value>) -> String {
    let values = values
        .iter()
        .map(|(name, value)| format!("{name} {:.4}", value.as_f64().unwrap_or(f64::NAN)));
    format!("{name:<60} {}", values.collect::<Vec<_>>().join("   "))
}
