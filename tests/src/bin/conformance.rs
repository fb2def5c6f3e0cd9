//! Runs the ONNX backend node tests; `script/conformance` writes them first.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a harness talks to its terminal")]

use std::{
    fs,
    num::NonZeroUsize,
    process::ExitCode,
    thread::available_parallelism,
    time::{Duration, Instant},
};

use clap::Parser;
use eyre::{Result, bail, ensure};
use vouch_tests::conformance::{
    case::{Case, proved},
    gadgets::unproved,
    manifest::Manifest,
    page,
    results::{Outcome, Results},
    schedule::Schedule,
    summary, work_folder,
};

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Which operators of ONNX work, case by case.
#[derive(Debug, Parser)]
struct Args {
    /// Run the cases whose name contains this.
    #[arg(long = "match", value_name = "TEXT")]
    pattern: Option<String>,
    /// Run these cases or operators.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Run the cases that failed when they last ran.
    #[arg(long)]
    failed: bool,
    /// Tell of every case, and of panics as they happen.
    #[arg(long)]
    verbose: bool,
    /// Cases at a time; the processors by default.
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Seconds that a case may take.
    #[arg(long, default_value_t = 60)]
    limit: u64,
    /// Run all cases; fail where others pass than those recorded.
    #[arg(long, conflicts_with_all = ["pattern", "only", "failed", "bless"])]
    check: bool,
    /// Run all cases; record what passes, unless less does than before, and write the page of the book.
    #[arg(long, conflicts_with_all = ["pattern", "only", "failed"])]
    bless: bool,
    /// Run nothing; print the page of the book as the record makes it.
    #[arg(long, exclusive = true)]
    page: bool,
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
    if args.page {
        print!("{}", page::render(&Manifest::read()?)?);
        return Ok(());
    }
    let start = Instant::now();
    let outcomes = outcomes(args)?;
    println!("{}", summary::table(&outcomes));
    eprintln!("{:.0} s, results in target/conformance/results.jsonl", start.elapsed().as_secs_f64());
    if args.check {
        check(&outcomes)?;
    }
    if args.bless {
        let manifest = Manifest::of(&outcomes);
        // Where there is no record yet, nothing can be lost.
        let lost = Manifest::read().map(|recorded| recorded.difference(&manifest).lost).unwrap_or_default();
        ensure!(
            lost.is_empty(),
            "these cases did better when they were recorded, and what passes can only grow:\n  {}\nif that is meant, \
             take their lines out of tests/conformance/supported_ops.json first",
            lost.join("\n  ")
        );
        manifest.write()?;
        fs::write(page::path(), page::render(&manifest)?)?;
        eprintln!("tests/conformance/supported_ops.json and docs/src/operators.md written");
    }
    Ok(())
}

/// Runs the cases that are asked for.
fn outcomes(args: &Args) -> Result<Vec<Outcome>> {
    let folder = work_folder().join("cases");
    ensure!(folder.is_dir(), "there are no cases in target/conformance/cases; run script/conformance");
    let partial = args.failed || args.pattern.is_some() || !args.only.is_empty();
    let mut results = Results::open(&work_folder().join("results.jsonl"), !partial)?;
    let failed = results.failed();
    let chosen = |case: &Case| {
        args.pattern.as_ref().is_none_or(|pattern| case.name.contains(pattern))
            && (args.only.is_empty() || args.only.contains(&case.name) || args.only.contains(&case.operator))
            && (!args.failed || failed.contains(&case.name))
    };
    let cases: Vec<Case> = Case::all()?.into_iter().filter(chosen).collect();
    ensure!(!cases.is_empty(), "no case is chosen");
    if !args.verbose {
        // A panic is an outcome like others.
        std::panic::set_hook(Box::new(|_| {}));
    }
    let schedule = Schedule {
        folder,
        jobs: args.jobs.map_or_else(available_parallelism, Ok)?.get(),
        limit: Duration::from_secs(args.limit),
        proved: proved()?,
    };
    let mut progress = Progress::new(cases.len(), args.verbose);
    let mut outcomes = Vec::new();
    schedule.run(&cases, &mut |outcome| {
        progress.tell(&outcome);
        outcomes.push(outcome.clone());
        results.add(outcome)
    })?;
    results.close()?;
    Ok(outcomes)
}

/// Compares outcomes with the record.
fn check(outcomes: &[Outcome]) -> Result<()> {
    let difference = Manifest::read()?.difference(&Manifest::of(outcomes));
    if difference.reworded > 0 {
        eprintln!(
            "note: {} cases have another error or fail for another reason than recorded; script/conformance --bless \
             records them",
            difference.reworded
        );
    }
    if !difference.lost.is_empty() {
        bail!("these cases did better when they were recorded:\n  {}", difference.lost.join("\n  "));
    }
    let unproved = unproved(outcomes, &proved()?);
    if !unproved.is_empty() {
        let lines = unproved.iter().map(|(gadget, case)| format!("{gadget}: {case} has it")).collect::<Vec<_>>();
        bail!("no case of tests/conformance/proved.txt has\n  {}\nadd some that have", lines.join("\n  "));
    }
    if !difference.unrecorded.is_empty() {
        bail!(
            "run script/conformance --bless and commit the result; these cases are not recorded so:\n  {}",
            difference.unrecorded.join("\n  ")
        );
    }
    Ok(())
}

struct Progress {
    start: Instant,
    told: Instant,
    all: usize,
    done: usize,
    passed: usize,
    verbose: bool,
}

impl Progress {
    fn new(all: usize, verbose: bool) -> Self {
        let now = Instant::now();
        Self { start: now, told: now, all, done: 0, passed: 0, verbose }
    }

    fn tell(&mut self, outcome: &Outcome) {
        self.done += 1;
        self.passed += usize::from(outcome.pass);
        if self.verbose {
            let verdict = if outcome.pass { "pass" } else { "FAIL" };
            let Outcome { name, stage, message, seconds, .. } = outcome;
            eprintln!("{verdict} {stage:9} {seconds:6.2} s  {name} {message}");
        } else if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            let seconds = self.start.elapsed().as_secs_f64();
            let left = seconds / self.done as f64 * (self.all - self.done) as f64;
            let Self { all, done, passed, .. } = self;
            eprintln!("{done} of {all} cases, {passed} pass, {seconds:.0} s, about {left:.0} s left");
        }
    }
}
