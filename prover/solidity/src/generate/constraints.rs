//! The circuit's constraints as nodes of a [`Program`].

use std::collections::BTreeMap;

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::{Field, PrimeField};
use halo2_proofs::plonk::Expression;

use super::program::{Id, Program};
use super::shape::{Column, Eval, Shape};
use super::transcript::{Challenge, Transcript};
use crate::error::{Error, Result};

/// Values that the constraints read besides the proof's evaluations.
pub(crate) struct Inputs {
    /// One a query of the instance column.
    pub(crate) instance: Vec<Id>,
    pub(crate) l_first: Id,
    pub(crate) l_last: Id,
    /// One on usable rows, zero on the last and the blinding rows.
    pub(crate) l_active: Id,
    pub(crate) x: Id,
    pub(crate) beta: Id,
    pub(crate) gamma: Id,
}

/// `coefficient * product of challenge powers * rest`: challenge powers are pulled out of products
/// so that gates share them.
struct Term {
    coefficient: Fr,
    challenges: BTreeMap<usize, usize>,
    rest: Option<Id>,
}

/// Builds the nodes of gates, permutation argument and lookups.
pub(crate) struct Constraints<'a> {
    pub(crate) shape: &'a Shape<'a>,
    pub(crate) transcript: &'a Transcript,
    pub(crate) program: &'a mut Program,
    pub(crate) inputs: Inputs,
}

