use std::{
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    failure::Failure,
    report::{Report, bytes, count},
};

/// Measure models: size, time, memory, proof, gas and error.
///
/// Every stage runs as a process of its own, as a user would run it, so times and memory are of
/// whole processes with keys loaded from disk.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Folders with a model each, or folders of such folders.
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// Names of models to measure; all by default.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Proofs to make of each model; the table shows the median time.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Put the weights into the verifying key instead of hiding them.
    #[arg(long)]
    public_weights: bool,
}

/// A model and its data.
struct Subject {
    name: String,
    model: PathBuf,
    calibration: PathBuf,
    test: Option<PathBuf>,
    input: PathBuf,
}

/// Measured figures of one model.
#[derive(Debug, Serialize)]
struct Row {
    model: String,
    k: Value,
    advice_columns: Value,
    fixed_columns: Value,
    permutation_columns: Value,
    lookups: Value,
    cells: Value,
    params: Value,
    macs: Value,
    setup_seconds: Value,
    prove_seconds: f64,
    process_seconds: f64,
    peak_memory_bytes: Value,
    proof_bytes: Value,
    runtime_bytes: Value,
    gas: Value,
    max_abs_error: Value,
    argmax_agreement: Value,
    predicted: Value,
}

impl Bench {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let mut rows = Vec::new();
        let mut failures = Vec::new();
        for subject in self.subjects()? {
            eprintln!("measuring {}", subject.name);
            match self.measure(&subject) {
                Ok(row) => rows.push(row),
                Err(failure) => failures.push(json!({ "model": subject.name, "error": failure })),
            }
        }
        let mut report = Report::new();
        report.line("| model | parameters | k | advice / fixed / permutation | cells | set-up s | prove s | process s | peak memory | proof bytes | runtime bytes | gas | largest error |");
        report.line("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        for row in &rows {
            report.line(row.markdown());
        }
        for failure in &failures {
            report.line(format!("failed: {} ({})", failure["model"], failure["error"]["message"]));
        }
        report.set("rows", &rows).set("failures", &failures).set("runs", self.runs);
        report.set("public_weights", self.public_weights);
        Ok(report)
    }

    fn subjects(&self) -> Result<Vec<Subject>, Failure> {
        let mut subjects = Vec::new();
        for folder in &self.models {
            if let Some(subject) = Subject::in_folder(folder) {
                subjects.push(subject);
                continue;
            }
            let entries = std::fs::read_dir(folder).map_err(|error| Failure::file(folder, &error))?;
            let mut folders: Vec<_> = entries.filter_map(|entry| entry.ok().map(|e| e.path())).collect();
            folders.sort();
            subjects.extend(folders.iter().filter_map(|folder| Subject::in_folder(folder)));
        }
        if !self.only.is_empty() {
            subjects.retain(|subject| self.only.contains(&subject.name));
        }
        if subjects.is_empty() {
            let message = "no model was found in the folders given";
            return Err(Failure::new("no_models", message, "give folders with a model, calibration data and an input"));
        }
        Ok(subjects)
    }

    fn measure(&self, subject: &Subject) -> Result<Row, Failure> {
        let work = tempfile::tempdir().map_err(|error| Failure::file(Path::new("the temporary folder"), &error))?;
        let dir = work.path().join(&subject.name);
        let proof = work.path().join("proof.json");
        let mut compile = vouch("compile");
        compile.arg(&subject.model).arg("--calibrate").arg(&subject.calibration).arg("--out").arg(&dir);
        if let Some(test) = &subject.test {
            compile.arg("--test").arg(test);
        }
        if self.public_weights {
            compile.args(["--params", "public"]);
        }
        let compiled = run(compile)?;
        let mut setup = vouch("setup");
        setup.arg(&dir).arg("--insecure-dev-srs");
        let set_up = run(setup)?;
        let mut times = Vec::new();
        let mut proven = Value::Null;
        for _ in 0..self.runs.max(1) {
            let mut prove = vouch("prove");
            prove.arg(&dir).arg("--input").arg(&subject.input).arg("--out").arg(&proof);
            let start = std::time::Instant::now();
            proven = run(prove)?;
            times.push((proven["prove_seconds"].as_f64().unwrap_or(f64::NAN), start.elapsed().as_secs_f64()));
        }
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (prove_seconds, process_seconds) = times[times.len() / 2];
        let mut verify = vouch("verify");
        verify.arg(&dir).arg(&proof).arg("--evm");
        let verified = run(verify)?;
        Ok(Row {
            model: subject.name.clone(),
            k: compiled["k"].clone(),
            advice_columns: compiled["advice_columns"].clone(),
            fixed_columns: compiled["fixed_columns"].clone(),
            permutation_columns: compiled["permutation_columns"].clone(),
            lookups: compiled["lookups"].clone(),
            cells: compiled["cells"].clone(),
            params: compiled["params"].clone(),
            macs: compiled["macs"].clone(),
            setup_seconds: set_up["seconds"].clone(),
            prove_seconds,
            process_seconds,
            peak_memory_bytes: proven["peak_memory_bytes"].clone(),
            proof_bytes: proven["proof_bytes"].clone(),
            runtime_bytes: verified["runtime_bytes"].clone(),
            gas: verified["gas"].clone(),
            max_abs_error: compiled["max_abs_error"].clone(),
            argmax_agreement: compiled["argmax_agreement"].clone(),
            predicted: compiled["predicted"].clone(),
        })
    }
}

