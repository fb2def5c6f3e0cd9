//! An attacker's tools: hints forged at one site, layouts edited behind the builder's back, and
//! columns rewritten with the challenges known.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex},
};

use halo2_proofs::{
    dev::{MockProver, VerifyFailure},
    halo2curves::{bn256::Fr, ff::PrimeField},
};
use vouch_graph::int::IntGraph;

use super::{context, graphs::Case, grid::Grid, plan};
use crate::{
    AdviceColumn, CircuitPlan, CostModel, HintSite, Hints, Layout, ModelCircuit, PlanOptions, Shape, WeightPlacement,
    late::{ChallengeValues, Late},
    layout::{Blank, Cell, LIMB_COLUMNS, field},
};

type Multiplicities = Arc<dyn Fn(&mut Vec<Fr>) + Send + Sync>;
type LateColumns = Arc<dyn Fn(&mut Late, &ChallengeValues) + Send + Sync>;

/// Changes to the columns that a layout does not hold.
#[derive(Clone, Default)]
pub(crate) struct Meddling {
    first_phase_cells: Vec<(AdviceColumn, usize, Fr)>,
    multiplicities: Option<Multiplicities>,
    late: Option<LateColumns>,
}

impl fmt::Debug for Meddling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meddling").finish_non_exhaustive()
    }
}

impl Meddling {
    pub(crate) fn first_phase_cell(&self, column: AdviceColumn, row: usize) -> Option<Fr> {
        self.first_phase_cells.iter().find(|(c, r, _)| (*c, *r) == (column, row)).map(|(.., value)| *value)
    }

    pub(crate) fn multiplicities(&self, mut honest: Vec<Fr>) -> Vec<Fr> {
        if let Some(rewrite) = &self.multiplicities {
            rewrite(&mut honest);
        }
        honest
    }

    pub(crate) fn late(&self, mut honest: Late, challenges: &ChallengeValues) -> Late {
        if let Some(rewrite) = &self.late {
            rewrite(&mut honest, challenges);
        }
        honest
    }
}

/// The circuit with another layout.
pub(crate) fn edited(circuit: &ModelCircuit, edit: impl FnOnce(&mut Layout)) -> ModelCircuit {
    let mut layout = (*circuit.layout).clone();
    edit(&mut layout);
    let mut circuit = circuit.clone();
    circuit.layout = Arc::new(layout);
    circuit
}

/// The circuit with one first-phase cell overwritten, which the second phase does not see.
pub(crate) fn with_cell(circuit: &ModelCircuit, column: AdviceColumn, row: usize, value: Fr) -> ModelCircuit {
    let mut circuit = circuit.clone();
    circuit.meddling.first_phase_cells.push((column, row, value));
    circuit
}

/// The circuit with other multiplicities; the second phase is consistent with them.
pub(crate) fn with_multiplicities(
    circuit: &ModelCircuit,
    rewrite: impl Fn(&mut Vec<Fr>) + Send + Sync + 'static,
) -> ModelCircuit {
    let mut circuit = circuit.clone();
    circuit.meddling.multiplicities = Some(Arc::new(rewrite));
    circuit
}

/// The circuit with late columns rewritten, after what rewrites them already.
pub(crate) fn with_late(
    circuit: &ModelCircuit,
    rewrite: impl Fn(&mut Late, &ChallengeValues) + Send + Sync + 'static,
) -> ModelCircuit {
    let mut circuit = circuit.clone();
    let before = circuit.meddling.late.take();
    circuit.meddling.late = Some(Arc::new(move |columns, challenges| {
        if let Some(before) = &before {
            before(columns, challenges);
        }
        rewrite(columns, challenges);
    }));
    circuit
}

/// The circuit without one of its gates.
pub(crate) fn without_gate(circuit: &ModelCircuit, gate: &'static str) -> ModelCircuit {
    let mut plan = (*circuit.plan).clone();
    plan.shape.omitted = Some(gate);
    let mut circuit = circuit.clone();
    circuit.plan = Arc::new(plan);
    circuit
}

/// MockProver's challenges, which never change.
pub(crate) fn mock_challenges(circuit: &ModelCircuit) -> ChallengeValues {
    run(circuit, &claimed(circuit)).1
}

/// What an advice cell of the first phase holds.
pub(crate) fn cell_value(layout: &Layout, cell: Cell) -> Fr {
    match LIMB_COLUMNS.iter().position(|limb| *limb == cell.column) {
        Some(limb) => field(i128::from(layout.limbs[cell.row][limb])),
        None => layout.advice[cell.column as usize][cell.row],
    }
}

