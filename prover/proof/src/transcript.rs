//! The Fiat-Shamir transcript: Keccak-256 over a growing buffer, as the EVM can repeat it.
//!
//! | event | effect on the buffer |
//! | --- | --- |
//! | construction | the verifying key's digest, 32 bytes big-endian |
//! | scalar | appended, 32 bytes big-endian |
//! | point | `x \|\| y` appended, 32 bytes big-endian each |
//! | challenge | `h = keccak256(buffer)`, or `keccak256(buffer \|\| 0x01)` where the buffer is 32 bytes long; the buffer becomes `h`, the challenge is `h mod r` |
//!
//! What the prover *writes* goes to the proof in the same encoding: 64 bytes a point, 32 a scalar.
//! The byte `0x01` separates two challenges in a row from a challenge after one scalar. The layout
//! is that of snark-verifier's `EvmTranscript`, with one difference: halo2 opens each transcript
//! with `vk.transcript_repr()`, a hash of Rust debug text, which no other implementation can be
//! asked to reproduce. Here the canonical digest of [`crate::vk_digest`] takes the place of that
//! first scalar, and of that one only.

use std::io::{self, Read, Write};

use halo2_proofs::halo2curves::CurveAffine;
use halo2_proofs::halo2curves::bn256::{Fq, Fr, G1Affine};
use halo2_proofs::halo2curves::ff::{FromUniformBytes, PrimeField};
use halo2_proofs::halo2curves::group::prime::PrimeCurveAffine;
use halo2_proofs::transcript::{EncodedChallenge, Transcript, TranscriptRead, TranscriptWrite};
use tiny_keccak::{Hasher, Keccak};

/// Keccak-256, the EVM's hash.
#[must_use]
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = Keccak::v256();
    let mut output = [0u8; 32];
    hasher.update(bytes);
    hasher.finalize(&mut output);
    output
}

/// A 256-bit big-endian integer modulo the scalar field.
#[must_use]
pub fn reduce_be(bytes: &[u8; 32]) -> Fr {
    let mut wide = [0u8; 64];
    for (to, from) in wide.iter_mut().zip(bytes.iter().rev()) {
        *to = *from;
    }
    Fr::from_uniform_bytes(&wide)
}

/// 32 bytes big-endian.
#[must_use]
pub fn scalar_to_be(scalar: &Fr) -> [u8; 32] {
    let mut bytes = scalar.to_repr();
    bytes.reverse();
    bytes
}

/// The scalar of 32 bytes big-endian, `None` where the value is not below the modulus.
#[must_use]
pub fn scalar_from_be(bytes: &[u8; 32]) -> Option<Fr> {
    let mut repr = *bytes;
    repr.reverse();
    Option::from(Fr::from_repr(repr))
}

/// `x || y`, 32 bytes big-endian each; the identity is 64 zeros.
#[must_use]
pub fn point_to_be(point: &G1Affine) -> [u8; 64] {
    let mut bytes = [0u8; 64];
    bytes[..32].copy_from_slice(&coordinate_to_be(&point.x));
    bytes[32..].copy_from_slice(&coordinate_to_be(&point.y));
    bytes
}

/// A coordinate, 32 bytes big-endian.
pub(crate) fn coordinate_to_be(coordinate: &Fq) -> [u8; 32] {
    let mut bytes = coordinate.to_repr();
    bytes.reverse();
    bytes
}

/// A challenge of this transcript: `h mod r` of a Keccak-256 output `h`.
#[derive(Debug, Clone, Copy)]
pub struct KeccakChallenge(Fr);

impl EncodedChallenge<G1Affine> for KeccakChallenge {
    type Input = [u8; 32];

    fn new(challenge_input: &[u8; 32]) -> Self {
        Self(reduce_be(challenge_input))
    }

    fn get_scalar(&self) -> Fr {
        self.0
    }
}

/// What reader and writer share: the buffer and the digest's substitution.
#[derive(Debug, Clone)]
struct Sponge {
    buffer: Vec<u8>,
    /// Whether halo2's own representation of the key has been swallowed yet.
    key_absorbed: bool,
}

impl Sponge {
    fn new(vk_digest: Fr) -> Self {
        Self { buffer: scalar_to_be(&vk_digest).to_vec(), key_absorbed: false }
    }

