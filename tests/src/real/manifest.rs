//! What a model's `manifest.json` says of its files.

use std::{collections::BTreeMap, fs, path::Path};

use eyre::{Result, WrapErr, ensure, eyre};
use serde::Deserialize;
use serde_json::Value;

use super::score::Metric;

/// The parts of a manifest that the harness reads.
#[derive(Debug, Clone, Deserialize)]
pub struct Manifest {
    /// What the model is, in a line.
    pub about: String,
    /// Its files, by their names.
    pub models: BTreeMap<String, Notes>,
}

/// What a manifest says of one ONNX file.
#[derive(Debug, Clone, Deserialize)]
pub struct Notes {
    /// Figures of onnxruntime on the test data.
    pub test: BTreeMap<String, f64>,
    /// Types and shapes of its inputs by name: `float[1, 8]`.
    pub inputs: BTreeMap<String, String>,
    /// Values of inputs and of open dimensions that the figures hold for.
    #[serde(default)]
    pub fixed: BTreeMap<String, f64>,
}

/// Name of the file that stands for the model; the others are further forms of it.
pub const MAIN: &str = "model.onnx";

impl Manifest {
    /// Reads the manifest of a model's folder.
    ///
    /// # Errors
    /// Where it is absent or malformed, or does not describe [`MAIN`].
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("manifest.json");
        let text = fs::read_to_string(&path).wrap_err_with(|| path.display().to_string())?;
        let manifest: Self = serde_json::from_str(&text).wrap_err_with(|| path.display().to_string())?;
        ensure!(manifest.models.contains_key(MAIN), "{} does not describe {MAIN}", path.display());
        Ok(manifest)
    }

    /// How the model is judged, with what onnxruntime's float model gets; `None` where the test data has no labels.
    #[must_use]
    pub fn metric(&self, file: &str) -> Option<(Metric, f64)> {
        let figures = &self.models.get(file).or_else(|| self.models.get(MAIN))?.test;
        Metric::ALL.into_iter().find_map(|metric| Some((metric, *figures.get(metric.key())?)))
    }

    /// Whether a file has the very network of [`MAIN`], of which `expected.npz` has the outputs: one that was quantised
    /// for the main file is a network of its own.
    #[must_use]
    pub fn is_main_network(&self, file: &str) -> bool {
        /// Differences of what trained a network to the file are those of float32 below this.
        const ROUNDING: f64 = 0.01;
        let exact = |notes: &Notes| {
            let mut errors = notes.test.iter().filter(|(figure, _)| figure.starts_with("largest_"));
            errors.all(|(_, error)| *error < ROUNDING)
        };
        file == MAIN || self.models.get(MAIN).is_some_and(exact)
    }

    /// Shapes of the inputs whose dimensions [`MAIN`] all has. Other forms may leave them open.
    #[must_use]
    pub fn input_shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let inputs = self.models.get(MAIN).map(|notes| &notes.inputs);
        let shapes = inputs.into_iter().flatten().filter_map(|(name, text)| Some((name.clone(), shape(text)?)));
        shapes.collect()
    }

    /// Values of inputs that are constants of a form.
    #[must_use]
    pub fn fixed(&self, file: &str) -> BTreeMap<String, Vec<f64>> {
        let Some(notes) = self.models.get(file) else { return BTreeMap::new() };
        let given = notes.fixed.iter().filter(|(name, _)| notes.inputs.contains_key(*name));
        given.map(|(name, value)| (name.clone(), vec![*value])).collect()
    }
}

/// The dimensions of `float[1, 8]`, where all are numbers.
fn shape(text: &str) -> Option<Vec<usize>> {
    let (_, dims) = text.strip_suffix(']')?.split_once('[')?;
    dims.split(", ").filter(|dim| !dim.is_empty()).map(|dim| dim.parse().ok()).collect()
}

/// Labels of the test samples, each sample's one after another; `None` where a model has none.
///
/// # Errors
/// Where the file is malformed.
pub fn labels(folder: &Path) -> Result<Option<Vec<f64>>> {
    let path = folder.join("labels.json");
    if !path.exists() {
        return Ok(None);
    }
    let json: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
    let mut labels = Vec::new();
    collect(&json, &mut labels).ok_or_else(|| eyre!("{} holds what is no number", path.display()))?;
    Ok(Some(labels))
}

fn collect(json: &Value, out: &mut Vec<f64>) -> Option<()> {
    match json {
        Value::Array(list) => list.iter().try_for_each(|item| collect(item, out)),
        other => {
            out.push(other.as_f64()?);
            Some(())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn shapes_are_read_where_no_dimension_is_open() {
        assert_eq!(shape("float[1, 14, 6]"), Some(vec![1, 14, 6]));
        assert_eq!(shape("int64[]"), Some(vec![]));
        assert_eq!(shape("float[batch, 576]"), None);
        assert_eq!(shape("sequence_type"), None);
    }

    #[test]
    fn nested_labels_follow_one_another() {
        let mut labels = Vec::new();
        collect(&serde_json::json!([[1, 2], [3, 4.5]]), &mut labels).unwrap();
        assert_eq!(labels, [1.0, 2.0, 3.0, 4.5]);
        assert_eq!(collect(&serde_json::json!(["1"]), &mut labels), None);
    }

    #[test]
    fn every_model_with_labels_has_a_score_to_compare_with() {
        for entry in fs::read_dir(super::super::folder()).unwrap() {
            let folder = entry.unwrap().path();
            if folder.join("manifest.json").exists() {
                let manifest = Manifest::read(&folder).unwrap();
                let judged = manifest.models.keys().all(|file| manifest.metric(file).is_some());
                assert_eq!(labels(&folder).unwrap().is_some(), judged, "{}", folder.display());
            }
        }
    }
}
