//! Models against expected numbers, in the float graph and in the integer graph.

use vouch_graph::{
    GraphError,
    calibrate::calibrate,
    data::Sample,
    exec::{dequantise_outputs, execute, quantise_inputs},
    import::{ImportOptions, OnnxModel},
    quantise::{QuantiseOptions, quantise},
};

use crate::onnx::Onnx;

/// Outputs of the integer graph for the last sample, once it is calibrated on all others (or on it alone); where tract
/// reads the model it has to agree with the float graph.
pub fn outputs(case: &str, model: &Onnx, samples: &[Vec<Vec<f64>>]) -> Vec<Vec<f64>> {
    let float = OnnxModel::read(&model.bytes(), "test", &ImportOptions::default()).unwrap().lower().unwrap();
    let last = Sample { inputs: samples.last().unwrap().clone() };
    let trace = float.trace(&last).unwrap();
    for (tract, id) in float.run(&last).unwrap().iter().zip(&float.outputs) {
        near(&format!("{case}, float graph"), &trace.tensors[id.0], tract, 1e-4);
    }
    integers(case, model, samples)
}

/// The same for forms that tract reads and takes for others.
pub fn integers(case: &str, model: &Onnx, samples: &[Vec<Vec<f64>>]) -> Vec<Vec<f64>> {
    let float = OnnxModel::read(&model.bytes(), "test", &ImportOptions::default()).unwrap().lower().unwrap();
    let samples: Vec<Sample> = samples.iter().map(|inputs| Sample { inputs: inputs.clone() }).collect();
    let (last, seen) = samples.split_last().unwrap();
    let seen = if seen.is_empty() { std::slice::from_ref(last) } else { seen };
    let ranges = calibrate(&float, seen).unwrap();
    let int = quantise(&float, &ranges, &QuantiseOptions::default()).unwrap_or_else(|e| panic!("{case}: {e}"));
    let inputs = quantise_inputs(&int, last).unwrap();
    let trace = execute(&int, &inputs).unwrap_or_else(|e| panic!("{case}: {e}"));
    dequantise_outputs(&int, &trace)
}

/// Whether numbers are those expected, up to a share of the greatest.
pub fn near(case: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{case}: another number of elements");
    let magnitude = want.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= tolerance * magnitude, "{case}: element {i} is {g}, not {w}");
    }
}

/// Why a model is refused.
pub fn refusal(model: &Onnx) -> GraphError {
    OnnxModel::read(&model.bytes(), "test", &ImportOptions::default()).and_then(|m| m.lower()).unwrap_err()
}

/// Numbers that look random.
pub fn noise(seed: u64, n: usize) -> Vec<f64> {
    crate::onnx::noise(seed, n).into_iter().map(|v| f64::from((v * 64.0).round() / 32.0)).collect()
}
