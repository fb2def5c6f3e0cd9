//! The reference executor: what an integer graph computes, and which inputs have a proof.

use crate::{
    GraphError,
    calibrate::MASKED,
    data::Sample,
    float::{Element, InputSpec},
    int::{
        DENOMINATOR, IntGraph, IntNode, IntOp, Interval, QUOTIENT, Rescale, RescaleKind, SEGMENT_BITS, Source,
        TensorId, VALUE_BITS, one_or_each,
    },
};

/// Values of every tensor of an integer graph, addressed by [`TensorId`], each row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// One list a tensor.
    pub tensors: Vec<Vec<i64>>,
}

impl Trace {
    /// Values of a tensor.
    #[must_use]
    pub fn tensor(&self, id: TensorId) -> &[i64] {
        self.tensors.get(id.0).map_or(&[], Vec::as_slice)
    }
}

/// Runs a valid graph (see [`IntGraph::validate`]) on integer inputs, in the order of its ports.
///
/// # Errors
/// Where an input has the wrong size, or a value leaves the bounds that the circuit enforces: then
/// no proof exists for the inputs.
pub fn execute(graph: &IntGraph, inputs: &[Vec<i64>]) -> Result<Trace, GraphError> {
    if inputs.len() != graph.inputs.len() {
        return Err(GraphError::InputCount { expected: graph.inputs.len(), got: inputs.len() });
    }
    let mut tensors = vec![Vec::new(); graph.tensors.len()];
    for (port, values) in graph.inputs.iter().zip(inputs) {
        let tensor = graph.tensor(port.tensor);
        if values.len() != tensor.len() {
            return Err(GraphError::InputLength {
                input: tensor.name.clone(),
                expected: tensor.len(),
                got: values.len(),
            });
        }
        for (index, v) in values.iter().enumerate() {
            in_bound(&tensor.name, index, i128::from(*v), tensor.range)?;
        }
        tensors[port.tensor.0].clone_from(values);
    }
    for node in &graph.nodes {
        let read: Vec<&[i64]> = node.inputs.iter().map(|id| tensors[id.0].as_slice()).collect();
        let out = run_node(graph, node, &read)?;
        tensors[node.output.0] = out;
    }
    Ok(Trace { tensors })
}

fn in_bound(tensor: &str, index: usize, value: i128, bound: Interval) -> Result<(), GraphError> {
    if bound.contains(value) {
        return Ok(());
    }
    Err(GraphError::OutOfRange { tensor: tensor.to_owned(), index, value, bound })
}

