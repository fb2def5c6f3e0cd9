use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use clap::{Args, ValueEnum as _};
use serde::Serialize;
use serde_json::{Value, json};
use vouch_circuit::{Cost, CostModel, Measured, Objective};

use super::compile::Goal;
use crate::{
    failure::Failure,
    model_dir::write_json,
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
    /// What the circuits are to be best at.
    #[arg(long, value_enum, default_value_t = Goal::Prover)]
    objective: Goal,
    /// Also tell what the gas of a verification is for, by part, and what it is under Osaka's rules.
    #[arg(long, conflicts_with = "plans")]
    gas_parts: bool,
    /// Measure every plan of a model that the planner takes for sensible, and hold its predictions against them.
    #[arg(long)]
    plans: bool,
    /// Leave out plans that are predicted to take longer to prove, in seconds.
    #[arg(long, default_value_t = 30.0, requires = "plans")]
    longest: f64,
    /// Fit the planner's coefficients to this machine and write them, for `vouch compile --cost-model`.
    #[arg(long, requires = "plans", value_name = "FILE")]
    calibrate_planner: Option<PathBuf>,
}

/// Fewest proofs that coefficients are fitted to.
const FEWEST: usize = 20;
/// Sizes above the smallest that `--plans` measures of each height and width of limbs.
const LARGER: u64 = 1;

/// A model and its data.
struct Subject {
    name: String,
    model: PathBuf,
    calibration: PathBuf,
    test: Option<PathBuf>,
    input: PathBuf,
}

/// A circuit to measure: the objective's best, or a given one.
#[derive(Debug, Clone, Copy)]
struct Plan {
    k: u64,
    height: u64,
    limb_bits: u64,
}

/// Measured figures of one model.
#[derive(Debug, Serialize)]
struct Row {
    model: String,
    /// Name of the circuit's shape; models of one shape share a verifier.
    shape: Value,
    k: Value,
    height: Value,
    limb_bits: Value,
    #[serde(flatten)]
    cost: Cost,
    /// Cells for each element that the layers read and write, and weight.
    cells_per_element: Option<f64>,
    params: Value,
    macs: Value,
    setup_seconds: Value,
    prove_seconds: f64,
    process_seconds: f64,
    /// Seconds by part of the proof.
    spans: Value,
    peak_memory_bytes: Value,
    proof_bytes: Value,
    runtime_bytes: Value,
    gas: Value,
    /// Gas to deploy the model's key beside its shape's verifier.
    key_gas: Value,
    /// What the gas is for, and the gas under Osaka's rules, where that was asked for.
    #[serde(skip_serializing_if = "Value::is_null")]
    gas_parts: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    gas_osaka: Value,
    max_abs_error: Value,
    argmax_agreement: Value,
    predicted: Value,
}

