//! The Solidity verifier of a model: of its shape, with the key as data, or of its own.

use std::path::Path;

use serde::{Deserialize, Serialize};
use vouch_circuit::Shape;
use vouch_proof::{CircuitDigest, VerifyingKey};
use vouch_solidity::{
    Evm, EvmOutcome, GasPart, Generator, Key, Rules, SourceParts, VerifierParams, compile, shared_creation,
};
use vouch_verifiers::{CONTRACT, precompiled};

use crate::{
    command::solc_path,
    failure::Failure,
    model_dir::{ModelDir, read},
};

const FORMAT: &str = "vouch-verifier";
const VERSION: u64 = 2;

/// Name of a verifier with the key inside.
const SINGLE_CONTRACT: &str = "ModelVerifier";

/// Which verifier a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// The one of the circuit's shape; the key is in the code of a contract of the model's own.
    Shared,
    /// One with the key inside.
    Single,
}

/// A generated verifier, compiled: `verifier.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct VerifierFile {
    format: String,
    version: u64,
    /// Marks a verifier that rests on a setup whose tau is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    marking: Option<String>,
    pub(crate) form: Form,
    /// Name of the circuit's shape.
    pub(crate) shape: String,
    pub(crate) contract: String,
    model_digest: CircuitDigest,
    vk_digest: String,
    srs_digest: String,
    instances: usize,
    /// Full version of the Solidity compiler.
    pub(crate) compiler: String,
    /// Bytes of the verifier's code on chain.
    pub(crate) runtime_bytes: usize,
    /// Creation code of the verifier with the constructor's argument, `0x` and hexadecimal.
    #[serde(with = "hexadecimal")]
    pub(crate) creation: Vec<u8>,
    /// The key of a shared verifier, `0x` and hexadecimal.
    #[serde(with = "hexadecimal", default, skip_serializing_if = "Vec::is_empty")]
    key: Vec<u8>,
    abi: serde_json::Value,
}

/// What a call in the in-process EVM did, and what the deployment cost.
pub(crate) struct Call {
    pub(crate) outcome: EvmOutcome,
    /// Gas by the parts of the verifier, where a map of the source was given.
    pub(crate) parts: Vec<GasPart>,
    /// Gas to deploy the verifier, which models of one shape share.
    pub(crate) deploy_gas: u64,
    /// Gas to deploy the model's contract with the key; none with the key inside.
    pub(crate) key_gas: Option<u64>,
}

/// The Solidity source of a key's verifier: the same on every machine.
pub(crate) fn source(key: &VerifyingKey, form: Form) -> Result<String, Failure> {
    let params = params(key);
    let generator = Generator::new(key.halo2(), &params)?;
    Ok(match form {
        Form::Shared => generator.shared_solidity(CONTRACT)?,
        Form::Single => generator.solidity(SINGLE_CONTRACT)?,
    })
}

fn params(key: &VerifyingKey) -> VerifierParams {
    VerifierParams {
        s_g2: key.verify_g2(),
        vk_digest: *key.digest().as_bytes(),
        srs_digest: *key.srs().as_bytes(),
        instances: key.instances(),
    }
}

/// Refuses where the verifier of a shape needs a compiler and there is none: before the long work of a setup.
pub(crate) fn require_compiler(shape: &Shape, form: Form, solc: Option<&Path>) -> Result<(), Failure> {
    if form == Form::Shared && precompiled(&vouch_verifiers::source(shape)?)?.is_some() {
        return Ok(());
    }
    solc_path(solc).map(|_| ())
}

