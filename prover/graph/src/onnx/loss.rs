//! Losses of classification.

use super::{Lowering, Node, activation::log_softmax_rows};
use crate::{
    GraphError,
    float::{Builder, Element, FloatSource, Value, indices},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "NegativeLogLikelihoodLoss" => likelihood,
        "SoftmaxCrossEntropyLoss" => cross_entropy,
        _ => return None,
    })
}

/// Scores with their classes (axis 1) moved to the end, as rows.
struct Scores {
    /// `[positions, classes]`.
    rows: Value,
    /// Where each element of the scores is in the rows.
    back: Vec<usize>,
    /// Shape without the classes.
    shape: Vec<usize>,
}

fn scores(b: &mut Builder, node: &Node<'_>, x: &Value) -> Result<Scores, GraphError> {
    let rank = x.shape.len();
    if rank < 2 || x.len() == 0 {
        return Err(node.malformed(format!("scores of shape {:?}", x.shape)));
    }
    let perm: Vec<usize> = (0..rank).filter(|a| *a != 1).chain([1]).collect();
    let moved = b.transpose(x, &perm)?;
    let inverse: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    let back = indices::permute(&moved.shape, &inverse);
    let classes = x.shape[1];
    let shape = moved.shape[..rank - 1].to_vec();
    Ok(Scores { rows: moved.reshaped(vec![x.len() / classes, classes]), back, shape })
}

fn likelihood(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let scores = scores(b, node, node.required(inputs, 0)?)?;
    Ok(vec![loss(b, node, inputs, &scores)?])
}

fn cross_entropy(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let scores = scores(b, node, x)?;
    let rows = log_softmax_rows(b, &scores.rows.with_element(Element::Real))?;
    let log = b.gather(&rows, &scores.back, x.shape.clone())?;
    let scores = Scores { rows, ..scores };
    Ok(vec![loss(b, node, inputs, &scores)?, log])
}

/// Loss of log-probabilities. A label that is no class counts as ignored, and where no label counts a mean has no
/// proof, as its divisor is zero.
fn loss(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>], scores: &Scores) -> Result<Value, GraphError> {
    let labels = node.required(inputs, 1)?;
    if labels.shape != scores.shape {
        return Err(node.malformed(format!("labels {:?} for scores {:?}", labels.shape, scores.shape)));
    }
    let (positions, classes) = (scores.rows.shape[0], scores.rows.shape[1]);
    let ignored = node.int("ignore_index");
    let weights = inputs.get(2).and_then(Option::as_ref);
    if let Some(weights) = weights.filter(|w| w.len() != classes) {
        return Err(node.malformed(format!("{} weights for {classes} classes", weights.len())));
    }
    let labels = labels.reshaped(vec![positions]);
    let chosen = chosen(b, &labels, classes, ignored)?;
    let weighted = match weights {
        Some(weights) => {
            let weights = b.expand(&weights.reshaped(vec![1, classes]), &[positions, classes])?;
            b.mul(&chosen, &weights)?
        }
        None => chosen,
    };
    let shares = b.mul(&scores.rows, &weighted)?;
    match node.text("reduction").unwrap_or_else(|| "mean".to_owned()).as_str() {
        "none" => b.sum(&shares, classes, -1.0, scores.shape.clone()),
        "sum" => b.sum(&shares, shares.len(), -1.0, vec![]),
        "mean" if weights.is_none() && ignored.is_none() => {
            b.sum(&shares, shares.len(), -1.0 / positions as f64, vec![])
        }
        "mean" => {
            let total = b.sum(&shares, shares.len(), -1.0, vec![])?;
            let weight = b.sum(&weighted, weighted.len(), 1.0, vec![])?;
            if weight.known() == Some(&[0.0]) {
                return Err(node.malformed("no label counts, and its mean is undefined"));
            }
            b.ratio(&total, &weight)
        }
        other => Err(node.malformed(format!("reduction `{other}`"))),
    }
}

/// Bits `[positions, classes]` of the class that each label names, none of them the ignored one.
fn chosen(b: &mut Builder, labels: &Value, classes: usize, ignored: Option<i64>) -> Result<Value, GraphError> {
    let bits = b.one_hot(labels, classes)?;
    let Some(ignored) = ignored.and_then(|i| usize::try_from(i).ok()).filter(|i| *i < classes) else {
        return Ok(bits);
    };
    let source = |i: usize| match i % classes {
        class if class == ignored => FloatSource::Constant(0.0),
        _ => FloatSource::Element(0, i as u32),
    };
    let sources = (0..bits.len()).map(source).collect();
    let shape = bits.shape.clone();
    Ok(b.assemble(&[bits], sources, shape)?.bit())
}
