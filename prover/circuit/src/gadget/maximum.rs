//! Maximum of a group, by a running maximum.
//!
//! Row `i`: `p = a_i`, `q = M_(i-1)`, accumulator `2^16 (a_i - M_(i-1))`, rescaled in mode max:
//! `y = M_i = max(M_(i-1), a_i)`. Cost: a row an element after the first. Unique by the rescale's
//! argument; on a tie both branches give the same value.
//!
//! The rows bound `a_i - M_(i-1)` to less than `2^16` in magnitude, the executor any two elements of
//! the group. Validation refuses a graph in which the two could differ.

use super::{
    arith::Coefs,
    rescale::{Mode, SHIFT},
};
use crate::{
    error::CircuitError,
    layout::{Builder, Num},
};

impl Builder<'_> {
    /// The largest of `values`, of which there is at least one.
    pub(crate) fn maximum(&mut self, values: &[Num]) -> Result<Num, CircuitError> {
        let Some((first, rest)) = values.split_first() else {
            return Err(self.malformed("maximum of nothing"));
        };
        let (least, most) =
            rest.iter().fold((first.value(), first.value()), |(lo, hi), v| (lo.min(v.value()), hi.max(v.value())));
        self.check_range(most - least, 0, (1 << SHIFT) - 1)?;
        rest.iter().try_fold(*first, |best, value| {
            let unit = 1i128 << SHIFT;
            self.arith_row(Some(*value), Some(best), Coefs { p: unit, q: -unit, ..Coefs::default() })?;
            self.rescale_last(Mode::Max(best))
        })
    }
}
