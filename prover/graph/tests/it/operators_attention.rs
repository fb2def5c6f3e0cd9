//! Attention, linear attention and rotary embedding, against their definitions.

use crate::onnx;

use crate::support::{Case, Compiled, close, noise, outputs, refusal, refuses};
use onnx::{Attribute::*, Onnx};
use tract_onnx::pb::tensor_proto::DataType;
use vouch_graph::{
    GraphError,
    calibrate::calibrate,
    data::Sample,
    exec::quantise_inputs,
    import::{ImportOptions, OnnxModel},
};

const HEADS: usize = 4;
const SHARED: usize = 2;
const QUERIES: usize = 3;
const KEYS: usize = 5;
const SIZE: usize = 4;

/// One batch of attention by its definition, where `allowed(query, key)`.
fn attended(q: &[f64], k: &[f64], v: &[f64], allowed: impl Fn(usize, usize) -> bool) -> Vec<f64> {
    let mut out = Vec::new();
    for head in 0..HEADS {
        let from = head / (HEADS / SHARED) * KEYS * SIZE;
        for i in 0..QUERIES {
            let query = &q[(head * QUERIES + i) * SIZE..][..SIZE];
            let weight = |j: usize| {
                let key = &k[from + j * SIZE..][..SIZE];
                let score: f64 = query.iter().zip(key).map(|(a, b)| a * b).sum::<f64>() / (SIZE as f64).sqrt();
                if allowed(i, j) { score.exp() } else { 0.0 }
            };
            let weights: Vec<f64> = (0..KEYS).map(weight).collect();
            let total: f64 = weights.iter().sum();
            for d in 0..SIZE {
                let sum: f64 = (0..KEYS).map(|j| weights[j] * v[from + j * SIZE + d]).sum();
                out.push(if total == 0.0 { 0.0 } else { sum / total });
            }
        }
    }
    out
}

