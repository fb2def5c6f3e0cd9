use serde::{Deserialize, Serialize};

use super::{LinearShape, TensorId};

/// Bits of a function table's segment: the low bits of the input that are interpolated over.
pub const SEGMENT_BITS: u32 = 8;

/// Points of a function table: one for each segment of a 16-bit input, and the end.
pub const INTERPOLATION_POINTS: usize = 257;

/// What happens to an accumulator after the shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RescaleKind {
    /// The accumulator itself; only with shift 0. Not range-checked: the interval analysis bounds it.
    Exact,
    /// Rounded; must lie in `[-2^15, 2^15)`, otherwise the input has no proof.
    Signed,
    /// Rounded, then `max(0, .)`; the rounded value must lie in `(-2^16, 2^16)`.
    Relu,
}

/// Division of an accumulator by `2^shift`, rounding half up, and what follows it.
///
/// `v = floor((acc + 2^(shift-1)) / 2^shift)`, or `acc` where `shift = 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rescale {
    /// Right shift, at most [`super::MAX_SHIFT`].
    pub shift: u32,
    /// What follows.
    pub kind: RescaleKind,
}

impl Rescale {
    /// The accumulator as it is.
    pub const EXACT: Self = Self { shift: 0, kind: RescaleKind::Exact };
}

/// A condition that one value meets or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It is zero or positive.
    NonNegative,
    /// It is zero.
    Zero,
}

impl Condition {
    /// Whether `x` meets the condition.
    #[must_use]
    pub fn holds<T: PartialOrd + Default + Copy>(self, x: T) -> bool {
        let zero = T::default();
        match self {
            Self::NonNegative => x >= zero,
            Self::Zero => x == zero,
        }
    }
}

/// One element of a [`IntOp::View`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Source {
    /// Element `1` of the node's input number `0`.
    Element(u32, u32),
    /// A constant of the model's structure (padding, a clip bound): part of the verifying key.
    Constant(i64),
}

/// An operation; the tensors it reads are the node's inputs, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum IntOp {
    /// `Y[p, o] = rescale(sum_l X[index(p, l)] * W[l, o] + b[o])`; output shape
    /// `[positions, width]`, row-major. The rescale is never `Exact`.
    Linear {
        /// Where `X` is read.
        shape: LinearShape,
        /// Columns of `W`, the number of outputs a position has.
        width: usize,
        /// `W`, `[inner, width]` row-major: an index into the graph's parameters.
        weight: usize,
        /// `b`, `[width]`, at the accumulator's exponent.
        bias: Option<usize>,
        /// From accumulator to output.
        rescale: Rescale,
    },
    /// `Y = rescale(ca * A + cb * B + c)`, element by element over equal shapes.
    Add {
        /// Coefficient of the first input.
        ca: i64,
        /// Coefficient of the second input.
        cb: i64,
        /// Constant.
        c: i64,
        /// From accumulator to output.
        rescale: Rescale,
    },
    /// `Y = rescale(c * A * B)`, element by element over equal shapes.
    Mul {
        /// Coefficient.
        c: i64,
        /// From accumulator to output.
        rescale: Rescale,
    },
    /// `Y[i] = rescale(scale[i] * A[i] + offset[i])`; one element of `scale` and `offset` for the
    /// whole tensor, or one for each element. They are structure, not weights.
    Affine {
        /// Factors: one, or one for each element.
        scale: Vec<i64>,
        /// Offsets: one, or one for each element.
        offset: Vec<i64>,
        /// From accumulator to output.
        rescale: Rescale,
    },
    /// `Y[i] = rescale(c * sum_j A[i * group + j])`.
    Sum {
        /// Elements summed into one.
        group: usize,
        /// Coefficient.
        c: i64,
        /// From accumulator to output.
        rescale: Rescale,
    },
    /// `Y[i, j] = rescale(sum_l A[i, l] * B[l, j])`, both operands computed, `A` `[rows, inner]`,
    /// `B` `[inner, cols]`.
    MatMul {
        /// Rows of `A`.
        rows: usize,
        /// Columns of `A`.
        inner: usize,
        /// Columns of `B`.
        cols: usize,
        /// From accumulator to output.
        rescale: Rescale,
    },
    /// `Y[i] = max_j A[i * group + j]`; any two elements of a group differ by less than `2^16`, and in a
    /// valid graph any two values of `A`'s range do.
    Max {
        /// Elements compared for one output.
        group: usize,
    },
    /// `Y = rescale(interpolate(A))` for `A` in `[-2^15, 2^15)`: with `A + 2^15 = hi * 2^8 + lo`,
    /// `interpolate = table[hi] * 2^8 + (table[hi + 1] - table[hi]) * lo`.
    Function {
        /// Name of the function, for messages and for sharing tables.
        name: String,
        /// [`INTERPOLATION_POINTS`] values of at most 20 bits.
        table: Vec<i64>,
        /// From accumulator to output; never `Exact`.
        rescale: Rescale,
    },
    /// `Y = floor((A * 2^(shift + 1) + B) / (2 * B))`, that is `A * 2^shift / B` rounded half up,
    /// for `0 < B < 2^30` and `-2^15 <= Y < 2^15`. In a valid graph the ranges say that `B < 2^30`; where
    /// they say that `0 <= A`, `0 <= Y`.
    Div {
        /// Left shift of the numerator.
        shift: u32,
    },
    /// `Y = floor(sqrt(A * 2^shift))` for `0 <= A`, and `Y < 2^15`.
    Sqrt {
        /// Left shift of the radicand.
        shift: u32,
    },
    /// 1 where the condition holds for `A`, 0 elsewhere. In a valid graph the range says that `|A| < 2^16`.
    Indicator {
        /// The condition.
        condition: Condition,
    },
    /// `Y = A * B + (1 - A) * C`. In a valid graph the range says that `A` is 0 or 1.
    Select,
    /// `Y[i]` is an element of an input, or a constant: reshape, transpose, slice, concatenation,
    /// padding and broadcast. Costs nothing in the circuit.
    View {
        /// One for each element of the output.
        sources: Vec<Source>,
    },
}

/// An operation, the tensors it reads and the one it defines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntNode {
    /// Name of the ONNX node it comes from.
    pub name: String,
    /// The operation.
    pub op: IntOp,
    /// Tensors read.
    pub inputs: Vec<TensorId>,
    /// Tensor defined.
    pub output: TensorId,
}
