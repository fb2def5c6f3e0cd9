use std::fmt;

use halo2_proofs::{halo2curves::bn256::Fr, plonk::ConstraintSystem};
use serde::{Deserialize, Serialize};

use crate::{
    column::{AdviceColumn, FixedColumn},
    config::VouchConfig,
    family::{GateSet, WEIGHT_BITS},
};

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
///
/// A **logical row** has one cell of each column that the model uses. It takes [`Shape::height`] rows of the
/// circuit, and as many columns share one: few columns make a cheap verifier, few rows a fast prover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Rows of the circuit that a logical row takes: 1, 2 or 4.
    pub height: usize,
    /// Bits of a looked-up limb: 8 or 16.
    pub limb_bits: u32,
    /// Weights in a logical row of the weight unit.
    pub weight_lanes: usize,
    /// Weights are committed as `w + 2^(weight_bits - 1)`: commitments to small non-negative
    /// numbers are several times cheaper than to signed ones.
    pub weight_bits: u32,
    /// Where the weights live.
    pub weights: WeightPlacement,
    /// The gates, and so the fixed columns; terms of the others are left out.
    pub gates: GateSet,
    /// Constraint left out, to show that a test fails without it.
    #[cfg(test)]
    #[serde(skip)]
    pub(crate) omitted: Option<&'static str>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            height: 1,
            limb_bits: 8,
            weight_lanes: 1,
            weight_bits: WEIGHT_BITS[0],
            weights: WeightPlacement::default(),
            gates: GateSet::default(),
            #[cfg(test)]
            omitted: None,
        }
    }
}

impl Shape {
    /// Whether the shape has the column.
    #[must_use]
    pub fn has(&self, column: FixedColumn) -> bool {
        self.gates.has(column)
    }

    /// The fixed columns that it has.
    pub fn fixed(&self) -> impl Iterator<Item = FixedColumn> + '_ {
        FixedColumn::ALL.into_iter().filter(|column| self.has(*column))
    }

    /// Whether rows may interpolate functions.
    #[must_use]
    pub fn has_functions(&self) -> bool {
        self.has(FixedColumn::Function)
    }

    /// Whether the model has linear layers or products of matrices.
    #[must_use]
    pub fn has_linear(&self) -> bool {
        self.has(FixedColumn::Value)
    }

    /// Whether some row multiplies by the challenge of positions.
    #[must_use]
    pub fn has_positions(&self) -> bool {
        use FixedColumn as F;
        [F::ValuePosition, F::SlackTriple, F::TrackPosition, F::TrackTriple].into_iter().any(|column| self.has(column))
    }

    /// Whether values are evaluated at a challenge on the rows that compute them.
    #[must_use]
    pub fn has_tracks(&self) -> bool {
        self.has(FixedColumn::Track)
    }

    /// Added to a weight before it is committed.
    #[must_use]
    pub fn weight_offset(&self) -> i128 {
        1i128 << (self.weight_bits.max(1) - 1)
    }

    /// Columns that hold a value row's looked-up limbs.
    pub(crate) fn limbs(&self) -> Vec<AdviceColumn> {
        use AdviceColumn as A;
        if self.limb_bits == 16 { vec![A::Abs0, A::Rem0] } else { vec![A::Abs0, A::Abs1, A::Rem0, A::Rem1] }
    }

    /// Number of columns of looked-up limbs.
    pub(crate) fn limb_columns(&self) -> usize {
        self.limbs().len().div_ceil(self.height)
    }

    /// Advice columns of the shape, without the weight lanes, in groups of which `height` share a circuit column.
    pub(crate) fn groups(&self) -> Vec<Vec<AdviceColumn>> {
        use AdviceColumn as A;
        let mut groups = vec![vec![A::P, A::Q, A::Acc, A::Y], self.limbs(), vec![A::Multiplicity]];
        if self.has_linear() {
            let mut evaluations = vec![A::X, A::Dot, A::ValueAcc];
            if self.has_tracks() {
                evaluations.push(A::Track);
            }
            evaluations.push(A::WeightAcc);
            groups.push(evaluations);
        }
        if crate::gadget::lookup::needs_helper(self) {
            groups.push(vec![A::Helper]);
        }
        groups.push(vec![A::Sum]);
        groups
    }

    /// Advice columns by what they hold, without the weight lanes.
    pub fn advice(&self) -> impl Iterator<Item = AdviceColumn> + '_ {
        let mut columns: Vec<_> = self.groups().into_iter().flatten().collect();
        columns.sort();
        columns.into_iter()
    }

    /// Fixed columns of which `height` share a circuit column.
    pub(crate) fn folded_fixed(&self) -> Vec<FixedColumn> {
        self.fixed().filter(|column| !column.is_full_height()).collect()
    }

    /// Number of circuit columns of weights.
    #[must_use]
    pub fn lane_columns(&self) -> usize {
        self.weight_lanes.div_ceil(self.height)
    }

    /// The columns, gates and arguments of its circuits.
    #[must_use]
    pub fn constraint_system(&self) -> ConstraintSystem<Fr> {
        let mut meta = ConstraintSystem::default();
        VouchConfig::configure(&mut meta, self.clone());
        meta
    }

    /// Logical rows of a circuit with so many usable rows: the last of them ends the logUp sum.
    #[must_use]
    pub fn logical_rows(&self, usable: usize) -> usize {
        usable / self.height
    }
}

impl fmt::Display for Shape {
    /// The shape's name: all that it is made of.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gates, height, limb_bits, weight_lanes, weight_bits, weights, .. } = self;
        let placement = match weights {
            WeightPlacement::Private => "private",
            WeightPlacement::Public => "public",
        };
        write!(f, "{gates}-h{height}-l{limb_bits}-{weight_lanes}x{weight_bits}-{placement}")
    }
}
