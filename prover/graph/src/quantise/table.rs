use crate::{
    float::Function,
    int::{INTERPOLATION_POINTS, SEGMENT_BITS, VALUE_BITS},
};

/// Bits that the table has below the output's unit.
pub(super) const TABLE_GUARD_BITS: u32 = 4;

/// Shift from an interpolated value to the output.
pub(super) const TABLE_SHIFT: u32 = TABLE_GUARD_BITS + SEGMENT_BITS;

/// Largest magnitude of a table's value: 20 signed bits.
const LIMIT: f64 = (1 << (VALUE_BITS - 1 + TABLE_GUARD_BITS)) as f64 - 1.0;

/// Table of `f(x - centre)` for inputs at `input` and outputs at `output` (exponents).
///
/// A chord lies on one side of a curve by up to `h^2 f''/8`. The points are moved by half of that,
/// which halves the error and spreads it to both sides.
///
/// An exponential never falls below half its value, however long the segments: a softmax divides by a
/// sum of its points, which have to be positive as far as they are not rounded to zero. Beside a pole the chord towards
/// it says nothing, and the lesser of the two counts.
pub(super) fn table(function: Function, centre: f64, input: i32, output: i32) -> Vec<i64> {
    let step = f64::from(1u32 << SEGMENT_BITS) * (-f64::from(input)).exp2();
    let first = -(f64::from(VALUE_BITS - 1).exp2()) * (-f64::from(input)).exp2();
    let scale = f64::from(output + TABLE_GUARD_BITS as i32).exp2();
    let f = |x: f64| function.value(x - centre);
    (0..INTERPOLATION_POINTS)
        .map(|i| {
            let x = first + i as f64 * step;
            // How far the chords over a segment to either side miss the middle, on average.
            let sag = |from: f64| (f(from) + f(from + step)) / 2.0 - f(from + step / 2.0);
            let (before, after) = (sag(x - step), sag(x));
            let correction = if has_pole(function) {
                if before.abs() < after.abs() { before / 2.0 } else { after / 2.0 }
            } else {
                (before + after) / 4.0
            };
            let value = f(x) - if correction.is_finite() { correction } else { 0.0 };
            let value = if function == Function::Exp { value.max(f(x) / 2.0) } else { value };
            let scaled = (value * scale).round();
            if scaled.is_nan() { 0 } else { scaled.clamp(-LIMIT, LIMIT) as i64 }
        })
        .collect()
}

/// Whether a function has a pole.
fn has_pole(function: Function) -> bool {
    matches!(function, Function::Rsqrt { .. } | Function::Reciprocal | Function::Log)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_with_a_pole_fall_from_it() {
        // Centred: the table reaches from the pole on.
        let epsilons = [1e-5, 1e-12].map(|epsilon| Function::Rsqrt { epsilon });
        for function in epsilons.into_iter().chain([Function::Reciprocal]) {
            let points = table(function, -half_range(13), 13, 9);
            assert!(points.iter().all(|point| *point > 0), "{points:?}");
            let falls = points.windows(2).all(|pair| pair[1] <= pair[0]);
            assert!(falls, "{points:?}");
        }
    }

    /// Largest error of the interpolation over every input, in real units.
    fn error(function: Function, input: i32, output: i32) -> f64 {
        error_of(&table(function, 0.0, input, output), |x| function.value(x), input, output)
    }

    fn error_of(points: &[i64], f: impl Fn(f64) -> f64, input: i32, output: i32) -> f64 {
        let unit = (-f64::from(output + TABLE_SHIFT as i32)).exp2();
        (0..1usize << VALUE_BITS)
            .map(|at| {
                let (hi, lo) = (at >> SEGMENT_BITS, (at & 255) as f64);
                let (left, right) = (points[hi] as f64, points[hi + 1] as f64);
                let x = (at as f64 - 32768.0) * (-f64::from(input)).exp2();
                ((left * 256.0 + (right - left) * lo) * unit - f(x)).abs()
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn a_sigmoid_over_eight_is_within_two_units_of_its_output() {
        assert!(error(Function::Sigmoid, 12, 14) < 2.0 / 16384.0);
    }

    #[test]
    fn a_tanh_over_four_is_within_a_unit_and_a_half_of_its_output() {
        assert!(error(Function::Tanh, 13, 14) < 1.5 / 16384.0);
    }

    /// Half the range of a table's inputs: centred there, an exponential's argument ends at zero.
    fn half_range(input: i32) -> f64 {
        f64::from(15 - input).exp2()
    }

    #[test]
    fn an_exponential_has_no_negative_point_however_coarse_its_input() {
        for input in -10..16 {
            for centre in [0.0, half_range(input) / 2.0, half_range(input)] {
                for output in [0, 8, 14] {
                    let points = table(Function::Exp, centre, input, output);
                    let negative = points.iter().find(|point| **point < 0);
                    assert_eq!(negative, None, "input exponent {input}, centre {centre}");
                }
            }
        }
    }

    #[test]
    fn an_exponential_is_never_zero_where_its_argument_is() {
        // A softmax of equal scores divides by such values.
        for input in -10..16 {
            let points = table(Function::Exp, half_range(input), input, 14);
            assert!(points[INTERPOLATION_POINTS - 1] > 0, "input exponent {input}");
        }
    }

    #[test]
    fn an_exponential_of_short_segments_misses_by_less_than_its_chords_do() {
        // From where a segment is half a unit long the lower bound changes no point.
        for input in 9..14 {
            let centre = half_range(input);
            let step = f64::from(8 - input).exp2();
            let sag = (1.0 + libm::exp(-step)) / 2.0 - libm::exp(-step / 2.0);
            let error = error_of(&table(Function::Exp, centre, input, 14), |x| libm::exp(x - centre), input, 14);
            assert!(error < sag * 2.0 / 3.0 + 0.5 / 16384.0, "input exponent {input}: {error} against a sag of {sag}");
        }
    }
}
