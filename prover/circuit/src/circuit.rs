use std::sync::Arc;

use halo2_proofs::{
    circuit::{Cell as HaloCell, Layouter, Region, SimpleFloorPlanner, Value},
    halo2curves::{bn256::Fr, ff::PrimeField},
    plonk::{Any, Circuit, Column, ConstraintSystem, Error},
};
use vouch_graph::{
    exec::execute,
    int::{IntGraph, Visibility, Word},
};

use crate::{
    column::{AdviceColumn as A, FixedColumn as F},
    config::{VouchConfig, WeightLane},
    error::CircuitError,
    late::{self, ChallengeValues, table_row},
    layout::{Blank, Cell, Hints, Honest, LIMB_COLUMNS, Layout, field},
    lower::lay_out,
    plan::CircuitPlan,
    shape::Shape,
};

/// The halo2 circuit of one model, with or without a witness.
#[derive(Debug, Clone)]
pub struct ModelCircuit {
    pub(crate) plan: Arc<CircuitPlan>,
    pub(crate) layout: Arc<Layout>,
    outputs: Vec<Vec<i64>>,
    /// Changes to the columns that no layout holds.
    #[cfg(test)]
    pub(crate) meddling: crate::tests::Meddling,
}

impl ModelCircuit {
    /// The circuit without a witness, for keys.
    ///
    /// # Errors
    /// Where the graph is invalid or is not the plan's.
    pub fn for_keys(graph: &IntGraph, plan: Arc<CircuitPlan>) -> Result<Self, CircuitError> {
        let zeros: Vec<Vec<i64>> = graph.inputs.iter().map(|p| vec![0; graph.tensor(p.tensor).len()]).collect();
        Self::with_hints(graph, plan, &zeros, &mut Blank)
    }

    /// The circuit with the witness of one inference.
    ///
    /// `inputs` are the quantised inputs in the graph's order.
    ///
    /// # Errors
    /// Where the reference executor refuses the inputs, naming the tensor, or computes other outputs;
    /// where the graph is invalid or is not the plan's.
    pub fn with_witness(graph: &IntGraph, plan: Arc<CircuitPlan>, inputs: &[Vec<i64>]) -> Result<Self, CircuitError> {
        graph.validate()?;
        let trace = execute(graph, inputs)?;
        let circuit = Self::assemble(graph, plan, inputs, &mut Honest)?;
        let expected = graph.outputs.iter().map(|port| trace.tensor(port.tensor));
        match circuit.outputs.iter().zip(expected).position(|(output, expected)| output != expected) {
            Some(index) => Err(CircuitError::Disagreement { index }),
            None => Ok(circuit),
        }
    }

    /// The circuit with a witness whose hints pass through `hints`. The reference executor is not
    /// asked: hints that are no adversary's are refused where a value leaves its range.
    ///
    /// # Errors
    /// Where a value leaves its range, naming the node; where the graph is invalid or is not the plan's.
    pub fn with_hints(
        graph: &IntGraph,
        plan: Arc<CircuitPlan>,
        inputs: &[Vec<i64>],
        hints: &mut dyn Hints,
    ) -> Result<Self, CircuitError> {
        graph.validate()?;
        Self::assemble(graph, plan, inputs, hints)
    }

    /// Lays out a valid graph.
    pub(crate) fn assemble(
        graph: &IntGraph,
        plan: Arc<CircuitPlan>,
        inputs: &[Vec<i64>],
        hints: &mut dyn Hints,
    ) -> Result<Self, CircuitError> {
        let shape = &plan.shape;
        plan.check_shape(graph)?;
        let (layout, outputs) = lay_out(graph, shape, inputs, hints)?;
        plan.covers(&layout)?;
        Ok(Self {
            plan,
            layout: Arc::new(layout),
            outputs,
            #[cfg(test)]
            meddling: Default::default(),
        })
    }

    /// Quantised outputs of the witness, in the graph's order.
    #[must_use]
    pub fn outputs(&self) -> &[Vec<i64>] {
        &self.outputs
    }

