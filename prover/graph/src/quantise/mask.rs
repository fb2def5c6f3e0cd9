//! Values that stand for minus infinity, as the masks of attention have them, become finite.

use crate::{
    calibrate::{MASKED, MINUS_INFINITY, Range, Ranges},
    float::{Activation, FloatGraph, FloatId, FloatNode, FloatOp, FloatSource},
};

/// How far below all others a masked value lies at least: `exp(-24)` is nothing beside 16 bits.
const DISTANCE: f64 = 24.0;

/// Brings masked values next to the others: so far below that a softmax gives them nothing, and no further, because
/// they share a scale with the rest. Whatever they are added to, their distance outweighs it, and half of it tells
/// them from the others where they leave the model.
pub(super) fn lower(graph: &FloatGraph, ranges: &Ranges) -> (FloatGraph, Ranges) {
    let (mut graph, mut ranges) = (graph.clone(), ranges.clone());
    let compared: Vec<bool> = graph.nodes.iter().map(|node| compares(&graph, node)).collect();
    for (node, compared) in graph.nodes.iter().zip(&compared) {
        if *compared {
            ranges.tensors[node.output.0].masked = false;
        } else if can_mask(node, &ranges) {
            ranges.tensors[node.output.0].masked = true;
        }
    }
    let spread = ranges.tensors.iter().filter(|r| r.masked).map(|r| r.hi - r.lo).fold(0.0, f64::max);
    let distance = DISTANCE + 2.0 * spread;
    let middle = |range: &Range| if range.masked { range.lo - distance / 2.0 } else { f64::NEG_INFINITY };
    ranges.minus_infinity = ranges.tensors.iter().map(middle).collect();
    for range in ranges.tensors.iter_mut().chain(&mut ranges.before_activation).filter(|r| r.masked) {
        range.lo -= distance;
    }
    // What a view or a choice passes on is masked as far down as its result: constants alone have no range.
    for node in graph.nodes.iter().rev() {
        let passed = match node.op {
            FloatOp::View { .. } => &node.inputs[..],
            FloatOp::Select => &node.inputs[1..],
            _ => continue,
        };
        let out = ranges.tensor(node.output);
        for range in passed.iter().map(|id| id.0).filter(|_| out.masked) {
            let range = &mut ranges.tensors[range];
            if range.masked {
                range.lo = range.lo.min(out.lo);
            }
        }
    }
    for (at, node) in graph.nodes.iter_mut().enumerate() {
        if let (FloatOp::Affine { offset, .. }, [read], true) = (&mut node.op, &node.inputs[..], compared[at]) {
            // Without minus infinity in the input nothing is as low.
            let read = ranges.tensor(*read);
            let bound = if read.masked { read.lo + distance / 2.0 } else { -distance - 4.0 * read.max_abs() };
            *offset = vec![bound];
            let range = Range::between(bound - read.hi, bound - read.lo);
            (ranges.tensors[node.output.0], ranges.before_activation[at]) = (range, range);
            continue;
        }
        sink(node, &mut ranges);
        let least = ranges.tensor(node.output).lo;
        match &mut node.op {
            FloatOp::View { sources } => {
                for source in sources {
                    if let FloatSource::Constant(c) = source
                        && *c <= MASKED
                    {
                        *c = least;
                    }
                }
            }
            FloatOp::Affine { scale, offset } => lower_map(scale, offset, (distance, least)),
            _ => {}
        }
    }
    (graph, ranges)
}

/// Whether a node compares its operand with minus infinity, see [`crate::float::Builder::masked`].
fn compares(graph: &FloatGraph, node: &FloatNode) -> bool {
    let FloatOp::Affine { scale, offset } = &node.op else { return false };
    let mut readers = graph.nodes.iter().filter(|reader| reader.inputs.contains(&node.output));
    scale[..] == [-1.0]
        && offset[..] == [MINUS_INFINITY]
        && !graph.outputs.contains(&node.output)
        && readers.all(|reader| matches!(reader.op, FloatOp::Indicator { .. }))
}