    fn squeeze(&mut self) -> KeccakChallenge {
        if self.buffer.len() == 32 {
            self.buffer.push(1);
        }
        let hash = keccak256(&self.buffer);
        self.buffer.clear();
        self.buffer.extend_from_slice(&hash);
        KeccakChallenge::new(&hash)
    }

    fn absorb_scalar(&mut self, scalar: &Fr) {
        if self.key_absorbed {
            self.buffer.extend_from_slice(&scalar_to_be(scalar));
        }
        self.key_absorbed = true;
    }

    fn absorb_point(&mut self, point: &G1Affine) -> io::Result<()> {
        if bool::from(point.is_identity()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the identity point cannot be absorbed: a committed polynomial is zero",
            ));
        }
        self.buffer.extend_from_slice(&point_to_be(point));
        Ok(())
    }
}

/// The prover's side: absorbs and collects the proof.
#[derive(Debug, Clone)]
pub struct KeccakWriter<W> {
    sponge: Sponge,
    proof: W,
}

impl<W: Write> KeccakWriter<W> {
    /// A transcript that opens with the digest and writes the proof to `proof`.
    pub fn new(vk_digest: Fr, proof: W) -> Self {
        Self { sponge: Sponge::new(vk_digest), proof }
    }

    /// Ends the transcript and hands the proof back.
    pub fn finalize(self) -> W {
        self.proof
    }
}

impl<W: Write> Transcript<G1Affine, KeccakChallenge> for KeccakWriter<W> {
    fn squeeze_challenge(&mut self) -> KeccakChallenge {
        self.sponge.squeeze()
    }

    fn common_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.sponge.absorb_point(&point)
    }

    fn common_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.sponge.absorb_scalar(&scalar);
        Ok(())
    }
}

impl<W: Write> TranscriptWrite<G1Affine, KeccakChallenge> for KeccakWriter<W> {
    fn write_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.sponge.absorb_point(&point)?;
        self.proof.write_all(&point_to_be(&point))
    }

    fn write_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.sponge.absorb_scalar(&scalar);
        self.proof.write_all(&scalar_to_be(&scalar))
    }
}

/// The verifier's side: reads the proof strictly and absorbs what it reads.
#[derive(Debug, Clone)]
pub struct KeccakReader<R> {
    sponge: Sponge,
    proof: R,
}

impl<R: Read> KeccakReader<R> {
    /// A transcript that opens with the digest and reads the proof from `proof`.
    pub fn new(vk_digest: Fr, proof: R) -> Self {
        Self { sponge: Sponge::new(vk_digest), proof }
    }

    fn word(&mut self) -> io::Result<[u8; 32]> {
        let mut word = [0u8; 32];
        self.proof.read_exact(&mut word)?;
        Ok(word)
    }

    fn coordinate(&mut self) -> io::Result<Fq> {
        let mut repr = self.word()?;
        repr.reverse();
        Option::from(Fq::from_repr(repr)).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "a coordinate is not below the base field's modulus")
        })
    }
}

impl<R: Read> Transcript<G1Affine, KeccakChallenge> for KeccakReader<R> {
    fn squeeze_challenge(&mut self) -> KeccakChallenge {
        self.sponge.squeeze()
    }

    fn common_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.sponge.absorb_point(&point)
    }

    fn common_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.sponge.absorb_scalar(&scalar);
        Ok(())
    }
}

impl<R: Read> TranscriptRead<G1Affine, KeccakChallenge> for KeccakReader<R> {
    fn read_point(&mut self) -> io::Result<G1Affine> {
        let x = self.coordinate()?;
        let y = self.coordinate()?;
        let point = Option::<G1Affine>::from(G1Affine::from_xy(x, y))
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a point is not on the curve"))?;
        self.sponge.absorb_point(&point)?;
        Ok(point)
    }

    fn read_scalar(&mut self) -> io::Result<Fr> {
        let word = self.word()?;
        let scalar = scalar_from_be(&word).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "a scalar is not below the scalar field's modulus")
        })?;
        self.sponge.absorb_scalar(&scalar);
        Ok(scalar)
    }
}
