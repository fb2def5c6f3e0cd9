//! Activations.

use super::{Lowering, Node, elementwise::pair};
use crate::{
    GraphError,
    float::{Builder, Function, Quotient, Value, indices},
    int::Condition,
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Relu" => |b, n, i| Ok(vec![b.relu(n.required(i, 0)?, 1.0, 0.0)?]),
        "LeakyRelu" => leaky_relu,
        "PRelu" => prelu,
        "HardSigmoid" => hard_sigmoid,
        "Softmax" => |b, n, i| along(b, n, i, softmax_rows),
        "LogSoftmax" => log_softmax,
        "Hardmax" => |b, n, i| along(b, n, i, hardmax_rows),
        "Swish" => |b, n, i| Ok(vec![swish(b, n.required(i, 0)?, n.float("alpha").unwrap_or(1.0))?]),
        "SwiGLU" => swiglu,
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

/// A function of rows `[rows, n]` on one axis; before operator set 13 on all axes from `axis` on.
fn along(
    b: &mut Builder,
    node: &Node<'_>,
    inputs: &[Option<Value>],
    f: fn(&mut Builder, &Value) -> Result<Value, GraphError>,
) -> Result<Vec<Value>, GraphError> {
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
    let out = f(b, &moved.reshaped(vec![rows, n]))?.reshaped(moved.shape);
    let mut inverse = vec![0; rank];
    for (at, axis) in perm.iter().enumerate() {
        inverse[*axis] = at;
    }
    let back = indices::permute(&out.shape, &inverse);
    Ok(vec![b.gather(&out, &back, x.shape.clone())?])
}

/// Distance of each element of `[rows, n]` from its row's greatest.
fn below_greatest(b: &mut Builder, rows: &Value) -> Result<Value, GraphError> {
    let (count, n) = (rows.shape[0], rows.shape[1]);
    let most = b.max(rows, n, vec![count, 1])?;
    let most = b.expand(&most, &rows.shape)?;
    b.add((1.0, rows), (-1.0, &most))
}

/// Softmax of each row of `[rows, n]`.
pub(super) fn softmax_rows(b: &mut Builder, rows: &Value) -> Result<Value, GraphError> {
    let (count, n) = (rows.shape[0], rows.shape[1]);
    let below = below_greatest(b, rows)?;
    let exp = b.function(&below, Function::Exp)?;
    let total = b.sum(&exp, n, 1.0, vec![count, 1])?;
    let total = b.expand(&total, &rows.shape)?;
    b.div(&exp, &total, Quotient::Share)
}

/// Terms of a sum whose logarithm one table follows.
const FEW: usize = 16;

/// `x - max - ln(sum(exp(x - max)))` of each row of `[rows, n]`: the sum is at least 1.
pub(super) fn log_softmax_rows(b: &mut Builder, rows: &Value) -> Result<Value, GraphError> {
    let (count, n) = (rows.shape[0], rows.shape[1]);
    let below = below_greatest(b, rows)?;
    let exp = b.function(&below, Function::Exp)?;
    let total = b.sum(&exp, n, 1.0, vec![count, 1])?;
    let log = if n <= FEW { b.function(&total, Function::Log)? } else { b.logarithm(&total)? };
    let log = b.expand(&log, &rows.shape)?;
    b.add((1.0, &below), (-1.0, &log))
}

pub(super) fn log_softmax(
    b: &mut Builder,
    node: &Node<'_>,
    inputs: &[Option<Value>],
) -> Result<Vec<Value>, GraphError> {
    along(b, node, inputs, log_softmax_rows)
}

/// 1 at the first of each row's greatest elements, 0 elsewhere.
fn hardmax_rows(b: &mut Builder, rows: &Value) -> Result<Value, GraphError> {
    let (count, n) = (rows.shape[0], rows.shape[1]);
    let below = below_greatest(b, rows)?;
    let greatest = b.indicator(&below, Condition::Zero)?;
    let mut seen = b.pick(&greatest, 1, 0)?;
    let mut first = vec![seen.clone()];
    for at in 1..n {
        let here = b.pick(&greatest, 1, at)?;
        let before = b.not(&seen)?;
        let here = b.and(&here, &before)?;
        if at + 1 < n {
            seen = b.add((1.0, &seen), (1.0, &here))?.bit();
        }
        first.push(here);
    }
    let out = b.stack(&first, 1)?.reshaped(vec![count, n]);
    Ok(out.with_element(rows.element).with_data_type(rows.data_type))
}

/// `x * sigmoid(alpha * x)`.
fn swish(b: &mut Builder, x: &Value, alpha: f64) -> Result<Value, GraphError> {
    let inner = b.affine(x, vec![alpha], vec![0.0])?;
    let gate = b.function(&inner, Function::Sigmoid)?;
    b.mul(x, &gate)
}

/// `swish(a) * b` over equal shapes.
fn swiglu(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, y) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    if x.shape != y.shape {
        return Err(node.malformed(format!("inputs of shapes {:?} and {:?}, which are not equal", x.shape, y.shape)));
    }
    let gate = swish(b, x, node.float("alpha").unwrap_or(1.0))?;
    Ok(vec![b.mul(&gate, y)?])
}
