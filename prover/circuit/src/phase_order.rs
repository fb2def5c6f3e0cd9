//! The order of commitments and challenges, read off the constraint system.
//!
//! A gate that tests an identity at a challenge binds nothing that is committed after the challenge
//! is drawn. Here every challenge follows the first phase, and what is committed later is determined, column by
//! column, from first-phase cells and challenges.

use std::collections::BTreeSet;

use halo2_proofs::{
    halo2curves::bn256::Fr,
    plonk::{ConstraintSystem, Expression, Gate},
};

use crate::{column::AdviceColumn as A, config::VouchConfig, error::CircuitError};

/// The column that each gate of the second phase determines, in an order in which each reads only what
/// is determined before it. `X` is copied, from a first-phase cell or an evaluation of such.
pub(crate) const DEFINED: [(&str, A); 7] = [
    ("value evaluation", A::ValueAcc),
    ("position sum", A::ValueSum),
    ("weight evaluation", A::WeightAcc),
    ("dot product", A::Dot),
    ("lookup helper 0", A::Helper0),
    ("lookup helper 1", A::Helper1),
    ("lookup sum", A::Sum),
];

/// Reads the sum, which is determined, and no challenge.
const ENDS: &str = "lookup ends";

/// What a gate reads.
#[derive(Debug, Default)]
struct Reads {
    /// Advice columns by index, with whether they are of the first phase.
    advice: BTreeSet<(usize, bool)>,
    challenges: bool,
}

impl Reads {
    fn of(gate: &Gate<Fr>) -> Self {
        let mut reads = Self::default();
        gate.polynomials().iter().for_each(|polynomial| reads.collect(polynomial));
        reads
    }

    fn collect(&mut self, expression: &Expression<Fr>) {
        match expression {
            Expression::Advice(query) => {
                self.advice.insert((query.column_index(), query.phase() == 0));
            }
            Expression::Challenge(_) => self.challenges = true,
            Expression::Negated(inner) | Expression::Scaled(inner, _) => self.collect(inner),
            Expression::Sum(left, right) | Expression::Product(left, right) => {
                self.collect(left);
                self.collect(right);
            }
            Expression::Constant(_) | Expression::Selector(_) | Expression::Fixed(_) | Expression::Instance(_) => {}
        }
    }
}

/// Refuses a constraint system in which the prover could choose an operand of an identity after the
/// challenge that tests it.
pub(crate) fn check(meta: &ConstraintSystem<Fr>, config: &VouchConfig) -> Result<(), CircuitError> {
    let refused = |what: String| Err(CircuitError::PhaseOrder { what });
    if meta.challenge_phase().iter().any(|phase| *phase != 0) {
        return refused("a challenge is drawn later than the first phase".to_owned());
    }
    let index = |column: A| config.advice(column).map(|column| column.index());
    let mut known: BTreeSet<usize> = index(A::X).into_iter().collect();
    for (name, column) in DEFINED {
        let Some(own) = index(column) else { continue };
        let Some(gate) = meta.gates().iter().find(|gate| gate.name() == name) else {
            return refused(format!("no gate determines {column:?}"));
        };
        let late = |(column, first): &(usize, bool)| !first && *column != own && !known.contains(column);
        if Reads::of(gate).advice.iter().any(late) {
            return refused(format!("the gate `{name}` reads a column that nothing determines"));
        }
        known.insert(own);
    }
    let other = |gate: &&Gate<Fr>| gate.name() != ENDS && DEFINED.iter().all(|(name, _)| gate.name() != *name);
    for gate in meta.gates().iter().filter(other) {
        let reads = Reads::of(gate);
        if reads.challenges || reads.advice.iter().any(|(_, first)| !first) {
            return refused(format!("the gate `{}` reads a challenge or a later phase", gate.name()));
        }
    }
    match meta.advice_column_phase().iter().enumerate().find(|(column, phase)| **phase != 0 && !known.contains(column))
    {
        Some((column, _)) => refused(format!("nothing determines advice column {column}")),
        None => Ok(()),
    }
}
