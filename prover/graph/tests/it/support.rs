//! A model on every stage: the float graph, beside tract where that reads the model, and the integer graph.

use std::{collections::BTreeMap, ops::RangeBounds};

use vouch_graph::{
    GraphError,
    calibrate::calibrate,
    data::Sample,
    exec::{dequantise_outputs, execute, quantise_inputs},
    float::FloatGraph,
    import::{ImportOptions, OnnxModel},
    int::IntGraph,
    quantise::{QuantiseOptions, quantise},
    report::report,
};

use crate::onnx::{self, Onnx};

/// Error of the float graph, relative to a number or to 1: constants of a model are of single precision.
const FLOAT_ERROR: f64 = 1e-6;

/// The same beside tract, which computes in single precision.
const TRACT_ERROR: f64 = 1e-4;

/// Error of the integer graph in a [`check`], relative to the greatest number of an output or to 1.
const INTEGER_ERROR: f64 = 2e-3;

/// A model with a name for messages, and inputs that are constants.
#[derive(Debug, Clone)]
pub struct Case<'a> {
    name: String,
    model: &'a Onnx,
    fixed: BTreeMap<String, Vec<f64>>,
    unlike_tract: bool,
}

impl Case<'_> {
    /// A case that tract gets wrong: its outputs have to differ from what is expected.
    pub fn unlike_tract(self) -> Self {
        Self { unlike_tract: true, ..self }
    }
}

impl<'a> From<&'a Onnx> for Case<'a> {
    fn from(model: &'a Onnx) -> Self {
        let operators: Vec<&str> = model.graph.node.iter().map(|n| n.op_type.as_str()).collect();
        (operators.join(", "), model).into()
    }
}

impl<'a, N: Into<String>> From<(N, &'a Onnx)> for Case<'a> {
    fn from((name, model): (N, &'a Onnx)) -> Self {
        Self { name: name.into(), model, fixed: BTreeMap::new(), unlike_tract: false }
    }
}

/// A model of which some inputs are constants.
pub fn fixing<'a>(model: &'a Onnx, fixed: &[(&str, &[f64])]) -> Case<'a> {
    let fixed = fixed.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect();
    Case { fixed, ..model.into() }
}

/// The float graph of a file.
pub fn imported(bytes: &[u8], options: &ImportOptions) -> Result<FloatGraph, GraphError> {
    OnnxModel::read(bytes, "model.onnx", options)?.lower()
}

/// The float graph of a model.
pub fn lowered<'a>(case: impl Into<Case<'a>>) -> Result<FloatGraph, GraphError> {
    let case = case.into();
    imported(&case.model.bytes(), &ImportOptions { fixed: case.fixed, ..ImportOptions::default() })
}

/// The integer graph of a float graph that is calibrated on these samples.
pub fn quantised(float: &FloatGraph, samples: &[Sample]) -> Result<IntGraph, GraphError> {
    quantise(float, &calibrate(float, samples)?, &QuantiseOptions::default())
}

/// One sample.
pub fn sample(inputs: &[&[f64]]) -> Sample {
    Sample { inputs: inputs.iter().map(|v| v.to_vec()).collect() }
}

/// Outputs of the float graph, with which tract agrees where it reads the model.
#[track_caller]
pub fn reals(case: &str, float: &FloatGraph, sample: &Sample) -> Vec<Vec<f64>> {
    let (reals, tract) = beside_tract(case, float, sample);
    for (got, tract) in reals.iter().zip(&tract) {
        compare(&format!("{case}, float graph beside tract"), got, tract, near_tract);
    }
    reals
}

/// What is near a number of tract's.
fn near_tract(number: f64) -> f64 {
    TRACT_ERROR * number.abs().max(1.0)
}

