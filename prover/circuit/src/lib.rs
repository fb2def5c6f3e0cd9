//! Gadgets, layout planner and the halo2 circuit of an integer graph.
//!
//! [`CircuitPlan::choose`] picks the size and the shape of the circuit, [`ModelCircuit`] is the halo2
//! circuit itself.
//!
//! With public weights the constraints of a graph that passes validation
//! ([`vouch_graph::int::IntGraph::validate`]) hold for exactly the traces that [`vouch_graph`]'s reference executor
//! produces. Private weights are whatever the prover commits, in the field and without a range: then
//! they hold for the traces of some weights, in which linear layers add and multiply modulo the
//! field's order and each rescaled value lies in its range. [`ModelCircuit::with_witness`] runs the executor
//! and gives no witness where it refuses, or where the two disagree.
//!
//! The layout has two units that share rows. The **value unit** holds one computed value a row:
//! operands `p`, `q`, their accumulator, the value `y` and the byte limbs that bound it. The
//! **weight unit** holds the weights in lanes and evaluates each row of a weight matrix at a
//! challenge. A linear layer is one polynomial identity between the two, so its cost follows the
//! size of the tensors and not the number of multiplications.

mod circuit;
mod column;
mod config;
mod cost;
mod error;
mod family;
mod gadget;
mod geometry;
mod late;
mod layout;
mod lower;
mod map;
mod phase_order;
mod plan;
mod schedule;
mod shape;

pub use circuit::{ModelCircuit, instance_values};
pub use column::{AdviceColumn, FixedColumn};
pub use config::VouchConfig;
pub use cost::{Cost, CostModel, Measured, Prediction};
pub use error::CircuitError;
pub use family::{GateSet, ShapeCost, family, standard_shapes};
pub use layout::{Cell, HintSite, Hints, Honest, Layout, Num};
pub use map::{CircuitMap, MapColumn, Mark, Purpose};
pub use plan::{Alternative, CircuitPlan, Objective, PlanOptions, TOLERANCE};
pub use shape::{Shape, WeightPlacement};

#[cfg(test)]
mod tests;
