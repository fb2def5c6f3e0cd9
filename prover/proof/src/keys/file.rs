//! Keys as files.

use std::path::Path;

use halo2_proofs::halo2curves::bn256::{Fr, G2, G2Affine};
use halo2_proofs::halo2curves::group::cofactor::CofactorGroup;
use halo2_proofs::halo2curves::serde::SerdeObject;
use halo2_proofs::plonk::{Circuit, ConstraintSystem};
use serde::{Deserialize, Serialize};

use super::{KeySpec, ProvingKey, VerifyingKey, audit, codec, configure};
use crate::artefact::{Artefact, Expected, Kind, Stamp};
use crate::digest::{CircuitDigest, VkDigest, hex_to_bytes};
use crate::error::ProofError;
use crate::srs::LogRows;

/// What a key file says about itself; `inspect` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDescription {
    /// log2 of the number of rows.
    pub k: LogRows,
    /// Degree of the constraint system.
    pub degree: usize,
    /// Words of a statement.
    pub instances: usize,
    /// Advice columns.
    pub advice_columns: usize,
    /// Fixed columns, selectors among them.
    pub fixed_columns: usize,
    /// Columns under copy constraints.
    pub permutation_columns: usize,
    /// Bytes of a proof.
    pub proof_bytes: usize,
    /// Canonical digest of the verifying key.
    pub vk_digest: VkDigest,
    /// `tau*G2`: `x.c0, x.c1, y.c0, y.c1`, Montgomery form, little-endian, hexadecimal.
    pub tau_g2: String,
}

impl KeyDescription {
    fn of(key: &VerifyingKey) -> Self {
        let cs = key.inner.cs();
        Self {
            k: key.k(),
            degree: cs.degree(),
            instances: key.instances(),
            advice_columns: cs.num_advice_columns(),
            fixed_columns: cs.num_fixed_columns(),
            permutation_columns: cs.permutation().get_columns().len(),
            proof_bytes: key.proof_length(),
            vk_digest: key.digest,
            tau_g2: format!("0x{}", hex::encode(key.verify_g2().to_raw_bytes())),
        }
    }
}

/// A key's description, checked, with the circuit that it is for.
struct Described {
    description: KeyDescription,
    cs: ConstraintSystem<Fr>,
    tau_g2: G2Affine,
}

impl Described {
    fn new<C: Circuit<Fr>>(path: &Path, description: KeyDescription, params: C::Params) -> Result<Self, ProofError> {
        LogRows::new(description.k.0)?;
        let cs = configure::<C>(params)?;
        audit::check(&cs, description.k)?;
        let tau_g2 = Some(hex_to_bytes(&description.tau_g2, "tau_g2")?)
            .filter(|bytes| bytes.len() == 128)
            .and_then(|bytes| G2Affine::from_raw_bytes(&bytes))
            .filter(|point| bool::from(G2::from(*point).is_torsion_free()))
            .ok_or_else(|| malformed(path, "its tau*G2 is not a point of G2".to_owned()))?;
        Ok(Self { description, cs, tau_g2 })
    }

    fn spec(&self, stamp: &Stamp) -> KeySpec {
        KeySpec { circuit: stamp.circuit, instances: self.description.instances }
    }

    /// The digest binds the circuit's constraints as this build configures them to the file.
    fn check(&self, key: &VerifyingKey, path: &Path) -> Result<(), ProofError> {
        if KeyDescription::of(key) == self.description {
            Ok(())
        } else {
            Err(malformed(
                path,
                format!(
                    "its description says key {}, its content with this build's circuit is {}",
                    self.description.vk_digest, key.digest
                ),
            ))
        }
    }
}

fn malformed(path: &Path, problem: String) -> ProofError {
    ProofError::Malformed { path: path.to_owned(), problem }
}

fn stamp(key: &VerifyingKey, kind: Kind) -> Stamp {
    Stamp { kind, insecure: key.insecure, circuit: key.spec.circuit, srs: key.srs }
}

impl VerifyingKey {
    /// Writes the key.
    ///
    /// # Errors
    /// [`ProofError::Io`] where the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ProofError> {
        let stamp = stamp(self, Kind::VerifyingKey);
        Artefact::write(path, &stamp, &KeyDescription::of(self), |body| codec::write_verifying(&self.inner, body))
    }

    /// Reads a key of the circuit `C` with these parameters. Every point is checked, and the
    /// canonical digest is computed again and compared.
    ///
    /// # Errors
    /// As [`Artefact::read`] for the file; [`ProofError::Malformed`] where the content is not a key
    /// of this circuit.
    pub fn load<C: Circuit<Fr>>(path: &Path, circuit: CircuitDigest, params: C::Params) -> Result<Self, ProofError> {
        let expected = Expected { kind: Kind::VerifyingKey, circuit: Some(circuit), srs: None };
        Artefact::decode(path, &expected, |stamp, description, body| {
            let described = Described::new::<C>(path, description, params)?;
            let inner = codec::read_verifying(body, described.cs.clone(), described.description.k.0)
                .map_err(|problem| malformed(path, problem))?;
            let key = Self::new(inner, described.spec(stamp), stamp.srs, described.tau_g2, stamp.insecure)?;
            described.check(&key, path)?;
            Ok(key)
        })
    }
}

impl ProvingKey {
    /// Writes the key.
    ///
    /// # Errors
    /// [`ProofError::Io`] where the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ProofError> {
        let stamp = stamp(&self.verifying, Kind::ProvingKey);
        let description = KeyDescription::of(&self.verifying);
        Artefact::write(path, &stamp, &description, |body| codec::write_proving(&self.inner, body))
    }

    /// Reads a key of the circuit `C` with these parameters. Every scalar and point is checked; the
    /// polynomials are believed to the extent of the file's digest, and a proof made with wrong
    /// ones fails its own verification.
    ///
    /// # Errors
    /// As [`VerifyingKey::load`].
    pub fn load<C: Circuit<Fr>>(path: &Path, circuit: CircuitDigest, params: C::Params) -> Result<Self, ProofError> {
        let span = tracing::info_span!("load_proving_key");
        let _entered = span.enter();
        let expected = Expected { kind: Kind::ProvingKey, circuit: Some(circuit), srs: None };
        Artefact::decode(path, &expected, |stamp, description, body| {
            let described = Described::new::<C>(path, description, params)?;
            let inner = codec::read_proving(body, described.cs.clone(), described.description.k.0)
                .map_err(|problem| malformed(path, problem))?;
            let key = Self::new(inner, described.spec(stamp), stamp.srs, described.tau_g2, stamp.insecure)?;
            described.check(&key.verifying, path)?;
            Ok(key)
        })
    }
}
