//! Convolutions over any number of axes.

use super::{
    Lowering, Node, matmul,
    window::{Window, spatial},
};
use crate::{
    GraphError,
    float::{Builder, Cost, FloatSource, Function, Layer, Value},
    int::{Conv2d, LinearShape},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Conv" => conv,
        "CausalConvWithState" => causal,
        _ => return None,
    })
}

/// The bias of a convolution as input number `i`, one number an output channel.
pub(super) fn bias<'v>(
    node: &Node<'_>,
    inputs: &'v [Option<Value>],
    i: usize,
    outputs: usize,
) -> Result<Option<&'v Value>, GraphError> {
    let bias = inputs.get(i).and_then(Option::as_ref);
    if bias.is_some_and(|b| b.len() != outputs) {
        return Err(node.malformed(format!("a bias that is not one number for {outputs} channels")));
    }
    Ok(bias)
}

/// Adds the bias to an output, channels second.
pub(super) fn biased(b: &mut Builder, y: &Value, bias: Option<&Value>) -> Result<Value, GraphError> {
    let Some(bias) = bias else { return Ok(y.clone()) };
    let area: usize = y.shape[2..].iter().product();
    let at: Vec<usize> = (0..y.len()).map(|i| i / area % y.shape[1]).collect();
    let spread = b.gather(bias, &at, y.shape.clone())?;
    b.add((1.0, y), (1.0, &spread))
}

/// Parts, one a group, of rows `[batch * positions, width]` as one tensor with channels second.
pub(super) fn channels_second(b: &mut Builder, parts: &[Value], shape: Vec<usize>) -> Result<Value, GraphError> {
    let width = shape[1] / parts.len().max(1);
    let positions: usize = shape[2..].iter().product();
    if let [only] = parts
        && (shape[0] == 1 && positions == 1 || width == 1)
    {
        return Ok(only.reshaped(shape));
    }
    b.check_size(&shape)?;
    let mut sources = Vec::with_capacity(shape.iter().product());
    for image in 0..shape[0] {
        for channel in 0..shape[1] {
            let (part, o) = (channel / width, channel % width);
            let rows = image * positions..(image + 1) * positions;
            sources.extend(rows.map(|p| FloatSource::Element(part as u32, (p * width + o) as u32)));
        }
    }
    b.assemble(parts, sources, shape)
}

/// A convolution's sizes.
struct Shapes {
    groups: usize,
    /// Input channels of a group.
    inner: usize,
    /// Output channels of a group.
    width: usize,
}

impl Shapes {
    fn new(node: &Node<'_>, x: &Value, w: &Value) -> Result<Self, GraphError> {
        spatial(node, x)?;
        if w.shape.len() != x.shape.len() {
            return Err(node.malformed(format!("weight {:?} for input {:?}", w.shape, x.shape)));
        }
        let groups = usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(0);
        let (channels, outputs, inner) = (x.shape[1], w.shape[0], w.shape[1]);
        if groups == 0 || outputs % groups != 0 || inner.checked_mul(groups) != Some(channels) || inner == 0 {
            return Err(node.malformed(format!("{groups} groups of {channels} channels with weight {:?}", w.shape)));
        }
        Ok(Self { groups, inner, width: outputs / groups })
    }
}

pub(super) fn conv(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, w) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    let shapes = Shapes::new(node, x, w)?;
    let window = Window::new(node, x, &w.shape[2..])?;
    let bias = bias(node, inputs, 2, w.shape[0])?;
    let layers = w.known().filter(|_| x.known().is_none() && window.input.len() <= 2);
    let joined = bias.and_then(Value::known);
    let y = match layers {
        Some(weight) => layered(b, (x, w), (&shapes, &window), (weight, joined))?,
        None => convolved(b, (x, w), &shapes, &window)?,
    };
    Ok(vec![if layers.is_some() && joined.is_some() { y } else { biased(b, &y, bias)? }])
}

