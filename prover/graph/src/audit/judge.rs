//! One input through both models.

use serde::Serialize;

use crate::{
    GraphError,
    data::Sample,
    exec::{dequantise_outputs, execute, quantise_inputs},
    float::{Element, FloatGraph},
    int::IntGraph,
    report::{argmax, is_refusal},
};

/// How an output is read as a decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// Index of the greatest element of the first output.
    ArgMax,
    /// Whether the one element of the first output is at least this.
    Threshold(f64),
}

/// What one model decides, and how clearly.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Answer {
    decision: usize,
    margin: f64,
}

impl Rule {
    fn answer(self, outputs: &[Vec<f64>]) -> Option<Answer> {
        let values = outputs.first()?;
        match self {
            Self::ArgMax => {
                let decision = argmax(values)?;
                let others = values.iter().enumerate().filter(|(i, _)| *i != decision).map(|(_, v)| *v);
                Some(Answer { decision, margin: values[decision] - others.fold(f64::NEG_INFINITY, f64::max) })
            }
            Self::Threshold(threshold) => {
                let value = *values.first()?;
                Some(Answer { decision: usize::from(value >= threshold), margin: (value - threshold).abs() })
            }
        }
    }
}

/// What both models decide of one input.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Decisions {
    /// The float model's: a class, or 1 where its output is at least the threshold.
    pub float: usize,
    /// The quantised model's.
    pub quantised: usize,
    /// How far the float model's greatest output is above its second, or its output from the threshold.
    pub float_margin: f64,
    /// The same of the quantised model.
    pub quantised_margin: f64,
}

impl Decisions {
    /// Whether both decide the same.
    #[must_use]
    pub fn agree(&self) -> bool {
        self.float == self.quantised
    }
}

/// Outputs of both models for an input that has a proof.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    pub(super) float: Vec<Vec<f64>>,
    pub(super) quantised: Vec<Vec<f64>>,
    /// Largest absolute difference of any output.
    pub(super) error: f64,
    pub(super) decisions: Option<Decisions>,
}

impl Verdict {
    /// The float model's margin where the models disagree.
    pub(super) fn disagreement(&self) -> Option<f64> {
        self.decisions.filter(|d| !d.agree()).map(|d| d.float_margin)
    }
}

/// Why an input has no proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) tensor: String,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// Both models.
pub(super) struct Judge<'a> {
    pub(super) float: &'a FloatGraph,
    pub(super) int: &'a IntGraph,
    pub(super) rule: Option<Rule>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(float: &'a FloatGraph, int: &'a IntGraph, threshold: Option<f64>) -> Self {
        let elements = float.outputs.first().map_or(0, |id| float.tensor(*id).len());
        let rule = match (elements, threshold) {
            (2.., _) => Some(Rule::ArgMax),
            (_, threshold) => threshold.map(Rule::Threshold),
        };
        Self { float, int, rule }
    }

    /// Runs both models.
    ///
    /// # Errors
    /// Where the sample does not fit the model.
    pub(super) fn judge(&self, sample: &Sample) -> Result<Result<Verdict, Refused>, GraphError> {
        let quantised = match quantise_inputs(self.int, sample).and_then(|inputs| execute(self.int, &inputs)) {
            Ok(trace) => dequantise_outputs(self.int, &trace),
            Err(error) if is_refusal(&error) => return Ok(Err(refused(&error))),
            Err(error) => return Err(error),
        };
        let float = self.float.run(sample)?;
        for (port, values) in self.int.outputs.iter().zip(&float) {
            if let Some(value) = values.iter().find(|v| !v.is_finite()) {
                let tensor = self.int.tensor(port.tensor).name.clone();
                let message = format!("output `{tensor}` of the float model is {value}");
                return Ok(Err(Refused { tensor, reason: "not_finite", message }));
            }
        }
        let pairs = float.iter().flatten().zip(quantised.iter().flatten());
        let error = pairs.map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
        let answers = self.rule.and_then(|rule| rule.answer(&float).zip(rule.answer(&quantised)));
        let decisions = answers.map(|(f, q)| Decisions {
            float: f.decision,
            quantised: q.decision,
            float_margin: f.margin,
            quantised_margin: q.margin,
        });
        Ok(Ok(Verdict { float, quantised, error, decisions }))
    }

    /// The numbers nearest to these that an input takes: whole ones where it is an integer, and those of single
    /// precision, in which the float model computes.
    pub(super) fn snap(&self, input: usize, value: f64) -> f64 {
        if self.is_integer(input) { value.round() } else { f64::from(value as f32) }
    }

    pub(super) fn is_integer(&self, input: usize) -> bool {
        self.float.inputs.get(input).is_some_and(|id| self.float.tensor(*id).element == Element::Integer)
    }
}

fn refused(error: &GraphError) -> Refused {
    let (tensor, reason) = match error {
        GraphError::InputRange { input, .. } => (input.as_str(), "input_range"),
        GraphError::OutOfRange { tensor, .. } => (tensor.as_str(), "out_of_range"),
        GraphError::Spread { tensor, .. } => (tensor.as_str(), "spread"),
        _ => ("", "other"),
    };
    Refused { tensor: tensor.to_owned(), reason, message: error.to_string() }
}
