use std::collections::BTreeSet;

use halo2_proofs::{halo2curves::bn256::Fr, plonk::ConstraintSystem};
use serde::{Deserialize, Serialize};
use vouch_graph::int::{IntGraph, IntNode, IntOp, LinearShape, TensorId};

use crate::{
    column::{AdviceColumn, FixedColumn},
    config::VouchConfig,
    cost::{Cost, CostModel, Prediction},
    error::CircuitError,
    family::{GateSet, HEIGHTS, LANE_COLUMNS, LIMB_BITS, WEIGHT_BITS},
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
/// Plans worse than the best by at most this share are as good, and the fastest of them wins.
pub const TOLERANCE: f64 = 0.05;

/// What a plan is to be best at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// Least proving time.
    #[default]
    Prover,
    /// Least gas to verify.
    Gas,
    /// Least memory to prove.
    Memory,
}

/// What the user decides about a plan.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PlanOptions {
    /// Where the weights live.
    pub weights: WeightPlacement,
    /// Size to use, as a power of two; the best by default.
    pub k: Option<u32>,
    /// Rows that a logical row takes, see [`Shape::height`]; the best by default.
    pub height: Option<usize>,
    /// Bits of a looked-up limb; the best by default.
    pub limb_bits: Option<u32>,
    /// What the plan is to be best at.
    pub objective: Objective,
    /// Coefficients of the predictions.
    pub cost_model: CostModel,
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
    /// Logical rows of the value unit.
    pub value_rows: usize,
    /// Logical rows of the weight unit.
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

/// A plan that was considered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// Rows, as a power of two.
    pub k: u32,
    /// Rows that a logical row takes.
    pub height: usize,
    /// Bits of a limb.
    pub limb_bits: u32,
    /// Weights in a logical row.
    pub weight_lanes: usize,
    /// Share of the usable rows that the model takes.
    pub filled: f64,
    /// Counts.
    pub cost: Cost,
    /// Predicted figures.
    pub predicted: Prediction,
}

impl Objective {
    /// What is to be least.
    #[must_use]
    pub fn score(self, predicted: &Prediction) -> f64 {
        match self {
            Self::Prover => predicted.prove_seconds,
            Self::Gas => predicted.verify_gas as f64,
            Self::Memory => predicted.peak_memory_bytes as f64,
        }
    }

    /// Position of the best of the alternatives.
    fn best(self, alternatives: &[Alternative]) -> Option<usize> {
        let score = |i: &usize| self.score(&alternatives[*i].predicted);
        let all = 0..alternatives.len();
        let least = all.clone().map(|i| score(&i)).min_by(f64::total_cmp)?;
        let seconds = |i: &usize| alternatives[*i].predicted.prove_seconds;
        all.filter(|i| score(i) <= least * (1.0 + TOLERANCE)).min_by(|a, b| seconds(a).total_cmp(&seconds(b)))
    }
}

impl CircuitPlan {
    /// Picks the plan that is predicted to be best at the objective.
    ///
    /// # Errors
    /// Where the graph is invalid or fits no supported size.
    pub fn choose(graph: &IntGraph, options: &PlanOptions) -> Result<Self, CircuitError> {
        Ok(Self::explain(graph, options)?.0)
    }

    /// The same, and every plan that was considered: for each size, height of a logical row and width of limbs the one
    /// with the fewest weight lanes that hold the weights.
    ///
    /// # Errors
    /// As [`CircuitPlan::choose`].
    pub fn explain(graph: &IntGraph, options: &PlanOptions) -> Result<(Self, Vec<Alternative>), CircuitError> {
        graph.validate()?;
        Self::for_valid(graph, options)
    }

    /// The same for a graph that is valid already.
    pub(crate) fn for_valid(graph: &IntGraph, options: &PlanOptions) -> Result<(Self, Vec<Alternative>), CircuitError> {
        let model = Model::of(graph, options)?;
        let mut alternatives = Vec::new();
        let mut least_rows = usize::MAX;
        let functions = !model.counted.functions.is_empty();
        let limbs = LIMB_BITS.into_iter().filter(|bits| *bits == 8 || !functions);
        for limb_bits in limbs.filter(|bits| options.limb_bits.is_none_or(|wanted| wanted == *bits)) {
            for height in HEIGHTS.into_iter().filter(|height| options.height.is_none_or(|wanted| wanted == *height)) {
                for k in options.k.map_or(MIN_K..=MAX_K, |k| k..=k) {
                    match model.alternative(k, height, limb_bits) {
                        Ok(alternative) => alternatives.push(alternative),
                        Err(rows) => least_rows = least_rows.min(rows),
                    }
                }
            }
        }
        let Some(best) = options.objective.best(&alternatives).map(|best| alternatives[best]) else {
            return Err(CircuitError::TooLarge { rows: least_rows, max_k: options.k.unwrap_or(MAX_K) });
        };
        let shape = model.shape(best.height, best.limb_bits, best.weight_lanes);
        Ok((Self::with_shape(graph, best.k, &shape, &options.cost_model)?, alternatives))
    }

