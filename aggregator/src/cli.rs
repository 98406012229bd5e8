//! What the command line takes.

use std::net::SocketAddr;
use std::path::PathBuf;

use aggregator::serve::Transport;
use aggregator::store::SiteName;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Adds the masked vectors of hospitals, and learns from the sum alone
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the public key for `aggregation.key` of a study; make the key first where there is none
    Key {
        /// Folder with all that the aggregator keeps
        #[arg(long, value_name = "FOLDER")]
        store: PathBuf,
    },
    /// Make a one-time token with which one site can enrol, and print it
    Token {
        /// Folder with all that the aggregator keeps
        #[arg(long, value_name = "FOLDER")]
        store: PathBuf,
        /// The site's name
        #[arg(long, value_name = "NAME")]
        site: SiteName,
    },
    /// Print the enrolled sites as `[[roster]]` tables of a study
    Roster(Roster),
    /// Run the service: enrolment, and the rounds of a study where one is given
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(crate) struct Roster {
    /// Folder with all that the aggregator keeps
    #[arg(long, value_name = "FOLDER")]
    pub(crate) store: PathBuf,
    /// Close the list first, for a study that draws the sites of a round by lot: nobody can join it any more, and each
    /// site reveals its nonce for exactly this list (`host reveal`)
    #[arg(long, conflicts_with = "reopen")]
    pub(crate) close: bool,
    /// Start over: forget all sites and what they revealed, so that each enrols again with a new token and a new nonce
    #[arg(long)]
    pub(crate) reopen: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Folder with all that the aggregator keeps
    #[arg(long, value_name = "FOLDER")]
    pub(crate) store: PathBuf,
    /// The study to run; without one, sites can enrol and no more
    #[arg(long, value_name = "FILE")]
    pub(crate) study: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes any free one. The first line on stdout says which
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8480")]
    pub(crate) listen: SocketAddr,
    /// PEM file with the certificate and those between it and its root
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// PEM file with the certificate's private key
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Listen without TLS on any address: a proxy in front of this process speaks TLS to the sites
    #[arg(long, conflicts_with = "tls_certificate")]
    behind_tls_proxy: bool,
    /// Seconds that a round waits for sites to train and advertise; once all sites of the round before are there,
    /// the others have `--stage-seconds` left
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub(crate) advertise_seconds: u64,
    /// Seconds that each later stage of a round waits for sites that do not report
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) stage_seconds: u64,
    /// How log lines on stderr look; `RUST_LOG` chooses which there are
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

impl Serve {
    pub(crate) fn transport(&self) -> Transport {
        match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => Transport::Tls {
                certificate: certificate.clone(),
                key: key.clone(),
            },
            _ if self.behind_tls_proxy => Transport::BehindTlsProxy,
            _ => Transport::Loopback,
        }
    }
}
