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

/// Permutation columns that share a product: the gate degree less two.
const PERMUTATION_CHUNK: usize = 3;
/// Pieces of the quotient polynomial: the gate degree less one.
const QUOTIENT_PIECES: usize = 4;

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

    /// Columns whose commitments are to full field elements: the second phase, the permutation
    /// products, the quotient and the random polynomial, and the two openings.
    fn full_commitments(self, shape: &Shape) -> usize {
        let second = shape.advice().filter(|column| column.is_second_phase()).count();
        second + self.permutation_columns.div_ceil(PERMUTATION_CHUNK) + QUOTIENT_PIECES + 3
    }

    /// Predicts from the counts, at `2^k` rows. Coefficients were fitted to measurements on two
    /// cores.
    pub(crate) fn predict(self, shape: &Shape, k: u32, instances: usize) -> Prediction {
        let rows = f64::from(1u32 << k);
        let full = self.full_commitments(shape);
        let small = self.advice_columns - shape.advice().filter(|column| column.is_second_phase()).count();
        let products = self.permutation_columns.div_ceil(PERMUTATION_CHUNK);
        let public = if shape.weights == WeightPlacement::Public { shape.weight_lanes } else { 0 };
        let extended = self.advice_columns + public + self.permutation_columns + products;
        let seconds = rows * 1e-6 * (4.0 * full as f64 + 1.2 * small as f64 + 1.1 * extended as f64) + 0.03;
        let polynomials =
            self.advice_columns * 2 + self.fixed_columns * 6 + self.permutation_columns * 6 + full * 2 + 8;
        let points = self.advice_columns + products + 1 + QUOTIENT_PIECES + 2;
        let evaluations = self.advice_columns + self.fixed_columns + 6 + self.permutation_columns + 3 * products;
        let proof_bytes = 64 * points + 32 * evaluations;
        let commitments = points + self.fixed_columns + self.permutation_columns;
        Prediction {
            prove_seconds: seconds,
            peak_memory_bytes: 40_000_000 + (rows * 32.0 * polynomials as f64) as u64,
            proof_bytes: proof_bytes as u64,
            verify_gas: 21_000
                + 113_000
                + 6_300 * commitments as u64
                + 16 * proof_bytes as u64
                + 1_000 * instances as u64
                + 60_000,
            runtime_bytes: 6_000 + 130 * commitments as u64 + 110 * evaluations as u64,
        }
    }
}
