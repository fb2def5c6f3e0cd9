use std::collections::BTreeMap;

use super::{QuantiseOptions, balance, inputs};
use crate::{
    calibrate::Ranges,
    float::{Activation, Element, FloatGraph, FloatOp, Quotient},
    int::VALUE_BITS,
};

/// Exponent of a tensor that is always zero on the calibration data.
const ZERO_EXPONENT: i32 = 15;

/// Largest exponent: values below `2^-40` are treated as noise.
const MAX_EXPONENT: i32 = 40;

/// Exponent of shares, which are at most 1.
const SHARE_EXPONENT: i32 = 14;

/// What the quantiser knows of each tensor of the float graph before it emits any operation.
#[derive(Debug)]
pub(super) struct Scales {
    /// Exponent at which the calibrated range with head-room fits 16 bits.
    pub(super) exponents: Vec<i32>,
    /// Exponent and bits of each real input.
    pub(super) inputs: Vec<(i32, u32)>,
    /// Whether every reader takes values of more than 16 bits.
    pub(super) wide: Vec<bool>,
    /// Whether a function reads the tensor, whose values are then signed 16-bit integers.
    pub(super) signed: Vec<bool>,
}

/// By how much exponents are lowered beyond what [`balance`] lowers them, class by class; negative where less.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Adjustments(BTreeMap<usize, i32>);

impl Adjustments {
    pub(super) fn of(&self, class: usize) -> i32 {
        self.0.get(&class).copied().unwrap_or(0)
    }

    /// The same with a class lowered further.
    pub(super) fn with(&self, class: usize, levels: i32) -> Self {
        let mut changed = self.clone();
        *changed.0.entry(class).or_insert(0) += levels;
        changed
    }
}

/// Largest exponent at which magnitudes up to `max_abs` stay below `2^bits`.
pub(super) fn fitting(max_abs: f64, bits: u32) -> i32 {
    if max_abs <= 0.0 {
        return ZERO_EXPONENT;
    }
    // One unit less than the power of two, for the rounding.
    let limit = f64::from(bits).exp2() - 1.0;
    (libm::log2(limit / max_abs).floor() as i32).clamp(-MAX_EXPONENT, MAX_EXPONENT)
}

/// Exponents from calibration, equal among tensors that one view joins.
pub(super) fn scales(
    graph: &FloatGraph,
    ranges: &Ranges,
    options: &QuantiseOptions,
    adjustments: &Adjustments,
) -> Scales {
    let headroom = options.headroom;
    let signed = required_signed(graph);
    let mut exponents: Vec<i32> =
        (0..graph.tensors.len()).map(|t| fitting(ranges.tensors[t].max_abs() * headroom, VALUE_BITS - 1)).collect();
    for (i, node) in graph.nodes.iter().enumerate() {
        let t = node.output.0;
        let before = ranges.before_activation[i];
        let reach = before.max_abs() * headroom;
        exponents[t] = match (&node.op, node.activation) {
            (FloatOp::Div { quotient: Quotient::Share }, _) => SHARE_EXPONENT,
            // The rescale takes 16 bits of either sign, the function behind it fifteen of what is left.
            (_, Activation::Relu) if signed[t] => {
                fitting(before.hi.max(0.0) * headroom, VALUE_BITS - 1).min(fitting(reach, VALUE_BITS))
            }
            (_, Activation::Relu) => fitting(reach, VALUE_BITS),
            (_, Activation::None) => exponents[t],
        };
    }
    let classes = tie(graph, &mut exponents);
    balance::balance(graph, ranges, (&classes, adjustments), &mut exponents);
    // Constants among integers, too, are integers as they are.
    for (exponent, tensor) in exponents.iter_mut().zip(&graph.tensors) {
        if tensor.element == Element::Integer {
            *exponent = 0;
        }
    }
    let wide = wide(graph);
    let inputs = inputs::widths(graph, ranges, (&exponents, options.input_bits), &wide);
    Scales { exponents, inputs, wide, signed }
}

/// Gives tensors that a view joins one exponent, so that joining them costs nothing. Returns the
/// class of each tensor.
fn tie(graph: &FloatGraph, exponents: &mut [i32]) -> Vec<usize> {
    let class = classes(graph);
    // Inputs of the model and shares have their own scale whatever they are joined with, and integers have none.
    let mut least = vec![i32::MAX; exponents.len()];
    let share = |op: &FloatOp| matches!(op, FloatOp::Div { quotient: Quotient::Share });
    let rescaled = graph
        .nodes
        .iter()
        .filter(|n| !joins(&n.op) && !share(&n.op) && graph.tensor(n.output).element == Element::Real);
    for node in rescaled {
        let class = class[node.output.0];
        least[class] = least[class].min(exponents[node.output.0]);
    }
    for node in &graph.nodes {
        let class = class[node.output.0];
        if least[class] != i32::MAX && !share(&node.op) {
            exponents[node.output.0] = least[class];
        }
    }
    class
}

/// The class of each tensor: tensors that a view, a maximum or a choice joins have one.
pub(super) fn classes(graph: &FloatGraph) -> Vec<usize> {
    let mut class: Vec<usize> = (0..graph.tensors.len()).collect();
    fn root(class: &[usize], mut t: usize) -> usize {
        while class[t] != t {
            t = class[t];
        }
        t
    }
    for node in &graph.nodes {
        if joins(&node.op) {
            // What a selection chooses by is no value that it passes on.
            let passed = if matches!(node.op, FloatOp::Select) { &node.inputs[1..] } else { &node.inputs[..] };
            for id in passed {
                let (a, b) = (root(&class, id.0), root(&class, node.output.0));
                class[a] = b;
            }
        }
    }
    (0..class.len()).map(|t| root(&class, t)).collect()
}

/// Whether an operation passes values on as they are.
fn joins(op: &FloatOp) -> bool {
    matches!(op, FloatOp::View { .. } | FloatOp::Max { .. } | FloatOp::Select)
}

/// Tensors that a function reads, whose values must be signed 16-bit integers.
fn required_signed(graph: &FloatGraph) -> Vec<bool> {
    let mut signed = vec![false; graph.tensors.len()];
    for node in graph.nodes.iter().rev() {
        let needs = match node.op {
            FloatOp::Function { .. } => true,
            FloatOp::View { .. } | FloatOp::Max { .. } | FloatOp::Select => signed[node.output.0],
            _ => false,
        };
        if needs {
            node.inputs.iter().for_each(|id| signed[id.0] = true);
        }
    }
    signed
}

/// Tensors whose every reader sums them up or rescales them.
fn wide(graph: &FloatGraph) -> Vec<bool> {
    let mut wide = vec![true; graph.tensors.len()];
    for id in &graph.outputs {
        wide[id.0] = graph.tensor(*id).element == Element::Integer;
    }
    for node in graph.nodes.iter().rev() {
        for (i, id) in node.inputs.iter().enumerate() {
            wide[id.0] &= match node.op {
                FloatOp::Linear { .. } | FloatOp::Affine { .. } => true,
                FloatOp::Sum { .. } | FloatOp::Add { .. } => true,
                FloatOp::Floor | FloatOp::Indicator { .. } => true,
                // A rounded numerator would round the quotient twice.
                FloatOp::Div { quotient } => i == 1 || quotient == Quotient::Integer,
                FloatOp::View { .. } | FloatOp::Select => wide[node.output.0],
                FloatOp::Max { .. }
                | FloatOp::Function { .. }
                | FloatOp::Sqrt
                | FloatOp::Mul { .. }
                | FloatOp::MatMul { .. } => false,
            };
        }
    }
    wide
}
