//! Fresh values of a bounded width, and public inputs unpacked from instance words.
//!
//! - A value of `b <= 16` signed bits takes one row, on which `y = abs - 2^15` and `2^(16-b) y = rem - 2^15`, all limbs
//!   looked up: `y` is an integer of 16 bits and `2^(16-b) y` has 16 bits.
//! - A value of `16 < b <= 32` bits: a rescaling row whose accumulator is `p - 2^15` bounds `p` to `[-2^31, 2^31)`, and for
//!   `b < 32` a second row does the same for `2^(32-b) p`.
//!
//! Public values of up to 16 bits share their row with the packing of [`super::pack`]: `p` is a copy of `y`, and rows
//! in between, which an evaluation in place leaves, pass the accumulator on. That takes the last element first;
//! where the wanted order is another, values are packed on rows of their own.
//!
//! Unique: every other cell is a function of the value. Cost: one row for up to 16 bits, else one or two and a
//! row for the packing.

use halo2_proofs::{halo2curves::bn256::Fr, plonk::ConstraintSystem};
use vouch_graph::int::Packing;

use super::{
    arith::Coefs,
    rescale::{Mode, joined},
    track::{Chain, Tracker},
};
use crate::{
    column::{AdviceColumn as A, FixedColumn as F},
    config::{VouchConfig, constant},
    error::CircuitError,
    layout::{Builder, Cell, HintSite, Num},
};

/// Bits of a value whose row bounds it by itself.
const ROW_BITS: u32 = 16;

const HALF: i128 = 1 << (ROW_BITS - 1);

pub(crate) fn configure(meta: &mut ConstraintSystem<Fr>, config: &VouchConfig) {
    config.gate(meta, "input range", |q| {
        let (scale, rem) = (q.fixed(F::Input), joined(q, A::Rem0, A::Rem1));
        scale.clone() * (scale * q.advice(A::Y) + constant(HALF) - rem)
    });
}

impl Builder<'_> {
    /// A fresh value in `[-2^(bits-1), 2^(bits-1))`, `1 <= bits <= 32`.
    pub(crate) fn fresh(&mut self, value: i128, bits: u32) -> Result<Num, CircuitError> {
        let half = 1i128 << (bits - 1);
        self.check_range(value, -half, half - 1)?;
        let mut hint = [value];
        let row = self.next_row();
        self.hints().adjust(HintSite { gadget: "fresh", row }, &mut hint);
        let [value] = hint;
        if bits <= ROW_BITS {
            self.take_row();
            return Ok(self.bounded(row, value, bits));
        }
        let operand = self.assign(A::P, row, value);
        self.arith_on(row, (operand, None), Coefs { p: 1, constant: -HALF, ..Coefs::default() })?;
        self.rescale_last(Mode::Signed)?;
        if bits < 2 * ROW_BITS {
            let coefs = Coefs { p: 1 << (2 * ROW_BITS - bits), constant: -HALF, ..Coefs::default() };
            self.arith_row(Some(operand), None, coefs)?;
            self.rescale_last(Mode::Signed)?;
        }
        Ok(operand)
    }

    /// Bounds a value on a row that is taken.
    fn bounded(&mut self, row: usize, value: i128, bits: u32) -> Num {
        let scale = 1i128 << (ROW_BITS - bits);
        self.set_split(row, value + HALF, scale * value + HALF);
        self.set_fixed(F::Input, row, scale);
        self.assign(A::Y, row, value)
    }

    /// Lays out an input; a public one becomes the next instances.
    pub(crate) fn input(
        &mut self,
        values: &[i64],
        packing: Packing,
        public: bool,
        wanted: &[Chain],
    ) -> Result<Vec<Num>, CircuitError> {
        let mut chains = wanted.to_vec();
        chains.sort_by_key(|chain| std::cmp::Reverse(chain.terms.first().map(|(element, _)| *element)));
        let elements = chains.iter().flat_map(|chain| chain.terms.iter().map(|(element, _)| *element));
        let falling = wanted.is_empty() || elements.eq((0..values.len()).rev());
        let together = public && falling && packing.bits <= ROW_BITS;
        if together {
            return self.unpack(values, packing, &chains);
        }
        let nums = self.emit(values.len(), wanted, |builder, i| builder.fresh(i128::from(values[i]), packing.bits))?;
        if public {
            self.expose(&nums, packing)?;
        }
        Ok(nums)
    }

    /// Public values with their packing on the same rows, the last element first.
    fn unpack(&mut self, values: &[i64], packing: Packing, chains: &[Chain]) -> Result<Vec<Num>, CircuitError> {
        let mut nums: Vec<Option<Num>> = vec![None; values.len()];
        let mut words: Vec<Cell> = Vec::new();
        let mut above: Option<usize> = None;
        let mut unpack = |builder: &mut Self, element: usize| -> Result<Num, CircuitError> {
            let num = builder.fresh(i128::from(values[element]), packing.bits)?;
            let row = num.cell().row;
            // The last value of a word starts it.
            let starts = (element + 1).is_multiple_of(packing.per_word) || element + 1 == values.len();
            builder.pack_on(row, num, packing, above.filter(|_| !starts));
            above = Some(row);
            if element.is_multiple_of(packing.per_word) {
                words.push(Cell { column: A::Acc, row });
            }
            nums[element] = Some(num);
            Ok(num)
        };
        for chain in chains {
            let mut tracker = Tracker::new(chain.variable);
            for (element, exponent) in &chain.terms {
                tracker.before(self, *exponent);
                let num = unpack(self, *element)?;
                tracker.after(self, num, *exponent);
            }
            tracker.finish(self);
        }
        if chains.is_empty() {
            for element in (0..values.len()).rev() {
                unpack(self, element)?;
            }
        }
        words.into_iter().rev().for_each(|word| self.expose_cell(word));
        let nums: Option<Vec<Num>> = nums.into_iter().collect();
        nums.ok_or_else(|| self.malformed("an element of an input has no row"))
    }
}
