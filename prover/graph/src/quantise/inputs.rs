//! Real inputs whose elements have ranges far apart, or come close to thresholds: sixteen bits at one scale
//! are too coarse for them.
//!
//! Such inputs have up to 31 bits. Conditions compare all of them. What rescales its operands gets the elements at
//! one magnitude, each scaled by a power of two of its own.

use super::scale::fitting;
use crate::{
    calibrate::{Range, Ranges},
    float::{Activation, Element, FloatGraph, FloatId, FloatNode, FloatOp, FloatTensor},
    int::{LinearShape, VALUE_BITS, power_of_two},
};

/// Bits of wide inputs; the difference of two values of the most is one of 32 bits.
const WIDE_BITS: [u32; 2] = [24, 31];

/// Bits that the least distance from a threshold has.
const MARGIN_BITS: i32 = 4;

/// How many units of a result the rounding of an input may move it.
const UNITS: f64 = 8.0;

/// Largest power of two that an element is scaled by.
const MOST: f64 = 15.0;

/// Exponent and bits of each real input.
pub(super) fn widths(
    graph: &FloatGraph,
    ranges: &Ranges,
    (exponents, bits): (&[i32], u32),
    wide: &[bool],
) -> Vec<(i32, u32)> {
    let wanted = wanted(graph, ranges, exponents);
    let width = |id: &FloatId| {
        let usual = exponents[id.0];
        let Some(finer) = wanted[id.0].map(|e| e - usual).filter(|finer| *finer > 0 && wide[id.0]) else {
            return (usual - (VALUE_BITS - bits) as i32, bits);
        };
        let enough = |bits: &&u32| finer <= (**bits - VALUE_BITS) as i32;
        let bits = WIDE_BITS.iter().find(enough).copied().unwrap_or(WIDE_BITS[1]);
        match usual + (bits - VALUE_BITS) as i32 {
            // A port of so many bits at exponent zero is one of integers.
            0 => (-1, bits),
            exponent => (exponent, bits),
        }
    };
    graph.inputs.iter().map(width).collect()
}

/// The exponent that the readers of each tensor would like, where they want more than its range needs.
fn wanted(graph: &FloatGraph, ranges: &Ranges, exponents: &[i32]) -> Vec<Option<i32>> {
    let mut wanted: Vec<Option<i32>> = vec![None; graph.tensors.len()];
    let mut layers = vec![false; graph.tensors.len()];
    for node in graph.nodes.iter().rev() {
        let want = match &node.op {
            FloatOp::Indicator { .. } => {
                let margin = node.inputs.first().map_or(f64::INFINITY, |id| ranges.margin(*id));
                margin.is_finite().then(|| MARGIN_BITS - libm::log2(margin).floor() as i32)
            }
            FloatOp::Affine { scale, .. } if scale.len() > 1 => {
                let most = scale.iter().fold(0.0f64, |m, s| m.max(s.abs()));
                is_level(scale).then(|| exponents[node.output.0] + libm::log2(most) as i32)
            }
            FloatOp::Affine { scale, .. } => {
                let factor = scale.first().map_or(0.0, |s| libm::log2(s.abs()));
                wanted[node.output.0].filter(|_| factor.is_finite()).map(|e| e + factor.ceil() as i32)
            }
            FloatOp::View { .. } => wanted[node.output.0],
            _ => None,
        };
        let layer = match node.op {
            FloatOp::Linear { .. } => true,
            FloatOp::View { .. } => layers[node.output.0],
            _ => false,
        };
        for id in &node.inputs {
            wanted[id.0] = wanted[id.0].max(want);
            layers[id.0] |= layer;
        }
    }
    // What a layer's operand gains in bits its weights lose.
    wanted.iter_mut().zip(&layers).for_each(|(want, layer)| {
        if *layer {
            *want = None;
        }
    });
    wanted
}

/// Whether factors are powers of two that differ.
fn is_level(scale: &[f64]) -> bool {
    scale.iter().all(|s| power_of_two(*s).is_some()) && scale.iter().any(|s| *s != scale[0])
}

