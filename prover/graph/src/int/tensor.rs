use serde::{Deserialize, Serialize};

/// Binary exponent of a tensor: the integer `q` stands for `q * 2^-e`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScaleExp(pub i32);

impl ScaleExp {
    /// The real number that `q` stands for.
    #[must_use]
    pub fn dequantise(self, q: i64) -> f64 {
        q as f64 * (-f64::from(self.0)).exp2()
    }

    /// The integer nearest to `x` (ties away from zero), not yet range-checked.
    #[must_use]
    pub fn quantise(self, x: f64) -> f64 {
        (x * f64::from(self.0).exp2()).round()
    }
}

/// `k` with `|c| = 2^k`, for normal numbers: a product with such a number, or a quotient, is exact.
pub(crate) fn power_of_two(c: f64) -> Option<i32> {
    const MANTISSA: u64 = (1 << (f64::MANTISSA_DIGITS - 1)) - 1;
    let biased = (c.abs().to_bits() >> (f64::MANTISSA_DIGITS - 1)) as i32;
    (c.is_normal() && c.to_bits() & MANTISSA == 0).then_some(biased - (f64::MAX_EXP - 1))
}

/// Index of a tensor in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TensorId(pub usize);

/// Who sees a tensor's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Instances of the proof: the verifier sees and checks them.
    Public,
    /// Advice only.
    Private,
}

/// Closed interval of integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Least value.
    pub lo: i128,
    /// Greatest value.
    pub hi: i128,
}

impl Interval {
    /// Every integer of `bits` bits in two's complement.
    #[must_use]
    pub fn signed(bits: u32) -> Self {
        let half = 1i128 << (bits - 1);
        Self { lo: -half, hi: half - 1 }
    }

    /// Whether `v` lies inside.
    #[must_use]
    pub fn contains(self, v: i128) -> bool {
        self.lo <= v && v <= self.hi
    }

    /// Greatest magnitude inside.
    #[must_use]
    pub fn max_abs(self) -> i128 {
        self.lo.saturating_abs().max(self.hi.saturating_abs())
    }

    /// Bits of the smallest two's complement type that holds every value.
    #[must_use]
    pub fn signed_bits(self) -> u32 {
        let magnitude = if self.lo < 0 { (-(self.lo + 1)).max(self.hi) } else { self.hi };
        129 - magnitude.max(0).leading_zeros()
    }
}

/// One tensor: what it is called, its shape, its scale and what its values can be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntTensor {
    /// Name in the ONNX file, or derived from the node that made it.
    pub name: String,
    /// Row-major shape.
    pub shape: Vec<usize>,
    /// Exponent of the integers.
    pub exponent: ScaleExp,
    /// Values that the operations allow, by interval analysis from the inputs' bits.
    pub range: Interval,
}

impl IntTensor {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::power_of_two;

    #[test]
    fn powers_of_two_are_told_from_their_neighbours() {
        for k in [f64::MIN_EXP - 1, -30, -1, 0, 1, 10, 52, f64::MAX_EXP - 1] {
            let power = f64::from(k).exp2();
            assert_eq!(power_of_two(power), Some(k));
            assert_eq!(power_of_two(-power), Some(k));
            for other in [power.next_up(), power.next_down(), -power.next_up(), 3.0 * power] {
                assert_eq!(power_of_two(other), None, "{other:e}, near 2^{k}");
            }
        }
        for none in [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MIN_POSITIVE / 2.0] {
            assert_eq!(power_of_two(none), None, "{none}");
        }
    }
}