/// One operation; the graph is valid, so indices and sizes agree.
pub(crate) fn run_node(graph: &IntGraph, node: &IntNode, inputs: &[&[i64]]) -> Result<Vec<i64>, GraphError> {
    let name = graph.tensor(node.output).name.as_str();
    let wide = i128::from;
    let finish = |rescale: &Rescale, accs: &mut dyn Iterator<Item = i128>| {
        accs.enumerate().map(|(i, acc)| rescaled(name, *rescale, i, acc)).collect()
    };
    match (&node.op, inputs) {
        (IntOp::Linear { shape, width, weight, bias, rescale }, [x]) => {
            let weight = &graph.params[*weight].values;
            let start: Vec<i128> = match bias {
                Some(b) => graph.params[*b].values.iter().map(|v| wide(*v)).collect(),
                None => vec![0; *width],
            };
            let mut out = Vec::with_capacity(shape.positions() * width);
            let mut acc = start.clone();
            for p in 0..shape.positions() {
                acc.copy_from_slice(&start);
                for l in 0..shape.inner() {
                    let Some(i) = shape.index(p, l) else { continue };
                    let row = &weight[l * width..(l + 1) * width];
                    for (a, w) in acc.iter_mut().zip(row) {
                        *a += wide(x[i]) * wide(*w);
                    }
                }
                for (o, a) in acc.iter().enumerate() {
                    out.push(rescaled(name, *rescale, p * width + o, *a)?);
                }
            }
            Ok(out)
        }
        (IntOp::Add { ca, cb, c, rescale }, [a, b]) => {
            finish(rescale, &mut a.iter().zip(*b).map(|(a, b)| wide(*ca) * wide(*a) + wide(*cb) * wide(*b) + wide(*c)))
        }
        (IntOp::Mul { c, rescale }, [a, b]) => {
            finish(rescale, &mut a.iter().zip(*b).map(|(a, b)| wide(*c) * wide(*a) * wide(*b)))
        }
        (IntOp::Affine { scale, offset, rescale }, [a]) => finish(
            rescale,
            &mut a
                .iter()
                .enumerate()
                .map(|(i, a)| wide(one_or_each(scale, i)) * wide(*a) + wide(one_or_each(offset, i))),
        ),
        (IntOp::Sum { group, c, rescale }, [a]) => {
            finish(rescale, &mut a.chunks(*group).map(|g| wide(*c) * g.iter().map(|v| wide(*v)).sum::<i128>()))
        }
        (IntOp::MatMul { rows, inner, cols, rescale }, [a, b]) => finish(
            rescale,
            &mut (0..rows * cols).map(|at| {
                let (i, j) = (at / cols, at % cols);
                (0..*inner).map(|l| wide(a[i * inner + l]) * wide(b[l * cols + j])).sum()
            }),
        ),
        (IntOp::Max { group }, [a]) => a.chunks(*group).enumerate().map(|(i, g)| greatest(name, i, g)).collect(),
        (IntOp::Function { table, rescale, .. }, [a]) => {
            let bound = Interval::signed(VALUE_BITS);
            let read = &graph.tensor(node.inputs[0]).name;
            a.iter()
                .enumerate()
                .map(|(i, v)| {
                    in_bound(read, i, wide(*v), bound)?;
                    rescaled(name, *rescale, i, interpolate(table, *v))
                })
                .collect()
        }
        (IntOp::Div { shift }, [a, b]) => a
            .iter()
            .zip(*b)
            .enumerate()
            .map(|(i, (a, b))| {
                let denominator = &graph.tensor(node.inputs[1]).name;
                in_bound(denominator, i, wide(*b), DENOMINATOR)?;
                let y = ((wide(*a) << (shift + 1)) + wide(*b)).div_euclid(2 * wide(*b));
                in_bound(name, i, y, Interval::signed(VALUE_BITS))?;
                Ok(y as i64)
            })
            .collect(),
        (IntOp::Sqrt { shift }, [a]) => {
            let read = &graph.tensor(node.inputs[0]).name;
            a.iter()
                .enumerate()
                .map(|(i, a)| {
                    in_bound(read, i, wide(*a), Interval { lo: 0, hi: i128::from(i64::MAX) })?;
                    let y = (wide(*a) << shift).isqrt();
                    in_bound(name, i, y, QUOTIENT)?;
                    Ok(y as i64)
                })
                .collect()
        }
        (IntOp::Indicator { condition }, [a]) => Ok(a.iter().map(|a| i64::from(condition.holds(*a))).collect()),
        (IntOp::Select, [c, a, b]) => {
            Ok(c.iter().zip(a.iter().zip(*b)).map(|(c, (a, b))| if *c == 0 { *b } else { *a }).collect())
        }
        (IntOp::View { sources }, inputs) => Ok(sources
            .iter()
            .map(|s| match s {
                Source::Element(input, index) => inputs[*input as usize][*index as usize],
                Source::Constant(c) => *c,
            })
            .collect()),
        _ => Err(GraphError::InvalidGraph {
            place: node.name.clone(),
            reason: format!("it reads {} tensors", inputs.len()),
        }),
    }
}

/// From accumulator to output; the rounded value must lie in the bound of the rescale's kind.
fn rescaled(tensor: &str, rescale: Rescale, index: usize, acc: i128) -> Result<i64, GraphError> {
    let v = rescale.divided(acc);
    if let Some(bound) = rescale.bound() {
        in_bound(tensor, index, v, bound)?;
    }
    let v = if rescale.kind == RescaleKind::Relu { v.max(0) } else { v };
    i64::try_from(v).map_err(|_| GraphError::OutOfRange {
        tensor: tensor.to_owned(),
        index,
        value: v,
        bound: Interval::signed(64),
    })
}

