//! Exponents by the error that they come to at the outputs, measured on samples.
//!
//! The exponents of a layer's operand and of its weights add up to a constant, so that one rounds less where the other
//! rounds more. [`super::balance`] estimates the best of these; here its neighbours are run.

use super::{
    Emitted, INPUT_BITS, Prepared, QuantiseOptions, Target,
    scale::{Adjustments, classes},
};
use crate::{
    GraphError,
    bound::Ideal,
    calibrate::{MASKED, Ranges},
    data::Sample,
    exec::{dequantise_outputs, execute, quantise_inputs},
    float::{Element, FloatGraph, FloatOp},
    int::IntGraph,
    report::{is_refusal, same_decision},
};

/// Operations to spend on trials: some seconds.
const BUDGET: u64 = 1 << 32;

/// Samples beyond which the error hardly moves.
const MOST_SAMPLES: u64 = 128;

/// Samples without which the error says little.
const LEAST_SAMPLES: u64 = 4;

/// Share by which a trial has to lower the mean square error: less is chance.
const GAIN: f64 = 0.1;

/// Share of the largest error allowed that calibration may show: other data may show more.
const RESERVE: f64 = 0.8;

/// What the trials are compared by.
struct Measure<'a> {
    samples: &'a [Sample],
    /// Outputs of the float graph for each sample.
    expected: Vec<Vec<Vec<f64>>>,
    /// Inverse magnitude of each output; zero for integers, which are right or wrong but not near.
    weights: Vec<f64>,
}

impl<'a> Measure<'a> {
    fn new(graph: &FloatGraph, samples: &'a [Sample]) -> Result<Self, GraphError> {
        let outputs = |sample| -> Result<Vec<Vec<f64>>, GraphError> {
            let trace = graph.trace(sample)?;
            Ok(graph.outputs.iter().map(|id| trace.tensors[id.0].clone()).collect())
        };
        let expected: Vec<Vec<Vec<f64>>> = samples.iter().map(outputs).collect::<Result<_, _>>()?;
        let weight = |i: usize| {
            let values = expected.iter().flat_map(|outputs| &outputs[i]).filter(|v| **v > MASKED);
            let most = values.fold(0.0f64, |m, v| m.max(v.abs()));
            let real = graph.tensor(graph.outputs[i]).element == Element::Real;
            if real && most > 0.0 { 1.0 / most } else { 0.0 }
        };
        let weights = (0..graph.outputs.len()).map(weight).collect();
        Ok(Self { samples, expected, weights })
    }

