//! The record of what passes: `tests/conformance/supported_ops.json`.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use eyre::{Result, WrapErr};
use serde::{Deserialize, Serialize};

use super::{
    case::Case,
    record_folder,
    results::Outcome,
    stages::{Fixed, Stage},
};

/// What is recorded of a case: nothing that another run of the same code would change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Whether it passes.
    pub pass: bool,
    /// Largest error to two digits, see [`super::compare::Comparison`], where it passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
    /// Inputs that had to be constants, where it passes.
    #[serde(default, skip_serializing_if = "Fixed::is_empty")]
    pub fixed: Fixed,
    /// Where it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Why it fails.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Entry {
    fn of(outcome: &Outcome) -> Self {
        if outcome.pass {
            let error = outcome.max_rel_error.map(two_digits);
            return Self { pass: true, error, fixed: outcome.fixed.clone(), ..Self::default() };
        }
        // What failed first is in the first line, a remedy behind a semicolon.
        let reason = outcome.message.lines().next().unwrap_or_default();
        let reason = reason.split_once("; ").map_or(reason, |(reason, _)| reason).to_owned();
        Self { stage: Some(outcome.stage), reason, ..Self::default() }
    }

    /// The inputs fixed, where the case passes.
    #[must_use]
    pub fn passed(&self) -> Option<&Fixed> {
        self.pass.then_some(&self.fixed)
    }
}

/// A number rounded to two significant digits.
fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

/// By operator, what is recorded of its cases.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest(pub BTreeMap<String, BTreeMap<String, Entry>>);

/// How outcomes differ from the record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Cases that did better when the record was made.
    pub lost: Vec<String>,
    /// Cases that do better now, or that the record does not know, or no longer lists.
    pub unrecorded: Vec<String>,
    /// Cases that pass or fail as recorded, with another error or for another reason.
    pub reworded: usize,
}

impl Manifest {
    fn path() -> PathBuf {
        record_folder().join("supported_ops.json")
    }

    /// Reads the record.
    ///
    /// # Errors
    /// Where it is absent or malformed.
    pub fn read() -> Result<Self> {
        let text = fs::read_to_string(Self::path()).wrap_err("tests/conformance/supported_ops.json")?;
        serde_json::from_str(&text).wrap_err("tests/conformance/supported_ops.json")
    }

    /// The record of outcomes.
    #[must_use]
    pub fn of(outcomes: &[Outcome]) -> Self {
        let mut manifest = Self::default();
        for outcome in outcomes {
            manifest.0.entry(outcome.op.clone()).or_default().insert(outcome.name.clone(), Entry::of(outcome));
        }
        manifest
    }

    /// Writes the record, a line a case.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self) -> Result<()> {
        fs::write(Self::path(), self.text()?).wrap_err("tests/conformance/supported_ops.json")
    }

    fn text(&self) -> Result<String> {
        let mut out = String::from("{\n");
        let mut operators = self.0.iter().peekable();
        while let Some((operator, cases)) = operators.next() {
            writeln!(out, "  {}: {{", serde_json::to_string(operator)?)?;
            let mut cases = cases.iter().peekable();
            while let Some((name, entry)) = cases.next() {
                let comma = if cases.peek().is_some() { "," } else { "" };
                writeln!(out, "    {}: {}{comma}", serde_json::to_string(name)?, serde_json::to_string(entry)?)?;
            }
            out.push_str(if operators.peek().is_some() { "  },\n" } else { "  }\n" });
        }
        out.push_str("}\n");
        Ok(out)
    }

    fn entries(&self) -> BTreeMap<&str, &Entry> {
        self.0.values().flatten().map(|(name, entry)| (name.as_str(), entry)).collect()
    }

    /// What `now` has and this record has not, and the other way round.
    #[must_use]
    pub fn difference(&self, now: &Self) -> Difference {
        let (recorded, now) = (self.entries(), now.entries());
        let mut difference = Difference::default();
        for (name, entry) in &recorded {
            match now.get(name) {
                None => difference.unrecorded.push(format!("{name} is no case any more")),
                Some(now) if rank(now) < rank(entry) => difference.lost.push(match now.stage {
                    Some(stage) => format!("{name} fails in {stage}: {}", now.reason),
                    None => format!("{name} passes with more inputs fixed"),
                }),
                Some(now) if rank(now) > rank(entry) => difference.unrecorded.push(format!("{name} passes")),
                Some(now) => difference.reworded += usize::from(now != entry),
            }
        }
        let new = now.keys().filter(|name| !recorded.contains_key(*name));
        difference.unrecorded.extend(new.map(|name| format!("{name} is new")));
        difference
    }

    /// Whether the record has exactly the cases of the list, under their operators.
    #[must_use]
    pub fn lists(&self, cases: &[Case]) -> bool {
        let has = |case: &Case| self.0.get(&case.operator).is_some_and(|known| known.contains_key(&case.name));
        self.entries().len() == cases.len() && cases.iter().all(has)
    }
}

