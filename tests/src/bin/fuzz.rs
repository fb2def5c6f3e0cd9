//! Bad input by the thousand; see `vouch_tests::fuzz`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a harness talks to its terminal")]

use std::{
    path::PathBuf,
    process::ExitCode,
    thread::available_parallelism,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use eyre::{Result, ensure};
use vouch_tests::fuzz::{self, Campaign};

/// Changes models and data files at random and sees that each is refused with a sentence, or compiles: without a panic,
/// in 5 s of processor time, and in 1 GiB of memory. Mutants that fail stay in target/fuzz.
#[derive(Debug, Parser)]
struct Args {
    /// How long to go on.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// What the mutants depend on; the time by default.
    #[arg(long)]
    seed: Option<u64>,
    /// Mutants at a time; the processors by default.
    #[arg(long)]
    jobs: Option<u64>,
    /// Run these files in this process, and say what becomes of them.
    files: Vec<PathBuf>,
    /// What a child does: seed, first mutant, step.
    #[arg(long, hide = true, value_delimiter = ',')]
    work: Vec<u64>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if let [seed, first, step] = args.work[..] {
        return fuzz::work(seed, first, step);
    }
    if !args.files.is_empty() {
        return replay(&args.files);
    }
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let seed = args.seed.unwrap_or(clock);
    let jobs = match args.jobs {
        Some(jobs) => jobs.max(1),
        None => available_parallelism()?.get() as u64,
    };
    let start = Instant::now();
    let summary = Campaign { seed, time: Duration::from_secs(args.seconds), jobs }.run()?;
    for (class, count) in &summary.classes {
        println!("{count:8} {class}");
    }
    for (what, file) in &summary.failures {
        println!("FAILED {} {what}", file.display());
    }
    let (mutants, seconds) = (summary.mutants(), start.elapsed().as_secs_f64());
    println!("{mutants} mutants under seed {seed} in {seconds:.0} s, {} failed", summary.failed);
    ensure!(summary.failures.is_empty(), "mutants failed; run this command with the name of a file to see one again");
    ensure!(mutants > 0, "no mutant was run");
    Ok(())
}

fn replay(files: &[PathBuf]) -> Result<()> {
    let mut failed = false;
    for file in files {
        let (good, verdict) = fuzz::replay(file)?;
        println!("{verdict}");
        failed |= !good;
    }
    ensure!(!failed, "a file failed");
    Ok(())
}
