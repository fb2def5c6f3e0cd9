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
            Self::Sigmoid => 1.0 / (1.0 + libm::exp(-x)),
            Self::Tanh => libm::tanh(x),
            Self::Exp => libm::exp(x),
            Self::Erf => libm::erf(x),
            Self::Gelu => 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Self::GeluTanh => {
                let inner = std::f64::consts::FRAC_2_PI.sqrt() * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + libm::tanh(inner))
            }
            Self::Softplus => softplus(x),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Elu { alpha } => {
                if x > 0.0 {
                    x
                } else {
                    alpha * libm::expm1(x)
                }
            }
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Rsqrt { epsilon } => 1.0 / (x.max(0.0) + epsilon).max(SMALLEST).sqrt(),
            Self::Reciprocal => 1.0 / x.max(SMALLEST),
            Self::Log => libm::log(x.max(SMALLEST)),
            Self::Sin => libm::sin(x),
            Self::Cos => libm::cos(x),
            Self::Sinh => libm::sinh(x),
            Self::Cosh => libm::cosh(x),
            Self::Atan => libm::atan(x),
            Self::AtanSquare => libm::atan(x * x),
            Self::Asinh => libm::asinh(x),
            Self::AsinhSquare => libm::asinh(x * x),
            Self::Mish => x * libm::tanh(softplus(x)),
            Self::Swish { alpha } => x / (1.0 + libm::exp(-alpha * x)),
            Self::Celu { alpha } => {
                if x > 0.0 {
                    x
                } else {
                    alpha * libm::expm1(x / alpha)
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
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}
