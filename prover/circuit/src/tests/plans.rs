//! Plans that do not belong to the graph: refused, since they would leave rows unbound.

use std::sync::Arc;

use super::{
    attack::{claimed, honest},
    graphs::{self, Case, RELU, SIGNED},
    network::network,
    plan,
    prove::Keys,
};
use crate::{CircuitError, CircuitPlan, FixedColumn, ModelCircuit, WeightPlacement};

/// What is said of a changed plan.
fn refusal(case: &Case, change: impl FnOnce(&mut CircuitPlan)) -> String {
    let mut plan = (*plan(&case.graph)).clone();
    change(&mut plan);
    match ModelCircuit::for_keys(&case.graph, Arc::new(plan)) {
        Err(CircuitError::PlanMismatch { what }) => what,
        other => panic!("{}: {other:?}", case.name),
    }
}

#[test]
fn a_plan_that_lacks_a_column_of_the_graph_is_refused() {
    for case in graphs::all().into_iter().chain([network()]) {
        for column in plan(&case.graph).shape.fixed.clone() {
            let what = refusal(&case, |plan| {
                plan.shape.fixed.remove(&column);
            });
            // Without the gather column the shape has no sum over positions, and another row count.
            let named = what.contains(&format!("{column:?}")) || column == FixedColumn::Gather;
            assert!(named || what.contains("rows"), "{}: {column:?}: {what}", case.name);
        }
    }
}

#[test]
fn a_plan_of_another_graph_is_refused() {
    // The same rows, and no constraint for the one's ReLU in the other's shape.
    let (relu, signed) = (graphs::dense(1, 6, 5, RELU, true), graphs::dense(1, 6, 5, SIGNED, true));
    let what = refusal(&relu, |changed| *changed = (*plan(&signed.graph)).clone());
    assert_eq!(what, "the shape lacks the column Relu");
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
