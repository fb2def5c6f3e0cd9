use serde::{Deserialize, Serialize};

/// Geometry of a two-dimensional convolution over one image of one group, channels first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conv2d {
    /// Channels read, starting at `first_channel` of the input tensor.
    pub channels: usize,
    /// First channel of the group in the input tensor.
    pub first_channel: usize,
    /// Input height and width.
    pub input: [usize; 2],
    /// Output height and width.
    pub output: [usize; 2],
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Step between positions, rows then columns.
    pub stride: [usize; 2],
    /// Step between kernel taps, rows then columns.
    pub dilation: [usize; 2],
    /// Zero padding before the first row and column.
    pub pad_before: [usize; 2],
}

/// Where the left operand of a linear layer finds its elements.
///
/// A linear layer is `Y[p, o] = sum_l X[index(p, l)] * W[l, o] + b[o]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LinearShape {
    /// `X` is a row-major `[rows, inner]` matrix.
    Dense {
        /// Rows of `X`.
        rows: usize,
        /// Columns of `X`, rows of `W`.
        inner: usize,
    },
    /// `X` is an image; row `p` of the operand is the patch under output position `p`.
    Conv2d(Conv2d),
}

impl LinearShape {
    /// Number of output positions `p`.
    #[must_use]
    pub fn positions(&self) -> usize {
        match self {
            Self::Dense { rows, .. } => *rows,
            Self::Conv2d(c) => c.output[0] * c.output[1],
        }
    }

    /// Number of products a position sums, the rows of `W`.
    #[must_use]
    pub fn inner(&self) -> usize {
        match self {
            Self::Dense { inner, .. } => *inner,
            Self::Conv2d(c) => c.channels * c.kernel[0] * c.kernel[1],
        }
    }

    /// Index into the input tensor of element `l` at position `p`; `None` in the zero padding.
    #[must_use]
    pub fn index(&self, p: usize, l: usize) -> Option<usize> {
        match self {
            Self::Dense { inner, .. } => Some(p * inner + l),
            Self::Conv2d(c) => {
                let taps = c.kernel[0] * c.kernel[1];
                let (channel, tap) = (l / taps, l % taps);
                let row = axis(c, 0, p / c.output[1], tap / c.kernel[1])?;
                let col = axis(c, 1, p % c.output[1], tap % c.kernel[1])?;
                Some(((c.first_channel + channel) * c.input[0] + row) * c.input[1] + col)
            }
        }
    }
}

/// Input coordinate of a kernel tap along one axis; `None` in the padding.
fn axis(c: &Conv2d, axis: usize, position: usize, tap: usize) -> Option<usize> {
    let at = position * c.stride[axis] + tap * c.dilation[axis];
    let at = at.checked_sub(c.pad_before[axis])?;
    (at < c.input[axis]).then_some(at)
}