impl Bench {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let mut rows = Vec::new();
        let mut failures = Vec::new();
        for subject in self.subjects()? {
            let plans =
                if self.plans { self.sensible_plans(&subject)?.into_iter().map(Some).collect() } else { vec![None] };
            for plan in plans {
                match plan {
                    Some(Plan { k, height, limb_bits }) => {
                        eprintln!("measuring {} at k = {k}, height {height}, {limb_bits} bits", subject.name);
                    }
                    None => eprintln!("measuring {}", subject.name),
                }
                match self.measure(&subject, plan) {
                    Ok(row) => rows.push(row),
                    Err(failure) => failures.push(json!({ "model": subject.name, "error": failure })),
                }
            }
        }
        let mut report = Report::new();
        if self.plans {
            predictions(&mut report, &rows);
            if let Some(file) = &self.calibrate_planner {
                calibrate(&mut report, &rows, file)?;
            }
        } else {
            measurements(&mut report, &rows);
        }
        for failure in &failures {
            report.line(format!("failed: {} ({})", failure["model"], failure["error"]["message"]));
        }
        report.set("rows", &rows).set("failures", &failures).set("runs", self.runs);
        report.set("public_weights", self.public_weights).set("objective", Objective::from(self.objective));
        Ok(report)
    }

    fn compile(&self, subject: &Subject, dir: &Path) -> Command {
        let mut compile = vouch("compile");
        compile.arg(&subject.model).arg("--calibrate").arg(&subject.calibration).arg("--out").arg(dir);
        if let Some(test) = &subject.test {
            compile.arg("--test").arg(test);
        }
        if self.public_weights {
            compile.args(["--params", "public"]);
        }
        compile
            .arg("--objective")
            .arg(self.objective.to_possible_value().map_or("prover".into(), |value| value.get_name().to_owned()));
        compile
    }

    /// The smallest plans of each height and width of limbs.
    fn sensible_plans(&self, subject: &Subject) -> Result<Vec<Plan>, Failure> {
        let work = tempfile::tempdir().map_err(|error| Failure::file(Path::new("the temporary folder"), &error))?;
        let mut compile = self.compile(subject, &work.path().join(&subject.name));
        compile.arg("--explain");
        let compiled = run(compile)?;
        let considered = compiled["considered"].as_array().cloned().unwrap_or_default();
        let number = |plan: &Value, key: &str| plan[key].as_u64().unwrap_or(0);
        let rows = |plan: &Value| (number(plan, "height"), number(plan, "limb_bits"));
        let smallest = |of: &Value| {
            let same = considered.iter().filter(|plan| rows(plan) == rows(of));
            same.map(|plan| number(plan, "k")).min().unwrap_or(0)
        };
        let sensible = considered.iter().filter(|plan| {
            number(plan, "k") <= smallest(plan) + LARGER
                && plan["predicted"]["prove_seconds"].as_f64().is_some_and(|seconds| seconds <= self.longest)
        });
        let plan = |plan: &Value| Plan { k: number(plan, "k"), height: rows(plan).0, limb_bits: rows(plan).1 };
        Ok(sensible.map(plan).collect())
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

    fn measure(&self, subject: &Subject, plan: Option<Plan>) -> Result<Row, Failure> {
        let work = tempfile::tempdir().map_err(|error| Failure::file(Path::new("the temporary folder"), &error))?;
        let dir = work.path().join(&subject.name);
        let proof = work.path().join("proof.json");
        let mut compile = self.compile(subject, &dir);
        if let Some(Plan { k, height, limb_bits }) = plan {
            let fixed = [("--k", k), ("--height", height), ("--limb-bits", limb_bits)];
            fixed.into_iter().for_each(|(flag, value)| _ = compile.arg(flag).arg(value.to_string()));
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
        if self.gas_parts {
            verify.arg("--gas-parts");
        }
        let verified = run(verify)?;
        let gas_osaka = match self.gas_parts {
            true => {
                let mut verify = vouch("verify");
                verify.arg(&dir).arg(&proof).args(["--evm", "--rules", "osaka"]);
                run(verify)?["gas"].clone()
            }
            false => Value::Null,
        };
        let cost: Cost = serde_json::from_value(compiled.clone())
            .map_err(|error| Failure::new("stage", format!("`vouch compile` names no columns: {error}"), ""))?;
        Ok(Row {
            model: subject.name.clone(),
            shape: compiled["shape"].clone(),
            k: compiled["k"].clone(),
            height: compiled["height"].clone(),
            limb_bits: compiled["limb_bits"].clone(),
            cost,
            cells_per_element: (cost.elements > 0).then(|| cost.cells as f64 / cost.elements as f64),
            params: compiled["params"].clone(),
            macs: compiled["macs"].clone(),
            setup_seconds: set_up["seconds"].clone(),
            prove_seconds,
            process_seconds,
            spans: proven["spans"].clone(),
            peak_memory_bytes: proven["peak_memory_bytes"].clone(),
            proof_bytes: proven["proof_bytes"].clone(),
            runtime_bytes: verified["runtime_bytes"].clone(),
            gas: verified["gas"].clone(),
            key_gas: verified["key_gas"].clone(),
            gas_parts: verified["gas_parts"].clone(),
            gas_osaka,
            max_abs_error: compiled["max_abs_error"].clone(),
            argmax_agreement: compiled["argmax_agreement"].clone(),
            predicted: compiled["predicted"].clone(),
        })
    }
}

/// Usual names of a model's files in its folder.
pub(crate) const MODEL_NAMES: &[&str] = &["model.onnx", "network.onnx"];
pub(crate) const CALIBRATION_NAMES: &[&str] = &["calibration.json", "calib.json", "calibration.npz"];

/// The first of the names that a folder has a file of.
pub(crate) fn present(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| folder.join(name)).find(|path| path.exists())
}

impl Subject {
    /// A folder with a model, calibration data and an input, under either of their usual names.
    fn in_folder(folder: &Path) -> Option<Self> {
        let first = |names: &[&str]| present(folder, names);
        Some(Self {
            name: folder.file_name()?.to_string_lossy().into_owned(),
            model: first(MODEL_NAMES)?,
            calibration: first(CALIBRATION_NAMES)?,
            test: first(&["test.json", "test.npz"]),
            input: first(&["input.json"])?,
        })
    }
}

