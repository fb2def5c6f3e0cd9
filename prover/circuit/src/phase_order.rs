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

use crate::{
    column::{AdviceColumn as A, FixedColumn as F},
    config::VouchConfig,
    error::CircuitError,
};

/// The column that each gate under a challenge determines, in an order in which each reads only what
/// is determined before it. `X` is copied, from a first-phase cell or an evaluation of such.
pub(crate) const DEFINED: [(&str, A); 6] = [
    ("weight evaluation", A::WeightAcc),
    ("lookup helper", A::Helper),
    ("lookup sum", A::Sum),
    ("value evaluation", A::ValueAcc),
    ("track", A::Track),
    ("dot product", A::Dot),
];

/// Reads the sum, which is determined, and no challenge.
const ENDS: &str = "lookup ends";

/// What a gate reads.
#[derive(Debug, Default)]
struct Reads {
    /// Advice columns by what they hold; `None` for a column that is not the shape's.
    advice: BTreeSet<Option<A>>,
    challenges: bool,
}

impl Reads {
    fn of(gate: &Gate<Fr>, config: &VouchConfig) -> Self {
        let mut reads = Self::default();
        gate.polynomials().iter().for_each(|polynomial| reads.collect(polynomial, config));
        reads
    }

    fn collect(&mut self, expression: &Expression<Fr>, config: &VouchConfig) {
        match expression {
            Expression::Advice(query) => {
                if !config.is_lane(query.column_index()) {
                    self.advice.insert(config.kind(query.column_index(), query.rotation()));
                }
            }
            Expression::Challenge(_) => self.challenges = true,
            Expression::Negated(inner) | Expression::Scaled(inner, _) => self.collect(inner, config),
            Expression::Sum(left, right) | Expression::Product(left, right) => {
                self.collect(left, config);
                self.collect(right, config);
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
    // A challenge that is missing is the constant zero in the gates, and binds nothing.
    let drawn = &config.challenges;
    for (challenge, columns) in [
        (drawn.outputs, &[F::Value, F::ValueOutput, F::TrackOutput, F::DotOutput][..]),
        (drawn.positions, &[F::ValuePosition, F::SlackTriple, F::TrackPosition, F::TrackTriple]),
        (drawn.value.and(drawn.slope).and(drawn.tag), &[F::Function, F::Tag, F::TableOut, F::TableTag]),
    ] {
        if let Some(column) = columns.iter().find(|column| challenge.is_none() && config.shape.has(**column)) {
            return refused(format!("no challenge is drawn for the column {column:?}"));
        }
    }
    let phase_of = meta.advice_column_phase();
    for kind in config.shape.advice() {
        let phase = config.advice(kind).map(|place| phase_of[place.column.index()]);
        if phase != Some(u8::from(kind.is_late())) {
            return refused(format!("{kind:?} is committed in another phase than its own"));
        }
    }
    let mut known = BTreeSet::from([A::X]);
    for (name, column) in DEFINED {
        if config.advice(column).is_none() {
            continue;
        }
        let Some(gate) = meta.gates().iter().find(|gate| gate.name() == name) else {
            return refused(format!("no gate determines {column:?}"));
        };
        let reads = Reads::of(gate, config);
        let late = |kind: &Option<A>| match kind {
            Some(kind) => kind.is_late() && *kind != column && !known.contains(kind),
            None => true,
        };
        if reads.advice.iter().any(late) {
            return refused(format!("the gate `{name}` reads a column that nothing determines"));
        }
        known.insert(column);
    }
    let other = |gate: &&Gate<Fr>| gate.name() != ENDS && DEFINED.iter().all(|(name, _)| gate.name() != *name);
    for gate in meta.gates().iter().filter(other) {
        let reads = Reads::of(gate, config);
        let late = |kind: &Option<A>| kind.is_none_or(A::is_late);
        if reads.challenges || reads.advice.iter().any(late) {
            return refused(format!("the gate `{}` reads a challenge or a later phase", gate.name()));
        }
    }
    let determined: BTreeSet<usize> = config
        .shape
        .advice()
        .filter(|kind| kind.is_late() && known.contains(kind))
        .filter_map(|kind| config.advice(kind).map(|place| place.column.index()))
        .collect();
    match phase_of.iter().enumerate().find(|(column, phase)| **phase != 0 && !determined.contains(column)) {
        Some((column, _)) => refused(format!("nothing determines advice column {column}")),
        None => Ok(()),
    }
}
