//! Tables against the functions that they stand for, by enumeration of all inputs.

use std::f64::consts::{FRAC_PI_2, TAU};

use super::state::Reach;
use crate::{
    exec::interpolate,
    float::Function,
    int::{Rescale, RescaleKind, ScaleExp, VALUE_BITS},
};

/// What an evaluation in double precision may be off, relative to the value and beside it.
const RELATIVE: f64 = 1e-12;
const ABSOLUTE: f64 = 1e-13;

/// Errors of an argument, in units of the table's input, from which on they are rounded up to whole units: then the
/// function need not be evaluated anew.
const COARSE: f64 = 8.0;

/// Values at every input of a table.
#[derive(Debug)]
pub(super) struct Samples {
    /// Of the table; `None` where there is no proof.
    held: Vec<Option<f64>>,
    /// Of the function.
    ideal: Vec<f64>,
}

/// A function table of the integer graph and what it stands for, `function(x - centre)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Table<'a> {
    pub(super) points: &'a [i64],
    pub(super) rescale: Rescale,
    pub(super) input: ScaleExp,
    pub(super) output: ScaleExp,
    pub(super) function: Function,
    pub(super) centre: f64,
}

impl Table<'_> {
    /// Every input of a table.
    pub(super) fn inputs() -> (i64, i64) {
        let half = 1i64 << (VALUE_BITS - 1);
        (-half, half - 1)
    }

    /// What the graph makes of an integer; `None` where that has no proof.
    fn output(&self, q: i64) -> Option<i64> {
        let v = self.rescale.divided(interpolate(self.points, q));
        if self.rescale.bound().is_some_and(|bound| !bound.contains(v)) {
            return None;
        }
        Some(if self.rescale.kind == RescaleKind::Relu { v.max(0) } else { v } as i64)
    }

    /// Values of table and function at every input.
    pub(super) fn sampled(&self) -> Samples {
        let (first, last) = Self::inputs();
        let unit = self.output.dequantise(1);
        let held = |q: i64| self.output(q).map(|v| v as f64 * unit);
        let ideal = |q: i64| self.function.value(self.input.dequantise(q) - self.centre);
        Samples { held: (first..=last).map(held).collect(), ideal: (first..=last).map(ideal).collect() }
    }

    /// Largest distance of the table from the function, where the integers are of `inputs` and the function's own
    /// arguments lie within `margin` of what they stand for.
    pub(super) fn error(&self, samples: &Samples, inputs: (i64, i64), margin: f64) -> f64 {
        let periodic = matches!(self.function, Function::Sin | Function::Cos);
        let steps = margin / self.input.dequantise(1);
        let coarse = !periodic && steps >= COARSE && steps.is_finite();
        let steps = (coarse || margin == 0.0).then(|| steps.ceil() as i64);
        let (first, _) = Self::inputs();
        let mut worst = 0.0f64;
        for q in inputs.0..=inputs.1 {
            let Some(v) = samples.held.get((q - first) as usize).copied().flatten() else { continue };
            let x = self.input.dequantise(q);
            let mut ideal = match steps {
                Some(steps) => self.around(samples, q, steps),
                None => {
                    let margin = margin + 1e-15 * (x.abs() + self.centre.abs());
                    values(self.function, x - self.centre - margin, x - self.centre + margin)
                }
            };
            if self.rescale.kind == RescaleKind::Relu {
                ideal = ideal.positive();
            }
            let error = (v - ideal.lo).abs().max((v - ideal.hi).abs());
            if error.is_nan() {
                return f64::INFINITY;
            }
            worst = worst.max(error + RELATIVE * ideal.max_abs() + ABSOLUTE);
        }
        worst
    }

    /// Values of the function at most so many inputs away.
    fn around(&self, samples: &Samples, q: i64, steps: i64) -> Reach {
        let (first, last) = Self::inputs();
        let (lo, hi) = (q.saturating_sub(steps), q.saturating_add(steps));
        let argument = |q: i64| self.input.dequantise(q) - self.centre;
        let at = |q: i64| {
            let known = if (first..=last).contains(&q) { samples.ideal.get((q - first) as usize) } else { None };
            Reach::point(known.copied().unwrap_or_else(|| self.function.value(argument(q))))
        };
        let ends = at(lo).hull(at(hi));
        match turn(self.function).filter(|x| argument(lo) < *x && *x < argument(hi)) {
            Some(x) => ends.hull(Reach::point(self.function.value(x))),
            None => ends,
        }
    }

    /// Values that the table has for these inputs.
    pub(super) fn reach(&self, samples: &Samples, inputs: (i64, i64)) -> Option<Reach> {
        samples.of(inputs).map(Reach::point).reduce(Reach::hull)
    }

    /// What the table has for the greatest input, where no lesser one has more.
    pub(super) fn peak(&self, samples: &Samples, inputs: (i64, i64)) -> Option<i64> {
        let top = self.output(inputs.1)?;
        let value = top as f64 * self.output.dequantise(1);
        samples.of(inputs).all(|v| v <= value).then_some(top)
    }
}

