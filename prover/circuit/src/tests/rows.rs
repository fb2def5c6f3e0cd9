//! The edges of the layout: the first row, the last usable row, padding lanes, rows behind the
//! weights, and what the keys depend on.

use std::sync::Arc;

use halo2_proofs::halo2curves::{bn256::Fr, ff::Field};
use vouch_graph::{
    GraphError,
    int::{IntOp, Packing, Rescale},
};

use super::{
    attack::{
        claimed, edited, failures, forge, honest, last_site, plan_with_lanes, with_multiplicities, with_second_phase,
    },
    check,
    graphs::{self, Case, Draft, RELU},
    network::network,
    plan,
    prove::Keys,
};
use crate::{AdviceColumn as A, CircuitError, FixedColumn as F, ModelCircuit, WeightPlacement, layout::Blank};

const CONTINUATIONS: [F; 7] = [
    F::CoefPrev,
    F::WeightContinue,
    F::DotContinue,
    F::ValueContinue,
    F::GatherContinue,
    F::PositionKeep,
    F::PositionNext,
];

#[test]
fn no_chain_begins_with_a_continuation() {
    // The row above row zero is a blinding row, and the row above a chain belongs to another.
    for case in graphs::all().into_iter().chain([network()]) {
        let layout = honest(&case).layout;
        for selector in CONTINUATIONS {
            assert!(!layout.on(selector, 0), "{}: {selector:?}", case.name);
        }
        for row in 1..layout.rows() {
            let above = |selector| layout.on(selector, row - 1);
            let requires = [
                (F::CoefPrev, above(F::Arith) || above(F::Function)),
                (F::WeightContinue, above(F::Weight) && !above(F::WeightEnd)),
                (F::DotContinue, above(F::Weight)),
                (F::ValueContinue, above(F::Value)),
                (F::GatherContinue, above(F::Gather)),
                (F::PositionKeep, above(F::Value)),
                (F::PositionNext, above(F::Value) && above(F::PositionAdd)),
            ];
            for (selector, holds) in requires {
                assert!(!layout.on(selector, row) || holds, "{}: {selector:?} on row {row}", case.name);
            }
        }
    }
}

#[test]
fn the_last_usable_row_holds_no_value_no_weight_and_no_table_entry() {
    for case in graphs::all().into_iter().chain([network()]) {
        let circuit = honest(&case);
        assert!(circuit.layout.rows() < circuit.plan.usable_rows, "{}", case.name);
        for (kind, column) in F::ALL.into_iter().zip(&circuit.layout.fixed) {
            assert!(column.len() < circuit.plan.usable_rows, "{}: {kind:?}", case.name);
        }
    }
}

/// An output one too large with a negative remainder.
fn negative_remainder() -> (Case, ModelCircuit) {
    let case = graphs::all().into_iter().find(|case| case.name == "add_rounded").unwrap();
    let forged = forge(&case, last_site(&case, "signed"), |hint| {
        hint[0] += 1;
        hint[1] -= 1 << 16;
        hint[2] += 1;
    });
    (case, forged.unwrap())
}

#[test]
fn nothing_on_the_last_usable_row_makes_up_for_a_missing_byte() {
    let (case, forged) = negative_remainder();
    let last = forged.plan.usable_rows - 1;
    let statement = claimed(&forged);
    let counted = with_multiplicities(&forged, move |counts| {
        counts.resize(last + 1, Fr::ZERO);
        counts[last] = Fr::ONE;
    });
    assert_eq!(failures(&counted, &statement), ["lookup ends".to_owned()].into());
    for helper in [A::Helper0, A::Helper1] {
        let helped = with_second_phase(&forged, move |columns, _| {
            let sum = columns.column(A::Sum)[last];
            columns.column_mut(helper)[last] = -sum;
        });
        assert_eq!(failures(&helped, &statement), ["lookup ends".to_owned()].into());
    }
    let closed = with_second_phase(&forged, move |columns, _| columns.column_mut(A::Sum)[last] = Fr::ZERO);
    assert_eq!(failures(&closed, &statement), ["lookup sum".to_owned()].into());
    let keys = Keys::new(&case.graph, &plan(&case.graph));
    for circuit in [forged, counted, closed] {
        assert!(!keys.convinces(&circuit, &statement));
    }
}

#[test]
fn a_sum_that_begins_elsewhere_than_at_zero_is_rejected() {
    let (_, forged) = negative_remainder();
    let last = forged.plan.usable_rows - 1;
    let shifted = with_second_phase(&forged, move |columns, _| {
        let end = columns.column(A::Sum)[last];
        columns.column_mut(A::Sum).iter_mut().for_each(|sum| *sum -= end);
    });
    assert_eq!(failures(&shifted, &claimed(&shifted)), ["lookup ends".to_owned()].into());
}

