//! Linear layers by an identity at random points.
//!
//! Let `A[o, q]` be the pre-activation of output `o` at position `q`, and `r` and `s` challenges, drawn after all of `A`,
//! `X`, `W` and `D` are committed. A layer of one position states
//!
//! `sum_o r^(O-1-o) A[o] = sum_l X[l] (sum_o r^(O-1-o) W[l, o])`
//!
//! A layer of several positions (a dense layer over rows, a convolution) is a product of polynomials in `s`, see
//! [`crate::geometry`], and states
//!
//! `sum_o r^(O-1-o) (A_o(s) + D_o(s)) = sum_(tap, c) s^e(tap) X_(c, part(tap))(s) (sum_o r^(O-1-o) W[c, tap, o])`
//!
//! `D_o` holds the coefficients at the exponents that no output stands for, whatever they are: which exponents these are
//! is fixed by the circuit's selectors.
//!
//! Soundness: both sides are polynomials, in `s` of a degree below some `N`, in `r` of degree below `t ceil(O/t)`
//! (private padding lanes are not bound to be zero, and reach no power of `r` below `O`). At the exponent of
//! `A[o, q]`, of `r` and `s`, nothing else on the left has a part, and `D` has none: where some `A[o, q]` is wrong the
//! sides differ, and the equation holds with probability at most `(t ceil(O/t) + N) / |F|`, below `2^-220`.
//!
//! - `A[o, q]` are the pre-activations of rescaling rows: expressions of cells that exist anyway.
//!   `value_acc = pre + value_acc[-1] {r | s}`, an output after the other, positions by falling exponent. Rows between
//!   hold the coefficients of `D`, one or three a row: `value_acc = y + value_acc[-1] s`, and
//!   `value_acc = p s^2 + q s + y + value_acc[-1] s^3`.
//! - `X(s)` is a tracked evaluation, see [`super::track`].
//! - `W` lies in the weight lanes, `t` a row, without copy constraints:
//!   `weight_acc = weight_acc[-1] r^t + sum_i r^(t-1-i) (w_i - offset)`.
//! - `dot = end*x*weight_acc + load*x + dot[-1] {1 | r | x}` joins them: `x` is a copy of a value, of an
//!   evaluation, of a power of `s`, or of another `dot`.
//! - a bias is one more `l` with `X = 1`, at several positions with the sum of the outputs' powers of `s`.
//!
//! Last, the two sides are copy-constrained. Cells: `|W|/t` weight rows of `t + 3` (a row of the matrix starts a
//! new one), one value row an output (the rescale's own), a row for each three coefficients of `D`, and
//! a row for each three values that are not evaluated in place.

use halo2_proofs::{halo2curves::bn256::Fr, plonk::ConstraintSystem};
use rayon::prelude::*;
use vouch_graph::int::{LinearShape, Rescale};

use super::{
    rescale::{Mode, SHIFT, pre_activation},
    track::{Chain, TRIPLE, Tracker, Variable, triple},
};
use crate::{
    column::{AdviceColumn as A, FixedColumn as F},
    config::{VouchConfig, constant},
    error::CircuitError,
    geometry::Geometry,
    layout::{Builder, Cell, HintSite, Num},
};

