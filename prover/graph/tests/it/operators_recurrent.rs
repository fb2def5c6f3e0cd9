//! Recurrent layers against tract, and against their definition where tract has no such form.

use crate::expect;
use crate::onnx;

use expect::{integers, near, noise, outputs, refusal};
use onnx::{Attribute, Attribute::*, Onnx};
use tract_onnx::pb::tensor_proto::DataType;
use vouch_graph::{
    GraphError,
    import::{ImportOptions, OnnxModel},
};

const TIME: usize = 3;
const FEATURES: usize = 2;
const HIDDEN: usize = 3;

/// A layer with known weights over two sequences.
fn layer(op: &str, gates: usize, directions: usize, attributes: &[Attribute<'_>]) -> Onnx {
    let (rows, d) = ((gates * HIDDEN) as i64, directions as i64);
    let len = |columns: usize| directions * gates * HIDDEN * columns;
    let attributes: Vec<_> = attributes.iter().copied().chain([Int("hidden_size", HIDDEN as i64)]).collect();
    Onnx::new()
        .input("x", &[TIME as i64, 2, FEATURES as i64])
        .weight("w", &[d, rows, FEATURES as i64], &onnx::noise(1, len(FEATURES)))
        .weight("r", &[d, rows, HIDDEN as i64], &onnx::noise(2, len(HIDDEN)))
        .weight("b", &[d, 2 * rows], &onnx::noise(3, len(2)))
        .node(op, &["x", "w", "r", "b"], "y,h", &attributes)
        .output("y")
        .output("h")
}

#[test]
fn layers_agree_with_tract() {
    let x = noise(4, TIME * 2 * FEATURES);
    for (op, gates) in [("RNN", 1), ("GRU", 3), ("LSTM", 4)] {
        for (direction, directions) in [("forward", 1), ("bidirectional", 2)] {
            let case = format!("{op} {direction}");
            // What the state contributes to a gated layer is reset before its product, or after.
            let after = i64::from(op == "GRU" && direction == "bidirectional");
            let attributes = [Text("direction", direction), Int("linear_before_reset", after)];
            let model = layer(op, gates, directions, &attributes[..if after == 1 { 2 } else { 1 }]);
            let float = OnnxModel::read(&model.bytes(), "test", &ImportOptions::default()).unwrap().lower().unwrap();
            assert_eq!(float.without_reference(), None, "{case}: tract does not run it");
            let want = float.run(&vouch_graph::data::Sample { inputs: vec![x.clone()] }).unwrap();
            let got = outputs(&case, &model, &[vec![x.clone()]]);
            near(&case, &got[0], &want[0], 3e-3);
            near(&case, &got[1], &want[1], 3e-3);
        }
    }
}

/// The plain layer's state after the steps of one sequence.
fn plain(x: &[f64], activation: fn(f64) -> f64) -> Vec<f64> {
    let (w, r) = (onnx::noise(1, HIDDEN * FEATURES), onnx::noise(2, HIDDEN * HIDDEN));
    let b = onnx::noise(3, 2 * HIDDEN);
    let mut h = vec![0.0; HIDDEN];
    for step in x.chunks(FEATURES) {
        h = (0..HIDDEN)
            .map(|o| {
                let input: f64 = (0..FEATURES).map(|i| step[i] * f64::from(w[o * FEATURES + i])).sum();
                let state: f64 = (0..HIDDEN).map(|i| h[i] * f64::from(r[o * HIDDEN + i])).sum();
                activation(input + state + f64::from(b[o]) + f64::from(b[HIDDEN + o]))
            })
            .collect();
    }
    h
}

#[test]
fn sequences_that_end_early_keep_their_state() {
    let x = noise(5, TIME * 2 * FEATURES);
    let second: Vec<f64> = (0..TIME).flat_map(|t| x[(2 * t + 1) * FEATURES..][..FEATURES].to_vec()).collect();
    let ordered = |reverse: bool, steps: usize| -> Vec<f64> {
        let mut list: Vec<&[f64]> = second.chunks(FEATURES).take(steps).collect();
        if reverse {
            list.reverse();
        }
        list.concat()
    };
    for (direction, reverse) in [("forward", false), ("reverse", true)] {
        let mut model = layer("RNN", 1, 1, &[Text("direction", direction)]).typed_input("n", &[2], DataType::Int32);
        model.graph.node[0].input.push("n".to_owned());
        let got = outputs(direction, &model, &[vec![x.clone(), vec![3.0, 2.0]]]);
        near(direction, &got[1][HIDDEN..], &plain(&ordered(reverse, 2), f64::tanh), 3e-3);
        let last = &got[0][(TIME - 1) * 2 * HIDDEN + HIDDEN..];
        near("beyond the end", last, &[0.0; HIDDEN], 0.0);
    }
}

#[test]
fn activations_have_their_coefficients_and_gates_their_clip() {
    let x = noise(6, TIME * 2 * FEATURES);
    let first: Vec<f64> = (0..TIME).flat_map(|t| x[2 * t * FEATURES..][..FEATURES].to_vec()).collect();
    type Case<'a> = (&'a str, &'a [f32], &'a [f32], fn(f64) -> f64);
    let cases: [Case<'_>; 6] = [
        ("Relu", &[], &[], |x| x.max(0.0)),
        ("LeakyRelu", &[0.25], &[], |x| if x < 0.0 { 0.25 * x } else { x }),
        ("ThresholdedRelu", &[0.5], &[], |x| if x > 0.5 { x } else { 0.0 }),
        ("ScaledTanh", &[0.5], &[2.0], |x| 0.5 * (2.0 * x).tanh()),
        ("HardSigmoid", &[], &[], |x| (0.2 * x + 0.5).clamp(0.0, 1.0)),
        ("Affine", &[0.5], &[0.25], |x| 0.5 * x + 0.25),
    ];
    for (name, alpha, beta, activation) in cases {
        let names = [name];
        let given = [Texts("activations", &names), Floats("activation_alpha", alpha), Floats("activation_beta", beta)];
        let model = layer("RNN", 1, 1, &given);
        let got = integers(name, &model, &[vec![x.clone()]]);
        near(name, &got[1][..HIDDEN], &plain(&first, activation), 4e-3);
    }
    let clipped = layer("RNN", 1, 1, &[Float("clip", 0.5)]);
    let got = integers("clip", &clipped, &[vec![x]]);
    near("clip", &got[1][..HIDDEN], &plain(&first, |x| x.clamp(-0.5, 0.5).tanh()), 3e-3);
    let unknown = layer("RNN", 1, 1, &[Texts("activations", &["Sine"])]);
    assert!(matches!(refusal(&unknown), GraphError::MalformedNode { .. }));
}
