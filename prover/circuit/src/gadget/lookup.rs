//! logUp over phases.
//!
//! The table has a row `(in, out, slope, tag)` for each number of a limb's range (`out`, `slope` and `tag` zero)
//! and for each segment of each function: its value at the start, and how much it rises to the next. Every limb of every
//! row is looked up; the row of a function looks its segment up together with the value, the slope and the tag:
//!
//! `f = limb + tag * (gamma + beta q + delta y)`, `t = in + gamma*tag + beta*out + delta*(out[+1] - out)`
//!
//! with `out` stored times the tag. The sum over all rows and limbs of `1 / (alpha + f)` less the sum of
//! `m / (alpha + t)` is zero exactly when every looked-up tuple is in the table (as rational functions of `alpha`; the
//! error is at most (lookups + table rows) / r). The multiplicities `m` are committed before the challenges.
//!
//! - helper: `h = sum of 1 / (alpha + f)` over the limbs that the sum's degree has no room for;
//! - sum: `phi[+1] - phi - h = sum of 1 / (alpha + f) - m / (alpha + t)` over the others, multiplied out;
//! - `phi = 0` on the first row and on the first one behind the table, which looks nothing up.
//!
//! Limbs have tag zero; each function has its own, a fixed value of the row, so no tuple of one table passes for
//! another's. The rows between tables, and the last point of a function, which starts no segment, have tag zero
//! and are no limb's unless their `out` and the next are zero: then they repeat the entry for zero.

use halo2_proofs::{
    halo2curves::bn256::Fr,
    plonk::{Advice, Column, ConstraintSystem, Expression},
};

use crate::{
    column::{AdviceColumn as A, FixedColumn as F},
    config::{Queries, VouchConfig, constant},
    shape::Shape,
};

/// Largest degree of a gate: four pieces of the quotient.
const DEGREE: usize = 5;

/// Which columns of limbs the sum takes, and which the helper.
struct Split {
    sum: Vec<usize>,
    helper: Vec<usize>,
}

/// Whether the shape needs the helper column.
pub(crate) fn needs_helper(shape: &Shape) -> bool {
    helped(shape).contains(&true)
}

/// For each column of limbs, whether its lookups are the helper's.
pub(crate) fn helped(shape: &Shape) -> Vec<bool> {
    let split = split(shape);
    (0..shape.limb_columns()).map(|column| split.helper.contains(&column)).collect()
}

/// The column of limbs that holds the segments of functions.
fn segments(shape: &Shape) -> usize {
    1 / shape.height
}

fn split(shape: &Shape) -> Split {
    // The selector, the difference of sums and the table entry take three degrees; the helper and its selector two.
    let mut room = DEGREE - 3;
    let mut split = Split { sum: Vec::new(), helper: Vec::new() };
    for column in (0..shape.limb_columns()).rev() {
        let degree = if shape.has_functions() && column == segments(shape) { 2 } else { 1 };
        if degree <= room {
            room -= degree;
            split.sum.push(column);
        } else {
            split.helper.push(column);
        }
    }
    split
}

/// `alpha + f` of the lookup in a column of limbs, on any row.
fn looked_up(q: &mut Queries<'_, '_>, column: usize) -> Expression<Fr> {
    let config = q.config().clone();
    let limbs = config.shape.limbs();
    let limb = config.advice(limbs[column * config.shape.height]).map(|place| place.column);
    let challenges = config.challenges;
    let mut sum = q.challenge(Some(challenges.lookup));
    if let Some(limb) = limb {
        sum = sum + q.at(limb, 0);
    }
    if config.shape.has_functions() && column == segments(&config.shape) {
        let value = operand(q, A::Q) * q.challenge(challenges.value);
        let slope = operand(q, A::Y) * q.challenge(challenges.slope);
        let tag = q.challenge(challenges.tag);
        sum = sum + q.fixed(F::Tag) * (tag + value + slope);
    }
    sum
}

/// The cell of the logical row whose segment is on the present row.
fn operand(q: &mut Queries<'_, '_>, kind: A) -> Expression<Fr> {
    let place: Option<(Column<Advice>, i32)> = q
        .config()
        .advice(kind)
        .zip(q.config().advice(A::Abs1))
        .map(|(operand, segment)| (operand.column, operand.offset as i32 - segment.offset as i32));
    place.map_or_else(|| constant(0), |(column, rows)| q.at(column, rows))
}

/// `alpha + t`.
fn entry(q: &mut Queries<'_, '_>) -> Expression<Fr> {
    let challenges = q.config().challenges;
    let mut sum = q.challenge(Some(challenges.lookup)) + q.fixed(F::Table) - constant(1);
    if q.config().shape.has_functions() {
        let (out, next) = (q.fixed(F::TableOut), q.fixed_below(F::TableOut));
        let (value, slope) = (q.challenge(challenges.value), q.challenge(challenges.slope));
        let tag = q.fixed(F::TableTag) * q.challenge(challenges.tag);
        sum = sum + tag + out.clone() * value + (next - out) * slope;
    }
    sum
}

/// `sum_i prod_(j != i) d_j`.
fn numerator(denominators: &[Expression<Fr>]) -> Expression<Fr> {
    let without = |i: usize| {
        let others = denominators.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, d)| d.clone());
        others.reduce(|product, d| product * d).unwrap_or_else(|| constant(1))
    };
    (0..denominators.len()).map(without).reduce(|sum, term| sum + term).unwrap_or_else(|| constant(0))
}

fn product(start: Expression<Fr>, denominators: &[Expression<Fr>]) -> Expression<Fr> {
    denominators.iter().fold(start, |product, d| product * d.clone())
}

pub(crate) fn configure(meta: &mut ConstraintSystem<Fr>, config: &VouchConfig) {
    let Split { sum, helper } = split(&config.shape);
    if !helper.is_empty() {
        config.row_gate(meta, "lookup helper", |q| {
            let denominators: Vec<_> = helper.iter().map(|column| looked_up(q, *column)).collect();
            let terms = product(q.advice(A::Helper), &denominators) - numerator(&denominators);
            q.fixed(F::Table) * terms
        });
    }
    config.row_gate(meta, "lookup sum", |q| {
        let denominators: Vec<_> = sum.iter().map(|column| looked_up(q, *column)).collect();
        let mut step = q.below(A::Sum) - q.advice(A::Sum);
        if !helper.is_empty() {
            step = step - q.advice(A::Helper);
        }
        let table = entry(q);
        let counted = product(q.advice(A::Multiplicity), &denominators);
        let terms = (product(step, &denominators) - numerator(&denominators)) * table + counted;
        q.fixed(F::Table) * terms
    });
    // The base is two at the ends of the sum, one or zero elsewhere.
    config.row_gate(meta, "lookup ends", |q| {
        let base = q.fixed(F::Base);
        base.clone() * (base - constant(1)) * q.advice(A::Sum)
    });
}
