//! Accumulator rows.
//!
//! Equation, on every row: `acc = c_pq*p*q + c_p*p + c_q*q + c + c_prev*acc[-1]`, and on a row that interpolates a
//! function `acc = 2^8 q + y * abs0` (see [`super::function`]).
//!
//! Rows: one for each pair of linear terms, or for each product; longer sums chain through
//! `c_prev`. `p` and `q` are copies (or a fresh value that another constraint bounds).
//! The accumulator is a function of the operands, so its value is unique. A row without coefficients has zero.

use halo2_proofs::{halo2curves::bn256::Fr, plonk::ConstraintSystem};
use vouch_graph::int::SEGMENT_BITS;

use crate::{
    column::{AdviceColumn as A, FixedColumn as F},
    config::{VouchConfig, constant},
    error::CircuitError,
    layout::{Builder, Num},
};

pub(crate) fn configure(meta: &mut ConstraintSystem<Fr>, config: &VouchConfig) {
    config.gate(meta, "accumulator", |q| {
        let (p, other, acc) = (q.advice(A::P), q.advice(A::Q), q.advice(A::Acc));
        let mut sum = q.fixed(F::CoefP) * p.clone() + q.fixed(F::CoefQ) * other.clone() + q.fixed(F::CoefConst);
        if q.has(F::CoefPrev) {
            sum = sum + q.fixed(F::CoefPrev) * q.above(A::Acc);
        }
        if q.has(F::CoefProduct) {
            sum = sum + q.fixed(F::CoefProduct) * p * other.clone();
        }
        if q.has(F::Function) {
            let value = other * constant(1 << SEGMENT_BITS) + q.advice(A::Y) * q.advice(A::Abs0);
            sum = sum + q.fixed(F::Function) * value;
        }
        acc - sum
    });
}
/// Coefficients of one accumulator row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Coefs {
    /// Of `p * q`.
    pub(crate) product: i128,
    /// Of `p`.
    pub(crate) p: i128,
    /// Of `q`.
    pub(crate) q: i128,
    /// Constant term.
    pub(crate) constant: i128,
    /// Of the accumulator of the row above.
    pub(crate) prev: i128,
}

/// A term of a sum of terms.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Term {
    /// `coefficient * value`.
    Scaled(i128, Num),
    /// `coefficient * left * right`.
    Product(i128, Num, Num),
}

impl Builder<'_> {
    /// Lays out `sum of terms + constant` over as many rows as it takes; the last row is open for
    /// a rescale.
    pub(crate) fn sum_rows(&mut self, terms: &[Term], constant: i128) -> Result<(), CircuitError> {
        let mut rest = terms;
        let mut first = true;
        loop {
            let mut coefs = Coefs { prev: i128::from(!first), ..Coefs::default() };
            let mut operands = (None, None);
            match *rest {
                [Term::Product(c, a, b), ..] => {
                    coefs.product = c;
                    operands = (Some(a), Some(b));
                    rest = &rest[1..];
                }
                [Term::Scaled(c, a), Term::Scaled(d, b), ..] => {
                    (coefs.p, coefs.q) = (c, d);
                    operands = (Some(a), Some(b));
                    rest = &rest[2..];
                }
                [Term::Scaled(c, a), ..] => {
                    coefs.p = c;
                    operands = (Some(a), None);
                    rest = &rest[1..];
                }
                [] => {}
            }
            if rest.is_empty() {
                coefs.constant = constant;
            }
            self.arith_row(operands.0, operands.1, coefs)?;
            if rest.is_empty() {
                return Ok(());
            }
            first = false;
        }
    }
}
