//! The command line of the aggregator.

mod cli;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use aggregator::rounds::StageTimes;
use aggregator::serve::Socket;
use aggregator::store::{Enrolled, Roster, SiteName, Store, load_key, load_or_create_key};
use aggregator::{Service, SystemClock};
use anyhow::Context as _;
use clap::Parser as _;
use ring::rand::SystemRandom;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use self::cli::{Cli, Command, LogFormat, Serve};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Key { store } => key(&store),
        Command::Token { store, site } => token(&store, &site),
        Command::Roster(options) => roster(&options),
        Command::Serve(options) => serve(&options),
    }
}

fn key(store: &Path) -> anyhow::Result<()> {
    let secret = load_or_create_key(&open(store)?.key_file(), &SystemRandom::new())?;
    say(&secret.public().to_string());
    Ok(())
}

fn token(store: &Path, site: &SiteName) -> anyhow::Result<()> {
    let token = open(store)?
        .enrolment()
        .create_token(site, &SystemRandom::new())?;
    say(token.reveal());
    Ok(())
}

fn roster(options: &cli::Roster) -> anyhow::Result<()> {
    let enrolment = open(&options.store)?.enrolment();
    if options.reopen {
        enrolment.reopen()?;
        note(
            "the roster is open and empty: give each site a new token, with which it enrols again",
        );
        return Ok(());
    }
    if options.close {
        let list = enrolment.close().context("closing the roster")?;
        note(&format!(
            "closed    {} sites, list {}",
            list.entries().len(),
            list.digest()
        ));
    }
    let roster = enrolment.roster()?;
    for site in roster.sites() {
        let lot = site.lot.map_or_else(String::new, |lot| {
            format!(
                "lot = {{ nonce = \"{}\", signature = \"{}\" }}\n",
                lot.nonce, lot.signature
            )
        });
        say(&format!(
            "[[roster]]\nname = \"{}\"\nkey = \"{}\"\n{lot}",
            site.name, site.key
        ));
    }
    if let Roster::Closed(sites) = &roster {
        note_missing(sites);
    }
    Ok(())
}

/// Says who has not revealed: a study that draws sites by lot waits for all of them.
fn note_missing(sites: &[Enrolled]) {
    let missing = sites.iter().filter(|site| site.lot.is_none());
    let missing: Vec<&str> = missing.map(|site| site.name.as_str()).collect();
    if missing.is_empty() {
        note("revealed  all sites");
    } else {
        note(&format!(
            "missing   {} (each runs `host reveal`; if one will not, start over with --reopen)",
            missing.join(", ")
        ));
    }
}

fn serve(options: &Serve) -> anyhow::Result<()> {
    log_to_stderr(options.log_format);
    let store = open(&options.store)?;
    let times = StageTimes {
        advertise: Duration::from_secs(options.advertise_seconds),
        others: Duration::from_secs(options.stage_seconds),
    };
    let service = match &options.study {
        None => Service::enrolment_only(&store),
        Some(path) => {
            let file = fs::read(path)
                .with_context(|| format!("reading the study `{}`", path.display()))?;
            let secret = load_key(&store.key_file())?;
            Service::with_study(&store, file, secret, times, Arc::new(SystemClock))
                .with_context(|| format!("starting the study `{}`", path.display()))?
        }
    };
    let socket = Socket::bind(options.listen, &options.transport())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the asynchronous runtime")?;
    runtime.block_on(async {
        // Before the line below, so that whoever reads it may stop us at once.
        let stop = stop_signal()?;
        say(&format!("listening on {}", socket.url()));
        socket
            .serve(Arc::new(service), stop)
            .await
            .context("serving")
    })
}

/// Ends on SIGTERM and on ctrl-c.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn open(store: &Path) -> anyhow::Result<Store> {
    Store::at(store).context("opening the store")
}

fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}

#[expect(
    clippy::print_stdout,
    reason = "what a command answers goes to stdout, logs go to stderr"
)]
fn say(line: &str) {
    println!("{line}");
}

#[expect(
    clippy::print_stderr,
    reason = "what is for the operator and not for the file that stdout goes to"
)]
fn note(line: &str) {
    eprintln!("{line}");
}

#[expect(
    clippy::print_stderr,
    reason = "the one place where a command says why it failed"
)]
fn complain(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
