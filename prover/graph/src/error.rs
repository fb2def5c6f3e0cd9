use std::path::PathBuf;

use crate::int::Interval;

/// What stops a model, a data file or an input; each message names the thing, the place and what
/// to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A file could not be read or written.
    #[error("cannot access {}: {source}; check the path and its permissions", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The bytes are no ONNX model.
    #[error("{origin} is not an ONNX model: {reason}; export the model again with its framework's ONNX exporter")]
    NotOnnx {
        /// File or description of the bytes.
        origin: String,
        /// What was wrong.
        reason: String,
    },
    /// An operator that no lowering exists for.
    #[error("node `{node}` uses the operator {operator}, which is not supported; {remedy}")]
    UnsupportedOperator {
        /// ONNX node.
        node: String,
        /// Operator with its domain where it has one.
        operator: String,
        /// What would help.
        remedy: String,
    },
    /// A use of a supported operator that no lowering exists for.
    #[error("node `{node}` ({operator}): {reason}; {remedy}")]
    UnsupportedForm {
        /// ONNX node.
        node: String,
        /// Operator.
        operator: String,
        /// What is not supported.
        reason: String,
        /// What would help.
        remedy: String,
    },
    /// A value that shapes the circuit and is computed from the model's inputs.
    #[error("node `{node}` ({operator}): its {role} `{value}` is computed from the model's inputs {}; fix them: --fix {}", inputs.join(", "), inputs.join(","))]
    NeedsConstant {
        /// ONNX node.
        node: String,
        /// Operator.
        operator: String,
        /// What the value is to the operator.
        role: Box<str>,
        /// Name of the value.
        value: Box<str>,
        /// Inputs of the model that it is computed from.
        inputs: Box<[String]>,
    },
    /// A model all of whose inputs have to be constants.
    #[error(
        "every input would have to be a constant, and nothing would be left to prove; the inputs are {}: make the outputs depend on another one as well, or compute them outside a proof", inputs.join(", ")
    )]
    NothingLive {
        /// The inputs.
        inputs: Box<[String]>,
    },
    /// A node that contradicts the ONNX specification.
    #[error("node `{node}` ({operator}) is malformed: {reason}; check the model with onnx.checker and export it again")]
    MalformedNode {
        /// ONNX node.
        node: String,
        /// Operator.
        operator: String,
        /// What contradicts the specification.
        reason: String,
    },
    /// The graph as a whole contradicts the ONNX specification.
    #[error("the model is malformed: {reason}; check it with onnx.checker and export it again")]
    MalformedModel {
        /// What contradicts the specification.
        reason: String,
    },
    /// An input dimension without a value.
    #[error(
        "input `{input}` has no size for dimension {axis} ({symbol}); give its full shape with --input-shape {input}=…"
    )]
    DynamicShape {
        /// Model input.
        input: String,
        /// Dimension, from 0.
        axis: usize,
        /// Name of the dimension in the file, or a question mark.
        symbol: String,
    },
    /// An option that names no input of the model.
    #[error("the model has no input `{input}`; its inputs are {known}")]
    UnknownInput {
        /// What was asked for.
        input: String,
        /// Names of the inputs.
        known: String,
    },
    /// A given shape that contradicts the model.
    #[error("input `{input}` cannot have shape {given:?}: the model declares {declared}; give a shape that agrees")]
    ShapeOverride {
        /// Model input.
        input: String,
        /// Shape given.
        given: Vec<usize>,
        /// Shape in the model.
        declared: String,
    },
    /// An element type that is not supported.
    #[error("tensor `{tensor}` has element type {found}; supported are floating point, integers and booleans")]
    ElementType {
        /// Tensor.
        tensor: String,
        /// Type found.
        found: String,
    },
    /// A weight that is no finite number.
    #[error(
        "weight `{tensor}` holds {value} at index {index}; retrain or repair the weights: no finite circuit has them"
    )]
    NotFiniteWeight {
        /// Initializer.
        tensor: String,
        /// Row-major index.
        index: usize,
        /// The value, as text.
        value: String,
    },
    /// A constant expression of the model without a finite value.
    #[error(
        "node `{node}` ({operator}) computes {value} from constants, or from nothing, at index {index}; repair the model's constants, and reduce over no axis that has no elements"
    )]
    NotFiniteConstant {
        /// ONNX node.
        node: String,
        /// Operator.
        operator: String,
        /// Row-major index.
        index: usize,
        /// The value, as text.
        value: String,
    },
    /// Tensor data that is absent, short, long, or outside the model's folder.
    #[error("the data of tensor `{tensor}` cannot be read: {reason}")]
    TensorData {
        /// Tensor.
        tensor: String,
        /// What was wrong and what to do.
        reason: String,
    },
    /// More elements than the compiler takes.
    #[error("tensor `{tensor}` of shape {shape:?} has more than {limit} elements; use a smaller model or input shape")]
    TooLarge {
        /// Tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The limit.
        limit: usize,
    },
    /// A model that takes more in all than the compiler allows.
    #[error(
        "up to node `{node}` the model takes more than {limit} {what}; use smaller inputs, fewer iterations or a smaller model"
    )]
    OverLimit {
        /// ONNX node where it does, or the model's input.
        node: String,
        /// What it takes too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A data file in none of the known forms.
    #[error(
        "{origin} cannot be read as input data: {reason}; expected JSON {{\"name\": nested arrays}}, JSON {{\"input_data\": [flat array an input]}} or .npz"
    )]
    DataFormat {
        /// File or description of the data.
        origin: String,
        /// What was wrong.
        reason: String,
    },
    /// A data file that lacks an input.
    #[error("{origin} has no data for input `{input}`; it holds {found}")]
    MissingInput {
        /// File or description of the data.
        origin: String,
        /// Model input.
        input: String,
        /// Names in the file.
        found: String,
    },
    /// Data whose size or nesting does not fit an input.
    #[error("{origin}: input `{input}` has shape {expected:?}, the data has {got}; reshape the data")]
    DataShape {
        /// File or description of the data.
        origin: String,
        /// Model input.
        input: String,
        /// Shape in the model.
        expected: Vec<usize>,
        /// Shape or length in the data.
        got: String,
    },
    /// A datum that is no number of the input's type.
    #[error("{origin}: input `{input}` at index {index} is {value}, not {expected}")]
    DataType {
        /// File or description of the data.
        origin: String,
        /// Model input.
        input: String,
        /// Row-major index.
        index: usize,
        /// The value, as text.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
    /// An input to become a constant that has several values.
    #[error(
        "input `{input}` cannot be fixed: {origin} has {} at index {index} in sample 0 and {} in sample {sample}; leave it an input, or give data of one value",
        values[0], values[1]
    )]
    InputVaries {
        /// File or description of the data.
        origin: String,
        /// Model input.
        input: String,
        /// Row-major index.
        index: usize,
        /// The first sample's value there, and the other's.
        values: [f64; 2],
        /// Number of the other sample, from 0.
        sample: usize,
    },
    /// Calibration without samples.
    #[error("there are no calibration samples; give at least one, better twenty that cover the inputs to come")]
    NoSamples,
    /// A float evaluation that left the finite numbers.
    #[error(
        "calibration sample {sample}: tensor `{tensor}` is {value} at index {index}; remove the sample or repair the model"
    )]
    NotFiniteActivation {
        /// Number of the sample, from 0.
        sample: usize,
        /// Tensor.
        tensor: String,
        /// Row-major index.
        index: usize,
        /// The value, as text.
        value: String,
    },
    /// An integer input outside its 24 bits.
    #[error(
        "input `{input}` reaches {value}, beyond the {bits} signed bits of an integer input; rescale it before the model or make it a float input"
    )]
    IntegerInputRange {
        /// Model input.
        input: String,
        /// The value.
        value: f64,
        /// Bits of an integer input.
        bits: u32,
    },
    /// A node that cannot be brought to integers.
    #[error("node `{node}` cannot be quantised: {reason}")]
    Quantise {
        /// Node of the float graph.
        node: String,
        /// What does not fit, and what to do.
        reason: String,
    },
    /// An intermediate value that could wrap around the field.
    #[error(
        "node `{node}` can reach 2^{bits} in magnitude, the limit is 2^{limit}; lower the range of its inputs or split the layer"
    )]
    WrapsAround {
        /// Node of the integer graph.
        node: String,
        /// Bits that the interval analysis found.
        bits: u32,
        /// Bits allowed.
        limit: u32,
    },
    /// An integer graph that breaks one of its invariants.
    #[error("the integer graph is invalid at `{place}`: {reason}; compile the model again")]
    InvalidGraph {
        /// Node, tensor or port.
        place: String,
        /// Which invariant, and how.
        reason: String,
    },
    /// A file that is no integer graph of this version.
    #[error("{origin} is not an integer graph of this version: {reason}; compile the model again")]
    GraphFormat {
        /// File or description of the bytes.
        origin: String,
        /// What was wrong.
        reason: String,
    },
    /// The wrong number of inputs.
    #[error("the model takes {expected} inputs, {got} were given")]
    InputCount {
        /// Inputs of the model.
        expected: usize,
        /// Inputs given.
        got: usize,
    },
    /// An input of the wrong size.
    #[error("input `{input}` takes {expected} elements, {got} were given")]
    InputLength {
        /// Model input.
        input: String,
        /// Elements of the input.
        expected: usize,
        /// Elements given.
        got: usize,
    },
    /// An input that is no finite number, nor minus infinity where that is allowed.
    #[error(
        "input `{input}` is {value} at index {index}; no proof exists for what is no finite number, except for -inf in a mask that has it in the calibration data: clean the data, or look for such values outside the model"
    )]
    NotFiniteInput {
        /// Model input.
        input: String,
        /// Row-major index.
        index: usize,
        /// The value, as text.
        value: String,
    },
    /// A real input outside the range that calibration gave it.
    #[error(
        "input `{input}` is {value} at index {index}, outside the calibrated range [{lo}, {hi}]; no proof exists for this input: clip it, or compile with calibration data that covers it"
    )]
    InputRange {
        /// Model input.
        input: String,
        /// Row-major index.
        index: usize,
        /// The value.
        value: f64,
        /// Least value allowed.
        lo: f64,
        /// Greatest value allowed.
        hi: f64,
    },
    /// A value that an operation does not allow.
    #[error("tensor `{tensor}` takes the value {value} at index {index}, outside [{}, {}]; no proof exists for this input: compile with calibration data that covers it", bound.lo, bound.hi)]
    OutOfRange {
        /// Tensor of the integer graph.
        tensor: String,
        /// Row-major index.
        index: usize,
        /// The value before it was bounded.
        value: i128,
        /// Bound.
        bound: Interval,
    },
    /// A group of a maximum whose elements are too far apart.
    #[error(
        "tensor `{tensor}` compares values {spread} apart at index {index}, the limit is {limit}; no proof exists for this input: compile with calibration data that covers it"
    )]
    Spread {
        /// Tensor of the integer graph.
        tensor: String,
        /// Row-major index of the group.
        index: usize,
        /// Greatest difference in the group.
        spread: i128,
        /// Differences must be below this.
        limit: i128,
    },
}

