//! Linear layers and products of matrices.

use super::{
    Meaning,
    propagate::{Pass, Read},
    state::{Errors, Reach, State, outward, product},
};
use crate::{
    float::FloatOp,
    int::{IntNode, LinearShape, Rescale},
};

/// Products beyond which a layer counts with the largest error of its operand in place of each.
const MOST_PRODUCTS: usize = 1 << 28;

/// A linear layer of the integer graph.
pub(super) struct Layer<'a> {
    pub(super) shape: &'a LinearShape,
    pub(super) width: usize,
    pub(super) weight: &'a [i64],
    pub(super) bias: Option<&'a [i64]>,
    pub(super) rescale: Rescale,
}

/// Sums over the rows of a layer's weights, one for each column.
struct Columns {
    /// Of the ideal weights' magnitudes.
    magnitude: Vec<f64>,
    /// Of what rounding added to the weights, and of its magnitudes.
    moved: Vec<f64>,
    blurred: Vec<f64>,
    /// Of the positive and of the negative weights.
    positive: Vec<f64>,
    negative: Vec<f64>,
}

/// `W X + b` against `w x + b'`: the weights' error meets the values that `X` can have, that of `X` the ideal weights.
pub(super) fn linear(pass: &Pass<'_>, node: &IntNode, layer: &Layer<'_>, meaning: &Meaning) -> State {
    let Layer { shape, width, .. } = *layer;
    let x = pass.read(node, 0);
    let scale = pass.scale(node, x.unit, layer.rescale);
    let base = pass.unit(node.output) / f64::from(1 << layer.rescale.shift);
    let (weight, bias) = ideal_weights(pass, meaning);
    let ideal = |at: usize| weight.and_then(|w| w.get(at)).copied().unwrap_or(layer.weight[at] as f64 * scale);
    let mut columns = Columns::new(width);
    let mut magnitudes = vec![0.0; layer.weight.len()];
    for (at, q) in layer.weight.iter().enumerate() {
        let (held, ideal) = (*q as f64 * scale, ideal(at));
        magnitudes[at] = ideal.abs();
        columns.add(at % width, held, ideal);
    }
    let padded = shape.is_padded();
    let reach = if padded { x.state.reach.hull(Reach::point(0.0)) } else { x.state.reach };
    let (middle, half) = ((reach.lo + reach.hi) / 2.0, reach.width() / 2.0);
    let mut values: Option<Reach> = None;
    let mut fixed = Vec::with_capacity(width);
    for o in 0..width {
        let held = layer.bias.and_then(|b| b.get(o)).map_or(0.0, |b| *b as f64 * base);
        let ideal = bias.and_then(|b| b.get(o)).copied().unwrap_or(held);
        // Padding takes part in no sum, so the middle says nothing of how many terms there are.
        let weights = if padded {
            reach.max_abs() * columns.blurred[o] + (held - ideal).abs()
        } else {
            (middle * columns.moved[o] + held - ideal).abs() + half * columns.blurred[o]
        };
        // What sums of signed terms lose to rounding, each far below a unit.
        let lost = f64::EPSILON * shape.inner() as f64 * reach.max_abs() * columns.blurred[o];
        fixed.push(weights + lost + pass.half(node, layer.rescale));
        let sum = reach.scaled(columns.positive[o]).plus(reach.scaled(columns.negative[o])).plus(Reach::point(held));
        values = Some(values.map_or(sum, |v| v.hull(sum)));
    }
    let errors = carried(layer, &x, &magnitudes, (&fixed, &columns.magnitude));
    let terms = shape.inner() + 8;
    let values = pass.rescaled(node, values.unwrap_or(Reach::point(0.0)), layer.rescale);
    State::new(errors.map(|e| outward(e, terms)), values)
}

