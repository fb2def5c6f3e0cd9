use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use halo2_proofs::halo2curves::bn256::Fr;
use rand::rngs::OsRng;
use serde_json::{Map, Value, json};
use vouch_circuit::{CircuitError, ModelCircuit, instance_values};
use vouch_graph::{data::MINUS_INFINITY, int::IntGraph};
use vouch_proof::{DirectBackend, ProofFile, ProofRequest, prove, transcript::scalar_from_be};

use super::check::read_input;
use crate::{
    failure::Failure,
    model_dir::ModelDir,
    progress,
    report::{Report, bytes},
};

/// Prove one inference.
#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// Folder of the model, compiled and set up.
    dir: PathBuf,
    /// Input: JSON by name, EZKL's JSON, or `.npz`.
    #[arg(long)]
    input: PathBuf,
    /// What the proof is for: 32 bytes in hexadecimal, below the scalar field's modulus.
    #[arg(long, default_value = "0x0")]
    context: String,
    /// Where to write the proof.
    #[arg(long)]
    out: PathBuf,
}

impl Prove {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let dir = ModelDir::new(&self.dir);
        let context = parse_context(&self.context)?;
        let model = dir.load()?;
        let inputs = read_input(&model.graph, &dir.load_inputs()?, &self.input)?;

        let loading = Instant::now();
        let key = dir.load_proving_key(&model)?;
        let srs = dir.load_powers(key.verifying())?;
        let load_seconds = loading.elapsed().as_secs_f64();

        let proving = Instant::now();
        let circuit = match ModelCircuit::with_witness(&model.graph, Arc::clone(&model.plan), &inputs) {
            // What the executor refuses carries the executor's code, as in `vouch check`.
            Err(CircuitError::Graph(error)) => return Err(error.into()),
            circuit => circuit?,
        };
        let witness_seconds = proving.elapsed().as_secs_f64();
        let instances = instance_values(&model.graph, context, &inputs, circuit.outputs())?;
        let request = ProofRequest { circuit: &circuit, key: &key, srs: &srs, instances: &instances };
        let estimate = Duration::from_secs_f64(model.plan.predicted.prove_seconds);
        let proven = progress::timed("proving", estimate, || prove(&DirectBackend, &request, OsRng))?;
        let prove_seconds = witness_seconds + proven.create_proof.as_secs_f64();
        let mut file = ProofFile::new(key.verifying(), &proven);
        file.spans.insert("witness".to_owned(), witness_seconds);
        file.write(&self.out)?;

        let outputs = outputs_json(&model.graph, circuit.outputs());
        let mut report = Report::new();
        report.line(format!("proof of {} written to {}", model.graph.name, self.out.display()));
        for (name, output) in &outputs {
            report.row(&format!("output {name}"), preview(&output["values"]));
        }
        report
            .row("time", format!("{prove_seconds:.2} s to prove, {load_seconds:.2} s to load keys"))
            .row("proof", format!("{} bytes", proven.proof.bytes.len()))
            .row("peak memory", bytes(proven.peak_memory_bytes.unwrap_or(0)));
        if let Some(marking) = &file.marking {
            report.line(format!("  {marking}: the setup's secret is known, so this proof convinces nobody"));
        }
        report
            .set("prove_seconds", prove_seconds)
            .set("load_seconds", load_seconds)
            .set("peak_memory_bytes", proven.peak_memory_bytes)
            .set("proof_bytes", proven.proof.bytes.len())
            .set("outputs", outputs)
            .set("spans", &file.spans);
        Ok(report)
    }
}

/// Reads `0x…` of at most 64 digits as a field element.
pub(crate) fn parse_context(text: &str) -> Result<Fr, Failure> {
    let refused = |why: &str| {
        Failure::new(
            "bad_context",
            format!("the context {text} {why}"),
            "give 0x and at most 64 hexadecimal digits below the scalar field's modulus",
        )
    };
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.len() > 64 {
        return Err(refused("is longer than 32 bytes"));
    }
    let bytes = hex::decode(format!("{digits:0>64}")).map_err(|_| refused("is not hexadecimal"))?;
    let word: [u8; 32] = bytes.try_into().map_err(|_| refused("is not 32 bytes"))?;
    scalar_from_be(&word).ok_or_else(|| refused("is not below the scalar field's modulus"))
}

/// Outputs by name, as real numbers.
pub(crate) fn outputs_json(graph: &IntGraph, outputs: &[Vec<i64>]) -> Map<String, Value> {
    let output = |(port, values): (&vouch_graph::int::Port, &Vec<i64>)| {
        let tensor = graph.tensor(port.tensor);
        let reals: Vec<Value> = values.iter().map(|q| number(port.real(tensor, *q))).collect();
        let value = json!({
            "shape": tensor.shape,
            "values": reals,
            "integers": values,
            "exponent": tensor.exponent,
        });
        (tensor.name.clone(), value)
    };
    graph.outputs.iter().zip(outputs).map(output).collect()
}

/// A number in JSON, which knows no infinity.
pub(crate) fn number(value: f64) -> Value {
    if value == f64::NEG_INFINITY { json!(MINUS_INFINITY) } else { json!(value) }
}

/// The first few numbers of a list.
pub(crate) fn preview(values: &Value) -> String {
    let Some(values) = values.as_array() else { return String::new() };
    let shown = |v: &Value| v.as_f64().map_or_else(|| "-inf".to_owned(), |v| format!("{v:.6}"));
    let shown: Vec<String> = values.iter().take(8).map(shown).collect();
    let more = if values.len() > 8 { format!(", … {} in all", values.len()) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
