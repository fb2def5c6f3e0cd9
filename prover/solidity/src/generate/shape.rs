//! What a constraint system asks of its verifier: queries, rotation sets, order of the proof.
//!
//! The order of everything here is halo2's (`plonk/verifier.rs` and `multiopen/shplonk.rs`): the
//! proof is a flat list of points and scalars, so the order is the format.

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::plonk::{Any, ConstraintSystem};
use halo2_proofs::poly::Rotation;

use super::lookup;
use crate::error::{Error, Result};

/// Kind of a column; the index goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Column {
    Advice(usize),
    Fixed(usize),
    Instance,
}

/// A polynomial that the proof opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Commitment {
    /// Advice column.
    Advice(usize),
    /// Running product of a set of permutation columns.
    Product(usize),
    /// Fixed column.
    Fixed(usize),
    /// Permutation polynomial of the column at this position in the argument.
    Sigma(usize),
    /// The quotient, put together from its pieces.
    Quotient,
    /// The random polynomial of the vanishing argument.
    Random,
    /// A polynomial of the lookup with this index.
    Lookup(usize, lookup::Polynomial),
}

/// An evaluation that enters the opening argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Eval {
    /// Position in the list of advice queries.
    Advice(usize),
    /// Position in the list of fixed queries.
    Fixed(usize),
    /// The random polynomial at `x`.
    Random,
    /// Permutation polynomial at `x`.
    Sigma(usize),
    /// Product at `x`.
    Product(usize),
    /// Product at `omega x`.
    ProductNext(usize),
    /// Product at the last usable row.
    ProductLast(usize),
    /// The quotient's value, which the verifier computes.
    Quotient,
    /// An evaluation of the lookup with this index.
    Lookup(usize, lookup::Opening),
}

/// Commitments that are opened at the same points.
#[derive(Clone, Debug)]
pub(crate) struct RotationSet {
    pub(crate) rotations: Vec<i32>,
    /// Commitment and its evaluations, one a rotation.
    pub(crate) members: Vec<(Commitment, Vec<Eval>)>,
}

/// Points and challenges of one phase.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    pub(crate) advice: Vec<usize>,
    pub(crate) challenges: Vec<usize>,
}

/// A checked constraint system.
pub(crate) struct Shape<'a> {
    pub(crate) cs: &'a ConstraintSystem<Fr>,
    pub(crate) blinding: usize,
    pub(crate) chunk: usize,
    pub(crate) pieces: usize,
    pub(crate) phases: Vec<Phase>,
    pub(crate) advice_queries: Vec<(usize, i32)>,
    pub(crate) fixed_queries: Vec<(usize, i32)>,
    pub(crate) instance_queries: Vec<i32>,
    pub(crate) permutation: Vec<Column>,
}

impl<'a> Shape<'a> {
    /// Reads a constraint system and refuses what the generated verifier does not support.
    pub(crate) fn new(cs: &'a ConstraintSystem<Fr>) -> Result<Self> {
        if cs.num_instance_columns() != 1 {
            return Err(Error::InstanceColumns { got: cs.num_instance_columns() });
        }
        let pieces = cs.degree() - 1;
        check_degree(cs)?;

        let phase_of = cs.advice_column_phase();
        let challenge_phase = cs.challenge_phase();
        let last_phase = phase_of.iter().max().copied().unwrap_or(0);
        let phases = (0..=last_phase)
            .map(|phase| Phase { advice: positions(&phase_of, phase), challenges: positions(&challenge_phase, phase) })
            .collect();

        let permutation = cs
            .permutation()
            .get_columns()
            .iter()
            .map(|column| match column.column_type() {
                Any::Advice(_) => Column::Advice(column.index()),
                Any::Fixed => Column::Fixed(column.index()),
                Any::Instance => Column::Instance,
            })
            .collect();
        let at = |rotation: &Rotation| rotation.0;
        let shape = Shape {
            cs,
            blinding: cs.blinding_factors(),
            chunk: pieces - 1,
            pieces,
            phases,
            advice_queries: cs.advice_queries().iter().map(|(c, r)| (c.index(), at(r))).collect(),
            fixed_queries: cs.fixed_queries().iter().map(|(c, r)| (c.index(), at(r))).collect(),
            instance_queries: cs.instance_queries().iter().map(|(_, r)| at(r)).collect(),
            permutation,
        };
        let queried = |column| shape.advice_queries.iter().any(|(c, _)| *c == column);
        if let Some(column) = (0..cs.num_advice_columns()).find(|c| !queried(*c)) {
            return Err(Error::AdviceNeverQueried { column });
        }
        Ok(shape)
    }

