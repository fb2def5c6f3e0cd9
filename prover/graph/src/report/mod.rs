//! How far the integer graph is from the float model, and where it gets there.

mod own;
mod tally;

use serde::Serialize;

use crate::{
    GraphError,
    bound::Bounds,
    data::Sample,
    exec::{dequantise_outputs, execute, quantise_inputs},
    float::{Element, FloatGraph},
    int::IntGraph,
};

use own::{Twins, carried};
pub use tally::{Errors, Histogram, TensorError};
use tally::{Sizes, Tally};

/// Error of one intermediate tensor or input, and the part of it that its own layer adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerError {
    /// Error that has accumulated in the tensor.
    #[serde(flatten)]
    pub tensor: TensorError,
    /// ONNX node that computes it; empty for an input.
    pub node: String,
    /// Error that the layer itself adds: its rounding, its weights', its table's.
    pub own: Errors,
    /// Root mean square of what the layer's own errors alone come to at the outputs.
    pub at_outputs: f64,
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
    /// Why tract does not run the model, where it does not: the float model is then this crate's own evaluation, and an
    /// operator that is misread is no error of these.
    pub without_reference: Option<String>,
    /// Share of samples whose greatest output is the same, or whose first output is where that is a label: exact
    /// integers. `None` where the first output is one real number.
    pub argmax_agreement: Option<f64>,
    /// Error of each output.
    pub outputs: Vec<TensorError>,
    /// Error of the inputs and of each intermediate tensor that both graphs have, in the order of computation.
    pub layers: Vec<LayerError>,
    /// Tensor of the layer whose own errors come to most at the outputs; `None` where none come to anything.
    pub enters_at: Option<String>,
    /// Samples that `at_outputs` was measured on.
    pub carried_samples: usize,
    /// What holds for every input that has a proof; `None` where nobody worked it out.
    pub guaranteed: Option<Bounds>,
}

impl Report {
    /// The report with guaranteed errors beside the measured ones.
    #[must_use]
    pub fn with_bounds(mut self, bounds: Bounds) -> Self {
        self.guaranteed = Some(bounds);
        self
    }

    /// Layers by what their own errors come to at the outputs, the worst first.
    #[must_use]
    pub fn worst_layers(&self) -> Vec<&LayerError> {
        let mut worst: Vec<&LayerError> = self.layers.iter().collect();
        worst.sort_by(|a, b| b.at_outputs.total_cmp(&a.at_outputs).then(b.own.rms.total_cmp(&a.own.rms)));
        worst
    }
}

/// Whether an input is one that has no proof, which is no error of the caller.
#[must_use]
pub fn is_refusal(error: &GraphError) -> bool {
    matches!(error, GraphError::InputRange { .. } | GraphError::OutOfRange { .. } | GraphError::Spread { .. })
}

