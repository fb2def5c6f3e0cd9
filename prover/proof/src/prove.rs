//! Prove and verify.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use halo2_proofs::halo2curves::bn256::{Bn256, Fr};
use halo2_proofs::plonk::{self, Circuit};
use halo2_proofs::poly::kzg::commitment::KZGCommitmentScheme;
use halo2_proofs::poly::kzg::multiopen::VerifierSHPLONK;
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use rand::{CryptoRng, RngCore};

use crate::backend::{ProofRequest, ProverBackend, Stages};
use crate::error::ProofError;
use crate::guard::halo2;
use crate::keys::VerifyingKey;
use crate::memory::peak_memory_bytes;
use crate::transcript::KeccakReader;

/// A proof and the statement that it proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Points of 64 bytes and scalars of 32, as the transcript wrote them.
    pub bytes: Vec<u8>,
    /// The statement: `context`, packed inputs, packed outputs.
    pub instances: Vec<Fr>,
}

/// A verified proof with what it took to make it.
#[derive(Debug, Clone)]
pub struct Proven {
    /// The proof.
    pub proof: Proof,
    /// From the circuit with its witness to the proof's bytes.
    pub create_proof: Duration,
    /// Parts of `create_proof`.
    pub stages: Stages,
    /// Verification of the new proof.
    pub self_verify: Duration,
    /// The process's peak memory so far, where the system tells.
    pub peak_memory_bytes: Option<u64>,
}

impl Proven {
    /// Seconds by span name: `create_proof` and its parts `commit`, `quotient`, `open`; then
    /// `self_verify`.
    #[must_use]
    pub fn spans(&self) -> BTreeMap<String, f64> {
        [
            ("create_proof", self.create_proof),
            ("commit", self.stages.commit),
            ("quotient", self.stages.quotient),
            ("open", self.stages.open),
            ("self_verify", self.self_verify),
        ]
        .into_iter()
        .map(|(name, time)| (name.to_owned(), time.as_secs_f64()))
        .collect()
    }
}

/// Makes a proof and verifies it: a witness that breaks a constraint yields an error, never a
/// proof.
///
/// # Errors
/// [`ProofError::OtherSrs`], [`ProofError::InstanceCount`], [`ProofError::CircuitShape`] where the
/// request does not fit together; [`ProofError::SelfVerification`] where the witness does not
/// satisfy the circuit; the backend's own errors.
pub fn prove<B, C, R>(backend: &B, request: &ProofRequest<'_, C>, rng: R) -> Result<Proven, ProofError>
where
    B: ProverBackend,
    C: Circuit<Fr>,
    R: RngCore + CryptoRng,
{
    let key = request.key.verifying();
    key.check_srs(request.srs)?;
    key.check_instances(request.instances)?;
    key.check_circuit(request.circuit)?;

    let start = Instant::now();
    let raw = backend.create_proof(request, rng)?;
    let create_proof = start.elapsed();

    let proof = Proof { bytes: raw.bytes, instances: request.instances.to_vec() };
    let start = Instant::now();
    {
        let span = tracing::info_span!("self_verify");
        let _entered = span.enter();
        verify(key, &proof).map_err(|error| match error {
            ProofError::ProofRejected { vk_digest } => ProofError::SelfVerification { vk_digest },
            other => other,
        })?;
    }
    Ok(Proven {
        proof,
        create_proof,
        stages: raw.stages,
        self_verify: start.elapsed(),
        peak_memory_bytes: peak_memory_bytes(),
    })
}

/// Checks a proof. It accepts exactly what the generated Solidity verifier accepts: the right
/// number of words, the exact length, canonical encodings, no point at infinity.
///
/// # Errors
/// [`ProofError::InstanceCount`], [`ProofError::ProofLength`], [`ProofError::ProofEncoding`] for the
/// form; [`ProofError::ProofRejected`] where the proof does not hold.
pub fn verify(key: &VerifyingKey, proof: &Proof) -> Result<(), ProofError> {
    key.check_instances(&proof.instances)?;
    let want = key.proof_length();
    if proof.bytes.len() != want {
        return Err(ProofError::ProofLength { got: proof.bytes.len(), want });
    }
    let mut unread = proof.bytes.as_slice();
    let result = {
        let mut transcript = KeccakReader::new(key.digest().to_scalar()?, &mut unread);
        plonk::verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, _>(
            key.params(),
            key.halo2(),
            SingleStrategy::new(key.params()),
            &[&[&proof.instances]],
            &mut transcript,
        )
    };
    match result {
        Ok(()) if unread.is_empty() => Ok(()),
        Ok(()) => Err(ProofError::ProofLength { got: want, want: want - unread.len() }),
        Err(plonk::Error::Transcript(error)) => {
            Err(ProofError::ProofEncoding { offset: want - unread.len(), problem: error.to_string() })
        }
        Err(plonk::Error::Opening | plonk::Error::ConstraintSystemFailure) => {
            Err(ProofError::ProofRejected { vk_digest: key.digest() })
        }
        Err(error) => Err(halo2("verification", &error)),
    }
}
