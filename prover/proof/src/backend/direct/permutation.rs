//! The permutation argument's products.

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::{BatchInvert, Field, PrimeField};
use halo2_proofs::plonk::{Any, Column};
use rand::RngCore;
use rayon::prelude::*;

use super::Columns;
use crate::fft::powers;

/// Challenges of the argument.
#[derive(Debug, Clone, Copy)]
pub(super) struct Challenges {
    pub(super) beta: Fr,
    pub(super) gamma: Fr,
}

/// What the argument is about.
pub(super) struct Argument<'a> {
    /// Columns under copy constraints.
    pub(super) columns: Vec<Column<Any>>,
    /// Values of the permutation's columns.
    pub(super) sigmas: Vec<&'a [Fr]>,
    /// Columns of a set: as many as the degree has room for.
    pub(super) width: usize,
    pub(super) omega: Fr,
    /// Rows at the end that hold random numbers.
    pub(super) blinding: usize,
}

/// `1, DELTA, DELTA^2, …`: each column has its own coset of the rows.
pub(super) fn cosets(count: usize) -> Vec<Fr> {
    powers(Fr::DELTA, count)
}

impl Argument<'_> {
    /// Values of each set's running product.
    pub(super) fn products(
        &self,
        values: &Columns<'_>,
        challenges: Challenges,
        rng: &mut impl RngCore,
    ) -> Vec<Vec<Fr>> {
        let Challenges { beta, gamma } = challenges;
        let rows = values.rows();
        let row_points = powers(self.omega, rows);
        let deltas = cosets(self.columns.len());
        let sets: Vec<usize> = (0..self.columns.len()).step_by(self.width).collect();
        let mut factors: Vec<Vec<Fr>> = sets
            .par_iter()
            .map(|first| {
                let members = *first..(first + self.width).min(self.columns.len());
                let mut factors = vec![Fr::ONE; rows];
                for member in members.clone() {
                    let cells = values.of(self.columns[member]);
                    for ((factor, cell), sigma) in factors.iter_mut().zip(cells).zip(self.sigmas[member]) {
                        *factor *= *cell + beta * sigma + gamma;
                    }
                }
                factors.iter_mut().batch_invert();
                for member in members {
                    let shift = beta * deltas[member];
                    let cells = values.of(self.columns[member]);
                    for ((factor, cell), point) in factors.iter_mut().zip(cells).zip(&row_points) {
                        *factor *= *cell + shift * point + gamma;
                    }
                }
                factors
            })
            .collect();
        let usable = rows - self.blinding;
        let mut product = Fr::ONE;
        for factors in &mut factors {
            for factor in &mut factors[..usable] {
                product *= std::mem::replace(factor, product);
            }
            // The next set goes on from the last row that is not random.
            product = factors[usable - 1];
            factors[usable..].fill_with(|| Fr::random(&mut *rng));
        }
        factors
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use halo2_proofs::plonk::ConstraintSystem;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn products_go_on_from_set_to_set_and_end_in_random_rows() {
        const ROWS: usize = 16;
        const BLINDING: usize = 4;
        let mut cs = ConstraintSystem::<Fr>::default();
        let columns: Vec<Column<Any>> = (0..3).map(|_| cs.advice_column().into()).collect();
        let omega = (4..Fr::S).fold(Fr::ROOT_OF_UNITY, |root, _| root.square());
        // Each cell is its own copy, but for the first two columns, which are swapped.
        let points = powers(omega, ROWS);
        let coset = |delta: Fr| points.iter().map(|point| delta * point).collect::<Vec<Fr>>();
        let identity: Vec<Vec<Fr>> = cosets(3).into_iter().map(coset).collect();
        let sigmas = vec![identity[1].as_slice(), &identity[0], &identity[2]];
        let same: Vec<Fr> = (0..ROWS as u64).map(Fr::from).collect();
        let other: Vec<Fr> = (0..ROWS as u64).map(|row| Fr::from(row + 1)).collect();
        let challenges = Challenges { beta: Fr::from(3), gamma: Fr::from(7) };
        let products = |second: &[Fr], seed| {
            let values = Columns { advice: vec![&same, second, &other], fixed: vec![], instance: vec![&same] };
            let argument =
                Argument { columns: columns.clone(), sigmas: sigmas.clone(), width: 1, omega, blinding: BLINDING };
            argument.products(&values, challenges, &mut StdRng::seed_from_u64(seed))
        };
        let (one, two) = (products(&same, 1), products(&same, 2));
        let last = ROWS - BLINDING - 1;
        assert_eq!(one.len(), 3);
        assert_eq!(one[0][0], Fr::ONE);
        for set in 0..3 {
            assert_eq!(one[set][..=last], two[set][..=last]);
            if set > 0 {
                assert_eq!(one[set][0], one[set - 1][last]);
            }
        }
        assert_eq!(one[2][last], Fr::ONE, "equal columns may be swapped");
        assert_ne!(products(&other, 1)[2][last], Fr::ONE, "others may not");
        let random: BTreeSet<String> =
            one.iter().chain(&two).flat_map(|set| &set[last + 1..]).map(|cell| format!("{cell:?}")).collect();
        assert_eq!(random.len(), 2 * 3 * BLINDING, "no number twice");
    }
}
