//! Quotients and remainders.
//!
//! Quotients of integers, and the whole quotients behind remainders, lie in 16 bits; others have no proof, and neither
//! has a division by zero. The remainder of reals is that of the rounded operands: near a multiple of the divisor it
//! may be the one of the other side.

use tract_onnx::pb::tensor_proto::DataType;

use super::{Lowering, Node, elementwise::pair};
use crate::{
    GraphError,
    float::{Builder, Element, Value},
    int::power_of_two,
};

/// Elements that share a divisor, from which on it is inverted once instead of dividing by it each time: the quotient
/// costs four rows, the product one.
const SHARED: usize = 8;

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Div" => div,
        "Mod" => modulo,
        "Reciprocal" => |b, n, i| {
            let x = n.required(i, 0)?;
            not_zero(n, x)?;
            Ok(vec![inverse(b, x)?])
        },
        _ => return None,
    })
}

/// Whether elements are of a type without negative numbers.
pub(super) fn is_unsigned(data_type: i32) -> bool {
    matches!(
        DataType::try_from(data_type),
        Ok(DataType::Uint8 | DataType::Uint16 | DataType::Uint32 | DataType::Uint64 | DataType::Bool)
    )
}

/// `1 / x`.
pub(super) fn inverse(b: &mut Builder, x: &Value) -> Result<Value, GraphError> {
    let one = Value::constant(vec![1.0; x.len()], x.shape.clone(), Element::Real);
    b.ratio(&one, x)
}

fn not_zero(node: &Node<'_>, divisor: &Value) -> Result<(), GraphError> {
    if divisor.known().is_some_and(|d| d.contains(&0.0)) {
        return Err(node.malformed(format!("the divisor `{}` contains zero", divisor.name)));
    }
    Ok(())
}

/// Division of reals, and of integers towards zero.
fn div(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, y) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    not_zero(node, y)?;
    if x.element == Element::Integer && y.element == Element::Integer {
        let (x, y) = pair(b, node, x, y)?;
        return Ok(vec![towards_zero(b, &x, &y)?]);
    }
    let len = crate::float::indices::broadcast_shape(&x.shape, &y.shape).map_or(0, |s| s.iter().product::<usize>());
    if y.known().is_none() && len >= SHARED * y.len().max(1) {
        let inverse = inverse(b, y)?;
        let (x, inverse) = pair(b, node, x, &inverse)?;
        return Ok(vec![b.mul(&x, &inverse)?]);
    }
    let (x, y) = pair(b, node, x, y)?;
    Ok(vec![b.ratio(&x, &y)?])
}

fn towards_zero(b: &mut Builder, x: &Value, y: &Value) -> Result<Value, GraphError> {
    let out = if is_unsigned(x.data_type) { b.floor_quotient(x, y)? } else { b.truncated_ratio(x, y)? };
    Ok(out.with_data_type(x.data_type))
}

/// The remainder with the divisor's sign, or (`fmod`) with the dividend's.
fn modulo(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, y) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    not_zero(node, y)?;
    let of_dividend = node.flag("fmod", false)?;
    let power = y.known().and_then(|known| {
        let first = known.first().copied().filter(|d| power_of_two(*d).is_some())?;
        known.iter().all(|d| *d == first).then_some(first)
    });
    let (x, y) = pair(b, node, x, y)?;
    let quotient = match power {
        Some(d) if !of_dividend => {
            let quotient = b.affine(&x.with_element(Element::Real), vec![1.0 / d], vec![0.0])?;
            b.floor(&quotient)?
        }
        _ if x.element == Element::Integer && is_unsigned(x.data_type) => b.floor_quotient(&x, &y)?,
        _ if of_dividend => b.truncated_ratio(&x, &y)?,
        _ => b.floor_ratio(&x, &y)?,
    };
    let multiple = b.mul(&y, &quotient)?;
    let out = b.add((1.0, &x), (-1.0, &multiple))?;
    Ok(vec![out.with_data_type(x.data_type)])
}
