//! What the instances of a model's proofs say: `statement.json`, and code for contracts that read it.

use std::{collections::BTreeMap, path::PathBuf};

use halo2_proofs::halo2curves::bn256::Fr;
use serde::Serialize;
use serde_json::{Value, json};
use vouch_circuit::WeightPlacement;
use vouch_graph::int::{self, Visibility};
use vouch_solidity::{Port, PortSpec, Role, SolcPath, StatementLayout, Subject, instance_words};

use crate::{
    failure::Failure,
    model_dir::{Model, ModelDir, write, write_json},
};

const READER_FORMAT: &str = "vouch-reader";
const VERSION: u64 = 1;

/// The compiled reader of a model's statements.
#[derive(Serialize)]
struct ReaderFile {
    format: &'static str,
    version: u64,
    contract: String,
    model_digest: String,
    compiler: String,
    /// Creation bytecode, `0x` and hexadecimal.
    creation: String,
    /// Runtime bytecode, for a state override of `eth_call`.
    runtime: String,
    abi: Value,
    userdoc: Value,
    devdoc: Value,
}

/// The statement of a compiled model.
pub(crate) fn layout(model: &Model) -> Result<StatementLayout, Failure> {
    let graph = &model.graph;
    let subject = Subject {
        model: graph.name.clone(),
        model_digest: model.digest.to_string(),
        // With private weights outputs are no function of the public inputs.
        inputs_are_public: model.plan.shape.weights == WeightPlacement::Public
            && graph.inputs.iter().all(|port| port.visibility == Visibility::Public),
    };
    let inputs = graph.inputs.iter().map(|port| (Role::Input, port));
    let outputs = graph.outputs.iter().map(|port| (Role::Output, port));
    let public = inputs.chain(outputs).filter(|(_, port)| port.visibility == Visibility::Public);
    let ports = public.map(|(role, port)| spec(model, role, port)).collect::<Result<_, _>>()?;
    Ok(StatementLayout::new(subject, ports)?)
}

fn spec(model: &Model, role: Role, port: &int::Port) -> Result<PortSpec, Failure> {
    let tensor = model.graph.tensor(port.tensor);
    let bound = |bound: i128| {
        i64::try_from(bound).map_err(|_| {
            let message = format!("the range of `{}` is too wide for a statement", tensor.name);
            Failure::new("range_too_wide", message, "compile the model again with this build")
        })
    };
    Ok(PortSpec {
        name: tensor.name.clone(),
        role,
        shape: tensor.shape.clone(),
        bits: port.packing.bits,
        per_word: port.packing.per_word,
        exponent: tensor.exponent.0,
        minimum: bound(tensor.range.lo)?,
        maximum: bound(tensor.range.hi)?,
        minus_infinity: port.minus_infinity,
    })
}

/// Writes the description of a model's statement, and the Solidity library made from it.
pub(crate) fn save(dir: &ModelDir, layout: &StatementLayout) -> Result<(), Failure> {
    write(&path(dir, "statement.json"), &layout.to_json()?)?;
    write(&path(dir, "Statement.sol"), layout.solidity()?.as_bytes())
}

/// Writes the description and the library anew, and what callers off the chain need of the compiled reader.
pub(crate) fn save_compiled(dir: &ModelDir, layout: &StatementLayout, solc: &SolcPath) -> Result<(), Failure> {
    let reader = layout.compile_reader(solc)?;
    save(dir, layout)?;
    write_json(&path(dir, "statement.abi.json"), &reader.abi)?;
    let file = ReaderFile {
        format: READER_FORMAT,
        version: VERSION,
        contract: reader.contract,
        model_digest: layout.subject().model_digest.clone(),
        compiler: reader.compiler,
        creation: format!("0x{}", hex::encode(&reader.creation)),
        runtime: format!("0x{}", hex::encode(&reader.runtime)),
        abi: reader.abi,
        userdoc: reader.userdoc,
        devdoc: reader.devdoc,
    };
    write_json(&path(dir, "reader.json"), &file)
}

/// What a proof's instances say, as JSON by name: integers and the exponent of what they stand for.
pub(crate) fn read(layout: &StatementLayout, instances: &[Fr]) -> Result<Value, Failure> {
    let values = layout.decode(&instance_words(instances)).map_err(vouch_solidity::Error::from)?;
    let ports = |role: Role, values: &BTreeMap<String, Vec<i64>>| -> Value {
        let port = |(_, port): (usize, &Port)| {
            let spec = &port.spec;
            let integers = values.get(&port.identifier);
            let value = json!({ "name": spec.name, "exponent": spec.exponent, "integers": integers });
            (port.identifier.clone(), value)
        };
        Value::Object(layout.of(role).map(port).collect())
    };
    Ok(json!({
        "context": format!("{:#066x}", values.context),
        "inputs": ports(Role::Input, &values.inputs),
        "outputs": ports(Role::Output, &values.outputs),
    }))
}

fn path(dir: &ModelDir, file: &str) -> PathBuf {
    dir.root().join(file)
}
