//! The canonical digest of a verifying key, which opens every transcript.
//!
//! `digest = keccak256(encoding) mod r`, with the encoding below. Integers are unsigned, 32 bits,
//! big-endian; rotations are two's complement, 32 bits, big-endian; scalars are 32 bytes
//! big-endian; points are `x || y`, 32 bytes big-endian each, the identity being 64 zeros.
//!
//! | part | bytes |
//! | --- | --- |
//! | tag | the ASCII text `VOUCHVK2` |
//! | *setup* | |
//! | tau*G2 | `x.c1`, `x.c0`, `y.c1`, `y.c0`, 32 bytes big-endian each, as the EVM's pairing takes it |
//! | instances | number of instance words of a statement |
//! | *shape* | |
//! | k | log2 of the number of rows |
//! | degree | degree of the constraint system, which fixes the permutation's sets and the quotient's pieces |
//! | blinding | blinding factors `b`; the last `b + 1` rows are not usable |
//! | columns | number of instance, of fixed, of advice columns |
//! | phases | one byte an advice column: its phase |
//! | challenges | number, then one byte each: the phase after which it is drawn |
//! | constraints | number, then each as an expression, in the order of the gates |
//! | queries | advice, then instance, then fixed: number, then (column, rotation) each, in the order of the openings |
//! | permutation | number of columns, then (kind byte, index) each |
//! | *key* | |
//! | fixed | number, then a point each |
//! | sigma | number, then a point each |
//!
//! An expression is its tree in prefix order. One byte names the node:
//! 0 constant (scalar); 1 fixed, 2 advice, 3 instance (column, rotation); 4 challenge (index);
//! 5 negation (expression); 6 sum, 7 product (two expressions); 8 scaling (expression, scalar).
//! The kind byte of a permutation column uses the same 1, 2 and 3.
//!
//! `tau*G2` is part of it because an opening is checked against it: who may choose it may open any commitment.
//! Names of gates and columns are left out: they have no effect on what is proven.

use halo2_proofs::halo2curves::bn256::{Fr, G1Affine, G2Affine};
use halo2_proofs::plonk::{Any, ConstraintSystem, Expression, VerifyingKey};
use halo2_proofs::poly::Rotation;

use crate::digest::VkDigest;
use crate::error::ProofError;
use crate::transcript::{coordinate_to_be, keccak256, point_to_be, reduce_be, scalar_to_be};

const TAG: &[u8; 8] = b"VOUCHVK2";

const CONSTANT: u8 = 0;
const FIXED: u8 = 1;
const ADVICE: u8 = 2;
const INSTANCE: u8 = 3;
const CHALLENGE: u8 = 4;
const NEGATION: u8 = 5;
const SUM: u8 = 6;
const PRODUCT: u8 = 7;
const SCALING: u8 = 8;

/// Digest of a key for statements of `instances` words, under the setup of `tau_g2`.
///
/// # Errors
/// As [`encode`].
pub fn digest(vk: &VerifyingKey<G1Affine>, tau_g2: &G2Affine, instances: usize) -> Result<VkDigest, ProofError> {
    let hash = keccak256(&encode(vk, tau_g2, instances)?);
    Ok(VkDigest::from_scalar(reduce_be(&hash)))
}

/// The bytes that [`digest`] hashes.
///
/// # Errors
/// [`ProofError::Unsupported`] where the key uses halo2's own lookups or still has selectors.
pub fn encode(vk: &VerifyingKey<G1Affine>, tau_g2: &G2Affine, instances: usize) -> Result<Vec<u8>, ProofError> {
    let mut bytes = TAG.to_vec();
    for coordinate in [tau_g2.x.c1, tau_g2.x.c0, tau_g2.y.c1, tau_g2.y.c0] {
        bytes.extend_from_slice(&coordinate_to_be(&coordinate));
    }
    put_len(&mut bytes, instances)?;
    bytes.extend_from_slice(&encode_shape(vk.cs(), vk.get_domain().k())?);
    for points in [vk.fixed_commitments(), vk.permutation().commitments()] {
        put_len(&mut bytes, points.len())?;
        for point in points {
            bytes.extend_from_slice(&point_to_be(point));
        }
    }
    Ok(bytes)
}

