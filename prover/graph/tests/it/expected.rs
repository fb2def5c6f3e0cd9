//! Operators on given inputs: the float graph's outputs, once the integer graph agrees with them.

use super::onnx::Onnx;
use vouch_graph::{
    GraphError,
    calibrate::calibrate,
    data::Sample,
    exec::{dequantise_outputs, execute, quantise_inputs},
    float::FloatGraph,
    import::{ImportOptions, OnnxModel},
    quantise::{QuantiseOptions, quantise},
};

/// The model as a float graph, or why it is none.
pub fn lowered(model: &Onnx) -> Result<FloatGraph, GraphError> {
    OnnxModel::read(&model.bytes(), "test", &ImportOptions::default())?.lower()
}

/// Every output on these inputs, which are what the model is calibrated on.
pub fn outputs(case: &str, model: &Onnx, inputs: &[&[f64]]) -> Vec<Vec<f64>> {
    let float = lowered(model).unwrap_or_else(|e| panic!("{case}: {e}"));
    let sample = Sample { inputs: inputs.iter().map(|v| v.to_vec()).collect() };
    let trace = float.trace(&sample).unwrap_or_else(|e| panic!("{case}: {e}"));
    let ranges = calibrate(&float, std::slice::from_ref(&sample)).unwrap();
    let int = quantise(&float, &ranges, &QuantiseOptions::default()).unwrap_or_else(|e| panic!("{case}: {e}"));
    let given = quantise_inputs(&int, &sample).unwrap();
    let executed = execute(&int, &given).unwrap_or_else(|e| panic!("{case}: {e}"));
    let floats: Vec<Vec<f64>> = float.outputs.iter().map(|id| trace.tensors[id.0].clone()).collect();
    for (ours, integers) in floats.iter().zip(dequantise_outputs(&int, &executed)) {
        close(&format!("{case}, in integers"), &integers, ours, 2e-3);
    }
    floats
}

/// Checks numbers against others, relative to the greatest of them or 1.
pub fn close(case: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{case}: {got:?} for {expected:?}");
    let magnitude = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (x, y) in got.iter().zip(expected) {
        assert!((x - y).abs() <= tolerance * magnitude, "{case}: {got:?} for {expected:?}");
    }
}

/// Checks the only output of a model.
pub fn check(case: &str, model: &Onnx, inputs: &[&[f64]], expected: &[f64]) {
    close(case, &outputs(case, model, inputs)[0], expected, 1e-5);
}

/// What a refusal says.
pub fn refusal(model: &Onnx) -> String {
    lowered(model).err().map(|e| e.to_string()).unwrap_or_default()
}
