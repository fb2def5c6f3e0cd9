//! Which parts of the circuit a case makes use of: what is checked row by row only is proved as well in some case.

use std::collections::{BTreeMap, BTreeSet};

use vouch_graph::int::{Condition, IntGraph, IntOp, LinearShape, Rescale, RescaleKind};

use super::results::Outcome;

/// Names of the operations of a graph, each with what makes its rows others.
pub(super) fn of(graph: &IntGraph) -> BTreeSet<String> {
    let ports = |side: &str, ports: &[vouch_graph::int::Port]| {
        let label = |port: &vouch_graph::int::Port| format!("{side} of {} bits", port.packing.bits);
        ports.iter().map(label).collect::<Vec<_>>()
    };
    let operations = graph.nodes.iter().map(|node| operation(&node.op));
    operations.chain(ports("input", &graph.inputs)).chain(ports("output", &graph.outputs)).collect()
}

fn operation(op: &IntOp) -> String {
    match op {
        IntOp::Linear { shape, rescale, .. } => {
            let layer = match shape {
                LinearShape::Dense { .. } => "dense layer",
                LinearShape::Conv2d { .. } => "convolution",
            };
            with(layer, rescale)
        }
        IntOp::Add { rescale, .. } => with("sum of two", rescale),
        IntOp::Mul { rescale, .. } => with("product", rescale),
        IntOp::Affine { rescale, .. } => with("affine map", rescale),
        IntOp::Sum { rescale, .. } => with("sum", rescale),
        IntOp::MatMul { rescale, .. } => with("matrix product", rescale),
        IntOp::Max { .. } => "maximum".to_owned(),
        IntOp::Function { rescale, .. } => with("function", rescale),
        IntOp::Div { .. } => "quotient".to_owned(),
        IntOp::Sqrt { .. } => "root".to_owned(),
        IntOp::Indicator { condition: Condition::NonNegative } => "sign".to_owned(),
        IntOp::Indicator { condition: Condition::Zero } => "test for zero".to_owned(),
        IntOp::Select => "choice".to_owned(),
        IntOp::View { .. } => "view".to_owned(),
    }
}

fn with(name: &str, rescale: &Rescale) -> String {
    let kind = match rescale.kind {
        RescaleKind::Exact => "exact",
        RescaleKind::Signed => "to 16 bits",
        RescaleKind::Relu => "with a ReLU",
    };
    let shift = if rescale.shift == 0 && rescale.kind != RescaleKind::Exact { ", without a shift" } else { "" };
    format!("{name} {kind}{shift}")
}

/// What cases that pass make use of and none of those that are proved does, each with such a case.
#[must_use]
pub fn unproved(outcomes: &[Outcome], proved: &[String]) -> BTreeMap<String, String> {
    let passing = || outcomes.iter().filter(|outcome| outcome.pass);
    let covered: BTreeSet<&String> =
        passing().filter(|outcome| proved.contains(&outcome.name)).flat_map(|outcome| &outcome.gadgets).collect();
    let mut found = BTreeMap::new();
    for outcome in passing() {
        for gadget in outcome.gadgets.iter().filter(|gadget| !covered.contains(gadget)) {
            found.entry(gadget.clone()).or_insert_with(|| outcome.name.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::stages::{Fixed, Stage};

    fn outcome(name: &str, pass: bool, gadgets: &[&str]) -> Outcome {
        Outcome {
            name: name.to_owned(),
            op: "Op".to_owned(),
            stage: Stage::Compare,
            pass,
            message: String::new(),
            max_rel_error: None,
            fixed: Fixed::default(),
            k: None,
            gadgets: gadgets.iter().map(|gadget| (*gadget).to_owned()).collect(),
            seconds: 0.0,
        }
    }

    #[test]
    fn what_no_proof_covers_is_found_with_a_case_that_has_it() {
        let outcomes = [
            outcome("a", true, &["sum", "root"]),
            outcome("b", true, &["root", "sign"]),
            outcome("c", false, &["max"]),
        ];
        let proved = |name: &str| unproved(&outcomes, &[name.to_owned()]);
        assert_eq!(proved("a"), BTreeMap::from([("sign".to_owned(), "b".to_owned())]));
        assert_eq!(proved("b"), BTreeMap::from([("sum".to_owned(), "a".to_owned())]));
    }
}
