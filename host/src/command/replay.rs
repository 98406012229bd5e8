//! `host replay`

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use host::compiled::Compiled;
use host::config::Config;
use host::disk::Disk;
use host::pin::Approved;
use host::reporter::Reporter;
use host::retention::{Forgotten, Round};
use host::sandbox::Sandbox;
use host::vault::Vault;
use host::{patients, replay};
use participant::Key;
use participant::journal::Journal;
use participant::replay::Comparison;
use protocol::door::Open;
use protocol::id::Digest;
use protocol::seed::Seed;

use super::clock;
use super::site::Limits;

/// Runs a recorded round again, and compares what was sent with what the module computes
#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// The round's number
    #[arg(value_name = "ROUND")]
    number: u32,
    #[command(flatten)]
    limits: Limits,
}

impl Replay {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        let config = Config::read(config)?;
        let approved = Approved::load(&config.state)?;
        let disk =
            Disk::new(&config.state, &approved.folder).with_vault(Vault::unlock(&config.vault)?);
        let number = self.number;
        let round = Round {
            study: approved.study.digest(),
            number,
        };
        let forgotten = Forgotten::read(&config.state)?;
        let Some(bytes) = disk.load(Key::Journal(number))? else {
            refuse("the record of", round, forgotten.round(round))?;
            bail!("this site has no journal of round {number} of the approved study");
        };
        let (journal, _) = Journal::decode(&bytes)?;
        let journal = journal.with_context(|| format!("round {number} was never begun"))?;
        let opened = journal.opened();
        let sandbox = Sandbox::load_approved(
            &approved.module,
            opened.module,
            self.limits.allowance(Some(&config)),
            &Compiled::Anew,
        )?;
        let cohort = patients::named(&disk, opened.cohort).or_else(|error| {
            refuse("the patients of", round, forgotten.cohort(opened.cohort))?;
            Err(anyhow::Error::from(error))
        })?;
        let state = kept(&disk, Key::State(number), opened.header.state).or_else(|error| {
            refuse("the state before", round, forgotten.state_of(round))?;
            Err(error)
        })?;
        let open = Open {
            study: approved.text.clone().into(),
            cohort: cohort.bytes.into(),
            header: opened.header.clone(),
            state: state.into(),
            site: opened.site,
            seed: Seed::new(
                kept(&disk, Key::Seed(number), opened.seed)?
                    .try_into()
                    .map_err(|_| anyhow!("the seed of round {number} is damaged"))?,
            ),
            memory: kept(&disk, Key::Kept(number), opened.memory)?.into(),
            weights: approved.weights.map(Into::into),
        };
        let reporter = Reporter::of_terminal();
        reporter.round(&opened.header);
        let mut progress = |progress| reporter.work(progress);
        let comparisons = replay::replay(&sandbox, open, &journal, &mut progress)?;
        reporter.clear();
        for comparison in &comparisons {
            let verdict = if comparison.is_identical() {
                "identical"
            } else {
                "DIFFERS"
            };
            writeln!(
                out,
                "{:9}  {:>9} bytes  {}  {verdict}",
                comparison.stage.name(),
                comparison.bytes,
                comparison.sent
            )?;
            if let Some(commitment) = comparison.commitment {
                writeln!(
                    out,
                    "           commitment to patients, state and seed: {commitment}"
                )?;
            }
        }
        if comparisons.iter().all(Comparison::is_identical) {
            writeln!(
                out,
                "round {}: all {} messages are what the module computes",
                self.number,
                comparisons.len()
            )?;
            return Ok(());
        }
        bail!(
            "round {}: what was sent is not what the module computes",
            self.number
        )
    }
}

/// What is kept of a round, if it is what the journal names by its digest.
fn kept(disk: &Disk, key: Key, digest: Digest) -> Result<Vec<u8>> {
    let path = disk.path(key);
    let bytes = disk.load(key)?;
    bytes
        .filter(|bytes| Digest::of(bytes) == digest)
        .with_context(|| format!("{} is not there or is damaged", path.display()))
}

/// Refuses to replay without what was forgotten, if it was.
fn refuse(what: &str, round: Round, forgotten: Option<u64>) -> Result<()> {
    let Some(at) = forgotten else { return Ok(()) };
    bail!(
        "{what} {round} was forgotten on {} (UTC), by `host forget`: it can no longer be replayed; the ledger still says \
         what the round cost",
        clock::date(at)
    )
}
