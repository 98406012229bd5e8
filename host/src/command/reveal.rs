//! `host reveal`

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use clap::Args;
use host::config::Config;
use host::identity;
use host::nonce::Nonces;

use super::{consent, site};

/// Reveals this site's nonce for the closed roster, so that a study can draw by lot who takes part
#[derive(Args, Debug)]
pub(crate) struct Reveal {
    /// Reveal without asking
    #[arg(long)]
    yes: bool,
}

impl Reveal {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        let config = Config::read(config)?;
        let identity = identity::load(&config.identity)?;
        let aggregator = site::aggregator(&config)?;
        let list = aggregator.roll_call()?;
        let nonces = Nonces::under(&config.state);
        nonces.check(&list, &config.site, &identity)?;
        writeln!(out, "list      {}", list.digest())?;
        for (place, entry) in list.entries().iter().enumerate() {
            writeln!(out, "  {place:3}     {}  {}", entry.key, entry.name)?;
        }
        if !self.yes {
            let question = "Are these the hospitals, with their keys, that are to take part? \
                            Once the nonce is revealed, this list cannot be changed.";
            consent::ask(question, out)?;
        }
        aggregator.reveal(&nonces.reveal(&list, &config.site, &identity)?)?;
        writeln!(
            out,
            "revealed  the nonce of {}, for this list alone",
            config.site
        )?;
        Ok(())
    }
}
