use std::collections::BTreeSet;

use halo2_proofs::{halo2curves::bn256::Fr, plonk::ConstraintSystem};
use serde::{Deserialize, Serialize};
use vouch_graph::int::{IntGraph, IntOp};

use crate::{
    column::{AdviceColumn, FixedColumn},
    config::VouchConfig,
    cost::{Cost, Prediction},
    error::CircuitError,
    gadget::rescale::SHIFT,
    layout::{Blank, Layout},
    lower::lay_out,
    phase_order,
    shape::{Shape, WeightPlacement},
};

/// Smallest circuit considered: the byte table and the blinding rows must fit.
const MIN_K: u32 = 9;
/// Largest circuit considered.
const MAX_K: u32 = 22;
/// Most weight lanes considered.
const MAX_LANES: usize = 48;

/// What the user decides about a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlanOptions {
    /// Where the weights live.
    pub weights: WeightPlacement,
    /// Size to use, as a power of two; the cheapest by default.
    pub k: Option<u32>,
}

/// Size and shape of a model's circuit.
///
/// [`Shape::weights`] places the weights of linear layers alone. Learned numbers that are no weight
/// of a linear layer are coefficients, fixed cells of the key in either placement, and so not hidden:
/// see [`WeightPlacement`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CircuitPlan {
    /// Rows, as a power of two.
    pub k: u32,
    /// What the constraint system depends on.
    pub shape: Shape,
    /// Rows of the value unit.
    pub value_rows: usize,
    /// Rows of the weight unit.
    pub weight_rows: usize,
    /// Rows that are not blinding.
    pub usable_rows: usize,
    /// Instances, the context included.
    pub instances: usize,
    /// Counts.
    pub cost: Cost,
    /// Predicted figures.
    pub predicted: Prediction,
}

impl CircuitPlan {
    /// Picks the size and the number of weight lanes with the least predicted proving time.
    ///
    /// # Errors
    /// Where the graph is invalid or fits no supported size.
    pub fn choose(graph: &IntGraph, options: &PlanOptions) -> Result<Self, CircuitError> {
        graph.validate()?;
        Self::for_valid(graph, options)
    }

    /// The same for a graph that is valid already.
    pub(crate) fn for_valid(graph: &IntGraph, options: &PlanOptions) -> Result<Self, CircuitError> {
        let zeros: Vec<Vec<i64>> = graph.inputs.iter().map(|p| vec![0; graph.tensor(p.tensor).len()]).collect();
        let weight_bits = weight_bits(graph)?;
        let offset = 1i128 << (weight_bits - 1);
        let matrices = matrices(graph);
        let parameters = graph.parameter_count();
        let lay_out = |lanes| lay_out(graph, lanes, offset, &zeros, &mut Blank).map(|(layout, _)| layout);

        // The value unit does not depend on the lanes; one layout counts its rows.
        let widest = if matrices.is_empty() { 0 } else { MAX_LANES };
        let counted = lay_out(widest)?;
        let mut best: Option<(f64, u32, usize)> = None;
        let mut least_rows = usize::MAX;
        for k in options.k.map_or(MIN_K..=MAX_K, |k| k..=k) {
            for lanes in if matrices.is_empty() { 0..=0 } else { 1..=MAX_LANES } {
                let shape = shape_of(&counted, lanes, weight_bits, options.weights);
                let weight_rows = matrices.iter().map(|m| m.rows * m.width.div_ceil(lanes.max(1))).sum::<usize>();
                let rows = counted.rows_with(weight_rows).max(counted.instances.len() + 1) + 1;
                least_rows = least_rows.min(rows);
                let meta = constraints_of(&shape);
                if rows > usable_rows(k, &meta) {
                    continue;
                }
                let cost = Cost::of(&shape, counted.cells());
                let instances = counted.instances.len() + 1;
                let seconds = cost.predict(&shape, &meta, k, instances, parameters).prove_seconds;
                if best.is_none_or(|(least, ..)| seconds < least) {
                    best = Some((seconds, k, lanes));
                }
                // More lanes only cost more once the weights fit.
                break;
            }
        }
        let Some((_, k, lanes)) = best else {
            return Err(CircuitError::TooLarge { rows: least_rows, max_k: options.k.unwrap_or(MAX_K) });
        };
        let layout = lay_out(lanes)?;
        let shape = shape_of(&layout, lanes, weight_bits, options.weights);
        let cost = Cost::of(&shape, layout.cells());
        let instances = layout.instances.len() + 1;
        let meta = constraints_of(&shape);
        Ok(Self {
            k,
            usable_rows: usable_rows(k, &meta),
            value_rows: layout.value_rows,
            weight_rows: layout.weight_rows,
            instances,
            cost,
            predicted: cost.predict(&shape, &meta, k, instances, parameters),
            shape,
        })
    }
}

