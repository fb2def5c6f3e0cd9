//! Square root, rounded down.
//!
//! `rho = a * 2^s - y^2` with `0 <= rho <= 2 y`, so `y = floor(sqrt(a * 2^s))`. Rows:
//!
//! 1. `y`, a fresh value of 16 signed bits;
//! 2. accumulator `-2^16 * y^2`;
//! 3. accumulator `2^16 (rho - 2^15)`, rescaled: `rho` is in `[0, 2^16)`;
//! 4. accumulator `2^16 (2 y - rho - 2^15)`, rescaled: `rho <= 2 y`.
//!
//! Unique: `y^2 <= a * 2^s < (y + 1)^2` holds for one `y >= 0`, and `0 <= rho <= 2 y` leaves no negative one.
//! `y^2 < 2^30` and `a * 2^s` is bounded by the interval analysis, so nothing wraps; a negative `a` has no `rho`.

use super::{
    arith::Coefs,
    rescale::{Mode, SHIFT},
};
use crate::{
    error::CircuitError,
    layout::{Builder, HintSite, Num},
};

/// One unit of a rescaled value.
const UNIT: i128 = 1 << SHIFT;

/// Moves `[0, 2^16)` to the range that a signed rescaling row bounds.
const CENTRE: i128 = -(1 << (SHIFT - 1)) * UNIT;

impl Builder<'_> {
    /// `floor(sqrt(a * 2^shift))`.
    pub(crate) fn root(&mut self, a: Num, shift: u32) -> Result<Num, CircuitError> {
        self.check_range(a.value(), 0, i128::from(i64::MAX))?;
        let radicand = a.value().checked_mul(1 << shift).ok_or_else(|| self.overflow())?;
        // Without a witness the radicand is anything.
        let mut hint = [radicand.max(0).isqrt()];
        let row = self.next_row();
        self.hints().adjust(HintSite { gadget: "root", row }, &mut hint);
        let y = self.fresh(hint[0], 16)?;
        self.arith_row(Some(y), Some(y), Coefs { product: -UNIT, ..Coefs::default() })?;
        let coefs = Coefs { p: UNIT << shift, prev: 1, constant: CENTRE, ..Coefs::default() };
        self.arith_row(Some(a), None, coefs)?;
        self.rescale_last(Mode::Signed)?;
        let coefs = Coefs { p: 2 * UNIT, prev: -1, constant: 2 * CENTRE, ..Coefs::default() };
        self.arith_row(Some(y), None, coefs)?;
        self.rescale_last(Mode::Signed)?;
        Ok(y)
    }
}
