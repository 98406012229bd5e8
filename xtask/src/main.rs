//! `cargo xtask`: the build driver. It prepares what it needs and says what it does.

#![forbid(unsafe_code)]

mod bench;
mod demo;
mod experiments;
mod figures;
mod fuzz;
mod module;
mod peer_files;
mod plot;
mod setup;
mod shell;
mod soak;
mod sources;
mod test;
mod trial;
mod vectors;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, tests and shows Wardround
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trains on synthetic (or given) hospitals with all parts real, and prints how well
    Demo(demo::Arguments),
    /// Builds the module that runs at hospitals, seals it and prints its digest
    Module(module::Arguments),
    /// Regenerates the tables and plots of docs/results
    Experiments(experiments::Arguments),
    /// Measures how fast things are, side by side
    Bench(bench::Arguments),
    /// Gives every decoder any bytes, led by what they reach
    Fuzz(fuzz::Arguments),
    /// Takes defences out one by one, and runs random operations and random lies on fresh seeds, for so many minutes
    Soak(soak::Arguments),
    /// Writes the protocol's test vectors anew
    Vectors,
    /// Runs every check that must hold before a change lands
    Test,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(arguments) => demo::run_command(&arguments),
        Command::Module(arguments) => module::run_command(&arguments),
        Command::Bench(arguments) => bench::run_command(&arguments),
        Command::Experiments(arguments) => experiments::run_command(&arguments),
        Command::Fuzz(arguments) => fuzz::run_command(&arguments),
        Command::Soak(arguments) => soak::run_command(&arguments),
        Command::Vectors => vectors::run_command(),
        Command::Test => test::run_command(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
