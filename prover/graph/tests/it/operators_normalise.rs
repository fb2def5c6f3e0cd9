//! Normalisations with computed parameters and further outputs.

use crate::onnx;

use crate::support::{Compiled, noise, outputs, refusal, sample};
use onnx::{Attribute::*, Onnx};
use vouch_graph::{GraphError, data::Sample};

/// Mean and variance.
fn moments(x: &[f64]) -> (f64, f64) {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    (mean, x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64)
}

#[test]
fn layer_normalisation_has_its_mean_and_deviation() {
    let model = Onnx::new()
        .input("x", &[2, 2, 3])
        .input("scale", &[2, 3])
        .input("bias", &[3])
        .node("LayerNormalization", &["x", "scale", "bias"], "y,m,d", &[Int("axis", -2)])
        .output("y")
        .output("m")
        .output("d");
    let (x, scale, bias) = (noise(2, 12), noise(3, 6), noise(4, 3));
    let parts: Vec<(f64, f64)> = x.chunks(6).map(moments).collect();
    let inverse = |row: usize| 1.0 / (parts[row].1 + 1e-5).sqrt();
    let unit = |i: usize| (x[i] - parts[i / 6].0) * inverse(i / 6);
    let want: Vec<f64> = (0..12).map(|i| unit(i) * scale[i % 6] + bias[i % 3]).collect();
    let got = outputs(("layer", &model), &[vec![x.clone(), scale, bias]]);
    got.are(0, &want, 3e-3);
    got.are(1, &[parts[0].0, parts[1].0], 1e-3);
    got.are(2, &[inverse(0), inverse(1)], 3e-3);
}

#[test]
fn groups_instances_and_roots_agree_with_their_definitions() {
    let x = noise(9, 2 * 4 * 3);
    let (scale, bias) = ([1.0, 0.5, 2.0, -1.0], [0.0, 0.25, -0.5, 1.0]);
    let parameters = |model: Onnx| {
        let (s, b) = (scale.map(|v| v as f32), bias.map(|v| v as f32));
        model.input("x", &[2, 4, 3]).weight("s", &[4], &s).weight("b", &[4], &b)
    };
    let by_rows = |n: usize| -> Vec<f64> {
        let rows = x.chunks(n).flat_map(|row| {
            let (mean, variance) = moments(row);
            row.iter().map(move |v| (v - mean) / (variance + 1e-5).sqrt())
        });
        rows.enumerate().map(|(i, v)| v * scale[i / 3 % 4] + bias[i / 3 % 4]).collect()
    };
    let group = parameters(Onnx::new().opset(21))
        .node("GroupNormalization", &["x", "s", "b"], "y", &[Int("num_groups", 2)])
        .output("y");
    outputs(("group", &group), &[vec![x.clone()]]).are(0, &by_rows(6), 4e-3);
    let instance = parameters(Onnx::new()).node("InstanceNormalization", &["x", "s", "b"], "y", &[]).output("y");
    outputs(("instance", &instance), &[vec![x.clone()]]).are(0, &by_rows(3), 0.019);
    let root = Onnx::new()
        .opset(23)
        .input("x", &[2, 4, 3])
        .weight("s", &[3], &[1.0, -0.5, 2.0])
        .node("RMSNormalization", &["x", "s"], "y", &[])
        .output("y");
    let want = x.chunks(3).flat_map(|row| {
        let mean = row.iter().map(|v| v * v).sum::<f64>() / 3.0;
        [1.0, -0.5, 2.0].into_iter().zip(row).map(move |(s, v)| s * v / (mean + 1e-5).sqrt())
    });
    outputs(("root", &root), &[vec![x.clone()]]).are(0, &want.collect::<Vec<_>>(), 4e-3);
    let groups = parameters(Onnx::new().opset(21))
        .node("GroupNormalization", &["x", "s", "b"], "y", &[Int("num_groups", 3)])
        .output("y");
    assert!(matches!(refusal(&groups), GraphError::MalformedNode { .. }));
}

