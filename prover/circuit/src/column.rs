use serde::{Deserialize, Serialize};

/// Advice columns by what they hold. Those from [`AdviceColumn::X`] on depend on challenges and
/// belong to the second phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(usize)]
pub enum AdviceColumn {
    /// First operand of a row.
    P,
    /// Second operand of a row.
    Q,
    /// Accumulator of a row: a linear and a product term of the operands, and the row before.
    Acc,
    /// The row's value after rescaling.
    Y,
    /// Low byte of the bounded magnitude.
    Abs0,
    /// High byte of the bounded magnitude.
    Abs1,
    /// Low byte of the remainder.
    Rem0,
    /// High byte of the remainder.
    Rem1,
    /// How often each table row is looked up.
    Multiplicity,
    /// Activation that multiplies a weight row: a copied value, or a copied evaluation.
    X,
    /// Evaluation of a weight row at the challenge, by Horner's rule.
    WeightAcc,
    /// Sum of `X * WeightAcc` over the rows of a weight matrix.
    Dot,
    /// Evaluation of a row of values at the challenge, by Horner's rule.
    ValueAcc,
    /// Evaluation of the rows' evaluations at the second challenge.
    ValueSum,
    /// logUp helper of the first three lookups.
    Helper0,
    /// logUp helper of the other lookups.
    Helper1,
    /// logUp running sum.
    Sum,
}

impl AdviceColumn {
    /// Every column, in order of commitment within its phase.
    pub const ALL: [Self; 17] = [
        Self::P,
        Self::Q,
        Self::Acc,
        Self::Y,
        Self::Abs0,
        Self::Abs1,
        Self::Rem0,
        Self::Rem1,
        Self::Multiplicity,
        Self::X,
        Self::WeightAcc,
        Self::Dot,
        Self::ValueAcc,
        Self::ValueSum,
        Self::Helper0,
        Self::Helper1,
        Self::Sum,
    ];

    /// Whether the column depends on challenges.
    #[must_use]
    pub fn is_second_phase(self) -> bool {
        self >= Self::X
    }

    /// Whether copy constraints reach the column.
    #[must_use]
    pub fn is_permuted(self) -> bool {
        matches!(self, Self::P | Self::Q | Self::Acc | Self::Y | Self::X | Self::Dot | Self::ValueAcc | Self::ValueSum)
    }
}

/// Fixed columns: tables, coefficients and selectors. A shape allocates those it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(usize)]
pub enum FixedColumn {
    /// Table: looked-up value.
    TableIn,
    /// Table: value of the function, zero in the range table.
    TableOut,
    /// Table: which function, zero for the range table.
    TableTag,
    /// Rows over which the logUp sum runs.
    Run,
    /// First and last row of the logUp sum.
    Ends,
    /// Coefficient of `p * q`.
    CoefProduct,
    /// Coefficient of `p`.
    CoefP,
    /// Coefficient of `q`.
    CoefQ,
    /// Constant term.
    CoefConst,
    /// Coefficient of the previous row's accumulator.
    CoefPrev,
    /// The accumulator is defined by the coefficients.
    Arith,
    /// The row rescales to a signed value.
    Signed,
    /// The row rescales and clamps below at zero.
    Relu,
    /// The row takes the maximum of its value and `q`.
    Max,
    /// The row interpolates a function.
    Function,
    /// Which function.
    Tag,
    /// The weight row is in use.
    Weight,
    /// The weight row continues the evaluation of the row above.
    WeightContinue,
    /// The evaluation ends here and enters the dot product.
    WeightEnd,
    /// The dot product continues.
    DotContinue,
    /// The row's pre-activation enters the evaluation of values.
    Value,
    /// That evaluation continues.
    ValueContinue,
    /// The row's operands enter the evaluation of a column of activations.
    Gather,
    /// That evaluation continues.
    GatherContinue,
    /// The sum over positions stays.
    PositionKeep,
    /// The sum over positions moves on by one position.
    PositionNext,
    /// The position's evaluation enters the sum over positions.
    PositionAdd,
}

impl FixedColumn {
    /// Every column.
    pub const ALL: [Self; 27] = [
        Self::TableIn,
        Self::TableOut,
        Self::TableTag,
        Self::Run,
        Self::Ends,
        Self::CoefProduct,
        Self::CoefP,
        Self::CoefQ,
        Self::CoefConst,
        Self::CoefPrev,
        Self::Arith,
        Self::Signed,
        Self::Relu,
        Self::Max,
        Self::Function,
        Self::Tag,
        Self::Weight,
        Self::WeightContinue,
        Self::WeightEnd,
        Self::DotContinue,
        Self::Value,
        Self::ValueContinue,
        Self::Gather,
        Self::GatherContinue,
        Self::PositionKeep,
        Self::PositionNext,
        Self::PositionAdd,
    ];
}
