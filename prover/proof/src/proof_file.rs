//! Proof files: JSON, so that scripts and browsers can read them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use halo2_proofs::halo2curves::bn256::Fr;
use serde::{Deserialize, Serialize};

use crate::artefact::{read_file, write_atomically};
use crate::digest::{CircuitDigest, SrsDigest, VkDigest, hex_to_bytes, hex_to_word};
use crate::error::ProofError;
use crate::keys::VerifyingKey;
use crate::prove::{Proof, Proven};
use crate::transcript::{scalar_from_be, scalar_to_be};

/// Value of `format` in every proof file.
pub const PROOF_FORMAT: &str = "vouch-proof";
/// Value of `version`.
pub const PROOF_VERSION: u64 = 1;

/// A proof with what is needed to check and to submit it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofFile {
    /// [`PROOF_FORMAT`].
    pub format: String,
    /// [`PROOF_VERSION`].
    pub version: u64,
    /// `INSECURE` where the key rests on a setup whose tau is known, else absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marking: Option<String>,
    /// The model's circuit.
    pub model_digest: CircuitDigest,
    /// The verifying key.
    pub vk_digest: VkDigest,
    /// The powers of tau.
    pub srs_digest: SrsDigest,
    /// First word of the statement, which ties the proof to its use: `0x` and 64 digits.
    pub context: String,
    /// All words of the statement, the context first: `0x` and 64 digits each.
    pub instances: Vec<String>,
    /// The proof: `0x` and its bytes.
    pub proof: String,
    /// Seconds by span name.
    #[serde(default)]
    pub spans: BTreeMap<String, f64>,
    /// Peak memory of the process that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

/// What is read first: enough to name a file of another format or version.
#[derive(Deserialize)]
struct Envelope {
    format: String,
    version: u64,
}

impl ProofFile {
    /// The file of a proof made under `key`.
    #[must_use]
    pub fn new(key: &VerifyingKey, proven: &Proven) -> Self {
        let word = |scalar: &Fr| format!("0x{}", hex::encode(scalar_to_be(scalar)));
        let instances: Vec<String> = proven.proof.instances.iter().map(word).collect();
        Self {
            format: PROOF_FORMAT.to_owned(),
            version: PROOF_VERSION,
            marking: key.is_insecure().then(|| crate::srs::INSECURE.to_owned()),
            model_digest: key.circuit(),
            vk_digest: key.digest(),
            srs_digest: key.srs(),
            context: instances.first().cloned().unwrap_or_default(),
            instances,
            proof: format!("0x{}", hex::encode(&proven.proof.bytes)),
            spans: proven.spans(),
            peak_memory_bytes: proven.peak_memory_bytes,
        }
    }

    /// The proof itself. Words must be canonical, and the context must be the first of them.
    ///
    /// # Errors
    /// [`ProofError::BadHex`] where a value is not hexadecimal, too long, not below the modulus, or
    /// where `context` is not the first instance.
    pub fn proof(&self) -> Result<Proof, ProofError> {
        if self.instances.first().map_or("", String::as_str) != self.context {
            return Err(ProofError::BadHex {
                what: "context".to_owned(),
                problem: "it is not the first instance word".to_owned(),
            });
        }
        let instances = self
            .instances
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let what = format!("instances[{index}]");
                let word = hex_to_word(text, &what)?;
                scalar_from_be(&word).ok_or_else(|| ProofError::BadHex {
                    what,
                    problem: "the value is not below the scalar field's modulus".to_owned(),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Proof { bytes: hex_to_bytes(&self.proof, "proof")?, instances })
    }

    /// The proof, where the file was made under this key.
    ///
    /// # Errors
    /// [`ProofError::OtherKey`], [`ProofError::OtherCircuit`], [`ProofError::OtherSrsFile`] where it
    /// names others; then as [`ProofFile::proof`]. `path` is what messages call the file.
    pub fn proof_for(&self, key: &VerifyingKey, path: &Path) -> Result<Proof, ProofError> {
        if self.model_digest != key.circuit() {
            return Err(ProofError::OtherCircuit {
                path: path.to_owned(),
                made_for: self.model_digest,
                wanted: key.circuit(),
            });
        }
        if self.srs_digest != key.srs() {
            return Err(ProofError::OtherSrsFile {
                path: path.to_owned(),
                made_with: self.srs_digest,
                wanted: key.srs(),
            });
        }
        if self.vk_digest != key.digest() {
            return Err(ProofError::OtherKey { path: path.to_owned(), made_for: self.vk_digest, wanted: key.digest() });
        }
        self.proof()
    }

    /// Reads a proof file.
    ///
    /// # Errors
    /// [`ProofError::ForeignFile`] where it is not a proof file, [`ProofError::FormatVersion`] where
    /// it is of another version, [`ProofError::Malformed`] where its fields are not those of one.
    pub fn read(path: &Path) -> Result<Self, ProofError> {
        let bytes = read_file(path)?;
        let envelope = serde_json::from_slice::<Envelope>(&bytes)
            .ok()
            .filter(|envelope| envelope.format == PROOF_FORMAT)
            .ok_or_else(|| ProofError::ForeignFile { path: path.to_owned() })?;
        if envelope.version != PROOF_VERSION {
            return Err(ProofError::FormatVersion {
                path: path.to_owned(),
                got: envelope.version,
                want: PROOF_VERSION,
            });
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| ProofError::Malformed { path: path.to_owned(), problem: error.to_string() })
    }

    /// Writes the file atomically.
    ///
    /// # Errors
    /// [`ProofError::Io`] where it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ProofError> {
        write_atomically(path, |writer| {
            serde_json::to_writer_pretty(&mut *writer, self).map_err(std::io::Error::other)?;
            writer.write_all(b"\n")
        })
    }
}