/// The operand's errors times the weights' magnitudes, and what each column has of its own.
fn carried(layer: &Layer<'_>, x: &Read<'_>, magnitudes: &[f64], (fixed, columns): (&[f64], &[f64])) -> Errors {
    let Layer { shape, width, .. } = *layer;
    let errors = &x.state.errors;
    let (positions, inner) = (shape.positions(), shape.inner());
    let products = positions.saturating_mul(inner).saturating_mul(width);
    if errors.is_uniform() || products > MOST_PRODUCTS {
        let e = errors.most();
        let row: Vec<f64> = fixed.iter().zip(columns).map(|(f, m)| f + product(e, *m)).collect();
        return Errors::each(row.iter().copied().cycle().take(positions * width).collect());
    }
    let mut out = Vec::with_capacity(positions * width);
    for p in 0..positions {
        let mut row = fixed.to_vec();
        for l in 0..inner {
            let e = shape.index(p, l).map_or(0.0, |i| errors.at(i));
            if e == 0.0 {
                continue;
            }
            for (sum, w) in row.iter_mut().zip(&magnitudes[l * width..(l + 1) * width]) {
                *sum += product(e, *w);
            }
        }
        out.append(&mut row);
    }
    Errors::each(out)
}

impl Columns {
    fn new(width: usize) -> Self {
        let zeros = || vec![0.0; width];
        Self { magnitude: zeros(), moved: zeros(), blurred: zeros(), positive: zeros(), negative: zeros() }
    }

    fn add(&mut self, o: usize, held: f64, ideal: f64) {
        self.magnitude[o] += ideal.abs();
        self.moved[o] += held - ideal;
        self.blurred[o] += (held - ideal).abs();
        let part = if held > 0.0 { &mut self.positive[o] } else { &mut self.negative[o] };
        *part += held;
    }
}

/// Weights and bias before they were rounded.
fn ideal_weights<'a>(pass: &Pass<'a>, meaning: &Meaning) -> (Option<&'a [f64]>, Option<&'a [f64]>) {
    let Meaning::Linear(at) = meaning else { return (None, None) };
    match pass.ideal.graph.nodes.get(*at).map(|n| &n.op) {
        Some(FloatOp::Linear { weight, bias, .. }) => (Some(weight), bias.as_deref()),
        _ => (None, None),
    }
}

/// `A B` against `a b`: `|A| e_b + e_a |B| + e_a e_b`, summed. Rows that are shares of a whole sum to less than their
/// elements could.
pub(super) fn matmul(pass: &Pass<'_>, node: &IntNode, [rows, inner, cols]: [usize; 3], rescale: Rescale) -> State {
    let (a, b) = (pass.read(node, 0), pass.read(node, 1));
    let (left, right) = (a.state.reach.max_abs(), b.state.reach.max_abs());
    let shares = a.state.facts.shares.filter(|s| s.group == inner);
    let mut of_row = vec![0.0; rows];
    let mut worst = vec![0.0f64; rows];
    for (i, (sum, worst)) in of_row.iter_mut().zip(&mut worst).enumerate() {
        for l in 0..inner {
            let e = a.state.errors.at(i * inner + l);
            *sum += e;
            *worst = worst.max(e);
        }
        if let Some(shares) = shares {
            *sum = sum.min(shares.error);
        }
    }
    let mut of_column = vec![0.0; cols];
    let mut greatest = vec![0.0f64; cols];
    for l in 0..inner {
        for (j, (sum, greatest)) in of_column.iter_mut().zip(&mut greatest).enumerate() {
            let e = b.state.errors.at(l * cols + j);
            *sum += e;
            *greatest = greatest.max(e);
        }
    }
    let scale = pass.scale(node, a.unit * b.unit, rescale);
    let half = pass.half(node, rescale);
    let mut errors = Vec::with_capacity(rows * cols);
    for (of_row, worst) in of_row.iter().zip(&worst) {
        for (of_column, greatest) in of_column.iter().zip(&greatest) {
            let all = product(left, *of_column);
            let carried = shares.map_or(all, |s| all.min(product(s.sum, *greatest)));
            let both = product(*worst, *of_column).min(product(*of_row, *greatest));
            let e = carried + product(right, *of_row) + both;
            errors.push(outward(product(scale, e) + half, inner + 8));
        }
    }
    let products = a.state.reach.times(b.state.reach);
    let mut values = products.scaled(inner as f64);
    if let Some(shares) = shares.filter(|_| a.state.reach.lo >= 0.0) {
        let most = b.state.reach.hull(Reach::point(0.0)).scaled(shares.sum);
        values = values.within(most);
    }
    State::new(Errors::each(errors), pass.rescaled(node, values.scaled(scale), rescale))
}
