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
    layout::{Builder, Num},
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
            self.expose_last(A::Acc);
        }
        Ok(())
    }
}
