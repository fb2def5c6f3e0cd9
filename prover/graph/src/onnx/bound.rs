//! Bounds and signs: greatest and least values, clips, thresholds.

use super::{Lowering, Node, activation::bounded};
use crate::{
    GraphError,
    float::{Builder, Element, FloatSource, Value, indices},
    int::Condition,
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Max" => |b, n, i| extreme(b, n, i, true),
        "Min" => |b, n, i| extreme(b, n, i, false),
        "Abs" => |b, n, i| Ok(vec![abs(b, n.required(i, 0)?)?]),
        "Clip" => clip,
        "Sign" => |b, n, i| Ok(vec![sign(b, n.required(i, 0)?)?]),
        "ThresholdedRelu" => thresholded,
        "Shrink" => shrink,
        "IsNaN" => |_, n, i| Ok(vec![never(n.required(i, 0)?)]),
        "IsInf" => is_inf,
        _ => return None,
    })
}

/// Minus infinity is what a circuit may have of these.
fn is_inf(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let negative = node.flag("detect_negative", true)?;
    Ok(vec![if negative { b.masked(x)? } else { never(x) }])
}

/// The values of a circuit are numbers, whatever they are.
fn never(x: &Value) -> Value {
    Value::constant(vec![0.0; x.len()], x.shape.clone(), Element::Integer).bit()
}

/// The greatest or least of any number of inputs.
fn extreme(
    b: &mut Builder,
    node: &Node<'_>,
    inputs: &[Option<Value>],
    greatest: bool,
) -> Result<Vec<Value>, GraphError> {
    let mut shape = node.required(inputs, 0)?.shape.clone();
    for i in 1..inputs.len() {
        let x = node.required(inputs, i)?;
        shape =
            indices::broadcast_shape(&shape, &x.shape).ok_or_else(|| node.malformed("its inputs do not broadcast"))?;
    }
    b.check_size(&shape)?;
    let mut parts = Vec::with_capacity(inputs.len());
    for i in 0..inputs.len() {
        parts.push(b.expand(node.required(inputs, i)?, &shape)?);
    }
    let Some(first) = parts.first().cloned() else { return Err(node.malformed("it has no inputs")) };
    if parts.iter().all(|p| p.element == Element::Integer) {
        // By selections, because a maximum takes values of 16 bits alone.
        let mut out = first.clone();
        for part in &parts[1..] {
            out = if greatest { b.greater_of(&out, part)? } else { b.lesser_of(&out, part)? };
        }
        return Ok(vec![out.with_data_type(first.data_type)]);
    }
    let sign = if greatest { 1.0 } else { -1.0 };
    for part in &mut parts {
        *part = b.affine(part, vec![sign], vec![0.0])?;
    }
    let (len, count) = (first.len(), parts.len());
    b.check_size(&[len, count])?;
    let sources = (0..len).flat_map(|e| (0..count).map(move |i| FloatSource::Element(i as u32, e as u32))).collect();
    let paired = b.assemble(&parts, sources, vec![len, count])?;
    let most = b.max(&paired, count, shape)?;
    Ok(vec![b.affine(&most, vec![sign], vec![0.0])?.with_data_type(first.data_type)])
}

fn abs(b: &mut Builder, x: &Value) -> Result<Value, GraphError> {
    if x.element == Element::Integer {
        let positive = b.indicator(x, Condition::NonNegative)?;
        let minus = b.affine(x, vec![-1.0], vec![0.0])?;
        return b.select(&positive, x, &minus);
    }
    let positive = b.relu(x, 1.0, 0.0)?;
    let negative = b.relu(x, -1.0, 0.0)?;
    Ok(b.add((1.0, &positive), (1.0, &negative))?.with_data_type(x.data_type))
}

/// `[x >= 0] - [-x >= 0]`.
fn sign(b: &mut Builder, x: &Value) -> Result<Value, GraphError> {
    let minus = b.affine(x, vec![-1.0], vec![0.0])?;
    let (least, most) = (b.indicator(x, Condition::NonNegative)?, b.indicator(&minus, Condition::NonNegative)?);
    let out = b.add((1.0, &least), (-1.0, &most))?;
    Ok(out.with_element(x.element).with_data_type(x.data_type))
}

/// `min(max(x, lo), hi)`: where `lo` is above `hi`, everywhere `hi`.
fn clip(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let bound = |input: usize, attribute: &str| -> Result<Option<Value>, GraphError> {
        if let Some(v) = node.float(attribute) {
            return Ok(Some(Value::constant(vec![v], vec![], x.element)));
        }
        let Some(Some(bound)) = inputs.get(input) else { return Ok(None) };
        if bound.len() != 1 {
            return Err(node.malformed(format!("its {attribute} has {} elements", bound.len())));
        }
        Ok(Some(bound.reshaped(vec![])))
    };
    // Exporters write the largest number of a type for an absent bound.
    let greatest = if x.element == Element::Integer { 40f64.exp2() } else { 1e30 };
    let given = |v: &Value| v.known().is_none_or(|k| k.iter().all(|v| v.abs() < greatest));
    let (lo, hi) = (bound(1, "min")?.filter(given), bound(2, "max")?.filter(given));
    let number = |v: &Option<Value>| v.as_ref().and_then(|v| v.known().and_then(|k| k.first().copied()));
    let known = [&lo, &hi].iter().all(|v| v.as_ref().is_none_or(|v| v.known().is_some()));
    if let (Some(lo), Some(hi)) = (number(&lo), number(&hi))
        && lo > hi
    {
        return Ok(vec![Value::constant(vec![hi; x.len()], x.shape.clone(), x.element).with_data_type(x.data_type)]);
    }
    if known && x.element == Element::Real {
        return Ok(vec![bounded(b, x, number(&lo), number(&hi))?.with_data_type(x.data_type)]);
    }
    let mut out = x.clone();
    if let Some(lo) = lo {
        let lo = b.expand(&lo, &x.shape)?;
        out = b.greater_of(&out, &lo)?;
    }
    if let Some(hi) = hi {
        let hi = b.expand(&hi, &x.shape)?;
        out = b.lesser_of(&out, &hi)?;
    }
    Ok(vec![out.with_data_type(x.data_type)])
}

/// 1 where `sign * x > bound`.
fn beyond(b: &mut Builder, x: &Value, sign: f64, bound: f64) -> Result<Value, GraphError> {
    let room = b.affine(x, vec![-sign], vec![bound])?;
    let within = b.indicator(&room, Condition::NonNegative)?;
    b.not(&within)
}

/// `x` where it is above `alpha`, 0 elsewhere.
fn thresholded(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let above = beyond(b, x, 1.0, node.float("alpha").unwrap_or(1.0))?;
    Ok(vec![b.mul(x, &above)?.with_data_type(x.data_type)])
}

/// `x - bias` above `lambd`, `x + bias` below `-lambd`, 0 between.
fn shrink(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let (bound, bias) = (node.float("lambd").unwrap_or(0.5), node.float("bias").unwrap_or(0.0));
    let (above, below) = (beyond(b, x, 1.0, bound)?, beyond(b, x, -1.0, bound)?);
    let outside = b.add((1.0, &above), (1.0, &below))?;
    let kept = b.mul(x, &outside)?;
    let side = b.add((1.0, &above), (-1.0, &below))?;
    let out = if bias == 0.0 { kept } else { b.add((1.0, &kept), (-bias, &side))? };
    Ok(vec![out.with_data_type(x.data_type)])
}
