//! Models of a few numbers, from their file to the integers of the circuit.

use vouch_graph::{
    GraphError,
    calibrate::calibrate,
    data::Sample,
    exec::{dequantise_outputs, execute, quantise_inputs},
    import::{ImportOptions, OnnxModel},
    quantise::{QuantiseOptions, quantise},
};

use super::onnx::Onnx;

/// Outputs of the integer graph, which is calibrated on the inputs given.
pub fn computed(case: &str, model: &Onnx, inputs: &[&[f64]]) -> Vec<Vec<f64>> {
    let float = OnnxModel::read(&model.bytes(), "test", &ImportOptions::default()).unwrap().lower();
    let float = float.unwrap_or_else(|e| panic!("{case}: {e}"));
    let sample = Sample { inputs: inputs.iter().map(|i| i.to_vec()).collect() };
    let ranges = calibrate(&float, std::slice::from_ref(&sample)).unwrap();
    let int = quantise(&float, &ranges, &QuantiseOptions::default()).unwrap_or_else(|e| panic!("{case}: {e}"));
    let inputs = quantise_inputs(&int, &sample).unwrap();
    let trace = execute(&int, &inputs).unwrap_or_else(|e| panic!("{case}: {e}"));
    dequantise_outputs(&int, &trace)
}

/// The first output is what is expected, but for errors up to the tolerance.
pub fn gives(case: &str, model: &Onnx, inputs: &[&[f64]], expected: &[f64], tolerance: f64) {
    let got = computed(case, model, inputs);
    assert_eq!(got[0].len(), expected.len(), "{case}");
    for (i, (g, e)) in got[0].iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance, "{case}: element {i} is {g}, not {e}");
    }
}

/// The code of the error that a model meets.
pub fn refused(model: &Onnx) -> String {
    let lowered = OnnxModel::read(&model.bytes(), "test", &ImportOptions::default()).and_then(|m| m.lower());
    let error: GraphError = lowered.unwrap_err();
    error.code().to_owned()
}
