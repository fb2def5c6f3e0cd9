//! From the integer graph to rows.

use vouch_graph::int::{IntGraph, IntNode, IntOp, Rescale, Source, Visibility};

use crate::{
    error::CircuitError,
    gadget::{
        arith::Term,
        linear::LinearLayer,
        rescale::{Mode, SHIFT},
    },
    layout::{Builder, Hints, Layout, Num},
};

/// Lays out the whole graph for the given inputs, in the graph's order.
///
/// Public inputs' words become instances first, then public outputs' words.
pub(crate) fn lay_out(
    graph: &IntGraph,
    lanes: usize,
    weight_offset: i128,
    inputs: &[Vec<i64>],
    hints: &mut dyn Hints,
) -> Result<(Layout, Vec<Vec<i64>>), CircuitError> {
    let mut builder = Builder::new(lanes, weight_offset, hints);
    let mut tensors: Vec<Vec<Num>> = vec![Vec::new(); graph.tensors.len()];
    for (index, port) in graph.inputs.iter().enumerate() {
        let tensor = graph.tensor(port.tensor);
        builder.enter(&tensor.name);
        let values = inputs.get(index).map(Vec::as_slice).unwrap_or_default();
        if values.len() != tensor.len() {
            return Err(CircuitError::InputLength { index, expected: tensor.len(), got: values.len() });
        }
        tensors[port.tensor.0] = values
            .iter()
            .map(|value| builder.fresh(i128::from(*value), port.packing.bits))
            .collect::<Result<_, _>>()?;
    }
    for port in graph.inputs.iter().filter(|port| port.visibility == Visibility::Public) {
        builder.expose(&tensors[port.tensor.0], port.packing)?;
    }
    for node in &graph.nodes {
        builder.enter(&node.name);
        let output = lay_out_node(&mut builder, graph, node, &tensors)?;
        if output.len() != graph.tensor(node.output).len() {
            return Err(builder.malformed("the operation's output and its tensor differ in size"));
        }
        tensors[node.output.0] = output;
    }
    for port in graph.outputs.iter().filter(|port| port.visibility == Visibility::Public) {
        let tensor = graph.tensor(port.tensor);
        builder.enter(&tensor.name);
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
    node: &IntNode,
    tensors: &[Vec<Num>],
) -> Result<Vec<Num>, CircuitError> {
    let input = |i: usize| -> Result<&[Num], CircuitError> {
        let tensor = node.inputs.get(i).and_then(|id| tensors.get(id.0));
        tensor.map(Vec::as_slice).ok_or_else(|| builder.malformed("an operand is missing"))
    };
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
            };
            builder.linear(&layer, x)
        }
        IntOp::Add { ca, cb, c, rescale } => {
            let (a, b) = (input(0)?, input(1)?);
            let (ca, cb) = (i128::from(*ca), i128::from(*cb));
            let terms = a.iter().zip(b).map(|(a, b)| [Term::Scaled(ca, *a), Term::Scaled(cb, *b)]);
            terms.map(|terms| rescaled_sum(builder, &terms, i128::from(*c), *rescale)).collect()
        }
        IntOp::Mul { c, rescale } => {
            let (a, b) = (input(0)?, input(1)?);
            let terms = a.iter().zip(b).map(|(a, b)| [Term::Product(i128::from(*c), *a, *b)]);
            terms.map(|terms| rescaled_sum(builder, &terms, 0, *rescale)).collect()
        }
        IntOp::Affine { scale, offset, rescale } => {
            let a = input(0)?;
            let of = |values: &[i64], i: usize| -> Option<i128> {
                let one_for_all = values.len() == 1;
                values.get(if one_for_all { 0 } else { i }).map(|v| i128::from(*v))
            };
            let mut out = Vec::with_capacity(a.len());
            for (i, a) in a.iter().enumerate() {
                let (Some(scale), Some(offset)) = (of(scale, i), of(offset, i)) else {
                    return Err(builder.malformed("factors and operand differ in size"));
                };
                out.push(rescaled_sum(builder, &[Term::Scaled(scale, *a)], offset, *rescale)?);
            }
            Ok(out)
        }
        IntOp::Sum { group, c, rescale } => {
            let groups = input(0)?.chunks(*group).map(<[Num]>::to_vec).collect::<Vec<_>>();
            let terms = groups.iter().map(|group| group.iter().map(|a| Term::Scaled(i128::from(*c), *a)).collect());
            terms.map(|terms: Vec<_>| rescaled_sum(builder, &terms, 0, *rescale)).collect()
        }
        IntOp::MatMul { rows, inner, cols, rescale } => {
            let (a, b) = (input(0)?, input(1)?);
            let mut out = Vec::with_capacity(rows * cols);
            for i in 0..*rows {
                for j in 0..*cols {
                    let product = |l: usize| Term::Product(1, a[i * inner + l], b[l * cols + j]);
                    let terms: Vec<_> = (0..*inner).map(product).collect();
                    out.push(rescaled_sum(builder, &terms, 0, *rescale)?);
                }
            }
            Ok(out)
        }
        IntOp::Max { group } => {
            let groups = input(0)?.chunks(*group).map(<[Num]>::to_vec).collect::<Vec<_>>();
            groups.iter().map(|group| builder.maximum(group)).collect()
        }
        IntOp::Function { table, rescale, .. } => {
            let a = input(0)?;
            let Some(mode) = Mode::of(rescale.kind) else {
                return Err(builder.malformed("a function has no rescale"));
            };
            let tag = builder.function_tag(table);
            a.iter().map(|a| builder.function(*a, tag, *rescale, mode)).collect()
        }
        IntOp::Div { shift } => {
            let (a, b) = (input(0)?, input(1)?);
            a.iter().zip(b).map(|(a, b)| builder.divide(*a, *b, *shift)).collect()
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
