/// A smooth function of one variable that the circuit reads from an interpolated table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `exp(x)`.
    Exp,
    /// Error function.
    Erf,
    /// `x * (1 + erf(x / sqrt 2)) / 2`.
    Gelu,
    /// `x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2`.
    GeluTanh,
    /// `log(1 + exp(x))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x` above zero, `alpha * (exp(x) - 1)` below.
    Elu {
        /// Slope of the saturating side.
        alpha: f64,
    },
    /// `x * max(0, min(1, x / 6 + 1 / 2))`.
    HardSwish,
    /// `1 / sqrt(x + epsilon)` for `x >= 0`.
    Rsqrt {
        /// Added to the argument.
        epsilon: f64,
    },
    /// `1 / x` for `x > 0`.
    Reciprocal,
    /// `ln(x)` for `x > 0`.
    Log,
    /// `sin(x)`.
    Sin,
    /// `cos(x)`.
    Cos,
    /// Hyperbolic sine.
    Sinh,
    /// Hyperbolic cosine.
    Cosh,
    /// `atan(x)`.
    Atan,
    /// `atan(x^2)`.
    AtanSquare,
    /// Inverse hyperbolic sine.
    Asinh,
    /// `asinh(x^2)`.
    AsinhSquare,
    /// `x * tanh(log(1 + exp(x)))`.
    Mish,
    /// `x / (1 + exp(-alpha * x))`.
    Swish {
        /// Factor in the exponential.
        alpha: f64,
    },
    /// `x` above zero, `alpha * (exp(x / alpha) - 1)` below.
    Celu {
        /// Where the saturating side ends.
        alpha: f64,
    },
}

/// Least argument of the functions with a pole at zero.
const SMALLEST: f64 = 1e-12;

impl Function {
    /// Value at `x`.
    #[must_use]
    pub fn value(self, x: f64) -> f64 {
        match self {
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Tanh => x.tanh(),
            Self::Exp => x.exp(),
            Self::Erf => erf(x),
            Self::Gelu => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Self::GeluTanh => {
                let inner = std::f64::consts::FRAC_2_PI.sqrt() * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }
            Self::Softplus => softplus(x),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Elu { alpha } => {
                if x > 0.0 {
                    x
                } else {
                    alpha * x.exp_m1()
                }
            }
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Rsqrt { epsilon } => 1.0 / (x.max(0.0) + epsilon).max(SMALLEST).sqrt(),
            Self::Reciprocal => 1.0 / x.max(SMALLEST),
            Self::Log => x.max(SMALLEST).ln(),
            Self::Sin => x.sin(),
            Self::Cos => x.cos(),
            Self::Sinh => x.sinh(),
            Self::Cosh => x.cosh(),
            Self::Atan => x.atan(),
            Self::AtanSquare => (x * x).atan(),
            Self::Asinh => x.asinh(),
            Self::AsinhSquare => (x * x).asinh(),
            Self::Mish => x * softplus(x).tanh(),
            Self::Swish { alpha } => x / (1.0 + (-alpha * x).exp()),
            Self::Celu { alpha } => {
                if x > 0.0 {
                    x
                } else {
                    alpha * (x / alpha).exp_m1()
                }
            }
        }
    }

    /// Name for messages and for sharing tables.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Sigmoid => "sigmoid".into(),
            Self::Tanh => "tanh".into(),
            Self::Exp => "exp".into(),
            Self::Erf => "erf".into(),
            Self::Gelu => "gelu".into(),
            Self::GeluTanh => "gelu_tanh".into(),
            Self::Softplus => "softplus".into(),
            Self::Softsign => "softsign".into(),
            Self::Elu { alpha } => format!("elu({alpha})"),
            Self::HardSwish => "hard_swish".into(),
            Self::Rsqrt { epsilon } => format!("rsqrt({epsilon})"),
            Self::Reciprocal => "reciprocal".into(),
            Self::Log => "log".into(),
            Self::Sin => "sin".into(),
            Self::Cos => "cos".into(),
            Self::Sinh => "sinh".into(),
            Self::Cosh => "cosh".into(),
            Self::Atan => "atan".into(),
            Self::AtanSquare => "atan_square".into(),
            Self::Asinh => "asinh".into(),
            Self::AsinhSquare => "asinh_square".into(),
            Self::Mish => "mish".into(),
            Self::Swish { alpha } => format!("swish({alpha})"),
            Self::Celu { alpha } => format!("celu({alpha})"),
        }
    }
}

/// `log(1 + exp(x))`.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Error function: its Maclaurin series near zero, its continued fraction (Abramowitz and Stegun
/// 7.1.14, evaluated backwards) beyond; both are accurate to about 1e-14 where they meet.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a > 6.0 {
        return x.signum();
    }
    let square = a * a;
    let magnitude = if a < 2.5 {
        let mut term = a;
        let mut sum = a;
        for n in 1..60 {
            term *= -square / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else {
        let fraction = (1..80).rev().fold(a, |f, n| a + f64::from(n) / 2.0 / f);
        1.0 - (-square).exp() / (fraction * std::f64::consts::PI.sqrt())
    };
    magnitude.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_agrees_with_published_values() {
        for (x, y) in [
            (0.0, 0.0),
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (2.4, 0.999_311_486_103_355),
            (2.6, 0.999_763_965_583_470_7),
            (-3.5, -0.999_999_256_901_627_7),
        ] {
            assert!((erf(x) - y).abs() < 1e-12, "erf({x}) = {}", erf(x));
        }
    }
}
