//! Recurrent layers against tract, and against their definition where tract has no such form.

use crate::onnx;

use crate::support::{close, lowered, noise, outputs, refusal};
use onnx::{Attribute, Attribute::*, Onnx};
use tract_onnx::pb::tensor_proto::DataType;
use vouch_graph::{GraphError, data::Sample};

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
            let float = lowered(&model).unwrap();
            assert_eq!(float.without_reference(), None, "{case}: tract does not run it");
            let want = float.run(&Sample { inputs: vec![x.clone()] }).unwrap();
            let got = outputs((&case, &model), &[vec![x.clone()]]);
            for (integers, want) in got.integers.iter().zip(&want) {
                close(&case, integers, want, 3e-3);
            }
        }
    }
}

/// States of one sequence after each step by the layer's definition, the plain layer's with an activation of its own.
fn states(op: &str, gates: usize, x: &[f64], activation: fn(f64) -> f64) -> Vec<Vec<f64>> {
    let rows = gates * HIDDEN;
    let known = |seed: u64, len: usize| -> Vec<f64> { onnx::noise(seed, len).into_iter().map(f64::from).collect() };
    let (w, r, b) = (known(1, rows * FEATURES), known(2, rows * HIDDEN), known(3, 2 * rows));
    let dot = |row: &[f64], x: &[f64]| row.iter().zip(x).map(|(a, b)| a * b).sum::<f64>();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (mut h, mut c) = (vec![0.0; HIDDEN], vec![0.0; HIDDEN]);
    let step = |x: &[f64]| {
        let gate = |number: usize, state: &[f64]| -> Vec<f64> {
            let row = |at: usize| {
                dot(&w[at * FEATURES..][..FEATURES], x) + dot(&r[at * HIDDEN..][..HIDDEN], state) + b[at] + b[rows + at]
            };
            (number * HIDDEN..(number + 1) * HIDDEN).map(row).collect()
        };
        let each = |f: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..HIDDEN).map(f).collect() };
        h = match op {
            "GRU" => {
                let (update, reset) = (gate(0, &h), gate(1, &h));
                let kept = each(&|o| sigmoid(reset[o]) * h[o]);
                let new = gate(2, &kept);
                each(&|o| (1.0 - sigmoid(update[o])) * new[o].tanh() + sigmoid(update[o]) * h[o])
            }
            "LSTM" => {
                let [input, output, forget, cell] = [0, 1, 2, 3].map(|number| gate(number, &h));
                c = each(&|o| sigmoid(forget[o]) * c[o] + sigmoid(input[o]) * cell[o].tanh());
                each(&|o| sigmoid(output[o]) * c[o].tanh())
            }
            _ => gate(0, &h).into_iter().map(activation).collect(),
        };
        h.clone()
    };
    x.chunks(FEATURES).map(step).collect()
}

/// The plain layer's state after the steps of one sequence.
fn plain(x: &[f64], activation: fn(f64) -> f64) -> Vec<f64> {
    states("RNN", 1, x, activation).pop().unwrap()
}

/// Why tract does not run the model.
fn without_reference(model: &Onnx) -> String {
    lowered(model).unwrap().without_reference().unwrap_or_default().to_owned()
}

#[test]
fn layers_in_reverse_follow_their_definition() {
    let x = noise(7, TIME * 2 * FEATURES);
    for (op, gates) in [("RNN", 1), ("GRU", 3), ("LSTM", 4)] {
        let model = layer(op, gates, 1, &[Text("direction", "reverse")]);
        let reason = format!("tract does not read the form of {op} that node `{op}_y,h` has");
        assert_eq!(without_reference(&model), reason);
        let sequence = |n: usize| -> Vec<Vec<f64>> {
            let steps = (0..TIME).rev().flat_map(|t| x[(2 * t + n) * FEATURES..][..FEATURES].to_vec());
            let mut states = states(op, gates, &steps.collect::<Vec<_>>(), f64::tanh);
            states.reverse();
            states
        };
        let each = [sequence(0), sequence(1)];
        let got = outputs((op, &model), &[vec![x.clone()]]);
        let all: Vec<f64> = (0..TIME).flat_map(|t| [&each[0][t][..], &each[1][t]].concat()).collect();
        got.are(0, &all, 3e-3);
        got.are(1, &[&each[0][0][..], &each[1][0]].concat(), 3e-3);
    }
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
        let got = outputs((direction, &model), &[vec![x.clone(), vec![3.0, 2.0]]]);
        got.have(1, HIDDEN.., &plain(&ordered(reverse, 2), f64::tanh), 3e-3);
        // Beyond its end a sequence has no states.
        got.have(0, (TIME - 1) * 2 * HIDDEN + HIDDEN.., &[0.0; HIDDEN], 0.0);
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
        assert!(without_reference(&model).contains("does not read the form of RNN"));
        let got = outputs((name, &model), &[vec![x.clone()]]);
        got.have(1, ..HIDDEN, &plain(&first, activation), 4e-3);
    }
    let clipped = layer("RNN", 1, 1, &[Float("clip", 0.5)]);
    assert!(without_reference(&clipped).contains("does not read the form of RNN"));
    let got = outputs(("clip", &clipped), &[vec![x]]);
    got.have(1, ..HIDDEN, &plain(&first, |x| x.clamp(-0.5, 0.5).tanh()), 3e-3);
    let unknown = layer("RNN", 1, 1, &[Texts("activations", &["Sine"])]);
    assert!(matches!(refusal(&unknown), GraphError::MalformedNode { .. }));
}
