//! The page of the book about the models: `docs/src/real-models.md`.

use std::{fmt::Write as _, path::PathBuf};

use eyre::Result;

use super::{
    manifest::MAIN,
    measure::{Circuit, Figures, Outcome},
    record::Record,
};
use crate::{page_with, root};

const PAGE: &str = "docs/src/real-models.md";

/// Where the page is.
#[must_use]
pub fn path() -> PathBuf {
    root().join(PAGE)
}

/// The page with what the record says between its marks.
///
/// # Errors
/// Where the page is absent or lacks its marks.
pub fn render(record: &Record) -> Result<String> {
    page_with(PAGE, "real", &content(record)?)
}

/// The tables: what the integers do on held-back data, the circuits, the proofs, and the files that do not compile.
///
/// # Errors
/// None that a string could have.
pub fn content(record: &Record) -> Result<String> {
    let mut out = String::new();
    agreement(&mut out, record)?;
    circuits(&mut out, record)?;
    proofs(&mut out, record)?;
    failures(&mut out, record)?;
    Ok(out)
}

fn figures(record: &Record) -> impl Iterator<Item = (&str, &str, &Figures)> {
    record.files().filter_map(|(model, file, outcome)| match outcome {
        Outcome::Figures(figures) => Some((model, file, figures.as_ref())),
        Outcome::Failure(_) => None,
    })
}

fn agreement(out: &mut String, record: &Record) -> Result<()> {
    writeln!(
        out,
        "| file | samples | without a proof | score | float | integers | same decision | largest error | mean error | \
         of the range | to onnxruntime |\n\
         | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )?;
    for (model, file, f) in figures(record) {
        let [title, float, integer, same] = match &f.scores {
            None => ["", "", "", ""].map(str::to_owned),
            Some(s) => [
                s.metric.title().to_owned(),
                format!("{:.4}", s.float),
                format!("{:.4}", s.integer),
                s.agreement.map(|share| format!("{:.2} %", 100.0 * share)).unwrap_or_default(),
            ],
        };
        let share = if f.range > 0.0 { format!("{:.3} %", 100.0 * f.mean_error / f.range) } else { String::new() };
        writeln!(
            out,
            "| {} | {} | {} | {title} | {float} | {integer} | {same} | {} | {} | {share} | {} |",
            named(model, file),
            f.samples,
            f.refused,
            short(f.largest_error),
            short(f.mean_error),
            f.onnxruntime_error.map(short).unwrap_or_default()
        )?;
    }
    Ok(())
}

fn circuits(out: &mut String, record: &Record) -> Result<()> {
    writeln!(
        out,
        "\nThe circuits that are planned for them, and what the planner predicts:\n\n\
         | file | private weights | multiply-adds | rows | value rows | weight rows | prove, s | gas |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )?;
    for (model, file, f) in figures(record) {
        let numbers = [f.weights as u64, f.macs].map(grouped).join(" | ");
        let name = named(model, file);
        let Some(Circuit { k, predicted, value_rows, weight_rows, .. }) = &f.circuit else {
            writeln!(out, "| {name} | {numbers} | none: {} | | | | |", cell(&f.no_circuit))?;
            continue;
        };
        let rows = [*value_rows as u64, *weight_rows as u64].map(grouped).join(" | ");
        let gas = grouped(predicted.verify_gas);
        writeln!(out, "| {name} | {numbers} | 2^{k} | {rows} | {:.2} | {gas} |", predicted.prove_seconds)?;
    }
    Ok(())
}

fn proofs(out: &mut String, record: &Record) -> Result<()> {
    if record.proofs.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\nOne proof of each model, verified in the EVM; measured on {}:\n\n\
         | model | private weights | rows | set-up, s | prove, s | whole process, s | peak memory, MB | proof, bytes | \
         verify, gas | verifier, bytes |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        record.machine
    )?;
    for (model, p) in &record.proofs {
        let sizes = [p.peak_memory_bytes / 1_000_000, p.proof_bytes, p.gas, p.runtime_bytes].map(grouped).join(" | ");
        writeln!(
            out,
            "| {model} | {} | 2^{} | {:.2} | {:.2} | {:.2} | {sizes} |",
            grouped(p.params as u64),
            p.k,
            p.setup_seconds,
            p.prove_seconds,
            p.process_seconds
        )?;
    }
    Ok(())
}

fn failures(out: &mut String, record: &Record) -> Result<()> {
    let mut failures = record.files().filter_map(|(model, file, outcome)| match outcome {
        Outcome::Failure(failure) => Some((model, file, failure)),
        Outcome::Figures(_) => None,
    });
    let Some(first) = failures.next() else { return Ok(()) };
    writeln!(out, "\nWhat does not compile:\n\n| file | stage | why |\n| --- | --- | --- |")?;
    for (model, file, failure) in std::iter::once(first).chain(failures) {
        writeln!(out, "| {} | {} | {} |", named(model, file), failure.stage, cell(&failure.reason))?;
    }
    Ok(())
}

/// A sentence as a cell of a table has it, without the advice behind a semicolon.
fn cell(reason: &str) -> String {
    let short = reason.split_once("; ").map_or(reason, |(reason, _)| reason);
    short.replace('|', "\\|").replace('<', "&lt;")
}

/// A model by its name, its other forms by their files' names too.
fn named(model: &str, file: &str) -> String {
    if file == MAIN { model.to_owned() } else { format!("{model}, {}", file.trim_end_matches(".onnx")) }
}

/// A small number to two digits.
fn short(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        v if v.abs() < 1e-3 => format!("{v:.1e}"),
        v if v.abs() < 1.0 => format!("{v:.4}"),
        v => format!("{v:.2}"),
    }
}

/// A whole number with its thousands apart.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_are_short_and_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 0.000_051, 0.25, 45.678].map(short), ["0", "5.1e-5", "0.2500", "45.68"]);
    }

    #[test]
    fn files_that_do_not_compile_are_listed_with_the_reason() {
        let text = r#"{"machine": "", "proofs": {}, "models": {"m": {"b.onnx": {"failure": {"stage": "import", "reason": "a|b"}}}}}"#;
        let page = content(&serde_json::from_str(text).unwrap()).unwrap();
        assert!(page.ends_with("| m, b | import | a\\|b |\n"), "{page}");
    }

    #[test]
    fn the_page_is_what_the_record_says() {
        let page = std::fs::read_to_string(path()).unwrap();
        assert_eq!(page, render(&Record::read().unwrap()).unwrap(), "run script/bless");
    }
}
