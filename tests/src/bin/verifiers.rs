//! Makes, or makes again and compares, the compiled verifiers of the standard family.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its terminal")]

use std::{fs, path::PathBuf, process::ExitCode, sync::Mutex, thread};

use alloy::primitives::keccak256;
use clap::Parser;
use eyre::{Result, ensure, eyre};
use indicatif::{ProgressBar, ProgressStyle};
use vouch_circuit::{Shape, standard_shapes};
use vouch_solidity::{Compiled, SolcPath, compile_all};
use vouch_verifiers::{Entry, Index, compress, source};

/// Sources for one run of the compiler: enough to make up for its start.
const BATCH: usize = 12;

/// Compiles the verifier of every standard shape.
#[derive(Debug, Parser)]
struct Args {
    /// Write family.json and family.deflate instead of comparing them.
    #[arg(long)]
    bless: bool,
    /// Runs of the compiler at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Top of the repository.
    #[arg(long, default_value = ".")]
    root: PathBuf,
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
    let shapes = standard_shapes();
    let sources = shapes.iter().map(source).collect::<Result<Vec<String>, _>>()?;
    let texts: Vec<&str> = sources.iter().map(String::as_str).collect();
    let compiled = compile_in_batches(&texts, &SolcPath::in_repository(&args.root), args.jobs.max(1))?;
    let first = compiled.first().ok_or_else(|| eyre!("there are no standard shapes"))?;
    ensure!(compiled.iter().all(|c| c.abi == first.abi), "the verifiers differ in their interfaces");
    let index = Index {
        compiler: first.compiler.clone(),
        abi: first.abi.clone(),
        verifiers: shapes
            .iter()
            .zip(&sources)
            .zip(&compiled)
            .map(|((shape, source), c)| entry(shape, source, c))
            .collect(),
    };
    let index = serde_json::to_string_pretty(&index)? + "\n";
    let code = compress(compiled.iter().map(|c| c.creation.as_slice()))?;
    let folder = args.root.join("prover/verifiers");
    let (index_path, code_path) = (folder.join("family.json"), folder.join("family.deflate"));
    if args.bless {
        fs::write(index_path, index)?;
        fs::write(code_path, &code)?;
    } else {
        let remedy = "run `script/bless verifiers`";
        ensure!(
            fs::read_to_string(&index_path)? == index,
            "{} is not what the sources give; {remedy}",
            index_path.display()
        );
        ensure!(fs::read(&code_path)? == code, "{} is not what the compiler gives; {remedy}", code_path.display());
    }
    let largest = compiled.iter().map(|c| c.runtime.len()).max().unwrap_or(0);
    println!("{} verifiers, the largest of {largest} bytes, {} bytes in all as an archive", compiled.len(), code.len());
    Ok(())
}

fn entry(shape: &Shape, source: &str, compiled: &Compiled) -> Entry {
    Entry {
        shape: shape.to_string(),
        source: keccak256(source),
        creation: keccak256(&compiled.creation),
        creation_bytes: compiled.creation.len(),
        runtime_bytes: compiled.runtime.len(),
    }
}

/// Compiles all sources, in their order.
fn compile_in_batches(sources: &[&str], solc: &SolcPath, jobs: usize) -> Result<Vec<Compiled>> {
    let style = ProgressStyle::with_template("compiling {bar:30} {pos}/{len}, {eta} left")?;
    let bar = ProgressBar::new(sources.len() as u64).with_style(style);
    let waiting = Mutex::new(sources.chunks(BATCH).enumerate());
    let work = || {
        let mut done = Vec::new();
        loop {
            let next = waiting.lock().map_err(|_| eyre!("another run of the compiler failed"))?.next();
            let Some((i, batch)) = next else { return Ok(done) };
            done.push((i, compile_all(batch, solc)?));
            bar.inc(batch.len() as u64);
        }
    };
    let mut batches = thread::scope(|scope| {
        let runs: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let mut batches = Vec::new();
        for run in runs {
            let done: Result<Vec<_>> = run.join().map_err(|_| eyre!("a run of the compiler panicked"))?;
            batches.extend(done?);
        }
        Ok::<_, eyre::Report>(batches)
    })?;
    bar.finish_and_clear();
    batches.sort_by_key(|(i, _)| *i);
    Ok(batches.into_iter().flat_map(|(_, compiled)| compiled).collect())
}