pub(crate) fn configure(meta: &mut ConstraintSystem<Fr>, config: &VouchConfig) {
    let offset = config.shape.weight_offset();
    config.gate(meta, "weight evaluation", |q| {
        let r = q.challenge(q.config().challenges.outputs);
        let start =
            if q.has(F::WeightContinue) { q.fixed(F::WeightContinue) * q.above(A::WeightAcc) } else { constant(0) };
        let sum = q.lanes().into_iter().fold(start, |sum, w| sum * r.clone() + (w - constant(offset)));
        q.advice(A::WeightAcc) - sum
    });
    config.gate(meta, "dot product", |q| {
        let (x, weights) = (q.advice(A::X), q.advice(A::WeightAcc));
        let r = q.challenge(q.config().challenges.outputs);
        let entering = q.selected([(F::WeightEnd, Some(x.clone() * weights)), (F::DotLoad, Some(x.clone()))]);
        let step = q.selected([(F::DotContinue, None), (F::DotOutput, Some(r)), (F::DotScale, Some(x))]);
        let above = q.above(A::Dot);
        q.advice(A::Dot) - entering.unwrap_or_else(|| constant(0)) - step.map_or_else(|| constant(0), |s| s * above)
    });
    config.gate(meta, "value evaluation", |q| {
        let challenges = q.config().challenges;
        let (r, s) = (q.challenge(challenges.outputs), q.challenge(challenges.positions));
        let mut value = q.fixed(F::Value) * pre_activation(q);
        if q.has(F::Slack) {
            value = value + q.fixed(F::Slack) * q.advice(A::Y);
        }
        if q.has(F::SlackTriple) {
            value = value + q.fixed(F::SlackTriple) * triple(q);
        }
        let cube = s.clone() * s.clone() * s.clone();
        let step = q.selected([(F::ValueOutput, Some(r)), (F::ValuePosition, Some(s)), (F::SlackTriple, Some(cube))]);
        let difference = q.advice(A::ValueAcc) - value;
        match step {
            Some(step) => difference - step * q.above(A::ValueAcc),
            None => difference,
        }
    });
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
    /// The layer as a product of polynomials; `None` for one position.
    pub(crate) geometry: Option<&'a Geometry>,
    /// Polynomials of the outputs that later layers evaluate, one an output in order; may be empty.
    pub(crate) wanted: &'a [Chain],
}

impl LinearLayer<'_> {
    /// Factor that turns the layer's shift into the rescaling row's.
    fn scale(&self) -> i128 {
        1 << (SHIFT - self.rescale.shift)
    }

    /// `A[p, o]`, scaled, `[positions, width]`.
    fn accumulators(&self, x: &[Num]) -> Option<Vec<i128>> {
        let largest = x.iter().map(|x| x.value().unsigned_abs()).max().unwrap_or(0);
        let weight = self.weights.iter().map(|w| w.unsigned_abs()).max().unwrap_or(0);
        let bias = self.bias.unwrap_or_default().iter().map(|b| b.unsigned_abs()).max().unwrap_or(0);
        let bound = largest
            .checked_mul(u128::from(weight))
            .and_then(|product| product.checked_mul(self.shape.inner() as u128))
            .and_then(|sum| sum.checked_add(u128::from(bias)));
        let small = bound.is_some_and(|bound| bound < 1 << 62);
        let positions = (0..self.shape.positions()).into_par_iter();
        let rows: Option<Vec<Vec<i128>>> =
            positions.map(|p| if small { Some(self.small_sums(x, p)) } else { self.sums(x, p) }).collect();
        rows?.into_iter().flatten().map(|sum| sum.checked_mul(self.scale())).collect()
    }

    /// `A[position, ..]` where every partial sum fits a machine integer.
    fn small_sums(&self, x: &[Num], position: usize) -> Vec<i128> {
        let mut sums = self.bias.map_or_else(|| vec![0; self.width], <[i64]>::to_vec);
        for l in 0..self.shape.inner() {
            let value = self.shape.index(position, l).map_or(0, |i| x[i].value() as i64);
            if value == 0 {
                continue;
            }
            let row = &self.weights[l * self.width..(l + 1) * self.width];
            sums.iter_mut().zip(row).for_each(|(sum, weight)| *sum += value * weight);
        }
        sums.into_iter().map(i128::from).collect()
    }

    fn sums(&self, x: &[Num], position: usize) -> Option<Vec<i128>> {
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
        Some(sums)
    }
}

/// Coefficients of a layer's products: for each exponent from the highest down, the position that it stands for
/// or, where it stands for none, its coefficients by output.
struct Coefficients {
    wanted: Vec<Option<usize>>,
    /// Empty at the exponents of positions.
    others: Vec<Vec<i128>>,
}