impl CircuitPlan {
    /// Refuses a layout that the plan's constraint system would not bind wholly: rows behind the
    /// logUp sum are not looked up, and a column that the shape lacks takes its selectors or its
    /// copies with it, so a plan of another graph could leave rows free. A column committed behind
    /// the challenge that tests it would be free as well.
    pub(crate) fn covers(&self, layout: &Layout) -> Result<(), CircuitError> {
        let mismatch = |what: String| Err(CircuitError::PlanMismatch { what });
        if layout.value_rows != self.value_rows || layout.weight_rows != self.weight_rows {
            return mismatch(format!(
                "it has {} value rows and {} weight rows, the plan {} and {}",
                layout.value_rows, layout.weight_rows, self.value_rows, self.weight_rows
            ));
        }
        let mut meta = ConstraintSystem::default();
        let config = VouchConfig::configure(&mut meta, self.shape.clone());
        phase_order::check(&meta, &config)?;
        let usable = usable_rows(self.k, &meta);
        let needed = layout.rows().max(layout.instances.len() + 1) + 1;
        if self.usable_rows != usable || needed > usable {
            return mismatch(format!(
                "it needs {needed} rows, and 2^{} have {usable} of use, the plan says {}",
                self.k, self.usable_rows
            ));
        }
        let wanted = shape_of(layout, self.shape.weight_lanes, self.shape.weight_bits, self.shape.weights);
        if let Some(column) = wanted.fixed.iter().find(|column| !self.shape.has(**column)) {
            return mismatch(format!("the shape lacks the column {column:?}"));
        }
        let columns: BTreeSet<AdviceColumn> = self.shape.advice().collect();
        let copied = layout.copies.iter().flat_map(|(left, right)| [left, right]).chain(&layout.instances);
        match copied.map(|cell| cell.column).find(|column| !columns.contains(column)) {
            Some(column) => mismatch(format!("the shape lacks the column {column:?}")),
            None => Ok(()),
        }
    }
}

/// A weight matrix as the weight unit sees it; the bias is one more row.
struct Matrix {
    rows: usize,
    width: usize,
}

fn matrices(graph: &IntGraph) -> Vec<Matrix> {
    let matrix = |op: &IntOp| match op {
        IntOp::Linear { shape, width, bias, .. } => {
            Some(Matrix { rows: shape.inner() + usize::from(bias.is_some()), width: *width })
        }
        _ => None,
    };
    graph.nodes.iter().filter_map(|node| matrix(&node.op)).collect()
}

/// Bits that hold every weight and bias as the lanes hold them, scaled to the rescaling row's shift.
fn weight_bits(graph: &IntGraph) -> Result<u32, CircuitError> {
    let mut bits = 8;
    for node in &graph.nodes {
        let IntOp::Linear { weight, bias, rescale, .. } = &node.op else { continue };
        for param in [Some(weight), bias.as_ref()].into_iter().flatten() {
            let largest = graph.params[*param].values.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0);
            let scaled = u128::from(largest) << (SHIFT - rescale.shift);
            bits = bits.max(129 - scaled.leading_zeros());
        }
    }
    if bits > 62 {
        return Err(CircuitError::Overflow { node: "weights".to_owned() });
    }
    // Whole bytes, so that models share shapes.
    Ok(bits.next_multiple_of(8))
}

/// The shape of a layout with the given lanes.
fn shape_of(layout: &Layout, lanes: usize, weight_bits: u32, weights: WeightPlacement) -> Shape {
    let mut fixed: BTreeSet<FixedColumn> = FixedColumn::ALL
        .into_iter()
        .filter(|column| layout.fixed[*column as usize].iter().any(|value| *value != 0))
        .collect();
    fixed.extend([FixedColumn::TableIn, FixedColumn::Run, FixedColumn::Ends]);
    if !layout.functions.is_empty() {
        fixed.extend([FixedColumn::TableOut, FixedColumn::TableTag]);
    }
    Shape {
        weight_lanes: lanes,
        weight_bits,
        weights,
        fixed,
        #[cfg(test)]
        omitted: None,
    }
}

/// The constraint system of a shape.
fn constraints_of(shape: &Shape) -> ConstraintSystem<Fr> {
    let mut meta = ConstraintSystem::default();
    VouchConfig::configure(&mut meta, shape.clone());
    meta
}

/// Rows of a circuit of `2^k` rows that are not blinding; the constraint system says how many are.
fn usable_rows(k: u32, meta: &ConstraintSystem<Fr>) -> usize {
    1usize.checked_shl(k).unwrap_or(0).saturating_sub(meta.blinding_factors() + 1)
}

impl Layout {
    /// Rows of the circuit if the weight unit had `weight_rows`.
    fn rows_with(&self, weight_rows: usize) -> usize {
        self.value_rows.max(weight_rows).max(self.table_rows())
    }
}
