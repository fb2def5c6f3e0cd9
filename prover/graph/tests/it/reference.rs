//! Models that tract does not run as ONNX defines them have no reference, wherever the node stands.

use crate::{
    onnx::{Attribute::Float, Onnx, call, functions, graph_attribute, output},
    support::{imported, lowered, outputs},
};
use tract_onnx::pb::{GraphProto, NodeProto};
use vouch_graph::{float::FloatGraph, import::ImportOptions};

/// `Celu` as tract misreads it, from `a` to `c`.
fn misread() -> NodeProto {
    let attribute = vec![Float("alpha", 2.0).proto()];
    NodeProto { name: "here".to_owned(), attribute, ..call("Celu", &["a"], &["c"]) }
}

fn has_no_reference(float: &FloatGraph) {
    assert_eq!(
        float.without_reference(),
        Some("tract does not read the form of Celu that node `here` has"),
        "of all that is not run, only this is to be named"
    );
}

#[test]
fn a_misread_node_in_a_branch_leaves_the_model_without_a_reference() {
    let branch = |node: NodeProto| GraphProto { node: vec![node], output: vec![output("c")], ..GraphProto::default() };
    let mut model = Onnx::new().input("a", &[2]).weight("yes", &[], &[1.0]).node("If", &["yes"], "y", &[]).output("y");
    model.graph.node[0].attribute = vec![
        graph_attribute("then_branch", branch(misread())),
        graph_attribute("else_branch", branch(call("Relu", &["a"], &["c"]))),
    ];
    has_no_reference(&lowered(&model).unwrap());
    outputs(&model, &[vec![vec![-1.0, 1.0]]]).are(0, &[2.0 * (-0.5_f64).exp_m1(), 1.0], 2e-3);

    model.graph.node[0].attribute.swap(0, 1);
    model.graph.node[0].attribute[0].name = "then_branch".to_owned();
    model.graph.node[0].attribute[1].name = "else_branch".to_owned();
    // A branch that is not taken is not read by us, and is run by nobody.
    outputs(&model, &[vec![vec![-1.0, 1.0]]]).are(0, &[0.0, 1.0], 2e-3);
}

#[test]
fn a_misread_node_in_a_function_leaves_the_model_without_a_reference() {
    let float = imported(&functions(&[("f0", vec![misread()])]), &ImportOptions::default()).unwrap();
    has_no_reference(&float);
}
