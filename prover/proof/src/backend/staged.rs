//! A transcript that tells the stages of a proof apart.

use std::io::Write;
use std::time::{Duration, Instant};

use halo2_proofs::halo2curves::bn256::{Fr, G1Affine};
use halo2_proofs::transcript::{Transcript, TranscriptWrite};
use tracing::span::EnteredSpan;

use super::{RawProof, Stages};
use crate::error::ProofError;
use crate::keys::VerifyingKey;
use crate::transcript::{KeccakChallenge, KeccakWriter};

/// Challenges between those of the circuit and `y`: theta, beta, gamma.
const CHALLENGES_BEFORE_Y: usize = 3;

/// Passes everything on to the transcript and watches the challenges go by: they are the only sight that halo2's
/// prover gives of its progress.
pub(super) struct StagedWriter<W> {
    transcript: KeccakWriter<W>,
    squeezes_before_y: usize,
    squeezes: usize,
    since: Instant,
    stages: Stages,
    span: Option<EnteredSpan>,
}

impl<W: Write> StagedWriter<W> {
    pub(super) fn new(transcript: KeccakWriter<W>, circuit_challenges: usize) -> Self {
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
    /// The transcript of a proof under a key.
    pub(super) fn of_key(key: &VerifyingKey) -> Result<Self, ProofError> {
        let proof = Vec::with_capacity(key.proof_length());
        Ok(Self::new(KeccakWriter::new(key.digest().to_scalar()?, proof), key.halo2().cs().num_challenges()))
    }

    pub(super) fn finish(mut self) -> RawProof {
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
