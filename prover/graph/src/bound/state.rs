//! What is known of a tensor: values and errors.

use super::{Why, softmax::Facts};
use crate::int::IntTensor;

/// Elements beyond which a tensor has one error for all.
const MOST_ELEMENTS: usize = 1 << 22;

/// A bound that holds in spite of the rounding of some `terms` operations that led to it.
pub(super) fn outward(bound: f64, terms: usize) -> f64 {
    bound * (1.0 + (terms as f64 + 16.0) * f64::EPSILON)
}

/// A product in which nothing times an infinite error is nothing.
pub(super) fn product(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { 0.0 } else { a * b }
}

/// Closed interval of reals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reach {
    pub(super) lo: f64,
    pub(super) hi: f64,
}

impl Reach {
    pub(super) fn point(v: f64) -> Self {
        Self { lo: v, hi: v }
    }

    /// Values that the graph says a tensor can have.
    pub(super) fn of(tensor: &IntTensor) -> Self {
        let unit = tensor.exponent.dequantise(1);
        Self { lo: tensor.range.lo as f64 * unit, hi: tensor.range.hi as f64 * unit }
    }

    pub(super) fn max_abs(self) -> f64 {
        self.lo.abs().max(self.hi.abs())
    }

    pub(super) fn width(self) -> f64 {
        self.hi - self.lo
    }

    pub(super) fn hull(self, other: Self) -> Self {
        Self { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self { lo: self.lo + other.lo, hi: self.hi + other.hi }
    }

    pub(super) fn scaled(self, c: f64) -> Self {
        let (a, b) = (product(c, self.lo), product(c, self.hi));
        Self { lo: a.min(b), hi: a.max(b) }
    }

    pub(super) fn times(self, other: Self) -> Self {
        self.scaled(other.lo).hull(self.scaled(other.hi))
    }

    /// Wider on either side.
    pub(super) fn widened(self, by: f64) -> Self {
        Self { lo: self.lo - by, hi: self.hi + by }
    }

    pub(super) fn positive(self) -> Self {
        Self { lo: self.lo.max(0.0), hi: self.hi.max(0.0) }
    }

    /// The part inside another interval, which is known to hold as well; `other` where rounding left no part.
    pub(super) fn within(self, other: Self) -> Self {
        let slack = 1e-12 * self.max_abs();
        let part = Self { lo: (self.lo - slack).max(other.lo), hi: (self.hi + slack).min(other.hi) };
        if part.lo <= part.hi { part } else { other }
    }
}

/// Bounds of the distance from the ideal, in real units: one for all elements, or one for each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Errors(Vec<f64>);

impl Errors {
    pub(super) fn uniform(bound: f64) -> Self {
        Self(vec![if bound.is_nan() { f64::INFINITY } else { bound }])
    }

    pub(super) fn each(bounds: Vec<f64>) -> Self {
        let most = most(&bounds);
        let equal = bounds.iter().all(|e| *e == most);
        if equal || bounds.len() > MOST_ELEMENTS { Self::uniform(most) } else { Self(bounds) }
    }

    pub(super) fn at(&self, i: usize) -> f64 {
        if self.0.len() == 1 { self.0[0] } else { self.0.get(i).copied().unwrap_or(f64::INFINITY) }
    }

    pub(super) fn is_uniform(&self) -> bool {
        self.0.len() == 1
    }

    pub(super) fn most(&self) -> f64 {
        most(&self.0)
    }

    pub(super) fn is_exact(&self) -> bool {
        self.most() == 0.0
    }

    /// The bounds, each changed on its own.
    pub(super) fn map(&self, f: impl FnMut(f64) -> f64) -> Self {
        Self::each(self.0.iter().copied().map(f).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = f64> {
        self.0.iter().copied()
    }
}

/// The greatest; boundless where one is no number.
fn most(bounds: &[f64]) -> f64 {
    bounds.iter().fold(0.0, |m: f64, e| if e.is_nan() { f64::INFINITY } else { m.max(*e) })
}

/// What is known of a tensor.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) errors: Errors,
    /// What the integers stand for at the least and at the most.
    pub(super) reach: Reach,
    /// What made the errors as large as the values.
    pub(super) why: Option<Why>,
    pub(super) facts: Facts,
}

impl State {
    pub(super) fn new(errors: Errors, reach: Reach) -> Self {
        Self { errors, reach, why: None, facts: Facts::default() }
    }

    pub(super) fn because(mut self, why: Why) -> Self {
        self.why = Some(why);
        self
    }

    pub(super) fn with(mut self, facts: Facts) -> Self {
        self.facts = facts;
        self
    }

    /// A boundless error.
    pub(super) fn unknown(reach: Reach) -> Self {
        Self::new(Errors::uniform(f64::INFINITY), reach)
    }
}
