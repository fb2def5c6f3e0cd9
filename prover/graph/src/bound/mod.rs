//! Guaranteed errors: how far the integer graph can be from the ideal for any input that has a proof.
//!
//! The ideal is the model's mathematics, on real numbers and on the inputs before they are rounded. Forward error
//! analysis follows the integer graph node by node: of every element it keeps a bound of its distance from the ideal,
//! of every tensor the values that it can have. An input that drives a value out of the range that the circuit checks
//! has no proof, so these ranges bound what is magnified, and nothing is assumed of the data. Sums of bounds are in
//! double precision, each widened by what its own rounding can be.

mod function;
mod ideal;
mod linear;
mod propagate;
mod softmax;
mod state;

use std::fmt;

use serde::Serialize;

pub use ideal::Ideal;
pub(crate) use ideal::Meaning;

use crate::int::IntGraph;

/// Guaranteed error of one output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutputBound {
    /// Tensor.
    pub name: String,
    /// What no error of any element exceeds, in real units, for any input that has a proof; `None` where there is no
    /// such bound, or one so large that the middle of all values is as close.
    pub bound: Option<f64>,
    /// Why there is none.
    pub reason: Option<String>,
}

/// Error of one function's table: interpolation, the points' rounding and the output's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableBound {
    /// ONNX node.
    pub node: String,
    /// Tensor that the function computes.
    pub tensor: String,
    /// The function.
    pub function: String,
    /// What one unit of the output stands for.
    pub unit: f64,
    /// Largest error over all inputs of 16 bits, in units.
    pub units: f64,
    /// Largest error over the inputs that can occur, in units.
    pub units_in_range: f64,
}

/// Guaranteed errors of a graph.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Bounds {
    /// Of each output, in the order of the ports.
    pub outputs: Vec<OutputBound>,
    /// Of each function's table, in the order of computation.
    pub tables: Vec<TableBound>,
}

impl Bounds {
    /// The largest bound of an output, or the first output without one.
    ///
    /// # Errors
    /// With the output that has none.
    pub fn largest(&self) -> Result<f64, &OutputBound> {
        let mut largest = 0.0f64;
        for output in &self.outputs {
            largest = largest.max(output.bound.ok_or(output)?);
        }
        Ok(largest)
    }
}

/// Guaranteed errors of a valid graph (see [`IntGraph::validate`]), of which `ideal` is what the quantiser returned
/// with it. Changes of weights and tables since then count as errors.
#[must_use]
pub fn bounds(graph: &IntGraph, ideal: &Ideal) -> Bounds {
    let _span = tracing::info_span!("bound").entered();
    propagate::run(graph, ideal)
}

/// What makes errors boundless, or bounds worthless.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    Compares(String),
    Floors(String),
    Divides(String),
    Masks(String),
    Cuts(String),
    Magnifies(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compares(node) => write!(f, "node `{node}` compares a rounded value"),
            Self::Floors(node) => write!(f, "node `{node}` makes an integer of a rounded value"),
            Self::Divides(node) => write!(f, "node `{node}` divides by what may be as close to zero as its error"),
            Self::Masks(tensor) => write!(f, "tensor `{tensor}` holds values that stand for minus infinity"),
            Self::Cuts(node) => {
                write!(
                    f,
                    "node `{node}` has a table that does not follow its function far beyond the calibrated values"
                )
            }
            Self::Magnifies(node) => write!(f, "node `{node}` may magnify errors to the size of its values"),
        }
    }
}
