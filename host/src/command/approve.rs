//! `host approve`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use host::compiled::Compiled;
use host::config::Config;
use host::disk::Disk;
use host::patients::{Cohort, Kept};
use host::pin::{self, Approved, PinError};
use host::reporter::Reporter;
use host::sandbox::Sandbox;
use host::{coverage, decisions, durable, identity, ledger, patients, trial};
use participant::pace::Pace;
use protocol::id::{Digest, IdentityKey, SiteId};
use protocol::study::Study;

use super::site::{self, Limits};
use super::{consent, spending, study};

/// Approves a study and its module: `host run` runs these, and nothing else
#[derive(Args, Debug)]
pub(crate) struct Approve {
    /// The study file
    #[arg(value_name = "FILE")]
    study: PathBuf,
    /// The study's module
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// The public weights that the study starts from, where it names some
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Approve without asking
    #[arg(long)]
    yes: bool,
    /// Let this site's ledger count for the patients from now on, where another one did: what was spent before is then in the
    /// other one alone
    #[arg(long)]
    new_ledger: bool,
    /// Approve although a feature has no value, no event is used or there are more patients than the study has room for:
    /// people have looked and know why
    #[arg(long)]
    accept_doubts: bool,
    #[command(flatten)]
    limits: Limits,
}

impl Approve {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        let config = Config::read(config)?;
        let key = identity::load(&config.identity)?.key();
        let (text, module) = (durable::read(&self.study)?, durable::read(&self.module)?);
        let weights = site::read(self.weights.as_deref())?;
        let manifest = Study::parse(&text)?;
        let (got, want) = (Digest::of(&module), manifest.manifest().module);
        if got != want {
            return Err(PinError::OtherModule { got, want }.into());
        }
        pin::check_weights(&manifest, weights.as_deref())?;
        let site = check_roster(&manifest, &config.site, key)?;
        let sandbox = Sandbox::load_approved(
            &module,
            want,
            self.limits.allowance(Some(&config)),
            &Compiled::of_user(),
        )?;
        let described = study::describe(&sandbox, &text, weights.as_deref())?;
        study::show(&manifest, out)?;
        writeln!(
            out,
            "module      {}: agrees, imports nothing",
            described.module
        )?;
        spending::show(&config, &manifest, out)?;
        let Kept { cohort, data } = self.judge(&config, &manifest, &text, &sandbox, out)?;
        let weights = weights.as_deref();
        let doublings = pace(&sandbox, &manifest, &text, weights, &cohort, site, out)?;
        if !self.yes {
            let question = "Approve this study and this module for this site?";
            consent::ask(question, out)?;
        }
        let budget = decisions::budget_in_force(&config)?;
        let ledger = if self.new_ledger {
            ledger::begin_anew(&config.state, budget, &config.data)?
        } else {
            ledger::begin(&config.state, budget, &config.data)?
        };
        ledger::mark(&ledger, &config.data)?;
        let approved = Approved::pin(&config.state, &text, &module, weights, doublings, data)?;
        writeln!(
            out,
            "approved    study {} with module {want}",
            approved.study.digest()
        )?;
        Ok(())
    }

    /// Reads the patients: shows what was read, and stops where people should look first.
    fn judge(
        &self,
        config: &Config,
        study: &Study,
        text: &[u8],
        sandbox: &Sandbox,
        out: &mut dyn Write,
    ) -> Result<Kept> {
        let disk = Disk::new(&config.state, &config.state);
        let kept = patients::get(sandbox, text, &config.data, config.bad_rows, &disk)
            .context("reading the patients: they are looked at before a study is approved")?;
        let report = &kept.cohort.report;
        write!(out, "patients    ")?;
        coverage::show(report, out)?;
        let most = study.manifest().aggregation.patients_per_site;
        let mut doubts = coverage::doubts(report);
        doubts.extend(coverage::too_many(report, most));
        coverage::judge(doubts, site::verdict(self.accept_doubts), out)?;
        Ok(kept)
    }
}

/// Tries a round on the patients and shows when this site will answer: how many times the study's floor is doubled until its
/// adverts leave.
fn pace(
    sandbox: &Sandbox,
    study: &Study,
    text: &[u8],
    weights: Option<&[u8]>,
    cohort: &Cohort,
    site: SiteId,
    out: &mut dyn Write,
) -> Result<u8> {
    let reporter = Reporter::of_terminal();
    let mut progress = |progress| reporter.work(progress);
    let took = trial::run(sandbox, study, text, weights, cohort, site, &mut progress)?;
    reporter.clear();
    let doublings = Pace::doublings(study, took);
    let usual = Pace::new(study, doublings).usual();
    writeln!(
        out,
        "pace        a round takes {:.2} s on this computer: this site always answers {:.2} s after a round begins",
        took.as_secs_f64(),
        usual.as_secs_f64()
    )?;
    Ok(doublings)
}

/// This site's place in the study; refuses a study that has it under another name, or not at all.
fn check_roster(study: &Study, site: &str, key: IdentityKey) -> Result<SiteId> {
    let place = study.site(&key);
    let Some((place, member)) = place.and_then(|place| Some((place, study.member(place)?))) else {
        bail!(
            "this site's key {key} is not in the study's roster: send it to the study's author (`host enrol`)"
        );
    };
    if member.name != site {
        bail!(
            "the study's roster calls this site `{}`, and host.toml calls it `{site}`",
            member.name
        );
    }
    Ok(place)
}
