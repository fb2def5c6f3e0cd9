//! Operators of quantised models: integers with a scale and a zero point.
//!
//! Sums and products of the integers are exact. Where they are scaled at once (`QLinearMatMul`, `QLinearConv`) and the
//! weights are known, a sum of more than 16 bits is rounded to 16, as in any layer. A quotient by a scale is that of the
//! operands in the circuit's 16 bits, rounded once: where it is nearly half-way between two integers, the result may be
//! the other one. Quotients lie in 16 bits, others have no proof.

use tract_onnx::pb::tensor_proto::DataType;

use super::{Lowering, Node, conv, elementwise::pair, matmul};
use crate::{
    GraphError,
    float::{Builder, Element, FloatOp, Value},
    int::{Condition, power_of_two},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "QuantizeLinear" => quantise,
        "DequantizeLinear" => dequantise,
        "DynamicQuantizeLinear" => dynamic,
        "MatMulInteger" => matmul_integer,
        "ConvInteger" => conv_integer,
        "QLinearMatMul" => qlinear_matmul,
        "QLinearConv" => qlinear_conv,
        _ => return None,
    })
}

/// Least and greatest number of a quantised type.
fn limits(node: &Node<'_>, data_type: i32) -> Result<(f64, f64), GraphError> {
    match DataType::try_from(data_type) {
        Ok(DataType::Uint8) => Ok((0.0, 255.0)),
        Ok(DataType::Int8) => Ok((-128.0, 127.0)),
        Ok(DataType::Uint16) => Ok((0.0, 65535.0)),
        Ok(DataType::Int16) => Ok((-32768.0, 32767.0)),
        _ => Err(node.unsupported("it quantises to another type than 8 or 16 bits", "quantise to int8 or uint8")),
    }
}

/// Brings an integer between two bounds.
fn saturated(b: &mut Builder, x: &Value, (lo, hi): (f64, f64)) -> Result<Value, GraphError> {
    let above = b.relu(x, 1.0, -lo)?;
    let room = b.relu(&above, -1.0, hi - lo)?;
    b.affine(&room, vec![-1.0], vec![hi])
}

fn optional(inputs: &[Option<Value>], i: usize) -> Option<&Value> {
    inputs.get(i).and_then(Option::as_ref)
}

/// A scale or zero point for each element: one for all, one for each position of an axis, or one for each block of
/// positions.
fn spread(b: &mut Builder, node: &Node<'_>, p: &Value, shape: &[usize]) -> Result<Value, GraphError> {
    if p.len() == 1 {
        return b.expand(&p.reshaped(vec![]), shape);
    }
    let axis = node.axis(node.int("axis").unwrap_or(1), shape.len())?;
    let block = usize::try_from(node.int("block_size").unwrap_or(0)).unwrap_or(0);
    let n = shape[axis];
    let inner: usize = shape[axis + 1..].iter().product();
    let mut expected = shape.to_vec();
    expected[axis] = if block == 0 { n } else { n.div_ceil(block) };
    let held = expected[axis];
    let fits = if block == 0 { p.shape == [n] } else { p.shape == expected };
    if !fits {
        return Err(node.malformed(format!("parameters of shape {:?} for {shape:?} along axis {axis}", p.shape)));
    }
    let len: usize = shape.iter().product();
    let at: Vec<usize> = (0..len)
        .map(|i| {
            let (outer, position, rest) = (i / (n * inner), i / inner % n, i % inner);
            position.checked_div(block).map_or(position, |b| (outer * held + b) * inner + rest)
        })
        .collect();
    b.gather(p, &at, shape.to_vec())
}

/// `round(x / scale)`, ties to the even one, over equal shapes.
fn rounded(b: &mut Builder, x: &Value, scale: &Value) -> Result<Value, GraphError> {
    if let Some(known) = scale.known()
        && let Some(first) = known.first().copied()
        && known.iter().all(|s| *s == first)
        && power_of_two(first).is_some()
    {
        let quotient = b.affine(&x.with_element(Element::Real), vec![1.0 / first], vec![0.0])?;
        return b.round_even(&quotient);
    }
    b.nearest_ratio(x, scale)
}