/// Outputs of the float graph, and tract's where it reads the model.
#[track_caller]
fn beside_tract(case: &str, float: &FloatGraph, sample: &Sample) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let trace = float.trace(sample).unwrap_or_else(|e| panic!("{case}: {e}"));
    let reals: Vec<Vec<f64>> = float.outputs.iter().map(|id| trace.tensors[id.0].clone()).collect();
    let tract = float.run(sample).unwrap_or_else(|e| panic!("{case}: {e}"));
    if float.without_reference().is_some() {
        return (reals, Vec::new());
    }
    assert_eq!(tract.len(), reals.len(), "{case}: tract has another number of outputs");
    (reals, tract)
}

/// Both graphs of a model.
#[derive(Debug)]
pub struct Compiled {
    name: String,
    unlike_tract: bool,
    pub float: FloatGraph,
    pub int: IntGraph,
}

impl Compiled {
    /// Of a model that is calibrated on these samples.
    #[track_caller]
    pub fn new<'a>(case: impl Into<Case<'a>>, samples: &[Sample]) -> Self {
        let case = case.into();
        let (name, unlike_tract) = (case.name.clone(), case.unlike_tract);
        let float = lowered(case).unwrap_or_else(|e| panic!("{name}: {e}"));
        let int = quantised(&float, samples).unwrap_or_else(|e| panic!("{name}: {e}"));
        Self { name, unlike_tract, float, int }
    }

    /// Outputs of both graphs.
    #[track_caller]
    pub fn outputs(&self, sample: &Sample) -> Outputs {
        let reals = if self.unlike_tract {
            let (reals, tract) = beside_tract(&self.name, &self.float, sample);
            let far = |(got, tract): (&f64, &f64)| (got - tract).abs() > near_tract(*tract);
            let differs = reals.iter().flatten().zip(tract.iter().flatten()).any(far);
            assert!(differs, "{}: tract has what the float graph has", self.name);
            reals
        } else {
            reals(&self.name, &self.float, sample)
        };
        Outputs { name: self.name.clone(), reals, integers: self.integers(sample) }
    }

    /// Outputs of the integer graph alone.
    #[track_caller]
    pub fn integers(&self, sample: &Sample) -> Vec<Vec<f64>> {
        let inputs = quantise_inputs(&self.int, sample).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let trace = execute(&self.int, &inputs).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        dequantise_outputs(&self.int, &trace)
    }
}

/// Outputs of both graphs of a model, as real numbers.
#[derive(Debug, Clone)]
pub struct Outputs {
    name: String,
    /// Those of the float graph.
    pub reals: Vec<Vec<f64>>,
    /// Those of the integer graph.
    pub integers: Vec<Vec<f64>>,
}

impl Outputs {
    /// Output number `i` is what is expected, on the integer graph up to an error.
    #[track_caller]
    pub fn are(&self, i: usize, expected: &[f64], tolerance: f64) {
        self.have(i, .., expected, tolerance);
    }

    /// The same of a part of output number `i`.
    #[track_caller]
    pub fn have(&self, i: usize, part: impl RangeBounds<usize>, expected: &[f64], tolerance: f64) {
        let bounds = (part.start_bound().cloned(), part.end_bound().cloned());
        let float = |e: f64| FLOAT_ERROR * e.abs().max(1.0);
        compare(&format!("{}, float graph", self.name), &self.reals[i][bounds], expected, float);
        compare(&format!("{}, integer graph", self.name), &self.integers[i][bounds], expected, |_| tolerance);
    }
}

/// Outputs for the last sample after calibration on those before it, or on it alone.
#[track_caller]
pub fn outputs<'a>(case: impl Into<Case<'a>>, samples: &[Vec<Vec<f64>>]) -> Outputs {
    let samples: Vec<Sample> = samples.iter().map(|inputs| Sample { inputs: inputs.clone() }).collect();
    let (last, seen) = samples.split_last().unwrap();
    let seen = if seen.is_empty() { std::slice::from_ref(last) } else { seen };
    Compiled::new(case, seen).outputs(last)
}

