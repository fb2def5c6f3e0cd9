//! The order of commitments and challenges, read off the constraint system, and forgeries that
//! hold at the constants that MockProver takes for challenges: the real verifier refuses them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use halo2_proofs::{
    halo2curves::{bn256::Fr, ff::Field},
    plonk::{ConstraintSystem, Expression},
};
use vouch_graph::int::{IntOp, LinearShape, Rescale};

use super::{
    attack::{claimed, forge, honest, last_site, mock_challenges, with_multiplicities},
    check,
    graphs::{self, Case, Draft, SIGNED},
    plan,
    prove::Keys,
};
use crate::{AdviceColumn as A, FixedColumn, HintSite, Hints, ModelCircuit, VouchConfig, WeightPlacement};

/// What a gate reads.
#[derive(Default)]
struct Reads {
    /// Advice columns by index, with their phase.
    advice: BTreeMap<usize, u8>,
    /// Phases after which its challenges are drawn.
    challenges: BTreeSet<u8>,
}

impl Reads {
    fn collect(&mut self, expression: &Expression<Fr>) {
        match expression {
            Expression::Advice(query) => {
                self.advice.insert(query.column_index(), query.phase());
            }
            Expression::Challenge(challenge) => {
                self.challenges.insert(challenge.phase());
            }
            Expression::Negated(inner) | Expression::Scaled(inner, _) => self.collect(inner),
            Expression::Sum(left, right) | Expression::Product(left, right) => {
                self.collect(left);
                self.collect(right);
            }
            Expression::Constant(_) | Expression::Selector(_) | Expression::Fixed(_) | Expression::Instance(_) => {}
        }
    }
}

/// The column that each gate of the second phase determines from the other columns that it reads.
const DEFINED: [(&str, A); 7] = [
    ("value evaluation", A::ValueAcc),
    ("position sum", A::ValueSum),
    ("weight evaluation", A::WeightAcc),
    ("dot product", A::Dot),
    ("lookup helper 0", A::Helper0),
    ("lookup helper 1", A::Helper1),
    ("lookup sum", A::Sum),
];

fn constraint_system(case: &Case) -> (ConstraintSystem<Fr>, VouchConfig) {
    let mut meta = ConstraintSystem::default();
    let config = VouchConfig::configure(&mut meta, plan(&case.graph).shape.clone());
    (meta, config)
}

#[test]
fn every_operand_of_a_challenge_is_committed_before_the_challenge_or_determined_by_such() {
    for case in graphs::all() {
        let (meta, config) = constraint_system(&case);
        assert!(meta.challenge_phase().iter().all(|phase| *phase == 0), "challenges follow the first phase");
        let index = |column: A| config.advice(column).map(|column| column.index());
        let defined: BTreeMap<&str, usize> =
            DEFINED.iter().filter_map(|(gate, column)| Some((*gate, index(*column)?))).collect();
        // X is copied, from a first-phase cell or from an evaluation.
        let mut known: BTreeSet<usize> = index(A::X).into_iter().collect();
        let mut determined = BTreeSet::new();
        // The gates in an order in which each reads only what is determined already.
        for name in DEFINED.map(|(gate, _)| gate) {
            let Some(gate) = meta.gates().iter().find(|gate| gate.name() == name) else { continue };
            let mut reads = Reads::default();
            gate.polynomials().iter().for_each(|polynomial| reads.collect(polynomial));
            let own = defined[name];
            for (column, phase) in &reads.advice {
                let fine = *phase == 0 || *column == own || known.contains(column);
                assert!(fine, "{}: {name} reads column {column} of phase {phase}", case.name);
            }
            known.insert(own);
            determined.insert(name);
        }
        for gate in meta.gates() {
            let mut reads = Reads::default();
            gate.polynomials().iter().for_each(|polynomial| reads.collect(polynomial));
            let late = !reads.challenges.is_empty() || reads.advice.values().any(|phase| *phase > 0);
            // The ends only read the sum, which is determined.
            let expected = determined.contains(gate.name()) || gate.name() == "lookup ends";
            assert_eq!(late, expected, "{}: {}", case.name, gate.name());
        }
        let second: BTreeSet<usize> =
            A::ALL.into_iter().filter(|column| column.is_second_phase()).filter_map(index).collect();
        assert_eq!(second, known, "{}: each second-phase column is determined", case.name);
        for (column, phase) in meta.advice_column_phase().into_iter().enumerate() {
            assert_eq!(phase == 1, second.contains(&column), "{}: column {column}", case.name);
        }
    }
}

#[test]
fn every_factor_of_a_weight_row_is_a_copy() {
    for case in graphs::all() {
        let layout = honest(&case).layout;
        let ends: Vec<usize> = (0..layout.weight_rows).filter(|row| layout.on(FixedColumn::WeightEnd, *row)).collect();
        let copied: Vec<usize> = layout.x_sources.iter().map(|(row, _)| *row).collect();
        assert_eq!(ends, copied, "{}", case.name);
        for (row, source) in &layout.x_sources {
            let first_phase = !source.column.is_second_phase();
            let evaluated = source.column == A::ValueAcc && layout.on(FixedColumn::Gather, source.row);
            assert!(first_phase || evaluated, "{}: row {row} multiplies {source:?}", case.name);
            let copy =
                layout.copies.iter().any(|(left, right)| left == source && right.column == A::X && right.row == *row);
            assert!(copy, "{}: row {row}", case.name);
        }
    }
}

