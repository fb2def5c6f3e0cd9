//! What a circuit's configuration must satisfy, beyond what halo2 asks.

use std::collections::BTreeMap;

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::plonk::ConstraintSystem;

use crate::error::ProofError;
use crate::srs::LogRows;

/// Blinding factors that each committed column needs beyond its openings: the multi-opening
/// evaluates it once more.
const MULTI_OPENINGS: usize = 1;

/// Checks a constraint system whose selectors are fixed columns already.
pub(super) fn check(cs: &ConstraintSystem<Fr>, k: LogRows) -> Result<(), ProofError> {
    if !cs.lookups().is_empty() {
        return Err(ProofError::Unsupported {
            what: format!("{} halo2 lookup argument(s)", cs.lookups().len()),
            remedy: "express look-ups as gates over phases",
        });
    }
    if cs.num_instance_columns() != 1 {
        return Err(ProofError::Unsupported {
            what: format!("{} instance columns", cs.num_instance_columns()),
            remedy: "put all public words in one instance column",
        });
    }
    check_degree(cs)?;
    check_blinding(cs)?;
    check_rotations(cs, k)
}

/// halo2 caps the degree at 5 without a word. Above the real degree a piece of the quotient is
/// zero, whose commitment no transcript takes; below it the proof does not verify.
fn check_degree(cs: &ConstraintSystem<Fr>) -> Result<(), ProofError> {
    let declared = cs.degree();
    let gates =
        cs.gates().iter().flat_map(|gate| gate.polynomials()).map(|constraint| constraint.degree()).max().unwrap_or(0);
    // A set's product has as many factors as columns, times z, times the active rows' polynomial.
    let columns = cs.permutation().get_columns().len();
    let permutation = match columns.min(declared.saturating_sub(2)) {
        0 => 0,
        widest => (widest + 2).max(3),
    };
    let actual = gates.max(permutation);
    if declared == actual { Ok(()) } else { Err(ProofError::DegreeMismatch { declared, actual }) }
}

fn check_blinding(cs: &ConstraintSystem<Fr>) -> Result<(), ProofError> {
    let mut openings: BTreeMap<usize, usize> = BTreeMap::new();
    for (column, _) in cs.advice_queries() {
        *openings.entry(column.index()).or_default() += 1;
    }
    let blinding = cs.blinding_factors();
    for (column, openings) in openings {
        let openings = openings + MULTI_OPENINGS;
        if blinding < openings {
            return Err(ProofError::TooLittleBlinding { column, openings, blinding });
        }
    }
    Ok(())
}

fn check_rotations(cs: &ConstraintSystem<Fr>, k: LogRows) -> Result<(), ProofError> {
    let advice = cs.advice_queries().iter().map(|(c, r)| ("advice", c.index(), r.0));
    let fixed = cs.fixed_queries().iter().map(|(c, r)| ("fixed", c.index(), r.0));
    let instance = cs.instance_queries().iter().map(|(c, r)| ("instance", c.index(), r.0));
    let rows = 1i64 << k.0;
    let mut seen: BTreeMap<(&str, usize, i64), i32> = BTreeMap::new();
    for (kind, column, rotation) in advice.chain(fixed).chain(instance) {
        let place = i64::from(rotation).rem_euclid(rows);
        if let Some(first) = seen.insert((kind, column, place), rotation) {
            return Err(ProofError::AliasedRotations {
                column: format!("{kind} column {column}"),
                first,
                second: rotation,
                k,
            });
        }
    }
    Ok(())
}
