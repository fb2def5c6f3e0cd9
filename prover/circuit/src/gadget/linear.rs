//! Linear layers by an identity at a random point.
//!
//! For `A[p, o] = sum_l X[p, l] W[l, o]`, with `r` and `s` drawn after all of them are committed:
//!
//! `sum_p s^(P-1-p) sum_o r^(O-1-o) A[p, o] = sum_l (sum_p s^(P-1-p) X[p, l]) (sum_o r^(O-1-o) W[l, o])`
//!
//! Both sides are polynomials of degree below `P` in `s`. In `r` the left one has degree below `O`, the
//! right one below `t ceil(O/t)`: private padding lanes are not bound to be zero. The padding reaches no
//! power of `r` below `O`, so where some `A[p, o]` is wrong the sides differ, and the equation holds with
//! probability at most `(t ceil(O/t) + P) / |F|`, below `2^-230`.
//!
//! - `A[p, o]` are the pre-activations of consecutive rescaling rows: expressions of cells that exist
//!   anyway. `value_acc = value_acc[-1] r + A`, and per position
//!   `value_sum = value_sum[-1] {1 | s} + value_acc`.
//! - `W` lies in the weight lanes, `t` a row, without copy constraints:
//!   `weight_acc = weight_acc[-1] r^t + sum_i r^(t-1-i) (w_i - offset)`, and at the end of each row of
//!   the matrix `dot = dot[-1] + x * weight_acc`.
//! - `x` is a copy of `X[0, l]` where there is one position. With more it is a copy of
//!   `sum_p s^(P-1-p) X[p, l]`, evaluated over copies in `p`, `q`, `y`, three a row:
//!   `value_acc = value_acc[-1] s^3 + p s^2 + q s + y`.
//! - a bias is one more `l` with `X[p, l] = 1`.
//!
//! Last, the value side and `dot` are copy-constrained. Cells: `|W|/t` weight rows of `t + 3`,
//! one value row an output (the rescale's own), and `P * L / 3` rows of copies where `P > 1`.

use halo2_proofs::{
    halo2curves::bn256::Fr,
    plonk::{ConstraintSystem, Expression},
};
use vouch_graph::int::{LinearShape, Rescale};

use super::rescale::{Mode, SHIFT, pre_activation};
use crate::{
    column::{AdviceColumn as A, FixedColumn as F},
    config::{VouchConfig, constant},
    error::CircuitError,
    layout::{Builder, Cell, Num},
};

/// Activations that a gather row evaluates.
pub(crate) const GATHER: usize = 3;

pub(crate) fn configure(meta: &mut ConstraintSystem<Fr>, config: &VouchConfig) {
    let offset = config.shape.weight_offset();
    config.gate(meta, "weight evaluation", |q| {
        let r = q.challenge(q.config().challenges.outputs);
        let start =
            if q.has(F::WeightContinue) { q.fixed(F::WeightContinue) * q.above(A::WeightAcc) } else { constant(0) };
        let sum = q.lanes().into_iter().fold(start, |sum, w| sum * r.clone() + (w - constant(offset)));
        q.fixed(F::Weight) * (q.advice(A::WeightAcc) - sum)
    });
    config.gate(meta, "dot product", |q| {
        let mut sum = q.fixed(F::WeightEnd) * q.advice(A::X) * q.advice(A::WeightAcc);
        if q.has(F::DotContinue) {
            sum = sum + q.fixed(F::DotContinue) * q.above(A::Dot);
        }
        q.fixed(F::Weight) * (q.advice(A::Dot) - sum)
    });
    config.gate(meta, "value evaluation", |q| {
        let challenges = q.config().challenges;
        let (r, s) = (q.challenge(challenges.outputs), q.challenge(challenges.positions));
        let mut used = q.fixed(F::Value);
        let mut sum = q.fixed(F::Value) * pre_activation(q);
        if q.has(F::ValueContinue) {
            sum = sum + q.fixed(F::ValueContinue) * q.above(A::ValueAcc) * r;
        }
        if q.has(F::Gather) {
            let gathered =
                [A::P, A::Q, A::Y].into_iter().map(|column| q.advice(column)).collect::<Vec<Expression<Fr>>>();
            let start =
                if q.has(F::GatherContinue) { q.fixed(F::GatherContinue) * q.above(A::ValueAcc) } else { constant(0) };
            let gather = q.fixed(F::Gather);
            let evaluation = gathered.into_iter().fold(start, |sum, x| sum * s.clone() + x);
            used = used + gather.clone();
            sum = sum + gather * evaluation;
        }
        used * q.advice(A::ValueAcc) - sum
    });
    if config.shape.has_positions() {
        config.gate(meta, "position sum", |q| {
            let s = q.challenge(q.config().challenges.positions);
            let step = q.fixed(F::PositionKeep) + q.fixed(F::PositionNext) * s;
            let sum = step * q.above(A::ValueSum) + q.fixed(F::PositionAdd) * q.advice(A::ValueAcc);
            q.fixed(F::Value) * q.advice(A::ValueSum) - sum
        });
    }
}

/// A linear layer to lay out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinearLayer<'a> {
    pub(crate) shape: &'a LinearShape,
    pub(crate) width: usize,
    /// `[inner, width]`.
    pub(crate) weights: &'a [i64],
    /// `[width]`.
    pub(crate) bias: Option<&'a [i64]>,
    pub(crate) rescale: Rescale,
    pub(crate) mode: Mode,
}

