//! `cargo xtask test`: everything that must hold, cheapest first. The same on a laptop and in CI.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::fuzz;
use crate::module::{self, Sealed};
use crate::peer_files::PeerFiles;
use crate::shell::{cargo, output, run, say, show, target};
use crate::sources;

/// Runs every check.
pub(crate) fn run_command() -> Result<()> {
    let start = Instant::now();
    step("format", || run(cargo().args(["fmt", "--all", "--check"])))?;
    step("lints", lints)?;
    step("documentation", documentation)?;
    step("licences", licences)?;
    let sealed = step("module", || module::build(&target().join("module-out")))?;
    // Everything at once: with other packages chosen, dependencies would be built again with other features.
    step("participant for the web", module::build_participant)?;
    let tests = ["test", "--locked", "--workspace", "--no-fail-fast"];
    step("programs", || run(cargo().args(tests).arg("--no-run")))?;
    let peers = step("files of pyarrow, polars and pandas", PeerFiles::write)?;
    step("tests", || {
        let mut command = cargo();
        if let Some(peers) = &peers {
            peers.tell(&mut command);
        }
        run(command.args(tests))
    })?;
    if let Some(peers) = &peers {
        step("written files against MEDS", || peers.check())?;
    }
    step("fuzzing", fuzz::briefly)?;
    step("same module from another folder", || {
        same_elsewhere(&sealed)
    })?;
    show(&format!(
        "all checks passed in {:.1} minutes",
        start.elapsed().as_secs_f64() / 60.0
    ));
    Ok(())
}

fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    say(&format!("── {name}"));
    let start = Instant::now();
    let result = work().with_context(|| name.to_owned())?;
    say(&format!(
        "── {name}: {:.0} s",
        start.elapsed().as_secs_f64()
    ));
    Ok(result)
}

fn lints() -> Result<()> {
    let mut clippy = cargo();
    clippy.args([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    run(&mut clippy)
}

fn documentation() -> Result<()> {
    let mut doc = cargo();
    doc.args([
        "doc",
        "--locked",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]);
    run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// cargo-deny takes minutes to build, so it is run where it is and not installed.
fn licences() -> Result<()> {
    if output(cargo().args(["deny", "--version"])).is_err() {
        say(
            "cargo-deny is not installed: licences and sources of dependencies are not checked here",
        );
        return Ok(());
    }
    run(cargo().args(["deny", "check", "bans", "licenses", "sources"]))
}

/// Builds the module from a copy of the sources in another folder; the bytes must be the same.
fn same_elsewhere(sealed: &Sealed) -> Result<()> {
    let copy = target()
        .join("elsewhere")
        .join("a checkout with another path");
    sources::mirror(&copy)?;
    let mut xtask = cargo();
    xtask
        .current_dir(&copy)
        .env("CARGO_TARGET_DIR", target().join("elsewhere/target"));
    xtask.args(["xtask", "module"]);
    run(&mut xtask)?;
    let path = target().join("elsewhere/target/module-out/client.wasm");
    let wasm = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let digest = protocol::id::Digest::of(&wasm).to_string();
    ensure!(
        digest == sealed.digest,
        "the module is {} here and {digest} from {}",
        sealed.digest,
        copy.display()
    );
    show(&format!("the module is {digest} from both folders"));
    Ok(())
}
