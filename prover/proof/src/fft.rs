//! Fourier transforms over the rows of a circuit.
//!
//! Decimation in time, depth first: a half fits the cache before its other half is touched. Columns are transformed
//! side by side, so only long transforms split.

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field;
use rayon::prelude::*;

/// Halves from this length on are transformed side by side.
const SPLIT: usize = 1 << 13;

/// The `2^k` roots of unity that stand for the rows.
#[derive(Debug)]
pub(crate) struct Domain {
    k: u32,
    /// Of each stage, the powers of its root; a stage's halves have as many elements.
    forward: Vec<Vec<Fr>>,
    inverse: Vec<Vec<Fr>>,
    /// Inverse of the number of rows.
    divisor: Fr,
}

impl Domain {
    /// Roots of unity of order `2^k`, powers of `omega`.
    pub(crate) fn new(k: u32, omega: Fr) -> Self {
        let rows = 1u64 << k;
        // Inverses of non-zero elements: an omega is one.
        let inverse_omega = omega.pow_vartime([rows - 1]);
        let divisor = Fr::from(rows).invert().unwrap_or(Fr::ONE);
        Self { k, forward: stages(k, omega), inverse: stages(k, inverse_omega), divisor }
    }

    /// Number of rows.
    pub(crate) const fn rows(&self) -> usize {
        1 << self.k
    }

    /// Coefficients of the polynomial with these values on the rows.
    pub(crate) fn coefficients(&self, values: &[Fr]) -> Vec<Fr> {
        let mut out = self.permuted(values.iter().map(|value| *value * self.divisor));
        transform(&mut out, &self.inverse);
        out
    }

    /// Values at `shift * omega^i`, from coefficients and the powers of the shift.
    pub(crate) fn on_coset(&self, coefficients: &[Fr], shift_powers: &[Fr]) -> Vec<Fr> {
        let mut out = self.permuted(coefficients.iter().zip(shift_powers).map(|(c, power)| *c * power));
        transform(&mut out, &self.forward);
        out
    }

    /// Elements at the positions with reversed bits, as the transform takes them.
    fn permuted(&self, elements: impl Iterator<Item = Fr>) -> Vec<Fr> {
        let mut out = vec![Fr::ZERO; self.rows()];
        for (at, element) in elements.enumerate() {
            out[reversed(at, self.k)] = element;
        }
        out
    }
}

const fn reversed(at: usize, bits: u32) -> usize {
    if bits == 0 { at } else { at.reverse_bits() >> (usize::BITS - bits) }
}

/// Powers `1, base, …, base^(count - 1)`.
pub(crate) fn powers(base: Fr, count: usize) -> Vec<Fr> {
    const CHUNK: usize = 1 << 12;
    let mut out = vec![Fr::ZERO; count];
    out.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, powers)| {
        let mut power = base.pow_vartime([(chunk * CHUNK) as u64]);
        for out in powers {
            *out = power;
            power *= base;
        }
    });
    out
}

/// Twiddle factors of each stage, shortest first.
fn stages(k: u32, omega: Fr) -> Vec<Vec<Fr>> {
    let longest = powers(omega, (1usize << k) / 2);
    (0..k).map(|stage| longest.iter().step_by(1 << (k - 1 - stage)).copied().collect()).collect()
}

fn transform(values: &mut [Fr], stages: &[Vec<Fr>]) {
    let Some((last, before)) = stages.split_last() else { return };
    let (left, right) = values.split_at_mut(last.len());
    if last.len() >= SPLIT {
        rayon::join(|| transform(left, before), || transform(right, before));
        let chunks =
            left.par_chunks_mut(SPLIT / 2).zip(right.par_chunks_mut(SPLIT / 2)).zip(last.par_chunks(SPLIT / 2));
        chunks.for_each(|((left, right), twiddles)| butterflies(left, right, twiddles));
    } else {
        transform(left, before);
        transform(right, before);
        butterflies(left, right, last);
    }
}

fn butterflies(left: &mut [Fr], right: &mut [Fr], twiddles: &[Fr]) {
    for ((a, b), twiddle) in left.iter_mut().zip(right).zip(twiddles) {
        let product = *b * twiddle;
        *b = *a - product;
        *a += product;
    }
}

#[cfg(test)]
mod tests {
    use halo2_proofs::arithmetic::eval_polynomial;
    use halo2_proofs::halo2curves::ff::PrimeField;

    use super::*;

    fn omega(k: u32) -> Fr {
        (k..Fr::S).fold(Fr::ROOT_OF_UNITY, |root, _| root.square())
    }

    #[test]
    fn coefficients_and_values_are_those_of_one_polynomial() {
        for k in [1, 2, 5, 14] {
            let domain = Domain::new(k, omega(k));
            let values: Vec<Fr> = (0..domain.rows() as u64).map(|i| Fr::from(i * i + 7)).collect();
            let coefficients = domain.coefficients(&values);
            for row in [0, 1, domain.rows() / 2, domain.rows() - 1] {
                let at = omega(k).pow_vartime([row as u64]);
                assert_eq!(eval_polynomial(&coefficients, at), values[row], "k {k}, row {row}");
            }
            let shift = Fr::from(11);
            let coset = domain.on_coset(&coefficients, &powers(shift, domain.rows()));
            for row in [0, 1, domain.rows() - 1] {
                let at = shift * omega(k).pow_vartime([row as u64]);
                assert_eq!(eval_polynomial(&coefficients, at), coset[row], "k {k}, row {row}");
            }
        }
    }
}
