//! `host`: what a hospital's IT department runs.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

mod command;

fn main() -> ExitCode {
    let cli = command::Cli::parse();
    match command::run(&cli, &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody reads: the status says it too.
            let _ = writeln!(std::io::stderr(), "host: {error:#}");
            ExitCode::FAILURE
        }
    }
}
