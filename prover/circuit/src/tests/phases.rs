//! The order of commitments and challenges, read off the constraint system, and forgeries that
//! hold at the constants that MockProver takes for challenges: the real verifier refuses them.

use std::{collections::BTreeSet, sync::Arc};

use halo2_proofs::{
    halo2curves::{bn256::Fr, ff::Field},
    plonk::{ConstraintSystem, Expression, SecondPhase},
    poly::Rotation,
};
use vouch_graph::int::{IntOp, LinearShape, Rescale};

use super::{
    attack::{claimed, forge, honest, last_site, mock_challenges, with_multiplicities},
    check,
    graphs::{self, Case, Draft, SIGNED},
    plan,
    prove::Keys,
};
use crate::{
    AdviceColumn as A, CircuitError, FixedColumn, HintSite, Hints, ModelCircuit, VouchConfig, WeightPlacement,
    phase_order,
};

fn constraint_system(case: &Case) -> (ConstraintSystem<Fr>, VouchConfig) {
    let mut meta = ConstraintSystem::default();
    let config = VouchConfig::configure(&mut meta, plan(&case.graph).shape.clone());
    (meta, config)
}

#[test]
fn every_operand_of_a_challenge_is_committed_before_the_challenge_or_determined_by_such() {
    for case in graphs::all() {
        let (meta, config) = constraint_system(&case);
        phase_order::check(&meta, &config).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let second: BTreeSet<usize> = A::ALL
            .into_iter()
            .filter(|column| column.is_second_phase())
            .filter_map(|column| config.advice(column).map(|column| column.index()))
            .collect();
        for (column, phase) in meta.advice_column_phase().into_iter().enumerate() {
            assert_eq!(phase == 1, second.contains(&column), "{}: column {column}", case.name);
        }
    }
}

/// What is said of a constraint system with something added to a sound one.
fn order_refusal(add: impl FnOnce(&mut ConstraintSystem<Fr>, &VouchConfig)) -> String {
    let (mut meta, config) = constraint_system(&graphs::dense(1, 4, 1, SIGNED, false));
    phase_order::check(&meta, &config).unwrap();
    add(&mut meta, &config);
    match phase_order::check(&meta, &config) {
        Err(CircuitError::PhaseOrder { what }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_operand_committed_behind_its_challenge_is_refused_before_keys() {
    let what = order_refusal(|meta, _| {
        meta.advice_column_in(SecondPhase);
    });
    assert!(what.starts_with("nothing determines advice column"), "{what}");
    let what = order_refusal(|meta, _| {
        let late = meta.advice_column_in(SecondPhase);
        meta.create_gate("late", |cells| vec![cells.query_advice(late, Rotation::cur())]);
    });
    assert_eq!(what, "the gate `late` reads a challenge or a later phase");
    let what = order_refusal(|meta, config| {
        let lookup = config.challenges.lookup;
        meta.create_gate("guess", |cells| vec![cells.query_challenge(lookup)]);
    });
    assert_eq!(what, "the gate `guess` reads a challenge or a later phase");
    let what = order_refusal(|meta, _| {
        meta.advice_column_in(SecondPhase);
        meta.challenge_usable_after(SecondPhase);
    });
    assert_eq!(what, "a challenge is drawn later than the first phase");
}

#[test]
fn a_constraint_system_without_a_determining_gate_is_refused_before_keys() {
    let case = graphs::dense(3, 4, 2, SIGNED, true);
    for (gate, column) in phase_order::DEFINED {
        let mut plan = (*plan(&case.graph)).clone();
        plan.shape.omitted = Some(gate);
        match ModelCircuit::for_keys(&case.graph, Arc::new(plan)) {
            Err(CircuitError::PhaseOrder { what }) => assert_eq!(what, format!("no gate determines {column:?}")),
            other => panic!("{gate}: {other:?}"),
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
