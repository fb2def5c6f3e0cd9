//! A file through every stage, and what it comes to on the test data.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use vouch_circuit::{CircuitPlan, PlanOptions, Prediction};
use vouch_graph::{
    GraphError,
    calibrate::calibrate,
    data::{Sample, read_file},
    exec::{dequantise_outputs, execute, quantise_inputs},
    float::{Element, FloatGraph, InputSpec},
    import::{ImportOptions, OnnxModel},
    int::IntGraph,
    quantise::{QuantiseOptions, quantise_measured},
    report::report,
};

use super::{
    form::Form,
    score::{AGREEMENT, Differences, Metric, POINTS, agreement},
};
use crate::conformance::stages::Stage;

/// Figures of a file that compiles; all follow from the files and the code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Test samples.
    pub samples: usize,
    /// Test samples without a proof: a value leaves its range.
    pub refused: usize,
    /// How many of them leave the range of which tensor.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused_by: BTreeMap<String, usize>,
    /// Inputs that became constants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixed: Vec<String>,
    /// Scores, where there are labels.
    pub scores: Option<Scores>,
    /// Largest absolute error of an output that is no label, against the float model.
    pub largest_error: f64,
    /// The mean of these errors.
    pub mean_error: f64,
    /// From the least to the greatest of these outputs.
    pub range: f64,
    /// Largest absolute difference of this project's float graph to onnxruntime, where that ran the same network.
    pub onnxruntime_error: Option<f64>,
    /// Weights and biases of linear layers, which are private where nothing else is said.
    pub weights: usize,
    /// Multiply-adds.
    pub macs: u64,
    /// The circuit, where there is one.
    pub circuit: Option<Circuit>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub no_circuit: String,
}

/// The circuit that is planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Circuit {
    /// Rows, as a power of two.
    pub k: u32,
    /// Name of its shape.
    pub shape: String,
    /// Logical rows for values.
    pub value_rows: usize,
    /// Logical rows for weights.
    pub weight_rows: usize,
    /// What the planner predicts.
    pub predicted: Prediction,
}

impl Circuit {
    fn of(plan: &CircuitPlan) -> Self {
        Self {
            k: plan.k,
            shape: plan.shape.to_string(),
            value_rows: plan.value_rows,
            weight_rows: plan.weight_rows,
            predicted: Prediction { prove_seconds: digits(plan.predicted.prove_seconds), ..plan.predicted },
        }
    }
}

/// How the models do on the test data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// What is counted.
    pub metric: Metric,
    /// Onnxruntime's score, as the manifest has it.
    pub onnxruntime: f64,
    /// The float model's.
    pub float: f64,
    /// That of the integers. A sample without a proof is a wrong decision, and no forecast: then it is left out of both.
    pub integer: f64,
    /// Share of decisions that are the same, where there are any. Without a proof there is none.
    pub agreement: Option<f64>,
}

impl Figures {
    /// What keeps the integers from standing for the model; nothing where they do.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if let Some(Scores { metric, float, integer, agreement, .. }) = self.scores {
            let points = metric.points(float, integer);
            let agrees = agreement.is_some_and(|share| share >= AGREEMENT);
            if !agrees && points > POINTS {
                let title = metric.title();
                complaints.push(format!("{title} is {integer:.4}, of the float model {float:.4}: {points:.2} points"));
            }
        }
        let bound = ERROR_SHARE * self.range;
        if self.mean_error > bound {
            complaints.push(format!("the mean error is {:.3e}, above {bound:.3e}", self.mean_error));
        }
        complaints
    }
}

/// Bound of the mean error of the outputs, as a share of their range.
pub const ERROR_SHARE: f64 = 0.01;

/// Why a file does not compile or run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Where.
    pub stage: Stage,
    /// Why.
    pub reason: String,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It compiles and runs.
    Figures(Box<Figures>),
    /// It does not.
    Failure(Failure),
}

/// The stage that a file is in, for whoever hears of its end.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Mutex<Stage>>);

