//! halo2-axiom's prover, the reference.

use halo2_proofs::halo2curves::bn256::{Bn256, Fr};
use halo2_proofs::plonk::{self, Circuit};
use halo2_proofs::poly::kzg::commitment::KZGCommitmentScheme;
use halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use rand::{CryptoRng, RngCore};

use super::staged::StagedWriter;
use super::{ProofRequest, ProverBackend, RawProof};
use crate::error::ProofError;
use crate::guard::{guarded, halo2};
use crate::transcript::KeccakChallenge;

/// The reference: halo2-axiom's `create_proof` with SHPLONK.
///
/// It draws the random polynomial of the vanishing argument from the thread's own random source,
/// so two proofs with one `rng` seed differ.
#[derive(Debug, Clone, Copy, Default)]
pub struct Halo2Backend;

impl ProverBackend for Halo2Backend {
    fn create_proof<C: Circuit<Fr>, R: RngCore + CryptoRng>(
        &self,
        request: &ProofRequest<'_, C>,
        rng: R,
    ) -> Result<RawProof, ProofError> {
        let span = tracing::info_span!("create_proof", backend = "halo2");
        let _entered = span.enter();
        let mut transcript = StagedWriter::of_key(request.key.verifying())?;
        guarded("proving", || {
            plonk::create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, KeccakChallenge, _, _, _>(
                request.srs.params(),
                request.key.halo2(),
                std::slice::from_ref(request.circuit),
                &[&[request.instances]],
                rng,
                &mut transcript,
            )
        })?
        .map_err(|error| halo2("proving", &error))?;
        Ok(transcript.finish())
    }
}
