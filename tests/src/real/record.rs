//! The record of what the models come to: `docs/real-models.json`.

use std::{collections::BTreeMap, fs, path::PathBuf};

use eyre::{Result, WrapErr};
use serde::{Deserialize, Serialize};

use super::{
    measure::{Figures, Outcome},
    proof::Proof,
};
use crate::root;

/// By how much a figure of rounding may exceed the recorded one: processors differ in the last bits of a float.
const SLACK: f64 = 1.05;
/// The same of shares and scores.
const SLACK_SHARE: f64 = 0.002;
/// Differences to onnxruntime below this are those of float32.
const FLOAT32: f64 = 1e-4;

/// What every file comes to, and the proofs of the models.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What the proofs were made on.
    pub machine: String,
    /// By model and file.
    pub models: BTreeMap<String, BTreeMap<String, Outcome>>,
    /// By model; of the file that stands for it.
    pub proofs: BTreeMap<String, Proof>,
}

/// How outcomes differ from the record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// What was better when the record was made.
    pub worse: Vec<String>,
    /// What the record does not know.
    pub unrecorded: Vec<String>,
    /// Files whose figures are others, none of them worse.
    pub changed: Vec<String>,
}

impl Record {
    fn path() -> PathBuf {
        root().join("docs/real-models.json")
    }

    /// Reads the record; it is empty where there is none yet.
    ///
    /// # Errors
    /// Where it is malformed.
    pub fn read() -> Result<Self> {
        if !Self::path().exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(Self::path()).wrap_err("docs/real-models.json")?;
        serde_json::from_str(&text).wrap_err("docs/real-models.json")
    }

    /// Writes the record.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self) -> Result<()> {
        fs::write(Self::path(), serde_json::to_string_pretty(self)? + "\n").wrap_err("docs/real-models.json")
    }

    /// Takes in the outcome of a file.
    pub fn add(&mut self, model: &str, file: &str, outcome: Outcome) {
        self.models.entry(model.to_owned()).or_default().insert(file.to_owned(), outcome);
    }

    /// Every file with its model's name.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str, &Outcome)> {
        self.models.iter().flat_map(|(model, files)| {
            files.iter().map(move |(file, outcome)| (model.as_str(), file.as_str(), outcome))
        })
    }

    /// How `now` differs from this record, in the models that it has.
    #[must_use]
    pub fn difference(&self, now: &Self) -> Difference {
        let mut difference = Difference::default();
        for (model, file, outcome) in now.files() {
            let name = format!("{model}/{file}");
            let Some(recorded) = self.models.get(model).and_then(|files| files.get(file)) else {
                difference.unrecorded.push(name);
                continue;
            };
            let worse = worse(recorded, outcome);
            if worse.is_empty() && recorded != outcome {
                difference.changed.push(name.clone());
            }
            difference.worse.extend(worse.into_iter().map(|what| format!("{name}: {what}")));
        }
        let gone =
            self.files().filter(|(model, file, _)| now.models.get(*model).is_some_and(|m| !m.contains_key(*file)));
        difference.unrecorded.extend(gone.map(|(model, file, _)| format!("{model}/{file} is gone")));
        difference
    }
}

/// What is worse in an outcome than in the one recorded.
fn worse(recorded: &Outcome, now: &Outcome) -> Vec<String> {
    match (recorded, now) {
        (Outcome::Figures(recorded), Outcome::Figures(now)) => worse_figures(recorded, now),
        (Outcome::Figures(_), Outcome::Failure(failure)) => vec![format!("{}: {}", failure.stage, failure.reason)],
        (Outcome::Failure(_), _) => Vec::new(),
    }
}

