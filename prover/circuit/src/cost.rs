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
    /// `instances` words about a model of `parameters` numbers. The proof's length is exact. The other coefficients were
    /// fitted to `vouch bench --plans` on two cores, on models from 9 parameters to 11 million.
    pub(crate) fn predict(
        self,
        meta: &ConstraintSystem<Fr>,
        k: u32,
        instances: usize,
        parameters: usize,
    ) -> Prediction {
        let rows = f64::from(k).exp2();
        let parts = Parts::of(meta);
        let (advice, fixed) = (self.advice_columns as f64, self.fixed_columns as f64);
        let permuted = self.permutation_columns as f64;
        // Commitments and transforms of each column, and those of the quotient and the opening.
        let micros = 0.77 * advice + 0.64 * fixed + 4.6 * permuted + 16.7;
        // Polynomials that are held at once: of each column values, coefficients and values on a coset; the powers of
        // tau, the layout and the quotient.
        let polynomials = 3.2 * advice + 2.5 * fixed + 3.15 * permuted + 45.4;
        Prediction {
            prove_seconds: 0.035 + rows * 1e-6 * micros,
            peak_memory_bytes: 17_300_000 + (rows * 32.0 * polynomials) as u64 + 8 * parameters as u64,
            proof_bytes: parts.proof_bytes() as u64,
            verify_gas: 140_400 + (6_886 * parts.commitments + 797 * parts.evaluations + 715 * instances) as u64,
            runtime_bytes: 3_310 + 90 * parts.evaluations as u64,
        }
    }
}
