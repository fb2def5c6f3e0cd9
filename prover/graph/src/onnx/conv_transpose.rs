//! Transposed convolutions, as ordinary ones of stride 1.
//!
//! On an axis of stride `s`, dilation `d` and leading padding `p`, output `o` is `sum_(i, t) x[i] w[t]` over
//! `i s + t d = o + p`. The outputs with `(o + p) mod s = phase` read the taps with `t d mod s = phase` alone, and over
//! them the sum is a convolution of stride 1 of the same input. So a layer is a convolution for each phase, of
//! as many weights and outputs in all, and no zeros are put between the elements of the input.

use super::{
    Lowering, Node,
    conv::{bias, biased},
    matmul,
    window::{Reads, joined, numbers, patches, spatial},
};
use crate::{
    GraphError,
    float::{Builder, Cost, FloatSource, Layer, Value},
    int::{Conv2d, LinearShape},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    (operator == "ConvTranspose").then_some(conv_transpose)
}

/// One axis.
#[derive(Debug, Clone, Copy)]
struct Axis {
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    output: usize,
    /// Leading padding.
    before: usize,
}

/// The outputs of an axis with one remainder of `(o + before) mod stride`.
#[derive(Debug, Clone)]
struct Phase {
    /// First output.
    first: usize,
    /// Outputs, `stride` apart.
    outputs: usize,
    /// Where they are.
    elements: Vec<usize>,
    /// Taps of the kernel, in the order in which the convolution of stride 1 reads them.
    taps: Vec<usize>,
    dilation: usize,
    /// Leading padding of that convolution; negative where it leaves elements of the input out.
    before: isize,
}

impl Axis {
    fn phases(&self) -> Vec<Phase> {
        (0..self.stride.min(self.output)).map(|first| self.phase(first)).collect()
    }

    /// The phases that read a tap.
    fn read_phases(&self) -> Vec<Phase> {
        self.phases().into_iter().filter(|phase| !phase.taps.is_empty()).collect()
    }

    fn phase(&self, first: usize) -> Phase {
        let phase = (first + self.before) % self.stride;
        let mut taps: Vec<usize> = (0..self.kernel).filter(|t| t * self.dilation % self.stride == phase).collect();
        // Input element `q + start - reach(t)` meets tap `t` at the phase's output `q`.
        let start = (first + self.before) / self.stride;
        let reach = |t: usize| (t * self.dilation - phase) / self.stride;
        let last = taps.last().map_or(0, |t| reach(*t));
        let dilation = match taps[..] {
            [a, b, ..] => reach(b) - reach(a),
            _ => 1,
        };
        taps.reverse();
        Phase {
            first,
            outputs: (self.output - first).div_ceil(self.stride),
            elements: (first..self.output).step_by(self.stride).collect(),
            taps,
            dilation,
            before: last as isize - start as isize,
        }
    }

    /// Element of the input under each of a phase's taps, at each of its outputs.
    fn reads(&self, phase: &Phase) -> Reads {
        let read = |output: usize, tap: usize| {
            let at = (output + self.before).checked_sub(tap * self.dilation)? / self.stride;
            (at < self.input).then_some(at)
        };
        phase.elements.iter().map(|output| phase.taps.iter().map(|tap| read(*output, *tap)).collect()).collect()
    }
}

impl Phase {
    /// Elements of the input that are left out in front, and leading padding.
    fn front(&self) -> (usize, usize) {
        (self.before.min(0).unsigned_abs(), self.before.max(0).unsigned_abs())
    }
}