    /// Number of running products of the permutation argument.
    pub(crate) fn products(&self) -> usize {
        self.permutation.len().div_ceil(self.chunk)
    }

    /// Number of lookups.
    pub(crate) fn lookups(&self) -> usize {
        self.cs.lookups().len()
    }

    /// Rotation of the last usable row.
    pub(crate) fn last_rotation(&self) -> i32 {
        -(self.blinding as i32 + 1)
    }

    /// Number of evaluations in the proof: advice, fixed, the random polynomial, the permutation
    /// polynomials, three of each product but the last, which has two, and five of each lookup.
    pub(crate) fn eval_count(&self) -> usize {
        let lookups = lookup::Opening::COUNT * self.lookups();
        self.advice_queries.len()
            + self.fixed_queries.len()
            + 1
            + self.permutation.len()
            + self.product_eval_count()
            + lookups
    }

    /// Number of evaluations of the permutation argument's products.
    pub(crate) fn product_eval_count(&self) -> usize {
        (3 * self.products()).saturating_sub(1)
    }

    /// All openings in halo2's order.
    fn queries(&self) -> Vec<(Commitment, i32, Eval)> {
        let products = self.products();
        let mut queries = Vec::new();
        for (i, (column, rotation)) in self.advice_queries.iter().enumerate() {
            queries.push((Commitment::Advice(*column), *rotation, Eval::Advice(i)));
        }
        for set in 0..products {
            queries.push((Commitment::Product(set), 0, Eval::Product(set)));
            queries.push((Commitment::Product(set), 1, Eval::ProductNext(set)));
        }
        for set in (0..products).rev().skip(1) {
            let last = self.last_rotation();
            queries.push((Commitment::Product(set), last, Eval::ProductLast(set)));
        }
        queries.extend((0..self.lookups()).flat_map(lookup::queries));
        for (i, (column, rotation)) in self.fixed_queries.iter().enumerate() {
            queries.push((Commitment::Fixed(*column), *rotation, Eval::Fixed(i)));
        }
        for i in 0..self.permutation.len() {
            queries.push((Commitment::Sigma(i), 0, Eval::Sigma(i)));
        }
        queries.push((Commitment::Quotient, 0, Eval::Quotient));
        queries.push((Commitment::Random, 0, Eval::Random));
        queries
    }

    /// All rotations at which something is opened, each once, in order of appearance.
    pub(crate) fn rotations(&self) -> Vec<i32> {
        let mut rotations = Vec::new();
        for (_, rotation, _) in self.queries() {
            if !rotations.contains(&rotation) {
                rotations.push(rotation);
            }
        }
        rotations
    }

    /// Commitments grouped by the set of points they are opened at: sets in order of their first
    /// commitment, commitments in order of their first query.
    pub(crate) fn rotation_sets(&self) -> Vec<RotationSet> {
        let mut openings: Vec<(Commitment, Vec<(i32, Eval)>)> = Vec::new();
        for (commitment, rotation, eval) in self.queries() {
            match openings.iter_mut().find(|(c, _)| *c == commitment) {
                Some((_, at)) => at.push((rotation, eval)),
                None => openings.push((commitment, vec![(rotation, eval)])),
            }
        }
        let mut sets: Vec<RotationSet> = Vec::new();
        for (commitment, mut at) in openings {
            at.sort_by_key(|(rotation, _)| *rotation);
            let (rotations, evals): (Vec<_>, Vec<_>) = at.into_iter().unzip();
            match sets.iter_mut().find(|set| set.rotations == rotations) {
                Some(set) => set.members.push((commitment, evals)),
                None => sets.push(RotationSet { rotations, members: vec![(commitment, evals)] }),
            }
        }
        sets
    }
}

fn positions(phases: &[u8], phase: u8) -> Vec<usize> {
    (0..phases.len()).filter(|i| phases[*i] == phase).collect()
}

/// halo2 caps the degree without a word unless `set_minimum_degree` was called; a key made under
/// the cap commits to too few quotient pieces for its gates.
fn check_degree(cs: &ConstraintSystem<Fr>) -> Result<()> {
    let gates = cs
        .gates()
        .iter()
        .flat_map(|gate| gate.polynomials())
        .map(halo2_proofs::plonk::Expression::degree)
        .max()
        .unwrap_or(0)
        .max(3)
        .max(lookup::degree(cs));
    let system = cs.degree();
    if gates > system {
        return Err(Error::DegreeMismatch { key: system, gates, system });
    }
    Ok(())
}