fn worse_figures(recorded: &Figures, now: &Figures) -> Vec<String> {
    let mut worse = Vec::new();
    let mut rises = |what: &str, was: f64, is: f64, limit: f64| {
        if is > limit {
            worse.push(format!("{what} is {is}, recorded {was}"));
        }
    };
    let mut rounding = |what: &str, was: f64, is: f64| rises(what, was, is, was * SLACK);
    rounding("the largest error", recorded.largest_error, now.largest_error);
    rounding("the mean error", recorded.mean_error, now.mean_error);
    if let Some((was, is)) = recorded.onnxruntime_error.zip(now.onnxruntime_error) {
        rises("the difference to onnxruntime", was, is, (was * SLACK).max(FLOAT32 * now.range));
    }
    let whole = [
        ("samples without a proof", recorded.refused as f64, now.refused as f64),
        ("inputs fixed", recorded.fixed.len() as f64, now.fixed.len() as f64),
    ];
    whole.into_iter().for_each(|(what, was, is)| rises(what, was, is, was));
    if let Some((was, is)) = recorded.circuit.as_ref().zip(now.circuit.as_ref()) {
        rises("k", f64::from(was.k), f64::from(is.k), f64::from(was.k));
        let gas = [was, is].map(|circuit| circuit.predicted.verify_gas as f64);
        rises("gas", gas[0], gas[1], gas[0]);
        let seconds = [was, is].map(|circuit| circuit.predicted.prove_seconds);
        rises("predicted proving time", seconds[0], seconds[1], seconds[0]);
    }
    if let Some((was, is)) = recorded.scores.zip(now.scores) {
        let points = is.metric.points(is.float, is.integer);
        let limit = was.metric.points(was.float, was.integer) + 100.0 * SLACK_SHARE;
        rises("the distance of the scores", limit, points, limit);
        let disagreement = |agreement: Option<f64>| 1.0 - agreement.unwrap_or(1.0);
        let (was, is) = (disagreement(was.agreement), disagreement(is.agreement));
        rises("the share of other decisions", was, is, was + SLACK_SHARE);
    }
    if recorded.circuit.is_some() && now.circuit.is_none() {
        worse.push(format!("it has no circuit: {}", now.no_circuit));
    }
    worse
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{conformance::stages::Stage, real::measure::Failure};

    const FIGURES: &str = r#"{"samples": 540, "refused": 2, "scores": {"metric": "accuracy", "onnxruntime": 0.97,
        "float": 0.97, "integer": 0.968, "agreement": 0.996}, "largest_error": 0.01, "mean_error": 0.001, "range": 8,
        "onnxruntime_error": 1e-6, "weights": 10, "macs": 20, "circuit": {"k": 11, "shape": "smooth", "value_rows": 5,
        "weight_rows": 2, "predicted": {"prove_seconds": 0.5, "peak_memory_bytes": 1, "proof_bytes": 2,
        "verify_gas": 3, "runtime_bytes": 4}}}"#;

    fn record(change: impl FnOnce(&mut Figures)) -> Record {
        let mut figures: Figures = serde_json::from_str(FIGURES).unwrap();
        change(&mut figures);
        let mut record = Record::default();
        record.add("m", "model.onnx", Outcome::Figures(Box::new(figures)));
        record
    }

    fn failure(reason: &str) -> Record {
        let mut record = Record::default();
        let failure = Failure { stage: Stage::Import, reason: reason.to_owned() };
        record.add("m", "model.onnx", Outcome::Failure(failure));
        record
    }

    #[test]
    fn what_is_written_is_read_again() {
        for written in [record(|_| {}), failure("why")] {
            let text = serde_json::to_string(&written).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), written);
        }
    }

    #[test]
    fn what_gets_worse_is_named() {
        let recorded = record(|_| {});
        let now = record(|f| {
            (f.refused, f.largest_error) = (3, 0.02);
            f.circuit.as_mut().unwrap().k = 12;
        });
        let worse = recorded.difference(&now).worse;
        let expected = [
            "m/model.onnx: the largest error is 0.02, recorded 0.01",
            "m/model.onnx: samples without a proof is 3, recorded 2",
            "m/model.onnx: k is 12, recorded 11",
        ];
        assert_eq!(worse, expected);
        let none = record(|f| (f.circuit, f.no_circuit) = (None, "too large".to_owned()));
        assert_eq!(recorded.difference(&none).worse, ["m/model.onnx: it has no circuit: too large"]);
        assert_eq!(recorded.difference(&failure("why")).worse, ["m/model.onnx: import: why"]);
    }

    #[test]
    fn what_gets_better_is_no_failure() {
        let now = record(|f| {
            (f.refused, f.largest_error) = (0, 0.005);
            f.circuit.as_mut().unwrap().k = 10;
        });
        let changed = Difference { changed: vec!["m/model.onnx".to_owned()], ..Difference::default() };
        assert_eq!(record(|_| {}).difference(&now), changed);
        assert_eq!(failure("why").difference(&now), changed);
        assert_eq!(now.difference(&now), Difference::default());
    }

    #[test]
    fn files_that_the_record_does_not_know_are_named() {
        let difference = Record::default().difference(&record(|_| {}));
        assert_eq!(difference.unrecorded, ["m/model.onnx"]);
        // Of a model that did not run, nothing is said.
        assert_eq!(record(|_| {}).difference(&Record::default()), Difference::default());
    }
}
