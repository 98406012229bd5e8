//! `host run`

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;
use host::aggregator::Aggregator;
use host::compiled::Compiled;
use host::config::Config;
use host::disk::Disk;
use host::pin::Approved;
use host::reporter::Reporter;
use host::run::Driver;
use host::sandbox::Sandbox;
use host::vault::Vault;
use host::{decisions, durable, identity, ledger, patients};
use participant::ledger::LedgerError;
use participant::pace::Pace;
use participant::patience::Patience;
use participant::{Key, Participant, Site};

use super::site::Limits;
use super::{clock, forget};

/// Takes part in the approved study until it is finished
#[derive(Args, Debug)]
pub(crate) struct Run {
    #[command(flatten)]
    limits: Limits,
}

impl Run {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        let config = Config::read(config)?;
        let approved = Approved::load(&config.state)?;
        let _lock = lock(&config.state)?;
        let reporter = Reporter::of_terminal();
        forget::by_age(&config, &reporter)?;
        let budget = decisions::budget_in_force(&config)?;
        let identity = identity::load(&config.identity)?;
        let Some(id) = approved.study.site(&identity.key()) else {
            bail!(
                "this site's key {} is not in the approved study's roster",
                identity.key()
            );
        };
        let ledger = ledger::read(&config.state, budget)?;
        ledger::check_mark(&ledger.ok_or(LedgerError::Missing)?, &config.data)?;
        let sandbox = Sandbox::load_approved(
            &approved.module,
            approved.study.manifest().module,
            self.limits.allowance(Some(&config)),
            &Compiled::of_user(),
        )?;
        let aggregator = Aggregator::trusting(&config.aggregator, &config.trust, Patience::NONE)?;
        let (files, paths) = patients::files(&config.data)?;
        let vault = Vault::unlock(&config.vault)?;
        let disk = Disk::new(&config.state, &approved.folder).with_vault(vault);
        disk.check_register()?;
        let driver = Driver {
            aggregator: &aggregator,
            sandbox: &sandbox,
            disk: &disk,
            identity: &identity,
            site: id,
            files: &paths,
            reporter: &reporter,
            clock: clock::now,
        };
        reporter.joined(
            &approved.study.manifest().title,
            approved.study.plan().len(),
        );
        let digest = driver.run(Participant::new(Site {
            pace: Pace::new(&approved.study, approved.doublings),
            patience: Patience::LONG,
            module: sandbox.digest(),
            study: approved.study,
            text: approved.text,
            weights: approved.weights,
            id,
            files,
            data: Some(approved.data),
            bad_rows: config.bad_rows,
            budget,
        }))?;
        reporter.done("the study is finished");
        let model = disk.path(Key::Model);
        writeln!(out, "model  {digest}  {}", model.display())?;
        Ok(())
    }
}

/// Two hosts with one state folder would send two messages in one round's name.
pub(super) fn lock(state: &Path) -> Result<File> {
    let path = state.join("lock");
    let file = durable::open_log(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "another `host run` or `host forget` uses {}: a site runs once",
                state.display()
            )
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("locking {}", path.display()))
        }
    }
}