    /// The plan of a given size and shape.
    pub(crate) fn with_shape(graph: &IntGraph, k: u32, shape: &Shape, model: &CostModel) -> Result<Self, CircuitError> {
        let layout = lay_out(graph, shape, &zeros(graph), &mut Blank)?.0;
        let meta = shape.constraint_system();
        let cost = Cost::of(shape, &meta, cells(shape, &layout, layout.weight_rows), elements(graph));
        let instances = layout.instances.len() + 1;
        Ok(Self {
            k,
            usable_rows: usable_rows(k, &meta),
            value_rows: layout.value_rows,
            weight_rows: layout.weight_rows,
            instances,
            cost,
            predicted: cost.predict(model, &meta, (k, graph.parameter_count()), instances),
            shape: shape.clone(),
        })
    }

    /// Logical rows that the logUp sum runs over; one more ends the sum.
    pub(crate) fn run(&self) -> usize {
        self.shape.logical_rows(self.usable_rows).saturating_sub(1)
    }

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
        let needed = needed_rows(layout, &self.shape, layout.weight_rows);
        if self.usable_rows != usable || needed > usable {
            return mismatch(format!(
                "it needs {needed} rows, and 2^{} have {usable} of use, the plan says {}",
                self.k, self.usable_rows
            ));
        }
        if let Some(column) = fixed_in_use(layout).into_iter().find(|column| !self.shape.has(*column)) {
            return mismatch(format!("the shape lacks the column {column:?}"));
        }
        let columns: BTreeSet<AdviceColumn> = self.shape.advice().collect();
        let copied = layout.copies.iter().flat_map(|(left, right)| [left, right]).chain(&layout.instances);
        match copied.map(|cell| cell.column).find(|column| !columns.contains(column)) {
            Some(column) => mismatch(format!("the shape lacks the column {column:?}")),
            None => Ok(()),
        }
    }

    /// Refuses a shape that no plan has, before anything divides by its height.
    pub(crate) fn check_shape(&self, graph: &IntGraph) -> Result<(), CircuitError> {
        let Shape { height, limb_bits, weight_lanes, weight_bits, .. } = self.shape;
        let mismatch = |what: &str| Err(CircuitError::PlanMismatch { what: what.to_owned() });
        if !HEIGHTS.contains(&height) {
            return mismatch("its logical rows have another height than 1, 2 or 4");
        }
        let functions = graph.nodes.iter().any(|node| matches!(node.op, IntOp::Function { .. }));
        if !LIMB_BITS.contains(&limb_bits) || (functions && limb_bits != 8) {
            return mismatch("its limbs have another width than the graph's rows");
        }
        if !(1..=62).contains(&weight_bits) {
            return mismatch("its weights have another width than 1 to 62 bits");
        }
        if weight_lanes == 0 {
            return mismatch("it has no weight lanes");
        }
        Ok(())
    }
}

/// What planning needs to know of a graph, whatever the plan.
struct Model {
    /// What all plans of it share of their shapes.
    shape: Shape,
    /// Laid out with as many lanes as the widest row of weights.
    counted: Layout,
    /// Rows of the weight unit without weights.
    other_weight_rows: usize,
    parameters: usize,
    elements: usize,
    cost_model: CostModel,
}

impl Model {
    fn of(graph: &IntGraph, options: &PlanOptions) -> Result<Self, CircuitError> {
        let weight_bits = weight_bits(graph)?;
        let width = |node: &IntNode| match node.op {
            IntOp::Linear { width, .. } => width,
            _ => 0,
        };
        let widest = graph.nodes.iter().map(width).max().unwrap_or(0).clamp(1, LANE_COLUMNS[LANE_COLUMNS.len() - 1]);
        let shape = Shape { weight_lanes: widest, weight_bits, weights: options.weights, ..Shape::default() };
        let counted = lay_out(graph, &shape, &zeros(graph), &mut Blank)?.0;
        let other_weight_rows = counted.weight_rows - weight_rows(&counted, widest);
        Ok(Self {
            shape: Shape { gates: GateSet::with(&fixed_in_use(&counted)), ..shape },
            counted,
            other_weight_rows,
            parameters: graph.parameter_count(),
            elements: elements(graph),
            cost_model: options.cost_model,
        })
    }

    fn shape(&self, height: usize, limb_bits: u32, weight_lanes: usize) -> Shape {
        Shape { height, limb_bits, weight_lanes, ..self.shape.clone() }
    }