/// `saturate(round(x / scale) + zero)`, with one scale and one zero point or one for each element.
fn requantised(
    b: &mut Builder,
    node: &Node<'_>,
    (x, scale): (&Value, &Value),
    (zero, data_type): (Option<&Value>, i32),
) -> Result<Value, GraphError> {
    let bounds = limits(node, data_type)?;
    if scale.known().is_some_and(|s| s.iter().any(|s| *s <= 0.0)) {
        return Err(node.malformed("a scale is not positive"));
    }
    let mut out = rounded(b, x, scale)?;
    if let Some(zero) = zero {
        out = b.add((1.0, &out), (1.0, zero))?;
    }
    Ok(saturated(b, &out, bounds)?.with_data_type(data_type))
}

fn quantise(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let scale = spread(b, node, node.required(inputs, 1)?, &x.shape)?;
    let given = node.int("output_dtype").and_then(|t| i32::try_from(t).ok()).filter(|t| *t != 0);
    let zero = optional(inputs, 2);
    let data_type = zero.map(|z| z.data_type).or(given).unwrap_or(DataType::Uint8 as i32);
    let zero = match zero {
        Some(zero) => Some(spread(b, node, zero, &x.shape)?),
        None => None,
    };
    Ok(vec![requantised(b, node, (x, &scale), (zero.as_ref(), data_type))?])
}

fn dequantise(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let scale = node.required(inputs, 1)?;
    let data_type = scale.data_type;
    let scale = spread(b, node, scale, &x.shape)?;
    let moved = match optional(inputs, 2) {
        Some(zero) => {
            let zero = spread(b, node, zero, &x.shape)?;
            b.add((1.0, x), (-1.0, &zero))?
        }
        None => x.clone(),
    };
    Ok(vec![b.mul(&moved.with_element(Element::Real), &scale)?.with_data_type(data_type)])
}

/// `255 x`, exact.
fn times_255(b: &mut Builder, x: &Value) -> Result<Value, GraphError> {
    if x.known().is_some() {
        return b.affine(x, vec![255.0], vec![0.0]);
    }
    b.emit(FloatOp::Add { ca: 256.0, cb: -1.0, c: 0.0 }, &[x, x], x.shape.clone())
}

/// To uint8 over the range of the data and zero. Quotients are of the range itself, so that no scale is rounded.
fn dynamic(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    if x.len() == 0 {
        return Err(node.malformed("its input is empty"));
    }
    let flat = x.reshaped(vec![x.len()]);
    let minus = b.affine(&flat, vec![-1.0], vec![0.0])?;
    let (most, least) = (b.max(&flat, x.len(), vec![])?, b.max(&minus, x.len(), vec![])?);
    let (above, below) = (b.relu(&most, 1.0, 0.0)?, b.relu(&least, 1.0, 0.0)?);
    let range = b.add((1.0, &above), (1.0, &below))?;
    let none = b.indicator(&range, Condition::Zero)?;
    let one = Value::constant(vec![1.0], vec![], Element::Real);
    let scale = b.affine(&range, vec![1.0 / 255.0], vec![0.0])?;
    let scale = b.select(&none, &one, &scale)?;
    let divisor = b.select(&none, &one, &range)?;
    let offset = times_255(b, &below)?;
    let zero = b.nearest_ratio(&offset, &divisor)?.with_data_type(DataType::Uint8 as i32);
    let scaled = times_255(b, x)?;
    let divisor = b.expand(&divisor, &x.shape)?;
    let quotient = b.nearest_ratio(&scaled, &divisor)?;
    let shift = b.expand(&zero, &x.shape)?;
    let moved = b.add((1.0, &quotient), (1.0, &shift))?;
    let out = saturated(b, &moved, (0.0, 255.0))?.with_data_type(DataType::Uint8 as i32);
    Ok(vec![out, scale.with_data_type(x.data_type), zero])
}

/// A tensor less its zero point, as an integer.
fn moved(b: &mut Builder, node: &Node<'_>, x: &Value, zero: Option<Value>) -> Result<Value, GraphError> {
    let data_type = DataType::Int32 as i32;
    let Some(zero) = zero else { return Ok(x.with_data_type(data_type)) };
    let (spread, zero) = pair(b, node, x, &zero)?;
    if spread.shape != x.shape {
        return Err(node.malformed(format!("zero points {:?} for {:?}", zero.shape, x.shape)));
    }
    let mut out = b.add((1.0, x), (-1.0, &zero))?.with_data_type(data_type);
    out.name.clone_from(&x.name);
    Ok(out)
}

