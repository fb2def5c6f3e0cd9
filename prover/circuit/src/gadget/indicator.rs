//! Whether a value is not negative, or is zero, as a bit; and the choice that a bit makes.
//!
//! With `|a| < 2^16`, two rows, each rescaled in mode relu with shift 0:
//!
//! - not negative: `u = max(0, -a)`, `y = max(0, 1 - u)`;
//! - zero: `u = max(0, a)`, `y = max(0, 1 - (2u - a))`, where `2u - a = |a|`.
//!
//! Unique by the rescale's argument. The interval analysis bounds `a`, and so the values before the ReLUs, to
//! less than `2^16` in magnitude.
//!
//! A choice is `y = c*a + (1 - c)*b` in exact rows. Validation refuses a graph in which `c` can be anything but 0 or 1.

use vouch_graph::int::Condition;

use super::{
    arith::{Coefs, Term},
    rescale::{Mode, SHIFT},
};
use crate::{
    error::CircuitError,
    layout::{Builder, Num},
};

/// One unit of a rescaled value.
const UNIT: i128 = 1 << SHIFT;

impl Builder<'_> {
    /// 1 where the condition holds for `a`, 0 elsewhere.
    pub(crate) fn indicator(&mut self, a: Num, condition: Condition) -> Result<Num, CircuitError> {
        self.check_range(a.value(), 1 - UNIT, UNIT - 1)?;
        let sign = match condition {
            Condition::NonNegative => -UNIT,
            Condition::Zero => UNIT,
        };
        self.arith_row(Some(a), None, Coefs { p: sign, ..Coefs::default() })?;
        let part = self.rescale_last(Mode::Relu)?;
        let coefs = match condition {
            Condition::NonNegative => Coefs { p: -UNIT, constant: UNIT, ..Coefs::default() },
            Condition::Zero => Coefs { p: -2 * UNIT, q: UNIT, constant: UNIT, ..Coefs::default() },
        };
        self.arith_row(Some(part), (condition == Condition::Zero).then_some(a), coefs)?;
        self.rescale_last(Mode::Relu)
    }

    /// `a` where `c` is 1, `b` where it is 0.
    pub(crate) fn select(&mut self, c: Num, a: Num, b: Num) -> Result<Num, CircuitError> {
        self.check_range(c.value(), 0, 1)?;
        self.sum_rows(&[Term::Product(1, c, a)], 0)?;
        // The second row reads the product through the accumulator above it.
        self.arith_row(Some(c), Some(b), Coefs { product: -1, q: 1, prev: 1, ..Coefs::default() })?;
        self.last_num()
    }
}
