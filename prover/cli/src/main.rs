//! The `vouch` command: compile, set up, prove, verify, deploy and relay.
//!
//! Results go to standard output, as text or with `--json` as one object; progress and logs go to
//! standard error. Exit codes: 0 for success, 1 for failure, 2 for bad usage.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to its terminal")]

mod accuracy_page;
mod bill;
mod command;
mod failure;
mod model_dir;
mod picture;
mod progress;
mod report;
mod statement;
mod verifier;

use std::process::ExitCode;

use clap::Parser;
use serde_json::json;
use tracing_subscriber::{EnvFilter, fmt::writer::MakeWriterExt};

use crate::command::Command;

/// Proofs of machine-learning inference that contracts can check.
#[derive(Debug, Parser)]
#[command(name = "vouch", version, max_term_width = 100)]
struct Cli {
    /// Print one JSON object on standard output instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("VOUCH_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr.with_max_level(tracing::Level::TRACE))
        .init();
    match cli.command.execute() {
        Ok(report) if cli.json => {
            println!("{}", report.into_json());
            ExitCode::SUCCESS
        }
        Ok(report) => {
            print!("{}", report.text());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            if cli.json {
                println!("{}", json!({ "error": failure }));
            } else {
                eprintln!("error: {}", failure.sentence());
            }
            ExitCode::FAILURE
        }
    }
}