    fn of(&self, graph: &FloatGraph, int: &IntGraph) -> Result<Outcome, GraphError> {
        let mut outcome = Outcome::default();
        let (mut sum, mut count) = (0.0, 0usize);
        for (sample, expected) in self.samples.iter().zip(&self.expected) {
            let trace = match quantise_inputs(int, sample).and_then(|inputs| execute(int, &inputs)) {
                Ok(trace) => trace,
                Err(error) if is_refusal(&error) => {
                    outcome.refused += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let outputs = dequantise_outputs(int, &trace);
            outcome.agreed += usize::from(same_decision(graph, expected, &outputs));
            for ((got, expected), weight) in outputs.iter().zip(expected).zip(&self.weights) {
                for (g, e) in got.iter().zip(expected).filter(|(_, e)| **e > MASKED) {
                    sum += ((g - e) * weight).powi(2);
                    outcome.largest = outcome.largest.max((g - e).abs());
                }
                count += got.len();
            }
        }
        outcome.square = sum / count.max(1) as f64;
        Ok(outcome)
    }
}

/// What became of the samples.
#[derive(Debug, Clone, Copy, Default)]
struct Outcome {
    /// Samples without a proof.
    refused: usize,
    /// Samples with the float model's decision.
    agreed: usize,
    /// Mean square of the errors, as shares of the outputs' magnitudes.
    square: f64,
    /// Largest error.
    largest: f64,
}

/// The integer graph with the narrowest inputs that keep to a target; with those of the options where none do.
pub(super) fn narrowest(
    (graph, ranges): (&FloatGraph, &Ranges),
    options: &QuantiseOptions,
    samples: &[Sample],
    target: &Target,
) -> Result<(IntGraph, Ideal), GraphError> {
    let measure = Measure::new(graph, samples)?;
    let mut result = None;
    // Errors fall with the bits, so that bisection finds where they are small enough.
    let (mut least, mut most) = (*INPUT_BITS.start(), *INPUT_BITS.end());
    while least <= most {
        let bits = u32::midpoint(least, most);
        let options = QuantiseOptions { input_bits: bits, ..*options };
        let (int, ideal) = refine(Prepared::new(graph, ranges, &options)?, graph, &options, samples)?;
        if target.is_met(&measure.of(graph, &int)?, samples.len()) {
            result = Some((int, ideal));
            most = bits - 1;
        } else {
            least = bits + 1;
        }
    }
    match result {
        Some(found) => Ok(found),
        None => refine(Prepared::new(graph, ranges, options)?, graph, options, samples),
    }
}

impl Target {
    fn is_met(&self, outcome: &Outcome, samples: usize) -> bool {
        let proved = samples - outcome.refused;
        let agreement = outcome.agreed as f64 / proved.max(1) as f64;
        self.max_error.is_none_or(|limit| outcome.largest <= RESERVE * limit)
            && self.min_agreement.is_none_or(|limit| agreement >= limit)
    }
}

/// The best of the integer graphs tried, and what it stands for.
pub(super) fn refine(
    prepared: Prepared,
    graph: &FloatGraph,
    options: &QuantiseOptions,
    samples: &[Sample],
) -> Result<(IntGraph, Ideal), GraphError> {
    let best = best(&prepared, graph, options, samples)?;
    Ok(prepared.with_ideal(best))
}

fn best(
    prepared: &Prepared,
    graph: &FloatGraph,
    options: &QuantiseOptions,
    samples: &[Sample],
) -> Result<Emitted, GraphError> {
    let mut adjustments = Adjustments::default();
    let (mut best, mut meanings) = prepared.emit(options, &adjustments)?;
    let candidates = candidates(&prepared.graph);
    let elements: usize = best.tensors.iter().map(crate::int::IntTensor::len).sum();
    let run = best.macs() + 8 * elements as u64;
    // Each trial emits the graph anew, which looks at every weight a few times.
    let emission = 8 * (elements + prepared.graph.parameter_count()) as u64;
    let trials = 2 * candidates.len() as u64;
    let affordable = (BUDGET / trials.max(1)).saturating_sub(emission) / run.max(1);
    if candidates.is_empty() || affordable < LEAST_SAMPLES {
        return Ok((best, meanings));
    }
    let count = samples.len().min(affordable.min(MOST_SAMPLES) as usize);
    // Spread over the data, which may be in some order.
    let chosen: Vec<Sample> = (0..count).map(|i| samples[i * samples.len() / count].clone()).collect();
    let measure = Measure::new(graph, &chosen)?;
    if measure.weights.iter().all(|w| *w == 0.0) {
        return Ok((best, meanings));
    }
    let mut outcome = measure.of(graph, &best)?;
    for class in candidates {
        for step in [-1, 1] {
            let mut moved = false;
            loop {
                let trial = adjustments.with(class, step);
                // A scale may be too coarse for some reader.
                let Ok((int, meant)) = prepared.emit(options, &trial) else { break };
                let tried = measure.of(graph, &int)?;
                if int == best || tried.refused > outcome.refused || tried.square > outcome.square * (1.0 - GAIN) {
                    break;
                }
                (adjustments, best, meanings) = (trial, int, meant);
                (outcome, moved) = (tried, true);
            }
            if moved {
                break;
            }
        }
    }
    tracing::debug!(?adjustments, error = outcome.square.sqrt(), "exponents chosen by measured error");
    Ok((best, meanings))
}

/// Classes with a tensor that a linear layer or a product of computed values reads, in the order of computation.
fn candidates(graph: &FloatGraph) -> Vec<usize> {
    let classes = classes(graph);
    let mut candidates = Vec::new();
    for node in &graph.nodes {
        if matches!(node.op, FloatOp::Linear { .. } | FloatOp::MatMul { .. } | FloatOp::Mul { .. }) {
            for id in node.inputs.iter().filter(|id| graph.tensor(**id).element == Element::Real) {
                if !candidates.contains(&classes[id.0]) {
                    candidates.push(classes[id.0]);
                }
            }
        }
    }
    candidates
}
