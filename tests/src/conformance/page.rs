//! The page of the book that says which operators work: `docs/src/operators.md`.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use eyre::Result;

use super::{
    manifest::{Entry, Manifest},
    summary::{Tally, counted, reason},
};
use crate::{page_with, root};

const PAGE: &str = "docs/src/operators.md";
/// Reasons that a row names; the rest are counted.
const REASONS: usize = 3;

/// Where the page is.
#[must_use]
pub fn path() -> PathBuf {
    root().join(PAGE)
}

/// The page with what the record says between its marks.
///
/// # Errors
/// Where the page is absent or lacks its marks.
pub fn render(manifest: &Manifest) -> Result<String> {
    page_with(PAGE, "operators", &content(manifest)?)
}

fn content(manifest: &Manifest) -> Result<String> {
    let tallies: BTreeMap<&str, Tally> =
        manifest.0.iter().map(|(operator, cases)| (operator.as_str(), tally(cases.values()))).collect();
    let all = tally(manifest.0.values().flat_map(BTreeMap::values));
    let operators = |kind: fn(&Tally) -> bool| tallies.values().filter(|tally| kind(tally)).count();
    let mut out = String::new();
    writeln!(out, "| of {} cases pass | cases | share |\n| --- | ---: | ---: |", all.cases)?;
    for (what, count) in [
        ("with every input live", all.live),
        ("with integer and boolean inputs constant where they must be", all.live + all.fixed),
        ("with any inputs constant where they must be", all.passed()),
    ] {
        writeln!(out, "| {what} | {count} | {:.1} % |", 100.0 * count as f64 / all.cases.max(1) as f64)?;
    }
    writeln!(
        out,
        "\nOf {} operators {} pass every case, {} some and {} none.\n",
        tallies.len(),
        operators(|t| t.passed() == t.cases),
        operators(|t| t.passed() > 0 && t.passed() < t.cases),
        operators(|t| t.passed() == 0),
    )?;
    writeln!(out, "| operator | cases | pass | of these with constant inputs | what stops the others |")?;
    writeln!(out, "| --- | ---: | ---: | ---: | --- |")?;
    for (operator, tally) in &tallies {
        let constant = tally.fixed + tally.fixed_real;
        let constant = if constant == 0 { String::new() } else { constant.to_string() };
        let stops = stops(manifest.0[*operator].values());
        writeln!(out, "| {operator} | {} | {} | {constant} | {stops} |", tally.cases, tally.passed())?;
    }
    Ok(out)
}

fn tally<'a>(cases: impl Iterator<Item = &'a Entry>) -> Tally {
    let mut tally = Tally::default();
    cases.for_each(|entry| tally.add(entry.passed()));
    tally
}

/// The most frequent reasons of cases that fail.
fn stops<'a>(cases: impl Iterator<Item = &'a Entry>) -> String {
    let reasons = counted(cases.filter(|entry| !entry.pass).map(|entry| cell(&reason(&entry.reason))));
    let more: usize = reasons.iter().skip(REASONS).map(|(_, count)| count).sum();
    let named = reasons.iter().take(REASONS).map(|(reason, count)| format!("{reason} ({count})"));
    let rest = (more > 0).then(|| format!("others ({more})"));
    named.chain(rest).collect::<Vec<_>>().join("; ")
}

/// A reason as a cell of the table has it.
fn cell(reason: &str) -> String {
    let short =
        reason.replacen("uses the operator ", "", 1).replacen(", which is not supported", " is not supported", 1);
    short.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rows_say_what_passes_and_what_stops_the_rest() {
        let text = r#"{"Pad": {
            "a": {"pass": true, "error": 0.0012},
            "b": {"pass": true, "error": 0, "fixed": {"whole": ["pads"]}},
            "c": {"pass": false, "stage": "import", "reason": "node `y` (Pad): its mode is `edge`"},
            "d": {"pass": false, "stage": "import", "reason": "node `z` (Pad): its mode is `wrap`"}}}"#;
        let page = content(&serde_json::from_str(text).unwrap()).unwrap();
        assert!(page.contains("| with every input live | 1 | 25.0 % |"), "{page}");
        assert!(page.contains("| Pad | 4 | 2 | 1 | Pad: its mode is `…` (2) |"), "{page}");
        assert!(page.contains("Of 1 operators 0 pass every case, 1 some and 0 none."), "{page}");
    }

    #[test]
    fn the_page_is_what_the_record_says() {
        let page = std::fs::read_to_string(path()).unwrap();
        assert_eq!(page, render(&Manifest::read().unwrap()).unwrap(), "run script/bless");
    }
}
