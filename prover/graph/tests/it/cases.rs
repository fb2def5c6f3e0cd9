//! Models with inputs and the outputs that the definition of ONNX gives, on the float graph and on the integer graph.

use std::collections::BTreeMap;

use vouch_graph::{
    calibrate::calibrate,
    data::Sample,
    exec::{dequantise_outputs, execute, quantise_inputs},
    float::FloatGraph,
    import::{ImportOptions, OnnxModel},
    quantise::{QuantiseOptions, quantise},
};

use crate::onnx::Onnx;

/// Inputs by name.
pub type Inputs<'a> = &'a [(&'a str, &'a [f64])];

fn lower(model: &Onnx, inputs: Inputs<'_>, fixed: &[&str]) -> Result<FloatGraph, String> {
    let fixed = inputs.iter().filter(|(name, _)| fixed.contains(name));
    let fixed: BTreeMap<_, _> = fixed.map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect();
    let options = ImportOptions { fixed, ..ImportOptions::default() };
    OnnxModel::read(&model.bytes(), "test", &options).and_then(|model| model.lower()).map_err(|e| e.to_string())
}

/// Outputs are as expected, those of the integer graph up to a tolerance, where the named inputs are constants.
pub fn gives_fixed(model: &Onnx, inputs: Inputs<'_>, expected: &[&[f64]], tolerance: f64, fixed: &[&str]) {
    let float = lower(model, inputs, fixed).unwrap();
    let value = |name: &str| inputs.iter().find(|(n, _)| *n == name).unwrap().1.to_vec();
    let sample = Sample { inputs: float.input_specs().iter().map(|spec| value(&spec.name)).collect() };
    let trace = float.trace(&sample).unwrap();
    let reals: Vec<Vec<f64>> = float.outputs.iter().map(|id| trace.tensors[id.0].clone()).collect();
    near("float graph", &reals, expected, 1e-6);
    let ranges = calibrate(&float, std::slice::from_ref(&sample)).unwrap();
    let int = quantise(&float, &ranges, &QuantiseOptions::default()).unwrap();
    let trace = execute(&int, &quantise_inputs(&int, &sample).unwrap()).unwrap();
    near("integer graph", &dequantise_outputs(&int, &trace), expected, tolerance);
}

/// The same with every input live, and again with the named inputs constant.
pub fn gives(model: &Onnx, inputs: Inputs<'_>, expected: &[&[f64]], tolerance: f64, fixed: &[&str]) {
    gives_fixed(model, inputs, expected, tolerance, &[]);
    if !fixed.is_empty() {
        gives_fixed(model, inputs, expected, tolerance, fixed);
    }
}

/// The importer refuses the model and says why.
pub fn refuses(model: &Onnx, inputs: Inputs<'_>, fixed: &[&str], why: &str) {
    let error = lower(model, inputs, fixed).unwrap_err();
    assert!(error.contains(why), "`{error}` does not say `{why}`");
}

fn near(stage: &str, got: &[Vec<f64>], expected: &[&[f64]], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{stage}: number of outputs");
    for (got, expected) in got.iter().zip(expected) {
        let close = got.len() == expected.len() && got.iter().zip(*expected).all(|(g, e)| (g - e).abs() <= tolerance);
        assert!(close, "{stage}: {got:?}, expected {expected:?}");
    }
}