impl Constraints<'_> {
    /// All constraints, in the order in which halo2 folds them with `y`.
    pub(crate) fn build(mut self) -> Result<Vec<Id>> {
        let mut all = Vec::new();
        let shape = self.shape;
        for gate in shape.cs.gates() {
            for polynomial in gate.polynomials() {
                all.push(self.expression(polynomial, gate.name())?);
            }
        }
        self.permutation(&mut all)?;
        self.lookups(&mut all)?;
        Ok(all)
    }

    /// The value of an expression; `gate` is what errors name.
    pub(super) fn expression(&mut self, expression: &Expression<Fr>, gate: &str) -> Result<Id> {
        let term = self.term(expression, gate)?;
        Ok(self.node(&term))
    }

    fn missing(gate: &str, kind: &'static str, column: usize, rotation: i32) -> Error {
        Error::UnregisteredQuery { gate: gate.to_owned(), kind, column, rotation }
    }

    fn query(&mut self, column: Column, rotation: i32, gate: &str) -> Result<Id> {
        let shape = self.shape;
        let (eval, kind, index) = match column {
            Column::Advice(index) => {
                (shape.advice_queries.iter().position(|q| *q == (index, rotation)).map(Eval::Advice), "advice", index)
            }
            Column::Fixed(index) => {
                (shape.fixed_queries.iter().position(|q| *q == (index, rotation)).map(Eval::Fixed), "fixed", index)
            }
            Column::Instance => {
                let position = shape.instance_queries.iter().position(|q| *q == rotation);
                return position
                    .map(|i| self.inputs.instance[i])
                    .ok_or_else(|| Self::missing(gate, "instance", 0, rotation));
            }
        };
        let eval = eval.ok_or_else(|| Self::missing(gate, kind, index, rotation))?;
        Ok(self.eval(eval))
    }

    pub(super) fn eval(&mut self, eval: Eval) -> Id {
        let address = self.transcript.eval(eval);
        self.program.word(address)
    }

    fn leaf(&self, rest: Id) -> Term {
        Term { coefficient: Fr::ONE, challenges: BTreeMap::new(), rest: Some(rest) }
    }

    fn term(&mut self, expression: &Expression<Fr>, gate: &str) -> Result<Term> {
        Ok(match expression {
            Expression::Constant(value) => Term { coefficient: *value, challenges: BTreeMap::new(), rest: None },
            Expression::Challenge(challenge) => {
                Term { coefficient: Fr::ONE, challenges: BTreeMap::from([(challenge.index(), 1)]), rest: None }
            }
            Expression::Selector(selector) => {
                return Err(Error::VirtualSelector { gate: gate.to_owned(), selector: selector.index() });
            }
            Expression::Fixed(q) => {
                let id = self.query(Column::Fixed(q.column_index()), q.rotation().0, gate)?;
                self.leaf(id)
            }
            Expression::Advice(q) => {
                let id = self.query(Column::Advice(q.column_index()), q.rotation().0, gate)?;
                self.leaf(id)
            }
            Expression::Instance(q) => {
                let id = self.query(Column::Instance, q.rotation().0, gate)?;
                self.leaf(id)
            }
            Expression::Negated(a) => {
                let mut term = self.term(a, gate)?;
                term.coefficient = -term.coefficient;
                term
            }
            Expression::Scaled(a, factor) => {
                let mut term = self.term(a, gate)?;
                term.coefficient *= factor;
                term
            }
            Expression::Product(a, b) => {
                let mut a = self.term(a, gate)?;
                let b = self.term(b, gate)?;
                a.coefficient *= b.coefficient;
                for (challenge, exponent) in b.challenges {
                    *a.challenges.entry(challenge).or_default() += exponent;
                }
                a.rest = match (a.rest, b.rest) {
                    (Some(x), Some(y)) => Some(self.program.mul(x, y)),
                    (x, y) => x.or(y),
                };
                a
            }
            Expression::Sum(a, b) => {
                let a = self.term(a, gate)?;
                let b = self.term(b, gate)?;
                let (a, b) = (self.node(&a), self.node(&b));
                let sum = self.program.add(a, b);
                self.leaf(sum)
            }
        })
    }

    fn node(&mut self, term: &Term) -> Id {
        let mut scale = self.program.constant(Fr::ONE);
        for (challenge, exponent) in &term.challenges {
            let address = self.transcript.challenge(Challenge::Circuit(*challenge));
            let base = self.program.word(address);
            let power = self.program.power(base, *exponent);
            scale = self.program.mul(scale, power);
        }
        let value = match term.rest {
            Some(rest) => self.program.mul(scale, rest),
            None => scale,
        };
        let coefficient = self.program.constant(term.coefficient);
        self.program.mul(value, coefficient)
    }

    fn permutation(&mut self, all: &mut Vec<Id>) -> Result<()> {
        let products = self.shape.products();
        let now: Vec<Id> = (0..products).map(|set| self.eval(Eval::Product(set))).collect();
        let at_last: Vec<Id> = (1..products).map(|set| self.eval(Eval::ProductLast(set - 1))).collect();
        let Inputs { l_first, l_last, l_active, x, beta, gamma, .. } = self.inputs;
        let p = &mut *self.program;
        let one = p.constant(Fr::ONE);
        if let (Some(first), Some(last)) = (now.first(), now.last()) {
            let not_first = p.sub(one, *first);
            all.push(p.mul(l_first, not_first));
            let minus_one = p.sub(*last, one);
            let boolean = p.mul(*last, minus_one);
            all.push(p.mul(l_last, boolean));
        }
        for (current, previous) in now.iter().skip(1).zip(&at_last) {
            let difference = p.sub(*current, *previous);
            all.push(p.mul(l_first, difference));
        }
        let delta = p.constant(Fr::DELTA);
        let mut shift = p.mul(beta, x);
        for (set, product) in now.into_iter().enumerate() {
            let (mut left, mut right) = (self.eval(Eval::ProductNext(set)), product);
            let start = set * self.shape.chunk;
            let end = (start + self.shape.chunk).min(self.shape.permutation.len());
            for position in start..end {
                let value = self.query(self.shape.permutation[position], 0, "permutation")?;
                let sigma = self.eval(Eval::Sigma(position));
                let p = &mut *self.program;
                let shifted = p.add(value, gamma);
                let by_sigma = p.mul(beta, sigma);
                let factor = p.add(shifted, by_sigma);
                left = p.mul(left, factor);
                let factor = p.add(shifted, shift);
                right = p.mul(right, factor);
                shift = p.mul(shift, delta);
            }
            let p = &mut *self.program;
            let difference = p.sub(left, right);
            all.push(p.mul(l_active, difference));
        }
        Ok(())
    }
}