fn measurements(report: &mut Report, rows: &[Row]) {
    let number = |value: &Value| value.as_u64().map_or_else(|| "-".to_owned(), count);
    let size = |value: &Value| value.as_u64().map_or_else(|| "-".to_owned(), bytes);
    let real = |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"));
    report.line("| model | parameters | k | height | advice / fixed / permutation | cells | cells per element | set-up s | prove s | witness / commit / quotient / open s | process s | peak memory | proof bytes | runtime bytes | gas | largest error |");
    report.line(format!("|{}", " --- |".repeat(16)));
    let shapes: BTreeSet<&str> = rows.iter().filter_map(|row| row.shape.as_str()).collect();
    for row in rows {
        let span = |key: &str| real(row.spans[key].as_f64(), 2);
        report.line(format!(
            "| {} | {} | {} | {} | {} / {} / {} | {} | {} | {} | {:.2} | {} / {} / {} / {} | {:.2} | {} | {} | {} | {} | {} |",
            row.model,
            number(&row.params),
            number(&row.k),
            number(&row.height),
            row.cost.advice_columns,
            row.cost.fixed_columns,
            row.cost.permutation_columns,
            count(row.cost.cells as u64),
            real(row.cells_per_element, 1),
            real(row.setup_seconds.as_f64(), 2),
            row.prove_seconds,
            span("witness"),
            span("commit"),
            span("quotient"),
            span("open"),
            row.process_seconds,
            size(&row.peak_memory_bytes),
            number(&row.proof_bytes),
            number(&row.runtime_bytes),
            number(&row.gas),
            real(row.max_abs_error.as_f64(), 6),
        ));
    }
    report.line(format!("shapes ({}): {}", shapes.len(), Vec::from_iter(shapes).join(", ")));
}

/// Predicted figures beside the measured ones, and how well the one ranks as the other.
fn predictions(report: &mut Report, rows: &[Row]) {
    let measured = |row: &Row| {
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        [row.prove_seconds, number(&row.peak_memory_bytes), number(&row.gas)]
    };
    let predicted = |row: &Row| {
        ["prove_seconds", "peak_memory_bytes", "verify_gas"].map(|key| row.predicted[key].as_f64().unwrap_or(f64::NAN))
    };
    let error = |row: &Row, i: usize| predicted(row)[i] / measured(row)[i] - 1.0;
    report.line("| model | k | height | limb bits | prove s | predicted | peak memory | predicted | gas | predicted |");
    report.line(format!("|{}", " --- |".repeat(10)));
    for row in rows {
        let ([seconds, memory, gas], [p_seconds, p_memory, p_gas]) = (measured(row), predicted(row));
        report.line(format!(
            "| {} | {} | {} | {} | {seconds:.2} | {p_seconds:.2} ({:+.0} %) | {} | {} ({:+.0} %) | {} | {} ({:+.0} %) |",
            row.model,
            row.k,
            row.height,
            row.limb_bits,
            100.0 * error(row, 0),
            bytes(memory as u64),
            bytes(p_memory as u64),
            100.0 * error(row, 1),
            count(gas as u64),
            count(p_gas as u64),
            100.0 * error(row, 2),
        ));
    }
    let largest = |i: usize| rows.iter().map(|row| error(row, i).abs()).fold(0.0, f64::max);
    let times: Vec<(f64, f64)> = rows.iter().map(|row| (measured(row)[0], predicted(row)[0])).collect();
    let tau = kendall_tau(&times);
    report.line(format!("{} plans of {} models", rows.len(), {
        let mut models: Vec<&str> = rows.iter().map(|row| row.model.as_str()).collect();
        models.dedup();
        models.len()
    }));
    report.row("time, Kendall's tau", format!("{tau:.3}"));
    report.row("memory, largest error", format!("{:.1} %", 100.0 * largest(1)));
    report.row("gas, largest error", format!("{:.1} %", 100.0 * largest(2)));
    report.set("kendall_tau", tau).set("memory_error", largest(1)).set("gas_error", largest(2));
}

/// Fits the planner's coefficients to the measured proofs.
fn calibrate(report: &mut Report, rows: &[Row], file: &Path) -> Result<(), Failure> {
    if rows.len() < FEWEST {
        let message = format!("{} proofs are too few to fit coefficients to, {FEWEST} the least", rows.len());
        return Err(Failure::new("too_few_plans", message, "measure more models, or raise --longest"));
    }
    let measured = |row: &Row| Measured {
        cost: row.cost,
        k: row.k.as_u64().unwrap_or(0) as u32,
        parameters: row.params.as_u64().unwrap_or(0) as usize,
        seconds: row.prove_seconds,
        bytes: row.peak_memory_bytes.as_f64().unwrap_or(f64::NAN),
    };
    let model = CostModel::fit(&rows.iter().map(measured).collect::<Vec<_>>());
    write_json(file, &model)?;
    report.row("coefficients", file.display()).set("cost_model", model);
    Ok(())
}

/// Kendall's rank correlation: the share of pairs in the same order less the share of those in the other.
fn kendall_tau(pairs: &[(f64, f64)]) -> f64 {
    let mut balance = 0i64;
    let mut all = 0i64;
    for (i, a) in pairs.iter().enumerate() {
        for b in &pairs[i + 1..] {
            all += 1;
            let product = (a.0 - b.0) * (a.1 - b.1);
            balance += i64::from(product > 0.0) - i64::from(product < 0.0);
        }
    }
    if all == 0 { 1.0 } else { balance as f64 / all as f64 }
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