/// Brings the elements of inputs to one magnitude where layers and maps that read them would lose more by
/// the inputs' rounding than by their own.
pub(super) fn level(graph: FloatGraph, ranges: Ranges, headroom: f64) -> (FloatGraph, Ranges) {
    let (mut graph, mut ranges) = (graph, ranges);
    for i in 0..graph.inputs.len() {
        let id = graph.inputs[i];
        let readers: Vec<usize> = (0..graph.nodes.len())
            .filter(|at| graph.nodes[*at].inputs.contains(&id) && is_coarse(&graph, &ranges, *at, headroom))
            .collect();
        if graph.tensor(id).element == Element::Integer || readers.is_empty() || ranges.tensor(id).masked {
            continue;
        }
        let scale = levels(&graph, &readers, &ranges.elements[i]);
        if !is_level(&scale) {
            continue;
        }
        let output = FloatId(graph.tensors.len());
        let (name, shape) = (format!("{}/level", graph.tensor(id).name), graph.tensor(id).shape.clone());
        graph.tensors.push(FloatTensor { name: name.clone(), shape, element: Element::Real });
        for at in readers {
            let node = &mut graph.nodes[at];
            node.op = unscaled(&node.op, &scale);
            node.inputs = vec![output];
        }
        let op = FloatOp::Affine { scale, offset: vec![0.0] };
        graph.nodes.insert(0, FloatNode { name, op, activation: Activation::None, inputs: vec![id], output });
        let most = ranges.tensor(id).max_abs();
        let lo = if ranges.tensor(id).lo < 0.0 { -most } else { 0.0 };
        let levelled = Range { mean_square: most * most / 3.0, ..Range::between(lo, most) };
        ranges.tensors.push(levelled);
        ranges.before_activation.insert(0, levelled);
    }
    (graph, ranges)
}

/// Whether the rounding of an input at 16 bits moves a result of the node by many of its units.
fn is_coarse(graph: &FloatGraph, ranges: &Ranges, at: usize, headroom: f64) -> bool {
    let node = &graph.nodes[at];
    let [id] = node.inputs[..] else { return false };
    let factor = match &node.op {
        FloatOp::Linear { shape: LinearShape::Dense { .. }, width, weight, .. } => {
            let column = |o: usize| weight.iter().skip(o).step_by(*width).map(|w| w * w).sum::<f64>();
            (0..*width).map(column).fold(0.0, f64::max).sqrt()
        }
        FloatOp::Affine { scale, .. } => {
            let compared = |n: &FloatNode| matches!(n.op, FloatOp::Indicator { .. });
            let readers: Vec<&FloatNode> = graph.nodes.iter().filter(|n| n.inputs.contains(&node.output)).collect();
            if !readers.is_empty() && readers.into_iter().all(compared) {
                return false;
            }
            scale.iter().fold(0.0f64, |m, s| m.max(s.abs()))
        }
        _ => return false,
    };
    let exponent = |range: Range| fitting(range.max_abs() * headroom, VALUE_BITS - 1);
    let units = exponent(ranges.before_activation[at]) - exponent(ranges.tensor(id));
    factor * f64::from(units).exp2() > UNITS
}

/// Powers of two that bring the elements to the magnitude of the greatest; the rows of a layer have one for each
/// column.
fn levels(graph: &FloatGraph, readers: &[usize], elements: &[f64]) -> Vec<f64> {
    let inner = |at: &usize| match &graph.nodes[*at].op {
        FloatOp::Linear { shape, .. } => shape.inner(),
        _ => elements.len(),
    };
    let period = readers.iter().map(inner).min().unwrap_or(elements.len()).max(1);
    let mut columns = vec![0.0f64; period];
    elements.iter().enumerate().for_each(|(i, v)| columns[i % period] = columns[i % period].max(*v));
    let most = columns.iter().fold(0.0f64, |m, v| m.max(*v));
    let power = |v: f64| if v > 0.0 { libm::log2(most / v).floor().min(MOST).exp2() } else { 1.0 };
    (0..elements.len()).map(|i| power(columns[i % period])).collect()
}

/// A layer or a map over elements that have been scaled.
fn unscaled(op: &FloatOp, scale: &[f64]) -> FloatOp {
    match op {
        FloatOp::Linear { shape, width, weight, bias, name } => {
            let weight = weight.iter().enumerate().map(|(i, w)| w / scale[i / width]).collect();
            FloatOp::Linear { shape: *shape, width: *width, weight, bias: bias.clone(), name: name.clone() }
        }
        FloatOp::Affine { scale: factors, offset } => {
            let factor = |i: usize| if factors.len() == 1 { factors[0] } else { factors[i] };
            let factors = scale.iter().enumerate().map(|(i, s)| factor(i) / s).collect();
            FloatOp::Affine { scale: factors, offset: offset.clone() }
        }
        other => other.clone(),
    }
}
