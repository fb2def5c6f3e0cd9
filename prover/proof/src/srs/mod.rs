//! Powers of tau: the setup that every proof's worth rests on.
//!
//! [`Srs`] holds `G1, tau*G1, ..., tau^(n-1)*G1` for `n = 2^k`, their Lagrange form, `G2` and
//! `tau*G2`, together with where they came from. Whoever knows `tau` can prove anything, so files
//! from a public ceremony are checked against the ceremony's published digests, and setups made
//! from a seed are marked INSECURE wherever they appear.
//!
//! The digest of a setup is BLAKE3 over `vouch srs 1`, `k` (32 bits, big-endian), the `n` powers in
//! G1 (`x || y`, 32 bytes big-endian each), then `G2` and `tau*G2` (`x.c0, x.c1, y.c0, y.c1`, 32
//! bytes big-endian each). The Lagrange form follows from the powers and is not hashed.

mod ceremony;
mod checks;
mod development;
mod file;
mod ptau;
mod raw;

use std::fmt;
use std::sync::Arc;

use halo2_proofs::arithmetic::g_to_lagrange;
use halo2_proofs::halo2curves::bn256::{Bn256, Fq, Fq2, G1, G1Affine, G2Affine};
use halo2_proofs::halo2curves::ff::PrimeField;
use halo2_proofs::poly::commitment::{Params, ParamsProver};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use serde::{Deserialize, Serialize};

pub use checks::PointProblem;
pub use development::DevelopmentSeed;

use crate::digest::{SrsDigest, hex_to_word};
use crate::error::ProofError;
use crate::transcript::point_to_be;

/// Word that marks everything made from a setup whose tau is known.
pub const INSECURE: &str = "INSECURE";

/// log2 of a number of rows, and of the number of powers that circuits of so many rows need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogRows(pub u32);

impl LogRows {
    /// The scalar field's two-adicity bounds the domain.
    pub const MAX: Self = Self(28);

    /// Number of rows.
    #[must_use]
    pub const fn rows(self) -> usize {
        1 << self.0
    }

    /// Accepts 1 to 28.
    ///
    /// # Errors
    /// [`ProofError::RowsOutOfRange`] otherwise.
    pub fn new(k: u32) -> Result<Self, ProofError> {
        if (1..=Self::MAX.0).contains(&k) { Ok(Self(k)) } else { Err(ProofError::RowsOutOfRange { k }) }
    }
}

impl fmt::Display for LogRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "2^{}", self.0)
    }
}

/// Where a setup came from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Provenance {
    /// Made here from a seed: tau is known to everyone.
    Development {
        /// The seed, `0x` and 64 hexadecimal digits.
        seed: String,
    },
    /// From a public ceremony: `tau*G2` is the ceremony's, and the powers match it.
    Ceremony {
        /// The ceremony.
        name: String,
    },
    /// From a file that belongs to no ceremony known here. Who made it may know tau.
    Unknown {
        /// BLAKE2b-512 of the file, hexadecimal.
        blake2b: String,
    },
}

impl Provenance {
    /// Whether tau is known, so that proofs prove nothing.
    #[must_use]
    pub const fn is_insecure(&self) -> bool {
        matches!(self, Self::Development { .. })
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Development { seed } => write!(f, "{INSECURE} development setup, seed {seed}"),
            Self::Ceremony { name } => write!(f, "{name}"),
            Self::Unknown { blake2b } => {
                write!(f, "file of an unknown setup, BLAKE2b {blake2b}")
            }
        }
    }
}

impl fmt::Debug for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provenance({self})")
    }
}

/// Which files an import accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Those of a public ceremony known here; others are refused by name.
    KnownCeremonies,
    /// Any file whose powers hold together. The result is marked [`Provenance::Unknown`].
    AnySetup,
}

/// Powers of tau with their digest and origin.
#[derive(Clone)]
pub struct Srs {
    params: ParamsKZG<Bn256>,
    /// The powers' Lagrange form, which halo2 keeps to itself.
    lagrange: Arc<[G1Affine]>,
    digest: SrsDigest,
    provenance: Provenance,
}

impl fmt::Debug for Srs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Srs")
            .field("k", &self.k().0)
            .field("digest", &self.digest)
            .field("provenance", &self.provenance)
            .finish_non_exhaustive()
    }
}