    /// Logical rows that logUp sums over; one more ends the sum.
    pub(crate) fn run(&self) -> usize {
        self.plan.run()
    }

    fn assign_fixed(&self, region: &mut Region<'_, Fr>, config: &VouchConfig) {
        let layout = &self.layout;
        for (kind, cells) in F::ALL.into_iter().zip(&layout.fixed) {
            let Some(mut place) = config.fixed(kind) else { continue };
            if kind == F::Tag {
                // Beside the segment that it is looked up with.
                let segment = config.advice(A::Abs1).map_or(0, |segment| segment.offset);
                (place.offset, place.step) = (segment, config.shape.height);
            }
            for (row, value) in cells.iter().enumerate().filter(|(_, value)| **value != 0) {
                region.assign_fixed(place.column, place.row(row), field(*value));
            }
        }
        let run = self.run() * config.shape.height;
        if let Some(place) = config.fixed(F::Table) {
            for row in 0..run {
                region.assign_fixed(place.column, row, field(table_row(layout, row)[0] + 1));
            }
        }
        for (kind, part) in [(F::TableOut, 1), (F::TableTag, 2)] {
            let Some(place) = config.fixed(kind) else { continue };
            for row in 0..layout.table_rows() {
                region.assign_fixed(place.column, row, field(table_row(layout, row)[part]));
            }
        }
        if let Some(place) = config.fixed(F::Base) {
            for row in 0..=self.run() {
                let end = row == 0 || row == self.run();
                region.assign_fixed(place.column, row * config.shape.height, Fr::from(1 + u64::from(end)));
            }
        }
    }

    fn assign_lanes(&self, region: &mut Region<'_, Fr>, config: &VouchConfig) {
        let height = config.shape.height;
        // Where there are no weights they are zero.
        let zero = config.shape.weight_offset() as u64;
        for (lane, cells) in self.layout.lanes.iter().enumerate() {
            let zeros = std::iter::repeat_n(&zero, (self.run() + 1).saturating_sub(cells.len()));
            for (row, weight) in cells.iter().chain(zeros).enumerate() {
                let (row, weight) = (row * height + lane % height, Fr::from(*weight));
                match config.lanes[lane / height] {
                    WeightLane::Private(column) => {
                        region.assign_advice(column, row, Value::known(weight));
                    }
                    WeightLane::Public(column) => {
                        region.assign_fixed(column, row, weight);
                    }
                }
            }
        }
    }

    /// Assigns the first phase; the multiplicities are returned for the second.
    fn assign_first_phase(&self, region: &mut Region<'_, Fr>, config: &VouchConfig) -> Vec<Fr> {
        let layout = &self.layout;
        let mut assign = |kind: A, row: usize, value: Fr| {
            #[cfg(test)]
            let value = self.meddling.first_phase_cell(kind, row).unwrap_or(value);
            if let Some(place) = config.advice(kind) {
                region.assign_advice(place.column, place.row(row), Value::known(value));
            }
        };
        for (kind, cells) in [A::P, A::Q, A::Acc, A::Y].into_iter().zip(&layout.advice) {
            for (row, value) in cells.iter().enumerate() {
                assign(kind, row, *value);
            }
        }
        for (row, limbs) in layout.limbs.iter().enumerate() {
            for (kind, limb) in LIMB_COLUMNS.into_iter().zip(limbs) {
                assign(kind, row, field(i128::from(*limb)));
            }
        }
        let counts = late::multiplicities(layout, &config.shape, self.run());
        let multiplicities: Vec<Fr> = counts.into_iter().map(Fr::from).collect();
        #[cfg(test)]
        let multiplicities = self.meddling.multiplicities(multiplicities);
        for (row, value) in multiplicities.iter().enumerate() {
            assign(A::Multiplicity, row, *value);
        }
        multiplicities
    }