#[test]
fn no_gate_exceeds_the_degree_that_halo2_silently_caps() {
    for case in graphs::all() {
        let (meta, _) = constraint_system(&case);
        let degree =
            |gate: &halo2_proofs::plonk::Gate<Fr>| gate.polynomials().iter().map(Expression::degree).max().unwrap_or(0);
        for gate in meta.gates() {
            assert!(degree(gate) <= 5, "{}: {} has degree {}", case.name, gate.name(), degree(gate));
        }
        assert_eq!(meta.degree(), meta.gates().iter().map(degree).max().unwrap(), "{}", case.name);
    }
}

/// Steps of the pre-activations of eight outputs that cancel at MockProver's first challenge `r`:
/// `sum_o STEPS[o] r^(7-o) = 0`. Found by lattice reduction.
const STEPS: [i128; 8] =
    [650_952_674, -29_731_536, -995_927_835, -1_079_169_225, -104_760_512, 66_110_142, -874_715_040, 970_384_384];

/// Adds [`STEPS`] to the pre-activations of the last eight rows.
struct Cancelling {
    rows: std::ops::Range<usize>,
}

impl Hints for Cancelling {
    fn adjust(&mut self, site: HintSite, hint: &mut [i128]) {
        if site.gadget == "signed" && self.rows.contains(&site.row) {
            let half = 1 << 15;
            let shifted = ((hint[0] - half) << 16) + hint[1] + STEPS[site.row - self.rows.start];
            let value = shifted >> 16;
            hint.copy_from_slice(&[value + half, shifted & 0xffff, value]);
        }
    }

    fn is_adversary(&self) -> bool {
        true
    }
}

/// A layer of eight outputs whose true values are small.
fn eight_outputs() -> Case {
    let mut draft = Draft::new("eight_outputs");
    let x = draft.input(3, 16);
    let weight = draft.param(graphs::weights(24, 100));
    let op = IntOp::Linear {
        shape: LinearShape::Dense { rows: 1, inner: 3 },
        width: 8,
        weight,
        bias: None,
        rescale: Rescale { shift: 12, kind: SIGNED },
    };
    let y = draft.node(op, &[x], 8);
    Case { name: "eight_outputs", graph: draft.output(y), inputs: vec![vec![50, -70, 31]] }
}

#[test]
fn outputs_that_cancel_at_the_mock_challenge_are_refused_by_the_verifier() {
    let case = eight_outputs();
    let truth = honest(&case);
    let r = mock_challenges(&truth).outputs;
    let sum = STEPS.iter().fold(Fr::ZERO, |sum, step| sum * r + crate::layout::field(*step));
    assert_eq!(sum, Fr::ZERO, "the steps cancel at MockProver's challenge; find others if it has changed");
    // Public weights: with private ones other weights would explain other outputs.
    for weights in [WeightPlacement::Private, WeightPlacement::Public] {
        let mut plan = (*plan(&case.graph)).clone();
        plan.shape.weights = weights;
        let plan = Arc::new(plan);
        let last = last_site(&case, "signed").row;
        let mut hints = Cancelling { rows: last - 7..last + 1 };
        let forged = ModelCircuit::with_hints(&case.graph, Arc::clone(&plan), &case.inputs, &mut hints).unwrap();
        let (truth, statement) = (claimed(&truth), claimed(&forged));
        assert_eq!(truth[..2], statement[..2], "the inputs are the true ones");
        assert_ne!(truth, statement, "the outputs are not");
        check(&forged, statement.clone()).expect("MockProver is fooled");
        let keys = Keys::new(&case.graph, &plan);
        assert!(!keys.convinces(&forged, &statement), "the verifier is not");
        let honest = ModelCircuit::with_witness(&case.graph, plan, &case.inputs).unwrap();
        assert!(keys.convinces(&honest, &truth), "it accepts the truth");
    }
}

#[test]
fn counts_that_cancel_at_the_mock_challenge_are_refused_by_the_verifier() {
    // A negative remainder, made up for by a count that only that challenge needs.
    let case = graphs::all().into_iter().find(|case| case.name == "add_rounded").unwrap();
    let site = last_site(&case, "signed");
    let forged = forge(&case, site, |hint| {
        hint[0] += 1;
        hint[1] -= 1 << 16;
        hint[2] += 1;
    })
    .unwrap();
    let alpha = mock_challenges(&forged).lookup;
    let byte = crate::layout::field(i128::from(forged.layout.limbs[site.row][3]));
    let count = (alpha + Fr::from(7)) * (alpha + byte).invert().unwrap();
    let forged = with_multiplicities(&forged, move |counts| counts[7] += count);
    let statement = claimed(&forged);
    assert_ne!(statement, claimed(&honest(&case)));
    check(&forged, statement.clone()).expect("MockProver is fooled");
    let keys = Keys::new(&case.graph, &plan(&case.graph));
    assert!(!keys.convinces(&forged, &statement), "the verifier is not");
    let truth = honest(&case);
    assert!(keys.convinces(&truth, &claimed(&truth)), "it accepts the truth");
}
