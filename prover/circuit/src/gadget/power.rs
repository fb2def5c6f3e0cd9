//! Powers of the challenge of positions, and sums of them, as cells.
//!
//! A row that tracks the constant one and a row behind it that multiplies by the challenge make the challenge a cell.
//! Powers follow by squaring and multiplying in the weight unit: `dot = x`, then `dot = x * dot[-1]`. Each is
//! laid out once a circuit. Every cell is a function of the challenge.

use crate::{
    column::{AdviceColumn as A, FixedColumn as F},
    error::CircuitError,
    layout::{Builder, Cell},
};

impl Builder<'_> {
    /// A row of the weight unit without weights: its accumulator takes `x`, where one is given.
    pub(crate) fn dot_row(&mut self, selectors: &[F], x: Option<Cell>) -> Result<Cell, CircuitError> {
        let row = self.weight_row(&[])?;
        for selector in selectors {
            self.set_fixed(*selector, row, 1);
        }
        if let Some(x) = x {
            self.set_x(row, x);
        }
        Ok(Cell { column: A::Dot, row })
    }

    /// The product of two cells.
    pub(crate) fn dot_product(&mut self, left: Cell, right: Cell) -> Result<Cell, CircuitError> {
        self.dot_row(&[F::DotLoad], Some(left))?;
        self.dot_row(&[F::DotScale], Some(right))
    }

    /// `s^exponent`, of one at least.
    pub(crate) fn power(&mut self, exponent: usize) -> Result<Cell, CircuitError> {
        if let Some(cell) = self.powers().get(&exponent) {
            return Ok(*cell);
        }
        let cell = match exponent {
            0 | 1 => {
                let one = self.constant(1)?;
                let row = self.take_row();
                self.copy_into(A::Y, row, one);
                self.set_fixed(F::Track, row, 1);
                let row = self.take_row();
                self.set_fixed(F::TrackPosition, row, 1);
                Cell { column: A::Track, row }
            }
            odd if odd % 2 == 1 => {
                let (below, once) = (self.power(odd - 1)?, self.power(1)?);
                self.dot_product(below, once)?
            }
            even => {
                let half = self.power(even / 2)?;
                self.dot_product(half, half)?
            }
        };
        self.powers().insert(exponent, cell);
        Ok(cell)
    }

    /// `sum_(i < terms) s^(step i)`.
    fn geometric_sum(&mut self, terms: usize, step: usize) -> Result<Cell, CircuitError> {
        let one = self.constant(1)?.cell();
        if terms == 1 {
            return Ok(one);
        }
        let factor = self.power(step)?;
        let mut sum = self.dot_row(&[F::DotLoad], Some(one))?;
        for _ in 1..terms {
            self.dot_row(&[F::DotScale], Some(factor))?;
            sum = self.dot_row(&[F::DotContinue, F::DotLoad], Some(one))?;
        }
        Ok(sum)
    }

    /// `s^shift` times the sum of `s^(row_stride y + x)` over an image's positions.
    pub(crate) fn position_sum(
        &mut self,
        [rows, cols]: [usize; 2],
        row_stride: usize,
        shift: usize,
    ) -> Result<Cell, CircuitError> {
        let key = [rows, cols, row_stride, shift];
        if let Some(cell) = self.position_sums().get(&key) {
            return Ok(*cell);
        }
        let mut sum = self.geometric_sum(cols, 1)?;
        if rows > 1 {
            let column = self.geometric_sum(rows, row_stride)?;
            sum = self.dot_product(sum, column)?;
        }
        if shift > 0 {
            let power = self.power(shift)?;
            sum = self.dot_product(sum, power)?;
        }
        self.position_sums().insert(key, sum);
        Ok(sum)
    }
}
