//! `host data`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use host::compiled::Compiled;
use host::config::Config;
use host::coverage::{self, Doubt, Verdict};
use host::look::{Look, chart, explanation, finding, page, proposal};
use host::pin::Approved;
use host::sandbox::Sandbox;
use host::{durable, patients};
use protocol::study::{Cohort, Study};

use super::site::{self, Limits, Patients};

/// What this site's files hold
#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    Check(Check),
}

/// Shows what files hold, and what a study or a draft would use of them; nothing is sent or kept
///
/// For each feature: patients who have it, what becomes of its events, a histogram against the reference, and everything that
/// looks wrong, in words; then reference values for a draft. It ends with an error where nothing joins, no event is used or a
/// feature has no value, as `host approve` does.
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// A study file, or a draft of one [default: the approved study]
    #[arg(long, value_name = "FILE", requires = "module")]
    study: Option<PathBuf>,
    /// The module that is to read the files [default: the approved one]
    #[arg(long, value_name = "FILE", requires = "study")]
    module: Option<PathBuf>,
    /// Write what was found as a page too, which needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Show one patient, by number: each input as the model sees it, and each event with file and row
    #[arg(long, value_name = "SUBJECT", allow_negative_numbers = true)]
    explain: Option<i64>,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    patients: Patients,
}

impl Data {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        match self {
            Self::Check(check) => check.run(config, out),
        }
    }
}

/// What files are looked at for.
struct Wanted {
    name: String,
    text: Vec<u8>,
    cohort: Cohort,
    /// `aggregation.patients-per-site`, where it is said.
    most_patients: Option<u32>,
    sandbox: Sandbox,
}

impl Check {
    fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        let config = site::optional(config)?;
        let wanted = self.wanted(config.as_ref())?;
        let bad_rows = self.patients.bad_rows(config.as_ref());
        let mut looks = Vec::new();
        for source in self.patients.sources(config.as_ref())? {
            let checked = patients::check(
                &wanted.sandbox,
                &wanted.text,
                source.data(),
                bad_rows,
                self.explain,
            )
            .with_context(|| format!("reading the patients in {}", source.name()))?;
            let mut doubts = coverage::doubts(&checked.report);
            let most = wanted.most_patients;
            doubts.extend(most.and_then(|most| coverage::too_many(&checked.report, most)));
            let look = Look {
                name: source.name(),
                cohort: &wanted.cohort,
                checked,
            };
            tell(&look, out)?;
            looks.push((look, doubts));
        }
        if let Some(path) = &self.html {
            durable::replace(path, page::page(&wanted.name, &looks).as_bytes())?;
            writeln!(out, "page  {}  (patient data)", path.display())?;
        }
        let doubts: Vec<Doubt> = looks.into_iter().flat_map(|(_, doubts)| doubts).collect();
        if doubts.is_empty() && self.patients.verdict() == Verdict::Stop {
            writeln!(out, "the files can be used")?;
        }
        Ok(coverage::judge(doubts, self.patients.verdict(), out)?)
    }

    fn wanted(&self, config: Option<&Config>) -> Result<Wanted> {
        let (name, text, module) = match (&self.study, &self.module, config) {
            (Some(study), Some(module), _) => (
                study.display().to_string(),
                durable::read(study)?,
                durable::read(module)?,
            ),
            (_, _, Some(config)) => {
                let approved = Approved::load(&config.state)?;
                let name = format!("study {}", approved.study.digest());
                (name, approved.text, approved.module)
            }
            _ => bail!(
                "name a study or a draft and its module (--study, --module), or a site (--config)"
            ),
        };
        let allowance = self.limits.allowance(config);
        let sandbox = match Study::parse(&text) {
            Ok(study) => {
                let approved = study.manifest().module;
                Sandbox::load_approved(&module, approved, allowance, &Compiled::of_user())?
            }
            // A draft names no module yet.
            Err(_) => Sandbox::load(&module, allowance, &Compiled::of_user())?,
        };
        let cohort = Cohort::of_draft(&text).with_context(|| name.clone())?;
        Ok(Wanted {
            most_patients: most_patients(&text),
            name,
            text,
            cohort,
            sandbox,
        })
    }
}

/// `aggregation.patients-per-site` of a study or a draft.
fn most_patients(text: &[u8]) -> Option<u32> {
    let table: toml::Table = toml::from_str(std::str::from_utf8(text).ok()?).ok()?;
    let most = table.get("aggregation")?.get("patients-per-site")?;
    u32::try_from(most.as_integer()?).ok()
}

fn tell(look: &Look<'_>, out: &mut dyn Write) -> Result<()> {
    write!(out, "{}: ", look.name)?;
    let report = &look.checked.report;
    coverage::show(report, out)?;
    let classes: Vec<String> = look
        .cohort
        .classes
        .iter()
        .zip(&report.classes)
        .map(|(class, count)| format!("{class} {count}"))
        .collect();
    writeln!(out, "labels of each class: {}", classes.join(", "))?;
    if let Some(explained) = &look.checked.explained {
        for line in explanation::lines(explained, look.cohort) {
            writeln!(out, "{line}")?;
        }
        return Ok(());
    }
    writeln!(
        out,
        "values against the reference (├┼┤ is its mean with one standard deviation either way, [ ] the plausible range):"
    )?;
    for found in look.features() {
        for line in chart::lines(found) {
            writeln!(out, "{line}")?;
        }
        for finding in finding::of_feature(found, report) {
            writeln!(out, "  look: {finding}")?;
        }
    }
    writeln!(out, "reference values for a draft:")?;
    for line in proposal::lines(look) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
