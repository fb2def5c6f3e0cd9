//! Linear layers as products of polynomials.
//!
//! A convolution is a set of coefficients of products of polynomials in `s`. Element `(h, w)` of a channel has the
//! exponent `h P + w`, with a **row stride** `P` wide enough that no product reaches a wanted coefficient round the end
//! of an image row. A stride above one splits a channel into **parts** first: part `(a, b)` holds the elements
//! `(s_y h + a, s_x w + b)`, each kernel tap reads one part, and over parts the layer has stride one. So
//!
//! `out[y, x] = sum over channels and taps of part[y + q_i, x + q_j] * kernel[i, j]`
//!
//! is the coefficient of `s^(y P + x + E)` in `sum part(s) * kernel[i, j] * s^(E - (q_i P + q_j))`, where the **shift** `E`
//! makes every exponent non-negative. A dense layer over `n` rows is the same with one image row of `n` positions,
//! a channel for each column, and one tap.

use vouch_graph::int::{Conv2d, LinearShape};

/// A kernel tap: `s^exponent` times a part of each channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tap {
    /// Position in the kernel, row-major.
    pub(crate) index: usize,
    /// Position in [`Geometry::parts`].
    pub(crate) part: usize,
    pub(crate) exponent: usize,
}

/// A linear layer of several positions, as exponents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Geometry {
    shape: LinearShape,
    /// `P`, the exponent of one image row.
    pub(crate) row_stride: usize,
    /// `E`, added to the exponents of the outputs.
    pub(crate) shift: usize,
    /// Parts of a channel that some tap reads.
    pub(crate) parts: Vec<[usize; 2]>,
    /// By falling exponent.
    pub(crate) taps: Vec<Tap>,
    /// Number of taps of the kernel, those that read nothing included.
    pub(crate) kernel_taps: usize,
    /// Output height and width.
    pub(crate) output: [usize; 2],
}

/// A tap before its exponent is known.
struct Reading {
    index: usize,
    part: [usize; 2],
    /// Offset in the part, rows then columns.
    offset: [i64; 2],
}

/// Dense layers as convolutions by a kernel of one tap; element indices differ, see [`Geometry::polynomial`].
fn convolution(shape: &LinearShape) -> Conv2d {
    match shape {
        LinearShape::Conv2d(c) => *c,
        LinearShape::Dense { rows, inner } => Conv2d {
            channels: *inner,
            first_channel: 0,
            input: [1, *rows],
            output: [1, *rows],
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            pad_before: [0, 0],
        },
    }
}

/// Number of elements of a part along one axis.
fn part_len(c: &Conv2d, axis: usize, part: usize) -> usize {
    c.input[axis].saturating_sub(part).div_ceil(c.stride[axis])
}

fn readings(c: &Conv2d) -> Vec<Reading> {
    let along = |axis: usize, tap: usize| {
        let at = (tap * c.dilation[axis]) as i64 - c.pad_before[axis] as i64;
        let step = c.stride[axis] as i64;
        (at.rem_euclid(step) as usize, at.div_euclid(step))
    };
    let taps = (0..c.kernel[0]).flat_map(|i| (0..c.kernel[1]).map(move |j| (i, j)));
    taps.map(|(i, j)| {
        let ((a, rows), (b, cols)) = (along(0, i), along(1, j));
        Reading { index: i * c.kernel[1] + j, part: [a, b], offset: [rows, cols] }
    })
    // A stride longer than the image leaves parts without elements.
    .filter(|reading| part_len(c, 0, reading.part[0]) > 0 && part_len(c, 1, reading.part[1]) > 0)
    .collect()
}

impl Geometry {
    /// The least row stride at which no product reaches a wanted coefficient of another image row.
    pub(crate) fn least_row_stride(shape: &LinearShape) -> usize {
        let c = convolution(shape);
        let beyond = |reading: &Reading| {
            let last = part_len(&c, 1, reading.part[1]) as i64 - 1;
            (last - reading.offset[1]).max(c.output[1] as i64 - 1 + reading.offset[1])
        };
        1 + readings(&c).iter().map(beyond).max().unwrap_or(0).max(c.output[1] as i64 - 1) as usize
    }

    /// The layer with the row stride, at least the least.
    pub(crate) fn new(shape: &LinearShape, row_stride: usize) -> Self {
        let c = convolution(shape);
        let readings = readings(&c);
        let reach = |reading: &Reading| reading.offset[0] * row_stride as i64 + reading.offset[1];
        let shift = readings.iter().map(reach).max().unwrap_or(0).max(0);
        let mut parts: Vec<[usize; 2]> = Vec::new();
        let mut taps = Vec::with_capacity(readings.len());
        for reading in &readings {
            let part = parts.iter().position(|part| *part == reading.part).unwrap_or_else(|| {
                parts.push(reading.part);
                parts.len() - 1
            });
            taps.push(Tap { index: reading.index, part, exponent: (shift - reach(reading)) as usize });
        }
        taps.sort_by_key(|tap| std::cmp::Reverse(tap.exponent));
        Self {
            shape: *shape,
            row_stride,
            shift: shift as usize,
            parts,
            taps,
            kernel_taps: c.kernel[0] * c.kernel[1],
            output: c.output,
        }
    }

    /// Channels of the operand.
    pub(crate) fn channels(&self) -> usize {
        convolution(&self.shape).channels
    }

    /// Exponent of an output position.
    pub(crate) fn position(&self, position: usize) -> usize {
        (position / self.output[1]) * self.row_stride + position % self.output[1]
    }