fn attention(inputs: &[&str], attributes: &[onnx::Attribute<'_>]) -> Onnx {
    Onnx::new()
        .opset(24)
        .input("q", &[1, HEADS as i64, QUERIES as i64, SIZE as i64])
        .input("k", &[1, SHARED as i64, KEYS as i64, SIZE as i64])
        .input("v", &[1, SHARED as i64, KEYS as i64, SIZE as i64])
        .node("Attention", inputs, "y", attributes)
        .output("y")
}

fn qkv(seed: u64) -> [Vec<f64>; 3] {
    let len = SHARED * KEYS * SIZE;
    [noise(seed, HEADS * QUERIES * SIZE), noise(seed + 1, len), noise(seed + 2, len)]
}

#[test]
fn heads_of_queries_share_keys_and_look_back_alone() {
    let [q, k, v] = qkv(3);
    let given = vec![q.clone(), k.clone(), v.clone()];
    let got = outputs(("all keys", &attention(&["q", "k", "v"], &[])), std::slice::from_ref(&given));
    got.are(0, &attended(&q, &k, &v, |_, _| true), 2e-3);
    let causal = attention(&["q", "k", "v"], &[Int("is_causal", 1)]);
    let got = outputs(("causal", &causal), std::slice::from_ref(&given));
    got.are(0, &attended(&q, &k, &v, |i, j| j <= i), 2e-3);
    let window = attention(&["q", "k", "v"], &[Int("left_window_size", 0), Int("right_window_size", 1)]);
    let got = outputs(("window", &window.opset(25)), &[given]);
    got.are(0, &attended(&q, &k, &v, |i, j| (i..=i + 1).contains(&j)), 2e-3);
}

#[test]
fn a_computed_mask_may_hide_what_calibration_showed() {
    let [q, k, v] = qkv(7);
    let model = attention(&["q", "k", "v", "mask"], &[]).typed_input(
        "mask",
        &[QUERIES as i64, KEYS as i64 - 1],
        DataType::Bool,
    );
    let all = vec![1.0; QUERIES * (KEYS - 1)];
    // The second query has no key, and none has the last, which the mask does not reach.
    let mask: Vec<f64> = [[1.0, 0.0, 1.0, 1.0], [0.0; 4], [0.0, 1.0, 0.0, 0.0]].concat();
    let given = |mask: &Vec<f64>| vec![q.clone(), k.clone(), v.clone(), mask.clone()];
    let got = outputs(("mask", &model), &[given(&all), given(&mask)]);
    let allowed = |i: usize, j: usize| j + 1 < KEYS && mask[i * (KEYS - 1) + j] == 1.0;
    got.are(0, &attended(&q, &k, &v, allowed), 5e-3);
}

#[test]
fn lengths_that_are_computed_end_the_keys() {
    let [q, k, v] = qkv(11);
    let model = attention(&["q", "k", "v", "", "", "", "length"], &[Int("is_causal", 1)]).typed_input(
        "length",
        &[1],
        DataType::Int64,
    );
    let given = |length: f64| vec![q.clone(), k.clone(), v.clone(), vec![length]];
    let got = outputs(("length", &model), &[given(5.0), given(4.0)]);
    got.are(0, &attended(&q, &k, &v, |i, j| j < 4 && j <= i + 1), 5e-3);
}

#[test]
fn masks_of_scores_far_below_zero_still_mask() {
    let inputs = |op: Onnx| op.input("x", &[1, 4]).typed_input("m", &[1, 4], DataType::Float);
    let chosen = inputs(Onnx::new())
        .weight("least", &[1], &[f32::NEG_INFINITY])
        .node("Cast", &["m"], "bit", &[Int("to", 9)])
        .node("Where", &["bit", "x", "least"], "s", &[])
        .node("Softmax", &["s"], "y", &[])
        .output("y");
    let added = inputs(Onnx::new())
        .weight("one", &[1], &[1.0])
        .weight("least", &[1], &[f32::MIN])
        .node("Sub", &["one", "m"], "hidden", &[])
        .node("Mul", &["hidden", "least"], "bias", &[])
        .node("Add", &["x", "bias"], "s", &[])
        .node("Softmax", &["s"], "y", &[])
        .output("y");
    let x = vec![-100.0, -101.0, -102.0, -99.0];
    let e = (-1f64).exp();
    let want = [1.0 / (1.0 + e), e / (1.0 + e), 0.0, 0.0];
    for (case, model) in [("chosen", chosen), ("added", added)] {
        let given = |m: [f64; 4]| vec![x.clone(), m.to_vec()];
        let got = outputs((case, &model), &[given([1.0, 0.0, 1.0, 1.0]), given([1.0, 1.0, 0.0, 0.0])]);
        got.are(0, &want, 5e-3);
    }
}

#[test]
fn which_rows_are_masked_is_told_exactly() {
    let model = Onnx::new()
        .typed_input("m", &[3, 2], DataType::Bool)
        .weight("zero", &[1], &[0.0])
        .weight("least", &[1], &[f32::NEG_INFINITY])
        .ints("axes", &[-1])
        .node("Where", &["m", "zero", "least"], "bias", &[])
        .node("Add", &["bias", "bias"], "twice", &[])
        .node("ReduceMax", &["twice"], "most", &[Ints("axes", &[-1])])
        .node("Equal", &["most", "least"], "none", &[])
        .node("Cast", &["none"], "y", &[Int("to", 7)])
        .output("y");
    // The maximum of a row of minus infinity is another number to tract.
    let got = outputs(
        Case::from(("rows", &model)).unlike_tract(),
        &[vec![vec![1.0; 6]], vec![vec![1.0, 0.0, 0.0, 0.0, 1.0, 1.0]]],
    );
    got.are(0, &[0.0, 1.0, 0.0], 0.0);
}

#[test]
fn linear_attention_writes_and_reads_a_state() {
    let model = Onnx::new()
        .opset(27)
        .input("q", &[1, 2, 2])
        .input("k", &[1, 2, 2])
        .input("v", &[1, 2, 1])
        .input("decay", &[1, 2, 1])
        .input("beta", &[1, 2, 1])
        .node(
            "LinearAttention",
            &["q", "k", "v", "", "decay", "beta"],
            "y,s",
            &[Int("q_num_heads", 1), Int("kv_num_heads", 1), Float("scale", 1.0)],
        )
        .output("y")
        .output("s");
    let (k, v, half) = ([[1.0, 0.5], [0.5, -1.0]], [2.0, 1.0], 0.5f64);
    // By hand: the first step writes `beta v k`, the second halves the state and corrects it.
    let first = [half * v[0] * k[0][0], half * v[0] * k[0][1]];
    let kept = first.map(|s| s * half);
    let told = kept[0] * k[1][0] + kept[1] * k[1][1];
    let state = [0, 1].map(|i| kept[i] + k[1][i] * half * (v[1] - told));
    let given = vec![vec![1.0, 2.0, -1.0, 1.0], k.concat(), v.to_vec(), vec![0.25, half.ln()], vec![half, half]];
    let got = outputs(("linear attention", &model), &[given]);
    got.are(0, &[first[0] + 2.0 * first[1], state[1] - state[0]], 1e-3);
    got.are(1, &state, 1e-3);
}

#[test]
fn rotary_embedding_turns_pairs_by_computed_positions() {
    let (angles, size) = ([[0.0, 0.0], [0.5, 0.1], [1.0, 0.2]], 5);
    let cos: Vec<f32> = angles.concat().iter().map(|a: &f64| a.cos() as f32).collect();
    let sin: Vec<f32> = angles.concat().iter().map(|a: &f64| a.sin() as f32).collect();
    for interleaved in [false, true] {
        let model = Onnx::new()
            .opset(23)
            .input("x", &[1, 2, size])
            .typed_input("at", &[1, 2], DataType::Int64)
            .weight("cos", &[3, 2], &cos)
            .weight("sin", &[3, 2], &sin)
            .node(
                "RotaryEmbedding",
                &["x", "cos", "sin", "at"],
                "y",
                &[Int("num_heads", 1), Int("rotary_embedding_dim", 4), Int("interleaved", i64::from(interleaved))],
            )
            .output("y");
        let x = noise(5, 10);
        let at = [2usize, 1];
        let mut want = x.clone();
        for (row, at) in at.into_iter().enumerate() {
            for (pair, angle) in angles[at].into_iter().enumerate() {
                let (a, b) = if interleaved { (2 * pair, 2 * pair + 1) } else { (pair, pair + 2) };
                let (a, b) = (row * 5 + a, row * 5 + b);
                want[a] = x[a] * angle.cos() - x[b] * angle.sin();
                want[b] = x[a] * angle.sin() + x[b] * angle.cos();
            }
        }
        let got = outputs(("rotary", &model), &[vec![x, vec![2.0, 1.0]]]);
        got.are(0, &want, 2e-3);
    }
}

#[test]
fn heads_that_do_not_divide_are_refused() {
    let model = Onnx::new()
        .opset(23)
        .input("x", &[1, 2, 6])
        .node("Attention", &["x", "x", "x"], "y", &[Int("q_num_heads", 4), Int("kv_num_heads", 4)])
        .output("y");
    assert!(matches!(refusal(&model), GraphError::MalformedNode { .. }));
    let model = Onnx::new()
        .opset(27)
        .input("x", &[1, 2, 6])
        .node("LinearAttention", &["x", "x", "x"], "y", &[Int("q_num_heads", 2), Int("kv_num_heads", 2)])
        .output("y");
    refuses(&model, "decay and beta");
}

#[test]
fn minus_infinity_in_a_mask_hides_keys_and_leaves_the_model_as_it_came() {
    const INF: f64 = f64::NEG_INFINITY;
    let [q, k, v] = qkv(19);
    let lacks = |j: usize| j == 2 || j == 4;
    let row: Vec<f64> = (0..KEYS).map(|j| if lacks(j) { INF } else { j as f64 / 8.0 }).collect();
    let mask = row.repeat(QUERIES);
    let mode = [Int("qk_matmul_output_mode", 2)];
    let mut model = attention(&["q", "k", "v", "mask"], &mode).input("mask", &[QUERIES as i64, KEYS as i64]);
    model.graph.node[0].output = ["y", "", "", "scores"].map(str::to_owned).to_vec();
    let model = model.output("scores");
    let sample = |v: &[f64], mask: &[f64]| Sample { inputs: vec![q.clone(), k.clone(), v.to_vec(), mask.to_vec()] };
    let integers = |sample: &Sample| Compiled::new(&model, std::slice::from_ref(sample)).integers(sample);
    let got = integers(&sample(&v, &mask));
    let hidden: Vec<bool> = got[1].iter().map(|score| *score == INF).collect();
    assert_eq!(hidden, (0..HEADS * QUERIES * KEYS).map(|i| lacks(i % KEYS)).collect::<Vec<_>>());
    // Values of keys that are hidden count for nothing, however large.
    let mut poisoned = v.clone();
    (0..poisoned.len()).filter(|i| lacks(i / SIZE % KEYS)).for_each(|i| poisoned[i] = 50.0);
    close("poison", &integers(&sample(&poisoned, &mask))[0], &got[0], 2e-2);

    let tested = Onnx::new().input("x", &[3]).node("IsInf", &["x"], "y", &[]).output("y");
    let bits = |seen: [f64; 3], x: [f64; 3]| {
        let [seen, x] = [seen, x].map(|x| Sample { inputs: vec![x.to_vec()] });
        Compiled::new(&tested, &[seen]).integers(&x)
    };
    assert_eq!(bits([0.5, INF, -7.0], [0.5, INF, -7.0]), [vec![0.0, 1.0, 0.0]]);
    assert_eq!(bits([0.5, 1.0, 3.0], [0.0, 1.0, -3.0]), [vec![0.0; 3]]);

    let refused = |seen: &[f64], mask: &[f64]| {
        quantise_inputs(&Compiled::new(&model, &[sample(&v, seen)]).int, &sample(&v, mask)).unwrap_err()
    };
    let finite = refused(&mask, &[-1e4; QUERIES * KEYS]);
    assert_eq!(finite.code(), "input_range", "{finite}");
    let error = refused(&[0.5; QUERIES * KEYS], &mask);
    assert!(error.to_string().contains("-inf in a mask"), "{error}");
}

#[test]
fn minus_infinity_is_refused_where_no_sum_reads_it() {
    let model = Onnx::new().input("x", &[2]).node("Neg", &["x"], "y", &[]).output("y");
    let float = OnnxModel::read(&model.bytes(), "test", &ImportOptions::default()).unwrap().lower().unwrap();
    let error = calibrate(&float, &[Sample { inputs: vec![vec![0.0, f64::NEG_INFINITY]] }]).unwrap_err();
    assert_eq!(error.code(), "not_finite_activation", "{error}");
}