impl LinearLayer<'_> {
    fn coefficients(&self, geometry: &Geometry, x: &[Num]) -> Option<Coefficients> {
        let wanted = geometry.coefficients();
        // Elements and rows of the matrix that meet at each exponent.
        let mut products: Vec<Vec<(usize, usize)>> = vec![Vec::new(); wanted.len()];
        for tap in &geometry.taps {
            for channel in 0..geometry.channels() {
                let l = channel * geometry.kernel_taps + tap.index;
                for (element, exponent) in geometry.polynomial(channel, tap.part) {
                    let at = wanted.len() - 1 - exponent - tap.exponent;
                    if wanted[at].is_none() {
                        products[at].push((element, l));
                    }
                }
            }
        }
        let sums = |(products, wanted): (&Vec<(usize, usize)>, &Option<usize>)| {
            let mut sums = vec![0i128; if wanted.is_some() { 0 } else { self.width }];
            for (element, l) in products {
                let row = &self.weights[l * self.width..(l + 1) * self.width];
                for (sum, weight) in sums.iter_mut().zip(row) {
                    *sum = sum.checked_add(x[*element].value().checked_mul(i128::from(*weight))?)?;
                }
            }
            sums.into_iter().map(|sum| sum.checked_mul(self.scale())).collect::<Option<Vec<i128>>>()
        };
        let others: Option<Vec<_>> = products.par_iter().zip(&wanted).map(sums).collect();
        Some(Coefficients { wanted, others: others? })
    }
}