impl Samples {
    /// Values that the table has for these inputs.
    fn of(&self, inputs: (i64, i64)) -> impl Iterator<Item = f64> {
        let (first, _) = Table::inputs();
        let held = self.held.get((inputs.0 - first) as usize..=(inputs.1 - first) as usize);
        held.unwrap_or_default().iter().copied().flatten()
    }
}

/// Where a function turns; between two such places it rises or falls. Known to some 1e-9, and at such a place the
/// function moves by the square of that.
fn turn(function: Function) -> Option<f64> {
    match function {
        Function::Gelu => Some(-0.751_791_524_7),
        Function::GeluTanh => Some(-0.752_461_4),
        Function::Mish => Some(-1.192_431_214_5),
        Function::Swish { alpha } => Some(-1.278_464_542_8 / alpha).filter(|x| x.is_finite()),
        Function::HardSwish => Some(-1.5),
        Function::Cosh | Function::AtanSquare | Function::AsinhSquare | Function::Elu { .. } => Some(0.0),
        _ => None,
    }
}

/// Values of a function over `[lo, hi]`.
pub(super) fn values(function: Function, lo: f64, hi: f64) -> Reach {
    let phase = match function {
        Function::Sin => Some(FRAC_PI_2),
        Function::Cos => Some(0.0),
        _ => None,
    };
    if let Some(top) = phase {
        let (low, high) = (function.value(lo), function.value(hi));
        let passes = |at: f64| ((lo - at) / TAU).ceil() * TAU + at <= hi;
        let ends = Reach { lo: low.min(high), hi: low.max(high) };
        let least = if passes(top + TAU / 2.0) { -1.0 } else { ends.lo };
        let most = if passes(top) { 1.0 } else { ends.hi };
        return Reach { lo: least, hi: most };
    }
    let at = |x: f64| Reach::point(function.value(x));
    // An infinite argument gives no number where the function is a product.
    if !lo.is_finite() || !hi.is_finite() {
        return match function {
            Function::Sigmoid => Reach { lo: 0.0, hi: 1.0 },
            Function::Tanh | Function::Erf | Function::Softsign => Reach { lo: -1.0, hi: 1.0 },
            Function::Atan | Function::AtanSquare => Reach { lo: -FRAC_PI_2, hi: FRAC_PI_2 },
            _ => Reach { lo: f64::NEG_INFINITY, hi: f64::INFINITY },
        };
    }
    let ends = if lo == hi { at(lo) } else { at(lo).hull(at(hi)) };
    match turn(function).filter(|x| lo < *x && *x < hi) {
        Some(x) => ends.hull(at(x)),
        None => ends,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Function; 25] = [
        Function::Sigmoid,
        Function::Tanh,
        Function::Exp,
        Function::Erf,
        Function::Gelu,
        Function::GeluTanh,
        Function::Softplus,
        Function::Softsign,
        Function::Elu { alpha: 1.5 },
        Function::Elu { alpha: -0.5 },
        Function::HardSwish,
        Function::Rsqrt { epsilon: 0.01 },
        Function::Reciprocal,
        Function::Log,
        Function::Sin,
        Function::Cos,
        Function::Sinh,
        Function::Cosh,
        Function::Atan,
        Function::AtanSquare,
        Function::Asinh,
        Function::AsinhSquare,
        Function::Mish,
        Function::Swish { alpha: -1.7 },
        Function::Celu { alpha: 0.7 },
    ];

    /// The extremes between two places are those that a fine grid finds.
    #[test]
    fn values_over_an_interval_are_those_of_all_points_inside() {
        for function in ALL {
            for (lo, hi) in [(-7.3, -2.1), (-3.0, 0.4), (-0.8, -0.7), (-1.3, -1.1), (0.1, 5.0), (0.5, 0.500_01)] {
                let reach = values(function, lo, hi);
                let points = (0..=20_000).map(|i| function.value(lo + (hi - lo) * f64::from(i) / 20_000.0));
                let found = points.map(Reach::point).fold(Reach::point(function.value(lo)), Reach::hull);
                let slack = 1e-12 * (1.0 + found.max_abs());
                assert!(
                    reach.lo <= found.lo + slack && found.hi <= reach.hi + slack,
                    "{function:?} {reach:?} {found:?}"
                );
                // The grid may step over a kink.
                let near = 1e-3 * (1.0 + found.max_abs());
                assert!(found.lo - reach.lo < near && reach.hi - found.hi < near, "{function:?} {reach:?} {found:?}");
            }
        }
    }

    #[test]
    fn angles_without_a_bound_have_every_sine() {
        assert_eq!(values(Function::Sin, f64::NEG_INFINITY, f64::INFINITY), Reach { lo: -1.0, hi: 1.0 });
        assert_eq!(values(Function::Cos, 0.0, 100.0), Reach { lo: -1.0, hi: 1.0 });
    }
}
