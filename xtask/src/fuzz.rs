//! `cargo xtask fuzz`: any bytes at every decoder, by libFuzzer.
//!
//! ```text
//! fuzz/ ──cargo, our own crates instrumented──▶ one program ──each target──▶ no crash: runs a second
//!           fuzz/regressions/TARGET, seeds, target/fuzz/corpus/TARGET ─┘  └▶ a crash: its input, kept
//! ```
//!
//! LLVM's coverage instrumentation is in the stable compiler. A wrapper adds it to the workspace's crates alone, so
//! that dependencies are those of all other tests, and mutations are led by our code and not by theirs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

use crate::setup;
use crate::shell::{cargo, output, root, say, show, target};

/// Of `cargo xtask fuzz`
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// What to fuzz [default: every target; they are in fuzz/src/target.rs]
    #[arg(long)]
    target: Option<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

/// Enough for every seed, every regression and what is found at once. libFuzzer takes about a second more.
const BRIEFLY: Arguments = Arguments {
    target: None,
    seconds: 1,
};

/// Fuzzes, until the time is over or a decoder does what it must not.
pub(crate) fn run_command(arguments: &Arguments) -> Result<()> {
    let fuzzer = Fuzzer::build()?;
    let mut names = fuzzer.targets()?;
    if let Some(wanted) = &arguments.target {
        ensure!(
            names.contains(wanted),
            "no target {wanted}; there are: {}",
            names.join(", ")
        );
        names.retain(|name| name == wanted);
    }
    for name in names {
        show(&fuzzer.run(&name, arguments.seconds)?);
    }
    Ok(())
}

/// Fuzzes every target for some seconds.
pub(crate) fn briefly() -> Result<()> {
    run_command(&BRIEFLY)
}

/// libFuzzer's program with all targets.
struct Fuzzer {
    program: PathBuf,
}

impl Fuzzer {
    fn build() -> Result<Self> {
        // It brings the C++ compiler and library that libFuzzer is built with.
        setup::clang()?;
        say("building the fuzzer");
        let mut build = cargo();
        build
            .args(["test", "--locked", "--workspace", "--no-run"])
            .args(["--features", "fuzz/libfuzzer", "--test", "libfuzzer"])
            .arg("--message-format=json-render-diagnostics")
            .env("RUSTC_WORKSPACE_WRAPPER", wrapper()?);
        let messages = output(&mut build)?;
        let program = messages.lines().find_map(executable);
        let program = program.context("cargo built no fuzzer")?;
        Ok(Self { program })
    }

    fn targets(&self) -> Result<Vec<String>> {
        let names = output(Command::new(&self.program).arg("--list"))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Runs one target and says how fast it was.
    fn run(&self, name: &str, seconds: u32) -> Result<String> {
        let folder = |kind: &str| target().join("fuzz").join(kind).join(name);
        let (corpus, seeds, found) = (folder("corpus"), folder("seeds"), folder("found"));
        for folder in [&corpus, &seeds, &found] {
            fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        let mut run = Command::new(&self.program);
        run.arg(format!("--target={name}"))
            .arg(format!("--seeds={}", seeds.display()))
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", found.display()))
            .args(LIMITS)
            .args([&corpus, &seeds]);
        let regressions = root().join("fuzz/regressions").join(name);
        if regressions.exists() {
            run.arg(regressions);
        }
        let result = run.stdin(Stdio::null()).output();
        let result = result.with_context(|| format!("starting {}", self.program.display()))?;
        let words = String::from_utf8_lossy(&result.stderr);
        if !result.status.success() {
            say(&words);
            bail!(
                "{name} does what it must not; the input is in {}. Mend it, and keep the input under a name of its own \
                 in fuzz/regressions/{name}",
                found.display()
            );
        }
        let figure = |name| statistic(&words, name).unwrap_or("?");
        Ok(format!(
            "{name:<14} {:>9} runs {:>7} a second {:>5} MiB",
            figure("number_of_executed_units"),
            figure("average_exec_per_sec"),
            figure("peak_rss_mb"),
        ))
    }
}

/// A script that adds the instrumentation to what it is called with: the compiler and its arguments.
fn wrapper() -> Result<PathBuf> {
    let path = target().join("fuzz/rustc.sh");
    let script = format!("#!/bin/sh\nexec \"$@\" {}\n", INSTRUMENTATION.join(" "));
    if fs::read_to_string(&path).is_ok_and(|before| before == script) {
        return Ok(path);
    }
    write(&path, &script).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

fn write(path: &Path, script: &str) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, script)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// The program that a message of cargo says was built.
fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    message.get("executable")?.as_str().map(PathBuf::from)
}

/// A figure of libFuzzer's summary.
fn statistic<'a>(words: &'a str, name: &str) -> Option<&'a str> {
    let figures = words.lines().filter_map(|line| line.strip_prefix("stat::"));
    figures
        .filter_map(|line| line.split_once(':'))
        .find_map(|(figure, value)| (figure == name).then(|| value.trim()))
}

/// LLVM's `SanitizerCoverage` as libFuzzer reads it: a counter an edge, and what comparisons compare.
const INSTRUMENTATION: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Seconds for one input, MiB for the process; targets count their own memory more narrowly.
const LIMITS: [&str; 4] = [
    "-timeout=20",
    "-rss_limit_mb=2048",
    "-verbosity=0",
    "-print_final_stats=1",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_summary() {
        let words = "noise\nstat::average_exec_per_sec:     210488\nstat::peak_rss_mb: 73\n";
        assert_eq!(statistic(words, "average_exec_per_sec"), Some("210488"));
        assert_eq!(statistic(words, "peak_rss_mb"), Some("73"));
        assert_eq!(statistic(words, "rss"), None);
    }

    #[test]
    fn the_program_is_that_of_the_message_which_has_one() {
        assert_eq!(executable(r#"{"reason":"x","executable":null}"#), None);
        assert_eq!(executable("no message"), None);
        let built = executable(r#"{"executable":"/built/libfuzzer"}"#);
        assert_eq!(built, Some(PathBuf::from("/built/libfuzzer")));
    }
}
