//! Arithmetic element by element, with numpy's broadcast.

use super::{Lowering, Node};
use crate::{
    GraphError,
    float::{Builder, Element, Function, Value, indices},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Add" => |b, n, i| sum(b, n, i, 1.0),
        "Sub" => |b, n, i| sum(b, n, i, -1.0),
        "Mul" => mul,
        "Div" => div,
        "Neg" => |b, n, i| one(b, n, i, |b, x| b.affine(x, vec![-1.0], vec![0.0])),
        "Abs" => |b, n, i| one(b, n, i, Builder::absolute),
        "Pow" => pow,
        "Sqrt" => |b, n, i| one(b, n, i, |b, x| b.function(x, Function::Sqrt)),
        "Reciprocal" => |b, n, i| one(b, n, i, |b, x| b.function(x, Function::Reciprocal)),
        "Exp" => |b, n, i| one(b, n, i, |b, x| b.function(x, Function::Exp)),
        "Log" => |b, n, i| one(b, n, i, |b, x| b.function(x, Function::Log)),
        "Erf" => |b, n, i| one(b, n, i, |b, x| b.function(x, Function::Erf)),
        "Sin" => |b, n, i| one(b, n, i, |b, x| b.function(x, Function::Sin)),
        "Cos" => |b, n, i| one(b, n, i, |b, x| b.function(x, Function::Cos)),
        "Max" => |b, n, i| extreme(b, n, i, 1.0),
        "Min" => |b, n, i| extreme(b, n, i, -1.0),
        "Sum" => |b, n, i| variadic(b, n, i, 1.0),
        "Mean" => |b, n, i| variadic(b, n, i, 1.0 / i.len() as f64),
        _ => return None,
    })
}

/// An operator of one input.
fn one(
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

/// Division: by a constant it is a product; by a computed, positive value the product with its
/// reciprocal.
fn div(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, y) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    let integers = x.element == Element::Integer && y.element == Element::Integer;
    if let Some(divisor) = y.known() {
        if divisor.contains(&0.0) {
            return Err(node.malformed(format!("the divisor `{}` contains zero", y.name)));
        }
        if integers {
            let (x, y) = pair(b, node, x, y)?;
            let (Some(n), Some(d)) = (x.known(), y.known()) else {
                return Err(integer_division(node));
            };
            let data = n.iter().zip(d).map(|(n, d)| (n / d).trunc()).collect();
            return Ok(vec![Value::constant(data, x.shape.clone(), Element::Integer)]);
        }
        let inverse = divisor.iter().map(|d| 1.0 / d).collect();
        let inverse = Value::constant(inverse, y.shape.clone(), Element::Real);
        let (x, inverse) = pair(b, node, x, &inverse)?;
        return Ok(vec![b.mul(&x, &inverse)?]);
    }
    if integers {
        return Err(integer_division(node));
    }
    // Before the broadcast: a divisor that is shared is inverted once.
    let inverse = b.function(y, Function::Reciprocal)?;
    let (x, inverse) = pair(b, node, x, &inverse)?;
    Ok(vec![b.mul(&x, &inverse)?])
}

fn integer_division(node: &Node<'_>) -> GraphError {
    node.unsupported("division of computed integers rounds towards zero", "cast to float before dividing")
}

/// Powers with a small whole exponent, and the square root.
fn pow(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let exponents = node.known(inputs, 1, "exponent")?;
    let exponent = exponents.first().copied().unwrap_or(1.0);
    if exponents.iter().any(|e| *e != exponent) {
        return Err(node.unsupported("its exponents differ", "use one Pow for each exponent"));
    }
    let out = match exponent {
        1.0 => x.clone(),
        2.0 => b.mul_self(x)?,
        3.0 => {
            let square = b.mul_self(x)?;
            b.mul(&square, x)?
        }
        0.5 => b.function(x, Function::Sqrt)?,
        -0.5 => b.function(x, Function::Rsqrt { epsilon: 0.0 })?,
        -1.0 => b.function(x, Function::Reciprocal)?,
        other => {
            return Err(
                node.unsupported(format!("its exponent is {other}"), "use an exponent of 1, 2, 3, 0.5, -0.5 or -1")
            );
        }
    };
    Ok(vec![out])
}

/// Greatest (`sign` 1) or least (`sign` -1) of any number of inputs.
fn extreme(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>], sign: f64) -> Result<Vec<Value>, GraphError> {
    let mut shape = Vec::new();
    for i in 0..inputs.len() {
        let x = node.required(inputs, i)?;
        shape =
            indices::broadcast_shape(&shape, &x.shape).ok_or_else(|| node.malformed("its inputs do not broadcast"))?;
    }
    let mut parts = Vec::with_capacity(inputs.len());
    for i in 0..inputs.len() {
        let x = b.expand(node.required(inputs, i)?, &shape)?;
        parts.push(b.affine(&x, vec![sign], vec![0.0])?);
    }
    let len: usize = shape.iter().product();
    let sources = (0..len)
        .flat_map(|e| (0..inputs.len()).map(move |i| (i as u32, e as u32)))
        .map(|(i, e)| crate::float::FloatSource::Element(i, e))
        .collect();
    let paired = b.assemble(&parts, sources, vec![len, parts.len()])?;
    let most = b.max(&paired, parts.len(), shape)?;
    Ok(vec![b.affine(&most, vec![sign], vec![0.0])?])
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