/// The statement that fits the layout best: each instance is what the bound cell holds.
pub(crate) fn claimed(circuit: &ModelCircuit) -> Vec<Fr> {
    let bound = circuit.layout.instances.iter().map(|cell| cell_value(&circuit.layout, *cell));
    std::iter::once(context()).chain(bound).collect()
}

/// Names of what failed: gates by name, copy constraints as "copy".
fn names(result: Result<(), Vec<VerifyFailure>>) -> BTreeSet<String> {
    let name = |failure: VerifyFailure| match failure {
        VerifyFailure::ConstraintNotSatisfied { constraint, .. } => {
            let text = constraint.to_string();
            let quoted = text.rsplit("('").next().unwrap_or_default();
            quoted.trim_end_matches(')').trim_end_matches('\'').to_owned()
        }
        VerifyFailure::Permutation { .. } => "copy".to_owned(),
        other => format!("{other:?}"),
    };
    result.err().unwrap_or_default().into_iter().map(name).collect()
}

/// MockProver with the circuit's cells, and its challenges.
pub(crate) fn run(circuit: &ModelCircuit, instances: &[Fr]) -> (MockProver<Fr>, ChallengeValues) {
    let seen = Arc::new(Mutex::new(None));
    let writer = Arc::clone(&seen);
    let spying = with_late(circuit, move |_, challenges| *writer.lock().unwrap() = Some(*challenges));
    let prover = MockProver::run(circuit.plan.k, &spying, vec![instances.to_vec()]).expect("synthesis succeeds");
    let challenges = *seen.lock().unwrap();
    (prover, challenges.expect("the second phase ran"))
}

/// A circuit that MockProver ran.
struct Ran {
    prover: MockProver<Fr>,
    grid: Grid,
    height: usize,
}

impl Ran {
    fn new(circuit: &ModelCircuit, instances: &[Fr]) -> Self {
        let (prover, challenges) = run(circuit, instances);
        let grid = Grid::new(&prover, &circuit.plan.shape, &challenges);
        Self { prover, grid, height: circuit.plan.shape.height }
    }

    /// Names of what fails on the given circuit rows, and of every copy that fails. Rows that read a blinding row
    /// above the first MockProver's report has no words for: there the gates are evaluated here.
    fn failures(&self, rows: &[usize]) -> BTreeSet<String> {
        let (first, others): (Vec<usize>, Vec<usize>) = rows.iter().partition(|row| **row < self.height);
        let mut failed = names(self.prover.verify_at_rows(others.iter().copied(), others[..0].iter().copied()));
        failed.extend(first.into_iter().flat_map(|row| self.grid.failures(row)));
        failed
    }
}

/// Everything that fails.
pub(crate) fn failures(circuit: &ModelCircuit, instances: &[Fr]) -> BTreeSet<String> {
    let rows: Vec<usize> = (0..circuit.plan.usable_rows).collect();
    Ran::new(circuit, instances).failures(&rows)
}

/// Circuit rows around a logical row, and those where the logUp sum ends.
pub(crate) fn rows_near(circuit: &ModelCircuit, row: usize) -> Vec<usize> {
    let (height, last) = (circuit.plan.shape.height, circuit.run());
    let mut rows: Vec<usize> = [row.saturating_sub(1), row, (row + 1).min(last), last]
        .into_iter()
        .flat_map(|row| row * height..(row + 1) * height)
        .collect();
    rows.dedup();
    rows
}

/// What fails on the rows around a logical row and where the logUp sum ends, and every copy that fails.
/// Where nothing fails there, the whole circuit is looked at.
pub(crate) fn failures_near(circuit: &ModelCircuit, instances: &[Fr], row: usize) -> BTreeSet<String> {
    let ran = Ran::new(circuit, instances);
    let near = ran.failures(&rows_near(circuit, row));
    if !near.is_empty() {
        return near;
    }
    let all: Vec<usize> = (0..circuit.plan.usable_rows).collect();
    ran.failures(&all)
}

/// The circuit of a case's honest witness.
pub(crate) fn honest(case: &Case) -> ModelCircuit {
    ModelCircuit::with_witness(&case.graph, plan(&case.graph), &case.inputs).expect("the case is provable")
}

