//! Calibration: what values each tensor of a float graph takes on real data.

use crate::{
    GraphError,
    data::Sample,
    float::{FloatGraph, FloatId, FloatOp, FloatTrace, bounds},
};

/// Values at or below this stand for minus infinity, as the masks of attention have it, in constants and in inputs:
/// they matter by being far below all others, and no range takes them in.
pub const MASKED: f64 = -1e29;

/// What minus infinity is in the float graph: so low that no sum with others and no scale near 1 brings it back.
pub(crate) const MINUS_INFINITY: f64 = f32::MIN as f64;

/// Least and greatest value observed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Least value.
    pub lo: f64,
    /// Greatest value.
    pub hi: f64,
    /// Mean of the squares.
    pub mean_square: f64,
    /// Whether there were values that stand for minus infinity.
    pub masked: bool,
}

impl Range {
    /// Range of finite bounds.
    pub(crate) fn between(lo: f64, hi: f64) -> Self {
        Self { lo, hi, mean_square: lo.abs().max(hi.abs()).powi(2), masked: false }
    }

    /// Range of what is observed.
    pub(crate) fn of(values: &[f64]) -> Self {
        let masked = values.iter().any(|v| *v <= MASKED);
        let seen: Vec<f64>;
        let values = if masked {
            seen = values.iter().copied().filter(|v| *v > MASKED).collect();
            &seen
        } else {
            values
        };
        let (lo, hi) = bounds(values);
        let squares: f64 = values.iter().map(|v| v * v).sum();
        Self { lo, hi, mean_square: squares / values.len().max(1) as f64, masked }
    }

    /// Greatest magnitude.
    #[must_use]
    pub fn max_abs(self) -> f64 {
        self.lo.abs().max(self.hi.abs())
    }

    /// Takes in the range of one more sample, the `n`-th.
    fn include(&mut self, other: Self, n: usize) {
        self.lo = self.lo.min(other.lo);
        self.hi = self.hi.max(other.hi);
        self.masked |= other.masked;
        self.mean_square += (other.mean_square - self.mean_square) / n as f64;
    }
}

/// Observed ranges of a float graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranges {
    /// Of each tensor, addressed by [`FloatId`].
    pub tensors: Vec<Range>,
    /// Of each node's value before its activation, in the order of the nodes; the mean square is
    /// that of the greatest magnitudes.
    pub before_activation: Vec<Range>,
    /// Greatest magnitude of each element of each input, in the order of the inputs.
    pub elements: Vec<Vec<f64>>,
    /// Of each tensor, addressed by [`FloatId`], the least magnitude other than zero where a condition reads it:
    /// how close its values come to a threshold. Infinite elsewhere.
    pub margins: Vec<f64>,
    /// Of each tensor, addressed by [`FloatId`], where quantisation brought minus infinity to numbers far below the
    /// others: values at or below this stand for it. Minus infinity elsewhere.
    pub minus_infinity: Vec<f64>,
}

impl Ranges {
    /// Range of a tensor.
    #[must_use]
    pub fn tensor(&self, id: FloatId) -> Range {
        self.tensors[id.0]
    }

    /// How close a tensor's values come to the threshold of a condition that reads it.
    pub(crate) fn margin(&self, id: FloatId) -> f64 {
        self.margins.get(id.0).copied().unwrap_or(f64::INFINITY)
    }

    /// At or below which values of a tensor stand for minus infinity, where there are any.
    pub(crate) fn minus_infinity(&self, id: FloatId) -> Option<f64> {
        self.minus_infinity.get(id.0).copied().filter(|most| most.is_finite())
    }

    /// Takes in elements and margins of one more sample.
    fn observe(&mut self, graph: &FloatGraph, trace: &FloatTrace) {
        for (list, id) in self.elements.iter_mut().zip(&graph.inputs) {
            let finite = list.iter_mut().zip(&trace.tensors[id.0]).filter(|(_, v)| **v > MASKED);
            finite.for_each(|(most, v)| *most = most.max(v.abs()));
        }
        for node in graph.nodes.iter().filter(|n| matches!(n.op, FloatOp::Indicator { .. })) {
            let Some(id) = node.inputs.first() else { continue };
            let values = trace.tensors[id.0].iter().map(|v| v.abs()).filter(|v| *v > 0.0);
            self.margins[id.0] = values.fold(self.margins[id.0], f64::min);
        }
    }
}

/// Evaluates the model on every sample and records the range of every intermediate value.
///
/// # Errors
/// Where there are no samples, one does not fit the inputs, or a value is not finite.
pub fn calibrate(graph: &FloatGraph, samples: &[Sample]) -> Result<Ranges, GraphError> {
    let _span = tracing::info_span!("calibrate", samples = samples.len()).entered();
    let mut ranges: Option<Ranges> = None;
    for (number, sample) in samples.iter().enumerate() {
        let trace = graph.trace(sample)?;
        // Minus infinity goes through sums, choices and maxima; what else is made of it is nothing to calibrate by.
        let most = if sample.is_masked() { -MASKED } else { f64::INFINITY };
        for (tensor, values) in graph.tensors.iter().zip(&trace.tensors) {
            if let Some((index, v)) = values.iter().enumerate().find(|(_, v)| !v.is_finite() || **v >= most) {
                return Err(GraphError::NotFiniteActivation {
                    sample: number,
                    tensor: tensor.name.clone(),
                    index,
                    value: v.to_string(),
                });
            }
        }
        let observed = trace.tensors.iter().map(|t| Range::of(t));
        let before = trace.before_activation.iter().copied();
        match &mut ranges {
            None => {
                let elements = graph.inputs.iter().map(|id| vec![0.0; graph.tensor(*id).len()]).collect();
                ranges = Some(Ranges {
                    tensors: observed.collect(),
                    before_activation: before.collect(),
                    elements,
                    margins: vec![f64::INFINITY; graph.tensors.len()],
                    minus_infinity: Vec::new(),
                });
            }
            Some(r) => {
                let n = number + 1;
                r.tensors.iter_mut().zip(observed).for_each(|(r, o)| r.include(o, n));
                r.before_activation.iter_mut().zip(before).for_each(|(r, o)| r.include(o, n));
            }
        }
        if let Some(ranges) = &mut ranges {
            ranges.observe(graph, &trace);
        }
    }
    ranges.ok_or(GraphError::NoSamples)
}
