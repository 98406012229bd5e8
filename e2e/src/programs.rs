//! Where the built programs are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The programs of a federation.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The aggregator.
    pub aggregator: PathBuf,
    /// The host of a hospital.
    pub host: PathBuf,
    /// The sealed module.
    pub module: PathBuf,
}

impl Programs {
    /// The programs that `cargo xtask` built into the folder `target`.
    ///
    /// # Errors
    ///
    /// Names the first one that is not there.
    pub fn built(target: &Path) -> Result<Self> {
        let programs = Self {
            aggregator: target.join("debug/aggregator"),
            host: target.join("debug/host"),
            module: target.join("module-out/client.wasm"),
        };
        for path in [&programs.aggregator, &programs.host, &programs.module] {
            if !path.is_file() {
                bail!(
                    "{} is not built: run `cargo xtask test`, which builds it",
                    path.display()
                );
            }
        }
        Ok(programs)
    }

    /// A command of the host.
    #[must_use]
    pub fn host(&self) -> Command {
        Command::new(&self.host)
    }

    /// A command of the aggregator.
    #[must_use]
    pub fn aggregator(&self) -> Command {
        Command::new(&self.aggregator)
    }
}

/// Runs a command to its end and gives what it printed.
///
/// # Errors
///
/// A command that cannot be started or fails; the error holds what it said.
pub fn finish(command: &mut Command) -> Result<String> {
    let words = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {words}"))?;
    if !output.status.success() {
        bail!(
            "{words} ended with {}:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