impl LinearLayer<'_> {
    /// Factor that turns the layer's shift into the rescaling row's.
    fn scale(&self) -> i128 {
        1 << (SHIFT - self.rescale.shift)
    }

    /// `A[p, ..]`, scaled.
    fn accumulators(&self, x: &[Num], position: usize) -> Option<Vec<i128>> {
        let mut sums: Vec<i128> = match self.bias {
            Some(bias) => bias.iter().map(|b| i128::from(*b)).collect(),
            None => vec![0; self.width],
        };
        for l in 0..self.shape.inner() {
            let Some(value) = self.shape.index(position, l).map(|i| x[i].value()).filter(|v| *v != 0) else {
                continue;
            };
            let row = &self.weights[l * self.width..(l + 1) * self.width];
            for (sum, weight) in sums.iter_mut().zip(row) {
                *sum = sum.checked_add(value.checked_mul(i128::from(*weight))?)?;
            }
        }
        sums.into_iter().map(|sum| sum.checked_mul(self.scale())).collect()
    }
}

impl Builder<'_> {
    /// Lays a linear layer out and returns its outputs, `[positions, width]`.
    pub(crate) fn linear(&mut self, layer: &LinearLayer<'_>, x: &[Num]) -> Result<Vec<Num>, CircuitError> {
        let (positions, inner) = (layer.shape.positions(), layer.shape.inner());
        let outputs = self.value_side(layer, x)?;
        let value_end =
            Cell { column: if positions > 1 { A::ValueSum } else { A::ValueAcc }, row: self.next_row() - 1 };

        let zero = self.constant(0)?;
        let one = self.constant(1)?;
        let mut first = true;
        let mut dot_row = 0;
        for l in 0..inner + usize::from(layer.bias.is_some()) {
            let (operand, weights): (Vec<Num>, &[i64]) = match layer.bias {
                Some(bias) if l == inner => (vec![one; positions], bias),
                _ => {
                    let row = &layer.weights[l * layer.width..(l + 1) * layer.width];
                    ((0..positions).map(|p| layer.shape.index(p, l).map_or(zero, |i| x[i])).collect(), row)
                }
            };
            let operand = match operand[..] {
                [single] => single.cell(),
                _ => self.gather(&operand, zero),
            };
            dot_row = self.weight_side(weights, layer.scale(), operand, first)?;
            first = false;
        }
        self.copy_cells(value_end, Cell { column: A::Dot, row: dot_row });
        Ok(outputs)
    }

    /// Rescaling rows of every output, with their evaluation.
    fn value_side(&mut self, layer: &LinearLayer<'_>, x: &[Num]) -> Result<Vec<Num>, CircuitError> {
        let positions = layer.shape.positions();
        let mut outputs = Vec::with_capacity(positions * layer.width);
        for p in 0..positions {
            let sums = layer.accumulators(x, p).ok_or_else(|| self.overflow())?;
            for (o, sum) in sums.into_iter().enumerate() {
                let row = self.take_row();
                self.set_fixed(F::Value, row, 1);
                if o > 0 {
                    self.set_fixed(F::ValueContinue, row, 1);
                }
                if positions > 1 {
                    match (p, o) {
                        (0, 0) => {}
                        (_, 0) => self.set_fixed(F::PositionNext, row, 1),
                        _ => self.set_fixed(F::PositionKeep, row, 1),
                    }
                    if o + 1 == layer.width {
                        self.set_fixed(F::PositionAdd, row, 1);
                    }
                }
                outputs.push(self.rescale_on(row, sum, layer.mode)?);
            }
        }
        Ok(outputs)
    }

    /// Evaluates a column of activations at the second challenge; the cell of the result.
    fn gather(&mut self, values: &[Num], zero: Num) -> Cell {
        let padding = values.len().next_multiple_of(GATHER) - values.len();
        let padded: Vec<Num> = std::iter::repeat_n(zero, padding).chain(values.iter().copied()).collect();
        let mut row = 0;
        for (i, chunk) in padded.chunks(GATHER).enumerate() {
            row = self.take_row();
            self.set_fixed(F::Gather, row, 1);
            if i > 0 {
                self.set_fixed(F::GatherContinue, row, 1);
            }
            for (column, value) in [A::P, A::Q, A::Y].into_iter().zip(chunk) {
                self.copy_into(column, row, *value);
            }
        }
        Cell { column: A::ValueAcc, row }
    }

    /// Weight rows of one row of the matrix; the last of them.
    fn weight_side(&mut self, weights: &[i64], scale: i128, operand: Cell, first: bool) -> Result<usize, CircuitError> {
        let lanes = self.lanes();
        let weights: Vec<i128> = weights.iter().map(|w| i128::from(*w) * scale).collect();
        let head = weights.len() % lanes;
        let (head, body) = weights.split_at(head);
        let mut row = 0;
        let rows = (!head.is_empty()).then_some(head).into_iter().chain(body.chunks(lanes));
        for (i, chunk) in rows.enumerate() {
            row = self.weight_row(chunk)?;
            if i > 0 {
                self.set_fixed(F::WeightContinue, row, 1);
            }
            if i > 0 || !first {
                self.set_fixed(F::DotContinue, row, 1);
            }
        }
        self.set_fixed(F::WeightEnd, row, 1);
        self.set_x(row, operand);
        Ok(row)
    }
}
