//! The main job end to end on a local chain; `script/demo` runs it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a demonstration talks to its terminal")]

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use vouch_tests::demo::{self, Options};

/// A model moves a vault, and nothing else can.
#[derive(Debug, Parser)]
struct Args {
    /// Write the summary as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Epochs over which the vault rebalances, at least three.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(3..=50))]
    epochs: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let say = |line: &str| println!("{line}");
    match demo::run(&Options { epochs: args.epochs, say: &say }).await {
        Ok(summary) => {
            println!("\n{}", summary.table());
            if let Some(path) = args.json {
                if let Err(error) = summary.write(&path) {
                    eprintln!("error: {error:#}");
                    return ExitCode::FAILURE;
                }
                println!("summary written to {}", path.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
