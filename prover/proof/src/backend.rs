//! Making proofs: the trait behind which provers sit, and halo2-axiom's prover as the reference.

use std::io::Write;
use std::time::{Duration, Instant};

use halo2_proofs::halo2curves::bn256::{Bn256, Fr, G1Affine};
use halo2_proofs::plonk::{self, Circuit};
use halo2_proofs::poly::kzg::commitment::KZGCommitmentScheme;
use halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use halo2_proofs::transcript::{Transcript, TranscriptWrite};
use rand::{CryptoRng, RngCore};
use tracing::span::EnteredSpan;

use crate::error::ProofError;
use crate::guard::{guarded, halo2};
use crate::keys::ProvingKey;
use crate::srs::Srs;
use crate::transcript::{KeccakChallenge, KeccakWriter};

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
        let key = request.key.verifying();
        let proof = Vec::with_capacity(key.proof_length());
        let transcript = KeccakWriter::new(key.digest().to_scalar()?, proof);
        let mut transcript = StagedWriter::new(transcript, key.halo2().cs().num_challenges());
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

/// Challenges between those of the circuit and `y`: theta, beta, gamma.
const CHALLENGES_BEFORE_Y: usize = 3;

/// Passes everything on to the transcript and watches the challenges go by: they are the only sight
/// that halo2's prover gives of its progress.
struct StagedWriter<W> {
    transcript: KeccakWriter<W>,
    squeezes_before_y: usize,
    squeezes: usize,
    since: Instant,
    stages: Stages,
    span: Option<EnteredSpan>,
}

impl<W: Write> StagedWriter<W> {
    fn new(transcript: KeccakWriter<W>, circuit_challenges: usize) -> Self {
        Self {
            transcript,
            squeezes_before_y: circuit_challenges + CHALLENGES_BEFORE_Y,
            squeezes: 0,
            since: Instant::now(),
            stages: Stages::default(),
            span: Some(tracing::info_span!("commit").entered()),
        }
    }

    /// Ends a stage and returns how long it took.
    fn lap(&mut self) -> Duration {
        // Spans nest: the old one must be left before the next is entered.
        self.span = None;
        let now = Instant::now();
        let lap = now - self.since;
        self.since = now;
        lap
    }

    fn observe_squeeze(&mut self) {
        self.squeezes += 1;
        if self.squeezes == self.squeezes_before_y + 1 {
            self.stages.commit = self.lap();
            self.span = Some(tracing::info_span!("quotient").entered());
        } else if self.squeezes == self.squeezes_before_y + 2 {
            self.stages.quotient = self.lap();
            self.span = Some(tracing::info_span!("open").entered());
        }
    }
}

impl StagedWriter<Vec<u8>> {
    fn finish(mut self) -> RawProof {
        self.stages.open = self.lap();
        RawProof { bytes: self.transcript.finalize(), stages: self.stages }
    }
}

impl<W: Write> Transcript<G1Affine, KeccakChallenge> for StagedWriter<W> {
    fn squeeze_challenge(&mut self) -> KeccakChallenge {
        self.observe_squeeze();
        self.transcript.squeeze_challenge()
    }

    fn common_point(&mut self, point: G1Affine) -> std::io::Result<()> {
        self.transcript.common_point(point)
    }

    fn common_scalar(&mut self, scalar: Fr) -> std::io::Result<()> {
        self.transcript.common_scalar(scalar)
    }
}

impl<W: Write> TranscriptWrite<G1Affine, KeccakChallenge> for StagedWriter<W> {
    fn write_point(&mut self, point: G1Affine) -> std::io::Result<()> {
        self.transcript.write_point(point)
    }

    fn write_scalar(&mut self, scalar: Fr) -> std::io::Result<()> {
        self.transcript.write_scalar(scalar)
    }
}
