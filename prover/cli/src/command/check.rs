use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use halo2_proofs::{dev::MockProver, halo2curves::bn256::Fr};
use serde_json::{Map, Value, json};
use vouch_circuit::{ModelCircuit, instance_values};
use vouch_graph::{
    exec::{execute, quantise_inputs},
    int::IntGraph,
    quantise::Target,
};

use super::{
    compile::{Source, describe, read_sample},
    prove::{number, outputs_json, preview},
};
use crate::{failure::Failure, model_dir::Inputs, report::Report};

/// Compile, run one input through the reference executor and the constraints, without keys.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    source: Source,
    /// Input to run.
    #[arg(long)]
    input: PathBuf,
    /// Which sample of a file with several to run, from 0.
    #[arg(long)]
    sample: Option<usize>,
}

impl Check {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let compiled = self.source.compile(&Target::default())?;
        let sample = read_sample(&compiled.graph, &compiled.inputs, &self.input, self.sample)?;
        let inputs = quantise_inputs(&compiled.graph, &sample)?;
        let trace = execute(&compiled.graph, &inputs)?;
        let expected: Vec<_> = compiled.graph.outputs.iter().map(|p| trace.tensor(p.tensor).to_vec()).collect();
        let plan = Arc::new(compiled.plan.clone());
        let circuit = ModelCircuit::with_witness(&compiled.graph, plan, &inputs)?;
        let instances = instance_values(&compiled.graph, Fr::zero(), &inputs, &expected)?;
        let mock = MockProver::run(compiled.plan.k, &circuit, vec![instances]).map_err(|error| {
            Failure::new("synthesis", format!("the circuit cannot be laid out: {error}"), "report this model")
        })?;
        if let Err(failures) = mock.verify() {
            let first = failures.first().map(ToString::to_string).unwrap_or_default();
            let message = format!("{} constraints fail, the first: {first}", failures.len());
            return Err(Failure::new("not_satisfied", message, "report this model: executor and circuit disagree"));
        }
        let accuracy = compiled.accuracy(&compiled.samples)?;
        let outputs = outputs_json(&compiled.graph, &expected);
        let floats = float_outputs(&compiled.graph, &compiled.float.run(&sample)?);

        let mut report = Report::new();
        report.line(format!("{}: the constraints hold", compiled.graph.name));
        describe(&mut report, &compiled, &accuracy);
        for (name, output) in &outputs {
            report.row(&format!("output {name}"), preview(&output["values"]));
            report.row("  float model", preview(&floats[name]["values"]));
        }
        report.set("satisfied", true).set("outputs", outputs).set("float_outputs", floats);
        Ok(report)
    }
}

fn float_outputs(graph: &IntGraph, outputs: &[Vec<f64>]) -> Map<String, Value> {
    let named = graph.outputs.iter().zip(outputs).map(|(port, values)| {
        let tensor = graph.tensor(port.tensor);
        let values: Vec<Value> = values.iter().map(|v| number(*v)).collect();
        (tensor.name.clone(), json!({ "shape": tensor.shape, "values": values }))
    });
    named.collect()
}

/// Reads and quantises the input of a compiled model.
pub(crate) fn read_input(graph: &IntGraph, inputs: &Inputs, path: &Path) -> Result<Vec<Vec<i64>>, Failure> {
    Ok(quantise_inputs(graph, &read_sample(graph, inputs, path, None)?)?)
}