/// Greater is better: live before integers fixed before others fixed before failure.
fn rank(entry: &Entry) -> u8 {
    match entry.passed() {
        None => 0,
        Some(fixed) if !fixed.real.is_empty() => 1,
        Some(fixed) if !fixed.whole.is_empty() => 2,
        Some(_) => 3,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn manifest(entries: &[(&str, Entry)]) -> Manifest {
        let cases = entries.iter().map(|(name, entry)| ((*name).to_owned(), entry.clone())).collect();
        Manifest(BTreeMap::from([("Op".to_owned(), cases)]))
    }

    fn pass(fixed: &[&str]) -> Entry {
        let whole = fixed.iter().map(|name| (*name).to_owned()).collect();
        let fixed = Fixed { whole, real: Vec::new() };
        Entry { pass: true, error: Some(1.2e-5), fixed, ..Entry::default() }
    }

    fn fail(reason: &str) -> Entry {
        Entry { stage: Some(Stage::Import), reason: reason.to_owned(), ..Entry::default() }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let written = manifest(&[("a", pass(&[])), ("b", pass(&["axes"])), ("c", fail("no \"b\""))]);
        let text = written.text().unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), written);
        assert_eq!(text.lines().count(), 7);
    }

    #[test]
    fn a_case_that_passed_may_neither_fail_nor_need_more_constants() {
        let recorded = manifest(&[("a", pass(&[])), ("b", pass(&[])), ("c", pass(&["axes"]))]);
        let now = manifest(&[("a", fail("why")), ("b", pass(&["axes"])), ("c", pass(&["axes"]))]);
        let difference = recorded.difference(&now);
        assert_eq!(difference.lost, ["a fails in import: why", "b passes with more inputs fixed"]);
        assert_eq!(difference.unrecorded, [""; 0]);
    }

    #[test]
    fn a_case_that_passes_now_is_to_be_recorded() {
        let recorded = manifest(&[("a", fail("x")), ("b", pass(&["axes"])), ("c", fail("x")), ("d", fail("x"))]);
        let now = manifest(&[("a", pass(&[])), ("b", pass(&[])), ("c", fail("y")), ("e", fail("x"))]);
        let difference = recorded.difference(&now);
        assert_eq!(difference.lost, [""; 0]);
        assert_eq!(difference.unrecorded, ["a passes", "b passes", "d is no case any more", "e is new"]);
        assert_eq!(difference.reworded, 1);
    }

    #[test]
    fn errors_are_recorded_to_two_digits() {
        assert_eq!([two_digits(0.001_249), two_digits(0.0), two_digits(0.999)], [0.0012, 0.0, 1.0]);
    }

    #[test]
    fn the_record_has_the_cases_of_the_list() {
        assert!(Manifest::read().unwrap().lists(&Case::all().unwrap()), "run script/conformance --bless");
    }
}
