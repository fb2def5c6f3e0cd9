//! What must hold for points to be powers of one tau.

use std::fmt;
use std::path::Path;

use halo2_proofs::arithmetic::best_multiexp;
use halo2_proofs::halo2curves::bn256::{Bn256, Fr, G1Affine, G2, G2Affine};
use halo2_proofs::halo2curves::ff::{FromUniformBytes, PrimeField};
use halo2_proofs::halo2curves::group::Curve;
use halo2_proofs::halo2curves::group::cofactor::CofactorGroup;
use halo2_proofs::halo2curves::group::prime::PrimeCurveAffine;
use halo2_proofs::halo2curves::pairing::Engine;
use halo2_proofs::halo2curves::serde::SerdeObject;
use halo2_proofs::poly::EvaluationDomain;
use rayon::prelude::*;

use super::LogRows;
use crate::error::ProofError;
use crate::transcript::point_to_be;

/// Bytes of a raw point in G1: two coordinates, Montgomery form, little-endian.
pub(super) const G1_BYTES: usize = 64;
/// Bytes of a raw point in G2.
pub(super) const G2_BYTES: usize = 128;

/// Why a point of a setup is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointProblem {
    /// A coordinate is not below the modulus, or the equation does not hold.
    NotOnCurve,
    /// On the curve, but not of prime order.
    NotInSubgroup,
    /// The point at infinity.
    Infinity,
}

impl fmt::Display for PointProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOnCurve => "is not on the curve",
            Self::NotInSubgroup => "is not in the prime-order subgroup",
            Self::Infinity => "is the point at infinity",
        })
    }
}

/// Points in G1 from raw bytes: canonical, on the curve (whose order is prime), none at infinity.
pub(super) fn read_g1(bytes: &[u8], section: &'static str, file: &Path) -> Result<Vec<G1Affine>, ProofError> {
    bytes
        .par_chunks_exact(G1_BYTES)
        .enumerate()
        .map(|(index, raw)| {
            let problem = match G1Affine::from_raw_bytes(raw) {
                None => PointProblem::NotOnCurve,
                Some(point) if bool::from(point.is_identity()) => PointProblem::Infinity,
                Some(point) => return Ok(point),
            };
            Err(ProofError::BadPoint { file: file.to_owned(), section, index, problem })
        })
        .collect()
}

/// A point in G2 from raw bytes: canonical, on the curve, in the subgroup.
pub(super) fn read_g2(bytes: &[u8], section: &'static str, index: usize, file: &Path) -> Result<G2Affine, ProofError> {
    let problem = match G2Affine::from_raw_bytes(bytes) {
        None => PointProblem::NotOnCurve,
        Some(point) if !bool::from(G2::from(point).is_torsion_free()) => PointProblem::NotInSubgroup,
        // Infinity stands for tau = 0, which has a name of its own.
        Some(point) => return Ok(point),
    };
    Err(ProofError::BadPoint { file: file.to_owned(), section, index, problem })
}

/// The points of a setup before they are believed.
pub(super) struct Candidate<'a> {
    pub(super) file: &'a Path,
    pub(super) k: LogRows,
    pub(super) powers: &'a [G1Affine],
    pub(super) g2: G2Affine,
    pub(super) tau_g2: G2Affine,
}

impl Candidate<'_> {
    /// Generators, a tau other than 0 and 1, and powers of the one tau in `tau_g2`.
    ///
    /// The powers are checked together: with random `r_i`, `e(sum r_i P_(i+1), G2)` must equal
    /// `e(sum r_i P_i, tau G2)`. The `r_i` have 128 bits and are drawn from a hash of all points, so
    /// one wrong power passes with probability `2^-128`.
    pub(super) fn check_powers(&self) -> Result<(), ProofError> {
        if self.powers.first() != Some(&G1Affine::generator()) {
            return Err(ProofError::WrongGenerator { file: self.file.to_owned(), group: "G1" });
        }
        if self.g2 != G2Affine::generator() {
            return Err(ProofError::WrongGenerator { file: self.file.to_owned(), group: "G2" });
        }
        for (trivial, tau) in [(G2Affine::identity(), 0), (self.g2, 1)] {
            if self.tau_g2 == trivial {
                return Err(ProofError::TrivialTau { file: self.file.to_owned(), tau });
            }
        }
        let pairs = self.powers.len().saturating_sub(1);
        let mut stream = self.randomness(b"vouch srs powers 1");
        let factors: Vec<Fr> = (0..pairs)
            .map(|_| {
                let mut bytes = [0u8; 16];
                stream.fill(&mut bytes);
                Fr::from_u128(u128::from_le_bytes(bytes))
            })
            .collect();
        let low = best_multiexp(&factors, &self.powers[..pairs]).to_affine();
        let high = best_multiexp(&factors, &self.powers[1..]).to_affine();
        if Bn256::pairing(&low, &self.tau_g2) == Bn256::pairing(&high, &self.g2) {
            Ok(())
        } else {
            Err(ProofError::InconsistentPowers { file: self.file.to_owned() })
        }
    }

    /// Whether `lagrange` holds the Lagrange form of the powers over halo2's domain.
    ///
    /// A polynomial with random values `r_i` is committed both ways: `sum r_i L_i` must equal
    /// `sum c_j P_j`, where the coefficients `c` are the inverse FFT of `r`. That costs two
    /// multi-exponentiations in place of an FFT over the group, and a wrong point passes with
    /// probability `1/r`.
    pub(super) fn check_lagrange(&self, lagrange: &[G1Affine]) -> Result<(), ProofError> {
        let mut stream = self.randomness(b"vouch srs lagrange 1");
        let values: Vec<Fr> = lagrange
            .iter()
            .map(|_| {
                let mut bytes = [0u8; 64];
                stream.fill(&mut bytes);
                Fr::from_uniform_bytes(&bytes)
            })
            .collect();
        let committed = best_multiexp(&values, lagrange);
        let domain = EvaluationDomain::<Fr>::new(2, self.k.0);
        let coefficients = domain.lagrange_to_coeff(domain.lagrange_from_vec(values));
        if committed == best_multiexp(&coefficients, self.powers) {
            Ok(())
        } else {
            Err(ProofError::BadLagrange { file: self.file.to_owned() })
        }
    }

    fn randomness(&self, context: &[u8]) -> blake3::OutputReader {
        let mut hasher = blake3::Hasher::new();
        hasher.update(context);
        for point in self.powers {
            hasher.update(&point_to_be(point));
        }
        hasher.update(&self.tau_g2.to_raw_bytes());
        hasher.finalize_xof()
    }
}
