//! Images read between their elements, at positions that are known or computed.
//!
//! At a computed position `x` the weight of element `j` is a function of the distance `x - j`: the hat
//! `max(0, 1 - |x - j|)` for linear interpolation, whose sum over all elements is exactly that interpolation with
//! zeros outside of the image. So nothing is chosen by position, and an image is read by a product of matrices.

use super::{
    matmul,
    weighted::{Weighted, put, weighted},
};
use crate::{
    GraphError,
    float::{Builder, Element, FloatSource, Value},
    int::{Condition, power_of_two},
};

/// Coefficient of the cubic kernel: with it, the kernel is `3/4 q^2 (q - 1) - 2 p^3` of `p = max(0, 1 - |d|)` and
/// `q = max(0, 2 - |d|)`.
const CUBIC: f64 = -0.75;

/// What a position reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernel {
    /// The nearest element, ties to the even one.
    Nearest,
    Linear,
    Cubic,
}

/// What lies outside of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    Zeros,
    Border,
    Reflection,
}

/// How an image is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampling {
    pub(super) kernel: Kernel,
    pub(super) padding: Padding,
    /// Whether the border lies in the middle of the outermost elements, or half an element further out.
    pub(super) align_corners: bool,
}

impl Sampling {
    /// Linear interpolation among zeros.
    pub(super) const LINEAR: Self = Self { kernel: Kernel::Linear, padding: Padding::Zeros, align_corners: true };

    /// First border of an axis and the distance to the second.
    fn border(&self, len: usize) -> (f64, f64) {
        if self.align_corners { (0.0, len as f64 - 1.0) } else { (-0.5, len as f64) }
    }

    /// A position reflected at the borders until it lies between them.
    fn reflected(&self, x: f64, len: usize) -> f64 {
        let (start, span) = self.border(len);
        if span <= 0.0 {
            return 0.0;
        }
        let turned = (x - start).rem_euclid(2.0 * span);
        start + span - (span - turned).abs()
    }

    /// The element that a whole position reads.
    fn source(&self, at: i64, len: usize) -> Option<usize> {
        let last = len as i64 - 1;
        let at = match self.padding {
            Padding::Zeros => at,
            Padding::Border => at.clamp(0, last),
            Padding::Reflection => (self.reflected(at as f64, len) as i64).clamp(0, last),
        };
        usize::try_from(at).ok().filter(|at| *at < len)
    }

    /// Elements of an axis and their weights at a known position.
    fn taps(&self, x: f64, len: usize) -> Weighted {
        let mut sum = Weighted::new();
        let mut tap = |at: f64, weight: f64| {
            if let Some(at) = self.source(at as i64, len).filter(|_| weight != 0.0) {
                put(&mut sum, at, weight);
            }
        };
        if self.kernel == Kernel::Nearest {
            tap(x.round_ties_even(), 1.0);
            return sum;
        }
        let (start, span) = self.border(len);
        let outside = x < start || x > start + span;
        let x = match self.padding {
            Padding::Border if outside => x.clamp(0.0, len as f64 - 1.0),
            Padding::Reflection if outside => self.reflected(x, len),
            _ => x,
        };
        let (base, reach) = (x.floor(), if self.kernel == Kernel::Linear { 0 } else { 1 });
        for i in -reach..=1 + reach {
            let at = base + f64::from(i);
            tap(at, self.weight(x - at));
        }
        sum
    }

    fn weight(&self, distance: f64) -> f64 {
        let (p, q) = ((1.0 - distance.abs()).max(0.0), (2.0 - distance.abs()).max(0.0));
        match self.kernel {
            Kernel::Cubic => -CUBIC * q * q * (q - 1.0) - 2.0 * p * p * p,
            Kernel::Nearest | Kernel::Linear => p,
        }
    }
}

/// An image `[channels, axes..]` at positions, one value of length `P` an axis: `[channels, P]`.
pub(super) fn sample(
    b: &mut Builder,
    image: &Value,
    positions: &[Value],
    sampling: Sampling,
) -> Result<Value, GraphError> {
    if let Some(known) = positions.iter().map(Value::known).collect::<Option<Vec<_>>>() {
        return sample_known(b, image, &known, sampling);
    }
    let weights = positions
        .iter()
        .zip(&image.shape[1..])
        .map(|(x, len)| weights(b, x, *len, sampling))
        .collect::<Result<Vec<_>, _>>()?;
    contracted(b, image, &weights)
}

