//! Windows that slide over any number of axes, as convolutions and pools read them.

use super::Node;
use crate::{
    GraphError,
    float::{Builder, FloatSource, Value},
};

/// Geometry of a window over the axes after batch and channels.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub(super) input: Vec<usize>,
    pub(super) output: Vec<usize>,
    pub(super) kernel: Vec<usize>,
    pub(super) stride: Vec<usize>,
    pub(super) dilation: Vec<usize>,
    pub(super) before: Vec<usize>,
    pub(super) after: Vec<usize>,
}

/// Number of axes after batch and channels.
pub(super) fn spatial(node: &Node<'_>, x: &Value) -> Result<usize, GraphError> {
    match x.shape.len() {
        0..=2 => Err(node.malformed(format!("an input of rank {}", x.shape.len()))),
        rank => Ok(rank - 2),
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

/// The attribute `kernel_shape`, where the node has one.
pub(super) fn kernel_shape(node: &Node<'_>) -> Result<Option<Vec<usize>>, GraphError> {
    let Some(kernel) = node.ints("kernel_shape").filter(|k| !k.is_empty()) else { return Ok(None) };
    let kernel = kernel.iter().map(|k| usize::try_from(*k).ok().filter(|k| *k < 1 << 16)).collect();
    Option::<Vec<usize>>::ok_or_else(kernel, || node.malformed("its kernel_shape")).map(Some)
}

impl Window {
    /// Reads strides, dilations and padding, and works out the output's size.
    pub(super) fn new(node: &Node<'_>, x: &Value, kernel: &[usize]) -> Result<Self, GraphError> {
        let axes = spatial(node, x)?;
        if kernel.len() != axes {
            return Err(node.malformed(format!("kernel {kernel:?} for {axes} spatial axes")));
        }
        let pads = numbers(node, "pads", 2 * axes, 0)?;
        let mut window = Self {
            input: x.shape[2..].to_vec(),
            output: vec![0; axes],
            kernel: kernel.to_vec(),
            stride: numbers(node, "strides", axes, 1)?,
            dilation: numbers(node, "dilations", axes, 1)?,
            before: pads[..axes].to_vec(),
            after: pads[axes..].to_vec(),
        };
        let auto = node.text("auto_pad").unwrap_or_default();
        let ceil = node.flag("ceil_mode", false)?;
        for axis in 0..axes {
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

    /// Number of positions of the window.
    pub(super) fn positions(&self) -> usize {
        self.output.iter().product()
    }

    /// Number of elements under the window.
    pub(super) fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Shape of an output with so many channels.
    pub(super) fn output_shape(&self, batch: usize, channels: usize) -> Vec<usize> {
        [batch, channels].into_iter().chain(self.output.iter().copied()).collect()
    }

    /// Element of a channel under each tap of each position, `None` in the padding: `[positions, taps]`.
    pub(super) fn reads(&self, b: &Builder) -> Result<Vec<Option<usize>>, GraphError> {
        let along = |axis: usize| {
            let at = move |position: usize, tap: usize| {
                (position * self.stride[axis] + tap * self.dilation[axis])
                    .checked_sub(self.before[axis])
                    .filter(|at| *at < self.input[axis])
            };
            let row = move |position: usize| (0..self.kernel[axis]).map(|tap| at(position, tap)).collect();
            (0..self.output[axis]).map(row).collect()
        };
        let sizes: Vec<usize> = self.output.iter().chain(&self.kernel).copied().collect();
        b.check_size(&sizes)?;
        let axes: Vec<Reads> = (0..self.input.len()).map(along).collect();
        Ok(joined(&axes, &self.input))
    }

    /// The channels' elements under the window as a matrix `[batch * positions, channels * taps]`, zero in the
    /// padding; so many channels from the first given on.
    pub(super) fn patches(&self, b: &mut Builder, x: &Value, channels: (usize, usize)) -> Result<Value, GraphError> {
        let reads = self.reads(b)?;
        patches(b, x, (&reads, self.taps()), channels)
    }
}

/// What is read along one axis: for each position, the element under each tap, `None` in the padding.
pub(super) type Reads = Vec<Vec<Option<usize>>>;

/// Reads along all axes of a channel, `[positions, taps]`, of those along each.
pub(super) fn joined(axes: &[Reads], input: &[usize]) -> Vec<Option<usize>> {
    let mut reads = vec![Some(0)];
    let mut taps = 1;
    for (along, input) in axes.iter().zip(input) {
        let mut longer = Vec::new();
        for row in reads.chunks(taps) {
            for position in along {
                for before in row {
                    longer.extend(position.iter().map(|at| Some((*before)? * input + (*at)?)));
                }
            }
        }
        reads = longer;
        taps *= along.first().map_or(0, Vec::len).max(1);
    }
    reads
}

/// Elements of channels as a matrix `[batch * positions, channels * taps]`, zero where nothing is read.
pub(super) fn patches(
    b: &mut Builder,
    x: &Value,
    (reads, taps): (&[Option<usize>], usize),
    (first, channels): (usize, usize),
) -> Result<Value, GraphError> {
    let (rows, columns) = (x.shape[0] * (reads.len() / taps), channels * taps);
    b.check_size(&[rows, columns])?;
    let area: usize = x.shape[2..].iter().product();
    let mut sources = Vec::with_capacity(rows * columns);
    for image in 0..x.shape[0] {
        for row in reads.chunks(taps) {
            for channel in first..first + channels {
                let start = (image * x.shape[1] + channel) * area;
                sources.extend(row.iter().map(|read| match read {
                    Some(at) => FloatSource::Element(0, (start + at) as u32),
                    None => FloatSource::Constant(0.0),
                }));
            }
        }
    }
    b.assemble(std::slice::from_ref(x), sources, vec![rows, columns])
}