#[test]
fn a_helper_on_the_last_usable_row_says_nothing() {
    // Reviewed: the row is behind the sum, so its helpers are as free as blinding.
    let case = graphs::dense(1, 4, 1, RELU, false);
    let circuit = honest(&case);
    let last = circuit.plan.usable_rows - 1;
    let changed = with_second_phase(&circuit, move |columns, _| columns.column_mut(A::Helper0)[last] = Fr::from(5));
    check(&changed, claimed(&circuit)).unwrap();
}

/// A layer of five outputs on three lanes: one padding lane in front of each row of weights.
fn padded() -> (Case, ModelCircuit) {
    let case = graphs::dense(1, 6, 5, RELU, true);
    let circuit = ModelCircuit::with_witness(
        &case.graph,
        plan_with_lanes(&case.graph, 3, WeightPlacement::Private),
        &case.inputs,
    )
    .unwrap();
    (case, circuit)
}

#[test]
fn the_number_of_lanes_does_not_change_the_outputs() {
    let (case, wide) = padded();
    check(&wide, claimed(&wide)).unwrap();
    assert_eq!(wide.outputs(), honest(&case).outputs());
}

#[test]
fn a_weight_in_a_padding_lane_is_rejected() {
    let (_, circuit) = padded();
    let layout = &circuit.layout;
    for row in (0..layout.weight_rows).filter(|row| !layout.on(F::WeightContinue, *row)) {
        assert_eq!(i128::from(layout.lanes[0][row]), circuit.plan.shape.weight_offset(), "row {row} is padded");
        let changed = edited(&circuit, |layout| layout.lanes[0][row] += 3);
        assert_eq!(failures(&changed, &claimed(&changed)), ["copy".to_owned()].into(), "row {row}");
    }
}

#[test]
fn padding_that_cancels_between_rows_reaches_no_output() {
    // Reviewed: padding multiplies powers of the challenge beyond the outputs', so it can only
    // cancel with other padding, and the outputs stay what they are.
    let mut case = graphs::dense(1, 6, 5, RELU, true);
    case.inputs[0] = vec![4, 4, 1, 2, 3, 5];
    let circuit = ModelCircuit::with_witness(
        &case.graph,
        plan_with_lanes(&case.graph, 3, WeightPlacement::Private),
        &case.inputs,
    )
    .unwrap();
    let changed = edited(&circuit, |layout| {
        layout.lanes[0][0] += 9;
        layout.lanes[0][2] -= 9;
    });
    check(&changed, claimed(&circuit)).unwrap();
    let forged = edited(&changed, |layout| layout.lanes[1][0] += 1);
    assert_eq!(failures(&forged, &claimed(&forged)), ["copy".to_owned()].into());
}

#[test]
fn weights_behind_the_last_weight_row_reach_no_output() {
    // Reviewed: no selector is set there.
    let (_, circuit) = padded();
    let changed = edited(&circuit, |layout| layout.lanes.iter_mut().for_each(|lane| lane.push(12345)));
    check(&changed, claimed(&circuit)).unwrap();
}

#[test]
fn the_keys_do_not_depend_on_the_witness() {
    for case in graphs::all().into_iter().chain([network()]) {
        let plan = plan(&case.graph);
        let blank = ModelCircuit::for_keys(&case.graph, plan).unwrap().layout;
        let layout = honest(&case).layout;
        assert_eq!(blank.fixed, layout.fixed, "{}", case.name);
        assert_eq!(blank.copies, layout.copies, "{}", case.name);
        assert_eq!(blank.instances, layout.instances, "{}", case.name);
        assert_eq!(blank.functions, layout.functions, "{}", case.name);
        assert_eq!(blank.rows(), layout.rows(), "{}", case.name);
    }
}

#[test]
fn an_output_that_its_packing_cannot_hold_is_refused_before_keys() {
    // Otherwise a value carries into its neighbour, and the word reads as other outputs.
    let mut draft = Draft::new("narrow");
    let x = draft.input(2, 16);
    let op = IntOp::Affine { scale: vec![1], offset: vec![0], rescale: Rescale { shift: 0, kind: RELU } };
    let y = draft.node(op, &[x], 2);
    let mut graph = draft.output(y);
    let plan = plan(&graph);
    graph.outputs[0].packing = Packing::dense(15);
    let error = ModelCircuit::for_keys(&graph, Arc::clone(&plan)).unwrap_err();
    assert!(matches!(error, CircuitError::Graph(GraphError::InvalidGraph { .. })), "{error}");
    // The layout knows as well, without validation.
    let error = ModelCircuit::assemble(&graph, plan, &[vec![0; 2]], &mut Blank).unwrap_err();
    assert!(matches!(error, CircuitError::Malformed { .. }), "{error}");
}
