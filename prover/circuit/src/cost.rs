use halo2_proofs::{halo2curves::bn256::Fr, plonk::ConstraintSystem};
use serde::{Deserialize, Serialize};

use crate::shape::Shape;

/// What is counted of a circuit before any key is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Advice columns.
    pub advice_columns: usize,
    /// Fixed columns.
    pub fixed_columns: usize,
    /// Columns in the permutation, the instance column included.
    pub permutation_columns: usize,
    /// Degree of the constraints, which the quotient has one piece less than.
    pub degree: usize,
    /// Lookups in a logical row.
    pub lookups: usize,
    /// Advice cells of the rows that the model uses, of every phase.
    pub cells: usize,
    /// Elements that the layers read and write, and weights: `|X| + |W| + |Y|` summed over layers.
    pub elements: usize,
}

/// Predicted figures; `vouch bench` prints them beside the measured ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Witness to proof on two cores, keys loaded.
    pub prove_seconds: f64,
    /// Peak resident memory of a proving process.
    pub peak_memory_bytes: u64,
    /// Proof length.
    pub proof_bytes: u64,
    /// Gas of a whole verifying transaction.
    pub verify_gas: u64,
    /// Runtime size of the verifier.
    pub runtime_bytes: u64,
}

/// A proof's parts, and what the verifier multiplies: read off the constraint system, so exact.
struct Parts {
    /// Commitments of the proof.
    points: usize,
    /// Evaluations of the proof.
    evaluations: usize,
    /// Commitments that the verifier multiplies: the proof's and the key's.
    commitments: usize,
}

impl Parts {
    fn of(meta: &ConstraintSystem<Fr>) -> Self {
        let permuted = meta.permutation().get_columns().len();
        let products = permuted.div_ceil(meta.degree().saturating_sub(2).max(1));
        let pieces = meta.degree().saturating_sub(1);
        // The random polynomial's, and two of the opening.
        let points = meta.num_advice_columns() + products + pieces + 3;
        let queries = meta.advice_queries().len() + meta.fixed_queries().len();
        Self {
            points,
            evaluations: queries + 1 + permuted + (3 * products).saturating_sub(1),
            commitments: points + meta.num_fixed_columns() + permuted,
        }
    }

    fn proof_bytes(&self) -> usize {
        64 * self.points + 32 * self.evaluations
    }
}

impl Cost {
    pub(crate) fn of(shape: &Shape, meta: &ConstraintSystem<Fr>, cells: usize, elements: usize) -> Self {
        Self {
            advice_columns: meta.num_advice_columns(),
            fixed_columns: meta.num_fixed_columns(),
            permutation_columns: meta.permutation().get_columns().len(),
            degree: meta.degree(),
            lookups: shape.limbs().len(),
            cells,
            elements,
        }
    }

    /// Predicts the figures of a circuit of `2^k` rows with the constraint system `meta`, for a statement of
    /// `instances` words about a model of `parameters` numbers. The proof's length is exact, the gas was fitted to
    /// verifiers of the benchmark models.
    pub(crate) fn predict(
        self,
        model: &CostModel,
        meta: &ConstraintSystem<Fr>,
        (k, parameters): (u32, usize),
        instances: usize,
    ) -> Prediction {
        let parts = Parts::of(meta);
        Prediction {
            prove_seconds: dot(&model.seconds, &self.seconds_of(k)),
            peak_memory_bytes: dot(&model.bytes, &self.bytes_of(k, parameters)) as u64,
            proof_bytes: parts.proof_bytes() as u64,
            verify_gas: 144_800 + (6_886 * parts.commitments + 797 * parts.evaluations + 715 * instances) as u64,
            runtime_bytes: 4_050 + 43 * parts.evaluations as u64,
        }
    }

    /// What the time of a proof is made of: a constant, and microseconds a row for each advice, fixed and permutation
    /// column, and for the quotient and the opening.
    fn seconds_of(&self, k: u32) -> [f64; 5] {
        let micros = f64::from(k).exp2() * 1e-6;
        let [advice, fixed, permuted] = self.columns();
        [1.0, micros * advice, micros * fixed, micros * permuted, micros]
    }

    /// What the memory of a proof is made of: megabytes of the process, and polynomials held at once for each advice,
    /// fixed and permutation column, and for the powers of tau, the layout and the quotient; then bytes a parameter.
    fn bytes_of(&self, k: u32, parameters: usize) -> [f64; 6] {
        let polynomial = f64::from(k).exp2() * 32.0;
        let [advice, fixed, permuted] = self.columns();
        [1e6, polynomial * advice, polynomial * fixed, polynomial * permuted, polynomial, parameters as f64]
    }

