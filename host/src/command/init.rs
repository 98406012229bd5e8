//! `host init`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use host::aggregator::Aggregator;
use host::config::{Config, Data};
use host::{durable, identity};
use participant::patience::Patience;

/// Makes a new site: a configuration and an identity key
#[derive(Args, Debug)]
pub(crate) struct Init {
    /// The site's folder; it is made where it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The site's name, as the study's roster will have it
    #[arg(long, value_name = "NAME")]
    site: String,
    /// The base URL of the aggregator
    #[arg(long, value_name = "URL")]
    aggregator: String,
    /// The folder of the site's patients: events.parquet, labels.parquet and, if it is there, splits.parquet
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
}

impl Init {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<()> {
        // Refused now rather than at the first run.
        Aggregator::new(&self.aggregator, None, Patience::SHORT)?;
        durable::create_folder(&self.folder)?;
        let config = self.folder.join("host.toml");
        let text = Config::template(&self.site, &self.aggregator, &self.data()?);
        durable::create_new(&config, text.as_bytes())?;
        let identity = identity::create(&self.folder.join("identity.key"))?;
        writeln!(out, "config    {}", config.display())?;
        writeln!(out, "identity  {}", identity.key())?;
        writeln!(
            out,
            "next      put the patients where [data] in host.toml says, then `host enrol`"
        )?;
        Ok(())
    }

    /// The files as the configuration names them: relative to its folder, or absolute.
    fn data(&self) -> Result<Data> {
        let inside = self.folder.join(&self.data);
        if inside.exists() || !self.data.exists() {
            let data = Data::in_folder(&inside);
            let within = |path: &Path| path.strip_prefix(&self.folder).unwrap_or(path).to_owned();
            return Ok(Data {
                events: within(&data.events),
                labels: within(&data.labels),
                splits: data.splits.as_deref().map(within),
            });
        }
        let folder = self
            .data
            .canonicalize()
            .with_context(|| format!("finding {}", self.data.display()))?;
        Ok(Data::in_folder(&folder))
    }
}
