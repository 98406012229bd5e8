//! The figures that a command prints, written to a file too.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Figures by name, in the order of their names.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    figures: Map<String, Value>,
}

impl Figures {
    /// No figure yet, but what command they are of and what it ran on.
    pub(crate) fn new(command: &str) -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let mut figures = Map::new();
        figures.insert(
            "command".to_owned(),
            json!(format!("cargo xtask {}", arguments.join(" "))),
        );
        figures.insert("kind".to_owned(), json!(command));
        figures.insert("machine".to_owned(), json!(machine()));
        Self { figures }
    }

    /// Adds a figure.
    pub(crate) fn record(&mut self, name: &str, value: impl Serialize) {
        // What cannot be written as JSON is a number that is none.
        self.figures.insert(
            name.to_owned(),
            serde_json::to_value(value).unwrap_or(Value::Null),
        );
    }

    /// Writes them all.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.figures).context("writing JSON")?;
        std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
    }
}

/// Cores and processor, as far as the system tells.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!(
        "{cores} cores, {}",
        model.map_or("unknown processor", |(_, name)| name)
    )
}
