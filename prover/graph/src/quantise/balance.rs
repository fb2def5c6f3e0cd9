use super::scale::Adjustments;
use crate::{
    calibrate::Ranges,
    float::{Element, FloatGraph, FloatId, FloatOp},
    int::{MAX_SHIFT, power_of_two},
};

/// Most bits that a tensor gives to the weights of its readers.
const MOST: i32 = 4;

/// A linear layer that reads a tensor, perhaps through views, maxima and exact sums.
struct Reader {
    /// Exponent of the layer's output.
    output: i32,
    /// How much finer the layer's input is than the tensor.
    finer: i32,
    /// Tensor elements that one input of the layer sums.
    group: usize,
    /// Products summed for one output.
    inner: usize,
    mean_square_input: f64,
    mean_square_weight: f64,
}

impl Reader {
    /// Expected square of the rounding error in one output, in squares of the output's unit, where
    /// the tensor has the given exponent.
    ///
    /// A layer divides by `2^16` at the most, so the exponents of input and weights add up to a
    /// constant: what the one gains in bits the other loses.
    fn noise(&self, exponent: i32) -> f64 {
        let weight = MAX_SHIFT as i32 + self.output - exponent - self.finer;
        let square = |e: i32| (-2.0 * f64::from(e)).exp2();
        let weights = self.mean_square_input * square(weight);
        let inputs = self.mean_square_weight * square(exponent) / self.group as f64;
        self.inner as f64 * (weights + inputs) / square(self.output)
    }
}

/// Lowers the exponents of tensors that only linear layers read to where the rounding of the
/// tensor and the rounding of the weights together do least harm; those of any tensor as they are adjusted.
pub(super) fn balance(
    graph: &FloatGraph,
    ranges: &Ranges,
    (classes, adjustments): (&[usize], &Adjustments),
    exponents: &mut [i32],
) {
    let mut done = vec![false; exponents.len()];
    let sources = graph.nodes.iter().rev().map(|n| n.output).chain(graph.inputs.iter().copied());
    let mut members: Vec<Vec<FloatId>> = vec![Vec::new(); classes.len()];
    for (t, class) in classes.iter().enumerate() {
        members[*class].push(FloatId(t));
    }
    for id in sources {
        let class = classes[id.0];
        if std::mem::replace(&mut done[class], true) {
            continue;
        }
        let members = std::mem::take(&mut members[class]);
        let mut readers = Vec::new();
        let only_layers = members.iter().all(|m| {
            graph.tensor(*m).element == Element::Real
                && !graph.outputs.contains(m)
                && collect(graph, ranges, exponents, *m, (0, 1), &mut readers)
        });
        let exponent = exponents[id.0];
        let noise = |d: i32| readers.iter().map(|r| r.noise(exponent - d)).sum::<f64>();
        let best = if only_layers && !readers.is_empty() {
            (0..=MOST).min_by(|a, b| noise(*a).total_cmp(&noise(*b))).unwrap_or(0)
        } else {
            0
        };
        let levels = (best + adjustments.of(class)).max(0);
        for member in members {
            exponents[member.0] -= levels;
        }
    }
}

/// Adds the layers that read a tensor; false where something else does.
fn collect(
    graph: &FloatGraph,
    ranges: &Ranges,
    exponents: &[i32],
    id: FloatId,
    (finer, group): (i32, usize),
    readers: &mut Vec<Reader>,
) -> bool {
    graph.nodes.iter().filter(|n| n.inputs.contains(&id)).all(|node| match &node.op {
        FloatOp::Linear { shape, weight, .. } => {
            let squares: f64 = weight.iter().map(|w| w * w).sum();
            readers.push(Reader {
                output: exponents[node.output.0],
                finer,
                group,
                inner: shape.inner(),
                mean_square_input: ranges.tensor(id).mean_square,
                mean_square_weight: squares / weight.len().max(1) as f64,
            });
            true
        }
        // These are members of the tensor's class, and visited as such.
        FloatOp::View { .. } | FloatOp::Max { .. } | FloatOp::Select => true,
        FloatOp::Sum { group: n, c } => {
            let power = power_of_two(*c);
            power.is_some_and(|power| {
                collect(graph, ranges, exponents, node.output, (finer - power, group * n), readers)
            })
        }
        _ => false,
    })
}
