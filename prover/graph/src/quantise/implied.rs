//! Ranges that follow from what is computed, where the calibration data reaches only a part of them.

use crate::{
    calibrate::Ranges,
    float::{FloatGraph, FloatId, FloatNode, FloatOp, Function},
};

/// Widens the ranges behind a log-softmax's sum. Its exponentials are at most 1, and one of them is 1, so the sum is
/// between 1 and their number: near 1 as long as a classifier is sure, and calibration data may know of nothing else.
pub(super) fn sums_of_shares(graph: &FloatGraph, mut ranges: Ranges, headroom: f64) -> Ranges {
    for node in &graph.nodes {
        if let (FloatOp::Sum { group, c: 1.0 }, [exp]) = (&node.op, &node.inputs[..])
            && ranges.tensor(*exp).hi == 1.0
            && producer(graph, *exp)
                .is_some_and(|(_, n)| matches!(n.op, FloatOp::Function { function: Function::Exp, .. }))
            && reaches_logarithm(graph, node.output)
        {
            widen(graph, &mut ranges, node.output, (*group as f64, headroom));
        }
    }
    ranges
}

fn producer(graph: &FloatGraph, id: FloatId) -> Option<(usize, &FloatNode)> {
    graph.nodes.iter().enumerate().find(|(_, node)| node.output == id)
}

fn readers(graph: &FloatGraph, id: FloatId) -> impl Iterator<Item = &FloatNode> {
    graph.nodes.iter().filter(move |node| node.inputs == [id])
}

/// Whether a tensor is read by a logarithm, or its root is.
fn reaches_logarithm(graph: &FloatGraph, id: FloatId) -> bool {
    readers(graph, id).any(|node| match node.op {
        FloatOp::Function { function: Function::Log, .. } => true,
        FloatOp::Sqrt => reaches_logarithm(graph, node.output),
        _ => false,
    })
}

/// Takes a greatest value into a tensor's range, and what follows from it into those of roots and logarithms. The
/// bound is one: it needs no head-room, which is taken out here because it comes on top later.
fn widen(graph: &FloatGraph, ranges: &mut Ranges, id: FloatId, (hi, headroom): (f64, f64)) {
    let range = &mut ranges.tensors[id.0];
    range.hi = range.hi.max(hi / headroom);
    if let Some((at, _)) = producer(graph, id) {
        let before = &mut ranges.before_activation[at];
        before.hi = before.hi.max(hi / headroom);
    }
    for node in readers(graph, id) {
        let hi = match &node.op {
            FloatOp::Function { function: Function::Log, .. } => libm::log(hi),
            FloatOp::Sqrt => hi.sqrt(),
            FloatOp::Affine { scale, offset } if scale[..] == [4.0] && offset[..] == [0.0] => 4.0 * hi,
            FloatOp::View { .. } => hi,
            _ => continue,
        };
        widen(graph, ranges, node.output, (hi, headroom));
    }
}
