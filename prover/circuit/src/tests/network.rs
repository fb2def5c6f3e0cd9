//! A whole model in small: convolution, pooling, dense layer and a soft maximum.

use vouch_graph::int::{Conv2d, INTERPOLATION_POINTS, IntOp, LinearShape, Rescale, Source};

use super::graphs::{Case, Draft, RELU, SIGNED, weights};

/// Each of `values` elements of one tensor.
fn view(elements: impl IntoIterator<Item = u32>) -> IntOp {
    IntOp::View { sources: elements.into_iter().map(|element| Source::Element(0, element)).collect() }
}

/// `[1, 4, 4]` to three scores.
pub(crate) fn network() -> Case {
    let mut draft = Draft::new("network");
    let x = draft.input(16, 16);
    let shape = LinearShape::Conv2d(Conv2d {
        channels: 1,
        first_channel: 0,
        input: [4, 4],
        output: [3, 3],
        kernel: [2, 2],
        stride: [1, 1],
        dilation: [1, 1],
        pad_before: [0, 0],
    });
    let (weight, bias) = (draft.param(weights(8, 300)), Some(draft.param(weights(2, 9000))));
    let op = IntOp::Linear { shape, width: 2, weight, bias, rescale: Rescale { shift: 8, kind: RELU } };
    let features = draft.node(op, &[x], 18);
    let corners = [0, 1, 3, 4].map(|position| 2 * position);
    let windows = draft.node(view(corners.into_iter().chain(corners.map(|i| i + 1))), &[features], 8);
    let pooled = draft.node(IntOp::Max { group: 4 }, &[windows], 2);
    let (weight, bias) = (draft.param(weights(6, 200)), Some(draft.param(weights(3, 4000))));
    let shape = LinearShape::Dense { rows: 1, inner: 2 };
    let op = IntOp::Linear { shape, width: 3, weight, bias, rescale: Rescale { shift: 7, kind: SIGNED } };
    let scores = draft.node(op, &[pooled], 3);
    let best = draft.node(IntOp::Max { group: 3 }, &[scores], 1);
    let best = draft.node(view([0, 0, 0]), &[best], 3);
    let rescale = Rescale { shift: 0, kind: SIGNED };
    let below = draft.node(IntOp::Add { ca: 1, cb: -1, c: 0, rescale }, &[scores, best], 3);
    let table = (0..INTERPOLATION_POINTS as i64).map(|i| 100 * i).collect();
    let op = IntOp::Function { name: "ramp".to_owned(), table, rescale: Rescale { shift: 8, kind: SIGNED } };
    let shares = draft.node(op, &[below], 3);
    let total = draft.node(IntOp::Sum { group: 3, c: 1, rescale: Rescale::EXACT }, &[shares], 1);
    let total = draft.node(view([0, 0, 0]), &[total], 3);
    let y = draft.node(IntOp::Div { shift: 12 }, &[shares, total], 3);
    Case { name: "network", graph: draft.output(y), inputs: vec![weights(16, 400)] }
}
