//! Division by a computed value, rounding half up.
//!
//! `rho = num * 2^(s+1) + den - 2 * den * y` with `0 <= rho < 2 * den`, so
//! `y = floor((num * 2^(s+1) + den) / (2 den))`. Rows:
//!
//! 1. `y`, a fresh value of 16 signed bits;
//! 2. accumulator `-2 * y * den`;
//! 3. accumulator `rho - 2^31 - 2^15`, rescaled: `rho` is in `[0, 2^32)`;
//! 4. accumulator `2 den - 1 - rho - 2^31 - 2^15`, rescaled: `rho < 2 den`.
//!
//! Unique: `|2 den y| < 2^46` and the numerator is bounded by the interval analysis, so nothing
//! wraps and the equation is over the integers; a denominator of zero or below has no `rho`.
//!
//! Operands: validation refuses a graph in which a denominator can be `2^30` or more, and the ranges that it derives
//! are those that constraints enforce on the operands. The fresh value's range is the executor's, `[-2^15, 2^15)`;
//! where no numerator can be negative, `y >= 0` follows from the equation.

use vouch_graph::int::DENOMINATOR;

use super::{arith::Coefs, rescale::Mode};
use crate::{
    error::CircuitError,
    layout::{Builder, HintSite, Num},
};

/// Moves `[0, 2^32)` to the range that a signed rescaling row bounds.
const CENTRE: i128 = -(1 << 31) - (1 << 15);

impl Builder<'_> {
    /// `num * 2^shift / den`, rounded.
    pub(crate) fn divide(&mut self, num: Num, den: Num, shift: u32) -> Result<Num, CircuitError> {
        self.check_range(num.value(), i128::from(i64::MIN), i128::from(i64::MAX))?;
        self.check_range(den.value(), DENOMINATOR.lo, DENOMINATOR.hi)?;
        let doubled = num.value().checked_mul(1 << (shift + 1)).ok_or_else(|| self.overflow())?;
        // Without a witness the denominator is zero.
        let mut hint = [(doubled + den.value()).checked_div_euclid(2 * den.value()).unwrap_or(0)];
        let row = self.next_row();
        self.hints().adjust(HintSite { gadget: "divide", row }, &mut hint);
        let y = self.fresh(hint[0], 16)?;
        self.arith_row(Some(y), Some(den), Coefs { product: -2, ..Coefs::default() })?;
        let coefs = Coefs { p: 1 << (shift + 1), q: 1, prev: 1, constant: CENTRE, product: 0 };
        self.arith_row(Some(num), Some(den), coefs)?;
        self.rescale_last(Mode::Signed)?;
        let coefs = Coefs { p: 2, prev: -1, constant: 2 * CENTRE - 1, ..Coefs::default() };
        self.arith_row(Some(den), None, coefs)?;
        self.rescale_last(Mode::Signed)?;
        Ok(y)
    }
}
