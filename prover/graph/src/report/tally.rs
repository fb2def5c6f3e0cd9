use serde::Serialize;

use crate::calibrate::MASKED;

/// Bins of a [`Histogram`] on either side of zero.
const SIDE: usize = 16;

/// Signed errors, counted in bins of equal width around zero.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Histogram {
    /// Width of a bin, in real units.
    pub width: f64,
    /// Errors in each bin; the first of the right half begins at zero.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// An empty histogram whose bins are `width` wide until a larger error comes.
    fn new(width: f64) -> Self {
        Self { width, counts: vec![0; 2 * SIDE] }
    }

    /// Least value of a bin.
    #[must_use]
    pub fn edge(&self, bin: usize) -> f64 {
        (bin as f64 - SIDE as f64) * self.width
    }

    fn add(&mut self, error: f64) {
        // The largest error is not known in advance, and there are too many to keep.
        while error.is_finite() && (error < -(SIDE as f64) * self.width || error >= SIDE as f64 * self.width) {
            self.widen();
        }
        // Saturates, so that what is not finite lands in an outer bin.
        let bin = (error / self.width).floor() + SIDE as f64;
        self.counts[(bin as usize).min(2 * SIDE - 1)] += 1;
    }

    /// Bins of twice the width; zero stays an edge.
    fn widen(&mut self) {
        let pair = |bin: usize| self.counts[2 * bin] + self.counts[2 * bin + 1];
        let mut wider = vec![0; 2 * SIDE];
        for bin in 0..SIDE {
            wider[SIDE / 2 + bin] = pair(bin);
        }
        self.counts = wider;
        self.width *= 2.0;
    }
}

/// Size of a list of errors, in real units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Errors {
    /// Largest absolute error.
    pub max_abs: f64,
    /// Mean absolute error.
    pub mean_abs: f64,
    /// Square root of the mean square.
    pub rms: f64,
}

/// Running size of errors.
#[derive(Debug, Clone, Default)]
pub(super) struct Sizes {
    max: f64,
    pub(super) sum: f64,
    squares: f64,
    pub(super) count: usize,
}

impl Sizes {
    pub(super) fn add(&mut self, error: f64) {
        self.max = self.max.max(error.abs());
        self.sum += error.abs();
        self.squares += error * error;
        self.count += 1;
    }

    pub(super) fn errors(&self) -> Errors {
        let n = self.count.max(1) as f64;
        Errors { max_abs: self.max, mean_abs: self.sum / n, rms: (self.squares / n).sqrt() }
    }
}

/// Running error of one tensor.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    name: String,
    pub(super) sizes: Sizes,
    bounds: Option<(f64, f64)>,
    histogram: Histogram,
}

impl Tally {
    /// `step` is what one unit of the tensor's integers stands for.
    pub(super) fn new(name: &str, step: f64) -> Self {
        Self { name: name.to_owned(), sizes: Sizes::default(), bounds: None, histogram: Histogram::new(step / 64.0) }
    }

    pub(super) fn add(&mut self, reals: &[f64], integers: impl Iterator<Item = f64>) {
        for (x, y) in reals.iter().zip(integers) {
            // What stands for minus infinity is finite in integers, and no error.
            if x.abs() >= -MASKED {
                continue;
            }
            self.sizes.add(y - x);
            self.histogram.add(y - x);
            let (lo, hi) = self.bounds.unwrap_or((*x, *x));
            self.bounds = Some((lo.min(*x), hi.max(*x)));
        }
    }

    pub(super) fn error(self) -> TensorError {
        let Errors { max_abs, mean_abs, rms } = self.sizes.errors();
        let (lo, hi) = self.bounds.unwrap_or((0.0, 0.0));
        let relative = if hi > lo { max_abs / (hi - lo) } else { 0.0 };
        TensorError { name: self.name, max_abs, mean_abs, rms, lo, hi, relative, histogram: self.histogram }
    }
}

/// Error of one tensor over all samples, in real units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorError {
    /// Tensor.
    pub name: String,
    /// Largest absolute error.
    pub max_abs: f64,
    /// Mean absolute error.
    pub mean_abs: f64,
    /// Square root of the mean square error.
    pub rms: f64,
    /// Least value in the float model.
    pub lo: f64,
    /// Greatest value in the float model.
    pub hi: f64,
    /// Largest absolute error as a share of the distance from `lo` to `hi`; 0 where the tensor is constant.
    pub relative: f64,
    /// Quantised less float values.
    pub histogram: Histogram,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_widen_around_zero_and_lose_nothing() {
        let mut histogram = Histogram::new(1.0);
        for error in [-16.0, -0.5, 0.0, 0.5, 15.9] {
            histogram.add(error);
        }
        assert_eq!(histogram.width, 1.0);
        assert_eq!(
            (histogram.counts[0], histogram.counts[15], histogram.counts[16], histogram.counts[31]),
            (1, 1, 2, 1)
        );
        histogram.add(16.0);
        assert_eq!(histogram.width, 2.0);
        assert_eq!((histogram.counts[8], histogram.counts[15], histogram.counts[16]), (1, 1, 2));
        assert_eq!((histogram.counts[23], histogram.counts[24]), (1, 1));
        histogram.add(f64::INFINITY);
        histogram.add(f64::NEG_INFINITY);
        assert_eq!(histogram.counts.iter().sum::<u64>(), 8);
        assert_eq!((histogram.edge(0), histogram.edge(16)), (-32.0, 0.0));
    }

    #[test]
    fn masked_values_are_no_error() {
        let mut tally = Tally::new("x", 1.0);
        tally.add(&[1.0, -1e30, 5.0], [2.0, -60.0, 5.0].into_iter());
        let error = tally.error();
        assert_eq!((error.max_abs, error.mean_abs, error.lo, error.hi), (1.0, 0.5, 1.0, 5.0));
        assert_eq!((error.rms, error.relative), (0.5f64.sqrt(), 0.25));
    }
}
