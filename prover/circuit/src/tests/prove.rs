//! Keys, proofs and verification of one case, with a seeded setup that anybody could undo.

use std::sync::Arc;

use halo2_proofs::{
    halo2curves::bn256::{Bn256, Fr, G1Affine},
    plonk::{Error, ProvingKey, create_proof, keygen_pk, keygen_vk_custom, verify_proof},
    poly::{
        commitment::ParamsProver,
        kzg::{
            commitment::{KZGCommitmentScheme, ParamsKZG},
            multiopen::{ProverSHPLONK, VerifierSHPLONK},
            strategy::SingleStrategy,
        },
    },
    transcript::{Blake2bRead, Blake2bWrite, Challenge255, TranscriptReadBuffer, TranscriptWriterBuffer},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use vouch_graph::int::IntGraph;

use crate::{CircuitPlan, ModelCircuit};

/// Bytes of a commitment in a proof.
const POINT: usize = 32;

/// Setup and keys of one circuit.
pub(crate) struct Keys {
    params: ParamsKZG<Bn256>,
    pk: ProvingKey<G1Affine>,
}

impl Keys {
    pub(crate) fn new(graph: &IntGraph, plan: &Arc<CircuitPlan>) -> Self {
        let params = ParamsKZG::<Bn256>::setup(plan.k, ChaCha20Rng::seed_from_u64(1));
        let blank = ModelCircuit::for_keys(graph, Arc::clone(plan)).unwrap();
        let vk = keygen_vk_custom(&params, &blank, false).unwrap();
        let pk = keygen_pk(&params, vk, &blank).unwrap();
        Self { params, pk }
    }

    pub(crate) fn prove(&self, circuit: &ModelCircuit, instances: &[Fr], seed: u64) -> Result<Vec<u8>, Error> {
        let mut transcript = Blake2bWrite::<_, _, Challenge255<G1Affine>>::init(Vec::new());
        create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
            &self.params,
            &self.pk,
            std::slice::from_ref(circuit),
            &[&[instances]],
            ChaCha20Rng::seed_from_u64(seed),
            &mut transcript,
        )?;
        Ok(transcript.finalize())
    }

    pub(crate) fn verify(&self, proof: &[u8], instances: &[Fr]) -> Result<(), Error> {
        let mut transcript = Blake2bRead::<_, _, Challenge255<G1Affine>>::init(proof);
        verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, _>(
            self.params.verifier_params(),
            self.pk.get_vk(),
            SingleStrategy::new(&self.params),
            &[&[instances]],
            &mut transcript,
        )
        .map(|_| ())
    }

    /// Whether the circuit has a proof of the statement; a prover that fails has none.
    pub(crate) fn convinces(&self, circuit: &ModelCircuit, instances: &[Fr]) -> bool {
        self.prove(circuit, instances, 3).is_ok_and(|proof| self.verify(&proof, instances).is_ok())
    }

    /// The advice commitments, with which a proof begins.
    pub(crate) fn advice_commitments<'p>(&self, proof: &'p [u8]) -> Vec<&'p [u8]> {
        proof.chunks(POINT).take(self.pk.get_vk().cs().num_advice_columns()).collect()
    }
}
