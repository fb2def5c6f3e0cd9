//! From the integer graph to rows.

use vouch_graph::int::{IntGraph, IntOp, Rescale, Source, Visibility};

use crate::{
    error::CircuitError,
    gadget::{
        arith::Term,
        linear::LinearLayer,
        rescale::{Mode, SHIFT},
    },
    layout::{Builder, Hints, Layout, Num},
    map::Purpose,
    schedule::{Schedule, by_identity},
    shape::Shape,
};

/// Lays out the whole graph for the given inputs, in the graph's order. Of the shape it takes lanes and limbs.
///
/// Public inputs' words become instances first, then public outputs' words.
pub(crate) fn lay_out(
    graph: &IntGraph,
    shape: &Shape,
    inputs: &[Vec<i64>],
    hints: &mut dyn Hints,
) -> Result<(Layout, Vec<Vec<i64>>), CircuitError> {
    let schedule = Schedule::of(graph);
    let mut builder = Builder::new(shape, hints);
    let mut tensors: Vec<Vec<Num>> = vec![Vec::new(); graph.tensors.len()];
    for (index, port) in graph.inputs.iter().enumerate() {
        let tensor = graph.tensor(port.tensor);
        builder.enter(&tensor.name, Purpose::Input);
        let values = inputs.get(index).map(Vec::as_slice).unwrap_or_default();
        if values.len() != tensor.len() {
            return Err(CircuitError::InputLength { index, expected: tensor.len(), got: values.len() });
        }
        let public = port.visibility == Visibility::Public;
        let wanted = &schedule.wanted[port.tensor.0];
        tensors[port.tensor.0] = builder.input(values, port.packing, public, wanted)?;
    }
    for (at, node) in graph.nodes.iter().enumerate() {
        builder.enter(&node.name, Purpose::of(&node.op));
        let output = lay_out_node(&mut builder, graph, &schedule, at, &tensors)?;
        if output.len() != graph.tensor(node.output).len() {
            return Err(builder.malformed("the operation's output and its tensor differ in size"));
        }
        tensors[node.output.0] = output;
    }
    for port in graph.outputs.iter().filter(|port| port.visibility == Visibility::Public) {
        let tensor = graph.tensor(port.tensor);
        builder.enter(&tensor.name, Purpose::Output);
        // Packing is one-to-one for values of its width only: a wider one would carry into the next.
        if tensor.range.signed_bits() > port.packing.bits {
            return Err(builder.malformed("the output's values do not fit its packing"));
        }
        builder.expose(&tensors[port.tensor.0], port.packing)?;
    }
    let outputs = graph
        .outputs
        .iter()
        .map(|port| tensors[port.tensor.0].iter().map(|num| num.value() as i64).collect())
        .collect();
    Ok((builder.finish(), outputs))
}

