//! Losses of computed labels, and what a softmax has beside it.

use crate::onnx;

use crate::support::{Outputs, noise, outputs, refusal};
use onnx::{Attribute::*, Onnx};
use tract_onnx::pb::tensor_proto::DataType;
use vouch_graph::GraphError;

const SCORES: [f64; 6] = [-0.5, -1.0, -2.0, -0.25, -1.5, -3.0];

fn likelihood(reduction: &str, attributes: &[onnx::Attribute<'_>], weighted: bool) -> Onnx {
    let inputs: &[&str] = if weighted { &["x", "label", "w"] } else { &["x", "label"] };
    let attributes: Vec<_> = attributes.iter().copied().chain([Text("reduction", reduction)]).collect();
    Onnx::new()
        .input("x", &[2, 3])
        .typed_input("label", &[2], DataType::Int64)
        .weight("w", &[3], &[1.0, 0.5, 2.0])
        .node("NegativeLogLikelihoodLoss", inputs, "y", &attributes)
        .output("y")
}

#[test]
fn labels_choose_the_loss_and_an_ignored_one_counts_for_nothing() {
    let given = |labels: [f64; 2]| vec![vec![SCORES.to_vec(), labels.to_vec()]];
    let of = |case: &str, model: &Onnx, labels: [f64; 2]| -> Outputs { outputs((case, model), &given(labels)) };
    of("none", &likelihood("none", &[], false), [2.0, 0.0]).are(0, &[2.0, 0.25], 1e-3);
    of("sum", &likelihood("sum", &[], true), [2.0, 1.0]).are(0, &[4.0 + 0.75], 1e-3);
    of("mean", &likelihood("mean", &[], false), [2.0, 0.0]).are(0, &[1.125], 1e-3);
    of("weighted", &likelihood("mean", &[], true), [2.0, 1.0]).are(0, &[4.75 / 2.5], 1e-3);
    for ignored in [1, -7] {
        let model = likelihood("mean", &[Int("ignore_index", ignored)], true);
        of("ignored", &model, [2.0, ignored as f64]).are(0, &[2.0], 1e-3);
    }
    assert!(matches!(refusal(&likelihood("most", &[], false)), GraphError::MalformedNode { .. }));
}

#[test]
fn cross_entropy_over_positions_has_log_probabilities() {
    let model = Onnx::new()
        .input("x", &[1, 3, 2])
        .typed_input("label", &[1, 2], DataType::Int64)
        .node("SoftmaxCrossEntropyLoss", &["x", "label"], "y,log", &[Text("reduction", "none")])
        .output("y")
        .output("log");
    let x = noise(8, 6);
    let log: Vec<f64> =
        (0..6).map(|i| x[i] - [0, 1, 2].map(|c: usize| x[2 * c + i % 2].exp()).iter().sum::<f64>().ln()).collect();
    let got = outputs(("cross entropy", &model), &[vec![x, vec![2.0, 0.0]]]);
    got.are(0, &[-log[4], -log[1]], 3e-3);
    got.are(1, &log, 3e-3);
}

#[test]
fn hardmax_takes_the_first_of_equals() {
    for (shape, axis) in [([2i64, 3], 1), ([2, 3], -1)] {
        let model = Onnx::new().input("x", &shape).node("Hardmax", &["x"], "y", &[Int("axis", axis)]).output("y");
        let got = outputs(("hardmax", &model), &[vec![vec![0.5, 2.0, 2.0, -1.0, -1.0, -1.0]]]);
        got.are(0, &[0.0, 1.0, 0.0, 1.0, 0.0, 0.0], 0.0);
    }
}
