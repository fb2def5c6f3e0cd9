//! Measures the trained models of `models/real`; `script/real-models` builds what it needs first.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a harness talks to its terminal")]

use std::{fs, num::NonZeroUsize, process::ExitCode, sync::Arc, thread::available_parallelism, time::Instant};

use clap::Parser;
use eyre::{Result, bail, ensure, eyre};
use vouch_tests::real::{
    form::{Form, Model},
    manifest::MAIN,
    measure::{Outcome, layers},
    page,
    proof::prove,
    record::Record,
    schedule,
};

/// What trained models come to, from their import to a proof.
#[derive(Debug, Parser)]
struct Args {
    /// Only these models.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Fail where a figure is worse than recorded, or a model's integers do not stand for it.
    #[arg(long, conflicts_with_all = ["bless", "prove"])]
    check: bool,
    /// Record the figures, and write the page of the book.
    #[arg(long)]
    bless: bool,
    /// As `--bless`, and make and verify a proof of each model.
    #[arg(long, conflicts_with = "bless")]
    prove: bool,
    /// What the record says of the machine that proves.
    #[arg(long, default_value = "an unnamed machine")]
    machine: String,
    /// Name the layers that add most to the errors of each file.
    #[arg(long)]
    layers: bool,
    /// Files at a time; the processors by default.
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Run nothing; print the page of the book as the record makes it.
    #[arg(long, exclusive = true)]
    page: bool,
}

/// Layers of a file that `--layers` names.
const LAYERS: usize = 5;

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
        print!("{}", page::render(&Record::read()?)?);
        return Ok(());
    }
    let start = Instant::now();
    let models = models(args)?;
    let now = measured(args, &models)?;
    println!("{}", page::content(&now)?);
    eprintln!("{:.0} s", start.elapsed().as_secs_f64());
    if args.check {
        check(&now)?;
    }
    if args.bless || args.prove {
        record(args, &models, &now)?;
    }
    Ok(())
}

/// The models that are asked for and whose files are there.
fn models(args: &Args) -> Result<Vec<Arc<Model>>> {
    let mut models = Model::all()?;
    if let Some(unknown) = args.only.iter().find(|name| models.iter().all(|model| model.name != **name)) {
        bail!("models/real has no model `{unknown}`");
    }
    models.retain(|model| args.only.is_empty() || args.only.contains(&model.name));
    for model in models.iter().filter(|model| !model.is_there()) {
        let name = &model.name;
        eprintln!("{name} is left out: a package ships it, and models/real/{name}/fetch.py has not fetched it");
    }
    models.retain(|model| model.is_there());
    if args.check && args.only.is_empty() {
        // Some take minutes, and what the step says must not depend on what was fetched.
        models.retain(|model| model.is_committed());
    }
    ensure!(!models.is_empty(), "there is no file to measure");
    Ok(models)
}

fn measured(args: &Args, models: &[Arc<Model>]) -> Result<Record> {
    let forms: Vec<Form> = models.iter().flat_map(Model::forms).collect();
    let jobs = args.jobs.map_or_else(available_parallelism, Ok)?.get();
    let mut now = Record::default();
    schedule::run(&forms, jobs, |form, outcome, seconds| {
        eprintln!("{seconds:5.1} s  {}  {}", form.name(), notes(&outcome).join("; "));
        if args.layers && matches!(outcome, Outcome::Figures(_)) {
            let worst = layers(form, LAYERS).map_err(|error| eyre!(error))?;
            worst.iter().for_each(|layer| eprintln!("         {layer}"));
        }
        now.add(&form.model.name, &form.file, outcome);
        Ok(())
    })?;
    Ok(now)
}

/// What is not as it should be.
fn notes(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Figures(figures) => {
            let refused = figures.refused_by.iter().map(|(tensor, n)| format!("{n} leave the range of `{tensor}`"));
            refused.chain(figures.complaints()).collect()
        }
        Outcome::Failure(failure) => vec![format!("fails in {}: {}", failure.stage, failure.reason)],
    }
}

/// Compares figures with the record and with what is asked of every model.
fn check(now: &Record) -> Result<()> {
    let difference = Record::read()?.difference(now);
    if !difference.changed.is_empty() {
        let changed = difference.changed.join(", ");
        eprintln!("note: figures of {changed} have changed; script/real-models --bless records them");
    }
    let mut wrong = difference.worse;
    wrong.extend(difference.unrecorded.iter().map(|name| format!("{name} is not in the record")));
    for (model, file, outcome) in now.files() {
        let Outcome::Figures(figures) = outcome else { continue };
        wrong.extend(figures.complaints().into_iter().map(|what| format!("{model}/{file}: {what}")));
    }
    ensure!(
        wrong.is_empty(),
        "not as docs/real-models.json has it, or not what is asked of every model:\n  {}",
        wrong.join("\n  ")
    );
    Ok(())
}

/// Puts figures into the record, and proofs where they are asked for.
fn record(args: &Args, models: &[Arc<Model>], now: &Record) -> Result<()> {
    let mut record = Record::read()?;
    for model in models {
        let Some(files) = now.models.get(&model.name) else { continue };
        record.models.insert(model.name.clone(), files.clone());
        record.write()?;
        let compiles = matches!(files.get(MAIN), Some(Outcome::Figures(figures)) if figures.circuit.is_some());
        if args.prove && compiles {
            eprintln!("proving {}", model.name);
            record.proofs.insert(model.name.clone(), prove(model)?);
            args.machine.clone_into(&mut record.machine);
        }
    }
    record.write()?;
    fs::write(page::path(), page::render(&record)?)?;
    eprintln!("docs/real-models.json and docs/src/real-models.md written");
    Ok(())
}
