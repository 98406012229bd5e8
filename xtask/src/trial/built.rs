//! The module and the programs, built as they stand.

use anyhow::Result;
use e2e::Programs;

use crate::module::{self, Sealed};
use crate::shell::{cargo, run, target};

/// The module and the programs that run it.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    /// The sealed module.
    pub(crate) module: Sealed,
    /// The module, the aggregator and the host, by their places.
    pub(crate) programs: Programs,
}

impl Built {
    /// Builds them.
    pub(crate) fn now() -> Result<Self> {
        let module = module::build(&target().join("module-out"))?;
        run(cargo().args([
            "build",
            "--quiet",
            "--locked",
            "--package",
            "aggregator",
            "--package",
            "host",
        ]))?;
        Ok(Self {
            module,
            programs: Programs::built(&target())?,
        })
    }
}
