//! Plans that do not belong to the graph, and graphs that are not valid: refused, since they would leave rows unbound.

use std::{collections::BTreeSet, sync::Arc};

use vouch_graph::{
    GraphError,
    int::{IntGraph, IntOp, Packing, Rescale, Source},
};

use super::{
    attack::{claimed, honest},
    chains::{convolutions, stacked},
    graphs::{self, Case, Draft, RELU, SIGNED},
    network::network,
    plan,
    prove::Keys,
};
use crate::{
    CircuitError, CircuitPlan, FixedColumn, GateSet, Honest, ModelCircuit, Objective, PlanOptions, Shape,
    WeightPlacement,
    family::{HEIGHTS, LANE_COLUMNS, LIMB_BITS, WEIGHT_BITS},
};

/// What is said of a changed plan.
fn refusal(case: &Case, change: impl FnOnce(&mut CircuitPlan)) -> String {
    let mut plan = (*plan(&case.graph)).clone();
    change(&mut plan);
    match ModelCircuit::for_keys(&case.graph, Arc::new(plan)) {
        Err(CircuitError::PlanMismatch { what } | CircuitError::PhaseOrder { what }) => what,
        other => panic!("{}: {other:?}", case.name),
    }
}

#[test]
fn a_plan_without_the_gates_of_the_graph_is_refused() {
    let mut lacking = BTreeSet::new();
    for case in graphs::all().into_iter().chain([network()]).chain(convolutions()).chain(stacked()) {
        let circuit = honest(&case);
        let used = FixedColumn::ALL.into_iter().filter(|column| match column {
            FixedColumn::Base | FixedColumn::Table => true,
            FixedColumn::TableOut | FixedColumn::TableTag => !circuit.layout.functions.is_empty(),
            column => (0..circuit.layout.rows()).any(|row| circuit.layout.on(*column, row)),
        });
        let used: Vec<FixedColumn> = used.collect();
        for gates in GateSet::ALL {
            let missing: Vec<_> = used.iter().filter(|column| !gates.has(**column)).collect();
            if missing.is_empty() {
                continue;
            }
            let what = refusal(&case, |plan| plan.shape.gates = gates);
            // A shape with fewer columns may have other blinding rows.
            let named = missing.iter().any(|column| what == format!("the shape lacks the column {column:?}"));
            assert!(named || what.contains("rows"), "{}: {gates}: {what}", case.name);
            lacking.extend(missing.into_iter().copied());
        }
        assert!(used.iter().all(|column| circuit.plan.shape.has(*column)), "{}", case.name);
        let cheaper = GateSet::ALL.into_iter().take_while(|gates| *gates != circuit.plan.shape.gates);
        for gates in cheaper {
            assert!(used.iter().any(|column| !gates.has(*column)), "{}: {gates} would do", case.name);
        }
    }
    let optional = FixedColumn::ALL.into_iter().filter(|column| GateSet::ALL.iter().any(|gates| !gates.has(*column)));
    assert_eq!(lacking, optional.collect());
}

#[test]
fn every_plan_is_of_the_family() {
    for case in graphs::all().into_iter().chain([network()]) {
        for objective in [Objective::Prover, Objective::Gas, Objective::Memory] {
            let plan = CircuitPlan::choose(&case.graph, &PlanOptions { objective, ..PlanOptions::default() }).unwrap();
            let Shape { height, limb_bits, weight_lanes, weight_bits, .. } = plan.shape;
            assert!(HEIGHTS.contains(&height) && LIMB_BITS.contains(&limb_bits), "{}", plan.shape);
            assert!(LANE_COLUMNS.map(|columns| columns * height).contains(&weight_lanes), "{}", plan.shape);
            assert!(WEIGHT_BITS.contains(&weight_bits), "{}", plan.shape);
        }
    }
}

#[test]
fn a_plan_of_another_graph_is_refused() {
    // No constraint for the one's convolution in the other's shape.
    let (image, dense) = (graphs::dense(3, 4, 2, SIGNED, true), graphs::dense(1, 6, 5, SIGNED, true));
    let what = refusal(&image, |changed| {
        let rows = (changed.value_rows, changed.weight_rows);
        *changed = (*plan(&dense.graph)).clone();
        (changed.value_rows, changed.weight_rows) = rows;
    });
    assert!(what.starts_with("the shape lacks the column"), "{what}");
    let what = refusal(&image, |changed| *changed = (*plan(&dense.graph)).clone());
    assert!(what.contains("value rows"), "{what}");
}

#[test]
fn a_plan_whose_lookups_end_early_is_refused() {
    let case = graphs::dense(1, 6, 5, RELU, true);
    assert!(refusal(&case, |plan| plan.usable_rows = 10).contains("rows"));
    assert!(refusal(&case, |plan| plan.usable_rows -= 1).contains("rows"));
    assert!(refusal(&case, |plan| plan.k = 8).contains("rows"));
    assert!(refusal(&case, |plan| plan.k = 200).contains("rows"));
    assert!(refusal(&case, |plan| plan.value_rows -= 1).contains("rows"));
}

#[test]
fn a_plan_without_lanes_is_refused_for_a_graph_with_weights() {
    let case = graphs::dense(1, 6, 5, RELU, true);
    assert_eq!(refusal(&case, |plan| plan.shape.weight_lanes = 0), "it has no weight lanes");
}

