//! Fresh values of a bounded width.
//!
//! A value `v` of `b <= 16` signed bits: a rescaling row whose accumulator is `2^16 * v` with
//! `v = p = y` bounds it to 16 bits (the remainder is then forced); for `b < 16` a second row does
//! the same for `2^(16-b) * v`. Together they say `v` is an integer and `2^(16-b) v` has 16 bits.
//!
//! A value of `16 < b <= 32` bits: a row whose accumulator is `v - 2^15` bounds `v` to
//! `[-2^31, 2^31)`, and for `b < 32` a second row bounds `2^(32-b) v`.
//!
//! Cost: one or two rows, four or eight lookups. Every other cell is a function of `v`.

use super::{arith::Coefs, rescale::Mode};
use crate::{
    column::AdviceColumn as A,
    error::CircuitError,
    layout::{Builder, HintSite, Num},
};

impl Builder<'_> {
    /// A fresh value in `[-2^(bits-1), 2^(bits-1))`, `1 <= bits <= 32`.
    pub(crate) fn fresh(&mut self, value: i128, bits: u32) -> Result<Num, CircuitError> {
        let half = 1i128 << (bits - 1);
        self.check_range(value, -half, half - 1)?;
        let mut hint = [value];
        let row = self.next_row();
        self.hints().adjust(HintSite { gadget: "fresh", row }, &mut hint);
        let operand = self.assign(A::P, row, hint[0]);
        if bits <= 16 {
            self.arith_on(row, (operand, None), Coefs { p: 1 << 16, ..Coefs::default() })?;
            let y = self.rescale_last(Mode::Signed)?;
            self.copy(operand, y);
            if bits < 16 {
                self.narrow(y, Coefs { p: 1 << (32 - bits), ..Coefs::default() })?;
            }
        } else {
            self.arith_on(row, (operand, None), Coefs { p: 1, constant: -(1 << 15), ..Coefs::default() })?;
            self.rescale_last(Mode::Signed)?;
            if bits < 32 {
                self.narrow(operand, Coefs { p: 1 << (32 - bits), constant: -(1 << 15), ..Coefs::default() })?;
            }
        }
        Ok(operand)
    }

    /// Bounds a multiple of `value` to the range of a signed rescaling row.
    fn narrow(&mut self, value: Num, coefs: Coefs) -> Result<(), CircuitError> {
        self.arith_row(Some(value), None, coefs)?;
        self.rescale_last(Mode::Signed).map(|_| ())
    }
}
