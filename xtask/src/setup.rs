//! What a fresh machine lacks, installed where there is the right to, named where there is not.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{has, output, run, say};

/// How the WebAssembly target's standard library is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WasmTarget {
    /// rustup has it.
    Installed,
    /// Debian's `rustc-web` builds it from `rust-web-src`, linked by rustup's `rust-lld`.
    BuiltFromSource,
}

/// The WebAssembly target, installed if it is missing.
pub(crate) fn wasm_target() -> Result<WasmTarget> {
    let installed = output(Command::new("rustup").args(["target", "list", "--installed"]))
        .is_ok_and(|list| list.lines().any(|line| line == "wasm32-unknown-unknown"));
    if installed {
        return Ok(WasmTarget::Installed);
    }
    if run(Command::new("rustup").args(["target", "add", "wasm32-unknown-unknown"])).is_ok() {
        return Ok(WasmTarget::Installed);
    }
    say(
        "rustup has no wasm32-unknown-unknown here: taking Debian's rustc-web and its sources instead",
    );
    packages(&["rustc-web", "rust-web-src"])?;
    Ok(WasmTarget::BuiltFromSource)
}

/// clang, which compiles ring's C for WebAssembly.
pub(crate) fn clang() -> Result<()> {
    if has("clang") {
        Ok(())
    } else {
        packages(&["clang"])
    }
}

fn packages(names: &[&str]) -> Result<()> {
    let wanted = names.join(" ");
    let by_hand = format!("run: apt-get update && apt-get install {wanted}");
    if !has("apt-get") {
        bail!("{wanted} missing, and this is no Debian: install them by hand");
    }
    run(Command::new("apt-get").args(["update", "-qq"])).with_context(|| by_hand.clone())?;
    let mut install = Command::new("apt-get");
    install
        .args(["install", "-y", "-qq"])
        .args(names)
        .env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut install).with_context(|| by_hand)
}
