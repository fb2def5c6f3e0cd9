//! Normalisation.

use super::{Lowering, Node};
use crate::{
    GraphError,
    float::{Builder, Element, FloatOp, FloatSource, Function, Quotient, Value, indices},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "BatchNormalization" => batch,
        "GroupNormalization" => group,
        "InstanceNormalization" => instance,
        "LRN" => local_response,
        "LayerNormalization" => layer,
        "MeanVarianceNormalization" => mean_variance,
        "RMSNormalization" => root_mean_square,
        _ => return None,
    })
}

/// What standardising the rows of `[rows, n]` computes.
struct Standardised {
    unit: Value,
    /// `[rows, 1]`, as the others below.
    mean: Value,
    variance: Value,
    /// `1 / sqrt(variance + epsilon)`.
    inverse: Value,
}

fn standardised(b: &mut Builder, rows: &Value, epsilon: f64) -> Result<Standardised, GraphError> {
    let (count, n) = (rows.shape[0], rows.shape[1]);
    let rows = rows.with_element(Element::Real);
    let mean = b.sum(&rows, n, 1.0 / n as f64, vec![count, 1])?;
    let spread = b.expand(&mean, &[count, n])?;
    let centred = b.add((1.0, &rows), (-1.0, &spread))?;
    let (variance, inverse) = inverse_root(b, &centred, epsilon)?;
    let spread = b.expand(&inverse, &[count, n])?;
    let unit = b.mul(&centred, &spread)?;
    Ok(Standardised { unit, mean, variance, inverse })
}

/// Mean square of each row and one over its root.
fn inverse_root(b: &mut Builder, rows: &Value, epsilon: f64) -> Result<(Value, Value), GraphError> {
    let (count, n) = (rows.shape[0], rows.shape[1]);
    let square = b.mul_self(rows)?;
    let mean = b.sum(&square, n, 1.0 / n as f64, vec![count, 1])?;
    let inverse = b.function(&mean, Function::Rsqrt { epsilon })?;
    Ok((mean, inverse))
}

/// `scale * x + bias`, where either may be absent; in one map where they are known.
fn scaled(b: &mut Builder, x: &Value, scale: Option<&Value>, bias: Option<&Value>) -> Result<Value, GraphError> {
    let known = |v: Option<&Value>, default: f64| match v {
        Some(v) => v.known().map(<[f64]>::to_vec),
        None => Some(vec![default]),
    };
    if let (Some(scale), Some(bias)) = (known(scale, 1.0), known(bias, 0.0)) {
        return b.affine(x, scale, bias);
    }
    let mut out = x.clone();
    if let Some(scale) = scale {
        out = b.mul(&out, scale)?;
    }
    if let Some(bias) = bias {
        out = b.add((1.0, &out), (1.0, bias))?;
    }
    Ok(out)
}

/// Input number `i`, one number a channel (axis 1), spread over a shape.
fn by_channel(
    b: &mut Builder,
    node: &Node<'_>,
    inputs: &[Option<Value>],
    i: usize,
    shape: &[usize],
) -> Result<Value, GraphError> {
    let given = node.required(inputs, i)?;
    let channels = channels(node, shape)?;
    if given.len() != channels {
        return Err(node.malformed(format!("input {i} has {} entries for {channels} channels", given.len())));
    }
    let mut column = vec![1; shape.len() - 1];
    column[0] = channels;
    b.expand(&given.reshaped(column), shape)
}

fn channels(node: &Node<'_>, shape: &[usize]) -> Result<usize, GraphError> {
    let channels = shape.get(1).copied().filter(|c| *c > 0);
    channels.ok_or_else(|| node.malformed(format!("an input of shape {shape:?}, without channels")))
}

/// Axes in the given order as rows `[len / n, n]`, with where each element of the input is afterwards.
fn rows_of(
    b: &mut Builder,
    node: &Node<'_>,
    x: &Value,
    perm: &[usize],
    n: usize,
) -> Result<(Value, Vec<usize>), GraphError> {
    if n == 0 || x.len() == 0 {
        return Err(node.malformed("its axes have no elements"));
    }
    let moved = b.transpose(x, perm)?;
    let mut inverse = vec![0; perm.len()];
    for (at, axis) in perm.iter().enumerate() {
        inverse[*axis] = at;
    }
    let back = indices::permute(&moved.shape, &inverse);
    Ok((moved.reshaped(vec![x.len() / n, n]), back))
}

fn epsilon(node: &Node<'_>) -> f64 {
    node.float("epsilon").unwrap_or(1e-5)
}

