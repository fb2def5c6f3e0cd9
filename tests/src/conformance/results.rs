//! What became of the cases: a line of JSON each.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use eyre::{Result, WrapErr};
use serde::{Deserialize, Serialize};

use super::stages::{Fixed, Stage};

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The case.
    pub name: String,
    /// The operator that it is about.
    pub op: String,
    /// The stage that it failed in, or its last one.
    pub stage: Stage,
    /// Whether it passed.
    pub pass: bool,
    /// Why it did not.
    pub message: String,
    /// Largest error of the outputs, see [`super::compare::Comparison`]; `None` where it is infinite or there are none.
    pub max_rel_error: Option<f64>,
    /// Inputs whose values had to be constants of the model.
    pub fixed: Fixed,
    /// Rows of the circuit, as a power of two.
    pub k: Option<u32>,
    /// What its circuit is made of.
    #[serde(default)]
    pub gadgets: BTreeSet<String>,
    /// How long it took.
    pub seconds: f64,
}

/// The results file: the last run of each case.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    file: File,
    outcomes: BTreeMap<String, Outcome>,
}

impl Results {
    /// Opens a file, with what earlier runs left in it unless it is to start anew.
    ///
    /// # Errors
    /// Where it cannot be read or written.
    pub fn open(path: &Path, anew: bool) -> Result<Self> {
        let text = if anew || !path.exists() { String::new() } else { fs::read_to_string(path)? };
        // A run that was killed leaves half a line.
        let read = text.lines().filter_map(|line| serde_json::from_str::<Outcome>(line).ok());
        let outcomes = read.map(|outcome| (outcome.name.clone(), outcome)).collect();
        let file = fs::OpenOptions::new().create(true).write(true).append(!anew).truncate(anew).open(path);
        let file = file.wrap_err_with(|| path.display().to_string())?;
        Ok(Self { path: path.to_owned(), file, outcomes })
    }

    /// Names of the cases that failed when they last ran.
    #[must_use]
    pub fn failed(&self) -> Vec<String> {
        self.outcomes.values().filter(|outcome| !outcome.pass).map(|outcome| outcome.name.clone()).collect()
    }

    /// Takes in the outcome of a case and appends it to the file.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn add(&mut self, outcome: Outcome) -> Result<()> {
        writeln!(self.file, "{}", serde_json::to_string(&outcome)?)?;
        self.outcomes.insert(outcome.name.clone(), outcome);
        Ok(())
    }

    /// Writes the file again, a line a case, in the order of their names.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn close(self) -> Result<()> {
        let lines = self.outcomes.values().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        fs::write(&self.path, lines.join("\n") + "\n")?;
        Ok(())
    }
}
