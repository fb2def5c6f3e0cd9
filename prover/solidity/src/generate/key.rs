//! What a program takes from the verifying key: constants of a single verifier, words of a key that a shared one loads.

use halo2_proofs::halo2curves::bn256::{Fr, G1Affine};
use halo2_proofs::halo2curves::ff::{Field, PrimeField};
use halo2_proofs::plonk::VerifyingKey;

use super::VerifierParams;
use super::shape::Shape;
use crate::error::{Error, Result};
use crate::word;

/// A word of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyWord {
    /// Hash of the source of the verifier that the key is for.
    Verifier,
    /// Digest of the verifying key.
    Digest,
    /// Digest of the powers of tau.
    Srs,
    /// Number of instances, shifted by 8 bits, and log2 of the number of rows.
    Size,
    /// `1/n`, with `n` the number of rows.
    RowsInverse,
    /// `omega^rotation`.
    Root(i32),
    /// `1 / product of (omega^a - omega^b)` over the other rotations `b` of a rotation set, with `a` the rotation at
    /// the position: a coefficient of the Lagrange basis over the set's points.
    Weight { set: usize, position: usize },
}

/// A commitment of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyPoint {
    Fixed(usize),
    /// By the position in the permutation argument.
    Sigma(usize),
}

/// The words of a shape's keys in their order; the commitments of fixed columns and of permutation polynomials follow,
/// two words each.
#[derive(Clone, Debug)]
pub(crate) struct KeyLayout {
    pub(crate) words: Vec<KeyWord>,
    fixed: usize,
    sigma: usize,
}

impl KeyLayout {
    pub(crate) fn new(shape: &Shape<'_>) -> Self {
        use KeyWord as W;
        let roots = [W::Root(1), W::Root(-1), W::Root(shape.last_rotation())];
        let mut words = vec![W::Verifier, W::Digest, W::Srs, W::Size, W::RowsInverse];
        words.extend(roots);
        for (set, rotations) in shape.rotation_sets().iter().map(|set| set.rotations.len()).enumerate() {
            // The basis over one point is one.
            words.extend((0..rotations).filter(|_| rotations > 1).map(|position| W::Weight { set, position }));
        }
        KeyLayout { words, fixed: shape.cs.num_fixed_columns(), sigma: shape.permutation.len() }
    }

    /// Length of a key in bytes.
    pub(crate) fn bytes(&self) -> usize {
        32 * (self.words.len() + 2 * (self.fixed + self.sigma))
    }

    /// Where a word starts, in bytes.
    pub(crate) fn word(&self, word: KeyWord) -> Option<usize> {
        self.words.iter().position(|w| *w == word).map(|i| 32 * i)
    }

    /// Where a commitment starts, in bytes.
    pub(crate) fn point(&self, point: KeyPoint) -> usize {
        let index = match point {
            KeyPoint::Fixed(column) => column,
            KeyPoint::Sigma(position) => self.fixed + position,
        };
        32 * (self.words.len() + 2 * index)
    }
}

/// The values behind the words of a key.
pub(crate) struct KeyValues<'a> {
    shape: &'a Shape<'a>,
    params: &'a VerifierParams,
    pub(crate) k: u32,
    omega: Fr,
    omega_inv: Fr,
    fixed: &'a [G1Affine],
    sigma: &'a [G1Affine],
}

