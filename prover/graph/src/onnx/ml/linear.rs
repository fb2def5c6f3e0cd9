//! Linear models.

use super::{
    Node,
    classes::{self, Transform},
    dense, matrix, reals,
};
use crate::{
    GraphError,
    float::{Builder, Value},
    int::Condition,
    onnx::Lowering,
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "LinearClassifier" => classifier,
        "LinearRegressor" => regressor,
        _ => return None,
    })
}

/// `x * coefficients^T + intercepts`; coefficients are `[outputs, features]`.
fn scores(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Value, GraphError> {
    let x = matrix(node, inputs)?;
    let (coefficients, features) = (reals(node, "coefficients")?, x.shape[1]);
    let outputs = coefficients.len() / features;
    if outputs == 0 || outputs * features != coefficients.len() {
        return Err(node.malformed(format!("{} coefficients for {features} features", coefficients.len())));
    }
    let intercepts = match reals(node, "intercepts")? {
        none if none.is_empty() => vec![0.0; outputs],
        given if given.len() == outputs => given,
        given => return Err(node.malformed(format!("{} intercepts for {outputs} outputs", given.len()))),
    };
    let weight = (0..features * outputs).map(|i| coefficients[i % outputs * features + i / outputs]).collect();
    dense(b, &x, (weight, intercepts), node.name)
}

fn regressor(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let transform = Transform::of(node)?;
    let scores = scores(b, node, inputs)?;
    let targets = node.int("targets").unwrap_or(1);
    if usize::try_from(targets) != Ok(scores.shape[1]) {
        return Err(node.malformed(format!("coefficients of {} targets, not of {targets}", scores.shape[1])));
    }
    Ok(vec![transform.apply(b, &scores)?])
}

/// A label a row and scores; the one score of two classes counts against the first and for the second.
fn classifier(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let transform = Transform::of(node)?;
    let labels = classes::labels(node, "classlabels_ints", "classlabels_strings")?;
    let scores = scores(b, node, inputs)?;
    let rows = scores.shape[0];
    match (scores.shape[1], &labels[..]) {
        (1, [first, second]) => {
            let negative = b.affine(&scores, vec![-1.0], vec![0.0])?;
            let first_wins = b.indicator(&negative.reshaped(vec![rows]), Condition::NonNegative)?;
            let label = classes::either(b, &first_wins, (*first, *second))?;
            let both = classes::columns(b, &[negative, scores])?;
            Ok(vec![label, transform.apply(b, &both)?])
        }
        (1, [only]) => {
            let holds = b.indicator(&scores.reshaped(vec![rows]), Condition::NonNegative)?;
            Ok(vec![classes::either(b, &holds, (*only, 0.0))?, transform.apply(b, &scores)?])
        }
        (outputs, labels) if outputs == labels.len() => {
            Ok(vec![classes::of_greatest(b, &scores, labels)?, transform.apply(b, &scores)?])
        }
        (outputs, labels) => Err(node.malformed(format!("{outputs} scores for {} labels", labels.len()))),
    }
}