/// A plan of the default size with another shape.
pub(crate) fn plan_with(graph: &IntGraph, change: impl FnOnce(&mut Shape)) -> Arc<CircuitPlan> {
    let mut shape = plan(graph).shape.clone();
    change(&mut shape);
    let smallest = |k: &u32| {
        CircuitPlan::with_shape(graph, *k, &shape, &CostModel::default())
            .ok()
            .filter(|plan| ModelCircuit::for_keys(graph, Arc::new(plan.clone())).is_ok())
    };
    Arc::new((9..20).find_map(|k| smallest(&k)).expect("the shape fits some size"))
}

/// A plan with a given number of weight lanes, and the weights in a given place.
pub(crate) fn plan_with_lanes(graph: &IntGraph, lanes: usize, weights: WeightPlacement) -> Arc<CircuitPlan> {
    plan_with(graph, |shape| (shape.weight_lanes, shape.weights) = (lanes, weights))
}

/// The circuit of a witness for a graph that validation refuses, as an adversary lays it out.
pub(crate) fn unvalidated(graph: &IntGraph, inputs: &[Vec<i64>]) -> ModelCircuit {
    let plan = Arc::new(CircuitPlan::for_valid(graph, &PlanOptions::default()).expect("the graph fits").0);
    ModelCircuit::assemble(graph, plan, inputs, &mut Blank).expect("an adversary's values are laid out")
}

/// Makes a row the signed rescale of an accumulator.
pub(crate) fn set_signed(layout: &mut Layout, row: usize, acc: i128) {
    let shifted = acc + (1 << 15);
    let (value, rem) = (shifted >> 16, shifted & 0xffff);
    let abs = value + (1 << 15);
    layout.limbs[row] = [abs & 255, abs >> 8, rem & 255, rem >> 8].map(|limb| limb as i64);
    layout.advice[AdviceColumn::Acc as usize][row] = field(acc);
    layout.advice[AdviceColumn::Y as usize][row] = field(value);
}

/// A field element as a machine integer, negative where that is smaller.
pub(crate) fn integer(value: Fr) -> Option<i128> {
    let small = |value: Fr| {
        let repr = value.to_repr();
        let bytes: [u8; 16] = repr.as_ref()[..16].try_into().ok()?;
        let high = repr.as_ref()[16..].iter().all(|byte| *byte == 0);
        i128::try_from(u128::from_le_bytes(bytes)).ok().filter(|_| high)
    };
    small(value).or_else(|| small(-value).map(|value| -value))
}

/// Every hint site of a case with its honest values, in order.
pub(crate) fn hints(case: &Case) -> Vec<(HintSite, Vec<i128>)> {
    struct Recorder(Vec<(HintSite, Vec<i128>)>);
    impl Hints for Recorder {
        fn adjust(&mut self, site: HintSite, values: &mut [i128]) {
            self.0.push((site, values.to_vec()));
        }
        fn is_adversary(&self) -> bool {
            false
        }
    }
    let mut recorder = Recorder(Vec::new());
    ModelCircuit::with_hints(&case.graph, plan(&case.graph), &case.inputs, &mut recorder)
        .expect("the case is provable");
    recorder.0
}

/// Every hint site of a case, in order.
pub(crate) fn sites(case: &Case) -> Vec<HintSite> {
    hints(case).into_iter().map(|(site, _)| site).collect()
}

/// The last site of a gadget.
pub(crate) fn last_site(case: &Case, gadget: &str) -> HintSite {
    *sites(case).iter().rfind(|site| site.gadget == gadget).expect("the case uses the gadget")
}

/// The circuit whose hints are honest but for one site; `None` where the change leaves them as
/// they are.
pub(crate) fn forge(case: &Case, site: HintSite, change: impl Fn(&mut [i128])) -> Option<ModelCircuit> {
    struct Forger<F> {
        site: HintSite,
        change: F,
        reached: bool,
        changed: bool,
    }
    impl<F: Fn(&mut [i128])> Hints for Forger<F> {
        fn adjust(&mut self, site: HintSite, values: &mut [i128]) {
            if site == self.site {
                let before = values.to_vec();
                (self.change)(values);
                self.reached = true;
                self.changed = before != values;
            }
        }
        fn is_adversary(&self) -> bool {
            true
        }
    }
    let mut forger = Forger { site, change, reached: false, changed: false };
    let circuit = ModelCircuit::with_hints(&case.graph, plan(&case.graph), &case.inputs, &mut forger)
        .expect("an adversary's values are laid out");
    assert!(forger.reached, "{}: no hint at {site:?}", case.name);
    forger.changed.then_some(circuit)
}

/// Whether two layouts hold the same advice.
pub(crate) fn same_advice(left: &Layout, right: &Layout) -> bool {
    left.advice == right.advice && left.limbs == right.limbs && left.lanes == right.lanes
}