/// Whether a result may hold masked values, seen during calibration or not: a mask that is computed may be another one
/// later. A maximum hides what is masked from those after it.
fn can_mask(node: &FloatNode, ranges: &Ranges) -> bool {
    let masked = |id: &FloatId| ranges.tensor(*id).masked;
    if node.activation != Activation::None {
        return false;
    }
    match (&node.op, &node.inputs[..]) {
        (FloatOp::View { sources }, inputs) => sources.iter().any(|source| match source {
            FloatSource::Element(input, _) => inputs.get(*input as usize).is_some_and(masked),
            FloatSource::Constant(c) => *c <= MASKED,
        }),
        (FloatOp::Select, [_, a, b]) => masked(a) || masked(b),
        (FloatOp::Add { ca, cb, .. }, [a, b]) => *ca > 0.0 && masked(a) || *cb > 0.0 && masked(b),
        (FloatOp::Affine { scale, offset }, [a]) => {
            scale.iter().chain(offset).any(|c| *c <= MASKED) || scale.iter().all(|c| *c > 0.0) && masked(a)
        }
        _ => false,
    }
}

/// Takes into a masked result's range how far down its inputs have gone: what is masked twice lies lower than what is
/// masked once.
fn sink(node: &FloatNode, ranges: &mut Ranges) {
    if !ranges.tensor(node.output).masked {
        return;
    }
    let masked = |id: &&FloatId| ranges.tensor(**id).masked;
    let term = |c: f64, id: FloatId| {
        let range = ranges.tensor(id);
        if c < 0.0 { c * range.hi } else { c * range.lo }
    };
    let least = match (&node.op, &node.inputs[..]) {
        (FloatOp::View { .. } | FloatOp::Max { .. }, inputs) => {
            inputs.iter().filter(masked).map(|id| ranges.tensor(*id).lo).fold(f64::INFINITY, f64::min)
        }
        (FloatOp::Select, [_, a, b]) => ranges.tensor(*a).lo.min(ranges.tensor(*b).lo),
        (FloatOp::Add { ca, cb, c }, [a, b]) => term(*ca, *a) + term(*cb, *b) + c,
        (FloatOp::Affine { scale, offset }, [a]) => match (&scale[..], &offset[..]) {
            ([scale], [offset]) if *offset > MASKED && *scale > MASKED => term(*scale, *a) + offset,
            _ => return,
        },
        _ => return,
    };
    let range = &mut ranges.tensors[node.output.0];
    range.lo = range.lo.min(least);
}

/// A map with a finite distance in place of minus infinity. As a factor it masks where it meets a 1; as an offset
/// whatever it is added to.
fn lower_map(scale: &mut Vec<f64>, offset: &mut Vec<f64>, (distance, least): (f64, f64)) {
    let count = scale.len().max(offset.len());
    if scale.iter().chain(&*offset).all(|c| *c > MASKED) {
        return;
    }
    let spread = |list: &[f64]| if list.len() == 1 { vec![list[0]; count] } else { list.to_vec() };
    let (mut factors, mut offsets) = (spread(scale), spread(offset));
    for (factor, offset) in factors.iter_mut().zip(&mut offsets) {
        if *factor >= -MASKED && *offset <= MASKED {
            // Minus infinity times one less a bit.
            (*factor, *offset) = (distance, -distance);
        }
        if *factor <= MASKED {
            *factor = -distance;
            *offset = if *offset >= -MASKED { distance } else { *offset };
        }
        if *offset <= MASKED {
            (*factor, *offset) = (0.0, least);
        }
    }
    let uniform = |list: &[f64]| list.iter().all(|c| *c == list[0]);
    *scale = if uniform(&factors) { vec![factors[0]] } else { factors };
    *offset = if uniform(&offsets) { vec![offsets[0]] } else { offsets };
}
