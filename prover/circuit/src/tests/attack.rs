//! An attacker's tools: hints forged at one site, layouts edited behind the builder's back, and
//! columns rewritten with the challenges known.

use std::{
    collections::BTreeSet,
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex},
};

use halo2_proofs::{
    dev::{MockProver, VerifyFailure},
    halo2curves::bn256::Fr,
};

use super::{context, graphs::Case, plan};
use crate::{
    AdviceColumn, CircuitPlan, FixedColumn, HintSite, Hints, Honest, Layout, ModelCircuit,
    layout::{Cell, LIMB_COLUMNS, field},
    second_phase::{ChallengeValues, SecondPhase},
};

type Multiplicities = Arc<dyn Fn(&mut Vec<Fr>) + Send + Sync>;
type SecondPhaseColumns = Arc<dyn Fn(&mut SecondPhase, &ChallengeValues) + Send + Sync>;

/// Changes to the columns that a layout does not hold.
#[derive(Clone, Default)]
pub(crate) struct Meddling {
    first_phase_cell: Option<(AdviceColumn, usize, Fr)>,
    multiplicities: Option<Multiplicities>,
    second_phase: Option<SecondPhaseColumns>,
}

impl fmt::Debug for Meddling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meddling").finish_non_exhaustive()
    }
}

impl Meddling {
    pub(crate) fn first_phase_cell(&self, column: AdviceColumn, row: usize) -> Option<Fr> {
        self.first_phase_cell.filter(|(c, r, _)| (*c, *r) == (column, row)).map(|(.., value)| value)
    }

    pub(crate) fn multiplicities(&self, mut honest: Vec<Fr>) -> Vec<Fr> {
        if let Some(rewrite) = &self.multiplicities {
            rewrite(&mut honest);
        }
        honest
    }

    pub(crate) fn second_phase(&self, mut honest: SecondPhase, challenges: &ChallengeValues) -> SecondPhase {
        if let Some(rewrite) = &self.second_phase {
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
    circuit.meddling.first_phase_cell = Some((column, row, value));
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

/// The circuit with second-phase columns rewritten.
pub(crate) fn with_second_phase(
    circuit: &ModelCircuit,
    rewrite: impl Fn(&mut SecondPhase, &ChallengeValues) + Send + Sync + 'static,
) -> ModelCircuit {
    let mut circuit = circuit.clone();
    circuit.meddling.second_phase = Some(Arc::new(rewrite));
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
    let seen = Arc::new(Mutex::new(None));
    let writer = Arc::clone(&seen);
    let spying = with_second_phase(circuit, move |_, challenges| *writer.lock().unwrap() = Some(*challenges));
    MockProver::run(spying.plan.k, &spying, vec![claimed(&spying)]).unwrap();
    let challenges = *seen.lock().unwrap();
    challenges.expect("the second phase ran")
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

/// A failure on the first row, which MockProver finds but cannot print: gates that look at the row
/// above have a blinding row there, and its report has no words for one.
const FIRST_ROW: &str = "first row";

/// Names of what fails on the given rows, and of every copy that fails.
fn failures_on(prover: &MockProver<Fr>, rows: &[usize]) -> BTreeSet<String> {
    let (first, others): (Vec<usize>, Vec<usize>) = rows.iter().copied().partition(|row| *row == 0);
    let verify = |rows: &[usize]| names(prover.verify_at_rows(rows.iter().copied(), rows[..0].iter().copied()));
    let mut failed = verify(&others);
    if !first.is_empty() {
        let on_first = panic::catch_unwind(AssertUnwindSafe(|| verify(&first)));
        failed.extend(on_first.unwrap_or_else(|_| [FIRST_ROW.to_owned()].into()));
    }
    failed
}

fn run(circuit: &ModelCircuit, instances: &[Fr]) -> MockProver<Fr> {
    MockProver::run(circuit.plan.k, circuit, vec![instances.to_vec()]).expect("synthesis succeeds")
}

/// Everything that fails.
pub(crate) fn failures(circuit: &ModelCircuit, instances: &[Fr]) -> BTreeSet<String> {
    let rows: Vec<usize> = (0..circuit.plan.usable_rows).collect();
    failures_on(&run(circuit, instances), &rows)
}

/// What fails on the rows around `row` and where the logUp sum ends, and every copy that fails.
/// Where nothing fails there, the whole circuit is looked at.
pub(crate) fn failures_near(circuit: &ModelCircuit, instances: &[Fr], row: usize) -> BTreeSet<String> {
    let prover = run(circuit, instances);
    let last = circuit.plan.usable_rows - 1;
    let mut rows = vec![row.saturating_sub(1), row, (row + 1).min(last), last];
    rows.dedup();
    let near = failures_on(&prover, &rows);
    if !near.is_empty() {
        return near;
    }
    let all: Vec<usize> = (0..=last).collect();
    failures_on(&prover, &all)
}

/// The circuit of a case's honest witness.
pub(crate) fn honest(case: &Case) -> ModelCircuit {
    ModelCircuit::with_witness(&case.graph, plan(&case.graph), &case.inputs).expect("the case is provable")
}

/// A plan with a given number of weight lanes.
pub(crate) fn plan_with_lanes(case: &Case, lanes: usize) -> Arc<CircuitPlan> {
    let mut plan = (*plan(&case.graph)).clone();
    plan.shape.weight_lanes = lanes;
    let blank = crate::lower::lay_out(&case.graph, lanes, plan.shape.weight_offset(), &case.inputs, &mut Honest);
    plan.weight_rows = blank.expect("the case is provable").0.weight_rows;
    Arc::new(plan)
}

/// Every hint site of a case, in order.
pub(crate) fn sites(case: &Case) -> Vec<HintSite> {
    struct Recorder(Vec<HintSite>);
    impl Hints for Recorder {
        fn adjust(&mut self, site: HintSite, _: &mut [i128]) {
            self.0.push(site);
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

/// Whether a row's pre-activation is bound by a linear layer's identity and not by an accumulator.
pub(crate) fn is_linear(layout: &Layout, row: usize) -> bool {
    layout.on(FixedColumn::Value, row)
}

/// Whether two layouts hold the same advice.
pub(crate) fn same_advice(left: &Layout, right: &Layout) -> bool {
    left.advice == right.advice && left.limbs == right.limbs && left.lanes == right.lanes
}
