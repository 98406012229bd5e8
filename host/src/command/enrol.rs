//! `host enrol`

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use clap::Args;
use host::config::Config;
use host::identity;
use host::nonce::Nonces;
use protocol::api;

use super::site;

/// Asks the aggregator's operator to put this site into a study's roster
#[derive(Args, Debug)]
pub(crate) struct Enrol {
    /// The one-time token that the operator gave
    #[arg(long)]
    token: String,
}

impl Enrol {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        let config = Config::read(config)?;
        let identity = identity::load(&config.identity)?;
        // On the disk before it is sent: after a crash, the same commitment is sent again.
        let nonce = Nonces::under(&config.state).draw(&self.token)?;
        let commitment = nonce.commitment(&identity.key());
        let signed = api::Enrol::signed_bytes(&self.token, &commitment, &config.site);
        let enrol = api::Enrol {
            token: self.token.clone(),
            name: config.site.clone(),
            key: identity.key(),
            commitment,
            signature: identity.sign(&signed),
        };
        site::aggregator(&config)?.enrol(&enrol)?;
        writeln!(out, "enrolled  {} as {}", config.site, identity.key())?;
        Ok(())
    }
}
