//! From a verifying key to the source of its verifier.

mod constraints;
mod failure;
mod memory;
mod opening;
mod program;
mod shape;
mod transcript;
mod writer;

pub(crate) use failure::Failure;

use askama::Template;
use halo2_proofs::halo2curves::bn256::{Fr, G1Affine, G2Affine};
use halo2_proofs::halo2curves::ff::Field;
use halo2_proofs::halo2curves::group::prime::PrimeCurveAffine;
use halo2_proofs::plonk::VerifyingKey;

use crate::error::{Error, Result};
use crate::word;
use shape::Shape;

/// What a verifier fixes besides the verifying key.
#[derive(Clone, Debug)]
pub struct VerifierParams {
    /// `tau * G2` of the powers of tau that the key was made with.
    pub s_g2: G2Affine,
    /// Canonical digest of the verifying key, reduced, big-endian: the first scalar that the
    /// transcript absorbs.
    pub vk_digest: [u8; 32],
    /// Digest of the powers of tau, published by the contract.
    pub srs_digest: [u8; 32],
    /// Number of public values.
    pub instances: usize,
}

/// Generator of a Solidity verifier for one verifying key.
pub struct Generator<'a> {
    shape: Shape<'a>,
    params: &'a VerifierParams,
}

impl<'a> Generator<'a> {
    /// Checks that key and parameters are ones a verifier can be generated for.
    ///
    /// # Errors
    /// Names what is not supported: halo2's own lookups, more than one instance column, rotations
    /// that coincide, advice that is never opened, a key made for another degree than its gates
    /// need, more instances than rows, a digest that is not reduced, degenerate powers of tau.
    pub fn new(vk: &'a VerifyingKey<G1Affine>, params: &'a VerifierParams) -> Result<Self> {
        let shape = Shape::new(vk, params.instances)?;
        if word::scalar_from_bytes(&params.vk_digest).is_none() {
            return Err(Error::DigestNotCanonical { digest: hex::encode(params.vk_digest) });
        }
        if bool::from(params.s_g2.is_identity()) {
            return Err(Error::DegenerateSrs { what: "identity" });
        }
        if params.s_g2 == G2Affine::generator() {
            return Err(Error::DegenerateSrs { what: "generator" });
        }
        Ok(Generator { shape, params })
    }

    /// Source of a contract `name` with `verify(uint256[],bytes)`.
    ///
    /// # Errors
    /// `name` is not an identifier; a gate reads what the key does not query; the verifier would
    /// need more memory than its tables can address.
    pub fn solidity(&self, name: &str) -> Result<String> {
        check_name(name)?;
        let plan = writer::write(&self.shape, self.params)?;
        let hexadecimal = |value: usize| format!("{value:#x}");
        let shape = &self.shape;
        let contract = Contract {
            name,
            summary: format!(
                "2^{} rows, {} advice, {} fixed, {} permutation columns",
                shape.k,
                shape.cs.num_advice_columns(),
                shape.fixed.len(),
                shape.permutation.len(),
            ),
            errors: Failure::ALL,
            vk_digest: format!("0x{}", hex::encode(self.params.vk_digest)),
            srs_digest: format!("0x{}", hex::encode(self.params.srs_digest)),
            instances: self.params.instances,
            proof_bytes: plan.proof_bytes,
            base_modulus: BASE_MODULUS,
            scalar_modulus: scalar_modulus(),
            proof_start: hexadecimal(plan.proof_start),
            proof_end: hexadecimal(plan.proof_start + plan.proof_bytes),
            evals_start: hexadecimal(plan.evals.start),
            evals_end: hexadecimal(plan.evals.end),
            s: hexadecimal(writer::S),
            s_scalar: hexadecimal(writer::S + 0x40),
            t: hexadecimal(writer::T),
            t_second: hexadecimal(writer::T + 0x40),
            f: hexadecimal(writer::F),
            body: plan.body,
        };
        Ok(contract.render()?)
    }
}

const BASE_MODULUS: &str = "0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47";

fn scalar_modulus() -> String {
    // r = (r - 1) + 1, and r - 1 is even, so no carry goes past the last digit.
    let mut bytes = word::scalar_bytes(&-Fr::ONE);
    bytes[31] += 1;
    word::literal(&bytes)
}

fn check_name(name: &str) -> Result<()> {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(Error::ContractName { name: name.to_owned() })
}

#[derive(Template)]
#[template(path = "verifier.sol", escape = "none")]
struct Contract<'a> {
    name: &'a str,
    summary: String,
    errors: [Failure; 12],
    vk_digest: String,
    srs_digest: String,
    instances: usize,
    proof_bytes: usize,
    base_modulus: &'a str,
    scalar_modulus: String,
    proof_start: String,
    proof_end: String,
    evals_start: String,
    evals_end: String,
    s: String,
    s_scalar: String,
    t: String,
    t_second: String,
    f: String,
    body: String,
}
