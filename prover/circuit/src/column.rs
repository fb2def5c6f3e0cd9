use serde::{Deserialize, Serialize};

/// Advice columns by what they hold. Those from [`AdviceColumn::WeightAcc`] on depend on challenges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum AdviceColumn {
    /// First operand of a row.
    P,
    /// Second operand of a row.
    Q,
    /// Accumulator of a row: a linear and a product term of the operands, and the row before.
    Acc,
    /// The row's value after rescaling.
    Y,
    /// Bounded magnitude, or its low byte.
    Abs0,
    /// High byte of the bounded magnitude.
    Abs1,
    /// Remainder, or its low byte.
    Rem0,
    /// High byte of the remainder.
    Rem1,
    /// How often each table row is looked up.
    Multiplicity,
    /// Evaluation of a weight row at the challenge, by Horner's rule.
    WeightAcc,
    /// logUp helper of the lookups that the sum has no room for.
    Helper,
    /// logUp running sum.
    Sum,
    /// Factor or summand of the weight unit: a copied value, or a copied evaluation.
    X,
    /// Accumulator of the weight unit.
    Dot,
    /// Evaluation of pre-activations at a challenge, by Horner's rule.
    ValueAcc,
    /// Evaluation of values at a challenge, by Horner's rule.
    Track,
}

impl AdviceColumn {
    /// Every column, in order of commitment.
    pub const ALL: [Self; 16] = [
        Self::P,
        Self::Q,
        Self::Acc,
        Self::Y,
        Self::Abs0,
        Self::Abs1,
        Self::Rem0,
        Self::Rem1,
        Self::Multiplicity,
        Self::WeightAcc,
        Self::Helper,
        Self::Sum,
        Self::X,
        Self::Dot,
        Self::ValueAcc,
        Self::Track,
    ];

    /// Whether the column depends on challenges.
    #[must_use]
    pub fn is_late(self) -> bool {
        self >= Self::WeightAcc
    }

    /// Whether copy constraints reach the column.
    #[must_use]
    pub fn is_permuted(self) -> bool {
        matches!(self, Self::P | Self::Q | Self::Acc | Self::Y | Self::X | Self::Dot | Self::ValueAcc | Self::Track)
    }

    /// Whether the column has a cell on every row of the circuit, however many rows a logical row takes.
    #[must_use]
    pub fn is_full_height(self) -> bool {
        matches!(self, Self::Multiplicity | Self::Helper | Self::Sum)
    }
}

/// Fixed columns: tables, coefficients and selectors. A shape allocates those it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum FixedColumn {
    /// One where a logical row begins, two on the first and on the last, zero elsewhere.
    Base,
    /// Table: looked-up value plus one; zero behind the rows that the logUp sum runs over.
    Table,
    /// Table: value of a function times its tag.
    TableOut,
    /// Table: which function, zero for ranges.
    TableTag,
    /// Which function's point a row looks up, zero for none.
    Tag,
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
    /// `2^(16-b)` where the row bounds a fresh value of `b` bits.
    Input,
    /// The row rescales to a signed value.
    Signed,
    /// The row rescales and clamps below at zero.
    Relu,
    /// The row takes the maximum of its value and `q`.
    Max,
    /// The row interpolates a function.
    Function,
    /// The row's pre-activation enters the evaluation of pre-activations.
    Value,
    /// That evaluation goes on by one output.
    ValueOutput,
    /// That evaluation goes on by one position.
    ValuePosition,
    /// `y` enters it as the coefficient of an exponent that no output stands for.
    Slack,
    /// That evaluation goes on by three positions, of which `p` and `q` are the first two.
    SlackTriple,
    /// The row's value enters the evaluation of values.
    Track,
    /// That evaluation goes on where it was.
    TrackKeep,
    /// That evaluation goes on by one position.
    TrackPosition,
    /// That evaluation goes on by one output.
    TrackOutput,
    /// That evaluation goes on by three positions, of which `p` and `q` are the first two.
    TrackTriple,
    /// The weight row continues the evaluation of the row above.
    WeightContinue,
    /// The evaluation ends here and enters the accumulator, times `x`.
    WeightEnd,
    /// `x` enters the accumulator.
    DotLoad,
    /// The accumulator goes on.
    DotContinue,
    /// The accumulator goes on, times `x`.
    DotScale,
    /// The accumulator goes on by one output.
    DotOutput,
}

impl FixedColumn {
    /// Every column.
    pub const ALL: [Self; 31] = [
        Self::Base,
        Self::Table,
        Self::TableOut,
        Self::TableTag,
        Self::Tag,
        Self::CoefProduct,
        Self::CoefP,
        Self::CoefQ,
        Self::CoefConst,
        Self::CoefPrev,
        Self::Input,
        Self::Signed,
        Self::Relu,
        Self::Max,
        Self::Function,
        Self::Value,
        Self::ValueOutput,
        Self::ValuePosition,
        Self::Slack,
        Self::SlackTriple,
        Self::Track,
        Self::TrackKeep,
        Self::TrackPosition,
        Self::TrackOutput,
        Self::TrackTriple,
        Self::WeightContinue,
        Self::WeightEnd,
        Self::DotLoad,
        Self::DotContinue,
        Self::DotScale,
        Self::DotOutput,
    ];

    /// Whether the column has a cell of its own on every row of the circuit.
    #[must_use]
    pub fn is_full_height(self) -> bool {
        self <= Self::Tag
    }
}