impl<'a> KeyValues<'a> {
    /// Reads a key and refuses one that does not fit its constraint system.
    pub(crate) fn new(
        shape: &'a Shape<'a>,
        vk: &'a VerifyingKey<G1Affine>,
        params: &'a VerifierParams,
    ) -> Result<Self> {
        let domain = vk.get_domain();
        let degree = domain.get_quotient_poly_degree() + 1;
        if degree != shape.pieces + 1 {
            let system = shape.cs.degree();
            return Err(Error::DegreeMismatch { key: degree, gates: system, system });
        }
        let count = |kind, got, want| {
            if got == want { Ok(()) } else { Err(Error::CommitmentCount { kind, got, want }) }
        };
        let (fixed, sigma) = (vk.fixed_commitments().as_slice(), vk.permutation().commitments().as_slice());
        count("fixed", fixed.len(), shape.cs.num_fixed_columns())?;
        count("permutation", sigma.len(), shape.permutation.len())?;
        let (k, rows) = (domain.k(), 1u64 << domain.k());
        let usable = (rows as usize).saturating_sub(shape.blinding + 1);
        if params.instances > usable {
            return Err(Error::TooManyInstances { got: params.instances, usable });
        }
        // Congruent rotations are one point of the opening argument with two names: halo2 would
        // see two queries where there is one evaluation.
        let rotations = shape.rotations();
        for (i, first) in rotations.iter().enumerate() {
            for second in &rotations[i + 1..] {
                if (i64::from(*first) - i64::from(*second)).rem_euclid(rows as i64) == 0 {
                    return Err(Error::RotationsCoincide { first: *first, second: *second, rows });
                }
            }
        }
        let (omega, omega_inv) = (domain.get_omega(), domain.get_omega_inv());
        Ok(KeyValues { shape, params, k, omega, omega_inv, fixed, sigma })
    }

    /// Number of instances.
    pub(crate) fn instances(&self) -> usize {
        self.params.instances
    }

    /// Digest of the verifying key.
    pub(crate) fn digest(&self) -> &[u8; 32] {
        &self.params.vk_digest
    }

    fn root(&self, rotation: i32) -> Fr {
        let base = if rotation < 0 { self.omega_inv } else { self.omega };
        base.pow_vartime([u64::from(rotation.unsigned_abs())])
    }

    fn weight(&self, set: usize, position: usize) -> Fr {
        let sets = self.shape.rotation_sets();
        let rotations = &sets[set].rotations;
        let own = self.root(rotations[position]);
        let others = rotations.iter().filter(|rotation| **rotation != rotations[position]);
        let denominator: Fr = others.map(|rotation| own - self.root(*rotation)).product();
        // Rotations differ modulo the number of rows, so this is never zero.
        denominator.invert().unwrap_or(Fr::ZERO)
    }

    /// A word that is a scalar.
    pub(crate) fn scalar(&self, word: KeyWord) -> Option<Fr> {
        match word {
            KeyWord::RowsInverse => Some(Fr::TWO_INV.pow_vartime([u64::from(self.k)])),
            KeyWord::Root(rotation) => Some(self.root(rotation)),
            KeyWord::Weight { set, position } => Some(self.weight(set, position)),
            KeyWord::Verifier | KeyWord::Digest | KeyWord::Srs | KeyWord::Size => None,
        }
    }

    pub(crate) fn point(&self, point: KeyPoint) -> &G1Affine {
        match point {
            KeyPoint::Fixed(column) => &self.fixed[column],
            KeyPoint::Sigma(position) => &self.sigma[position],
        }
    }

    /// The key for the verifier whose source has this hash.
    pub(crate) fn bytes(&self, verifier: [u8; 32]) -> Vec<u8> {
        let layout = KeyLayout::new(self.shape);
        let mut bytes = Vec::with_capacity(layout.bytes());
        for word in &layout.words {
            bytes.extend(match *word {
                KeyWord::Verifier => verifier,
                KeyWord::Digest => self.params.vk_digest,
                KeyWord::Srs => self.params.srs_digest,
                KeyWord::Size => {
                    let size = ((self.params.instances as u128) << 8) | u128::from(self.k);
                    let mut word = [0; 32];
                    word[16..].copy_from_slice(&size.to_be_bytes());
                    word
                }
                scalar => word::scalar_bytes(&self.scalar(scalar).unwrap_or(Fr::ZERO)),
            });
        }
        for point in self.fixed.iter().chain(self.sigma) {
            bytes.extend(word::coordinate_bytes(&point.x));
            bytes.extend(word::coordinate_bytes(&point.y));
        }
        bytes
    }
}