/// The greatest of a group whose elements differ by less than `2^16`.
fn greatest(tensor: &str, index: usize, group: &[i64]) -> Result<i64, GraphError> {
    const LIMIT: i128 = 1 << VALUE_BITS;
    let hi = group.iter().copied().max().unwrap_or(0);
    let lo = group.iter().copied().min().unwrap_or(0);
    let spread = i128::from(hi) - i128::from(lo);
    if spread >= LIMIT {
        return Err(GraphError::Spread { tensor: tensor.to_owned(), index, spread, limit: LIMIT });
    }
    Ok(hi)
}

/// `table[hi] * 2^8 + (table[hi + 1] - table[hi]) * lo` for `a + 2^15 = hi * 2^8 + lo`.
pub(crate) fn interpolate(table: &[i64], a: i64) -> i128 {
    let at = (a + (1 << (VALUE_BITS - 1))) as usize;
    let (hi, lo) = (at >> SEGMENT_BITS, at & ((1 << SEGMENT_BITS) - 1));
    let (left, right) = (i128::from(table[hi]), i128::from(table[hi + 1]));
    (left << SEGMENT_BITS) + (right - left) * lo as i128
}

/// What each input of an integer graph expects, for reading data files.
#[must_use]
pub fn input_specs(graph: &IntGraph) -> Vec<InputSpec> {
    graph
        .inputs
        .iter()
        .map(|port| {
            let t = graph.tensor(port.tensor);
            let element = if port.is_integer(t) { Element::Integer } else { Element::Real };
            InputSpec { name: t.name.clone(), shape: t.shape.clone(), element }
        })
        .collect()
}

/// Integer inputs from real ones.
///
/// # Errors
/// Where the sample does not fit the inputs, holds what is no finite number (other than minus infinity where
/// calibration showed it), or leaves the calibrated range.
pub fn quantise_inputs(graph: &IntGraph, sample: &Sample) -> Result<Vec<Vec<i64>>, GraphError> {
    sample.check(&input_specs(graph))?;
    for (port, values) in graph.inputs.iter().zip(&sample.inputs).filter(|(port, _)| port.minus_infinity.is_none()) {
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            let input = graph.tensor(port.tensor).name.clone();
            return Err(GraphError::NotFiniteInput { input, index, value: values[index].to_string() });
        }
    }
    graph
        .inputs
        .iter()
        .zip(&sample.inputs)
        .map(|(port, values)| {
            let t = graph.tensor(port.tensor);
            let (lo, hi) = (t.range.lo as f64, t.range.hi as f64);
            values
                .iter()
                .enumerate()
                .map(|(index, value)| {
                    let q = t.exponent.quantise(*value);
                    match port.minus_infinity {
                        Some(stand_in) if *value <= MASKED => return Ok(stand_in),
                        // A finite number that low would be taken for minus infinity.
                        Some(stand_in) if q <= stand_in as f64 => {}
                        _ if q >= lo && q <= hi => return Ok(q as i64),
                        _ => {}
                    }
                    let least = port.minus_infinity.map_or(t.range.lo as i64, |stand_in| stand_in + 1);
                    Err(GraphError::InputRange {
                        input: t.name.clone(),
                        index,
                        value: *value,
                        lo: t.exponent.dequantise(least),
                        hi: t.exponent.dequantise(t.range.hi as i64),
                    })
                })
                .collect()
        })
        .collect()
}

/// Real outputs of a trace, in the order of the graph's ports.
#[must_use]
pub fn dequantise_outputs(graph: &IntGraph, trace: &Trace) -> Vec<Vec<f64>> {
    graph
        .outputs
        .iter()
        .map(|port| {
            let tensor = graph.tensor(port.tensor);
            trace.tensor(port.tensor).iter().map(|q| port.real(tensor, *q)).collect()
        })
        .collect()
}
