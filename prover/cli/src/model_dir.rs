use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use vouch_circuit::{CircuitPlan, ModelCircuit};
use vouch_graph::int::IntGraph;
use vouch_proof::{CircuitDigest, KeySpec, ProvingKey, Srs, VerifyingKey, artefact::write_atomically};

use crate::failure::Failure;

const PLAN_FORMAT: &str = "vouch-plan";
const VERSION: u64 = 1;

/// A folder that holds a compiled model and, after the setup, its keys and verifier.
#[derive(Debug, Clone)]
pub(crate) struct ModelDir {
    root: PathBuf,
}

/// A compiled model: what is proven, and the circuit that proves it.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) graph: IntGraph,
    pub(crate) plan: Arc<CircuitPlan>,
    pub(crate) digest: CircuitDigest,
}

/// Inputs of an ONNX file some of which are constants of the compiled model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    /// Names of all of them in the file's order.
    pub(crate) names: Vec<String>,
    /// Values, row-major, of those that are constants.
    pub(crate) fixed: BTreeMap<String, Vec<f64>>,
}

#[derive(Serialize, Deserialize)]
struct PlanFile {
    format: String,
    version: u64,
    graph_blake3: String,
    plan: CircuitPlan,
}

impl ModelDir {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn graph(&self) -> PathBuf {
        self.root.join("graph.json")
    }

    pub(crate) fn plan(&self) -> PathBuf {
        self.root.join("plan.json")
    }

    pub(crate) fn accuracy(&self) -> PathBuf {
        self.root.join("accuracy.json")
    }

    pub(crate) fn inputs(&self) -> PathBuf {
        self.root.join("inputs.json")
    }

    pub(crate) fn powers(&self) -> PathBuf {
        self.root.join("powers.srs")
    }

    pub(crate) fn proving_key(&self) -> PathBuf {
        self.root.join("proving.key")
    }

    pub(crate) fn verifying_key(&self) -> PathBuf {
        self.root.join("verifying.key")
    }

    pub(crate) fn verifier_source(&self) -> PathBuf {
        self.root.join("Verifier.sol")
    }

    pub(crate) fn verifier(&self) -> PathBuf {
        self.root.join("verifier.json")
    }

    pub(crate) fn verifier_input(&self) -> PathBuf {
        self.root.join("verifier.input.json")
    }

    pub(crate) fn bill(&self) -> PathBuf {
        self.root.join("bill.json")
    }

    /// Writes a compiled model, the plan last: a folder with a plan is complete.
    pub(crate) fn save(&self, graph: &IntGraph, plan: &CircuitPlan) -> Result<Model, Failure> {
        std::fs::create_dir_all(&self.root).map_err(|error| Failure::file(&self.root, &error))?;
        let graph_bytes = graph.to_json()?;
        let plan = PlanFile {
            format: PLAN_FORMAT.to_owned(),
            version: VERSION,
            graph_blake3: blake3::hash(&graph_bytes).to_hex().to_string(),
            plan: plan.clone(),
        };
        write(&self.graph(), &graph_bytes)?;
        write_json(&self.plan(), &plan)?;
        self.load()
    }

    /// Keeps which inputs are constants, for data files that have them; nothing where none is.
    pub(crate) fn save_inputs(&self, inputs: &Inputs) -> Result<(), Failure> {
        let path = self.inputs();
        if !inputs.fixed.is_empty() {
            return write_json(&path, inputs);
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::file(&path, &error)),
            _ => Ok(()),
        }
    }

    /// Reads which inputs are constants.
    pub(crate) fn load_inputs(&self) -> Result<Inputs, Failure> {
        let path = self.inputs();
        if !path.exists() {
            return Ok(Inputs::default());
        }
        serde_json::from_slice(&read(&path)?).map_err(|error| Failure::malformed(&path, &error))
    }

    /// Reads a compiled model and checks that graph and plan belong together.
    pub(crate) fn load(&self) -> Result<Model, Failure> {
        let graph_path = self.graph();
        if !graph_path.exists() {
            let message = format!("{} holds no compiled model", self.root.display());
            return Err(Failure::new("not_compiled", message, "run `vouch compile` first"));
        }
        let graph_bytes = read(&graph_path)?;
        let graph = IntGraph::from_json(&graph_bytes, &graph_path.display().to_string())?;
        let plan_path = self.plan();
        let plan_bytes = read(&plan_path)?;
        let file: PlanFile =
            serde_json::from_slice(&plan_bytes).map_err(|error| Failure::malformed(&plan_path, &error))?;
        if file.format != PLAN_FORMAT || file.version != VERSION {
            let problem = format!("it is {} version {}", file.format, file.version);
            return Err(Failure::malformed(&plan_path, &problem));
        }
        if file.graph_blake3 != blake3::hash(&graph_bytes).to_hex().as_str() {
            return Err(Failure::malformed(&plan_path, &"it was made for another graph"));
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"vouch circuit 1\0").update(&graph_bytes).update(b"\0").update(&plan_bytes);
        let digest = CircuitDigest(*hasher.finalize().as_bytes());
        Ok(Model { graph, plan: Arc::new(file.plan), digest })
    }

    /// Reads the powers of tau that the keys were made with.
    pub(crate) fn load_powers(&self, key: &VerifyingKey) -> Result<Srs, Failure> {
        let powers = Srs::load(&self.powers(), Some(key.srs()))?;
        if powers.verify_g2() == key.verify_g2() {
            return Ok(powers);
        }
        Err(Failure::malformed(&self.powers(), &"the keys rest on another setup; run `vouch setup` again"))
    }

    /// Reads the proving key of `model`.
    pub(crate) fn load_proving_key(&self, model: &Model) -> Result<ProvingKey, Failure> {
        self.require_setup(&self.proving_key())?;
        Ok(ProvingKey::load::<ModelCircuit>(&self.proving_key(), model.digest, model.plan.shape.clone())?)
    }

    /// Reads the verifying key of `model`.
    pub(crate) fn load_verifying_key(&self, model: &Model) -> Result<VerifyingKey, Failure> {
        self.require_setup(&self.verifying_key())?;
        Ok(VerifyingKey::load::<ModelCircuit>(&self.verifying_key(), model.digest, model.plan.shape.clone())?)
    }

    /// Refuses a folder without a file that the setup makes.
    pub(crate) fn require_setup(&self, path: &Path) -> Result<(), Failure> {
        if path.exists() {
            return Ok(());
        }
        let message = format!("{} has no {}", self.root.display(), path.file_name().unwrap_or_default().display());
        Err(Failure::new("not_set_up", message, "run `vouch setup` first"))
    }
}

impl Model {
    /// The circuit without a witness.
    pub(crate) fn blank(&self) -> Result<ModelCircuit, Failure> {
        Ok(ModelCircuit::for_keys(&self.graph, Arc::clone(&self.plan))?)
    }

    /// What a key of this model knows of it.
    pub(crate) fn spec(&self) -> KeySpec {
        KeySpec { circuit: self.digest, instances: self.plan.instances }
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::file(path, &error))
}

/// Writes a whole file or nothing.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write as _;
    Ok(write_atomically(path, |file| file.write_all(bytes))?)
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| Failure::malformed(path, &error))?;
    bytes.push(b'\n');
    write(path, &bytes)
}