    fn copy_cells(&self, region: &mut Region<'_, Fr>, config: &VouchConfig) {
        let halo = |cell: Cell| {
            let place = config.advice(cell.column)?;
            Some(HaloCell { row_offset: place.row(cell.row), column: place.column.into() })
        };
        for (left, right) in &self.layout.copies {
            if let (Some(left), Some(right)) = (halo(*left), halo(*right)) {
                region.constrain_equal(left, right);
            }
        }
        let instance: Column<Any> = config.instance.into();
        for (index, cell) in self.layout.instances.iter().enumerate() {
            if let Some(cell) = halo(*cell) {
                // Instance 0 is the context: absorbed by the transcript, read by no gate.
                region.constrain_equal(cell, HaloCell { row_offset: index + 1, column: instance });
            }
        }
    }

    fn assign_late(
        &self,
        region: &mut Region<'_, Fr>,
        config: &VouchConfig,
        multiplicities: &[Fr],
        challenges: &ChallengeValues,
    ) {
        let columns = late::compute(&self.layout, &config.shape, multiplicities, challenges, self.run());
        #[cfg(test)]
        let columns = self.meddling.late(columns, challenges);
        for kind in config.shape.advice().filter(|kind| kind.is_late()) {
            let Some(place) = config.advice(kind) else { continue };
            for (row, value) in columns.column(kind).iter().enumerate() {
                region.assign_advice(place.column, place.row(row), Value::known(*value));
            }
        }
    }
}

/// Values of the shape's challenges; `None` before they are drawn.
fn challenge_values(region: &Region<'_, Fr>, config: &VouchConfig) -> Option<ChallengeValues> {
    let challenges = config.challenges;
    let get = |challenge: Option<_>| {
        let value = challenge.map_or_else(|| Value::known(Fr::zero()), |challenge| region.get_challenge(challenge));
        let mut known = None;
        value.map(|value| known = Some(value));
        known
    };
    Some(ChallengeValues {
        outputs: get(challenges.outputs)?,
        positions: get(challenges.positions)?,
        lookup: get(Some(challenges.lookup))?,
        value: get(challenges.value)?,
        slope: get(challenges.slope)?,
        tag: get(challenges.tag)?,
    })
}

impl Circuit<Fr> for ModelCircuit {
    type Config = VouchConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Shape;

    fn params(&self) -> Shape {
        self.plan.shape.clone()
    }

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, shape: Shape) -> VouchConfig {
        VouchConfig::configure(meta, shape)
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> VouchConfig {
        VouchConfig::configure(meta, Shape::default())
    }

    fn synthesize(&self, config: VouchConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_region(
            || "model",
            |mut region| {
                self.assign_fixed(&mut region, &config);
                self.assign_lanes(&mut region, &config);
                let multiplicities = self.assign_first_phase(&mut region, &config);
                self.copy_cells(&mut region, &config);
                region.next_phase();
                if let Some(challenges) = challenge_values(&region, &config) {
                    self.assign_late(&mut region, &config, &multiplicities, &challenges);
                }
                Ok(())
            },
        )
    }
}

/// The instance column of a statement: context, public inputs' words, public outputs' words.
///
/// # Errors
/// Where a value does not fit its packing.
pub fn instance_values(
    graph: &IntGraph,
    context: Fr,
    inputs: &[Vec<i64>],
    outputs: &[Vec<i64>],
) -> Result<Vec<Fr>, CircuitError> {
    let mut instances = vec![context];
    let ports = graph.inputs.iter().zip(inputs).chain(graph.outputs.iter().zip(outputs));
    for (port, values) in ports.filter(|(port, _)| port.visibility == Visibility::Public) {
        instances.extend(port.packing.pack(values)?.iter().map(word_to_field));
    }
    Ok(instances)
}

/// A word is below `2^248`, so every word is a canonical field element.
fn word_to_field(word: &Word) -> Fr {
    let mut repr = *word;
    repr.reverse();
    Option::from(Fr::from_repr(repr)).unwrap_or_default()
}
