//! Values that stand for minus infinity, as the masks of attention have them, become finite.

use crate::{
    calibrate::{MASKED, Ranges},
    float::{FloatGraph, FloatOp, FloatSource},
};

/// How far below all others a masked value lies at least: `exp(-24)` is nothing beside 16 bits.
const DISTANCE: f64 = 24.0;

/// Brings masked values next to the others: so far below that a softmax gives them nothing, and no further, because
/// they share a scale with the rest. Whatever they are added to, their distance outweighs it.
pub(super) fn lower(graph: &FloatGraph, ranges: &Ranges) -> (FloatGraph, Ranges) {
    let (mut graph, mut ranges) = (graph.clone(), ranges.clone());
    let spread = ranges.tensors.iter().filter(|r| r.masked).map(|r| r.hi - r.lo).fold(0.0, f64::max);
    let distance = DISTANCE + 2.0 * spread;
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
    for node in &mut graph.nodes {
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
            FloatOp::Affine { scale, offset } => {
                let count = scale.len().max(offset.len());
                if scale.iter().chain(&*offset).all(|c| *c > MASKED) {
                    continue;
                }
                // A factor of minus infinity masks where it meets a 1; an offset does whatever it is added to.
                let spread = |list: &[f64]| if list.len() == 1 { vec![list[0]; count] } else { list.to_vec() };
                let (mut factors, mut offsets) = (spread(scale), spread(offset));
                for (factor, offset) in factors.iter_mut().zip(&mut offsets) {
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
            _ => {}
        }
    }
    (graph, ranges)
}
