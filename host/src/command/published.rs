//! The model that a command works with: a published one, or a file.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use host::config::Config;
use host::disk::Disk;
use host::durable;
use host::pin;
use participant::Key;
use participant::register::{self, Line};
use protocol::api::Status;
use protocol::id::Digest;
use protocol::study::Study;

use super::site;

/// A model, and where it comes from.
#[derive(Debug)]
pub(super) struct Published {
    /// The encoded state.
    pub(super) bytes: Vec<u8>,
    /// Where it comes from, for a person.
    origin: String,
}

impl Published {
    /// The model that `state` names: `published`, or a file.
    ///
    /// `published` is the model that `host run` kept when the study was finished: a study is finished once, so nobody has
    /// a newer one and nobody need be asked. A site that kept none asks its aggregator.
    pub(super) fn find(state: &Path, config: Option<&Config>, study: &Study) -> Result<Self> {
        match (state == Path::new("published"), config) {
            (false, _) => Ok(Self {
                bytes: durable::read(state)?,
                origin: state.display().to_string(),
            }),
            (true, Some(config)) => Self::of_site(config, study),
            (true, None) => bail!(
                "the published model is at a site or its aggregator: name a site (--config), or the model's file (--state)"
            ),
        }
    }

    fn of_site(config: &Config, study: &Study) -> Result<Self> {
        let disk = Disk::new(&config.state, &pin::folder(&config.state, study.digest()));
        let begun = last_round(&disk)?;
        if let Some(bytes) = disk.load(Key::Model)? {
            let kept = disk.path(Key::Model);
            let last = begun.map_or(String::new(), |round| format!(" after round {round}"));
            return Ok(Self {
                bytes,
                origin: format!("as `host run` kept it{last}, {}", kept.display()),
            });
        }
        Self::of_aggregator(config, study).with_context(|| instead(&disk, begun))
    }

    fn of_aggregator(config: &Config, study: &Study) -> Result<Self> {
        let aggregator = site::aggregator(config)?;
        let status = aggregator.view(0, Duration::ZERO)?.status;
        let other = Digest::of(&aggregator.study()?);
        if other != study.digest() {
            bail!(
                "{} runs the study {other}, and this one is {}",
                config.aggregator,
                study.digest()
            );
        }
        match status {
            Status::Finished { state } => Ok(Self {
                bytes: aggregator.state(state)?,
                origin: format!("as {} gives it, the study's last", config.aggregator),
            }),
            Status::Open { header, .. } => bail!(
                "the study is not finished: round {} is open; a published model comes after the last one",
                header.number
            ),
        }
    }

    /// Says which model is used.
    pub(super) fn tell(&self, out: &mut dyn Write) -> Result<()> {
        writeln!(out, "model  {}  {}", Digest::of(&self.bytes), self.origin)?;
        Ok(())
    }
}

/// The last round that this site began.
fn last_round(disk: &Disk) -> Result<Option<u32>> {
    let Some(bytes) = disk.load(Key::Register)? else {
        return Ok(None);
    };
    let (lines, _) = register::decode(&bytes)?;
    let begun = lines.iter().rev().find_map(|line| match line {
        Line::Begun(begun) => Some(begun.number),
        Line::Opened(_) => None,
    });
    Ok(begun)
}

/// What a person can name where there is no published model.
fn instead(disk: &Disk, begun: Option<u32>) -> String {
    let unfinished: Option<(u32, PathBuf)> = begun
        .map(|round| (round, disk.path(Key::State(round))))
        .filter(|(_, path)| path.exists());
    let files = "`host run` kept no published model here, and --state names a file with one";
    match unfinished {
        Some((round, path)) => format!(
            "{files}: {} is the unfinished model that round {round} began with",
            path.display()
        ),
        None => files.to_owned(),
    }
}
