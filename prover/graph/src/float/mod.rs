//! The float graph: an ONNX model as a program over the integer graph's few operations, with real
//! numbers.
//!
//! Lowering ONNX to these operations before calibration makes every intermediate value of the
//! circuit observable on real data, so that each gets its own scale.

mod budget;
mod build;
mod compose;
mod eval;
mod exact;
mod fold;
mod function;
pub(crate) mod indices;
mod masked;
mod reference;

pub(crate) use budget::Cost;
pub use budget::Limits;
pub(crate) use build::{Builder, Data, Layer, Value};
pub use eval::FloatTrace;
pub(crate) use eval::bounds;
pub use function::Function;
pub(crate) use reference::{Reference, is_misread};

use crate::{
    GraphError,
    data::Sample,
    int::{Condition, LinearShape},
};

/// Most elements that a tensor may have.
pub const MAX_ELEMENTS: usize = 1 << 26;

/// Index of a tensor in its float graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FloatId(pub usize);

/// What kind of numbers a tensor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// Real numbers, to be scaled and rounded.
    Real,
    /// Integers, kept exact.
    Integer,
}

/// A tensor of the float graph.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatTensor {
    /// Name in the ONNX file, or derived from the node that made it.
    pub name: String,
    /// Row-major shape.
    pub shape: Vec<usize>,
    /// Kind of numbers.
    pub element: Element,
}

impl FloatTensor {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One element of a [`FloatOp::View`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FloatSource {
    /// Element `1` of the node's input number `0`.
    Element(u32, u32),
    /// A constant.
    Constant(f64),
}

/// What follows an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(0, .)`.
    Relu,
}

/// What is known of a quotient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotient {
    /// A share of a sum: between 0 and 1.
    Share,
    /// Any real number.
    Real,
    /// Rounded to the nearest integer, ties up.
    Integer,
}

impl Activation {
    /// The activation of one value.
    #[must_use]
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::None => x,
            Self::Relu => x.max(0.0),
        }
    }
}

/// An operation over reals; each has its twin in [`crate::int::IntOp`], where the layouts are
/// described.
#[derive(Debug, Clone, PartialEq)]
pub enum FloatOp {
    /// `Y[p, o] = sum_l X[index(p, l)] * W[l, o] + b[o]`.
    Linear {
        /// Where `X` is read.
        shape: LinearShape,
        /// Columns of `W`.
        width: usize,
        /// `W`, `[inner, width]`.
        weight: Vec<f64>,
        /// `b`, `[width]`.
        bias: Option<Vec<f64>>,
        /// Name of the weight in the ONNX file.
        name: String,
    },
    /// `ca * A + cb * B + c`.
    Add {
        /// Coefficient of the first input.
        ca: f64,
        /// Coefficient of the second input.
        cb: f64,
        /// Constant.
        c: f64,
    },
    /// `c * A * B`.
    Mul {
        /// Coefficient.
        c: f64,
    },
    /// `scale[i] * A[i] + offset[i]`, with one element or one for each.
    Affine {
        /// Factors.
        scale: Vec<f64>,
        /// Offsets.
        offset: Vec<f64>,
    },
    /// `c * sum_j A[i * group + j]`.
    Sum {
        /// Elements summed into one.
        group: usize,
        /// Coefficient.
        c: f64,
    },
    /// `A[rows, inner] * B[inner, cols]`.
    MatMul {
        /// Rows of `A`.
        rows: usize,
        /// Columns of `A`.
        inner: usize,
        /// Columns of `B`.
        cols: usize,
    },
    /// `max_j A[i * group + j]`.
    Max {
        /// Elements compared for one output.
        group: usize,
    },
    /// `f(A - centre)`: quantisation centres a function's input on its table.
    Function {
        /// The function.
        function: Function,
        /// What was added to the function's argument.
        centre: f64,
    },
    /// `A / B` for `0 < B`.
    Div {
        /// What is known of the quotient.
        quotient: Quotient,
    },
    /// `sqrt(A)` for `0 <= A`.
    Sqrt,
    /// The greatest integer that is at most `A`.
    Floor,
    /// 1 where the condition holds for `A`, 0 elsewhere.
    Indicator {
        /// The condition.
        condition: Condition,
    },
    /// `B` where `A` is 1, `C` where it is 0.
    Select,
    /// Elements of inputs, and constants.
    View {
        /// One for each element of the output.
        sources: Vec<FloatSource>,
    },
}

/// An operation, the tensors it reads and the one it defines.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatNode {
    /// Name of the ONNX node it comes from.
    pub name: String,
    /// The operation.
    pub op: FloatOp,
    /// What follows the operation.
    pub activation: Activation,
    /// Tensors read.
    pub inputs: Vec<FloatId>,
    /// Tensor defined.
    pub output: FloatId,
}

/// What a model expects of its data, input by input.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSpec {
    /// Name of the input.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Kind of numbers.
    pub element: Element,
}

/// A model over reals: nodes in topological order over the tensors they define, and the file itself, which tract
/// runs as the reference for accuracy.
#[derive(Debug, Clone)]
pub struct FloatGraph {
    /// Model name.
    pub name: String,
    /// Every tensor, addressed by [`FloatId`].
    pub tensors: Vec<FloatTensor>,
    /// Operations in topological order.
    pub nodes: Vec<FloatNode>,
    /// Inputs in the model's order.
    pub inputs: Vec<FloatId>,
    /// Outputs in the model's order.
    pub outputs: Vec<FloatId>,
    pub(crate) reference: Reference,
}

impl FloatGraph {
    /// The tensor behind an id that this graph handed out.
    #[must_use]
    pub fn tensor(&self, id: FloatId) -> &FloatTensor {
        &self.tensors[id.0]
    }

    /// What each input expects, for reading data files.
    #[must_use]
    pub fn input_specs(&self) -> Vec<InputSpec> {
        self.inputs
            .iter()
            .map(|id| {
                let t = self.tensor(*id);
                InputSpec { name: t.name.clone(), shape: t.shape.clone(), element: t.element }
            })
            .collect()
    }

    /// Outputs of the model as tract computes them, in the model's order, row-major; by this crate's own
    /// evaluation where tract does not read the model, or has failed on a sample.
    ///
    /// # Errors
    /// Where the sample does not fit the inputs.
    pub fn run(&self, sample: &Sample) -> Result<Vec<Vec<f64>>, GraphError> {
        sample.check(&self.input_specs())?;
        Ok(self.reference.run(sample).unwrap_or_else(|_| {
            let trace = eval::trace(self, sample);
            self.outputs.iter().map(|id| trace.tensors[id.0].clone()).collect()
        }))
    }

    /// Why tract does not run the model, where it does not: outputs are then compared with this crate's own evaluation
    /// in double precision, which shares the lowering.
    #[must_use]
    pub fn without_reference(&self) -> Option<&str> {
        self.reference.tract().err()
    }

    /// Every intermediate value, by this crate's own evaluation in double precision.
    ///
    /// # Errors
    /// Where the sample does not fit the inputs.
    pub fn trace(&self, sample: &Sample) -> Result<FloatTrace, GraphError> {
        sample.check(&self.input_specs())?;
        Ok(eval::trace(self, sample))
    }

    /// Number of weights and biases of the linear layers.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.nodes
            .iter()
            .map(|n| match &n.op {
                FloatOp::Linear { weight, bias, .. } => weight.len() + bias.as_ref().map_or(0, Vec::len),
                _ => 0,
            })
            .sum()
    }
}