/// At inference an affine map a channel; in training mode the batch is standardised by its own mean and variance, and
/// the running ones move towards them.
fn batch(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let channels = channels(node, &x.shape)?;
    for i in 1..5 {
        let entries = node.required(inputs, i)?.len();
        if entries != channels {
            return Err(node.malformed(format!("input {i} has {entries} entries for {channels} channels")));
        }
    }
    if node.flag("training_mode", false)? {
        return trained_batch(b, node, inputs, x);
    }
    let variance = node.required(inputs, 4)?;
    if variance.known().is_some_and(|v| v.iter().any(|v| *v + epsilon(node) <= 0.0)) {
        return Err(node.malformed("its variance is negative"));
    }
    // One factor and one offset a channel, before they are spread over the elements.
    let inverse = match variance.known() {
        Some(known) => {
            let inverse = known.iter().map(|v| 1.0 / (v + epsilon(node)).sqrt()).collect();
            Value::constant(inverse, vec![channels], Element::Real)
        }
        None => {
            // The variances of channels may differ by more than a table resolves.
            let variance = b.affine(&variance.reshaped(vec![channels]), vec![1.0], vec![epsilon(node)])?;
            let deviation = b.emit(FloatOp::Sqrt, &[&variance], vec![channels])?;
            let one = Value::constant(vec![1.0; channels], vec![channels], Element::Real);
            b.div(&one, &deviation, Quotient::Real)?
        }
    };
    let scale = b.mul(&node.required(inputs, 1)?.reshaped(vec![channels]), &inverse)?;
    let shift = b.mul(&node.required(inputs, 3)?.reshaped(vec![channels]), &scale)?;
    let offset = b.add((1.0, &node.required(inputs, 2)?.reshaped(vec![channels])), (-1.0, &shift))?;
    let given = [Some(scale), Some(offset)];
    let (scale, offset) = (by_channel(b, node, &given, 0, &x.shape)?, by_channel(b, node, &given, 1, &x.shape)?);
    Ok(vec![scaled(b, x, Some(&scale), Some(&offset))?])
}

fn trained_batch(
    b: &mut Builder,
    node: &Node<'_>,
    inputs: &[Option<Value>],
    x: &Value,
) -> Result<Vec<Value>, GraphError> {
    let rank = x.shape.len();
    let channels = x.shape[1];
    let perm: Vec<usize> = [1, 0].into_iter().chain(2..rank).collect();
    let (rows, back) = rows_of(b, node, x, &perm, x.len() / channels)?;
    let done = standardised(b, &rows, epsilon(node))?;
    let unit = b.gather(&done.unit, &back, x.shape.clone())?;
    let (scale, bias) = (by_channel(b, node, inputs, 1, &x.shape)?, by_channel(b, node, inputs, 2, &x.shape)?);
    let out = scaled(b, &unit, Some(&scale), Some(&bias))?;
    let momentum = node.float("momentum").unwrap_or(0.9);
    let mut running = |i: usize, now: &Value| {
        let before = node.required(inputs, i)?.reshaped(vec![channels]);
        b.add((momentum, &before), (1.0 - momentum, &now.reshaped(vec![channels])))
    };
    Ok(vec![out, running(3, &done.mean)?, running(4, &done.variance)?])
}

/// Standardised over everything but batch and channel.
fn instance(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    channels(node, &x.shape)?;
    let n: usize = x.shape[2..].iter().product();
    let perm: Vec<usize> = (0..x.shape.len()).collect();
    let (rows, _) = rows_of(b, node, x, &perm, n)?;
    let unit = standardised(b, &rows, epsilon(node))?.unit.reshaped(x.shape.clone());
    let (scale, bias) = (by_channel(b, node, inputs, 1, &x.shape)?, by_channel(b, node, inputs, 2, &x.shape)?);
    Ok(vec![scaled(b, &unit, Some(&scale), Some(&bias))?])
}

/// Standardised over groups of channels; before operator set 21 scale and bias have one number a group.
fn group(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let channels = channels(node, &x.shape)?;
    let groups = node.int("num_groups").and_then(|g| usize::try_from(g).ok());
    let groups = groups.filter(|g| *g > 0 && channels.is_multiple_of(*g));
    let groups = groups.ok_or_else(|| node.malformed(format!("no num_groups for {channels} channels")))?;
    let perm: Vec<usize> = (0..x.shape.len()).collect();
    let area: usize = x.shape[2..].iter().product();
    let (rows, _) = rows_of(b, node, x, &perm, channels / groups * area)?;
    let unit = standardised(b, &rows, epsilon(node))?.unit;
    let shape = if node.opset < 21 { vec![x.shape[0], groups, channels / groups * area] } else { x.shape.clone() };
    let (scale, bias) = (by_channel(b, node, inputs, 1, &shape)?, by_channel(b, node, inputs, 2, &shape)?);
    let out = scaled(b, &unit.reshaped(shape), Some(&scale), Some(&bias))?;
    Ok(vec![out.reshaped(x.shape.clone())])
}

/// Standardised over given axes; the tiny number that keeps the divisor from zero is left to the table of the root.
fn mean_variance(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let rank = x.shape.len();
    let axes = node.axes(node.ints("axes").unwrap_or(&[0, 2, 3]), rank)?;
    let perm: Vec<usize> = (0..rank).filter(|a| !axes.contains(a)).chain(axes.iter().copied()).collect();
    let n = axes.iter().map(|a| x.shape[*a]).product();
    let (rows, back) = rows_of(b, node, x, &perm, n)?;
    let unit = standardised(b, &rows, 0.0)?.unit;
    Ok(vec![b.gather(&unit, &back, x.shape.clone())?])
}

