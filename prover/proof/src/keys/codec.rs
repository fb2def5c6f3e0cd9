//! The body of a key file.
//!
//! Verifying key: fixed commitments, then the permutation's. Proving key: the same, then the fixed
//! columns' coefficients, the permutation columns' values, their coefficients. Points
//! are 64 bytes and scalars 32, Montgomery form, little-endian; how many there are follows from the
//! circuit, so that nothing in the file sizes an allocation.
//!
//! halo2's own reader panics on short input and does not check that points are on the curve. Values of fixed
//! columns are wanted where a column is copied from, and there alone: they are computed, and the others stay empty.

use std::io::{self, Write};

use halo2_proofs::halo2curves::bn256::{Fr, G1Affine};
use halo2_proofs::halo2curves::ff::Field;
use halo2_proofs::halo2curves::serde::SerdeObject;
use halo2_proofs::plonk::{self, Any, ConstraintSystem, permutation};
use halo2_proofs::poly::{Coeff, EvaluationDomain, LagrangeCoeff, Polynomial};
use rayon::prelude::*;

use crate::artefact::Body;
use crate::fft::Domain;

const POINT_BYTES: usize = 64;
const SCALAR_BYTES: usize = 32;

/// Writes a verifying key's body.
pub(super) fn write_verifying(vk: &plonk::VerifyingKey<G1Affine>, writer: &mut dyn Write) -> io::Result<()> {
    for point in vk.fixed_commitments().iter().chain(vk.permutation().commitments()) {
        writer.write_all(&point.to_raw_bytes())?;
    }
    Ok(())
}

/// Writes a proving key's body.
pub(super) fn write_proving(pk: &plonk::ProvingKey<G1Affine>, writer: &mut dyn Write) -> io::Result<()> {
    write_verifying(pk.get_vk(), writer)?;
    write_columns(pk.fixed_polys(), writer)?;
    write_columns(pk.permutation().permutations(), writer)?;
    write_columns(pk.permutation().polys(), writer)
}

fn write_columns<B>(columns: &[Polynomial<Fr, B>], writer: &mut dyn Write) -> io::Result<()> {
    for column in columns {
        let mut bytes = Vec::with_capacity(column.values().len() * SCALAR_BYTES);
        for value in column.values() {
            value.write_raw(&mut bytes)?;
        }
        writer.write_all(&bytes)?;
    }
    Ok(())
}

/// Reads a verifying key of the circuit with this constraint system.
pub(super) fn read_verifying(
    body: &mut Body<'_>,
    cs: ConstraintSystem<Fr>,
    k: u32,
) -> Result<plonk::VerifyingKey<G1Affine>, String> {
    let vk = take_verifying(body, cs, k)?;
    check_end(body)?;
    Ok(vk)
}

/// Reads a proving key of the circuit with this constraint system.
pub(super) fn read_proving(
    body: &mut Body<'_>,
    cs: ConstraintSystem<Fr>,
    k: u32,
) -> Result<plonk::ProvingKey<G1Affine>, String> {
    let vk = take_verifying(body, cs, k)?;
    let rows = 1usize << k;
    let fixed = vk.cs().num_fixed_columns();
    let copied = vk.cs().permutation().get_columns().len();
    let fixed_polys = take_columns(body, fixed, rows)?;
    let sigma_values = take_columns(body, copied, rows)?;
    let sigma_polys = take_columns(body, copied, rows)?;
    check_end(body)?;
    let fixed_values = copied_values(&vk, &fixed_polys);

    let (l0, l_last, l_active_row) = {
        let domain = vk.get_domain();
        let last = rows - vk.cs().blinding_factors() - 1;
        let indicator = |active: &dyn Fn(usize) -> bool| {
            let values = (0..rows).map(|row| if active(row) { Fr::ONE } else { Fr::ZERO }).collect();
            domain.lagrange_to_coeff(domain.lagrange_from_vec(values))
        };
        (indicator(&|row| row == 0), indicator(&|row| row == last), indicator(&|row| row < last))
    };
    Ok(plonk::ProvingKey::from_parts(
        vk,
        l0,
        l_last,
        l_active_row,
        fixed_values,
        fixed_polys,
        permutation::ProvingKey::from_parts(sigma_values, sigma_polys),
    ))
}