impl GraphError {
    /// Stable machine-readable name of the failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::NotOnnx { .. } => "not_onnx",
            Self::UnsupportedOperator { .. } => "unsupported_operator",
            Self::UnsupportedForm { .. } => "unsupported_form",
            Self::NeedsConstant { .. } => "needs_constant",
            Self::NothingLive { .. } => "nothing_live",
            Self::MalformedNode { .. } => "malformed_node",
            Self::MalformedModel { .. } => "malformed_model",
            Self::DynamicShape { .. } => "dynamic_shape",
            Self::UnknownInput { .. } => "unknown_input",
            Self::ShapeOverride { .. } => "shape_override",
            Self::ElementType { .. } => "element_type",
            Self::NotFiniteWeight { .. } => "not_finite_weight",
            Self::NotFiniteConstant { .. } => "not_finite_constant",
            Self::TensorData { .. } => "tensor_data",
            Self::TooLarge { .. } => "too_large",
            Self::OverLimit { .. } => "over_limit",
            Self::DataFormat { .. } => "data_format",
            Self::MissingInput { .. } => "missing_input",
            Self::DataShape { .. } => "data_shape",
            Self::DataType { .. } => "data_type",
            Self::InputVaries { .. } => "input_varies",
            Self::NoSamples => "no_samples",
            Self::NotFiniteActivation { .. } => "not_finite_activation",
            Self::IntegerInputRange { .. } => "integer_input_range",
            Self::Quantise { .. } => "quantise",
            Self::WrapsAround { .. } => "wraps_around",
            Self::InvalidGraph { .. } => "invalid_graph",
            Self::GraphFormat { .. } => "graph_format",
            Self::InputCount { .. } => "input_count",
            Self::InputLength { .. } => "input_length",
            Self::NotFiniteInput { .. } => "not_finite_input",
            Self::InputRange { .. } => "input_range",
            Self::OutOfRange { .. } => "out_of_range",
            Self::Spread { .. } => "spread",
        }
    }
}
