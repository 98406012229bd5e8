//! `host study`

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use host::compiled::Compiled;
use host::sandbox::{Sandbox, SandboxError};
use host::{durable, pin};
use protocol::door::{Describe, Described, Request, Response};
use protocol::id::Purpose;
use protocol::study::{Layout, Normalisation, Participants, Section, Study, Trained};

use super::promise;
use super::site::{self, Limits};

/// Shows what a study is, and checks that it can be run
#[derive(Args, Debug)]
pub(crate) struct Show {
    /// The study file
    #[arg(value_name = "FILE")]
    study: PathBuf,
    /// The study's module, which says whether the model is the one that the study means
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
    /// The public weights that the study starts from, where it names some
    #[arg(long, value_name = "FILE", requires = "module")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    limits: Limits,
}

impl Show {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<()> {
        let text = durable::read(&self.study)?;
        let study = Study::parse(&text)?;
        show(&study, out)?;
        let Some(module) = &self.module else {
            return Ok(());
        };
        let bytes = durable::read(module)?;
        let weights = site::read(self.weights.as_deref())?;
        pin::check_weights(&study, weights.as_deref())?;
        let sandbox = Sandbox::load_approved(
            &bytes,
            study.manifest().module,
            self.limits.allowance(None),
            &Compiled::of_user(),
        )?;
        let described = describe(&sandbox, &text, weights.as_deref())?;
        writeln!(
            out,
            "module      {}: agrees, {} parameters",
            described.module, described.parameters
        )?;
        Ok(())
    }
}

/// Asks the module whether it can run the study.
pub(super) fn describe(
    sandbox: &Sandbox,
    text: &[u8],
    weights: Option<&[u8]>,
) -> Result<Described> {
    let request = Request::Describe(Describe {
        study: text.to_vec().into(),
        weights: weights.map(|weights| weights.to_vec().into()),
    });
    let Response::Described(described) = sandbox.instance()?.ask(&request)? else {
        return Err(SandboxError::OtherAnswer.into());
    };
    let study = Study::parse(text)?;
    let stated = study.manifest().model.parameters;
    if described.parameters != stated {
        bail!(
            "the study says {stated} parameters, and the module's model has {}",
            described.parameters
        );
    }
    Ok(described)
}

/// Writes what a person needs to decide on a study.
pub(super) fn show(study: &Study, out: &mut dyn Write) -> Result<()> {
    let manifest = study.manifest();
    let cohort = &manifest.cohort;
    writeln!(out, "study       {}", study.digest())?;
    writeln!(out, "title       {}", manifest.title)?;
    writeln!(out, "purpose     {}", manifest.purpose)?;
    writeln!(out, "module      {}", manifest.module)?;
    writeln!(
        out,
        "sites       {}, of which {} must agree",
        manifest.roster.len(),
        study.threshold(Purpose::Evaluate)
    )?;
    if let Participants::Random { sites, threshold } = manifest.training.participants {
        writeln!(
            out,
            "training    {sites} of them by lot in each round, of which {threshold} must agree"
        )?;
    }
    for (place, member) in manifest.roster.iter().enumerate() {
        writeln!(out, "  {place:3}       {}  {}", member.key, member.name)?;
    }
    writeln!(out, "classes     {}", cohort.classes.join(", "))?;
    let normalisation = match cohort.normalisation {
        Normalisation::Reference => "reference values of the study",
        Normalisation::Shared => "a first round of added moments",
    };
    writeln!(
        out,
        "history     {}, up to and including the prediction time; inputs scaled by {normalisation}",
        cohort.history
    )?;
    for modality in &cohort.modalities {
        let names: Vec<&str> = modality
            .features
            .iter()
            .map(|feature| feature.name.as_str())
            .collect();
        writeln!(out, "features    {}: {}", modality.name, shortened(&names))?;
    }
    writeln!(
        out,
        "parameters  {}, {}",
        manifest.model.parameters,
        trained(&manifest.model.trained)
    )?;
    if let Some(weights) = manifest.model.initial_weights {
        writeln!(out, "starts      from public weights, sha-256 {weights}")?;
    }
    writeln!(out, "rounds      {}", rounds(study))?;
    promise::show(study, out)?;
    for purpose in purposes(study) {
        vector(study, purpose, out)?;
    }
    Ok(())
}

/// Which weights are trained.
fn trained(trained: &Trained) -> String {
    match trained {
        Trained::All => "all weights of the model".to_owned(),
        Trained::Blocks(names) => format!("of {}", names.join(", ")),
    }
}

/// The first few names, and how many more there are.
fn shortened(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        format!("{shown} and {} more", names.len() - SHOWN)
    } else {
        shown
    }
}

/// The purposes of the study's rounds, each once, in the order of the first.
fn purposes(study: &Study) -> Vec<Purpose> {
    let mut purposes = Vec::new();
    for purpose in study.plan() {
        if !purposes.contains(&purpose) {
            purposes.push(purpose);
        }
    }
    purposes
}

fn rounds(study: &Study) -> String {
    let plan = study.plan();
    let count = |wanted| plan.iter().filter(|purpose| **purpose == wanted).count();
    let parts: Vec<String> = purposes(study)
        .into_iter()
        .map(|purpose| format!("{} {purpose}", count(purpose)))
        .collect();
    format!("{}: {}", plan.len(), parts.join(", "))
}

/// Writes what leaves the site in a round with this purpose.
fn vector(study: &Study, purpose: Purpose, out: &mut dyn Write) -> Result<()> {
    let layout: Layout = study.layout(purpose);
    writeln!(
        out,
        "{:10}  {} numbers modulo 2^{}",
        purpose.to_string(),
        layout.length(),
        layout.modulus_bits
    )?;
    for section in &layout.sections {
        writeln!(out, "            {}", part(section))?;
    }
    Ok(())
}

fn part(section: &Section) -> String {
    let Section {
        name,
        length,
        grid,
        sensitivity,
        ..
    } = section;
    let sd = |variance| root(variance) * grid;
    let noise = match (section.added_variance(), section.variance) {
        (Some(added), Some(least)) if least < added => format!(
            "noise of each site with sd {:.4}, of which {:.4} stays where all survive",
            sd(added),
            sd(least)
        ),
        (Some(added), _) => format!("noise of each site with sd {:.4}", sd(added)),
        (None, _) => "no noise".to_owned(),
    };
    format!(
        "{}: {length} numbers; a patient changes them by at most {sensitivity:.4}; {noise}",
        name.name()
    )
}

#[expect(clippy::cast_precision_loss, reason = "shown with four digits")]
fn root(variance: u128) -> f64 {
    (variance as f64).sqrt()
}
