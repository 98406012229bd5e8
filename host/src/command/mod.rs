//! The commands, one a file.

mod approve;
mod baseline;
mod budget;
mod clock;
mod compose;
mod consent;
mod data;
mod enrol;
mod forget;
mod import;
mod init;
mod inspect;
mod ledger;
mod model;
mod personalise;
mod predict;
mod predictions;
mod pretrain;
mod promise;
mod published;
mod replay;
mod reveal;
mod run;
mod site;
mod spending;
mod study;
mod synth;
mod tensors;
mod vault;
mod vault_key;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Trains a model with other hospitals; patient data stays here
#[derive(Debug, Parser)]
#[command(name = "host", version)]
pub(crate) struct Cli {
    /// The file that says what this site is
    #[arg(long, global = true, default_value = "host.toml", value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Enrol(enrol::Enrol),
    Reveal(reveal::Reveal),
    Synth(synth::Synth),
    #[command(subcommand)]
    Import(import::Import),
    #[command(subcommand)]
    Data(data::Data),
    Inspect(inspect::Inspect),
    Study(study::Show),
    Compose(compose::Compose),
    Approve(approve::Approve),
    Run(run::Run),
    Ledger(ledger::Ledger),
    #[command(subcommand)]
    Budget(budget::Budget),
    Forget(forget::Forget),
    #[command(subcommand)]
    Vault(vault::Vault),
    Replay(replay::Replay),
    Predict(predict::Predict),
    Baseline(baseline::Baseline),
    Personalise(personalise::Personalise),
    Pretrain(pretrain::Pretrain),
    Model(model::Model),
}

/// Does what the arguments say; what it has to tell goes to `out`.
pub(crate) fn run(cli: &Cli, out: &mut dyn Write) -> Result<()> {
    let config = cli.config.as_path();
    match &cli.command {
        Command::Init(init) => init.run(out),
        Command::Enrol(enrol) => enrol.run(config, out),
        Command::Reveal(reveal) => reveal.run(config, out),
        Command::Synth(synth) => synth.run(out),
        Command::Import(import) => import.run(out),
        Command::Data(data) => data.run(config, out),
        Command::Inspect(inspect) => inspect.run(out),
        Command::Study(show) => show.run(out),
        Command::Compose(compose) => compose.run(out),
        Command::Approve(approve) => approve.run(config, out),
        Command::Run(run) => run.run(config, out),
        Command::Ledger(ledger) => ledger.run(config, out),
        Command::Budget(budget) => budget.run(config, out),
        Command::Forget(forget) => forget.run(config, out),
        Command::Vault(vault) => vault.run(config, out),
        Command::Replay(replay) => replay.run(config, out),
        Command::Predict(predict) => predict.run(config, out),
        Command::Baseline(baseline) => baseline.run(config, out),
        Command::Personalise(personalise) => personalise.run(config, out),
        Command::Pretrain(pretrain) => pretrain.run(out),
        Command::Model(model) => model.run(config, out),
    }
}
