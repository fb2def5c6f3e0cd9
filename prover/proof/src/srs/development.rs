//! Setups made from a seed, for tests and first steps.

use halo2_proofs::halo2curves::bn256::{Fr, G1, G1Affine, G2Affine};
use halo2_proofs::halo2curves::ff::{BatchInvert, Field, PrimeField};
use halo2_proofs::halo2curves::group::Curve;
use rand::RngCore;
use rayon::prelude::*;

use super::{LogRows, Provenance, Srs};
use crate::error::ProofError;
use crate::fft::powers;

/// What a development setup is derived from: the same seed gives the same tau at every size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevelopmentSeed(pub [u8; 32]);

impl DevelopmentSeed {
    /// The seed that commands and tests use where nobody asks for another.
    pub const DEFAULT: Self = Self(*b"vouch insecure development setup");

    pub(super) fn rng(self) -> SeedStream {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"vouch development tau 1");
        SeedStream(hasher.finalize_xof())
    }
}

/// BLAKE3's extendable output as a random source: it is the same on every platform and version.
pub(super) struct SeedStream(blake3::OutputReader);

impl RngCore for SeedStream {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0u8; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0u8; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.0.fill(dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand::Error> {
        self.0.fill(dest);
        Ok(())
    }
}

impl Srs {
    /// A setup whose tau follows from the seed. It proves nothing to anybody: whoever knows the
    /// seed can forge every proof.
    ///
    /// # Errors
    /// [`ProofError::RowsOutOfRange`] where `k` is not 1 to 28.
    pub fn development(k: LogRows, seed: DevelopmentSeed) -> Result<Self, ProofError> {
        let k = LogRows::new(k.0)?;
        let tau = Fr::random(seed.rng());
        let generator = WindowTable::new(G1Affine::generator());
        Ok(Self::from_parts(
            k,
            generator.multiples(&powers(tau, k.rows())),
            Some(generator.multiples(&lagrange_values(tau, k))),
            (G2Affine::generator() * tau).to_affine(),
            Provenance::Development { seed: format!("0x{}", hex::encode(seed.0)) },
        ))
    }
}

/// `L_i(tau) = w^i (tau^n - 1) / (n (tau - w^i))` over halo2's domain.
fn lagrange_values(tau: Fr, k: LogRows) -> Vec<Fr> {
    let root = (k.0..Fr::S).fold(Fr::ROOT_OF_UNITY, |root, _| root.square());
    let n = Fr::from(k.rows() as u64);
    let points = powers(root, k.rows());
    let mut values: Vec<Fr> = points.iter().map(|point| (tau - point) * n).collect();
    values.iter_mut().batch_invert();
    let vanishing = tau.pow_vartime([k.rows() as u64]) - Fr::ONE;
    values.iter_mut().zip(&points).for_each(|(value, point)| *value *= vanishing * point);
    values
}

const WINDOW_BITS: usize = 8;
const WINDOWS: usize = 256 / WINDOW_BITS;
const DIGITS: usize = (1 << WINDOW_BITS) - 1;

/// Multiples of one point by each digit of each byte: a product is then 32 additions, some twenty
/// times faster than halo2's own setup.
struct WindowTable(Vec<G1Affine>);

impl WindowTable {
    fn new(base: G1Affine) -> Self {
        let mut multiples = Vec::with_capacity(WINDOWS * DIGITS);
        let mut unit = G1::from(base);
        for _ in 0..WINDOWS {
            let mut multiple = unit;
            for _ in 0..DIGITS {
                multiples.push(multiple);
                multiple += unit;
            }
            unit = multiple;
        }
        Self(to_affine(&multiples))
    }

    fn multiples(&self, factors: &[Fr]) -> Vec<G1Affine> {
        factors
            .par_chunks(1024)
            .flat_map_iter(|chunk| {
                let points: Vec<G1> = chunk.iter().map(|factor| self.multiple(*factor)).collect();
                to_affine(&points)
            })
            .collect()
    }

    fn multiple(&self, factor: Fr) -> G1 {
        factor
            .to_repr()
            .iter()
            .zip(self.0.chunks_exact(DIGITS))
            .filter(|(digit, _)| **digit != 0)
            .fold(G1::default(), |sum, (digit, window)| sum + window[usize::from(*digit) - 1])
    }
}

fn to_affine(points: &[G1]) -> Vec<G1Affine> {
    let mut affine = vec![G1Affine::default(); points.len()];
    G1::batch_normalize(points, &mut affine);
    affine
}

#[cfg(test)]
mod tests {
    use halo2_proofs::SerdeFormat;
    use halo2_proofs::halo2curves::bn256::Bn256;
    use halo2_proofs::poly::kzg::commitment::ParamsKZG;

    use super::{DevelopmentSeed, LogRows, Srs};

    #[test]
    fn the_setup_is_halo2s_from_the_same_random_source() {
        for k in [1, 2, 6] {
            let ours = Srs::development(LogRows(k), DevelopmentSeed::DEFAULT).map(|srs| srs.params().clone());
            let theirs = ParamsKZG::<Bn256>::setup(k, DevelopmentSeed::DEFAULT.rng());
            let bytes = |params: &ParamsKZG<Bn256>| {
                let mut bytes = Vec::new();
                params.write_custom(&mut bytes, SerdeFormat::RawBytes).map(|()| bytes).ok()
            };
            assert_eq!(ours.ok().as_ref().and_then(bytes), bytes(&theirs));
            assert!(bytes(&theirs).is_some());
        }
    }
}