/// The *shape* part of the encoding: what a circuit's configuration alone decides.
///
/// # Errors
/// As [`encode`].
pub fn encode_shape(cs: &ConstraintSystem<Fr>, k: u32) -> Result<Vec<u8>, ProofError> {
    if !cs.lookups().is_empty() {
        return Err(ProofError::Unsupported {
            what: format!("{} halo2 lookup argument(s)", cs.lookups().len()),
            remedy: "express look-ups as gates over phases",
        });
    }
    let mut bytes = k.to_be_bytes().to_vec();
    put_len(&mut bytes, cs.degree())?;
    put_len(&mut bytes, cs.blinding_factors())?;
    put_len(&mut bytes, cs.num_instance_columns())?;
    put_len(&mut bytes, cs.num_fixed_columns())?;
    put_len(&mut bytes, cs.num_advice_columns())?;
    bytes.extend_from_slice(&cs.advice_column_phase());
    put_len(&mut bytes, cs.num_challenges())?;
    bytes.extend_from_slice(&cs.challenge_phase());

    let constraints = || cs.gates().iter().flat_map(|gate| gate.polynomials());
    put_len(&mut bytes, constraints().count())?;
    for constraint in constraints() {
        put_expression(&mut bytes, constraint)?;
    }

    put_queries(&mut bytes, cs.advice_queries().iter().map(|(c, r)| (c.index(), *r)))?;
    put_queries(&mut bytes, cs.instance_queries().iter().map(|(c, r)| (c.index(), *r)))?;
    put_queries(&mut bytes, cs.fixed_queries().iter().map(|(c, r)| (c.index(), *r)))?;

    let columns = cs.permutation().get_columns();
    put_len(&mut bytes, columns.len())?;
    for column in columns {
        bytes.push(match column.column_type() {
            Any::Fixed => FIXED,
            Any::Advice(_) => ADVICE,
            Any::Instance => INSTANCE,
        });
        put_len(&mut bytes, column.index())?;
    }
    Ok(bytes)
}

fn put_len(bytes: &mut Vec<u8>, value: usize) -> Result<(), ProofError> {
    let value = u32::try_from(value).map_err(|_| ProofError::Unsupported {
        what: format!("a count of {value} in a verifying key"),
        remedy: "make the circuit smaller",
    })?;
    bytes.extend_from_slice(&value.to_be_bytes());
    Ok(())
}

fn put_cell(bytes: &mut Vec<u8>, kind: u8, column: usize, rotation: Rotation) -> Result<(), ProofError> {
    bytes.push(kind);
    put_len(bytes, column)?;
    bytes.extend_from_slice(&rotation.0.to_be_bytes());
    Ok(())
}

fn put_queries(
    bytes: &mut Vec<u8>,
    queries: impl ExactSizeIterator<Item = (usize, Rotation)>,
) -> Result<(), ProofError> {
    put_len(bytes, queries.len())?;
    for (column, rotation) in queries {
        put_len(bytes, column)?;
        bytes.extend_from_slice(&rotation.0.to_be_bytes());
    }
    Ok(())
}

fn put_expression(bytes: &mut Vec<u8>, expression: &Expression<Fr>) -> Result<(), ProofError> {
    match expression {
        Expression::Constant(value) => {
            bytes.push(CONSTANT);
            bytes.extend_from_slice(&scalar_to_be(value));
            Ok(())
        }
        Expression::Selector(selector) => Err(ProofError::Unsupported {
            what: format!("selector {} in a verifying key", selector.index()),
            remedy: "generate the key with this crate, which turns selectors into fixed columns",
        }),
        Expression::Fixed(query) => put_cell(bytes, FIXED, query.column_index(), query.rotation()),
        Expression::Advice(query) => put_cell(bytes, ADVICE, query.column_index(), query.rotation()),
        Expression::Instance(query) => put_cell(bytes, INSTANCE, query.column_index(), query.rotation()),
        Expression::Challenge(challenge) => {
            bytes.push(CHALLENGE);
            put_len(bytes, challenge.index())
        }
        Expression::Negated(inner) => {
            bytes.push(NEGATION);
            put_expression(bytes, inner)
        }
        Expression::Sum(left, right) => {
            bytes.push(SUM);
            put_expression(bytes, left)?;
            put_expression(bytes, right)
        }
        Expression::Product(left, right) => {
            bytes.push(PRODUCT);
            put_expression(bytes, left)?;
            put_expression(bytes, right)
        }
        Expression::Scaled(inner, factor) => {
            bytes.push(SCALING);
            put_expression(bytes, inner)?;
            bytes.extend_from_slice(&scalar_to_be(factor));
            Ok(())
        }
    }
}