/// A convolution over one or two axes with known weights: a linear layer an image and group.
fn layered(
    b: &mut Builder,
    (x, w): (&Value, &Value),
    (shapes, window): (&Shapes, &Window),
    (weight, bias): (&[f64], Option<&[f64]>),
) -> Result<Value, GraphError> {
    let Shapes { groups, inner, width } = *shapes;
    let (batch, channels, outputs) = (x.shape[0], x.shape[1], w.shape[0]);
    let rows = inner * window.taps();
    let shape = window.output_shape(batch, outputs);
    b.check_size(&shape)?;
    b.check(Cost::operations(batch.saturating_mul(groups)))?;
    let mut parts = Vec::with_capacity(batch * groups);
    for n in 0..batch {
        for g in 0..groups {
            // ONNX has [output, row]; the layer wants [row, output].
            let matrix = (0..rows * width).map(|i| weight[(g * width + i % width) * rows + i / width]).collect();
            let layer = Layer {
                shape: LinearShape::Conv2d(Conv2d {
                    channels: inner,
                    first_channel: n * channels + g * inner,
                    input: two(&window.input, 1),
                    output: two(&window.output, 1),
                    kernel: two(&window.kernel, 1),
                    stride: two(&window.stride, 1),
                    dilation: two(&window.dilation, 1),
                    pad_before: two(&window.before, 0),
                }),
                width,
                weight: matrix,
                bias: bias.map(|b| b[g * width..(g + 1) * width].to_vec()),
                name: if groups == 1 { w.name.clone() } else { format!("{}/{g}", w.name) },
            };
            parts.push(b.linear(x, layer)?);
        }
    }
    let positions = window.positions();
    if let [only] = &parts[..]
        && (positions == 1 || width == 1)
    {
        return Ok(only.reshaped(shape));
    }
    let sources = (0..batch * outputs * positions)
        .map(|i| {
            let (row, p) = (i / positions, i % positions);
            let (part, o) = (row / width, row % width);
            FloatSource::Element(part as u32, (p * width + o) as u32)
        })
        .collect();
    b.assemble(&parts, sources, shape)
}

/// Entries of a window over one or two axes; over one there is a first of size 1.
fn two(list: &[usize], missing: usize) -> [usize; 2] {
    match list {
        [h, w, ..] => [*h, *w],
        [w] => [missing, *w],
        [] => [missing; 2],
    }
}

/// Any other convolution: for each group the product of the windows' elements, as a matrix, with the weights.
fn convolved(b: &mut Builder, (x, w): (&Value, &Value), shapes: &Shapes, window: &Window) -> Result<Value, GraphError> {
    let Shapes { groups, inner, width } = *shapes;
    let rows = inner * window.taps();
    let mut parts = Vec::with_capacity(groups);
    for g in 0..groups {
        let patches = window.patches(b, x, (g * inner, inner))?;
        let at: Vec<usize> = (0..rows * width).map(|i| (g * width + i % width) * rows + i / width).collect();
        let mut weight = b.gather(w, &at, vec![rows, width])?;
        weight.name = if groups == 1 { w.name.clone() } else { format!("{}/{g}", w.name) };
        parts.push(matmul::matrices(b, &patches, &weight)?);
    }
    channels_second(b, &parts, window.output_shape(x.shape[0], w.shape[0]))
}

/// A convolution of each channel with itself that reads no later element, and the elements that the next call's
/// first positions read.
fn causal(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, w) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    let ([batch, channels, len], [filters, 1, kernel]) = (&x.shape[..], &w.shape[..]) else {
        return Err(node.malformed(format!("weight {:?} for input {:?}", w.shape, x.shape)));
    };
    let (batch, channels, len, carried) = (*batch, *channels, *len, kernel.saturating_sub(1));
    if *filters != channels || *kernel == 0 || channels == 0 || len == 0 {
        return Err(node.malformed(format!("weight {:?} for input {:?}", w.shape, x.shape)));
    }
    let past = inputs.get(3).and_then(Option::as_ref);
    if past.is_some_and(|past| past.shape != [batch, channels, carried]) {
        return Err(node.malformed(format!("a past state that is not [{batch}, {channels}, {carried}]")));
    }
    let whole = carried + len;
    b.check_size(&[batch, channels, whole])?;
    let sources = (0..batch * channels)
        .flat_map(|row| {
            let before = (0..carried).map(move |i| match past {
                Some(_) => FloatSource::Element(1, (row * carried + i) as u32),
                None => FloatSource::Constant(0.0),
            });
            before.chain((0..len).map(move |i| FloatSource::Element(0, (row * len + i) as u32)))
        })
        .collect();
    let parts: Vec<Value> = [Some(x), past].into_iter().flatten().cloned().collect();
    let padded = b.assemble(&parts, sources, vec![batch, channels, whole])?;
    let window = Window {
        input: vec![whole],
        output: vec![len],
        kernel: vec![*kernel],
        stride: vec![1],
        dilation: vec![1],
        before: vec![0],
        after: vec![0],
    };
    let shapes = Shapes { groups: channels, inner: 1, width: 1 };
    let y = convolved(b, (&padded, w), &shapes, &window)?;
    let y = biased(b, &y, bias(node, inputs, 2, channels)?)?;
    let y = match node.text("activation").as_deref() {
        None | Some("" | "none") => y,
        Some("silu" | "swish") => {
            let gate = b.function(&y, Function::Sigmoid)?;
            b.mul(&y, &gate)?
        }
        Some(other) => return Err(node.malformed(format!("activation `{other}`"))),
    };
    let last: Vec<usize> = (0..batch * channels).flat_map(|row| (row * whole + len)..((row + 1) * whole)).collect();
    let state = b.gather(&padded, &last, vec![batch, channels, carried])?;
    Ok(vec![y, state])
}