/// The axes from `axis` on as rows, and the shape of a number a row.
fn trailing(node: &Node<'_>, x: &Value) -> Result<(Value, Vec<usize>), GraphError> {
    let axis = node.axis(node.int("axis").unwrap_or(-1), x.shape.len())?;
    let n: usize = x.shape[axis..].iter().product();
    if n == 0 || x.len() == 0 {
        return Err(node.malformed("its axes have no elements"));
    }
    let shape = x.shape.iter().enumerate().map(|(a, d)| if a < axis { *d } else { 1 }).collect();
    Ok((x.reshaped(vec![x.len() / n, n]), shape))
}

/// Input number `i` spread over a shape that it broadcasts to, or whose last axes it covers without their structure.
fn broadcast(
    b: &mut Builder,
    node: &Node<'_>,
    inputs: &[Option<Value>],
    i: usize,
    shape: &[usize],
) -> Result<Option<Value>, GraphError> {
    let Some(given) = inputs.get(i).and_then(Option::as_ref) else { return Ok(None) };
    if indices::broadcast_shape(shape, &given.shape).as_deref() == Some(shape) {
        return Ok(Some(b.expand(given, shape)?));
    }
    let covered = (0..shape.len()).find(|a| shape[*a..].iter().product::<usize>() == given.len());
    let axis = covered.ok_or_else(|| node.malformed(format!("input {i} of shape {:?} for {shape:?}", given.shape)))?;
    Ok(Some(b.expand(&given.reshaped(shape[axis..].to_vec()), shape)?))
}

/// `(x - mean) / sqrt(variance + epsilon) * scale + bias` over the axes from `axis` on.
fn layer(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let (rows, shape) = trailing(node, x)?;
    let done = standardised(b, &rows, epsilon(node))?;
    let scale = broadcast(b, node, inputs, 1, &x.shape)?;
    let bias = broadcast(b, node, inputs, 2, &x.shape)?;
    let out = scaled(b, &done.unit.reshaped(x.shape.clone()), scale.as_ref(), bias.as_ref())?;
    Ok(vec![out, done.mean.reshaped(shape.clone()), done.inverse.reshaped(shape)])
}

/// `x / sqrt(mean(x^2) + epsilon) * scale` over the axes from `axis` on.
fn root_mean_square(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let (rows, _) = trailing(node, x)?;
    let rows = rows.with_element(Element::Real);
    let (_, inverse) = inverse_root(b, &rows, epsilon(node))?;
    let inverse = b.expand(&inverse, &rows.shape)?;
    let unit = b.mul(&rows, &inverse)?;
    let scale = broadcast(b, node, inputs, 1, &x.shape)?;
    Ok(vec![scaled(b, &unit.reshaped(x.shape.clone()), scale.as_ref(), None)?])
}

/// `x / (bias + alpha / size * s)^beta`, with `s` the sum of squares over a window of channels.
fn local_response(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let channels = channels(node, &x.shape)?;
    let size = node.int("size").and_then(|s| usize::try_from(s).ok()).filter(|s| (1..=1 << 20).contains(s));
    let size = size.ok_or_else(|| node.malformed("its size is no positive number"))?;
    let (alpha, beta) = (node.float("alpha").unwrap_or(1e-4), node.float("beta").unwrap_or(0.75));
    let bias = node.float("bias").unwrap_or(1.0);
    if bias <= 0.0 || alpha < 0.0 {
        return Err(node.unsupported(
            format!("its bias is {bias} and its alpha {alpha}, and the divisor may be zero"),
            "use a positive bias and an alpha that is not negative",
        ));
    }
    let before = (size - 1) / 2;
    b.check_size(&[x.len(), size])?;
    let area: usize = x.shape[2..].iter().product();
    let source = |i: usize, at: usize| {
        let channel = i / area % channels + at;
        match channel.checked_sub(before).filter(|c| *c < channels) {
            Some(c) => FloatSource::Element(0, (i - i / area % channels * area + c * area) as u32),
            None => FloatSource::Constant(0.0),
        }
    };
    let square = b.mul_self(x)?;
    let sources = (0..x.len()).flat_map(|i| (0..size).map(move |at| (i, at))).map(|(i, at)| source(i, at)).collect();
    let window = b.assemble(&[square], sources, vec![x.len(), size])?;
    let total = b.sum(&window, size, 1.0, x.shape.clone())?;
    let base = b.affine(&total, vec![alpha / size as f64], vec![bias])?;
    let factor = if beta == 0.5 {
        b.function(&base, Function::Rsqrt { epsilon: 0.0 })?
    } else if beta == 1.0 {
        b.function(&base, Function::Reciprocal)?
    } else {
        let log = b.function(&base, Function::Log)?;
        let exponent = b.affine(&log, vec![-beta], vec![0.0])?;
        b.function(&exponent, Function::Exp)?
    };
    Ok(vec![b.mul(x, &factor)?])
}
