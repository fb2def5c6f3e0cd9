//! A case through every stage, from the model's file to the comparison of its outputs, or to a proof.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use halo2_proofs::{dev::MockProver, halo2curves::bn256::Fr};
use rand::rngs::OsRng;
use serde::{Deserialize, Serialize};
use vouch_circuit::{CircuitPlan, ModelCircuit, PlanOptions, instance_values};
use vouch_graph::{
    GraphError,
    calibrate::calibrate,
    data::Sample,
    exec::{dequantise_outputs, execute, quantise_inputs},
    import::{ImportOptions, OnnxModel},
    int::IntGraph,
    quantise::{QuantiseOptions, quantise},
};
use vouch_proof::{
    CircuitDigest, DevelopmentSeed, DirectBackend, KeySpec, LogRows, ProofRequest, ProvingKey, Srs, prove,
};

use super::{
    case::{Data, Elements, Input},
    compare::compare,
    gadgets,
};

/// Part of a case's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The case's files are read.
    #[default]
    Read,
    /// The model is read and lowered.
    Import,
    /// The float graph runs on the case's input.
    Calibrate,
    /// The model is brought to integers.
    Quantise,
    /// The circuit is planned.
    Plan,
    /// The reference executor runs on the case's input.
    Execute,
    /// The constraints are checked.
    Mock,
    /// The outputs are compared.
    Compare,
    /// Keys are made and a proof, which is verified.
    Prove,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Import => "import",
            Self::Calibrate => "calibrate",
            Self::Quantise => "quantise",
            Self::Plan => "plan",
            Self::Execute => "execute",
            Self::Mock => "mock",
            Self::Compare => "compare",
            Self::Prove => "prove",
        })
    }
}

/// Names of inputs whose values had to be constants of the model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// Integers and booleans: shapes, axes, indices, switches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub whole: Vec<String>,
    /// Floating-point numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub real: Vec<String>,
}

impl Fixed {
    /// Whether every input is live.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.real.is_empty()
    }

    fn of(inputs: &[&Input]) -> Self {
        let is_real = |input: &&&Input| matches!(input.value, Elements::Real(_));
        let (real, whole): (Vec<_>, Vec<_>) = inputs.iter().partition(is_real);
        let names = |inputs: Vec<&&Input>| inputs.iter().map(|input| input.name.clone()).collect();
        Self { whole: names(whole), real: names(real) }
    }
}

/// What is known of a case while it runs, for whoever waits for it; what is known at its end is its result.
#[derive(Debug, Clone, Default)]
pub(super) struct Reached {
    /// The stage that it is in.
    pub(super) stage: Stage,
    /// Inputs that became constants of the model.
    pub(super) fixed: Fixed,
    /// Rows of the circuit, as a power of two.
    pub(super) k: Option<u32>,
    /// What the circuit is made of.
    pub(super) gadgets: BTreeSet<String>,
    /// Largest error, see [`super::compare::Comparison`].
    pub(super) error: Option<f64>,
}

/// Shared between the thread of a case and the one that waits.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Reached>>);

impl Watch {
    pub(super) fn reached(&self) -> Reached {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, note: impl FnOnce(&mut Reached)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn enter(&self, stage: Stage) {
        self.note(|reached| reached.stage = stage);
    }
}

/// Setups for proofs, made once a size.
#[derive(Debug, Default)]
pub(super) struct Setups(Mutex<BTreeMap<u32, Arc<Srs>>>);

impl Setups {
    fn of(&self, k: u32) -> Result<Arc<Srs>, String> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(srs) = made.get(&k) {
            return Ok(Arc::clone(srs));
        }
        let srs = LogRows::new(k).and_then(|k| Srs::development(k, DevelopmentSeed::DEFAULT)).map_err(text)?;
        let srs = Arc::new(srs);
        made.insert(k, Arc::clone(&srs));
        Ok(srs)
    }
}

