//! `host run`

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;
use host::aggregator::Aggregator;
use host::compiled::Compiled;
use host::config::Config;
use host::ledger::Ledger;
use host::patients::Cohorts;
use host::pin::Approved;
use host::reporter::Reporter;
use host::retry::Patience;
use host::round::Site;
use host::run;
use host::sandbox::Sandbox;
use host::{decisions, durable, identity};

use super::site::{self, Limits};
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
        let model = approved.model();
        let site = self.site(&config, approved, &reporter)?;

        let mut ledger = Ledger::open(
            &config.state.join("ledger.jsonl"),
            decisions::budget_in_force(&config)?,
        )?;
        let shown = reporter.clone();
        let aggregator = Aggregator::trusting(&config.aggregator, &config.trust, Patience::LONG)?
            .with_notice(Box::new(move |error, wait| {
                shown.waiting(&error.to_string(), wait)
            }));
        reporter.joined(&site.study.manifest().title, site.study.plan().len());
        let run = run::Run::new(&site, &aggregator, &mut ledger, &reporter, clock::now)?;
        let (digest, state) = run.to_the_end()?;
        durable::replace(&model, &state)?;
        reporter.done("the study is finished");
        writeln!(out, "model  {digest}  {}", model.display())?;
        Ok(())
    }

    fn site(&self, config: &Config, approved: Approved, reporter: &Reporter) -> Result<Site> {
        let identity = identity::load(&config.identity)?;
        let Some(id) = approved.study.site(&identity.key()) else {
            bail!(
                "this site's key {} is not in the approved study's roster",
                identity.key()
            );
        };
        let allowance = self.limits.allowance(Some(config));
        let sandbox = Sandbox::load_approved(
            &approved.module,
            approved.study.manifest().module,
            allowance,
            &Compiled::of_user(),
        )?;
        let cohort = Cohorts::under(&config.state)
            .get(&sandbox, &approved.text, &config.data, config.bad_rows)
            .context("preparing the site's patients")?;
        reporter.note(&site::describe(&cohort.report));
        let rounds = approved.rounds();
        Ok(Site {
            study: approved.study,
            text: approved.text,
            weights: approved.weights,
            sandbox,
            cohort,
            id,
            identity,
            rounds,
        })
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