fn sample_known(b: &mut Builder, image: &Value, positions: &[&[f64]], sampling: Sampling) -> Result<Value, GraphError> {
    let count = positions.first().map_or(1, |x| x.len());
    let area: usize = image.shape[1..].iter().product();
    let channels = image.shape[0];
    b.check_size(&[channels, count])?;
    let one: Vec<Weighted> = (0..count)
        .map(|p| {
            let along = positions.iter().zip(&image.shape[1..]);
            // ONNX's positions are single precision, which decides ties.
            along.fold(vec![(0, 1.0)], |taps, (x, len)| {
                combined(&taps, &sampling.taps(f64::from(x[p] as f32), *len), *len)
            })
        })
        .collect();
    let moved = |c: usize| one.iter().map(move |sum| sum.iter().map(|(at, w)| (c * area + at, *w)).collect());
    let sums: Vec<Weighted> = (0..channels).flat_map(moved).collect();
    weighted(b, image, &sums, vec![channels, count])
}

/// Products of the weights along several axes and along one more.
pub(super) fn combined(taps: &[(usize, f64)], along: &[(usize, f64)], len: usize) -> Weighted {
    taps.iter().flat_map(|(at, w)| along.iter().map(move |(next, v)| (at * len + next, w * v))).collect()
}

/// Weights of an axis' elements at computed positions: `[P, len]`.
fn weights(b: &mut Builder, x: &Value, len: usize, sampling: Sampling) -> Result<Value, GraphError> {
    b.check_size(&[x.len(), len.saturating_add(4)])?;
    let x = x.reshaped(vec![x.len()]);
    match sampling.kernel {
        Kernel::Nearest => nearest(b, &x, len, sampling),
        Kernel::Linear => {
            let last = len as f64 - 1.0;
            let x = match sampling.padding {
                Padding::Zeros => x,
                Padding::Border => clamped(b, &x, last)?,
                Padding::Reflection => {
                    let x = reflected(b, &x, len, sampling)?;
                    clamped(b, &x, last)?
                }
            };
            hats(b, &x, len)
        }
        Kernel::Cubic => cubic(b, &x, len, sampling),
    }
}

/// `max(0, min(x, last))`.
pub(super) fn clamped(b: &mut Builder, x: &Value, last: f64) -> Result<Value, GraphError> {
    let x = b.relu(x, 1.0, 0.0)?;
    let below = b.relu(&x, -1.0, last)?;
    b.affine(&below, vec![-1.0], vec![last])
}

/// [`Sampling::reflected`] of computed positions.
fn reflected(b: &mut Builder, x: &Value, len: usize, sampling: Sampling) -> Result<Value, GraphError> {
    let (start, span) = sampling.border(len);
    if span <= 0.0 {
        return b.affine(x, vec![0.0], vec![0.0]);
    }
    let periods = b.affine(x, vec![0.5 / span], vec![-start * 0.5 / span])?;
    let periods = b.floor(&periods)?;
    let turned = b.add((1.0, x), (-2.0 * span, &periods))?;
    let beyond = b.affine(&turned, vec![-1.0], vec![start + span])?;
    let beyond = b.absolute(&beyond)?;
    b.affine(&beyond, vec![-1.0], vec![start + span])
}

/// Distances from each position to each of the elements from `first` on: `[P, count]`.
fn distances(b: &mut Builder, x: &Value, first: i64, count: usize) -> Result<Value, GraphError> {
    let at: Vec<usize> = (0..x.len() * count).map(|i| i / count).collect();
    let spread = b.gather(x, &at, vec![x.len(), count])?;
    let offset = (0..x.len() * count).map(|i| -((first + (i % count) as i64) as f64)).collect();
    b.affine(&spread, vec![1.0], offset)
}

/// `max(0, 1 - |x - j|)` of each position and element: `[P, len]`.
pub(super) fn hats(b: &mut Builder, x: &Value, len: usize) -> Result<Value, GraphError> {
    let distance = distances(b, x, 0, len)?;
    let positive = b.relu(&distance, 1.0, 0.0)?;
    let near = b.add((-2.0, &positive), (1.0, &distance))?;
    b.relu(&near, 1.0, 1.0)
}