/// Runs the case in a folder; with setups through a proof.
pub(super) fn run(folder: &Path, watch: &Watch, setups: Option<&Setups>) -> Result<(), String> {
    watch.enter(Stage::Read);
    let data = Data::read(folder).map_err(|error| format!("{error:#}"))?;
    let compiled = compile(folder, &data, watch)?;
    let (graph, inputs) = (&compiled.graph, &compiled.inputs);

    watch.enter(Stage::Plan);
    let plan = CircuitPlan::choose(graph, &PlanOptions::default()).map_err(text)?;
    watch.note(|reached| {
        reached.k = Some(plan.k);
        reached.gadgets = gadgets::of(graph);
    });
    let plan = Arc::new(plan);

    watch.enter(Stage::Execute);
    let trace = execute(graph, inputs).map_err(text)?;
    let circuit = ModelCircuit::with_witness(graph, Arc::clone(&plan), inputs).map_err(text)?;
    let instances = instance_values(graph, Fr::zero(), inputs, circuit.outputs()).map_err(text)?;

    watch.enter(Stage::Mock);
    let mock = MockProver::run(plan.k, &circuit, vec![instances.clone()]);
    let mock = mock.map_err(|error| format!("the circuit cannot be laid out: {error}"))?;
    if let Err(failures) = mock.verify() {
        let first = failures.first().map(ToString::to_string).unwrap_or_default();
        return Err(format!("{} constraints fail, the first: {first}", failures.len()));
    }
    drop(mock);

    watch.enter(Stage::Compare);
    let compared = compare(&data.outputs, &dequantise_outputs(graph, &trace));
    watch.note(|reached| reached.error = Some(compared.error));
    if let Some(complaint) = compared.complaint {
        return Err(complaint);
    }

    let Some(setups) = setups else { return Ok(()) };
    watch.enter(Stage::Prove);
    let srs = setups.of(plan.k)?;
    let blank = ModelCircuit::for_keys(graph, Arc::clone(&plan)).map_err(text)?;
    let spec = KeySpec { circuit: CircuitDigest::NONE, instances: plan.instances };
    let key = ProvingKey::generate(&srs, &blank, spec).map_err(text)?;
    let request = ProofRequest { circuit: &circuit, key: &key, srs: &srs, instances: &instances };
    prove(&DirectBackend, &request, OsRng).map_err(text)?;
    Ok(())
}

/// A case's integer graph and its input.
struct Compiled {
    graph: IntGraph,
    inputs: Vec<Vec<i64>>,
}

/// Compiles with every input live where that is possible; inputs that the importer must know become constants.
fn compile(folder: &Path, data: &Data, watch: &Watch) -> Result<Compiled, String> {
    watch.enter(Stage::Import);
    let given = |name: &str| data.inputs.iter().find(|input| input.name == name);
    let mut fixed: Vec<&Input> = Vec::new();
    let fixing = |name: &str| {
        let input = given(name);
        fixed.extend(input);
        watch.note(|reached| reached.fixed = Fixed::of(&fixed));
        Ok::<_, GraphError>(input.map(|input| input.value.reals()))
    };
    let model = folder.join("model.onnx");
    let float = OnnxModel::open_fixing(&model, ImportOptions::default(), fixing).map_err(text)?.graph;
    let specs = float.input_specs();
    watch.enter(Stage::Calibrate);
    let values = |name: &str| given(name).map(|input| input.value.reals()).unwrap_or_default();
    let sample = Sample { inputs: specs.iter().map(|spec| values(&spec.name)).collect() };
    let ranges = calibrate(&float, std::slice::from_ref(&sample)).map_err(text)?;
    watch.enter(Stage::Quantise);
    let graph = quantise(&float, &ranges, &QuantiseOptions::default()).map_err(text)?;
    let inputs = quantise_inputs(&graph, &sample).map_err(text)?;
    Ok(Compiled { graph, inputs })
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}
