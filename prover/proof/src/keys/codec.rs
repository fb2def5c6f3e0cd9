//! The body of a key file.
//!
//! Verifying key: fixed commitments, then the permutation's. Proving key: the same, then the fixed
//! columns' values, their coefficients, the permutation columns' values, their coefficients. Points
//! are 64 bytes and scalars 32, Montgomery form, little-endian; how many there are follows from the
//! circuit, so that nothing in the file sizes an allocation.
//!
//! halo2's own reader panics on short input and does not check that points are on the curve. Both
//! bases of each column are stored: reading one is some ten times faster than an inverse FFT.

use std::io::{self, Write};

use halo2_proofs::halo2curves::bn256::{Fr, G1Affine};
use halo2_proofs::halo2curves::ff::Field;
use halo2_proofs::halo2curves::serde::SerdeObject;
use halo2_proofs::plonk::{self, ConstraintSystem, permutation};
use halo2_proofs::poly::{EvaluationDomain, Polynomial};
use rayon::prelude::*;

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
    write_columns(pk.fixed_values(), writer)?;
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
    body: &[u8],
    cs: ConstraintSystem<Fr>,
    k: u32,
) -> Result<plonk::VerifyingKey<G1Affine>, String> {
    let (vk, rest) = take_verifying(body, cs, k)?;
    check_end(rest)?;
    Ok(vk)
}

/// Reads a proving key of the circuit with this constraint system.
pub(super) fn read_proving(
    body: &[u8],
    cs: ConstraintSystem<Fr>,
    k: u32,
) -> Result<plonk::ProvingKey<G1Affine>, String> {
    let (vk, rest) = take_verifying(body, cs, k)?;
    let rows = 1usize << k;
    let fixed = vk.cs().num_fixed_columns();
    let copied = vk.cs().permutation().get_columns().len();
    let (fixed_values, rest) = take_columns(rest, fixed, rows)?;
    let (fixed_polys, rest) = take_columns(rest, fixed, rows)?;
    let (sigma_values, rest) = take_columns(rest, copied, rows)?;
    let (sigma_polys, rest) = take_columns(rest, copied, rows)?;
    check_end(rest)?;

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
    body: &[u8],
    cs: ConstraintSystem<Fr>,
    k: u32,
) -> Result<(plonk::VerifyingKey<G1Affine>, &[u8]), String> {
    if (1usize << k) < cs.minimum_rows() {
        return Err(format!("2^{k} rows are too few for its circuit"));
    }
    let degree = u32::try_from(cs.degree()).map_err(|error| error.to_string())?;
    let (fixed, rest) = take_points(body, cs.num_fixed_columns())?;
    let (sigma, rest) = take_points(rest, cs.permutation().get_columns().len())?;
    let vk = plonk::VerifyingKey::from_parts(
        EvaluationDomain::new(degree, k),
        fixed,
        permutation::VerifyingKey::from_commitments(sigma),
        cs,
        Vec::new(),
        false,
    );
    Ok((vk, rest))
}

fn take_points(bytes: &[u8], count: usize) -> Result<(Vec<G1Affine>, &[u8]), String> {
    let (points, rest) = split(bytes, count.saturating_mul(POINT_BYTES))?;
    let points = points
        .chunks_exact(POINT_BYTES)
        .map(G1Affine::from_raw_bytes)
        .collect::<Option<Vec<_>>>()
        .ok_or("a commitment is not on the curve")?;
    Ok((points, rest))
}

type Columns<B> = Vec<Polynomial<Fr, B>>;

fn take_columns<B: Send>(bytes: &[u8], count: usize, rows: usize) -> Result<(Columns<B>, &[u8]), String> {
    let column_bytes = rows.saturating_mul(SCALAR_BYTES);
    let (columns, rest) = split(bytes, count.saturating_mul(column_bytes))?;
    let values = columns
        .par_chunks_exact(column_bytes)
        .map(|column| column.chunks_exact(SCALAR_BYTES).map(Fr::from_raw_bytes).collect::<Option<Vec<_>>>())
        .collect::<Option<Vec<_>>>()
        .ok_or("a scalar is not below the modulus")?;
    Ok((values.into_iter().map(Polynomial::new).collect(), rest))
}

fn split(bytes: &[u8], length: usize) -> Result<(&[u8], &[u8]), String> {
    bytes.split_at_checked(length).ok_or_else(|| format!("it ends {} bytes early", length - bytes.len()))
}

fn check_end(rest: &[u8]) -> Result<(), String> {
    if rest.is_empty() { Ok(()) } else { Err(format!("{} bytes follow its end", rest.len())) }
}