    fn columns(&self) -> [f64; 3] {
        [self.advice_columns, self.fixed_columns, self.permutation_columns].map(|columns| columns as f64)
    }
}

/// Coefficients of the planner's predictions of time and memory.
///
/// The defaults were fitted on two cores, to proofs of models from 9 parameters to 11 million.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CostModel {
    /// A constant, in seconds; microseconds a row for each advice column, fixed column and permutation column; and whatever
    /// the columns.
    pub seconds: [f64; 5],
    /// A constant, in megabytes; polynomials for each advice column, fixed column and permutation column; and whatever the
    /// columns; bytes for each parameter.
    pub bytes: [f64; 6],
}

impl Default for CostModel {
    fn default() -> Self {
        Self { seconds: [0.035, 0.77, 0.64, 4.6, 16.7], bytes: [17.3, 3.2, 2.5, 3.15, 45.4, 8.0] }
    }
}

/// A measured proof.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Counts of its circuit.
    pub cost: Cost,
    /// Rows of its circuit, as a power of two.
    pub k: u32,
    /// Numbers of its model.
    pub parameters: usize,
    /// Seconds to prove, keys loaded.
    pub seconds: f64,
    /// Peak memory.
    pub bytes: f64,
}

impl CostModel {
    /// The coefficients, none negative, with the least squared relative errors.
    #[must_use]
    pub fn fit(proofs: &[Measured]) -> Self {
        let seconds: Vec<_> = proofs.iter().map(|p| (p.cost.seconds_of(p.k), p.seconds)).collect();
        let bytes: Vec<_> = proofs.iter().map(|p| (p.cost.bytes_of(p.k, p.parameters), p.bytes)).collect();
        Self { seconds: least_squares(&seconds), bytes: least_squares(&bytes) }
    }
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Least squares of relative errors with coefficients of at least zero, by descent along one coordinate after another.
fn least_squares<const N: usize>(samples: &[([f64; N], f64)]) -> [f64; N] {
    const ROUNDS: usize = 20_000;
    let relative: Vec<[f64; N]> = samples.iter().map(|(terms, value)| terms.map(|term| term / value)).collect();
    let product = |i: usize, j: usize| relative.iter().map(|terms| terms[i] * terms[j]).sum::<f64>();
    let products: [[f64; N]; N] = std::array::from_fn(|i| std::array::from_fn(|j| product(i, j)));
    let wanted: [f64; N] = std::array::from_fn(|i| relative.iter().map(|terms| terms[i]).sum());
    let mut coefficients = [0.0; N];
    for _ in 0..ROUNDS {
        for i in 0..N {
            if products[i][i] > 0.0 {
                let slope = dot(&products[i], &coefficients) - wanted[i];
                coefficients[i] = (coefficients[i] - slope / products[i][i]).max(0.0);
            }
        }
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_finds_the_coefficients_that_made_the_figures() {
        let model = CostModel { seconds: [0.1, 0.5, 0.25, 3.0, 12.0], bytes: [20.0, 3.0, 2.0, 4.0, 40.0, 9.0] };
        let mut proofs = Vec::new();
        for k in [9, 11, 14, 17] {
            for (advice, fixed, permuted) in [(6, 5, 3), (17, 26, 9), (40, 8, 5), (12, 31, 8), (24, 14, 4)] {
                let cost = Cost {
                    advice_columns: advice,
                    fixed_columns: fixed,
                    permutation_columns: permuted,
                    degree: 5,
                    lookups: 4,
                    cells: 0,
                    elements: 0,
                };
                let parameters = (advice * fixed) << (k - 6);
                let (seconds, bytes) =
                    (dot(&model.seconds, &cost.seconds_of(k)), dot(&model.bytes, &cost.bytes_of(k, parameters)));
                proofs.push(Measured { cost, k, parameters, seconds, bytes });
            }
        }
        let fitted = CostModel::fit(&proofs);
        for proof in &proofs {
            let seconds = dot(&fitted.seconds, &proof.cost.seconds_of(proof.k));
            let bytes = dot(&fitted.bytes, &proof.cost.bytes_of(proof.k, proof.parameters));
            assert!((seconds / proof.seconds - 1.0).abs() < 0.01, "{seconds} for {}", proof.seconds);
            assert!((bytes / proof.bytes - 1.0).abs() < 0.01, "{bytes} for {}", proof.bytes);
        }
        assert!(fitted.seconds.into_iter().chain(fitted.bytes).all(|coefficient| coefficient >= 0.0));
    }
}