    /// Elements of the operand in a part of a channel, with their exponents, by falling exponent.
    pub(crate) fn polynomial(&self, channel: usize, part: usize) -> Vec<(usize, usize)> {
        let c = convolution(&self.shape);
        let [a, b] = self.parts[part];
        let (height, width) = (part_len(&c, 0, a), part_len(&c, 1, b));
        let elements = (0..height).rev().flat_map(|h| (0..width).rev().map(move |w| (h, w)));
        let index = |h: usize, w: usize| match self.shape {
            LinearShape::Dense { inner, .. } => w * inner + channel,
            LinearShape::Conv2d(_) => {
                let (row, col) = (c.stride[0] * h + a, c.stride[1] * w + b);
                ((c.first_channel + channel) * c.input[0] + row) * c.input[1] + col
            }
        };
        elements.map(|(h, w)| (index(h, w), h * self.row_stride + w)).collect()
    }

    /// The output position of each exponent, `None` for those that no output stands for, from the highest one that
    /// a product reaches or an output has down to zero.
    pub(crate) fn coefficients(&self) -> Vec<Option<usize>> {
        let c = convolution(&self.shape);
        let highest = |tap: &Tap| {
            let [a, b] = self.parts[tap.part];
            tap.exponent + (part_len(&c, 0, a) - 1) * self.row_stride + part_len(&c, 1, b) - 1
        };
        let positions = self.output[0] * self.output[1];
        let wanted = |position: usize| self.position(position) + self.shift;
        let top = self.taps.iter().map(highest).max().unwrap_or(0).max(wanted(positions - 1));
        let mut coefficients = vec![None; top + 1];
        for position in 0..positions {
            coefficients[top - wanted(position)] = Some(position);
        }
        coefficients
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every geometry of small layers.
    fn small_layers() -> Vec<LinearShape> {
        let mut layers = vec![LinearShape::Dense { rows: 4, inner: 3 }];
        for (input, kernel, stride) in
            [([5, 4], [3, 3], [1, 1]), ([5, 4], [3, 2], [2, 1]), ([6, 7], [2, 3], [2, 3]), ([4, 4], [1, 1], [2, 2])]
        {
            for dilation in [[1, 1], [2, 1], [1, 2]] {
                for pad in [[0, 0], [1, 1], [2, 0], [0, 2]] {
                    let out = |axis: usize| -> Option<usize> {
                        let span: usize = (kernel[axis] - 1) * dilation[axis] + 1;
                        (input[axis] + 2usize * pad[axis]).checked_sub(span).map(|room| room / stride[axis] + 1)
                    };
                    let (Some(rows), Some(cols)) = (out(0), out(1)) else { continue };
                    layers.push(LinearShape::Conv2d(Conv2d {
                        channels: 2,
                        first_channel: 1,
                        input,
                        output: [rows, cols],
                        kernel,
                        stride,
                        dilation,
                        pad_before: pad,
                    }));
                }
            }
        }
        layers
    }

    /// For each exponent, which element meets which tap.
    fn products(geometry: &Geometry, channel: usize) -> Vec<Vec<(usize, usize)>> {
        let mut products: Vec<Vec<(usize, usize)>> = Vec::new();
        for tap in &geometry.taps {
            for (element, exponent) in geometry.polynomial(channel, tap.part) {
                let at = exponent + tap.exponent;
                products.resize(products.len().max(at + 1), Vec::new());
                products[at].push((element, tap.index));
            }
        }
        products
    }

    #[test]
    fn wanted_coefficients_hold_exactly_the_layers_products() {
        for shape in small_layers() {
            let least = Geometry::least_row_stride(&shape);
            for row_stride in [least, least + 1, least + 5] {
                let geometry = Geometry::new(&shape, row_stride);
                for channel in 0..geometry.channels() {
                    let products = products(&geometry, channel);
                    let coefficients = geometry.coefficients();
                    assert!(products.len() <= coefficients.len(), "{shape:?}: every product has a coefficient");
                    let mut wanted = 0;
                    for p in 0..shape.positions() {
                        let taps = 0..geometry.kernel_taps;
                        let mut expected: Vec<(usize, usize)> = taps
                            .filter_map(|tap| Some((shape.index(p, channel * geometry.kernel_taps + tap)?, tap)))
                            .collect();
                        let at = geometry.position(p) + geometry.shift;
                        let mut found = products.get(at).cloned().unwrap_or_default();
                        expected.sort_unstable();
                        found.sort_unstable();
                        assert_eq!(found, expected, "{shape:?}, row stride {row_stride}, position {p}");
                        assert_eq!(coefficients[coefficients.len() - 1 - at], Some(p));
                        wanted += 1;
                    }
                    assert_eq!(coefficients.iter().flatten().count(), wanted, "{shape:?}, row stride {row_stride}");
                }
            }
        }
    }

    #[test]
    fn a_smaller_row_stride_mixes_positions() {
        let mixed = |shape: &LinearShape| {
            let geometry = Geometry::new(shape, Geometry::least_row_stride(shape) - 1);
            let products = products(&geometry, 0);
            (0..shape.positions()).any(|p| {
                let found = products.get(geometry.position(p) + geometry.shift).map_or(0, Vec::len);
                let expected = (0..geometry.kernel_taps).filter(|tap| shape.index(p, *tap).is_some()).count();
                found != expected
            })
        };
        let some = small_layers().iter().filter(|shape| shape.positions() > 4).filter(|shape| mixed(shape)).count();
        assert!(some > 20, "{some} layers show that the least row stride is the least");
    }
}
