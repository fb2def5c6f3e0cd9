//! Making proofs: the trait behind which provers sit, our own prover, and halo2-axiom's as the reference.

mod direct;
mod halo2;
mod staged;

use std::time::Duration;

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::plonk::Circuit;
use rand::{CryptoRng, RngCore};

use crate::error::ProofError;
use crate::keys::ProvingKey;
use crate::srs::Srs;

pub use direct::DirectBackend;
pub use halo2::Halo2Backend;

/// One statement to prove.
#[derive(Debug, Clone, Copy)]
pub struct ProofRequest<'a, C> {
    /// The circuit with its witness.
    pub circuit: &'a C,
    /// Its key.
    pub key: &'a ProvingKey,
    /// The powers of tau that the key was made with.
    pub srs: &'a Srs,
    /// The statement's words.
    pub instances: &'a [Fr],
}

/// Where the time of one proof went, wall clock.
///
/// The stages are told apart by the challenges that the prover draws: `commit` ends when `y` is
/// drawn, `quotient` when `x` is. Synthesis of the witness alternates with commitments from phase
/// to phase and is part of `commit`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stages {
    /// Synthesis; commitments to advice, permutation products and the random polynomial.
    pub commit: Duration,
    /// The quotient polynomial and its commitments.
    pub quotient: Duration,
    /// Evaluations and the opening argument.
    pub open: Duration,
}

/// A proof as a backend returns it, not yet verified.
#[derive(Debug, Clone)]
pub struct RawProof {
    /// The proof's bytes.
    pub bytes: Vec<u8>,
    /// Where the time went.
    pub stages: Stages,
}

/// A prover for the circuits, keys and transcript of this crate.
///
/// Nothing above may rely on more than this: backends differ in how they compute, never in what
/// verifies.
pub trait ProverBackend {
    /// Proves that the circuit's witness satisfies its constraints with these instances. The caller
    /// has checked that request and key fit together.
    ///
    /// `rng` hides the witness; it must be cryptographically secure and never repeat.
    ///
    /// # Errors
    /// [`ProofError`] where no proof could be made. A proof that is made need not verify.
    fn create_proof<C: Circuit<Fr>, R: RngCore + CryptoRng>(
        &self,
        request: &ProofRequest<'_, C>,
        rng: R,
    ) -> Result<RawProof, ProofError>;
}
