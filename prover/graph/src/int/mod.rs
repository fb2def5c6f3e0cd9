//! The integer graph: what the circuit proves, operation by operation.
//!
//! Every tensor is a row-major array of integers `q` that stand for the reals `q * 2^-e`, with one
//! exponent `e` a tensor. Operations are few, because each is a gadget of the circuit; the ONNX
//! operators are programs over them.

mod file;
mod interval;
mod linear;
mod op;
mod packing;
mod tensor;
mod validate;

pub use file::{FORMAT, VERSION};
pub use interval::{ACCUMULATOR_BITS, DENOMINATOR, OpRange, TENSOR_BITS};
pub(crate) use interval::{BIT, QUOTIENT, one_or_each};
pub use linear::{Conv2d, LinearShape};
pub use op::{Condition, INTERPOLATION_POINTS, IntNode, IntOp, Rescale, RescaleKind, SEGMENT_BITS, Source};
pub use packing::{Packing, PackingError, WORD_BITS, Word};
pub(crate) use tensor::power_of_two;
pub use tensor::{IntTensor, Interval, ScaleExp, TensorId, Visibility};

use serde::{Deserialize, Serialize};

/// Bits of a range-checked activation: signed values lie in `[-2^15, 2^15)`, those behind a ReLU
/// in `[0, 2^16)`.
pub const VALUE_BITS: u32 = 16;

/// Largest right shift of a [`Rescale`].
pub const MAX_SHIFT: u32 = 16;

/// A constant tensor of the model: a weight matrix or a bias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// Name in the ONNX file, for messages.
    pub name: String,
    /// Row-major integers.
    pub values: Vec<i64>,
    /// Exponent of the integers.
    pub exponent: ScaleExp,
}

/// A model input or output as the statement sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The tensor.
    pub tensor: TensorId,
    /// Whether its values are instances of the proof.
    pub visibility: Visibility,
    /// How its values share instance words.
    pub packing: Packing,
    /// Where the port takes minus infinity, as masks have it: values at or below this stand for it, and it is brought
    /// to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minus_infinity: Option<i64>,
}

/// Bits of an integer input's value; eight of them fill a storage slot of the feature ring.
pub const INTEGER_INPUT_BITS: u32 = 24;

/// How the values of integer inputs share instance words: the feature ring's storage slot.
pub const INTEGER_PACKING: Packing = Packing { bits: INTEGER_INPUT_BITS, per_word: 8 };

/// The same for integers beyond 24 bits, which no feature ring holds.
pub const WIDE_INTEGER_PACKING: Packing = Packing { bits: 32, per_word: 7 };

impl Port {
    /// Whether the port carries exact integers, not rounded reals.
    #[must_use]
    pub fn is_integer(&self, tensor: &IntTensor) -> bool {
        tensor.exponent == ScaleExp(0) && self.packing.bits >= INTEGER_INPUT_BITS
    }

    /// The real number that a value of the port's tensor stands for.
    #[must_use]
    pub fn real(&self, tensor: &IntTensor, q: i64) -> f64 {
        match self.minus_infinity {
            Some(most) if q <= most => f64::NEG_INFINITY,
            _ => tensor.exponent.dequantise(q),
        }
    }
}

/// A quantised model: nodes in topological order over the tensors they define.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntGraph {
    /// Model name.
    pub name: String,
    /// Every tensor, addressed by [`TensorId`].
    pub tensors: Vec<IntTensor>,
    /// Constant tensors, addressed by index.
    pub params: Vec<Param>,
    /// Operations in topological order; each defines one tensor.
    pub nodes: Vec<IntNode>,
    /// Inputs in the model's order.
    pub inputs: Vec<Port>,
    /// Outputs in the model's order.
    pub outputs: Vec<Port>,
}

impl IntGraph {
    /// The tensor behind an id that this graph handed out.
    #[must_use]
    pub fn tensor(&self, id: TensorId) -> &IntTensor {
        &self.tensors[id.0]
    }

    /// Number of weights and biases.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.params.iter().map(|p| p.values.len()).sum()
    }

    /// Multiply-accumulates of the linear layers and matrix products.
    #[must_use]
    pub fn macs(&self) -> u64 {
        self.nodes
            .iter()
            .map(|n| match &n.op {
                IntOp::Linear { shape, width, .. } => shape.positions() * shape.inner() * width,
                IntOp::MatMul { rows, inner, cols, .. } => rows * inner * cols,
                _ => 0,
            })
            .map(|n| n as u64)
            .sum()
    }
}
