//! `host compose`

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use host::compiled::Compiled;
use host::compose::{self, Draft, Parts};
use host::durable;
use host::sandbox::{Sandbox, SandboxError};
use protocol::door::{Describe, Request, Response};
use protocol::id::{AgreementKey, Digest};
use protocol::study::Study;

use super::site::{self, Limits};

/// Makes a study of a draft: adds the module's digest, the aggregator's key, the roster, the public weights' digest and
/// the number of parameters
#[derive(Args, Debug)]
pub(crate) struct Compose {
    #[command(flatten)]
    settings: Settings,
    /// The aggregator's key, as `aggregator key` prints it
    #[arg(long, value_name = "KEY")]
    aggregator_key: AgreementKey,
    /// The sites, as `aggregator roster` prints them
    #[arg(long, value_name = "FILE")]
    roster: PathBuf,
    /// Public weights to start from, as `host pretrain` writes them: the study names their SHA-256
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Sites that may cheat, together with the aggregator, without harm to the others' privacy: more ask for more noise
    /// and for a higher threshold [default: a tenth of the sites, rounded up, as far as the threshold allows]
    #[arg(long, value_name = "COUNT")]
    dishonest_sites: Option<u16>,
    /// The study file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// A draft and what is changed in it.
#[derive(Args, Debug)]
pub(super) struct Settings {
    /// The draft
    #[arg(value_name = "DRAFT")]
    draft: PathBuf,
    /// The module that all sites will run
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// Replace a setting of the draft, for example privacy.epsilon=1.0; can be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    #[command(flatten)]
    limits: Limits,
}

impl Settings {
    /// The module, ready to run, and the draft with its settings replaced.
    pub(super) fn load(&self) -> Result<(Sandbox, Draft)> {
        let module = durable::read(&self.module)?;
        let sandbox = Sandbox::load(&module, self.limits.allowance(None), &Compiled::of_user())?;
        let in_draft = || self.draft.display().to_string();
        let text = String::from_utf8(durable::read(&self.draft)?).with_context(in_draft)?;
        let mut draft = Draft::parse(&text).with_context(in_draft)?;
        for (path, value) in &self.set {
            draft
                .set(path, value)
                .with_context(|| format!("--set {path}={value}"))?;
        }
        Ok((sandbox, draft))
    }
}

/// Adds what the draft lacks; the number of parameters is the module's word.
pub(super) fn complete(
    draft: &mut Draft,
    parts: &Parts<'_>,
    sandbox: &Sandbox,
    weights: Option<&[u8]>,
) -> Result<Study> {
    draft.complete(parts)?;
    let is_stated = draft.parameters().is_some();
    if !is_stated {
        // Any number will do for the module to say what its own is.
        draft.state_parameters(1)?;
    }
    draft.state_histograms()?;
    draft.state_noise_multiplier()?;
    draft.state_graph()?;
    if !is_stated {
        draft.state_parameters(parameters(sandbox, &draft.text(), weights)?)?;
    }
    draft.state_unclipped()?;
    Ok(Study::parse(draft.text().as_bytes())?)
}

impl Compose {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<()> {
        let (sandbox, mut draft) = self.settings.load()?;
        let roster = durable::read(&self.roster)?;
        let roster = String::from_utf8(roster)
            .with_context(|| format!("{} is not UTF-8", self.roster.display()))?;
        let weights = site::read(self.weights.as_deref())?;
        let parts = Parts {
            module: sandbox.digest(),
            aggregator: self.aggregator_key,
            roster: &roster,
            weights: weights.as_deref().map(Digest::of),
            dishonest: self.dishonest_sites,
        };
        let study = complete(&mut draft, &parts, &sandbox, weights.as_deref())
            .with_context(|| self.settings.draft.display().to_string())?;
        durable::replace(&self.out, draft.text().as_bytes())?;
        writeln!(out, "study  {}  {}", study.digest(), self.out.display())?;
        let manifest = study.manifest();
        if manifest.privacy.epsilon.is_infinite() {
            writeln!(
                out,
                "clip norm  {}, since epsilon is inf: without noise there is nothing that a small one is for (--set \
                 privacy.clip-norm=… states another)",
                manifest.privacy.clip_norm
            )?;
        }
        if let Some(warning) = compose::warning(&study) {
            writeln!(out, "warning  {warning}")?;
        }
        Ok(())
    }
}

/// The parameters of the module's own model.
fn parameters(sandbox: &Sandbox, study: &str, weights: Option<&[u8]>) -> Result<u32> {
    let request = Request::Describe(Describe {
        study: study.as_bytes().to_vec().into(),
        weights: weights.map(|weights| weights.to_vec().into()),
    });
    match sandbox.instance()?.ask(&request)? {
        Response::Described(described) => Ok(described.parameters),
        _ => Err(SandboxError::OtherAnswer.into()),
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("want NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