/// Every output is what is expected, on the integer graph up to an error; the model is calibrated on the inputs.
#[track_caller]
pub fn gives<'a>(case: impl Into<Case<'a>>, inputs: &[&[f64]], expected: &[&[f64]], tolerance: f64) {
    let sample = sample(inputs);
    let compiled = Compiled::new(case, std::slice::from_ref(&sample));
    let got = compiled.outputs(&sample);
    assert_eq!(got.reals.len(), expected.len(), "{}: number of outputs", got.name);
    let report = report(&compiled.float, &compiled.int, std::slice::from_ref(&sample)).unwrap();
    assert_eq!((report.samples, report.refused), (1, 0), "{}: samples of the report", got.name);
    assert_eq!(report.without_reference.as_deref(), compiled.float.without_reference(), "{}: reference", got.name);
    for (i, expected) in expected.iter().enumerate() {
        got.are(i, expected, tolerance);
    }
}

/// The same with every input live, and again with those of some names constant.
#[track_caller]
pub fn gives_live_and_fixed(model: &Onnx, names: &[&str], inputs: &[&[f64]], expected: &[&[f64]], tolerance: f64) {
    gives(model, inputs, expected, tolerance);
    let all = model.graph.input.iter().map(|input| input.name.as_str()).zip(inputs.iter().copied());
    let (fixed, live): (Vec<_>, Vec<_>) = all.partition(|(name, _)| names.contains(name));
    assert_eq!(fixed.len(), names.len(), "inputs {names:?}");
    let live: Vec<&[f64]> = live.into_iter().map(|(_, values)| values).collect();
    gives(fixing(model, &fixed), &live, expected, tolerance);
}

/// Outputs of the float graph, with which the integer graph agrees.
#[track_caller]
pub fn agreed<'a>(case: impl Into<Case<'a>>, inputs: &[&[f64]]) -> Vec<Vec<f64>> {
    let sample = sample(inputs);
    let got = Compiled::new(case, std::slice::from_ref(&sample)).outputs(&sample);
    for (integers, reals) in got.integers.iter().zip(&got.reals) {
        close(&format!("{}, in integers", got.name), integers, reals, INTEGER_ERROR);
    }
    got.reals
}

/// The first output is what is expected, and both graphs agree on all.
#[track_caller]
pub fn check<'a>(case: impl Into<Case<'a>>, inputs: &[&[f64]], expected: &[f64]) {
    let case = case.into();
    let name = case.name.clone();
    close(&name, &agreed(case, inputs)[0], expected, 1e-5);
}

/// Numbers are others up to an error, relative to the greatest of those or to 1.
#[track_caller]
pub fn close(case: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    let magnitude = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    compare(case, got, expected, |_| tolerance * magnitude);
}

#[track_caller]
fn compare(case: &str, got: &[f64], expected: &[f64], error: impl Fn(f64) -> f64) {
    assert_eq!(got.len(), expected.len(), "{case}: {got:?}, expected {expected:?}");
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= error(*e), "{case}: element {i} is {g}, expected {e}");
    }
}

/// Why the importer refuses a model.
#[track_caller]
pub fn refusal<'a>(case: impl Into<Case<'a>>) -> GraphError {
    lowered(case).expect_err("the importer takes the model")
}

/// The importer refuses the model and says why.
#[track_caller]
pub fn refuses<'a>(case: impl Into<Case<'a>>, why: &str) {
    let message = refusal(case).to_string();
    assert!(message.contains(why), "`{message}` does not say `{why}`");
}

/// Why the quantiser refuses a model that the importer takes.
#[track_caller]
pub fn refusal_to_quantise<'a>(case: impl Into<Case<'a>>, inputs: &[&[f64]]) -> GraphError {
    let case = case.into();
    let name = case.name.clone();
    let float = lowered(case).unwrap_or_else(|e| panic!("{name}: {e}"));
    let Err(error) = quantised(&float, &[sample(inputs)]) else { panic!("{name}: the quantiser takes the model") };
    error
}

/// Numbers in `[-2, 2]` that look random, on a grid of `1/32`.
pub fn noise(seed: u64, n: usize) -> Vec<f64> {
    onnx::noise(seed, n).into_iter().map(|v| f64::from((v * 64.0).round() / 32.0)).collect()
}