#[test]
fn public_weights_are_bound_by_the_key_and_private_ones_are_not() {
    let case = graphs::dense(1, 4, 2, SIGNED, false);
    let mut other = graphs::dense(1, 4, 2, SIGNED, false);
    other.graph.params[0].values[0] += 2000;
    assert_ne!(claimed(&honest(&case)), claimed(&honest(&other)));
    for (weights, bound) in [(WeightPlacement::Public, true), (WeightPlacement::Private, false)] {
        let mut plan = (*plan(&case.graph)).clone();
        plan.shape.weights = weights;
        let plan = Arc::new(plan);
        let keys = Keys::new(&case.graph, &plan);
        let circuit = ModelCircuit::with_witness(&other.graph, plan, &other.inputs).unwrap();
        assert_eq!(keys.convinces(&circuit, &claimed(&circuit)), !bound, "{weights:?}");
    }
}

#[test]
fn a_graph_that_validation_refuses_has_no_plan_and_no_circuit() {
    let case = graphs::dense(1, 6, 5, RELU, true);
    type Change = fn(&mut IntGraph);
    let changes: [(&str, Change); 5] = [
        ("a word that its values overflow", |graph| graph.inputs[0].packing.per_word = 16),
        ("an output that its packing cannot hold", |graph| graph.outputs[0].packing = Packing::dense(16)),
        ("a parameter that does not exist", |graph| {
            if let IntOp::Linear { weight, .. } = &mut graph.nodes[0].op {
                *weight = 9;
            }
        }),
        ("a shift that the circuit does not have", |graph| {
            if let IntOp::Linear { rescale, .. } = &mut graph.nodes[0].op {
                rescale.shift = 17;
            }
        }),
        ("a range that its operation does not have", |graph| graph.tensors[1].range.hi -= 1),
    ];
    for (what, change) in changes {
        let mut graph = case.graph.clone();
        change(&mut graph);
        let plan = plan(&case.graph);
        let refusals = [
            CircuitPlan::choose(&graph, &PlanOptions::default()).map(|_| ()),
            ModelCircuit::for_keys(&graph, Arc::clone(&plan)).map(|_| ()),
            ModelCircuit::with_witness(&graph, Arc::clone(&plan), &case.inputs).map(|_| ()),
            ModelCircuit::with_hints(&graph, plan, &case.inputs, &mut Honest).map(|_| ()),
        ];
        for refusal in refusals {
            assert!(
                matches!(refusal, Err(CircuitError::Graph(GraphError::InvalidGraph { .. }))),
                "{what}: {refusal:?}"
            );
        }
    }
}

#[test]
fn accumulators_at_the_limit_are_laid_out_without_overflow() {
    // The widest that validation lets pass, scaled by 2^16 for want of a shift; zero is in range of the rescale.
    let mut draft = Draft::new("limit");
    let (x, z) = (draft.input(1, 32), draft.input(1, 32));
    let wide = |scale: i64| IntOp::Affine { scale: vec![scale], offset: vec![0], rescale: Rescale::EXACT };
    let (x, z) = (draft.node(wide(1 << 23), &[x], 1), draft.node(wide(1 << 24), &[z], 1));
    let rescale = Rescale { shift: 0, kind: SIGNED };
    let y = draft.node(IntOp::Mul { c: -1, rescale }, &[x, z], 1);
    let sum = draft.node(IntOp::Add { ca: 1 << 54, cb: 1 << 53, c: 0, rescale }, &[x, z], 1);
    let y = draft.node(IntOp::Add { ca: 1, cb: 1, c: 0, rescale: Rescale::EXACT }, &[y, sum], 1);
    let graph = draft.output(y);
    for (a, b) in [(i64::from(i32::MIN), i64::from(i32::MIN)), (i64::from(i32::MIN), 0), (0, i64::from(i32::MAX))] {
        let refused = ModelCircuit::with_hints(&graph, plan(&graph), &[vec![a], vec![b]], &mut Honest);
        assert!(matches!(refused, Err(CircuitError::OutOfRange { .. })), "{a}, {b}: {refused:?}");
    }
    let circuit = ModelCircuit::with_witness(&graph, plan(&graph), &[vec![0], vec![0]]).unwrap();
    assert_eq!(circuit.outputs(), [[0]]);
}

#[test]
fn a_product_that_is_zero_whatever_its_factors_is_laid_out_without_overflow() {
    let mut draft = Draft::new("zero");
    let x = draft.input(1, 32);
    let wide = IntOp::Affine { scale: vec![1 << 30], offset: vec![0], rescale: Rescale::EXACT };
    let x = draft.node(wide, &[x], 1);
    let zero = draft.node(IntOp::View { sources: vec![Source::Constant(0)] }, &[], 1);
    let op = IntOp::Mul { c: 1 << 61, rescale: Rescale { shift: 0, kind: SIGNED } };
    let y = draft.node(op, &[x, zero], 1);
    let graph = draft.output(y);
    for a in [i64::from(i32::MIN), i64::from(i32::MAX)] {
        let circuit = ModelCircuit::with_witness(&graph, plan(&graph), &[vec![a]]).unwrap();
        assert_eq!(circuit.outputs(), [[0]]);
    }
}
