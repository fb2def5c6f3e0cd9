//! From scores to labels and probabilities.

use tract_onnx::pb::tensor_proto::DataType;

use super::{Node, ints, texts};
use crate::{
    GraphError,
    float::{Builder, Element, FloatSource, Function, Quotient, Value},
    int::Condition,
};

/// Labels of a classifier in the order of its classes.
pub(super) fn labels(node: &Node<'_>, integers: &str, text: &str) -> Result<Vec<f64>, GraphError> {
    let given = ints(node, integers);
    let labels: Vec<f64> = if given.is_empty() {
        (0..texts(node, text).len()).map(|i| i as f64).collect()
    } else {
        given.iter().map(|v| *v as f64).collect()
    };
    if labels.is_empty() {
        return Err(node.malformed("it has no labels"));
    }
    Ok(labels)
}

/// A label a row, by a bit a row.
pub(super) fn either(b: &mut Builder, bit: &Value, (yes, no): (f64, f64)) -> Result<Value, GraphError> {
    Ok(b.affine(bit, vec![yes - no], vec![no])?.with_data_type(DataType::Int64 as i32))
}

/// The label of the greatest score of each row, of the first one where several are equal.
pub(super) fn of_greatest(b: &mut Builder, scores: &Value, labels: &[f64]) -> Result<Value, GraphError> {
    let (rows, classes) = (scores.shape[0], scores.shape[1]);
    let constant = |c: usize| Value::constant(vec![labels[c]; rows], vec![rows], Element::Integer);
    let (mut best, mut label) = (b.pick(scores, 1, 0)?, constant(0));
    for class in 1..classes {
        let score = b.pick(scores, 1, class)?;
        let stays = b.at_least(&best, &score)?;
        label = match label.known() {
            Some(_) => either(b, &stays, (labels[0], labels[class]))?,
            None => b.select(&stays, &label, &constant(class))?,
        };
        if class + 1 < classes {
            best = b.select(&stays, &best, &score)?;
        }
    }
    Ok(label.with_data_type(DataType::Int64 as i32))
}

/// What becomes of scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transform {
    None,
    Logistic,
    Softmax,
    SoftmaxZero,
}

impl Transform {
    /// By name; without a name nothing.
    pub(super) fn of(node: &Node<'_>) -> Result<Self, GraphError> {
        match node.text("post_transform").as_deref() {
            None | Some("" | "NONE") => Ok(Self::None),
            Some("LOGISTIC") => Ok(Self::Logistic),
            Some("SOFTMAX") => Ok(Self::Softmax),
            Some("SOFTMAX_ZERO") => Ok(Self::SoftmaxZero),
            Some("PROBIT") => Err(probit(node)),
            Some(other) => Err(node.malformed(format!("the post-transform {other} does not exist"))),
        }
    }

    /// By number.
    pub(super) fn numbered(node: &Node<'_>) -> Result<Self, GraphError> {
        match node.int("post_transform").unwrap_or(0) {
            0 => Ok(Self::None),
            1 => Ok(Self::Softmax),
            2 => Ok(Self::Logistic),
            3 => Ok(Self::SoftmaxZero),
            4 => Err(probit(node)),
            other => Err(node.malformed(format!("the post-transform {other} does not exist"))),
        }
    }

    /// The transform of rows of scores.
    pub(super) fn apply(self, b: &mut Builder, scores: &Value) -> Result<Value, GraphError> {
        let scores = scores.with_element(Element::Real);
        match self {
            Self::None => Ok(scores),
            Self::Logistic => b.function(&scores, Function::Sigmoid),
            Self::Softmax => {
                let exp = exponentials(b, &scores)?;
                shares(b, &exp, None)
            }
            Self::SoftmaxZero => softmax_zero(b, &scores),
        }
    }

    /// The two probabilities of one score a row, `[rows, 1]`.
    pub(super) fn apply_binary(self, b: &mut Builder, score: &Value) -> Result<Value, GraphError> {
        let score = score.with_element(Element::Real);
        match self {
            Self::None | Self::Logistic => {
                let positive = self.apply(b, &score)?;
                let negative = b.affine(&positive, vec![-1.0], vec![1.0])?;
                columns(b, &[negative, positive])
            }
            Self::Softmax | Self::SoftmaxZero => {
                let negative = b.affine(&score, vec![-1.0], vec![0.0])?;
                let both = columns(b, &[negative, score])?;
                self.apply(b, &both)
            }
        }
    }
}

fn probit(node: &Node<'_>) -> GraphError {
    node.unsupported("its post-transform is PROBIT", "export the model with raw scores, or with LOGISTIC")
}

/// Columns side by side, one a part.
pub(super) fn columns(b: &mut Builder, parts: &[Value]) -> Result<Value, GraphError> {
    let rows = parts.first().map_or(0, Value::len);
    let sources = (0..rows).flat_map(|r| (0..parts.len()).map(move |p| FloatSource::Element(p as u32, r as u32)));
    b.assemble(parts, sources.collect(), vec![rows, parts.len()])
}

/// One value a row, in every column.
fn across(b: &mut Builder, value: &Value, n: usize) -> Result<Value, GraphError> {
    let rows = value.len();
    b.expand(&value.reshaped(vec![rows, 1]), &[rows, n])
}

/// `exp(score - greatest score of the row)`.
fn exponentials(b: &mut Builder, scores: &Value) -> Result<Value, GraphError> {
    let (rows, n) = (scores.shape[0], scores.shape[1]);
    let most = b.max(scores, n, vec![rows, 1])?;
    let most = across(b, &most, n)?;
    let below = b.add((1.0, scores), (-1.0, &most))?;
    b.function(&below, Function::Exp)
}

/// Values as shares of their row's sum; `extra` joins each sum.
fn shares(b: &mut Builder, values: &Value, extra: Option<&Value>) -> Result<Value, GraphError> {
    let (rows, n) = (values.shape[0], values.shape[1]);
    let mut total = b.sum(values, n, 1.0, vec![rows, 1])?;
    if let Some(extra) = extra {
        total = b.add((1.0, &total), (1.0, &extra.reshaped(vec![rows, 1])))?;
    }
    let total = across(b, &total, n)?;
    b.div(values, &total, Quotient::Share)
}

/// A softmax in which a score of zero has no share; halves where every score is zero.
fn softmax_zero(b: &mut Builder, scores: &Value) -> Result<Value, GraphError> {
    let (rows, n) = (scores.shape[0], scores.shape[1]);
    let exp = exponentials(b, scores)?;
    let zero = b.indicator(scores, Condition::Zero)?;
    let zeros = b.sum(&zero, n, 1.0, vec![rows])?;
    let missing = b.affine(&zeros, vec![1.0], vec![-(n as f64)])?;
    let empty = b.indicator(&missing, Condition::Zero)?.with_element(Element::Real);
    let half = b.affine(&empty, vec![0.5], vec![0.0])?;
    let half = across(b, &half, n)?;
    let kept = b.select(&zero, &half, &exp)?;
    // A row of halves sums up to n / 2: the rest to one keeps them what they are.
    let rest = b.affine(&empty, vec![1.0 - n as f64 / 2.0], vec![0.0])?;
    shares(b, &kept, Some(&rest))
}
