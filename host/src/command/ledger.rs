//! `host ledger`

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use host::config::Config;
use host::disk::Disk;
use host::pin::Approved;
use host::{decisions, identity, ledger};
use participant::journal::Journal;
use participant::ledger::LedgerError;
use participant::reconcile::{self, Owed};
use participant::{Key, Write as DiskWrite, register};
use privacy::{Delta, Total};
use protocol::study::Study;

use super::{clock, run, site};

/// Shows what this site has released of its patients, and what that adds up to
#[derive(Args, Debug)]
pub(crate) struct Ledger {
    /// The δ at which ε is counted [default: that of the patient budget, or of the approved study, or 1e-6]
    #[arg(long)]
    delta: Option<f64>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Carries over the ledger that an older version wrote
    Upgrade,
    /// Charges what this site released in the approved study and a ledger from a backup does not have, by its journals and by
    /// its own announcements, which the aggregator keeps
    Reconcile,
}

impl Ledger {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        let config = Config::read(config)?;
        match self.action {
            None => self.show(&config, out),
            Some(Action::Upgrade) => {
                let _lock = run::lock(&config.state)?;
                let lines = ledger::upgrade(&config.state)?;
                writeln!(out, "{lines} releases were carried over")?;
                Ok(())
            }
            Some(Action::Reconcile) => reconcile(&config, out),
        }
    }

    fn show(&self, config: &Config, out: &mut dyn Write) -> Result<()> {
        let Some(ledger) = ledger::read(&config.state, decisions::budget_in_force(config)?)? else {
            writeln!(out, "nothing was released")?;
            return Ok(());
        };
        let delta = self.delta(config)?;
        writeln!(
            out,
            "{:16}  {:>5}  {:>5}  {:9}  {:>9}  {:>9}  study",
            "charged (UTC)", "round", "place", "purpose", "ε alone", "ε so far"
        )?;
        let mut so_far = Total::ZERO;
        for line in ledger.lines() {
            let cost = line.cost()?;
            so_far = so_far.and(cost);
            let place = line
                .round
                .map_or_else(|| "-".to_owned(), |round| round.place.to_string());
            writeln!(
                out,
                "{:16}  {:>5}  {place:>5}  {:9}  {:>9}  {:>9}  {} {}",
                clock::date(line.charged_at),
                line.number,
                line.purpose.to_string(),
                epsilon(&Total::of([cost]), delta),
                epsilon(&so_far, delta),
                &line.study.to_string()[..12],
                line.title
            )?;
        }
        writeln!(
            out,
            "{} releases; all together ε {} at δ {delta}",
            ledger.lines().len(),
            epsilon(&ledger.total(), delta)
        )?;
        if let Some(budget) = ledger.budget() {
            writeln!(
                out,
                "patient budget: ε {} at δ {}",
                budget.epsilon, budget.delta
            )?;
        }
        writeln!(out, "ledger {}", ledger.id())?;
        Ok(())
    }

    fn delta(&self, config: &Config) -> Result<Delta> {
        if let Some(delta) = self.delta {
            return Delta::try_from(delta).context("--delta");
        }
        if let Some(budget) = config.patient_budget.limit() {
            return Ok(budget.delta);
        }
        let approved = Approved::load(&config.state).ok();
        let delta = approved.map_or(1e-6, |approved| approved.study.manifest().privacy.delta);
        Ok(Delta::try_from(delta)?)
    }
}

fn epsilon(total: &Total, delta: Delta) -> String {
    let epsilon = total.epsilon(delta);
    if epsilon.is_infinite() {
        "infinite".to_owned()
    } else {
        format!("{epsilon:.4}")
    }
}

/// Charges what this site released in the approved study and the ledger does not have: by its own journals, then by its own
/// announcements, which the aggregator keeps. Adds to the register what only the ledger has.
fn reconcile(config: &Config, out: &mut dyn Write) -> Result<()> {
    let approved = Approved::load(&config.state)?;
    let _lock = run::lock(&config.state)?;
    let study = &approved.study;
    let key = identity::load(&config.identity)?.key();
    let site = study.site(&key);
    let site = site.context("this site's key is not in the approved study's roster")?;
    let disk = Disk::new(&config.state, &approved.folder);
    let bytes = disk.load(Key::Ledger)?.ok_or(LedgerError::Missing)?;
    let (mut ledger, whole) = participant::ledger::Ledger::decode(&bytes, None)?;
    mend(&disk, Key::Ledger, &bytes, whole)?;
    let bytes = disk.load(Key::Register)?.unwrap_or_default();
    let (register, whole) = register::decode(&bytes)?;
    mend(&disk, Key::Register, &bytes, whole)?;

    let lines = reconcile::unregistered(study, &register, &ledger);
    let text: String = lines.iter().map(register::Line::text).collect();
    disk.write(&DiskWrite::Append(Key::Register, text.into_bytes()))?;
    for number in reconcile::opened_uncharged(study, &register, &ledger) {
        let journal = disk.load(Key::Journal(number))?.unwrap_or_default();
        let owed = match Journal::decode(&journal) {
            Ok((Some(journal), _)) => reconcile::in_journal(&journal, &ledger),
            _ => None,
        };
        settle(study, &mut ledger, owed.as_slice(), &disk, out)?;
    }
    let aggregator = site::aggregator(config)?;
    let mut next = Some(0);
    while let Some(from) = next {
        let shown = aggregator.announcements(site, from)?;
        let page = reconcile::page(study, site, &ledger, from, &shown)?;
        settle(study, &mut ledger, &page.owed, &disk, out)?;
        next = page.next;
    }
    writeln!(out, "the ledger has all that is known of this study")?;
    Ok(())
}

/// Takes the line away that a crash or a backup cut short: nothing may be added behind it.
fn mend(disk: &Disk, key: Key, bytes: &[u8], whole: usize) -> Result<()> {
    if whole < bytes.len() {
        disk.write(&DiskWrite::Put(key, bytes[..whole].to_vec()))?;
    }
    Ok(())
}

/// Charges what is owed.
fn settle(
    study: &Study,
    ledger: &mut participant::ledger::Ledger,
    owed: &[Owed],
    disk: &Disk,
    out: &mut dyn Write,
) -> Result<()> {
    let writes = reconcile::settle(study, ledger, owed, clock::now())?;
    writes
        .list()
        .iter()
        .try_for_each(|write| disk.write(write))?;
    for Owed { header, .. } in owed {
        writeln!(
            out,
            "charged   round {} ({}), place {}",
            header.number, header.purpose, header.place
        )?;
    }
    Ok(())
}
