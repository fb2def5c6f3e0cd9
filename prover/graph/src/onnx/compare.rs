//! Comparisons, logic, choices, and rounding to integers.

use super::{Lowering, Node, elementwise::pair};
use crate::{
    GraphError,
    float::{Builder, Value, indices},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Less" => |b, n, i| two(b, n, i, |b, x, y| b.above(y, x)),
        "LessOrEqual" => |b, n, i| two(b, n, i, |b, x, y| b.at_least(y, x)),
        "Greater" => |b, n, i| two(b, n, i, Builder::above),
        "GreaterOrEqual" => |b, n, i| two(b, n, i, Builder::at_least),
        "Equal" => |b, n, i| two(b, n, i, Builder::equal),
        "And" => |b, n, i| two(b, n, i, Builder::and),
        "Or" => |b, n, i| two(b, n, i, Builder::or),
        "Xor" => |b, n, i| two(b, n, i, xor),
        "Not" => |b, n, i| Ok(vec![b.not(n.required(i, 0)?)?]),
        "Where" => choose,
        "Floor" => |b, n, i| rounded(b, n, i, Builder::floor),
        "Ceil" => |b, n, i| rounded(b, n, i, ceil),
        "Round" => |b, n, i| rounded(b, n, i, Builder::round_even),
        "Sign" => sign,
        _ => return None,
    })
}

/// An operator of two inputs that broadcast.
fn two(
    b: &mut Builder,
    node: &Node<'_>,
    inputs: &[Option<Value>],
    f: fn(&mut Builder, &Value, &Value) -> Result<Value, GraphError>,
) -> Result<Vec<Value>, GraphError> {
    let (x, y) = pair(b, node, node.required(inputs, 0)?, node.required(inputs, 1)?)?;
    Ok(vec![f(b, &x, &y)?])
}

/// One of two bits and not both: the opposite of the one where the other is 1.
fn xor(b: &mut Builder, x: &Value, y: &Value) -> Result<Value, GraphError> {
    let opposite = b.not(x)?;
    Ok(b.select(y, &opposite, x)?.bit())
}

fn choose(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (bit, x, y) = (node.required(inputs, 0)?, node.required(inputs, 1)?, node.required(inputs, 2)?);
    let shape = [&x.shape, &y.shape].into_iter().try_fold(bit.shape.clone(), |s, t| indices::broadcast_shape(&s, t));
    let shape = shape.ok_or_else(|| {
        node.malformed(format!("shapes {:?}, {:?} and {:?} do not broadcast", bit.shape, x.shape, y.shape))
    })?;
    let (bit, x, y) = (b.expand(bit, &shape)?, b.expand(x, &shape)?, b.expand(y, &shape)?);
    Ok(vec![b.select(&bit, &x, &y)?])
}

/// An operator whose result is a whole number in its input's type.
fn rounded(
    b: &mut Builder,
    node: &Node<'_>,
    inputs: &[Option<Value>],
    f: fn(&mut Builder, &Value) -> Result<Value, GraphError>,
) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let out = f(b, x)?;
    Ok(vec![out.with_element(x.element).with_data_type(x.data_type)])
}

fn ceil(b: &mut Builder, x: &Value) -> Result<Value, GraphError> {
    let negative = b.affine(x, vec![-1.0], vec![0.0])?;
    let floor = b.floor(&negative)?;
    b.affine(&floor, vec![-1.0], vec![0.0])
}

fn sign(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let zero = Value::constant(vec![0.0; x.len()], x.shape.clone(), x.element);
    let (positive, negative) = (b.above(x, &zero)?, b.above(&zero, x)?);
    let sign = b.add((1.0, &positive), (-1.0, &negative))?;
    Ok(vec![sign.with_element(x.element).with_data_type(x.data_type)])
}
