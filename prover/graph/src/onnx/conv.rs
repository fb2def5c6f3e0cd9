//! Convolutions over one or two spatial axes.

use super::{Lowering, Node};
use crate::{
    GraphError,
    float::{Builder, FloatSource, Layer, Value},
    int::{Conv2d, LinearShape},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    (operator == "Conv").then_some(conv)
}

/// Geometry of a window that slides over two axes; one-dimensional operators have height 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) input: [usize; 2],
    pub(super) output: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    pub(super) before: [usize; 2],
    pub(super) after: [usize; 2],
}

/// Input rank less batch and channels, as the attributes count it.
pub(super) fn spatial(node: &Node<'_>, x: &Value) -> Result<usize, GraphError> {
    match x.shape.len() {
        3 => Ok(1),
        4 => Ok(2),
        rank => {
            Err(node
                .unsupported(format!("its input has rank {rank}"), "use a one- or two-dimensional form (rank 3 or 4)"))
        }
    }
}

/// A list attribute with so many entries, none below the default.
pub(super) fn numbers(node: &Node<'_>, name: &str, len: usize, default: i64) -> Result<Vec<usize>, GraphError> {
    let ints = node.ints(name).filter(|l| !l.is_empty());
    let list = ints.map_or_else(|| vec![default; len], <[i64]>::to_vec);
    if list.len() != len {
        return Err(node.malformed(format!("{name} {list:?} needs {len} entries")));
    }
    list.iter()
        .map(|v| {
            usize::try_from(*v)
                .ok()
                .filter(|v| (default == 0 || *v > 0) && *v < 1 << 24)
                .ok_or_else(|| node.malformed(format!("{name} {list:?}")))
        })
        .collect()
}

/// The bias of a convolution, one number an output channel.
pub(super) fn bias<'v>(
    node: &Node<'_>,
    inputs: &'v [Option<Value>],
    outputs: usize,
) -> Result<Option<&'v [f64]>, GraphError> {
    let bias = match inputs.get(2) {
        Some(Some(_)) => Some(node.known(inputs, 2, "bias")?),
        _ => None,
    };
    if bias.is_some_and(|b| b.len() != outputs) {
        return Err(node.malformed(format!("a bias that is not one number for {outputs} channels")));
    }
    Ok(bias)
}

impl Window {
    /// Reads strides, dilations and padding, and works out the output's size.
    pub(super) fn new(node: &Node<'_>, x: &Value, kernel: &[usize]) -> Result<Self, GraphError> {
        let axes = spatial(node, x)?;
        if kernel.len() != axes {
            return Err(node.malformed(format!("kernel {kernel:?} for {axes} spatial axes")));
        }
        let two = |list: &[usize], missing: usize| -> [usize; 2] {
            match list {
                [w] => [missing, *w],
                [h, w, ..] => [*h, *w],
                [] => [missing, missing],
            }
        };
        let stride = two(&numbers(node, "strides", axes, 1)?, 1);
        let dilation = two(&numbers(node, "dilations", axes, 1)?, 1);
        let pads = numbers(node, "pads", 2 * axes, 0)?;
        let mut window = Self {
            input: two(&x.shape[2..], 1),
            output: [0; 2],
            kernel: two(kernel, 1),
            stride,
            dilation,
            before: two(&pads[..axes], 0),
            after: two(&pads[axes..], 0),
        };
        let auto = node.text("auto_pad").unwrap_or_default();
        let ceil = node.int("ceil_mode").unwrap_or(0) != 0;
        for axis in 0..2 {
            window.size(node, axis, &auto, ceil)?;
        }
        Ok(window)
    }

    fn size(&mut self, node: &Node<'_>, axis: usize, auto: &str, ceil: bool) -> Result<(), GraphError> {
        let reach = self.dilation[axis] * (self.kernel[axis].max(1) - 1) + 1;
        let (input, stride) = (self.input[axis], self.stride[axis]);
        match auto {
            "" | "NOTSET" => {}
            "VALID" => (self.before[axis], self.after[axis]) = (0, 0),
            "SAME_UPPER" | "SAME_LOWER" => {
                let output = input.div_ceil(stride);
                let total = (output.max(1) - 1) * stride + reach;
                let total = total.saturating_sub(input);
                let less = total / 2;
                (self.before[axis], self.after[axis]) =
                    if auto == "SAME_UPPER" { (less, total - less) } else { (total - less, less) };
            }
            other => return Err(node.malformed(format!("auto_pad `{other}`"))),
        }
        let padded = input + self.before[axis] + self.after[axis];
        if self.kernel[axis] == 0 || padded < reach {
            return Err(
                node.malformed(format!("a kernel reaching over {reach} on an axis of {padded} with its padding"))
            );
        }
        let room = padded - reach;
        self.output[axis] = room / stride + 1;
        // A last window that starts in the trailing padding does not count.
        if ceil && !room.is_multiple_of(stride) && self.output[axis] * stride < input + self.before[axis] {
            self.output[axis] += 1;
        }
        Ok(())
    }

    /// Output shape after batch and channels, with the axes of the input.
    pub(super) fn output_shape(&self, x: &Value, channels: usize) -> Vec<usize> {
        let mut shape = vec![x.shape[0], channels];
        shape.extend_from_slice(&self.output[4 - x.shape.len()..]);
        shape
    }
}

pub(super) fn conv(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let weight = node.known(inputs, 1, "weight")?;
    let w = node.required(inputs, 1)?;
    spatial(node, x)?;
    if w.shape.len() != x.shape.len() {
        return Err(node.malformed(format!("weight {:?} for input {:?}", w.shape, x.shape)));
    }
    let groups = usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(0);
    let (batch, channels, outputs, inner) = (x.shape[0], x.shape[1], w.shape[0], w.shape[1]);
    if groups == 0 || outputs % groups != 0 || inner.checked_mul(groups) != Some(channels) {
        return Err(node.malformed(format!("{groups} groups of {channels} channels with weight {:?}", w.shape)));
    }
    let window = Window::new(node, x, &w.shape[2..])?;
    let bias = bias(node, inputs, outputs)?;
    let width = outputs / groups;
    let taps = window.kernel[0] * window.kernel[1];
    let rows = inner * taps;
    let mut parts = Vec::with_capacity(batch * groups);
    for n in 0..batch {
        for g in 0..groups {
            // ONNX has [output, row]; the layer wants [row, output].
            let matrix = (0..rows * width).map(|i| weight[(g * width + i % width) * rows + i / width]).collect();
            let layer = Layer {
                shape: LinearShape::Conv2d(Conv2d {
                    channels: inner,
                    first_channel: n * channels + g * inner,
                    input: window.input,
                    output: window.output,
                    kernel: window.kernel,
                    stride: window.stride,
                    dilation: window.dilation,
                    pad_before: window.before,
                }),
                width,
                weight: matrix,
                bias: bias.map(|b| b[g * width..(g + 1) * width].to_vec()),
                name: if groups == 1 { w.name.clone() } else { format!("{}/{g}", w.name) },
            };
            parts.push(b.linear(x, layer)?);
        }
    }
    let positions = window.output[0] * window.output[1];
    let sources = (0..batch * outputs * positions)
        .map(|i| {
            let (row, p) = (i / positions, i % positions);
            let (part, o) = (row / width, row % width);
            FloatSource::Element(part as u32, (p * width + o) as u32)
        })
        .collect();
    let shape = window.output_shape(x, outputs);
    if let [only] = &parts[..]
        && (positions == 1 || width == 1)
    {
        return Ok(vec![only.reshaped(shape)]);
    }
    Ok(vec![b.assemble(&parts, sources, shape)?])
}