fn cubic(b: &mut Builder, x: &Value, len: usize, sampling: Sampling) -> Result<Value, GraphError> {
    let (start, span) = sampling.border(len);
    let x = match sampling.padding {
        Padding::Zeros => x.clone(),
        Padding::Reflection => reflected(b, x, len, sampling)?,
        Padding::Border => {
            // Positions within half an element of the image are no outside ones.
            let within = clamped(b, x, len as f64 - 1.0)?;
            let (above, below) = (b.affine(x, vec![1.0], vec![-start])?, b.affine(x, vec![-1.0], vec![start + span])?);
            let above = b.indicator(&above, Condition::NonNegative)?;
            let below = b.indicator(&below, Condition::NonNegative)?;
            let inside = b.and(&above, &below)?;
            b.select(&inside, x, &within)?
        }
    };
    let reach = if sampling.padding == Padding::Zeros { 0 } else { 2 };
    let distance = distances(b, &x, -reach, len + 2 * reach as usize)?;
    let distance = b.absolute(&distance)?;
    let (p, q) = (b.relu(&distance, -1.0, 1.0)?, b.relu(&distance, -1.0, 2.0)?);
    let outer = b.mul_self(&q)?;
    let less = b.affine(&q, vec![1.0], vec![-1.0])?;
    let outer = b.mul(&outer, &less)?;
    let inner = b.mul_self(&p)?;
    let inner = b.mul(&inner, &p)?;
    let all = b.add((-CUBIC, &outer), (-2.0, &inner))?;
    folded(b, &all, -reach, (len, sampling))
}

fn nearest(b: &mut Builder, x: &Value, len: usize, sampling: Sampling) -> Result<Value, GraphError> {
    let x = b.round_even(x)?;
    let last = len as f64 - 1.0;
    match sampling.padding {
        Padding::Zeros => b.one_hot(&x, len),
        Padding::Border => {
            let above = b.positive_part(&x)?;
            let below = b.affine(&above, vec![-1.0], vec![last])?;
            let below = b.positive_part(&below)?;
            let at = b.affine(&below, vec![-1.0], vec![last])?;
            b.one_hot(&at, len)
        }
        Padding::Reflection => {
            let period = 2.0 * sampling.border(len).1;
            if period <= 0.0 {
                return Ok(Value::constant(vec![1.0; x.len()], vec![x.len(), 1], Element::Integer));
            }
            // Half an element away from where the floor steps; a power of two divides exactly.
            let apart = if power_of_two(period).is_some() { 0.0 } else { 0.5 / period };
            let periods = b.affine(&x.with_element(Element::Real), vec![1.0 / period], vec![apart])?;
            let periods = b.floor(&periods)?;
            let turned = b.add((1.0, &x), (-period, &periods))?;
            let bits = b.one_hot(&turned, period as usize)?;
            folded(b, &bits, 0, (len, sampling))
        }
    }
}

/// Weights `[P, E]` of the positions from `first` on, summed up by the element that each of them reads: `[P, len]`.
fn folded(b: &mut Builder, all: &Value, first: i64, (len, sampling): (usize, Sampling)) -> Result<Value, GraphError> {
    let (rows, extent) = (all.shape[0], all.shape[1]);
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); len];
    for e in 0..extent {
        if let Some(at) = sampling.source(first + e as i64, len) {
            readers[at].push(e);
        }
    }
    let group = readers.iter().map(Vec::len).max().unwrap_or(0).max(1);
    b.check_size(&[rows, len, group])?;
    let mut sources = Vec::with_capacity(rows * len * group);
    for row in 0..rows {
        for read in &readers {
            let end = sources.len() + group;
            sources.extend(read.iter().map(|e| FloatSource::Element(0, (row * extent + e) as u32)));
            sources.resize(end, FloatSource::Constant(0.0));
        }
    }
    let spread = b.assemble(std::slice::from_ref(all), sources, vec![rows * len, group])?;
    b.sum(&spread, group, 1.0, vec![rows, len])
}

/// An image `[channels, axes..]` summed up with weights `[P, len]` along each axis: `[channels, P]`.
fn contracted(b: &mut Builder, image: &Value, weights: &[Value]) -> Result<Value, GraphError> {
    let Some((last, others)) = weights.split_last() else { return Ok(image.clone()) };
    let (count, len) = (last.shape[0], last.shape[1]);
    let rows = image.reshaped(vec![image.len() / len, len]);
    let turned = b.transpose(last, &[1, 0])?;
    let mut out = matmul::matrices(b, &rows, &turned)?;
    for weight in others.iter().rev() {
        let len = weight.shape[1];
        let rows = out.shape[0] / len;
        let columns = b.transpose(&out.reshaped(vec![rows, len, count]), &[0, 2, 1])?;
        let weight = b.expand(&weight.reshaped(vec![1, count, len]), &columns.shape)?;
        let products = b.mul(&columns, &weight)?;
        out = b.sum(&products, len, 1.0, vec![rows, count])?;
    }
    Ok(out.reshaped(vec![image.shape[0], count]))
}