impl Watch {
    fn enter(&self, stage: Stage) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// The stage.
    #[must_use]
    pub fn stage(&self) -> Stage {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file, compiled, with its test data.
struct Compiled {
    float: FloatGraph,
    graph: IntGraph,
    fixed: Vec<String>,
    test: Vec<Sample>,
}

/// Runs a file through every stage.
///
/// # Errors
/// Says why it does not come to its end; `watch` says where.
pub fn measure(form: &Form, watch: &Watch) -> Result<Figures, String> {
    let Compiled { float, graph, fixed, test } = compile(form, watch)?;
    watch.enter(Stage::Plan);
    let plan = CircuitPlan::choose(&graph, &PlanOptions::default());
    watch.enter(Stage::Execute);
    let ran = run(form, &float, &graph, &test)?;
    watch.enter(Stage::Compare);
    let same = form.model.manifest.is_main_network(&form.file);
    let onnxruntime_error = same.then(|| onnxruntime(form, &float, &test)).transpose()?;
    Ok(Figures {
        samples: test.len(),
        refused: ran.refused.values().sum(),
        refused_by: ran.refused,
        fixed,
        scores: ran.scores,
        largest_error: digits(ran.differences.largest),
        mean_error: digits(ran.differences.mean()),
        range: digits(ran.differences.range()),
        onnxruntime_error: onnxruntime_error.map(digits),
        weights: graph.parameter_count(),
        macs: graph.macs(),
        no_circuit: plan.as_ref().err().map(ToString::to_string).unwrap_or_default(),
        circuit: plan.ok().as_ref().map(Circuit::of),
    })
}

/// The layers that add most to the errors of a file, as `vouch compile` prints them.
///
/// # Errors
/// As [`measure`].
pub fn layers(form: &Form, count: usize) -> Result<Vec<String>, String> {
    let Compiled { float, graph, test, .. } = compile(form, &Watch::default())?;
    let report = report(&float, &graph, &test).map_err(text)?;
    let worst = report.worst_layers().into_iter().take(count);
    let line = |layer: &vouch_graph::report::LayerError| {
        format!(
            "{:.2e} at outputs, {:.2e} own, {:.2e} accumulated: {} ({})",
            layer.at_outputs, layer.own.rms, layer.tensor.rms, layer.tensor.name, layer.node
        )
    };
    Ok(worst.map(line).collect())
}

fn compile(form: &Form, watch: &Watch) -> Result<Compiled, String> {
    watch.enter(Stage::Import);
    let manifest = &form.model.manifest;
    let fixed = manifest.fixed(&form.file);
    let names = fixed.keys().cloned().collect();
    let options = ImportOptions { input_shapes: manifest.input_shapes(), fixed };
    let float = OnnxModel::open(&form.path(), &options).and_then(|model| model.lower()).map_err(text)?;
    watch.enter(Stage::Calibrate);
    let specs = float.input_specs();
    let samples = read_file(&form.data("calibration.npz"), &specs).map_err(text)?;
    let ranges = calibrate(&float, &samples).map_err(text)?;
    watch.enter(Stage::Quantise);
    let (graph, _) = quantise_measured(&float, &ranges, &QuantiseOptions::default(), &samples).map_err(text)?;
    let test = read_file(&form.data("test.npz"), &specs).map_err(text)?;
    Ok(Compiled { float, graph, fixed: names, test })
}

/// Both models on the test data.
struct Ran {
    refused: BTreeMap<String, usize>,
    differences: Differences,
    scores: Option<Scores>,
}

fn run(form: &Form, float: &FloatGraph, graph: &IntGraph, test: &[Sample]) -> Result<Ran, String> {
    let is_label = |at: usize| float.outputs.get(at).is_some_and(|id| float.tensor(*id).element == Element::Integer);
    let judged = form.judged();
    let each = judged.map_or(0, |(_, labels)| labels.len() / test.len().max(1));
    let (mut refused, mut differences) = (BTreeMap::new(), Differences::default());
    let mut answers = Answers::default();
    for (n, sample) in test.iter().enumerate() {
        let reference = float.run(sample).map_err(text)?;
        let computed = match quantise_inputs(graph, sample).and_then(|inputs| execute(graph, &inputs)) {
            Ok(trace) => Some(dequantise_outputs(graph, &trace)),
            Err(error) => {
                *refused.entry(beyond(error)?).or_default() += 1;
                None
            }
        };
        if let Some(computed) = &computed {
            let outputs = reference.iter().zip(computed).enumerate();
            outputs.filter(|(at, _)| !is_label(*at)).for_each(|(_, (x, y))| differences.add(x, y));
        }
        let Some((metric, labels)) = judged else { continue };
        let first =
            |outputs: &[Vec<f64>]| metric.answers(outputs.first().map_or(&[], Vec::as_slice), each, is_label(0));
        answers.add(metric, &labels[n * each..][..each], first(&reference), computed.as_deref().map(first));
    }
    let scores = judged.map(|(metric, _)| answers.scores(metric, form));
    Ok(Ran { refused, differences, scores })
}

/// The tensor whose range a sample without a proof leaves; other errors stay such.
fn beyond(error: GraphError) -> Result<String, String> {
    match error {
        GraphError::InputRange { input, .. } => Ok(input),
        GraphError::OutOfRange { tensor, .. } | GraphError::Spread { tensor, .. } => Ok(tensor),
        other => Err(other.to_string()),
    }
}

/// Labels and the answers to them.
#[derive(Default)]
struct Answers {
    labels: Vec<f64>,
    float: Vec<f64>,
    integer: Vec<f64>,
}

impl Answers {
    fn add(&mut self, metric: Metric, labels: &[f64], float: Vec<f64>, integer: Option<Vec<f64>>) {
        let integer = match integer {
            Some(integer) => integer,
            // Equal to no label.
            None if metric.decides() => vec![f64::NAN; labels.len()],
            None => return,
        };
        self.labels.extend(labels);
        self.float.extend(float);
        self.integer.extend(integer);
    }

    fn scores(&self, metric: Metric, form: &Form) -> Scores {
        Scores {
            metric,
            onnxruntime: form.model.manifest.metric(&form.file).map_or(f64::NAN, |(_, score)| score),
            float: places(metric.score(&self.float, &self.labels)),
            integer: places(metric.score(&self.integer, &self.labels)),
            agreement: metric.decides().then(|| places(agreement(&self.float, &self.integer))),
        }
    }
}

/// Largest difference of the float graph's outputs to those that onnxruntime gave for the first test samples.
fn onnxruntime(form: &Form, float: &FloatGraph, test: &[Sample]) -> Result<f64, String> {
    let names = form.model.outputs().map_err(|error| format!("{error:#}"))?;
    let mut differences = Differences::default();
    let mut traces = Vec::new();
    for (id, name) in float.outputs.iter().zip(names) {
        let tensor = float.tensor(*id);
        let spec = InputSpec { name, shape: tensor.shape.clone(), element: tensor.element };
        let expected = read_file(&form.data("expected.npz"), std::slice::from_ref(&spec)).map_err(text)?;
        while traces.len() < expected.len().min(test.len()) {
            traces.push(float.trace(&test[traces.len()]).map_err(text)?);
        }
        for (sample, trace) in expected.iter().zip(&traces) {
            sample.inputs.iter().for_each(|values| differences.add(values, &trace.tensors[id.0]));
        }
    }
    Ok(differences.largest)
}

/// Three significant digits: what a processor's own rounding does not reach.
fn digits(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

/// Four decimal places, as manifests have.
fn places(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(scores: Option<Scores>, mean_error: f64) -> Figures {
        Figures {
            samples: 100,
            refused: 0,
            refused_by: BTreeMap::new(),
            fixed: Vec::new(),
            scores,
            largest_error: 0.1,
            mean_error,
            range: 10.0,
            onnxruntime_error: None,
            weights: 1,
            macs: 1,
            circuit: None,
            no_circuit: String::new(),
        }
    }

    fn scores(integer: f64, agreement: Option<f64>) -> Option<Scores> {
        Some(Scores { metric: Metric::Accuracy, onnxruntime: 0.97, float: 0.97, integer, agreement })
    }

    #[test]
    fn agreement_or_the_score_is_enough() {
        assert_eq!(figures(scores(0.96, Some(0.99)), 0.1).complaints(), [""; 0]);
        assert_eq!(figures(scores(0.966, Some(0.9)), 0.1).complaints(), [""; 0]);
        assert_eq!(figures(None, 0.1).complaints(), [""; 0]);
    }

    #[test]
    fn complaints_say_what_is_off() {
        let score = "accuracy is 0.9600, of the float model 0.9700: 1.00 points";
        assert_eq!(figures(scores(0.96, Some(0.98)), 0.1).complaints(), [score]);
        assert_eq!(figures(None, 0.2).complaints(), ["the mean error is 2.000e-1, above 1.000e-1"]);
    }

    #[test]
    fn a_sample_without_a_proof_is_a_wrong_decision_and_no_forecast() {
        let mut decisions = Answers::default();
        decisions.add(Metric::Accuracy, &[1.0], vec![1.0], Some(vec![1.0]));
        decisions.add(Metric::Accuracy, &[1.0], vec![1.0], None);
        assert_eq!(Metric::Accuracy.score(&decisions.integer, &decisions.labels), 0.5);
        let mut forecasts = Answers::default();
        forecasts.add(Metric::RSquared, &[1.0], vec![1.0], None);
        assert!(forecasts.labels.is_empty() && forecasts.float.is_empty());
    }

    #[test]
    fn figures_have_few_digits() {
        assert_eq!([digits(0.001_234_5), digits(1_234.5), digits(0.0)], [0.001_23, 1_230.0, 0.0]);
        assert_eq!(places(0.123_456), 0.123_5);
    }
}