impl VerifierFile {
    /// Generates the verifier of a key, and its source. Those of the standard shapes are compiled already; others need
    /// the compiler.
    pub(crate) fn generate(
        key: &VerifyingKey,
        shape: &Shape,
        form: Form,
        solc: Option<&Path>,
    ) -> Result<(Self, String), Failure> {
        let source = source(key, form)?;
        let ready = match form {
            Form::Shared => precompiled(&source)?,
            Form::Single => None,
        };
        let (creation, runtime_bytes, abi, compiler) = match ready {
            Some(ready) => (ready.creation, ready.runtime_bytes, ready.abi, ready.compiler),
            None => {
                let compiled = compile(&source, &solc_path(solc)?)?;
                (compiled.creation, compiled.runtime.len(), compiled.abi, compiled.compiler)
            }
        };
        let params = params(key);
        let (contract, creation, key_bytes) = match form {
            Form::Shared => {
                let data = Generator::new(key.halo2(), &params)?.key()?;
                (CONTRACT, shared_creation(&creation, &params.s_g2), data.bytes().to_vec())
            }
            Form::Single => (SINGLE_CONTRACT, creation, Vec::new()),
        };
        let file = Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            marking: key.is_insecure().then(|| vouch_proof::srs::INSECURE.to_owned()),
            form,
            shape: shape.to_string(),
            contract: contract.to_owned(),
            model_digest: key.circuit(),
            vk_digest: key.digest().to_string(),
            srs_digest: key.srs().to_string(),
            instances: key.instances(),
            compiler,
            runtime_bytes,
            creation,
            key: key_bytes,
            abi,
        };
        Ok((file, source))
    }

    /// Reads the verifier of a model and its key.
    pub(crate) fn load(dir: &ModelDir, model: CircuitDigest, key: &VerifyingKey) -> Result<Self, Failure> {
        let path = dir.verifier();
        dir.require_setup(&path)?;
        let file: Self = serde_json::from_slice(&read(&path)?).map_err(|error| Failure::malformed(&path, &error))?;
        if file.format != FORMAT || file.version != VERSION {
            let found = format!("it is {} version {}; run `vouch setup` again", file.format, file.version);
            return Err(Failure::malformed(&path, &found));
        }
        if file.model_digest != model {
            return Err(Failure::malformed(&path, &"it was made for another model"));
        }
        // A setup that was interrupted between its files leaves such a pair.
        if (&file.vk_digest, &file.srs_digest) != (&key.digest().to_string(), &key.srs().to_string()) {
            return Err(Failure::malformed(&path, &"it was made for another verifying key; run `vouch setup` again"));
        }
        Ok(file)
    }

    /// The key of a shared verifier.
    pub(crate) fn key(&self) -> Option<Key> {
        (self.form == Form::Shared).then(|| self.key.clone().into())
    }

    /// Whether the code on chain would be the same.
    pub(crate) fn is_same_code(&self, other: &Self) -> bool {
        (self.form, &self.creation, &self.key) == (other.form, &other.creation, &other.key)
    }

    /// Deploys the verifier in an in-process EVM and calls it; with a map of its source gas is told by its parts.
    pub(crate) fn call(&self, rules: Rules, calldata: &[u8], map: Option<&SourceParts>) -> Result<Call, Failure> {
        let evm = Evm::new(rules);
        let (called, deploy_gas, key_gas) = match self.key() {
            Some(key) => {
                let deployed = evm.deploy_shared(&self.creation, &key)?;
                let (verifier_gas, key_gas) = (deployed.verifier.deploy_gas(), deployed.model.deploy_gas());
                (deployed.model, verifier_gas, Some(key_gas))
            }
            None => {
                let verifier = evm.deploy(&self.creation)?;
                let gas = verifier.deploy_gas();
                (verifier, gas, None)
            }
        };
        let parts = map.map(|map| called.profile(calldata, map)).transpose()?.unwrap_or_default();
        Ok(Call { outcome: called.verify(calldata)?, parts, deploy_gas, key_gas })
    }
}

/// Bytes as `0x` and hexadecimal digits.
mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("0x{}", hex::encode(bytes)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text.trim_start_matches("0x")).map_err(D::Error::custom)
    }
}
