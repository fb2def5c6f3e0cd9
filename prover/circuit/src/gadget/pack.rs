//! Packing values into an instance word.
//!
//! `word = sum_i (v_i + 2^(b-1)) * 2^(b*i)` by Horner's rule from the last value down:
//! `acc = acc[-1] * 2^b + v + 2^(b-1)`. The values' ranges are known already, so the packing is
//! one-to-one. Cost: a row a value. The word is bound to its instance by a copy constraint.

use vouch_graph::int::Packing;

use super::arith::Coefs;
use crate::{
    column::AdviceColumn as A,
    error::CircuitError,
    layout::{Builder, Cell, Num},
};

impl Builder<'_> {
    /// Packs `values` and makes the words the next instances.
    pub(crate) fn expose(&mut self, values: &[Num], packing: Packing) -> Result<(), CircuitError> {
        for word in values.chunks(packing.per_word) {
            for (i, value) in word.iter().rev().enumerate() {
                let prev = if i == 0 { 0 } else { 1i128 << packing.bits };
                let constant = i128::from(packing.offset());
                self.arith_row(Some(*value), None, Coefs { p: 1, constant, prev, ..Coefs::default() })?;
            }
            let row = self.next_row() - 1;
            self.expose_cell(Cell { column: A::Acc, row });
        }
        Ok(())
    }

    /// Packs a value on the row that bounds it, behind the rest of the word on the row `above`.
    pub(crate) fn pack_on(&mut self, row: usize, value: Num, packing: Packing, above: Option<usize>) {
        let own = self.copy_into(A::P, row, value);
        let mut coefs = Coefs { p: 1, constant: i128::from(packing.offset()), ..Coefs::default() };
        if let Some(above) = above {
            // Rows in between pass the word on.
            (above + 1..row).for_each(|between| self.accumulate(between, None, Coefs { prev: 1, ..Coefs::default() }));
            coefs.prev = 1i128 << packing.bits;
        }
        self.accumulate(row, Some(own), coefs);
    }
}
