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

    /// Whether every index lies in an input of `len` elements.
    pub(crate) fn reads_within(&self, len: usize) -> bool {
        match self {
            Self::Dense { rows, inner } => rows.checked_mul(*inner) == Some(len),
            Self::Conv2d(c) => {
                let last = c.first_channel.checked_add(c.channels);
                let area = c.input[0].checked_mul(c.input[1]);
                last.and_then(|last| last.checked_mul(area?)).is_some_and(|end| end <= len)
            }
        }
    }

    /// Whether an index lies in the zero padding. Along an axis the first tap of the first position comes first, and the
    /// last of the last comes last.
    pub(crate) fn is_padded(&self) -> bool {
        let Self::Conv2d(c) = self else { return false };
        let reaches = |axis: usize| {
            let last = (c.output[axis] - 1) * c.stride[axis] + (c.kernel[axis] - 1) * c.dilation[axis];
            c.pad_before[axis] > 0 || last >= c.input[axis]
        };
        self.positions() * self.inner() > 0 && (0..2).any(reaches)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_where_an_index_is_missing() {
        for sizes in 0..3usize.pow(6) {
            let digit = |i: u32| sizes / 3usize.pow(i) % 3;
            let shape = LinearShape::Conv2d(Conv2d {
                channels: 1,
                first_channel: 0,
                input: [4, 3],
                output: [digit(0) + 1, 2],
                kernel: [digit(1) + 1, 1],
                stride: [digit(2) + 1, 1],
                dilation: [digit(3) + 1, 1],
                pad_before: [digit(4), digit(5)],
            });
            let missing = (0..shape.positions()).any(|p| (0..shape.inner()).any(|l| shape.index(p, l).is_none()));
            assert_eq!(shape.is_padded(), missing, "{shape:?}");
        }
    }
}