impl Srs {
    /// The Lagrange form is computed where it is not given.
    fn from_parts(
        k: LogRows,
        powers: Vec<G1Affine>,
        lagrange: Option<Vec<G1Affine>>,
        tau_g2: G2Affine,
        provenance: Provenance,
    ) -> Self {
        let lagrange = lagrange.unwrap_or_else(|| g_to_lagrange(powers.iter().map(G1::from).collect(), k.0));
        let shared = lagrange.as_slice().into();
        let params = assemble(k, powers, lagrange, tau_g2);
        let digest = digest_of(params.k(), params.get_g(), &params.g2(), &params.s_g2());
        Self { params, lagrange: shared, digest, provenance }
    }

    /// Commitments to the polynomials that are one on a row and zero on the others.
    pub(crate) fn lagrange(&self) -> &[G1Affine] {
        &self.lagrange
    }

    /// halo2's view of the setup.
    #[must_use]
    pub const fn params(&self) -> &ParamsKZG<Bn256> {
        &self.params
    }

    /// log2 of the number of powers.
    #[must_use]
    pub fn k(&self) -> LogRows {
        LogRows(self.params.k())
    }

    /// Digest of the powers at this size.
    #[must_use]
    pub const fn digest(&self) -> SrsDigest {
        self.digest
    }

    /// Where the setup came from.
    #[must_use]
    pub const fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// `tau*G2`, the one point of the setup that a verifier needs beside the generators.
    #[must_use]
    pub fn verify_g2(&self) -> G2Affine {
        self.params.s_g2()
    }

    /// The same setup cut to `2^k` powers, with the Lagrange form of that size.
    ///
    /// The digest changes with the size; `tau*G2` and the origin stay.
    ///
    /// # Errors
    /// [`ProofError::TooFewPowers`] where the setup is smaller than asked for.
    pub fn downsize(&self, k: LogRows) -> Result<Self, ProofError> {
        let k = LogRows::new(k.0)?;
        if k > self.k() {
            return Err(ProofError::TooFewPowers { have: self.k(), want: k });
        }
        if k == self.k() {
            return Ok(self.clone());
        }
        // With tau at hand the Lagrange form needs no FFT over the group, which takes long.
        if let Provenance::Development { seed } = &self.provenance {
            let seed = DevelopmentSeed(hex_to_word(seed, "the development setup's seed")?);
            let smaller = Self::development(k, seed)?;
            if smaller.verify_g2() == self.verify_g2() {
                return Ok(smaller);
            }
        }
        let powers = self.params.get_g()[..k.rows()].to_vec();
        Ok(Self::from_parts(k, powers, None, self.params.s_g2(), self.provenance.clone()))
    }
}

/// halo2's parameters from their parts.
fn assemble(k: LogRows, powers: Vec<G1Affine>, lagrange: Vec<G1Affine>, tau_g2: G2Affine) -> ParamsKZG<Bn256> {
    // The constructor is a method: any instance will do to call it on.
    ParamsKZG::<Bn256>::setup(1, DevelopmentSeed([0; 32]).rng()).from_parts(
        k.0,
        powers,
        Some(lagrange),
        G2Affine::generator(),
        tau_g2,
    )
}

/// What a verifier needs of a setup: enough of halo2's parameters to check openings, no more.
pub(crate) fn verifier_params(k: LogRows, tau_g2: G2Affine) -> ParamsKZG<Bn256> {
    assemble(k, vec![G1Affine::generator()], Vec::new(), tau_g2)
}

fn digest_of(k: u32, powers: &[G1Affine], g2: &G2Affine, tau_g2: &G2Affine) -> SrsDigest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"vouch srs 1");
    hasher.update(&k.to_be_bytes());
    for point in powers {
        hasher.update(&point_to_be(point));
    }
    for point in [g2, tau_g2] {
        for coordinate in g2_coordinates(point) {
            let mut bytes = coordinate.to_repr();
            bytes.reverse();
            hasher.update(&bytes);
        }
    }
    SrsDigest(*hasher.finalize().as_bytes())
}

fn g2_coordinates(point: &G2Affine) -> [Fq; 4] {
    let split = |value: Fq2| [value.c0, value.c1];
    let ([a, b], [c, d]) = (split(point.x), split(point.y));
    [a, b, c, d]
}
