use super::{FloatGraph, FloatId, FloatNode, FloatOp, FloatSource, Quotient};
use crate::{
    calibrate::{MASKED, MINUS_INFINITY, Range},
    data::Sample,
};

/// Every intermediate value of one evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatTrace {
    /// Values of each tensor, row-major, addressed by [`super::FloatId`].
    pub tensors: Vec<Vec<f64>>,
    /// Range of what each node computes before its activation.
    pub before_activation: Vec<Range>,
}

/// Evaluates every node in order; the sample fits the inputs.
pub(super) fn trace(graph: &FloatGraph, sample: &Sample) -> FloatTrace {
    let mut tensors = vec![Vec::new(); graph.tensors.len()];
    for (id, values) in graph.inputs.iter().zip(&sample.inputs) {
        // As constants of a model have it.
        let finite = |v: &f64| if *v <= MASKED { MINUS_INFINITY } else { *v };
        tensors[id.0] = values.iter().map(finite).collect();
    }
    let mut before_activation = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let inputs: Vec<&[f64]> = node.inputs.iter().map(|i| tensors[i.0].as_slice()).collect();
        let mut out = evaluate(&node.op, &inputs);
        before_activation.push(Range::of(&out));
        for v in &mut out {
            *v = node.activation.apply(*v);
        }
        tensors[node.output.0] = out;
    }
    FloatTrace { tensors, before_activation }
}

impl FloatNode {
    /// The node's output for its inputs' values.
    pub(crate) fn evaluate(&self, inputs: &[&[f64]]) -> Vec<f64> {
        let mut out = evaluate(&self.op, inputs);
        for v in &mut out {
            *v = self.activation.apply(*v);
        }
        out
    }
}

impl FloatGraph {
    /// The tensors that change, where one tensor of an evaluation takes other values; `None` for the others.
    pub(crate) fn retrace(&self, trace: &FloatTrace, id: FloatId, values: Vec<f64>) -> Vec<Option<Vec<f64>>> {
        let mut changed = vec![None; self.tensors.len()];
        changed[id.0] = Some(values);
        for node in &self.nodes {
            if node.output == id || node.inputs.iter().all(|i| changed[i.0].is_none()) {
                continue;
            }
            let read = |i: &FloatId| changed[i.0].as_ref().unwrap_or(&trace.tensors[i.0]).as_slice();
            let inputs: Vec<&[f64]> = node.inputs.iter().map(read).collect();
            changed[node.output.0] = Some(node.evaluate(&inputs));
        }
        changed
    }
}

/// Least and greatest of the values; zeros where there are none.
pub(crate) fn bounds(values: &[f64]) -> (f64, f64) {
    let Some(first) = values.first() else { return (0.0, 0.0) };
    values.iter().fold((*first, *first), |(lo, hi), v| (lo.min(*v), hi.max(*v)))
}

/// One operation, before its activation.
pub(super) fn evaluate(op: &FloatOp, inputs: &[&[f64]]) -> Vec<f64> {
    match (op, inputs) {
        (FloatOp::Linear { shape, width, weight, bias, .. }, [x, ..]) => {
            let mut out = Vec::with_capacity(shape.positions() * width);
            for p in 0..shape.positions() {
                let mut acc = bias.clone().unwrap_or_else(|| vec![0.0; *width]);
                for l in 0..shape.inner() {
                    if let Some(i) = shape.index(p, l) {
                        let row = &weight[l * width..(l + 1) * width];
                        for (a, w) in acc.iter_mut().zip(row) {
                            *a += x[i] * w;
                        }
                    }
                }
                out.append(&mut acc);
            }
            out
        }
        (FloatOp::Add { ca, cb, c }, [a, b, ..]) => a.iter().zip(*b).map(|(a, b)| ca * a + cb * b + c).collect(),
        (FloatOp::Mul { c }, [a, b, ..]) => a.iter().zip(*b).map(|(a, b)| c * a * b).collect(),
        (FloatOp::Affine { scale, offset }, [a, ..]) => {
            a.iter().enumerate().map(|(i, a)| one_or_each(scale, i) * a + one_or_each(offset, i)).collect()
        }
        (FloatOp::Sum { group, c }, [a, ..]) => a.chunks(*group).map(|g| c * g.iter().sum::<f64>()).collect(),
        (FloatOp::MatMul { rows, inner, cols }, [a, b, ..]) => {
            let mut out = vec![0.0; rows * cols];
            for i in 0..*rows {
                for l in 0..*inner {
                    let left = a[i * inner + l];
                    for j in 0..*cols {
                        out[i * cols + j] += left * b[l * cols + j];
                    }
                }
            }
            out
        }
        (FloatOp::Max { group }, [a, ..]) => a.chunks(*group).map(|g| bounds(g).1).collect(),
        (FloatOp::Function { function, centre }, [a, ..]) => a.iter().map(|x| function.value(x - centre)).collect(),
        (FloatOp::Div { quotient }, [a, b, ..]) => {
            let divided = a.iter().zip(*b).map(|(a, b)| a / b);
            match quotient {
                Quotient::Integer => divided.map(|q| (q + 0.5).floor()).collect(),
                Quotient::Share | Quotient::Real => divided.collect(),
            }
        }
        (FloatOp::Sqrt, [a, ..]) => a.iter().map(|x| x.max(0.0).sqrt()).collect(),
        (FloatOp::Floor, [a, ..]) => a.iter().map(|x| x.floor()).collect(),
        (FloatOp::Indicator { condition }, [a, ..]) => {
            a.iter().map(|x| f64::from(u8::from(condition.holds(*x)))).collect()
        }
        (FloatOp::Select, [c, a, b, ..]) => {
            c.iter().zip(a.iter().zip(*b)).map(|(c, (a, b))| if *c == 0.0 { *b } else { *a }).collect()
        }
        (FloatOp::View { sources }, inputs) => sources
            .iter()
            .map(|s| match s {
                FloatSource::Element(input, index) => inputs[*input as usize][*index as usize],
                FloatSource::Constant(c) => *c,
            })
            .collect(),
        // The builder gives every operation the inputs it reads.
        _ => Vec::new(),
    }
}

/// Element `i` of a list that has one element for all or one for each.
pub(crate) fn one_or_each<T: Copy>(list: &[T], i: usize) -> T {
    if list.len() == 1 { list[0] } else { list[i] }
}
