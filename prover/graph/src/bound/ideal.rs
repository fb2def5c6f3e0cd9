//! What the operations of an integer graph stand for.

use crate::{
    float::{FloatGraph, Function},
    int::TensorId,
};

/// The mathematics behind an integer graph, which its integers alone do not tell: weights before they were rounded,
/// functions behind tables. It is no part of the model and of its digest; the quantiser returns it beside the graph.
#[derive(Debug, Clone)]
pub struct Ideal {
    /// The float graph as the quantiser laid it out: its linear layers have the weights.
    pub(crate) graph: FloatGraph,
    /// Of each node of the integer graph, in its order.
    pub(crate) meanings: Vec<Meaning>,
}

/// What one operation of the integer graph computes in the ideal.
#[derive(Debug, Clone)]
pub(crate) enum Meaning {
    /// Itself on real numbers, with the coefficients that its integers stand for, and no rounding.
    Own,
    /// The linear layer that is this node of the ideal's float graph.
    Linear(usize),
    /// `sum_i coefficients[i] * input i + offset`; each list has one element for all, or one for each element.
    Terms {
        /// Of each input.
        coefficients: Vec<Vec<f64>>,
        /// Added.
        offset: Vec<f64>,
    },
    /// A sum times this factor.
    Factor(f64),
    /// A view some of whose constants were rounded: which, and by how much.
    Constants(Vec<(usize, f64)>),
    /// `function(A - centre)`.
    Function {
        /// The function.
        function: Function,
        /// What was added to its argument.
        centre: f64,
        /// How far a cut-off argument moves the value at most.
        cut: f64,
    },
    /// `A + offset` or `-A + offset`, of which nothing but the sign matters.
    Compared {
        /// One element for all, or one for each.
        offset: Vec<f64>,
        /// Whether something asks for zero itself.
        equal: bool,
    },
    /// The greatest integer that is at most the scaled value.
    Floor,
    /// The nearest integer to a quotient.
    Whole,
    /// Whatever integer it is: what reads it is periodic.
    Free,
    /// As it is: what is cut off below zero was not there in calibration.
    Clipped,
    /// A tensor computed before, or its positive part, in another form.
    Follows(TensorId),
    /// Sums of integers in two halves, exact where this operand of theirs is.
    Halves(TensorId),
    /// Holds values that stand for minus infinity.
    Masked,
}
