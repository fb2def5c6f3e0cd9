//! What a deployed verifier was made of, from the ONNX file to the code on a chain: `bill.json`.

use std::path::Path;

use alloy::primitives::{Address, B256, keccak256};
use serde::{Deserialize, Serialize};
use vouch_proof::{CircuitDigest, SrsDigest, VerifyingKey, srs::Provenance};

use crate::{
    failure::Failure,
    model_dir::{ModelDir, read, write_json},
    verifier::{Form, VerifierFile},
};

const FORMAT: &str = "vouch-bill";
const VERSION: u64 = 1;

/// The bill of materials of a model folder. Each command that makes something of the folder writes its part; what was
/// made of an earlier model or setup goes with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bill {
    format: String,
    version: u64,
    /// Of `vouch compile`.
    pub(crate) model: Model,
    /// Of `vouch setup`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) setup: Option<Setup>,
    /// Of `vouch deploy`, one a chain and registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) deployments: Vec<Deployment>,
}

/// A file by its name and hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Material {
    pub(crate) file: String,
    pub(crate) keccak256: B256,
}

/// What the integer model came from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Model {
    pub(crate) onnx: Material,
    pub(crate) calibration: Material,
    /// Options of `vouch compile` that the integer model depends on.
    pub(crate) options: Vec<String>,
    /// Integer model and plan.
    pub(crate) circuit: CircuitDigest,
}

/// What the verifier came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) provenance: Provenance,
    pub(crate) srs: SrsDigest,
    pub(crate) verifying_key: B256,
    pub(crate) form: Form,
    pub(crate) shape: String,
    /// Version of the Solidity compiler.
    pub(crate) compiler: String,
    /// Hash of the Solidity source.
    pub(crate) source: B256,
    /// Hash of the creation code with the constructor's argument.
    pub(crate) creation: B256,
    /// Hash of a shared verifier's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<B256>,
}

/// Contracts on a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deployment {
    pub(crate) chain_id: u64,
    /// The verifier that models share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shape_verifier: Option<Contract>,
    /// What consumers call.
    pub(crate) verifier: Contract,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) registration: Option<Registration>,
}

/// A contract by its address and the hash of its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contract {
    pub(crate) address: Address,
    pub(crate) code_hash: B256,
}

/// A model's place in a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registration {
    pub(crate) registry: Address,
    /// Decimal.
    pub(crate) model_id: String,
    pub(crate) version: u64,
}

impl Material {
    /// A file as it is now.
    pub(crate) fn of(path: &Path) -> Result<Self, Failure> {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { file, keccak256: keccak256(read(path)?) })
    }
}

impl Setup {
    /// What a setup made.
    pub(crate) fn of(verifier: &VerifierFile, source: &str, key: &VerifyingKey, provenance: &Provenance) -> Self {
        Self {
            provenance: provenance.clone(),
            srs: key.srs(),
            verifying_key: B256::from(*key.digest().as_bytes()),
            form: verifier.form,
            shape: verifier.shape.clone(),
            compiler: verifier.compiler.clone(),
            source: keccak256(source),
            creation: keccak256(&verifier.creation),
            key: verifier.key().map(|data| keccak256(data.bytes())),
        }
    }
}

impl Bill {
    /// The bill of a model that was compiled now.
    pub(crate) fn new(model: Model) -> Self {
        Self { format: FORMAT.to_owned(), version: VERSION, model, setup: None, deployments: Vec::new() }
    }

    /// Reads the bill of a folder.
    pub(crate) fn load(dir: &ModelDir) -> Result<Self, Failure> {
        let path = dir.bill();
        let bill: Self = serde_json::from_slice(&read(&path)?).map_err(|error| Failure::malformed(&path, &error))?;
        if bill.format != FORMAT || bill.version != VERSION {
            return Err(Failure::malformed(&path, &format!("it is {} version {}", bill.format, bill.version)));
        }
        Ok(bill)
    }

    pub(crate) fn save(&self, dir: &ModelDir) -> Result<(), Failure> {
        write_json(&dir.bill(), self)
    }

    /// Notes a setup; contracts of another one are no longer this folder's.
    pub(crate) fn note_setup(&mut self, setup: Setup) {
        if self.setup.as_ref() != Some(&setup) {
            self.deployments.clear();
        }
        self.setup = Some(setup);
    }

    /// Notes contracts, in the place of the same ones without or with the same registration.
    pub(crate) fn note_deployment(&mut self, deployment: Deployment) {
        let registry = |of: &Deployment| of.registration.as_ref().map(|at| (at.registry, at.model_id.clone()));
        self.deployments.retain(|old| {
            let same = (old.chain_id, &old.verifier) == (deployment.chain_id, &deployment.verifier);
            !(same && (old.registration.is_none() || registry(old) == registry(&deployment)))
        });
        self.deployments.push(deployment);
    }
}
