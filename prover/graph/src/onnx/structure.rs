//! Operators about the graph itself: constants, casts, shapes.

use super::{Lowering, Node, tensor};
use crate::{
    GraphError,
    float::{Builder, Element, MAX_ELEMENTS, Value},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        // Tensors are the only optional values here, and they are there.
        "Identity" | "OptionalGetElement" => |_, n, i| Ok(vec![n.required(i, 0)?.clone()]),
        "OptionalHasElement" => |_, _, i| Ok(vec![has_element(i)]),
        "Dropout" => dropout,
        "Constant" => constant,
        "ConstantOfShape" => constant_of_shape,
        "Cast" => cast,
        "CastLike" => cast_like,
        "Size" => size,
        "Shape" => shape,
        "Range" => range,
        _ => return None,
    })
}

fn has_element(inputs: &[Option<Value>]) -> Value {
    let there = inputs.first().is_some_and(Option::is_some);
    Value::constant(vec![f64::from(u8::from(there))], vec![], Element::Integer).bit()
}

/// The identity at inference; its mask keeps everything.
fn dropout(_: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    if let Some(Some(training)) = inputs.get(2)
        && training.known() != Some(&[0.0])
    {
        return Err(node.unsupported("it is in training mode", "export the model in evaluation mode"));
    }
    let x = node.required(inputs, 0)?;
    let mask = Value::constant(vec![1.0; x.len()], x.shape.clone(), Element::Integer).bit();
    Ok(vec![x.clone(), mask])
}

fn constant(_: &mut Builder, node: &Node<'_>, _: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let value = if let Some(proto) = node.tensor("value") {
        tensor::load(proto, node.folder)?
    } else if let Some(v) = node.float("value_float") {
        Value::constant(vec![v], vec![], Element::Real)
    } else if let Some(v) = node.int("value_int") {
        Value::constant(vec![v as f64], vec![], Element::Integer)
    } else if let Some(list) = node.floats("value_floats") {
        let data: Vec<f64> = list.iter().map(|v| f64::from(*v)).collect();
        Value::constant(data, vec![list.len()], Element::Real)
    } else if let Some(list) = node.ints("value_ints") {
        let data: Vec<f64> = list.iter().map(|v| *v as f64).collect();
        Value::constant(data, vec![list.len()], Element::Integer)
    } else {
        return Err(node.unsupported("its value is sparse or text", "use a dense numeric constant"));
    };
    Ok(vec![value])
}

fn constant_of_shape(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let shape: Vec<usize> = node.known(inputs, 0, "shape")?.iter().map(|d| *d as usize).collect();
    b.check_size(&shape)?;
    let len = shape.iter().product();
    let (fill, element) = match node.tensor("value") {
        Some(proto) => {
            let v = tensor::load(proto, node.folder)?;
            (v.known().and_then(|k| k.first().copied()).unwrap_or(0.0), v.element)
        }
        None => (0.0, Element::Real),
    };
    Ok(vec![Value::constant(vec![fill; len], shape, element)])
}

fn cast(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let to = node.int("to").ok_or_else(|| node.malformed("it has no target type"))?;
    Ok(vec![converted(b, node, x, i32::try_from(to).unwrap_or(0))?])
}

fn cast_like(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, like) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    Ok(vec![converted(b, node, x, like.data_type)?])
}

/// A value in another element type. Floating-point types are all real numbers here; reals become integers by
/// dropping their fraction, and booleans by not being zero. Integers that their type cannot hold are not wrapped
/// around: no such value has a proof that would be believed.
pub(super) fn converted(b: &mut Builder, node: &Node<'_>, x: &Value, to: i32) -> Result<Value, GraphError> {
    let element = tensor::element(node.name, to)?;
    let out = if tensor::is_bool(to) && !tensor::is_bool(x.data_type) {
        b.truth(x)?
    } else if element == Element::Integer {
        b.truncate(x)?
    } else {
        x.with_element(element)
    };
    Ok(out.with_data_type(to))
}

fn size(_: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let len = node.required(inputs, 0)?.len() as f64;
    Ok(vec![Value::constant(vec![len], vec![], Element::Integer)])
}

fn shape(_: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let rank = x.shape.len() as i64;
    let at = |v: i64| (if v < 0 { v + rank } else { v }).clamp(0, rank) as usize;
    let (start, end) = (at(node.int("start").unwrap_or(0)), at(node.int("end").unwrap_or(rank)));
    let dims: Vec<f64> = x.shape.get(start..end.max(start)).unwrap_or_default().iter().map(|d| *d as f64).collect();
    let len = dims.len();
    Ok(vec![Value::constant(dims, vec![len], Element::Integer)])
}

fn range(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let scalar = |i: usize, role: &str| -> Result<f64, GraphError> {
        let known = node.known(inputs, i, role)?;
        known.first().copied().ok_or_else(|| node.malformed(format!("its {role} is empty")))
    };
    let (start, limit, delta) = (scalar(0, "start")?, scalar(1, "limit")?, scalar(2, "delta")?);
    let count = ((limit - start) / delta).ceil().max(0.0);
    if count.is_nan() || count > MAX_ELEMENTS as f64 {
        return Err(node.malformed(format!("a range from {start} to {limit} by {delta}")));
    }
    b.check_size(&[count as usize])?;
    let element = node.required(inputs, 0)?.element;
    let data: Vec<f64> = (0..count as usize).map(|i| start + i as f64 * delta).collect();
    let len = data.len();
    Ok(vec![Value::constant(data, vec![len], element)])
}