    /// The plan of a size, a height and a limb with the fewest lanes; the rows that it would need where
    /// none fits.
    fn alternative(&self, k: u32, height: usize, limb_bits: u32) -> Result<Alternative, usize> {
        let mut least = usize::MAX;
        for weight_lanes in LANE_COLUMNS.map(|columns| columns * height) {
            let weight_rows = self.other_weight_rows + weight_rows(&self.counted, weight_lanes);
            let shape = self.shape(height, limb_bits, weight_lanes);
            let needed = needed_rows(&self.counted, &shape, weight_rows);
            least = least.min(needed);
            if needed >= 1 << k {
                continue;
            }
            let meta = shape.constraint_system();
            let usable = usable_rows(k, &meta);
            if needed > usable {
                continue;
            }
            let cost = Cost::of(&shape, &meta, cells(&shape, &self.counted, weight_rows), self.elements);
            let instances = self.counted.instances.len() + 1;
            let predicted = cost.predict(&self.cost_model, &meta, (k, self.parameters), instances);
            let filled = needed as f64 / usable as f64;
            // More lanes only cost more once the weights fit.
            return Ok(Alternative { k, height, limb_bits, weight_lanes, filled, cost, predicted });
        }
        Err(least)
    }
}

/// Inputs of a layout without a witness.
fn zeros(graph: &IntGraph) -> Vec<Vec<i64>> {
    graph.inputs.iter().map(|port| vec![0; graph.tensor(port.tensor).len()]).collect()
}

/// Weight rows that hold weights, on so many lanes.
fn weight_rows(layout: &Layout, lanes: usize) -> usize {
    layout.widths.iter().map(|(width, rows)| rows * width.div_ceil(lanes.max(1))).sum()
}

/// Elements that the graph's operations read and write, and weights.
fn elements(graph: &IntGraph) -> usize {
    let len = |id: &TensorId| graph.tensor(*id).len();
    let read = |node: &IntNode| match &node.op {
        // One group of a convolution reads its own channels.
        IntOp::Linear { shape: LinearShape::Conv2d(c), .. } => c.channels * c.input[0] * c.input[1],
        _ => node.inputs.iter().map(len).sum(),
    };
    let computing = graph.nodes.iter().filter(|node| !matches!(node.op, IntOp::View { .. }));
    computing.map(|node| read(node) + len(&node.output)).sum::<usize>() + graph.parameter_count()
}

/// Advice cells of the rows in use.
fn cells(shape: &Shape, layout: &Layout, weight_rows: usize) -> usize {
    let of_weights =
        |column: &AdviceColumn| matches!(column, AdviceColumn::WeightAcc | AdviceColumn::X | AdviceColumn::Dot);
    let lookups = shape.limb_columns() * shape.height;
    let per_value: usize = shape
        .advice()
        .filter(|column| !of_weights(column) && *column != AdviceColumn::Multiplicity)
        .map(|column| if column.is_full_height() { shape.height } else { 1 })
        .sum::<usize>()
        + lookups
        - shape.limbs().len();
    let per_weight = shape.weight_lanes + shape.advice().filter(of_weights).count();
    layout.value_rows * per_value + weight_rows * per_weight + layout.table_rows()
}

/// Bits that hold every weight and bias as the lanes hold them, scaled to the rescaling row's shift.
fn weight_bits(graph: &IntGraph) -> Result<u32, CircuitError> {
    let mut bits = 0;
    for node in &graph.nodes {
        let IntOp::Linear { weight, bias, rescale, .. } = &node.op else { continue };
        for param in [Some(weight), bias.as_ref()].into_iter().flatten() {
            let largest = graph.params[*param].values.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0);
            let scaled = u128::from(largest) << (SHIFT - rescale.shift);
            bits = bits.max(129 - scaled.leading_zeros());
        }
    }
    let fits = WEIGHT_BITS.into_iter().find(|lane| bits <= *lane);
    fits.ok_or_else(|| CircuitError::Overflow { node: "weights".to_owned() })
}

/// The fixed columns that a layout uses.
fn fixed_in_use(layout: &Layout) -> Vec<FixedColumn> {
    let used = |column: &FixedColumn| match column {
        FixedColumn::Base | FixedColumn::Table => true,
        FixedColumn::TableOut | FixedColumn::TableTag => !layout.functions.is_empty(),
        column => layout.fixed[*column as usize].iter().any(|value| *value != 0),
    };
    FixedColumn::ALL.into_iter().filter(used).collect()
}

/// Rows of a circuit of `2^k` rows that are not blinding; the constraint system says how many are.
fn usable_rows(k: u32, meta: &ConstraintSystem<Fr>) -> usize {
    1usize.checked_shl(k).unwrap_or(0).saturating_sub(meta.blinding_factors() + 1)
}

/// Usable rows that a layout needs if its weight unit had `weight_rows`: its logical rows and one that ends the
/// logUp sum, the table, the instances.
fn needed_rows(layout: &Layout, shape: &Shape, weight_rows: usize) -> usize {
    let logical = layout.value_rows.max(weight_rows) + 1;
    let table = match layout.functions.len() {
        0 => 1 << shape.limb_bits,
        _ => layout.table_rows(),
    };
    (logical * shape.height).max(table + 2 * shape.height).max(layout.instances.len() + 2)
}
