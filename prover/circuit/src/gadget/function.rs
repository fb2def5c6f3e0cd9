//! Piecewise linear functions.
//!
//! A function row splits its operand, `p + 2^15 = abs0 + 2^8 * abs1`, looks `abs0` up as a byte and
//! `(abs1, q, y)` in the function's table: the segment, its value at the start and its slope. The accumulator is
//! `2^8 q + y * abs0`; the next row rescales it.
//!
//! Unique: the table has one entry a segment, and segments are below `2^8`, so `abs0` and `abs1` are quotient and
//! remainder of one division (the last point starts no segment: its row has tag zero). Cost: two rows.
//! Bytes of eight bits only: a plan with wider limbs has no functions.

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
        let row = self.take_row();
        let segment = at >> SEGMENT_BITS;
        let start = self.function_point(tag, segment);
        let mut hint = [at & 255, segment, start, self.function_point(tag, segment + 1) - start];
        self.hints().adjust(HintSite { gadget: "function", row }, &mut hint);
        let [low, segment, start, slope] = hint;
        self.copy_into(A::P, row, input);
        self.assign(A::Q, row, start);
        self.assign(A::Y, row, slope);
        self.set_limbs(row, [low, segment, 0, 0]);
        self.set_fixed(F::Function, row, 1);
        self.set_fixed(F::Tag, row, tag as i128);
        self.set_acc(row, (start << SEGMENT_BITS) + slope * low);
        self.arith_row(None, None, Coefs { prev: 1 << (SHIFT - rescale.shift), ..Coefs::default() })?;
        self.rescale_last(mode)
    }
}
