//! Proofs of the models: set up, made and verified in the EVM by the commands that a user has.

use std::{fs, path::Path, process::Command};

use eyre::{Result, WrapErr, bail, ensure, eyre};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::form::Model;

/// What `vouch bench` measures of a model that the record keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// The circuit's rows, as a power of two.
    pub k: u32,
    /// Name of its shape.
    pub shape: String,
    /// Private weights.
    pub params: usize,
    /// Seconds to make the keys.
    pub setup_seconds: f64,
    /// Witness to proof, keys loaded.
    pub prove_seconds: f64,
    /// The whole process that proves.
    pub process_seconds: f64,
    /// Greatest memory of that process.
    pub peak_memory_bytes: u64,
    /// Length of the proof.
    pub proof_bytes: u64,
    /// Gas of the transaction that verifies it.
    pub gas: u64,
    /// Size of the verifier.
    pub runtime_bytes: u64,
}

#[derive(Deserialize)]
struct Bench {
    rows: Vec<Value>,
    failures: Vec<Value>,
}

/// Proves a model once, with the `vouch` beside this program.
///
/// # Errors
/// Where it fails.
pub fn prove(model: &Model) -> Result<Proof> {
    let vouch = std::env::current_exe()?.with_file_name("vouch");
    ensure!(vouch.exists(), "{} is not built; run script/real-models", vouch.display());
    gather(model)?;
    let output = Command::new(&vouch).args(["--json", "bench", "--runs", "1"]).arg(&model.files).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let bench: Bench = serde_json::from_str(&said).wrap_err_with(|| format!("`vouch bench` says {said}"))?;
    if let Some(failure) = bench.failures.first() {
        bail!("{} has no proof: {failure}", model.name);
    }
    let row = bench.rows.into_iter().find(|row| row["model"] == model.name.as_str());
    let row = row.ok_or_else(|| eyre!("`vouch bench` measured no {}", model.name))?;
    serde_json::from_value(row).wrap_err("a row of `vouch bench`")
}

/// Puts the data of a model that a package ships beside its ONNX files, where `vouch bench` looks for it.
fn gather(model: &Model) -> Result<()> {
    if model.is_committed() {
        return Ok(());
    }
    let copy = |name: &str| copy(&model.folder, &model.files, name);
    ["calibration.npz", "test.npz", "input.json"].into_iter().try_for_each(copy)
}

fn copy(from: &Path, to: &Path, name: &str) -> Result<()> {
    fs::copy(from.join(name), to.join(name)).wrap_err_with(|| format!("{name} of {}", from.display()))?;
    Ok(())
}