/// The attributes, axis by axis.
///
/// An `output_shape` beyond what the operation reaches has zeros at its end.
fn axes(node: &Node<'_>, x: &Value, kernel: &[usize]) -> Result<Vec<Axis>, GraphError> {
    let rank = kernel.len();
    let strides = numbers(node, "strides", rank, 1)?;
    let dilations = numbers(node, "dilations", rank, 1)?;
    let extra = numbers(node, "output_padding", rank, 0)?;
    let pads = numbers(node, "pads", 2 * rank, 0)?;
    let shape = match node.ints("output_shape") {
        Some([_, ..]) => Some(numbers(node, "output_shape", rank, 1)?),
        _ => None,
    };
    let auto = node.text("auto_pad").unwrap_or_default();
    if !["", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"].contains(&auto.as_str()) {
        return Err(node.malformed(format!("auto_pad `{auto}`")));
    }
    let mut axes = Vec::with_capacity(rank);
    for axis in 0..rank {
        let (input, kernel, stride, dilation) = (x.shape[2 + axis], kernel[axis], strides[axis], dilations[axis]);
        if input == 0 || kernel == 0 {
            return Err(node.malformed(format!("a kernel of {kernel} on an axis of {input}")));
        }
        let whole = stride * (input - 1) + extra[axis] + (kernel - 1) * dilation + 1;
        let wanted = match &shape {
            Some(shape) => Some(shape[axis]),
            None if auto.starts_with("SAME") => Some(input * stride),
            None => None,
        };
        let (before, output) = match wanted {
            Some(output) => {
                let padding = whole.saturating_sub(output);
                let less = padding / 2;
                (if auto == "SAME_UPPER" { less } else { padding - less }, output)
            }
            None if auto == "VALID" => (0, whole),
            None => {
                let padding = pads[axis] + pads[rank + axis];
                let output = whole.checked_sub(padding).filter(|output| *output > 0).ok_or_else(|| {
                    node.malformed(format!("padding {pads:?} where the operation reaches {whole} elements"))
                })?;
                (pads[axis], output)
            }
        };
        axes.push(Axis { input, kernel, stride, dilation, output, before });
    }
    Ok(axes)
}

/// A transposed convolution's sizes.
struct Shapes {
    groups: usize,
    /// Input channels of a group.
    inner: usize,
    /// Output channels of a group.
    width: usize,
    /// Shape of the output.
    output: Vec<usize>,
}

fn conv_transpose(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, w) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    spatial(node, x)?;
    if w.shape.len() != x.shape.len() {
        return Err(node.malformed(format!("weight {:?} for input {:?}", w.shape, x.shape)));
    }
    let groups = usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(0);
    let (batch, channels, width) = (x.shape[0], x.shape[1], w.shape[1]);
    if groups == 0 || width == 0 || channels % groups != 0 || channels == 0 || w.shape[0] != channels {
        return Err(node.malformed(format!("{groups} groups of {channels} channels with weight {:?}", w.shape)));
    }
    let axes = axes(node, x, &w.shape[2..])?;
    let outputs = width * groups;
    let bias = bias(node, inputs, 2, outputs)?;
    let output: Vec<usize> = [batch, outputs].into_iter().chain(axes.iter().map(|axis| axis.output)).collect();
    b.check_size(&output)?;
    let shapes = Shapes { groups, inner: channels / groups, width, output };
    let weight = w.known().filter(|_| x.known().is_none());
    let one = Axis { input: 1, kernel: 1, stride: 1, dilation: 1, output: 1, before: 0 };
    let two = match axes[..] {
        [column] => Some([one, column]),
        [row, column] => Some([row, column]),
        _ => None,
    };
    let joined = bias.and_then(Value::known);
    if let (Some(weight), Some(axes)) = (weight, two) {
        let y = layered(b, (x, w), (&shapes, axes), (weight, joined))?;
        return Ok(vec![if joined.is_some() { y } else { biased(b, &y, bias)? }]);
    }
    let y = gathered(b, (x, w), &shapes, &axes)?;
    Ok(vec![biased(b, &y, bias)?])
}

