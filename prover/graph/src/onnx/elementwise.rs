//! Arithmetic element by element, with numpy's broadcast.

use super::{Lowering, Node};
use crate::{
    GraphError,
    float::{Builder, Function, Value, indices},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Add" => |b, n, i| sum(b, n, i, 1.0),
        "Sub" => |b, n, i| sum(b, n, i, -1.0),
        "Mul" => mul,
        "Neg" => |b, n, i| one(b, n, i, |b, x| b.affine(x, vec![-1.0], vec![0.0])),
        "Exp" => |b, n, i| one(b, n, i, |b, x| b.function(x, Function::Exp)),
        "Erf" => |b, n, i| one(b, n, i, |b, x| b.function(x, Function::Erf)),
        "Sin" => |b, n, i| one(b, n, i, |b, x| b.function(x, Function::Sin)),
        "Cos" => |b, n, i| one(b, n, i, |b, x| b.function(x, Function::Cos)),
        "Sum" => |b, n, i| variadic(b, n, i, 1.0),
        "Mean" => |b, n, i| variadic(b, n, i, 1.0 / i.len() as f64),
        _ => return None,
    })
}

/// An operator of one input.
pub(super) fn one(
    b: &mut Builder,
    node: &Node<'_>,
    inputs: &[Option<Value>],
    f: fn(&mut Builder, &Value) -> Result<Value, GraphError>,
) -> Result<Vec<Value>, GraphError> {
    Ok(vec![f(b, node.required(inputs, 0)?)?])
}

/// Two inputs brought to one shape.
pub(super) fn pair(b: &mut Builder, node: &Node<'_>, x: &Value, y: &Value) -> Result<(Value, Value), GraphError> {
    let shape = indices::broadcast_shape(&x.shape, &y.shape)
        .ok_or_else(|| node.malformed(format!("shapes {:?} and {:?} do not broadcast", x.shape, y.shape)))?;
    Ok((b.expand(x, &shape)?, b.expand(y, &shape)?))
}

fn sum(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>], sign: f64) -> Result<Vec<Value>, GraphError> {
    let (x, y) = pair(b, node, node.required(inputs, 0)?, node.required(inputs, 1)?)?;
    Ok(vec![b.add((1.0, &x), (sign, &y))?])
}

fn mul(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, y) = pair(b, node, node.required(inputs, 0)?, node.required(inputs, 1)?)?;
    Ok(vec![b.mul(&x, &y)?])
}

/// Sum of any number of inputs, times a coefficient.
fn variadic(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>], c: f64) -> Result<Vec<Value>, GraphError> {
    let mut total = node.required(inputs, 0)?.clone();
    for i in 1..inputs.len() {
        let (x, y) = pair(b, node, &total, node.required(inputs, i)?)?;
        total = b.add((1.0, &x), (1.0, &y))?;
    }
    Ok(vec![b.affine(&total, vec![c], vec![0.0])?])
}
