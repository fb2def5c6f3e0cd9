//! Activations.

use super::{Lowering, Node, elementwise::pair};
use crate::{
    GraphError,
    float::{Builder, Function, Quotient, Value, indices},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Relu" => |b, n, i| Ok(vec![b.relu(n.required(i, 0)?, 1.0, 0.0)?]),
        "LeakyRelu" => leaky_relu,
        "PRelu" => prelu,
        "HardSigmoid" => hard_sigmoid,
        "Softmax" => softmax,
        "Sigmoid" => |b, n, i| smooth(b, n, i, Function::Sigmoid),
        "Tanh" => |b, n, i| smooth(b, n, i, Function::Tanh),
        "Softplus" => |b, n, i| smooth(b, n, i, Function::Softplus),
        "Softsign" => |b, n, i| smooth(b, n, i, Function::Softsign),
        "HardSwish" => |b, n, i| smooth(b, n, i, Function::HardSwish),
        "Elu" => |b, n, i| smooth(b, n, i, Function::Elu { alpha: n.float("alpha").unwrap_or(1.0) }),
        "Gelu" => |b, n, i| {
            let tanh = n.text("approximate").is_some_and(|a| a == "tanh");
            smooth(b, n, i, if tanh { Function::GeluTanh } else { Function::Gelu })
        },
        _ => return None,
    })
}

fn smooth(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>], f: Function) -> Result<Vec<Value>, GraphError> {
    Ok(vec![b.function(node.required(inputs, 0)?, f)?])
}

/// `alpha * x + (1 - alpha) * relu(x)`.
fn leaky_relu(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let alpha = node.float("alpha").unwrap_or(0.01);
    let x = node.required(inputs, 0)?;
    let positive = b.relu(x, 1.0, 0.0)?;
    Ok(vec![b.add((alpha, x), (1.0 - alpha, &positive))?])
}

/// `relu(x) - slope * relu(-x)`.
fn prelu(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, slope) = pair(b, node, node.required(inputs, 0)?, node.required(inputs, 1)?)?;
    let positive = b.relu(&x, 1.0, 0.0)?;
    let negative = b.relu(&x, -1.0, 0.0)?;
    let bent = b.mul(&negative, &slope)?;
    Ok(vec![b.add((1.0, &positive), (-1.0, &bent))?])
}

/// Bounds by two ReLUs: `lo + relu(hi - lo - relu(hi - x))`.
pub(super) fn bounded(b: &mut Builder, x: &Value, lo: Option<f64>, hi: Option<f64>) -> Result<Value, GraphError> {
    match (lo, hi) {
        (None, None) => Ok(x.clone()),
        (Some(lo), None) => {
            let above = b.relu(x, 1.0, -lo)?;
            b.affine(&above, vec![1.0], vec![lo])
        }
        (None, Some(hi)) => {
            let below = b.relu(x, -1.0, hi)?;
            b.affine(&below, vec![-1.0], vec![hi])
        }
        (Some(lo), Some(hi)) => {
            // The first joins a linear layer before it, and where `lo` is zero the second is all there is.
            let below = b.relu(x, -1.0, hi)?;
            let between = b.relu(&below, -1.0, hi - lo)?;
            if lo == 0.0 { Ok(between) } else { b.affine(&between, vec![1.0], vec![lo]) }
        }
    }
}

fn hard_sigmoid(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let (alpha, beta) = (node.float("alpha").unwrap_or(0.2), node.float("beta").unwrap_or(0.5));
    let line = b.affine(x, vec![alpha], vec![beta])?;
    Ok(vec![bounded(b, &line, Some(0.0), Some(1.0))?])
}

/// Over one axis; before operator set 13 over all axes from `axis` on.
fn softmax(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let rank = x.shape.len();
    let axis = node.axis(node.int("axis").unwrap_or(if node.opset < 13 { 1 } else { -1 }), rank)?;
    let mut perm: Vec<usize> = (0..rank).collect();
    let n = if node.opset < 13 {
        x.shape[axis..].iter().product()
    } else {
        perm.remove(axis);
        perm.push(axis);
        x.shape[axis]
    };
    if n == 0 {
        return Err(node.malformed("its axis has no elements"));
    }
    let moved = b.transpose(x, &perm)?;
    let rows = moved.len() / n;
    let flat = moved.reshaped(vec![rows, n]);
    let most = b.max(&flat, n, vec![rows, 1])?;
    let most = b.expand(&most, &[rows, n])?;
    let below = b.add((1.0, &flat), (-1.0, &most))?;
    let exp = b.function(&below, Function::Exp)?;
    let total = b.sum(&exp, n, 1.0, vec![rows, 1])?;
    let total = b.expand(&total, &[rows, n])?;
    let out = b.div(&exp, &total, Quotient::Share)?.reshaped(moved.shape);
    let mut inverse = vec![0; rank];
    for (at, axis) in perm.iter().enumerate() {
        inverse[*axis] = at;
    }
    let back = indices::permute(&out.shape, &inverse);
    Ok(vec![b.gather(&out, &back, x.shape.clone())?])
}
