//! Exact rescaling by `2^16`, with ReLU and maximum fused.
//!
//! With `abs = abs0 + 2^8 abs1` and `rem = rem0 + 2^8 rem1`, all four bytes looked up (or `abs0` and `rem0` alone,
//! where a limb has sixteen bits), a row states `acc + 2^15 = v * 2^16 + rem` where
//!
//! - signed: `v = abs - 2^15`, `y = v` (the row of an input says `y = abs - 2^15` as well, see [`super::input`]);
//! - relu: `v = 2y - abs`, `y (y - abs) = 0`, so `y` is `abs` for `v >= 0` and zero below;
//! - max: the same for `y - q`, so `y = max(q, q + v)`.
//!
//! Smaller shifts `s` multiply the accumulator by `2^(16-s)` first, which changes neither the
//! rounding nor the uniqueness. Unique: `rem` is in `[0, 2^16)` and `|v| <= 2^16`, so quotient
//! and remainder are those of one integer division (nothing comes near the modulus), and the
//! sign of a zero `v` makes no difference to `y`.
//!
//! Cost: the row of the accumulator itself. In a linear layer the pre-activation is no cell: [`pre_activation`] is
//! its expression and the layer's identity binds it.

use halo2_proofs::{
    halo2curves::bn256::Fr,
    plonk::{ConstraintSystem, Expression},
};
use vouch_graph::int::RescaleKind;

use crate::{
    column::{AdviceColumn as A, FixedColumn as F},
    config::{Queries, VouchConfig, constant},
    error::CircuitError,
    layout::{Builder, HintSite, Num},
};

/// Right shift of a rescaling row.
pub(crate) const SHIFT: u32 = 16;

const HALF: i128 = 1 << (SHIFT - 1);

/// What a rescaling row makes of the rounded value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    /// The value itself, in `[-2^15, 2^15)`.
    Signed,
    /// `max(0, value)`.
    Relu,
    /// `max(q, q + value)` with the row's `q`.
    Max(Num),
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Relu => "relu",
            Self::Max(_) => "max",
        }
    }

    fn selector(self) -> F {
        match self {
            Self::Signed => F::Signed,
            Self::Relu => F::Relu,
            Self::Max(_) => F::Max,
        }
    }

    /// The mode of a graph's rescale, `None` for the exact accumulator.
    pub(crate) fn of(kind: RescaleKind) -> Option<Self> {
        match kind {
            RescaleKind::Exact => None,
            RescaleKind::Signed => Some(Self::Signed),
            RescaleKind::Relu => Some(Self::Relu),
        }
    }
}

/// A number of sixteen bits from its limbs; wide limbs have no high one.
pub(crate) fn joined(q: &mut Queries<'_, '_>, low: A, high: A) -> Expression<Fr> {
    q.advice(low) + q.advice(high) * constant(256)
}

/// Selector of rows with a rescale of any mode.
pub(crate) fn rescales(q: &mut Queries<'_, '_>) -> Expression<Fr> {
    let mut any = q.fixed(F::Signed);
    for column in [F::Relu, F::Max] {
        if q.has(column) {
            any = any + q.fixed(column);
        }
    }
    any
}

/// `v * 2^16 + rem - 2^15` on rescaling rows, zero on others: the accumulator that the row rounds.
pub(crate) fn pre_activation(q: &mut Queries<'_, '_>) -> Expression<Fr> {
    let abs = joined(q, A::Abs0, A::Abs1);
    let rem = joined(q, A::Rem0, A::Rem1);
    let mut value = q.fixed(F::Signed) * (abs.clone() - constant(HALF));
    if q.has(F::Relu) {
        value = value + q.fixed(F::Relu) * (q.advice(A::Y) * constant(2) - abs.clone());
    }
    if q.has(F::Max) {
        let over = q.advice(A::Y) - q.advice(A::Q);
        value = value + q.fixed(F::Max) * (over * constant(2) - abs);
    }
    value * constant(1 << SHIFT) + rescales(q) * (rem - constant(HALF))
}

pub(crate) fn configure(meta: &mut ConstraintSystem<Fr>, config: &VouchConfig) {
    config.gate(meta, "rescale", |q| {
        let (acc, any) = (q.advice(A::Acc), rescales(q));
        let pre = pre_activation(q);
        if q.has(F::Value) {
            // In a linear layer the identity ties the pre-activation, and the accumulator is zero.
            let linear = q.fixed(F::Value);
            (any - linear.clone()) * acc - (constant(1) - linear) * pre
        } else {
            any * acc - pre
        }
    });
    config.gate(meta, "signed value", |q| {
        let abs = joined(q, A::Abs0, A::Abs1);
        let selector = if q.has(F::Input) { q.fixed(F::Signed) + q.fixed(F::Input) } else { q.fixed(F::Signed) };
        selector * (q.advice(A::Y) - abs + constant(HALF))
    });
    if config.shape.has(F::Relu) {
        config.gate(meta, "relu", |q| {
            let (y, abs) = (q.advice(A::Y), joined(q, A::Abs0, A::Abs1));
            q.fixed(F::Relu) * y.clone() * (y - abs)
        });
    }
    if config.shape.has(F::Max) {
        config.gate(meta, "max", |q| {
            let over = q.advice(A::Y) - q.advice(A::Q);
            let abs = joined(q, A::Abs0, A::Abs1);
            q.fixed(F::Max) * over.clone() * (over - abs)
        });
    }
}

impl Builder<'_> {
    /// Rescales `acc` on `row`; the caller ties `acc` to the row, by its accumulator or by a
    /// linear identity.
    pub(crate) fn rescale_on(&mut self, row: usize, acc: i128, mode: Mode) -> Result<Num, CircuitError> {
        let shifted = acc.checked_add(HALF).ok_or_else(|| self.overflow())?;
        let value = shifted >> SHIFT;
        let (abs, y, lo, hi) = match mode {
            Mode::Signed => (value + HALF, value, -HALF, HALF - 1),
            Mode::Relu => (value.abs(), value.max(0), 1 - (1 << SHIFT), (1 << SHIFT) - 1),
            Mode::Max(base) => (value.abs(), base.value() + value.max(0), 1 - (1 << SHIFT), (1 << SHIFT) - 1),
        };
        self.check_range(value, lo, hi)?;
        let mut hint = [abs, shifted - (value << SHIFT), y];
        self.hints().adjust(HintSite { gadget: mode.name(), row }, &mut hint);
        let [abs, rem, y] = hint;
        self.set_split(row, abs, rem);
        self.set_fixed(mode.selector(), row, 1);
        Ok(self.assign(A::Y, row, y))
    }

    /// Splits two numbers of sixteen bits into the row's limbs.
    pub(crate) fn set_split(&mut self, row: usize, abs: i128, rem: i128) {
        let mut limbs = match self.limb_bits() {
            8 => [abs & 255, abs >> 8, rem & 255, rem >> 8],
            _ => [abs, 0, rem, 0],
        };
        self.hints().adjust(HintSite { gadget: "limbs", row }, &mut limbs);
        self.set_limbs(row, limbs);
    }

    /// Rescales the accumulator of the last row.
    pub(crate) fn rescale_last(&mut self, mode: Mode) -> Result<Num, CircuitError> {
        let (row, acc) = self.last_acc()?;
        self.rescale_on(row, acc, mode)
    }
}
