//! Evaluations of values at a challenge.
//!
//! Equation, on every row:
//! `track = on*y + three*(p s^2 + q s) + (keep + next_s*s + next_r*r + three*s^3) * track[-1]`.
//!
//! - **In place**: where a consumer wants a polynomial of values in an order in which they can be computed, the rows that
//!   compute them evaluate it: no copies. A gap in the exponents takes rows without a value; rows that compute
//!   something else on the way keep the evaluation.
//! - **Gathered**: otherwise copies of one value in `y` and then three a row in `p`, `q` and `y`, or one a row for the
//!   challenge of outputs. A gap takes zeros, copies of the constant.
//!
//! Unique: the evaluation is a function of copied cells, or of cells that the row's own constraints determine.

use std::collections::HashMap;

use halo2_proofs::{
    halo2curves::bn256::Fr,
    plonk::{ConstraintSystem, Expression},
};

use crate::{
    column::{AdviceColumn as A, FixedColumn as F},
    config::{Queries, VouchConfig},
    error::CircuitError,
    layout::{Builder, Cell, Num},
};

/// Values that a row evaluates, at most.
pub(crate) const TRIPLE: usize = 3;

pub(crate) fn configure(meta: &mut ConstraintSystem<Fr>, config: &VouchConfig) {
    config.gate(meta, "track", |q| {
        let challenges = q.config().challenges;
        let (r, s) = (q.challenge(challenges.outputs), q.challenge(challenges.positions));
        let mut sum = q.fixed(F::Track) * q.advice(A::Y);
        if q.has(F::TrackTriple) {
            sum = sum + q.fixed(F::TrackTriple) * triple(q);
        }
        let cube = s.clone() * s.clone() * s.clone();
        let step = q.selected([
            (F::TrackKeep, None),
            (F::TrackPosition, Some(s)),
            (F::TrackOutput, Some(r)),
            (F::TrackTriple, Some(cube)),
        ]);
        if let Some(step) = step {
            sum = sum + step * q.above(A::Track);
        }
        q.advice(A::Track) - sum
    });
}

/// The first two of three coefficients of a row: `p s^2 + q s`.
pub(crate) fn triple(q: &mut Queries<'_, '_>) -> Expression<Fr> {
    let s = q.challenge(q.config().challenges.positions);
    (q.advice(A::P) * s.clone() + q.advice(A::Q)) * s
}

/// The challenge that a polynomial is evaluated at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Variable {
    /// Separates positions.
    Position,
    /// Separates outputs.
    Output,
}

/// A polynomial whose coefficients are elements of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) variable: Variable,
    /// Elements with their exponents, falling.
    pub(crate) terms: Vec<(usize, usize)>,
}

/// Cells with their exponents, falling.
type Terms = Vec<(Cell, usize)>;

/// Polynomials evaluated so far, and the cells of their evaluations.
#[derive(Debug, Default)]
pub(crate) struct Evaluations {
    known: HashMap<(Variable, Terms), Cell>,
}

/// An evaluation in place that is under way.
pub(crate) struct Tracker {
    variable: Variable,
    terms: Terms,
    /// Row of the last value and its exponent.
    last: Option<(usize, usize)>,
    /// Rows of an element before the one with its value.
    lead: usize,
    /// First row of the element under way.
    start: usize,
    /// The rows cannot be tracked, and the values are gathered later.
    broken: bool,
}

impl Tracker {
    pub(crate) fn new(variable: Variable) -> Self {
        Self { variable, terms: Vec::new(), last: None, lead: 0, start: 0, broken: false }
    }

    fn step(&self) -> F {
        match self.variable {
            Variable::Position => F::TrackPosition,
            Variable::Output => F::TrackOutput,
        }
    }

    /// Leaves room for the exponents between the last value and the next.
    pub(crate) fn before(&mut self, builder: &mut Builder<'_>, exponent: usize) {
        if let Some((row, last)) = self.last {
            while builder.next_row() + self.lead - row < last - exponent {
                builder.take_row();
            }
        }
        self.start = builder.next_row();
    }

    /// Takes the value that the rows since compute.
    pub(crate) fn after(&mut self, builder: &mut Builder<'_>, num: Num, exponent: usize) {
        let Cell { column, row } = num.cell();
        let reached = self.last.is_none_or(|(last, high)| row.checked_sub(last) >= Some(high - exponent));
        if column != A::Y || row < self.start || !reached {
            self.broken = true;
        }
        if self.broken {
            return;
        }
        if let Some((last, high)) = self.last {
            // The first value is tracked once there is a second: one alone is its own evaluation.
            builder.set_fixed(F::Track, last, 1);
            builder.set_fixed(F::Track, row, 1);
            self.multiply(builder, last, row, high - exponent);
        }
        self.lead = row - self.start;
        self.last = Some((row, exponent));
        self.terms.push((num.cell(), exponent));
    }

