//! halo2's own lookup argument (`plonk/lookup.rs` of halo2-axiom).
//!
//! With `A` the input and `S` the table, each joined from its expressions by powers of `theta`, `A'`
//! and `S'` their permuted forms and `Z` the running product, the constraints are, in halo2's order:
//!
//! - `l_first (1 - Z) = 0`
//! - `l_last (Z^2 - Z) = 0`
//! - `l_active (Z(omega x) (A' + beta) (S' + gamma) - Z (A + beta) (S + gamma)) = 0`
//! - `l_first (A' - S') = 0`
//! - `l_active (A' - S') (A' - A'(x / omega)) = 0`

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field;
use halo2_proofs::plonk::{ConstraintSystem, Expression};

use super::constraints::Constraints;
use super::program::Id;
use super::shape::{Commitment, Eval};
use super::transcript::Challenge;
use crate::error::Result;

/// A polynomial that the proof commits to for a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Polynomial {
    /// The input's values, sorted.
    Input,
    /// The table's values, beside the input's.
    Table,
    /// The running product.
    Product,
}

/// An evaluation of one of them, in the order of the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Opening {
    /// The product at `x`.
    Product,
    /// The product at `omega x`.
    ProductNext,
    /// The permuted input at `x`.
    Input,
    /// The permuted input at `x / omega`.
    InputPrevious,
    /// The permuted table at `x`.
    Table,
}

impl Opening {
    /// Evaluations of one lookup in a proof.
    pub(crate) const COUNT: usize = 5;

    /// Position among the lookup's evaluations.
    pub(crate) fn position(self) -> usize {
        match self {
            Opening::Product => 0,
            Opening::ProductNext => 1,
            Opening::Input => 2,
            Opening::InputPrevious => 3,
            Opening::Table => 4,
        }
    }
}

/// Openings of a lookup, in halo2's order.
pub(crate) fn queries(lookup: usize) -> [(Commitment, i32, Eval); Opening::COUNT] {
    let commitment = |polynomial| Commitment::Lookup(lookup, polynomial);
    let eval = |opening| Eval::Lookup(lookup, opening);
    [
        (commitment(Polynomial::Product), 0, eval(Opening::Product)),
        (commitment(Polynomial::Input), 0, eval(Opening::Input)),
        (commitment(Polynomial::Table), 0, eval(Opening::Table)),
        (commitment(Polynomial::Input), -1, eval(Opening::InputPrevious)),
        (commitment(Polynomial::Product), 1, eval(Opening::ProductNext)),
    ]
}

/// Highest degree of the constraints of all lookups; zero where there are none.
pub(crate) fn degree(cs: &ConstraintSystem<Fr>) -> usize {
    let highest = |expressions: &[Expression<Fr>]| expressions.iter().map(Expression::degree).max().unwrap_or(0).max(1);
    let degrees = cs.lookups().iter().map(|lookup| {
        let product = 2 + highest(lookup.input_expressions()) + highest(lookup.table_expressions());
        product.max(4)
    });
    degrees.max().unwrap_or(0)
}

impl Constraints<'_> {
    /// The constraints of all lookups.
    pub(super) fn lookups(&mut self, all: &mut Vec<Id>) -> Result<()> {
        let shape = self.shape;
        for (index, lookup) in shape.cs.lookups().iter().enumerate() {
            let input = self.joined(lookup.input_expressions(), lookup.name())?;
            let table = self.joined(lookup.table_expressions(), lookup.name())?;
            let [product, next, permuted_input, previous, permuted_table] =
                [Opening::Product, Opening::ProductNext, Opening::Input, Opening::InputPrevious, Opening::Table]
                    .map(|opening| self.eval(Eval::Lookup(index, opening)));
            let (l_first, l_last, l_active) = (self.inputs.l_first, self.inputs.l_last, self.inputs.l_active);
            let (beta, gamma) = (self.inputs.beta, self.inputs.gamma);
            let p = &mut *self.program;

            let one = p.constant(Fr::ONE);
            let not_product = p.sub(one, product);
            all.push(p.mul(l_first, not_product));

            let minus_one = p.sub(product, one);
            let boolean = p.mul(product, minus_one);
            all.push(p.mul(l_last, boolean));

            let mut shifted_product = |product: Id, input: Id, table: Id| {
                let (input, table) = (p.add(input, beta), p.add(table, gamma));
                let with_input = p.mul(product, input);
                p.mul(with_input, table)
            };
            let left = shifted_product(next, permuted_input, permuted_table);
            let right = shifted_product(product, input, table);
            let step = p.sub(left, right);
            all.push(p.mul(l_active, step));

            let apart = p.sub(permuted_input, permuted_table);
            all.push(p.mul(l_first, apart));

            let changed = p.sub(permuted_input, previous);
            let both = p.mul(apart, changed);
            all.push(p.mul(l_active, both));
        }
        Ok(())
    }

    /// `theta^(m-1) e_0 + ... + theta e_(m-2) + e_(m-1)`.
    fn joined(&mut self, expressions: &[Expression<Fr>], lookup: &str) -> Result<Id> {
        let mut terms = Vec::with_capacity(expressions.len());
        for expression in expressions.iter().rev() {
            terms.push(self.expression(expression, lookup)?);
        }
        let address = self.transcript.challenge(Challenge::Theta);
        let theta = self.program.word(address);
        Ok(self.program.horner(&terms, theta))
    }
}