fn take_verifying(
    body: &mut Body<'_>,
    cs: ConstraintSystem<Fr>,
    k: u32,
) -> Result<plonk::VerifyingKey<G1Affine>, String> {
    if (1usize << k) < cs.minimum_rows() {
        return Err(format!("2^{k} rows are too few for its circuit"));
    }
    let degree = u32::try_from(cs.degree()).map_err(|error| error.to_string())?;
    let fixed = take_points(body, cs.num_fixed_columns())?;
    let sigma = take_points(body, cs.permutation().get_columns().len())?;
    Ok(plonk::VerifyingKey::from_parts(
        EvaluationDomain::new(degree, k),
        fixed,
        permutation::VerifyingKey::from_commitments(sigma),
        cs,
        Vec::new(),
        false,
    ))
}

fn take_points(body: &mut Body<'_>, count: usize) -> Result<Vec<G1Affine>, String> {
    check_length(body, count.saturating_mul(POINT_BYTES))?;
    let mut bytes = vec![0; count * POINT_BYTES];
    body.fill(&mut bytes)?;
    let points = bytes.chunks_exact(POINT_BYTES).map(G1Affine::from_raw_bytes);
    points.collect::<Option<_>>().ok_or_else(|| "a commitment is not on the curve".to_owned())
}

/// Reads columns one after the other, so that the file's bytes are not held beside what is made of them.
fn take_columns<B>(body: &mut Body<'_>, count: usize, rows: usize) -> Result<Vec<Polynomial<Fr, B>>, String> {
    const TASK: usize = 1 << 10;
    let column_bytes = rows.saturating_mul(SCALAR_BYTES);
    check_length(body, count.saturating_mul(column_bytes))?;
    let mut bytes = vec![0; column_bytes];
    let mut columns = Vec::with_capacity(count);
    for _ in 0..count {
        body.fill(&mut bytes)?;
        let mut values = vec![Fr::ZERO; rows];
        let chunks = values.par_chunks_mut(TASK).zip(bytes.par_chunks(TASK * SCALAR_BYTES));
        let canonical = chunks.map(|(values, bytes)| {
            values.iter_mut().zip(bytes.chunks_exact(SCALAR_BYTES)).all(|(value, bytes)| {
                let scalar = Fr::from_raw_bytes(bytes);
                *value = scalar.unwrap_or(Fr::ZERO);
                scalar.is_some()
            })
        });
        if !canonical.reduce(|| true, |a, b| a && b) {
            return Err("a scalar is not below the modulus".to_owned());
        }
        columns.push(Polynomial::new(values));
    }
    Ok(columns)
}

/// Values of the fixed columns that the permutation reads; the others are empty.
fn copied_values(
    vk: &plonk::VerifyingKey<G1Affine>,
    polys: &[Polynomial<Fr, Coeff>],
) -> Vec<Polynomial<Fr, LagrangeCoeff>> {
    let mut values: Vec<_> = polys.iter().map(|_| Polynomial::new(Vec::new())).collect();
    let permuted = vk.cs().permutation().get_columns();
    let mut copied = permuted.iter().filter(|column| matches!(column.column_type(), Any::Fixed)).peekable();
    if copied.peek().is_some() {
        let domain = Domain::new(vk.get_domain().k(), vk.get_domain().get_omega());
        let ones = vec![Fr::ONE; domain.rows()];
        for column in copied {
            values[column.index()] = Polynomial::new(domain.on_coset(polys[column.index()].values(), &ones));
        }
    }
    values
}

/// Refuses before anything is allocated for what is not there.
fn check_length(body: &Body<'_>, length: usize) -> Result<(), String> {
    match (length as u64).checked_sub(body.unread()) {
        None | Some(0) => Ok(()),
        Some(missing) => Err(format!("it ends {missing} bytes early")),
    }
}

fn check_end(body: &Body<'_>) -> Result<(), String> {
    match body.unread() {
        0 => Ok(()),
        rest => Err(format!("{rest} bytes follow its end")),
    }
}