/// A transposed convolution over one or two axes with known weights: a linear layer a phase, image and group.
fn layered(
    b: &mut Builder,
    (x, w): (&Value, &Value),
    (shapes, axes): (&Shapes, [Axis; 2]),
    (weight, bias): (&[f64], Option<&[f64]>),
) -> Result<Value, GraphError> {
    let Shapes { groups, inner, width, .. } = *shapes;
    let (batch, channels, outputs) = (x.shape[0], x.shape[1], width * groups);
    let taps = axes[0].kernel * axes[1].kernel;
    let [rows, columns] = axes.map(|axis| axis.output);
    let mut parts = Vec::new();
    let mut sources = vec![FloatSource::Constant(0.0); batch * outputs * rows * columns];
    // Each phase looks at every tap.
    b.spend(Cost::steps(rows * columns * (axes[0].kernel + axes[1].kernel)))?;
    let phases =
        axes[0].phases().into_iter().flat_map(|row| axes[1].phases().into_iter().map(move |c| [row.clone(), c]));
    for phase in phases {
        let kernel = [phase[0].taps.len(), phase[1].taps.len()];
        let front = [phase[0].front(), phase[1].front()];
        let skipped = front.map(|(skipped, _)| skipped);
        let input = [0, 1].map(|axis| axes[axis].input.saturating_sub(skipped[axis]));
        let reads = kernel[0] * kernel[1] > 0 && input[0] * input[1] > 0;
        let operand = if reads { cropped(b, x, axes.map(|axis| axis.input), skipped)? } else { x.clone() };
        for (n, g) in (0..batch * groups).map(|part| (part / groups, part % groups)) {
            let bias = bias.map(|bias| &bias[g * width..(g + 1) * width]);
            let part = parts.len() as u32;
            if reads {
                let group = &weight[g * inner * width * taps..(g + 1) * inner * width * taps];
                let layer = Layer {
                    shape: LinearShape::Conv2d(Conv2d {
                        channels: inner,
                        first_channel: n * channels + g * inner,
                        input,
                        output: [phase[0].outputs, phase[1].outputs],
                        kernel,
                        stride: [1, 1],
                        dilation: [phase[0].dilation, phase[1].dilation],
                        pad_before: front.map(|(_, before)| before),
                    }),
                    width,
                    weight: matrix(group, &phase, width, axes.map(|axis| axis.kernel)),
                    bias: bias.map(<[f64]>::to_vec),
                    name: format!("{}/{g}.{}.{}", w.name, phase[0].first, phase[1].first),
                };
                parts.push(b.linear(&operand, layer)?);
            }
            for q in 0..phase[0].outputs * phase[1].outputs {
                let row = phase[0].first + q / phase[1].outputs * axes[0].stride;
                let column = phase[1].first + q % phase[1].outputs * axes[1].stride;
                for o in 0..width {
                    let at = ((n * outputs + g * width + o) * rows + row) * columns + column;
                    sources[at] = if reads {
                        FloatSource::Element(part, (q * width + o) as u32)
                    } else {
                        FloatSource::Constant(bias.map_or(0.0, |bias| bias[o]))
                    };
                }
            }
        }
    }
    b.assemble(&parts, sources, shapes.output.clone())
}

