//! logUp over phases.
//!
//! With `t = in + beta*out + gamma*tag` over the table and `f_i` likewise over the lookups of a
//! row, the sum over all rows of `sum_i q_i / (alpha + f_i) - m / (alpha + t)` is zero exactly when every
//! looked-up tuple is in the table (as rational functions of `alpha`; the error is at most
//! (lookups + table rows) / r). The multiplicities `m` are committed before the challenges.
//!
//! - helper 0: `h0 = (q + q_fn)/(alpha + abs0) + q/(alpha + abs1) + q/(alpha + rem0)`
//! - helper 1: `h1 = q/(alpha + rem1) + q_fn/(alpha + (abs1, rem0, tag)) + q_fn/(alpha + (abs1 + 1, rem1, tag))`
//! - sum: `(phi[+1] - phi - h0 - h1) (alpha + t) + m = 0` on the rows of `run`, `phi = 0` at both ends.
//!
//! Bytes have tag zero; each function has its own, a fixed value of the row, so no tuple of one
//! table passes for another's. The row behind the last of `run` carries no lookups.

use halo2_proofs::{
    halo2curves::bn256::Fr,
    plonk::{ConstraintSystem, Expression},
};

use super::rescale::rescales;
use crate::{
    column::{AdviceColumn as A, FixedColumn as F},
    config::{Queries, VouchConfig, constant},
};

/// Number of values of the byte table.
pub(crate) const BYTES: usize = 256;

/// `alpha + in + beta*out + gamma*tag`.
fn denominator(q: &mut Queries<'_, '_>, value: Expression<Fr>, out: Option<Expression<Fr>>, tag: F) -> Expression<Fr> {
    let challenges = q.config().challenges;
    let mut sum = q.challenge(Some(challenges.lookup)) + value;
    if let Some(out) = out {
        sum = sum + q.challenge(challenges.tuple) * out + q.challenge(challenges.tag) * q.fixed(tag);
    }
    sum
}

/// `helper * prod d_i - sum_i q_i prod_{j != i} d_j`, on the rows of `run`.
fn helper(q: &mut Queries<'_, '_>, helper: A, lookups: &[(Expression<Fr>, Expression<Fr>)]) -> Expression<Fr> {
    let mut product = q.advice(helper);
    let mut sum = constant(0);
    for (i, (selector, denominator)) in lookups.iter().enumerate() {
        product = product * denominator.clone();
        let others = lookups.iter().enumerate().filter(|(j, _)| *j != i);
        sum = sum + others.fold(selector.clone(), |term, (_, (_, d))| term * d.clone());
    }
    // Numerators are zero outside `run`, where the helper is blinding.
    q.fixed(F::Run) * product - sum
}

pub(crate) fn configure(meta: &mut ConstraintSystem<Fr>, config: &VouchConfig) {
    let functions = config.shape.has_functions();
    config.gate(meta, "lookup helper 0", |q| {
        let rescales = rescales(q);
        let low = if functions { rescales.clone() + q.fixed(F::Function) } else { rescales.clone() };
        let lookups: Vec<_> = [(low, A::Abs0), (rescales.clone(), A::Abs1), (rescales, A::Rem0)]
            .into_iter()
            .map(|(selector, column)| {
                let value = q.advice(column);
                (selector, denominator(q, value, None, F::Tag))
            })
            .collect();
        helper(q, A::Helper0, &lookups)
    });
    config.gate(meta, "lookup helper 1", |q| {
        let rem1 = q.advice(A::Rem1);
        let mut lookups = vec![(rescales(q), denominator(q, rem1.clone(), None, F::Tag))];
        if functions {
            let (segment, start, function) = (q.advice(A::Abs1), q.advice(A::Rem0), q.fixed(F::Function));
            lookups.push((function.clone(), denominator(q, segment.clone(), Some(start), F::Tag)));
            lookups.push((function, denominator(q, segment + constant(1), Some(rem1), F::Tag)));
        }
        helper(q, A::Helper1, &lookups)
    });
    config.gate(meta, "lookup sum", |q| {
        let (sum, next) = (q.advice(A::Sum), q.below(A::Sum));
        let (h0, h1, m) = (q.advice(A::Helper0), q.advice(A::Helper1), q.advice(A::Multiplicity));
        let value = q.fixed(F::TableIn);
        let out = functions.then(|| q.fixed(F::TableOut));
        let table = denominator(q, value, out, F::TableTag);
        q.fixed(F::Run) * ((next - sum - h0 - h1) * table + m)
    });
    config.gate(meta, "lookup ends", |q| q.fixed(F::Ends) * q.advice(A::Sum));
}