fn lay_out_node(
    builder: &mut Builder<'_>,
    graph: &IntGraph,
    schedule: &Schedule,
    at: usize,
    tensors: &[Vec<Num>],
) -> Result<Vec<Num>, CircuitError> {
    let node = &graph.nodes[at];
    let input = |i: usize| -> Result<&[Num], CircuitError> {
        let tensor = node.inputs.get(i).and_then(|id| tensors.get(id.0));
        tensor.map(Vec::as_slice).ok_or_else(|| builder.malformed("an operand is missing"))
    };
    let wanted = schedule.wanted[node.output.0].as_slice();
    let len = graph.tensor(node.output).len();
    match &node.op {
        IntOp::Linear { shape, width, weight, bias, rescale } => {
            let x = input(0)?;
            let Some(mode) = Mode::of(rescale.kind) else {
                return Err(builder.malformed("a linear layer has no rescale"));
            };
            let layer = LinearLayer {
                shape,
                width: *width,
                weights: &graph.params[*weight].values,
                bias: bias.map(|bias| graph.params[bias].values.as_slice()),
                rescale: *rescale,
                mode,
                geometry: schedule.geometries[at].as_ref(),
                wanted,
            };
            builder.linear(&layer, x)
        }
        IntOp::Add { ca, cb, c, rescale } => {
            let (a, b) = (input(0)?, input(1)?);
            let (ca, cb) = (i128::from(*ca), i128::from(*cb));
            builder.emit(len, wanted, |builder, i| {
                let terms = [Term::Scaled(ca, a[i]), Term::Scaled(cb, b[i])];
                rescaled_sum(builder, &terms, i128::from(*c), *rescale)
            })
        }
        IntOp::Mul { c, rescale } => {
            let (a, b) = (input(0)?, input(1)?);
            builder.emit(len, wanted, |builder, i| {
                rescaled_sum(builder, &[Term::Product(i128::from(*c), a[i], b[i])], 0, *rescale)
            })
        }
        IntOp::Affine { scale, offset, rescale } => {
            let a = input(0)?;
            builder.emit(len, wanted, |builder, i| {
                let of = |values: &[i64]| values.get(if values.len() == 1 { 0 } else { i }).map(|v| i128::from(*v));
                let (Some(scale), Some(offset)) = (of(scale), of(offset)) else {
                    return Err(builder.malformed("factors and operand differ in size"));
                };
                rescaled_sum(builder, &[Term::Scaled(scale, a[i])], offset, *rescale)
            })
        }
        IntOp::Sum { group, c, rescale } => {
            let a = input(0)?;
            builder.emit(len, wanted, |builder, i| {
                let group = &a[i * group..(i + 1) * group];
                let terms: Vec<_> = group.iter().map(|a| Term::Scaled(i128::from(*c), *a)).collect();
                rescaled_sum(builder, &terms, 0, *rescale)
            })
        }
        IntOp::MatMul { rows, inner, cols, rescale } => {
            let (a, b) = (input(0)?, input(1)?);
            match Mode::of(rescale.kind) {
                Some(mode) if by_identity(*rows, *inner, *cols, rescale.kind) => {
                    builder.matrix_product([*rows, *inner, *cols], (a, b), (*rescale, mode), wanted)
                }
                _ => builder.emit(len, wanted, |builder, at| {
                    let (i, j) = (at / cols, at % cols);
                    let product = |l: usize| Term::Product(1, a[i * inner + l], b[l * cols + j]);
                    let terms: Vec<_> = (0..*inner).map(product).collect();
                    rescaled_sum(builder, &terms, 0, *rescale)
                }),
            }
        }
        IntOp::Max { group } => {
            let a = input(0)?;
            builder.emit(len, wanted, |builder, i| builder.maximum(&a[i * group..(i + 1) * group]))
        }
        IntOp::Function { table, rescale, .. } => {
            let a = input(0)?;
            let Some(mode) = Mode::of(rescale.kind) else {
                return Err(builder.malformed("a function has no rescale"));
            };
            let tag = builder.function_tag(table);
            builder.emit(len, wanted, |builder, i| builder.function(a[i], tag, *rescale, mode))
        }
        IntOp::Div { shift } => {
            let (a, b) = (input(0)?, input(1)?);
            builder.emit(len, wanted, |builder, i| builder.divide(a[i], b[i], *shift))
        }
        IntOp::Sqrt { shift } => {
            let a = input(0)?;
            builder.emit(len, wanted, |builder, i| builder.root(a[i], *shift))
        }
        IntOp::Indicator { condition } => {
            let a = input(0)?;
            builder.emit(len, wanted, |builder, i| builder.indicator(a[i], *condition))
        }
        IntOp::Select => {
            let (c, a, b) = (input(0)?, input(1)?, input(2)?);
            builder.emit(len, wanted, |builder, i| builder.select(c[i], a[i], b[i]))
        }
        IntOp::View { sources } => sources
            .iter()
            .map(|source| match source {
                Source::Constant(value) => builder.constant(i128::from(*value)),
                Source::Element(tensor, index) => {
                    let tensor = node.inputs.get(*tensor as usize).and_then(|id| tensors.get(id.0));
                    let element = tensor.and_then(|tensor| tensor.get(*index as usize));
                    element.copied().ok_or_else(|| builder.malformed("a view reads outside its operand"))
                }
            })
            .collect(),
    }
}

/// `rescale(sum of terms + constant)`.
fn rescaled_sum(
    builder: &mut Builder<'_>,
    terms: &[Term],
    constant: i128,
    rescale: Rescale,
) -> Result<Num, CircuitError> {
    let Some(mode) = Mode::of(rescale.kind) else {
        builder.sum_rows(terms, constant)?;
        return builder.last_num();
    };
    let scale = 1i128 << (SHIFT - rescale.shift);
    let scaled: Vec<_> = terms
        .iter()
        .map(|term| match *term {
            Term::Scaled(c, a) => Term::Scaled(c * scale, a),
            Term::Product(c, a, b) => Term::Product(c * scale, a, b),
        })
        .collect();
    builder.sum_rows(&scaled, constant * scale)?;
    builder.rescale_last(mode)
}