impl Builder<'_> {
    /// Lays a linear layer out and returns its outputs, `[positions, width]`.
    pub(crate) fn linear(&mut self, layer: &LinearLayer<'_>, x: &[Num]) -> Result<Vec<Num>, CircuitError> {
        match layer.geometry {
            None => self.single_position(layer, x),
            Some(geometry) => self.positions(layer, geometry, x),
        }
    }

    fn single_position(&mut self, layer: &LinearLayer<'_>, x: &[Num]) -> Result<Vec<Num>, CircuitError> {
        let (zero, one) = (self.constant(0)?, self.constant(1)?);
        let sums = layer.accumulators(x).ok_or_else(|| self.overflow())?;
        let mut outputs = Vec::with_capacity(layer.width);
        for (o, sum) in sums.into_iter().enumerate() {
            let row = self.take_row();
            self.set_fixed(F::Value, row, 1);
            if o > 0 {
                self.set_fixed(F::ValueOutput, row, 1);
            }
            outputs.push(self.rescale_on(row, sum, layer.mode)?);
        }
        let value_end = Cell { column: A::ValueAcc, row: self.next_row() - 1 };
        let mut continues = false;
        for l in 0..layer.shape.inner() {
            let weights = &layer.weights[l * layer.width..(l + 1) * layer.width];
            let operand = layer.shape.index(0, l).map_or(zero, |i| x[i]);
            self.weight_side(weights, layer.scale(), operand.cell(), &mut continues)?;
        }
        if let Some(bias) = layer.bias {
            self.weight_side(bias, layer.scale(), one.cell(), &mut continues)?;
        }
        let dot = Cell { column: A::Dot, row: self.weight_rows() - 1 };
        self.copy_cells(value_end, dot);
        Ok(outputs)
    }

    fn positions(&mut self, layer: &LinearLayer<'_>, geometry: &Geometry, x: &[Num]) -> Result<Vec<Num>, CircuitError> {
        let mut operands = Vec::new();
        for part in 0..geometry.parts.len() {
            for channel in 0..geometry.channels() {
                let terms: Vec<(Num, usize)> =
                    geometry.polynomial(channel, part).into_iter().map(|(i, exponent)| (x[i], exponent)).collect();
                operands.push(self.evaluate(Variable::Position, &terms)?);
            }
        }
        let sums = layer.accumulators(x).ok_or_else(|| self.overflow())?;
        let coefficients = layer.coefficients(geometry, x).ok_or_else(|| self.overflow())?;
        let mut outputs = vec![None; sums.len()];
        let mut ends = Vec::with_capacity(layer.width);
        for o in 0..layer.width {
            ends.push(self.value_side(layer, &coefficients, &sums, o, &mut outputs)?);
        }
        let outputs: Option<Vec<Num>> = outputs.into_iter().collect();
        let outputs = outputs.ok_or_else(|| self.malformed("a position of a layer has no row"))?;
        self.prepare(geometry)?;
        let bias = match layer.bias {
            Some(bias) => Some((bias, self.position_sum(geometry.output, geometry.row_stride, geometry.shift)?)),
            None => None,
        };
        let values = self.join_outputs(&ends)?;
        let mut continues = false;
        let mut before = None;
        for tap in &geometry.taps {
            if let Some(exponent) = before {
                self.shift_dot(exponent - tap.exponent)?;
            }
            before = Some(tap.exponent);
            for channel in 0..geometry.channels() {
                let l = channel * geometry.kernel_taps + tap.index;
                let weights = &layer.weights[l * layer.width..(l + 1) * layer.width];
                let operand = operands[tap.part * geometry.channels() + channel];
                self.weight_side(weights, layer.scale(), operand, &mut continues)?;
            }
        }
        self.shift_dot(before.unwrap_or(0))?;
        if let Some((bias, sum)) = bias {
            self.weight_side(bias, layer.scale(), sum, &mut continues)?;
        }
        let dot = Cell { column: A::Dot, row: self.weight_rows() - 1 };
        self.copy_cells(values, dot);
        Ok(outputs)
    }

    /// Lays out the powers of `s` between the taps: they take rows of the weight unit, which its chains may not break.
    fn prepare(&mut self, geometry: &Geometry) -> Result<(), CircuitError> {
        let gaps = geometry.taps.windows(2).map(|pair| pair[0].exponent - pair[1].exponent);
        for step in gaps.chain(geometry.taps.last().map(|tap| tap.exponent)) {
            if step > 0 {
                self.power(step)?;
            }
        }
        Ok(())
    }

    /// Rescaling rows of one output at every position, by falling exponent, with the evaluation of its pre-activations
    /// and of the coefficients between them; the cell of the evaluation.
    fn value_side(
        &mut self,
        layer: &LinearLayer<'_>,
        coefficients: &Coefficients,
        sums: &[i128],
        output: usize,
        outputs: &mut [Option<Num>],
    ) -> Result<Cell, CircuitError> {
        let chain = layer.wanted.get(output);
        let mut tracker = chain.map(|chain| Tracker::new(chain.variable));
        let mut steps = chain.map_or(&[][..], |chain| &chain.terms).iter().map(|(_, exponent)| *exponent).peekable();
        let mut last_step: Option<usize> = None;
        let mut started = false;
        let mut others: Vec<i128> = Vec::new();
        for (wanted, slack) in coefficients.wanted.iter().zip(&coefficients.others) {
            let Some(position) = wanted else {
                others.push(slack[output]);
                continue;
            };
            // Rows that an evaluation of the values needs between them.
            let needed = last_step.zip(steps.peek()).map_or(0, |(last, next)| (last - next).saturating_sub(1));
            self.slack(&std::mem::take(&mut others), needed, &mut started);
            let row = self.next_row();
            let step = steps.next();
            if let (Some(tracker), Some(step)) = (&mut tracker, step) {
                tracker.before(self, step);
            }
            let taken = self.take_row();
            debug_assert_eq!(row, taken, "the evaluation in place fits between the rows");
            self.set_fixed(F::Value, row, 1);
            if started {
                self.set_fixed(F::ValuePosition, row, 1);
            }
            started = true;
            let index = position * layer.width + output;
            let num = self.rescale_on(row, sums[index], layer.mode)?;
            if let (Some(tracker), Some(step)) = (&mut tracker, step) {
                tracker.after(self, num, step);
            }
            last_step = step;
            outputs[index] = Some(num);
        }
        self.slack(&others, 0, &mut started);
        let end = Cell { column: A::ValueAcc, row: self.next_row() - 1 };
        if let Some(tracker) = tracker {
            tracker.finish(self);
        }
        Ok(end)
    }

    /// Rows of coefficients that no output stands for, at least so many.
    fn slack(&mut self, mut values: &[i128], needed: usize, started: &mut bool) {
        if values.is_empty() {
            return;
        }
        if !*started {
            self.slack_row(&values[..1], false);
            (values, *started) = (&values[1..], true);
        }
        let triples = (values.len() / TRIPLE).min(values.len().saturating_sub(needed) / (TRIPLE - 1));
        let (threes, ones) = values.split_at(triples * TRIPLE);
        threes.chunks(TRIPLE).chain(ones.chunks(1)).for_each(|values| self.slack_row(values, true));
    }

    fn slack_row(&mut self, values: &[i128], continues: bool) {
        let row = self.take_row();
        let mut hint = values.to_vec();
        self.hints().adjust(HintSite { gadget: "slack", row }, &mut hint);
        let columns = if hint.len() == TRIPLE { &[A::P, A::Q, A::Y][..] } else { &[A::Y] };
        for (column, value) in columns.iter().zip(&hint) {
            self.assign(*column, row, *value);
        }
        self.set_fixed(F::Slack, row, 1);
        match (continues, hint.len()) {
            (false, _) => {}
            (true, TRIPLE) => self.set_fixed(F::SlackTriple, row, 1),
            (true, _) => self.set_fixed(F::ValuePosition, row, 1),
        }
    }

    /// `sum_o r^(O-1-o) ends[o]`.
    fn join_outputs(&mut self, ends: &[Cell]) -> Result<Cell, CircuitError> {
        let mut joined = None;
        for end in ends {
            let selectors: &[F] = if joined.is_some() { &[F::DotOutput, F::DotLoad] } else { &[F::DotLoad] };
            joined = Some(self.dot_row(selectors, Some(*end))?);
        }
        joined.ok_or_else(|| self.malformed("a layer has no outputs"))
    }

    /// Multiplies the accumulator of the last weight row by a power of `s`.
    fn shift_dot(&mut self, exponent: usize) -> Result<(), CircuitError> {
        if exponent > 0 {
            let power = self.power(exponent)?;
            self.dot_row(&[F::DotScale], Some(power))?;
        }
        Ok(())
    }

    /// Weight rows of one row of the matrix, whose evaluation enters the accumulator times `operand`.
    fn weight_side(
        &mut self,
        weights: &[i64],
        scale: i128,
        operand: Cell,
        continues: &mut bool,
    ) -> Result<(), CircuitError> {
        self.count_width(weights.len());
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
            if *continues {
                self.set_fixed(F::DotContinue, row, 1);
            }
            *continues = true;
        }
        self.set_fixed(F::WeightEnd, row, 1);
        self.set_x(row, operand);
        Ok(())
    }

    /// `[rows, inner]` times `[inner, cols]`, both computed, by
    /// `sum_j r^j A_j(s) = c sum_l X_l(s) Z_l(r)` over the columns of the one and the rows of the other, with `c` the
    /// factor of the rescale; the outputs, row-major.
    ///
    /// Both sides are polynomials of degree below `rows` in `s` and below `cols` in `r`, and all operands are committed
    /// before either is drawn: error at most `(rows + cols) / |F|`.
    pub(crate) fn matrix_product(
        &mut self,
        [rows, inner, cols]: [usize; 3],
        (left, right): (&[Num], &[Num]),
        (rescale, mode): (Rescale, Mode),
        wanted: &[Chain],
    ) -> Result<Vec<Num>, CircuitError> {
        let mut factors = Vec::with_capacity(inner);
        for l in 0..inner {
            let column: Vec<_> = (0..rows).rev().map(|i| (left[i * inner + l], i)).collect();
            let row: Vec<_> = (0..cols).rev().map(|j| (right[l * cols + j], j)).collect();
            factors.push((self.evaluate(Variable::Position, &column)?, self.evaluate(Variable::Output, &row)?));
        }
        // Columns by falling power of `r`, so that the first is the last.
        let scale = 1i128 << (SHIFT - rescale.shift);
        let layer = Product { rows, inner, cols, scale, mode, wanted };
        let (outputs, ends) = self.product_rows(&layer, left, right)?;
        let values = self.join_outputs(&ends)?;
        let mut sum: Option<Cell> = None;
        for (left, right) in factors {
            let product = self.dot_product(right, left)?;
            sum = Some(match sum {
                Some(sum) => self.dot_row(&[F::DotContinue, F::DotLoad], Some(sum))?,
                None => product,
            });
        }
        let mut sum = sum.ok_or_else(|| self.malformed("a product of matrices sums nothing"))?;
        if scale > 1 {
            let factor = self.constant(scale)?;
            sum = self.dot_row(&[F::DotScale], Some(factor.cell()))?;
        }
        self.copy_cells(values, sum);
        Ok(outputs)
    }

    /// Rescaling rows of a product of matrices, and the evaluation of each column.
    fn product_rows(
        &mut self,
        product: &Product<'_>,
        left: &[Num],
        right: &[Num],
    ) -> Result<(Vec<Num>, Vec<Cell>), CircuitError> {
        let Product { rows, inner, cols, scale, mode, wanted } = *product;
        let mut outputs: Vec<Option<Num>> = vec![None; rows * cols];
        let mut ends = Vec::with_capacity(cols);
        for j in (0..cols).rev() {
            let chain = wanted.get(j);
            let mut tracker = chain.map(|chain| Tracker::new(chain.variable));
            for i in (0..rows).rev() {
                let exponent = chain.and_then(|chain| chain.terms.get(rows - 1 - i)).map(|(_, exponent)| *exponent);
                if let (Some(tracker), Some(exponent)) = (&mut tracker, exponent) {
                    tracker.before(self, exponent);
                }
                let mut sum = Some(0i128);
                for l in 0..inner {
                    let term = left[i * inner + l].value().checked_mul(right[l * cols + j].value());
                    sum = sum.zip(term).and_then(|(sum, term)| sum.checked_add(term));
                }
                let sum = sum.and_then(|sum| sum.checked_mul(scale)).ok_or_else(|| self.overflow())?;
                let row = self.take_row();
                self.set_fixed(F::Value, row, 1);
                if i + 1 < rows {
                    self.set_fixed(F::ValuePosition, row, 1);
                }
                let num = self.rescale_on(row, sum, mode)?;
                if let (Some(tracker), Some(exponent)) = (&mut tracker, exponent) {
                    tracker.after(self, num, exponent);
                }
                outputs[i * cols + j] = Some(num);
            }
            ends.push(Cell { column: A::ValueAcc, row: self.next_row() - 1 });
            if let Some(tracker) = tracker {
                tracker.finish(self);
            }
        }
        let outputs: Option<Vec<Num>> = outputs.into_iter().collect();
        Ok((outputs.ok_or_else(|| self.malformed("a product's element has no row"))?, ends))
    }
}

/// A product of computed matrices.
#[derive(Clone, Copy)]
struct Product<'a> {
    rows: usize,
    inner: usize,
    cols: usize,
    /// Factor that turns the rescale's shift into the row's.
    scale: i128,
    mode: Mode,
    /// Polynomials of the output that later layers evaluate, one a column in order; may be empty.
    wanted: &'a [Chain],
}