/// Runs both graphs on every sample: outputs against tract, layers against the float graph.
///
/// # Errors
/// Where a sample does not fit the model. A sample outside the calibrated ranges is counted, not
/// an error.
pub fn report(float: &FloatGraph, int: &IntGraph, samples: &[Sample]) -> Result<Report, GraphError> {
    let tally = |name: &str, id| Tally::new(name, int.tensor(id).exponent.dequantise(1));
    let mut outputs: Vec<Tally> = int.outputs.iter().map(|p| tally(&int.tensor(p.tensor).name, p.tensor)).collect();
    let twins = Twins::new(float, int);
    let common = twins.layers();
    let mut layers: Vec<Layer> = common
        .iter()
        .map(|(_, id, _)| Layer {
            tally: tally(&int.tensor(*id).name, *id),
            own: Sizes::default(),
            carried: Sizes::default(),
        })
        .collect();
    let label = gives_label(float);
    let carrying = samples_to_carry(int, common.len());
    let (mut compared, mut refused, mut agreed) = (0, 0, 0);
    for sample in samples {
        let trace = match quantise_inputs(int, sample).and_then(|inputs| execute(int, &inputs)) {
            Ok(trace) => trace,
            Err(error) if is_refusal(&error) => {
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
        agreed += usize::from(same_decision(float, &reference, &got));
        let reals = float.trace(sample)?;
        let own = twins.own(&reals, &trace);
        for (layer, (real, integer, _)) in layers.iter_mut().zip(&common) {
            let exponent = int.tensor(*integer).exponent;
            let values = trace.tensor(*integer).iter().map(|q| exponent.dequantise(*q));
            layer.tally.add(&reals.tensors[real.0], values);
            let Some(errors) = &own[real.0] else { continue };
            errors.iter().for_each(|e| layer.own.add(*e));
            if compared <= carrying {
                carried(float, &reals, *real, errors).iter().for_each(|e| layer.carried.add(*e));
            }
        }
    }
    let count: usize = outputs.iter().map(|t| t.sizes.count).sum();
    let sum: f64 = outputs.iter().map(|t| t.sizes.sum).sum();
    let classes = int.outputs.first().map_or(0, |p| int.tensor(p.tensor).len());
    let outputs: Vec<TensorError> = outputs.into_iter().map(Tally::error).collect();
    let mut report = Report {
        samples: compared,
        refused,
        max_abs_error: outputs.iter().map(|t| t.max_abs).fold(0.0, f64::max),
        mean_abs_error: if count == 0 { 0.0 } else { sum / count as f64 },
        argmax_agreement: ((classes > 1 || label) && compared > 0).then(|| agreed as f64 / compared as f64),
        outputs,
        layers: layers.into_iter().zip(&common).map(|(layer, (_, _, node))| layer.error(node)).collect(),
        enters_at: None,
        without_reference: float.without_reference().map(str::to_owned),
        carried_samples: carrying.min(compared),
        guaranteed: None,
    };
    report.enters_at = report.worst_layers().first().filter(|l| l.at_outputs > 0.0).map(|l| l.tensor.name.clone());
    Ok(report)
}

/// Running errors of one layer.
struct Layer {
    tally: Tally,
    own: Sizes,
    carried: Sizes,
}

impl Layer {
    fn error(self, node: &str) -> LayerError {
        LayerError {
            tensor: self.tally.error(),
            node: node.to_owned(),
            own: self.own.errors(),
            at_outputs: self.carried.errors().rms,
        }
    }
}

/// On how many samples every layer's errors are carried to the outputs: that runs the rest of the model once a layer,
/// so a large model has fewer.
fn samples_to_carry(int: &IntGraph, layers: usize) -> usize {
    /// Multiply-adds to spend: some seconds.
    const BUDGET: u64 = 1 << 31;
    /// Beyond these the mean hardly moves.
    const MOST: u64 = 64;
    let elements: usize = int.tensors.iter().map(crate::int::IntTensor::len).sum();
    let each = (int.macs() + elements as u64).saturating_mul(layers as u64);
    (BUDGET / each.max(1)).clamp(1, MOST) as usize
}

/// Whether outputs say the same: the first has its greatest element in the same place, or is the same where it is a
/// label.
pub(crate) fn same_decision(float: &FloatGraph, a: &[Vec<f64>], b: &[Vec<f64>]) -> bool {
    let first = |list: &[Vec<f64>]| list.first().and_then(|o| argmax(o));
    if gives_label(float) { a.first() == b.first() } else { first(a) == first(b) }
}

/// Whether the first output is exact integers.
fn gives_label(float: &FloatGraph) -> bool {
    float.outputs.first().is_some_and(|id| float.tensor(*id).element == Element::Integer)
}

/// Index of the greatest element, the first of equal ones.
pub(crate) fn argmax(values: &[f64]) -> Option<usize> {
    let mut best = None;
    for (i, v) in values.iter().enumerate() {
        if best.is_none_or(|b: usize| *v > values[b]) {
            best = Some(i);
        }
    }
    best
}
