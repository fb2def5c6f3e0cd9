use halo2_proofs::{halo2curves::bn256::Fr, plonk::ConstraintSystem};
use serde::{Deserialize, Serialize};

use crate::shape::{Shape, WeightPlacement};

/// What is counted of a circuit before any key is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Advice columns.
    pub advice_columns: usize,
    /// Fixed columns.
    pub fixed_columns: usize,
    /// Columns in the permutation, the instance column included.
    pub permutation_columns: usize,
    /// Lookups in a row.
    pub lookups: usize,
    /// Advice cells that the model assigns in the first phase.
    pub cells: usize,
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
    /// Products of the permutation argument.
    products: usize,
    /// Pieces of the quotient.
    pieces: usize,
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
            products,
            pieces,
        }
    }

    fn proof_bytes(&self) -> usize {
        64 * self.points + 32 * self.evaluations
    }
}

impl Cost {
    pub(crate) fn of(shape: &Shape, cells: usize) -> Self {
        Self {
            advice_columns: shape.advice_columns(),
            fixed_columns: shape.fixed_columns(),
            permutation_columns: shape.permutation_columns(),
            lookups: if shape.has_functions() { 6 } else { 4 },
            cells,
        }
    }

    /// Predicts the figures of a circuit of `2^k` rows with the constraint system `meta` of `shape`, for a statement of
    /// `instances` words about a model of `parameters` numbers. The proof's length is exact. The other coefficients were
    /// fitted to `vouch bench` on two cores, on models from 9 to 400,000 parameters.
    pub(crate) fn predict(
        self,
        shape: &Shape,
        meta: &ConstraintSystem<Fr>,
        k: u32,
        instances: usize,
        parameters: usize,
    ) -> Prediction {
        let rows = f64::from(k).exp2();
        let parts = Parts::of(meta);
        // Commitments to full field elements: the second phase, the permutation products, the quotient, the random
        // polynomial and the opening.
        let second = shape.advice().filter(|column| column.is_second_phase()).count();
        let full = second + parts.products + parts.pieces + 3;
        let small = self.advice_columns - second;
        let public = if shape.weights == WeightPlacement::Public { shape.weight_lanes } else { 0 };
        let extended = self.advice_columns + public + self.permutation_columns + parts.products;
        let micros = 5.1 * full as f64 + 1.5 * small as f64 + 1.4 * extended as f64;
        // A proving key keeps values, coefficients and four extended evaluations of each of its polynomials.
        let polynomials = self.advice_columns * 2 + self.fixed_columns * 6 + self.permutation_columns * 6;
        Prediction {
            prove_seconds: 0.08 + rows * 1e-6 * micros,
            peak_memory_bytes: 16_500_000 + (rows * 32.0 * polynomials as f64) as u64 + 170 * parameters as u64,
            proof_bytes: parts.proof_bytes() as u64,
            verify_gas: 145_000 + 7_650 * parts.commitments as u64 + 730 * instances as u64,
            runtime_bytes: 3_000 + 90 * parts.evaluations as u64,
        }
    }
}
