//! `cargo xtask vectors`: what the protocol makes of known seeds, written where its tests compare with it.

use anyhow::Result;

use crate::shell::{cargo, run, say};

/// Writes the vectors anew; the difference is for a person to look at.
pub(crate) fn run_command() -> Result<()> {
    // Rounds first: their keys are read from them.
    let rounds = ["--workspace", "--test", "vectors"].as_slice();
    let steps = ["--package", "protocol", "--lib", "vectors::"].as_slice();
    for tests in [rounds, steps] {
        let mut run_tests = cargo();
        run_tests.args(["test", "--quiet", "--locked"]).args(tests);
        run(run_tests.env("WARDROUND_VECTORS", "write"))?;
    }
    say("written to crates/protocol/tests/vectors");
    Ok(())
}
