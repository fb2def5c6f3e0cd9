use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::column::{AdviceColumn, FixedColumn};

/// Where the weights and biases of linear layers live.
///
/// Other learned numbers are coefficients of the circuit's rows: the scale and bias of a layer normalisation, the
/// slope of a `PRelu`, a product with or a sum of an initialiser, element by element, that follows no
/// linear layer. They are fixed cells in either placement: bound, and not hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightPlacement {
    /// Advice columns of their own: hidden, and not bound by the verifying key.
    #[default]
    Private,
    /// Fixed columns: bound by the verifying key, and not hidden.
    Public,
}

/// Everything that the constraint system depends on; the verifier depends on nothing else but
/// the key's commitments and `k`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shape {
    /// Weights in a row of the weight unit.
    pub weight_lanes: usize,
    /// Weights are committed as `w + 2^(weight_bits - 1)`: commitments to small non-negative
    /// numbers are several times cheaper than to signed ones.
    pub weight_bits: u32,
    /// Where the weights live.
    pub weights: WeightPlacement,
    /// Fixed columns that the model's rows use; the others' terms are left out of the gates.
    pub fixed: BTreeSet<FixedColumn>,
    /// Constraint left out, to show that a test fails without it.
    #[cfg(test)]
    #[serde(skip)]
    pub(crate) omitted: Option<&'static str>,
}

impl Shape {
    /// Whether any row uses the column.
    #[must_use]
    pub fn has(&self, column: FixedColumn) -> bool {
        self.fixed.contains(&column)
    }

    /// Whether the model interpolates functions.
    #[must_use]
    pub fn has_functions(&self) -> bool {
        self.has(FixedColumn::Function)
    }

    /// Whether the model has linear layers.
    #[must_use]
    pub fn has_linear(&self) -> bool {
        self.weight_lanes > 0
    }

    /// Whether some linear layer has more than one position.
    #[must_use]
    pub fn has_positions(&self) -> bool {
        self.has(FixedColumn::Gather)
    }

    /// Added to a weight before it is committed.
    #[must_use]
    pub fn weight_offset(&self) -> i128 {
        1i128 << (self.weight_bits.max(1) - 1)
    }

    /// Advice columns of the shape, without the weight lanes.
    pub fn advice(&self) -> impl Iterator<Item = AdviceColumn> + '_ {
        AdviceColumn::ALL.into_iter().filter(|column| match column {
            AdviceColumn::X | AdviceColumn::WeightAcc | AdviceColumn::Dot | AdviceColumn::ValueAcc => self.has_linear(),
            AdviceColumn::ValueSum => self.has_positions(),
            _ => true,
        })
    }

    /// Number of advice columns, weight lanes included.
    #[must_use]
    pub fn advice_columns(&self) -> usize {
        self.advice().count() + if self.weights == WeightPlacement::Private { self.weight_lanes } else { 0 }
    }

    /// Number of fixed columns, weight lanes included.
    #[must_use]
    pub fn fixed_columns(&self) -> usize {
        self.fixed.len() + if self.weights == WeightPlacement::Public { self.weight_lanes } else { 0 }
    }

    /// Number of columns in the permutation, the instance column included.
    #[must_use]
    pub fn permutation_columns(&self) -> usize {
        1 + self.advice().filter(|c| c.is_permuted()).count()
    }
}
