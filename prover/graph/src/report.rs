//! How far the integer graph is from the float model.

use serde::Serialize;

use crate::{
    GraphError,
    data::Sample,
    exec::{dequantise_outputs, execute, quantise_inputs},
    float::{Element, FloatGraph},
    int::IntGraph,
};

/// Error of one tensor over all samples, in real units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorError {
    /// Tensor.
    pub name: String,
    /// Largest absolute error.
    pub max_abs: f64,
    /// Mean absolute error.
    pub mean_abs: f64,
}

/// Accuracy of an integer graph against its float model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Samples compared.
    pub samples: usize,
    /// Samples that have no proof: a value leaves its calibrated range.
    pub refused: usize,
    /// Largest absolute error of any output.
    pub max_abs_error: f64,
    /// Mean absolute error of the outputs.
    pub mean_abs_error: f64,
    /// Share of samples whose greatest output is the same, or whose first output is where that is a label: exact
    /// integers. `None` where the first output is one real number.
    pub argmax_agreement: Option<f64>,
    /// Error of each output.
    pub outputs: Vec<TensorError>,
    /// Error of each intermediate tensor that both graphs have, in the order of computation.
    pub layers: Vec<TensorError>,
}

/// Running error of one tensor.
#[derive(Debug, Clone)]
struct Tally {
    name: String,
    max: f64,
    sum: f64,
    count: usize,
}

impl Tally {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), max: 0.0, sum: 0.0, count: 0 }
    }

    fn add(&mut self, reals: &[f64], integers: impl Iterator<Item = f64>) {
        for (x, y) in reals.iter().zip(integers) {
            let error = (x - y).abs();
            self.max = self.max.max(error);
            self.sum += error;
            self.count += 1;
        }
    }

    fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    fn error(&self) -> TensorError {
        TensorError { name: self.name.clone(), max_abs: self.max, mean_abs: self.mean() }
    }
}

/// Runs both graphs on every sample: outputs against tract, layers against the float graph.
///
/// # Errors
/// Where a sample does not fit the model. A sample outside the calibrated ranges is counted, not
/// an error.
pub fn report(float: &FloatGraph, int: &IntGraph, samples: &[Sample]) -> Result<Report, GraphError> {
    let mut outputs: Vec<Tally> = int.outputs.iter().map(|p| Tally::new(&int.tensor(p.tensor).name)).collect();
    let common: Vec<(usize, usize)> = int
        .nodes
        .iter()
        .filter_map(|n| {
            let name = &int.tensor(n.output).name;
            let twin = float.tensors.iter().position(|t| t.name == *name)?;
            Some((twin, n.output.0))
        })
        .collect();
    let mut layers: Vec<Tally> = common.iter().map(|(t, _)| Tally::new(&float.tensors[*t].name)).collect();
    let label = float.outputs.first().is_some_and(|id| float.tensor(*id).element == Element::Integer);
    let (mut compared, mut refused, mut agreed) = (0, 0, 0);
    for sample in samples {
        let trace = match quantise_inputs(int, sample).and_then(|inputs| execute(int, &inputs)) {
            Ok(trace) => trace,
            Err(GraphError::InputRange { .. } | GraphError::OutOfRange { .. } | GraphError::Spread { .. }) => {
                refused += 1;
                continue;
            }
            Err(other) => return Err(other),
        };
        compared += 1;
        let reference = float.run(sample)?;
        let got = dequantise_outputs(int, &trace);
        for ((tally, x), y) in outputs.iter_mut().zip(&reference).zip(&got) {
            tally.add(x, y.iter().copied());
        }
        let first = |list: &[Vec<f64>]| list.first().and_then(|o| argmax(o));
        let same = if label { reference.first() == got.first() } else { first(&reference) == first(&got) };
        agreed += usize::from(same);
        let reals = float.trace(sample)?;
        for (tally, (real, integer)) in layers.iter_mut().zip(&common) {
            let exponent = int.tensors[*integer].exponent;
            let values = trace.tensors[*integer].iter().map(|q| exponent.dequantise(*q));
            tally.add(&reals.tensors[*real], values);
        }
    }
    let count: usize = outputs.iter().map(|t| t.count).sum();
    let sum: f64 = outputs.iter().map(|t| t.sum).sum();
    let classes = int.outputs.first().map_or(0, |p| int.tensor(p.tensor).len());
    Ok(Report {
        samples: compared,
        refused,
        max_abs_error: outputs.iter().map(|t| t.max).fold(0.0, f64::max),
        mean_abs_error: if count == 0 { 0.0 } else { sum / count as f64 },
        argmax_agreement: ((classes > 1 || label) && compared > 0).then(|| agreed as f64 / compared as f64),
        outputs: outputs.iter().map(Tally::error).collect(),
        layers: layers.iter().map(Tally::error).collect(),
    })
}

/// Index of the greatest element, the first of equal ones.
fn argmax(values: &[f64]) -> Option<usize> {
    let mut best = None;
    for (i, v) in values.iter().enumerate() {
        if best.is_none_or(|b: usize| *v > values[b]) {
            best = Some(i);
        }
    }
    best
}