/// Parameters of a matrix's rows: a list is a column.
fn by_rows(p: &Value) -> Value {
    match p.shape[..] {
        [n] if n > 1 => p.reshaped(vec![n, 1]),
        [1] => p.reshaped(vec![]),
        _ => p.clone(),
    }
}

/// Parameters of a matrix's columns, or of everything.
fn by_columns(p: &Value) -> Value {
    if p.shape == [1] { p.reshaped(vec![]) } else { p.clone() }
}

/// Parameters of channels, which are axis `axis` of a tensor of so many axes.
fn by_channels(p: &Value, axis: usize, rank: usize) -> Value {
    if p.len() == 1 {
        return p.reshaped(vec![]);
    }
    let shape = (0..rank).map(|a| if a == axis { p.len() } else { 1 }).collect();
    p.reshaped(shape)
}

fn matmul_integer(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let left = moved(b, node, node.required(inputs, 0)?, optional(inputs, 2).map(by_rows))?;
    let right = moved(b, node, node.required(inputs, 1)?, optional(inputs, 3).map(by_columns))?;
    let out = matmul::matmul(b, node, &[Some(left), Some(right)])?;
    Ok(out.into_iter().map(|v| v.with_data_type(DataType::Int32 as i32)).collect())
}

/// `saturate(round(sum * sa * sb / sy) + zero)`.
fn scaled(
    b: &mut Builder,
    node: &Node<'_>,
    sum: &Value,
    [left, right, out]: [Value; 3],
    zero: &Value,
) -> Result<Value, GraphError> {
    let (left, right) = pair(b, node, &left, &right)?;
    let product = b.mul(&left, &right)?;
    let (out, product) = pair(b, node, &out, &product)?;
    let scale = b.ratio(&out, &product)?;
    let (sum, scale) = pair(b, node, sum, &scale)?;
    let (sum, spread) = pair(b, node, &sum, &by_columns(zero))?;
    requantised(b, node, (&sum, &scale), (Some(&spread), zero.data_type))
}

/// The left operand of sums that are scaled: one of reals beside known weights, for which one layer is enough.
fn scaled_operand(left: &Value, right: &Value) -> Value {
    if right.known().is_some() { left.with_element(Element::Real) } else { left.clone() }
}

fn qlinear_matmul(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let input = |i: usize| node.required(inputs, i);
    let left = moved(b, node, input(0)?, Some(by_rows(input(2)?)))?;
    let right = moved(b, node, input(3)?, Some(by_columns(input(5)?)))?;
    let sum = matmul::matmul(b, node, &[Some(scaled_operand(&left, &right)), Some(right)])?;
    let sum = sum.first().cloned().ok_or_else(|| node.malformed("it has no product"))?;
    let scales = [by_rows(input(1)?), by_columns(input(4)?), by_rows(input(6)?)];
    Ok(vec![scaled(b, node, &sum, scales, input(7)?)?])
}

fn conv_integer(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, w) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    let left = moved(b, node, x, optional(inputs, 2).map(by_columns))?;
    let right = moved(b, node, w, optional(inputs, 3).map(|z| by_channels(z, 0, w.shape.len())))?;
    Ok(vec![convolved(b, node, &left, &right, None)?])
}

fn qlinear_conv(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let input = |i: usize| node.required(inputs, i);
    let w = input(3)?;
    let left = moved(b, node, input(0)?, Some(by_columns(input(2)?)))?;
    let right = moved(b, node, w, Some(by_channels(input(5)?, 0, w.shape.len())))?;
    let sum = convolved(b, node, &scaled_operand(&left, &right), &right, optional(inputs, 8))?;
    let scales = [by_columns(input(1)?), by_channels(input(4)?, 1, w.shape.len()), by_columns(input(6)?)];
    Ok(vec![scaled(b, node, &sum, scales, input(7)?)?])
}

/// A convolution of integers.
fn convolved(
    b: &mut Builder,
    node: &Node<'_>,
    x: &Value,
    w: &Value,
    bias: Option<&Value>,
) -> Result<Value, GraphError> {
    let out = conv::conv(b, node, &[Some(x.clone()), Some(w.clone())])?;
    let out = out.first().cloned().ok_or_else(|| node.malformed("it has no result"))?;
    let out = match bias {
        Some(bias) => {
            let (out, bias) = pair(b, node, &out, &by_channels(bias, 1, x.shape.len()))?;
            b.add((1.0, &out), (1.0, &bias))?
        }
        None => out,
    };
    Ok(out.with_data_type(DataType::Int32 as i32))
}