/// Any other transposed convolution: for each phase and group the product of the elements read, as a matrix, with
/// the weights.
fn gathered(b: &mut Builder, (x, w): (&Value, &Value), shapes: &Shapes, axes: &[Axis]) -> Result<Value, GraphError> {
    let Shapes { groups, inner, width, ref output } = *shapes;
    let outputs = width * groups;
    let kernel: usize = axes.iter().map(|axis| axis.kernel).product();
    let input: Vec<usize> = axes.iter().map(|axis| axis.input).collect();
    let area: usize = axes.iter().map(|axis| axis.output).product();
    // Each phase of an axis looks at every tap, and each combination of them becomes a product.
    b.spend(Cost::steps(axes.iter().map(|axis| axis.output.saturating_mul(axis.kernel)).sum()))?;
    let along: Vec<Vec<Phase>> = axes.iter().map(Axis::read_phases).collect();
    b.check(Cost::operations(along.iter().fold(1, |n, phases| n.saturating_mul(phases.len()))))?;
    let mut parts = Vec::new();
    let mut sources = vec![FloatSource::Constant(0.0); output.iter().product()];
    for phases in combinations(&along) {
        let mut sizes: Vec<usize> = phases.iter().map(|phase| phase.outputs).collect();
        sizes.extend(phases.iter().map(|phase| phase.taps.len()));
        b.check_size(&sizes)?;
        let reads: Vec<Reads> = phases.iter().zip(axes).map(|(phase, axis)| axis.reads(phase)).collect();
        let taps = every(&phases, axes, |phase| phase.taps.clone(), |axis| axis.kernel);
        let elements = every(&phases, axes, |phase| phase.elements.clone(), |axis| axis.output);
        let reads = joined(&reads, &input);
        for g in 0..groups {
            let patches = patches(b, x, (&reads, taps.len()), (g * inner, inner))?;
            let rows = inner * taps.len();
            let at: Vec<usize> = (0..rows * width)
                .map(|i| {
                    let (row, o) = (i / width, i % width);
                    ((g * inner + row / taps.len()) * width + o) * kernel + taps[row % taps.len()]
                })
                .collect();
            let mut weight = b.gather(w, &at, vec![rows, width])?;
            weight.name = format!("{}/{g}.{}", w.name, parts.len());
            for image in 0..x.shape[0] {
                for (o, (q, element)) in (0..width).flat_map(|o| elements.iter().enumerate().map(move |e| (o, e))) {
                    let row = image * elements.len() + q;
                    sources[(image * outputs + g * width + o) * area + element] =
                        FloatSource::Element(parts.len() as u32, (row * width + o) as u32);
                }
            }
            parts.push(matmul::matrices(b, &patches, &weight)?);
        }
    }
    b.assemble(&parts, sources, output.clone())
}

/// One phase of each axis, in every combination.
fn combinations(along: &[Vec<Phase>]) -> Vec<Vec<Phase>> {
    along.iter().fold(vec![Vec::new()], |combined, phases| {
        combined
            .iter()
            .flat_map(|before: &Vec<Phase>| {
                phases.iter().map(move |phase| before.iter().cloned().chain([phase.clone()]).collect())
            })
            .collect()
    })
}

/// Flat positions of every combination of positions along the axes.
fn every(
    phases: &[Phase],
    axes: &[Axis],
    positions: impl Fn(&Phase) -> Vec<usize>,
    size: impl Fn(&Axis) -> usize,
) -> Vec<usize> {
    phases.iter().zip(axes).fold(vec![0], |flat, (phase, axis)| {
        let along = positions(phase);
        let size = size(axis);
        flat.iter().flat_map(|before| along.iter().map(move |at| before * size + at)).collect()
    })
}

/// A group's weights of a phase: from ONNX's `[channel, output, tap]` to the layer's `[(channel, tap), output]`.
fn matrix(group: &[f64], phase: &[Phase; 2], width: usize, kernel: [usize; 2]) -> Vec<f64> {
    let taps: Vec<usize> =
        phase[0].taps.iter().flat_map(|row| phase[1].taps.iter().map(move |column| row * kernel[1] + column)).collect();
    let mut matrix = Vec::new();
    for channel in group.chunks_exact(width * kernel[0] * kernel[1]) {
        for tap in &taps {
            matrix.extend(channel.iter().skip(*tap).step_by(kernel[0] * kernel[1]));
        }
    }
    matrix
}

/// The input without the first rows and columns of each channel.
fn cropped(b: &mut Builder, x: &Value, [rows, columns]: [usize; 2], skipped: [usize; 2]) -> Result<Value, GraphError> {
    if skipped == [0, 0] {
        return Ok(x.clone());
    }
    let kept = [rows - skipped[0], columns - skipped[1]];
    let planes = x.shape[0] * x.shape[1];
    let element = |i: usize| {
        let (plane, row, column) = (i / (kept[0] * kept[1]), i / kept[1] % kept[0], i % kept[1]);
        (plane * rows + skipped[0] + row) * columns + skipped[1] + column
    };
    let indices: Vec<usize> = (0..planes * kept[0] * kept[1]).map(element).collect();
    b.gather(x, &indices, vec![x.shape[0], x.shape[1], kept[0], kept[1]])
}