#[test]
fn batch_normalisation_in_training_moves_its_running_moments() {
    let model = Onnx::new()
        .input("x", &[2, 2, 2])
        .input("s", &[2])
        .input("b", &[2])
        .input("m", &[2])
        .input("v", &[2])
        .node(
            "BatchNormalization",
            &["x", "s", "b", "m", "v"],
            "y,rm,rv",
            &[Int("training_mode", 1), Float("momentum", 0.75)],
        )
        .output("y")
        .output("rm")
        .output("rv");
    let x = noise(6, 8);
    let channel = |c: usize| [x[2 * c], x[2 * c + 1], x[4 + 2 * c], x[5 + 2 * c]];
    let parts = [moments(&channel(0)), moments(&channel(1))];
    let (scale, bias, mean, variance) = ([1.5, -1.0], [0.5, 0.0], [0.25, -0.5], [1.0, 0.5]);
    let want: Vec<f64> = (0..8)
        .map(|i| (i / 2 % 2, x[i]))
        .map(|(c, x)| (x - parts[c].0) / (parts[c].1 + 1e-5).sqrt() * scale[c] + bias[c])
        .collect();
    let given = [scale, bias, mean, variance].map(|v| v.to_vec());
    let got = outputs(("training", &model), &[std::iter::once(x.clone()).chain(given).collect()]);
    got.are(0, &want, 4e-3);
    got.are(1, &[0, 1].map(|c| 0.75 * mean[c] + 0.25 * parts[c].0), 1e-3);
    got.are(2, &[0, 1].map(|c| 0.75 * variance[c] + 0.25 * parts[c].1), 1e-3);
}

#[test]
fn variances_of_channels_may_differ_widely() {
    let model = Onnx::new()
        .input("x", &[1, 2, 2])
        .input("s", &[2])
        .input("b", &[2])
        .input("m", &[2])
        .input("v", &[2])
        .node("BatchNormalization", &["x", "s", "b", "m", "v"], "y", &[])
        .output("y");
    let given = [vec![0.5, -0.25, 1.0, 2.0], vec![1.0, 1.0], vec![0.0, 0.0], vec![0.0, 0.0], vec![0.01, 4.0]];
    let want = [0.5 / 0.01001f64.sqrt(), -0.25 / 0.01001f64.sqrt(), 1.0 / 4.00001f64.sqrt(), 2.0 / 4.00001f64.sqrt()];
    outputs(("batch", &model), &[given.to_vec()]).are(0, &want, 5e-3);
}

#[test]
fn a_local_response_reaches_over_neighbouring_channels() {
    for beta in [0.5, 0.75, 1.0] {
        let attributes = [Int("size", 2), Float("alpha", 0.5), Float("beta", beta), Float("bias", 2.0)];
        let model = Onnx::new().input("x", &[1, 3, 1, 1]).node("LRN", &["x"], "y", &attributes).output("y");
        let x = [1.0, -2.0, 0.5];
        // Of two channels the window has the one after.
        let square = [5.0, 4.25, 0.25];
        let want: Vec<f64> = (0..3).map(|i| x[i] / (2.0f64 + 0.25 * square[i]).powf(f64::from(beta))).collect();
        outputs(("lrn", &model), &[vec![x.to_vec()]]).are(0, &want, 2e-3);
    }
    let model = Onnx::new().input("x", &[1, 3, 1, 1]).node("LRN", &["x"], "y", &[Int("size", 0)]).output("y");
    assert!(matches!(refusal(&model), GraphError::MalformedNode { .. }));
}

/// Largest error of the first output on one input, where others calibrated.
fn error_beyond(model: &Onnx, calibration: &[Vec<f64>], x: &[f64]) -> f64 {
    let calibration: Vec<Sample> = calibration.iter().map(|x| sample(&[x])).collect();
    let compiled = Compiled::new(model, &calibration);
    let x = sample(&[x]);
    let (got, want) = (compiled.integers(&x), compiled.float.run(&x).unwrap());
    got[0].iter().zip(&want[0]).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max)
}

#[test]
fn rows_of_very_different_variance_are_normalised_alike() {
    let model = Onnx::new()
        .input("x", &[2, 8])
        .weight("scale", &[8], &[1.0; 8])
        .node("LayerNormalization", &["x", "scale"], "y", &[])
        .output("y");
    let row = noise(5, 8);
    let rows = |a: f64, b: f64| -> Vec<f64> { row.iter().map(|v| v * a).chain(row.iter().map(|v| v * b)).collect() };
    let calibration = [rows(0.5, 8.0), rows(0.6, 7.0)];
    assert!(error_beyond(&model, &calibration, &rows(0.55, 7.5)) < 0.01);
}

#[test]
fn a_log_softmax_calibrated_on_sure_samples_takes_unsure_ones() {
    for n in [10, 40] {
        let model = Onnx::new().input("x", &[1, n as i64]).node("LogSoftmax", &["x"], "y", &[]).output("y");
        let sure = |at: usize| -> Vec<f64> { (0..n).map(|i| if i == at { 8.0 } else { -4.0 }).collect() };
        let error = error_beyond(&model, &[sure(0), sure(3)], &vec![1.0; n]);
        assert!(error < 4e-3, "{n} classes: {error}");
    }
}
