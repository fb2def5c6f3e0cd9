//! Piecewise linear functions.
//!
//! A function row splits its operand, `p + 2^15 = abs0 + 2^8 * abs1`, looks `abs0` up as a byte
//! and `(abs1, rem0)`, `(abs1 + 1, rem1)` in the function's table, and interpolates:
//! `acc = 2^8 * rem0 + (rem1 - rem0) * abs0`. The next row rescales the accumulator.
//!
//! Unique: the table has one value a segment, and segments are below `2^8 + 1`, so `abs0` and
//! `abs1` are quotient and remainder of one division (the last point, segment 256, has no successor and
//! so cannot stand for `abs1`). Cost: two rows, three lookups and the rescale's four.

use halo2_proofs::{halo2curves::bn256::Fr, plonk::ConstraintSystem};
use vouch_graph::int::{Rescale, SEGMENT_BITS};

use super::{
    arith::Coefs,
    rescale::{Mode, SHIFT},
};
use crate::{
    column::{AdviceColumn as A, FixedColumn as F},
    config::{VouchConfig, constant},
    error::CircuitError,
    layout::{Builder, HintSite, Num},
};

const OFFSET: i128 = 1 << 15;

pub(crate) fn configure(meta: &mut ConstraintSystem<Fr>, config: &VouchConfig) {
    config.gate(meta, "function input", |q| {
        let split = q.advice(A::Abs0) + q.advice(A::Abs1) * constant(1 << SEGMENT_BITS);
        q.fixed(F::Function) * (q.advice(A::P) + constant(OFFSET) - split)
    });
    config.gate(meta, "function value", |q| {
        let (start, end, at) = (q.advice(A::Rem0), q.advice(A::Rem1), q.advice(A::Abs0));
        let value = start.clone() * constant(1 << SEGMENT_BITS) + (end - start) * at;
        q.fixed(F::Function) * (q.advice(A::Acc) - value)
    });
}

impl Builder<'_> {
    /// `rescale(interpolate(table, input))`; `tag` is the table's, from [`Builder::function_tag`].
    pub(crate) fn function(
        &mut self,
        input: Num,
        tag: usize,
        rescale: Rescale,
        mode: Mode,
    ) -> Result<Num, CircuitError> {
        let at = input.value() + OFFSET;
        self.check_range(input.value(), -OFFSET, OFFSET - 1)?;
        let row = self.next_row();
        let segment = at >> SEGMENT_BITS;
        let mut hint = [at & 255, segment, self.function_point(tag, segment), self.function_point(tag, segment + 1)];
        self.hints().adjust(HintSite { gadget: "function", row }, &mut hint);
        let [low, _, start, end] = hint;
        self.copy_into(A::P, row, input);
        self.set_limbs(row, hint);
        self.set_fixed(F::Function, row, 1);
        self.set_fixed(F::Tag, row, tag as i128);
        self.set_acc(row, (start << SEGMENT_BITS) + (end - start) * low);
        self.arith_row(None, None, Coefs { prev: 1 << (SHIFT - rescale.shift), ..Coefs::default() })?;
        self.rescale_last(mode)
    }
}
