//! `cargo xtask vectors`: what the protocol makes of known seeds, written where its tests compare with it.

use anyhow::Result;

use crate::shell::{cargo, run, say};

/// Writes the vectors anew; the difference is for a person to look at.
pub(crate) fn run_command() -> Result<()> {
    let mut tests = cargo();
    tests.args([
        "test",
        "--quiet",
        "--locked",
        "--workspace",
        "--test",
        "vectors",
    ]);
    run(tests.env("WARDROUND_VECTORS", "write"))?;
    say("written to crates/protocol/tests/vectors");
    Ok(())
}
