//! What a model may take while it is compiled: a file of a few bytes can ask for any size, any number of loops, and
//! functions that call functions.

use super::{FloatOp, MAX_ELEMENTS, Value, indices};
use crate::GraphError;

/// What a model may take at the most, as estimates that are made before anything is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes for tensors, weights and constants, with the copies that compiling makes of them.
    pub memory: u64,
    /// Elementary steps of importing the model and of one evaluation.
    pub steps: u64,
    /// Operations: nodes of the file, as often as loops and functions repeat them, and what they become.
    pub operations: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 1 << 32, steps: 1 << 36, operations: 1 << 16 }
    }
}

/// Bytes of an element that is known while compiling.
const KNOWN: u64 = 8;

/// Bytes of an element that is computed, in the traces of the float graph and of the integer graph.
const COMPUTED: u64 = 24;

/// Bytes of a weight in the graphs that quantisation makes.
const WEIGHT: u64 = 32;

/// Bytes of two coefficients, or of the source of an element, in the same graphs.
const COEFFICIENT: u64 = 96;

/// What is spent of the limits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Budget {
    limits: Limits,
    spent: Cost,
}

/// What something takes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) memory: u64,
    pub(crate) steps: u64,
    pub(crate) operations: u64,
}

impl Cost {
    /// Steps alone.
    pub(crate) fn steps(steps: usize) -> Self {
        Self { steps: steps as u64, ..Self::default() }
    }

    /// Operations alone.
    pub(crate) fn operations(operations: usize) -> Self {
        Self { operations: operations as u64, ..Self::default() }
    }

    /// A value that is known, or an input.
    pub(crate) fn value(value: &Value) -> Self {
        let len = value.len() as u64;
        let each = if value.known().is_some() { KNOWN } else { COMPUTED };
        Self { memory: len.saturating_mul(each), steps: len, operations: 0 }
    }

    /// A value that becomes a tensor of its own: a list of the sources of its elements.
    pub(crate) fn view(value: &Value) -> Self {
        let len = value.len() as u64;
        Self { memory: len.saturating_mul(COMPUTED + COEFFICIENT), steps: len, operations: 1 }
    }

    /// An operation whose result has `len` elements.
    pub(super) fn operation(op: &FloatOp, len: usize) -> Self {
        let product = |factors: &[usize]| factors.iter().fold(1u64, |n, f| n.saturating_mul(*f as u64));
        let coefficients = |n: usize| product(&[n]).saturating_mul(COEFFICIENT);
        let (steps, structure) = match op {
            FloatOp::Linear { shape, width, weight, .. } => {
                (product(&[shape.positions(), shape.inner(), *width]), product(&[weight.len()]).saturating_mul(WEIGHT))
            }
            FloatOp::MatMul { rows, inner, cols } => (product(&[*rows, *inner, *cols]), 0),
            FloatOp::Sum { group, .. } | FloatOp::Max { group } => (product(&[len, *group]), 0),
            FloatOp::Affine { scale, offset } => (len as u64, coefficients(scale.len().max(offset.len()))),
            FloatOp::View { sources } => (len as u64, coefficients(sources.len())),
            _ => (len as u64, 0),
        };
        let memory = product(&[len]).saturating_mul(COMPUTED).saturating_add(structure);
        Self { memory, steps, operations: 1 }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            memory: self.memory.saturating_add(other.memory),
            steps: self.steps.saturating_add(other.steps),
            operations: self.operations.saturating_add(other.operations),
        }
    }
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, spent: Cost::default() }
    }

    /// Refuses what does not fit into what is left; `node` is where the model asks for it.
    pub(super) fn check(&self, node: &str, cost: Cost) -> Result<(), GraphError> {
        let (all, limits) = (self.spent.plus(cost), self.limits);
        let over = [
            (all.memory, limits.memory, "bytes of tensors and constants"),
            (all.steps, limits.steps, "steps of computation"),
            (all.operations, limits.operations, "operations"),
        ];
        match over.into_iter().find(|(all, limit, _)| all > limit) {
            None => Ok(()),
            Some((_, limit, what)) => Err(GraphError::OverLimit { node: node.to_owned(), what, limit }),
        }
    }

    pub(super) fn spend(&mut self, node: &str, cost: Cost) -> Result<(), GraphError> {
        self.check(node, cost)?;
        self.spent = self.spent.plus(cost);
        Ok(())
    }

    /// Refuses a tensor that is too large by itself or beside what there is.
    pub(super) fn check_size(&self, node: &str, shape: &[usize]) -> Result<(), GraphError> {
        // An axis without elements hides no other that is too long.
        let filled: Vec<usize> = shape.iter().map(|d| (*d).max(1)).collect();
        match indices::count(&filled).filter(|n| *n <= MAX_ELEMENTS) {
            Some(len) => self.check(node, Cost { memory: len as u64 * COMPUTED, ..Cost::default() }),
            None => {
                let (tensor, shape) = (node.to_owned(), shape.to_vec());
                Err(GraphError::TooLarge { tensor, shape, limit: MAX_ELEMENTS })
            }
        }
    }
}

/// Whether an operation finds every element that it reads, and gives `len` of them.
pub(super) fn fits(op: &FloatOp, inputs: &[&Value], len: usize) -> bool {
    let size = |i: usize| inputs.get(i).map_or(0, |v| v.known().map_or_else(|| v.len(), <[f64]>::len));
    let all = |n: usize| inputs.len() == n && (0..n).all(|i| size(i) == len);
    let each = |list: &[f64]| list.len() == 1 || list.len() == len;
    match op {
        FloatOp::Linear { shape, width, weight, bias, .. } => {
            inputs.len() == 1
                && shape.reads_within(size(0))
                && shape.inner().checked_mul(*width) == Some(weight.len())
                && bias.as_ref().is_none_or(|b| b.len() == *width)
                && shape.positions().checked_mul(*width) == Some(len)
        }
        FloatOp::Add { .. } | FloatOp::Mul { .. } | FloatOp::Div { .. } => all(2),
        FloatOp::Affine { scale, offset } => all(1) && each(scale) && each(offset),
        FloatOp::Sum { group, .. } | FloatOp::Max { group } => {
            inputs.len() == 1 && *group > 0 && len.checked_mul(*group) == Some(size(0))
        }
        FloatOp::MatMul { rows, inner, cols } => {
            inputs.len() == 2
                && rows.checked_mul(*inner) == Some(size(0))
                && inner.checked_mul(*cols) == Some(size(1))
                && rows.checked_mul(*cols) == Some(len)
        }
        FloatOp::Function { .. } | FloatOp::Sqrt | FloatOp::Floor | FloatOp::Indicator { .. } => all(1),
        FloatOp::Select => all(3),
        FloatOp::View { sources } => {
            let sizes: Vec<usize> = (0..inputs.len()).map(size).collect();
            sources.len() == len
                && sources.iter().all(|source| match source {
                    super::FloatSource::Element(input, at) => {
                        sizes.get(*input as usize).is_some_and(|size| (*at as usize) < *size)
                    }
                    super::FloatSource::Constant(_) => true,
                })
        }
    }
}