impl Subject {
    /// A folder with a model, calibration data and an input, under either of their usual names.
    fn in_folder(folder: &Path) -> Option<Self> {
        let first = |names: &[&str]| names.iter().map(|name| folder.join(name)).find(|path| path.exists());
        Some(Self {
            name: folder.file_name()?.to_string_lossy().into_owned(),
            model: first(&["model.onnx", "network.onnx"])?,
            calibration: first(&["calibration.json", "calib.json"])?,
            test: first(&["test.json", "test.npz"]),
            input: first(&["input.json"])?,
        })
    }
}

impl Row {
    fn markdown(&self) -> String {
        let number = |value: &Value| value.as_u64().map_or_else(|| "-".to_owned(), count);
        let real = |value: &Value| value.as_f64().map_or_else(|| "-".to_owned(), |v| format!("{v:.2}"));
        format!(
            "| {} | {} | {} | {} / {} / {} | {} | {} | {:.2} | {:.2} | {} | {} | {} | {} | {} |",
            self.model,
            number(&self.params),
            number(&self.k),
            number(&self.advice_columns),
            number(&self.fixed_columns),
            number(&self.permutation_columns),
            number(&self.cells),
            real(&self.setup_seconds),
            self.prove_seconds,
            self.process_seconds,
            self.peak_memory_bytes.as_u64().map_or_else(|| "-".to_owned(), bytes),
            number(&self.proof_bytes),
            number(&self.runtime_bytes),
            number(&self.gas),
            self.max_abs_error.as_f64().map_or_else(|| "-".to_owned(), |v| format!("{v:.6}")),
        )
    }
}

/// This program with a subcommand.
fn vouch(subcommand: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap_or_else(|_| PathBuf::from("vouch")));
    command.arg(subcommand).arg("--json");
    command
}

/// Runs a stage and reads its JSON.
fn run(mut command: Command) -> Result<Value, Failure> {
    let output =
        command.output().map_err(|error| Failure::new("stage", format!("a stage did not start: {error}"), ""))?;
    let value: Value = serde_json::from_slice(&output.stdout).map_err(|_| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        Failure::new("stage", format!("a stage ended with {} and no result: {}", output.status, stderr.trim()), "")
    })?;
    match value.get("error") {
        None => Ok(value),
        Some(error) => {
            let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
            Err(Failure { code: text("code"), message: text("message"), remedy: text("remedy") })
        }
    }
}