    /// Multiplies by so many powers of the challenge between two rows.
    fn multiply(&self, builder: &mut Builder<'_>, from: usize, to: usize, powers: usize) {
        for at in from + 1..=to {
            // The last row multiplies, and the first ones as often as is left to do.
            let on = at == to || at - from < powers;
            builder.set_fixed(if on { self.step() } else { F::TrackKeep }, at, 1);
        }
    }

    /// Ends the evaluation and makes it known.
    pub(crate) fn finish(self, builder: &mut Builder<'_>) {
        let Some((row, exponent)) = self.last.filter(|_| !self.broken) else { return };
        if self.terms.len() == 1 {
            if exponent == 0 {
                return;
            }
            builder.set_fixed(F::Track, row, 1);
        }
        let end = row + exponent;
        while builder.next_row() <= end {
            builder.take_row();
        }
        self.multiply(builder, row, end, exponent);
        builder.evaluations().known.insert((self.variable, self.terms), Cell { column: A::Track, row: end });
    }
}

impl Builder<'_> {
    /// Lays out the elements of a tensor, in an order in which the rows evaluate the wanted polynomials.
    pub(crate) fn emit(
        &mut self,
        len: usize,
        wanted: &[Chain],
        mut element: impl FnMut(&mut Self, usize) -> Result<Num, CircuitError>,
    ) -> Result<Vec<Num>, CircuitError> {
        let mut out: Vec<Option<Num>> = vec![None; len];
        for chain in wanted {
            let mut tracker = Tracker::new(chain.variable);
            for (index, exponent) in &chain.terms {
                tracker.before(self, *exponent);
                let num = element(self, *index)?;
                tracker.after(self, num, *exponent);
                out[*index] = Some(num);
            }
            tracker.finish(self);
        }
        out.into_iter().enumerate().map(|(i, num)| num.map_or_else(|| element(self, i), Ok)).collect()
    }

    /// The cell with a polynomial's evaluation; it is gathered where no rows have evaluated it in place.
    pub(crate) fn evaluate(&mut self, variable: Variable, terms: &[(Num, usize)]) -> Result<Cell, CircuitError> {
        if let [(single, 0)] = terms {
            return Ok(single.cell());
        }
        let key: (Variable, Terms) = (variable, terms.iter().map(|(num, exponent)| (num.cell(), *exponent)).collect());
        if let Some(cell) = self.evaluations().known.get(&key) {
            return Ok(*cell);
        }
        let cell = match variable {
            Variable::Position => self.gather(terms)?,
            Variable::Output => self.gather_outputs(terms)?,
        };
        self.evaluations().known.insert(key, cell);
        Ok(cell)
    }

    fn gather(&mut self, terms: &[(Num, usize)]) -> Result<Cell, CircuitError> {
        let zero = self.constant(0)?;
        let highest = terms.first().map_or(0, |(_, exponent)| *exponent);
        // One value on the first row, three on each other.
        let mut dense = vec![zero; 1 + highest.next_multiple_of(TRIPLE)];
        let last = dense.len() - 1;
        for (num, exponent) in terms {
            dense[last - exponent] = *num;
        }
        let row = self.take_row();
        self.set_fixed(F::Track, row, 1);
        self.copy_into(A::Y, row, dense[0]);
        for values in dense[1..].chunks(TRIPLE) {
            let row = self.take_row();
            for selector in [F::Track, F::TrackTriple] {
                self.set_fixed(selector, row, 1);
            }
            for (column, value) in [A::P, A::Q, A::Y].into_iter().zip(values) {
                self.copy_into(column, row, *value);
            }
        }
        Ok(Cell { column: A::Track, row: self.next_row() - 1 })
    }

    fn gather_outputs(&mut self, terms: &[(Num, usize)]) -> Result<Cell, CircuitError> {
        let mut tracker = Tracker::new(Variable::Output);
        for (num, exponent) in terms {
            tracker.before(self, *exponent);
            let row = self.take_row();
            let copy = self.copy_into(A::Y, row, *num);
            tracker.after(self, copy, *exponent);
        }
        let exponent = tracker.last.map_or(0, |(_, exponent)| exponent);
        let row = self.next_row() - 1 + exponent;
        tracker.finish(self);
        Ok(Cell { column: A::Track, row })
    }
}
