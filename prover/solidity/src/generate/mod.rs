//! From a verifying key to the source of its verifier.

mod constraints;
mod failure;
mod key;
mod lookup;
mod memory;
mod opening;
mod program;
mod shape;
mod transcript;
mod writer;

pub(crate) use failure::Failure;

use alloy_primitives::keccak256;
use askama::Template;
use halo2_proofs::halo2curves::bn256::{Fr, G1Affine, G2Affine};
use halo2_proofs::halo2curves::ff::Field;
use halo2_proofs::halo2curves::group::prime::PrimeCurveAffine;
use halo2_proofs::plonk::{ConstraintSystem, VerifyingKey};

use crate::error::{Error, Result};
use crate::model::Key;
use crate::word;
use key::{KeyLayout, KeyValues, KeyWord};
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

/// Generator of the Solidity verifier of one verifying key: of its own, or shared with all keys of the same constraint
/// system.
pub struct Generator<'a> {
    shape: Shape<'a>,
    vk: &'a VerifyingKey<G1Affine>,
    params: &'a VerifierParams,
}

impl<'a> Generator<'a> {
    /// Checks that key and parameters are ones a verifier can be generated for.
    ///
    /// # Errors
    /// Names what is not supported: another number of instance columns than one, rotations that
    /// coincide, advice that is never opened, a key made for another degree than its gates and
    /// lookups need, more instances than rows, a digest that is not reduced, degenerate powers of
    /// tau.
    pub fn new(vk: &'a VerifyingKey<G1Affine>, params: &'a VerifierParams) -> Result<Self> {
        let shape = Shape::new(vk.cs())?;
        KeyValues::new(&shape, vk, params)?;
        if word::scalar_from_bytes(&params.vk_digest).is_none() {
            return Err(Error::DigestNotCanonical { digest: hex::encode(params.vk_digest) });
        }
        if bool::from(params.s_g2.is_identity()) {
            return Err(Error::DegenerateSrs { what: "identity" });
        }
        if params.s_g2 == G2Affine::generator() {
            return Err(Error::DegenerateSrs { what: "generator" });
        }
        Ok(Generator { shape, vk, params })
    }

    /// Source of a contract `name` with `verify(uint256[],bytes)` and the key inside.
    ///
    /// # Errors
    /// `name` is not an identifier; a gate reads what the key does not query.
    pub fn solidity(&self, name: &str) -> Result<String> {
        let values = KeyValues::new(&self.shape, self.vk, self.params)?;
        let single = Single {
            vk_digest: format!("0x{}", hex::encode(self.params.vk_digest)),
            srs_digest: format!("0x{}", hex::encode(self.params.srs_digest)),
            instances: self.params.instances,
            rows: format!("2^{} rows, ", values.k),
            s_g2: g2_words(&self.params.s_g2),
        };
        render(name, &self.shape, Form::Single { single, values: &values })
    }

    /// Source of a contract `name` that verifies proofs of every key of this constraint system; the same as
    /// [`shared_solidity`] gives.
    ///
    /// # Errors
    /// As [`Generator::solidity`].
    pub fn shared_solidity(&self, name: &str) -> Result<String> {
        render_shared(name, &self.shape)
    }

    /// The key for the contract that [`Generator::shared_solidity`] gives.
    ///
    /// # Errors
    /// As [`Generator::solidity`].
    pub fn key(&self) -> Result<Key> {
        let values = KeyValues::new(&self.shape, self.vk, self.params)?;
        Ok(values.bytes(verifier_id(&self.shape)?).into())
    }
}

/// Source of a contract `name` that verifies proofs of every key of a constraint system, which has no selectors left.
/// Its constructor takes `tau * G2` (see [`shared_creation`](crate::shared_creation)); keys are in the contracts that
/// call it (see [`Key`]).
///
/// # Errors
/// As [`Generator::new`] and [`Generator::solidity`], as far as they concern the constraint system.
pub fn shared_solidity(cs: &ConstraintSystem<Fr>, name: &str) -> Result<String> {
    render_shared(name, &Shape::new(cs)?)
}

/// The word that ties keys to a verifier: the hash of its source under a fixed name with zero for this word.
fn verifier_id(shape: &Shape<'_>) -> Result<[u8; 32]> {
    Ok(keccak256(render("Verifier", shape, Form::shared(shape, [0; 32]))?).0)
}

fn render_shared(name: &str, shape: &Shape<'_>) -> Result<String> {
    render(name, shape, Form::shared(shape, verifier_id(shape)?))
}

/// Which verifier is written.
enum Form<'a> {
    Single { single: Single, values: &'a KeyValues<'a> },
    Shared(Shared),
}

/// What a verifier with its key inside publishes.
struct Single {
    vk_digest: String,
    srs_digest: String,
    instances: usize,
    rows: String,
    s_g2: [String; 4],
}

/// What a shared verifier knows of the keys.
struct Shared {
    verifier: String,
    key_bytes: String,
    digest: String,
    srs: String,
    size: String,
}

impl Form<'_> {
    fn shared(shape: &Shape<'_>, verifier: [u8; 32]) -> Self {
        let layout = KeyLayout::new(shape);
        let at = |word| format!("{:#x}", layout.word(word).unwrap_or(0));
        Form::Shared(Shared {
            verifier: format!("0x{}", hex::encode(verifier)),
            key_bytes: format!("{:#x}", layout.bytes()),
            digest: at(KeyWord::Digest),
            srs: at(KeyWord::Srs),
            size: at(KeyWord::Size),
        })
    }
}

fn render(name: &str, shape: &Shape<'_>, form: Form<'_>) -> Result<String> {
    check_name(name)?;
    let (single, shared, values) = match form {
        Form::Single { single, values } => (Some(single), None, Some(values)),
        Form::Shared(shared) => (None, Some(shared), None),
    };
    let plan = writer::write(shape, values)?;
    let hexadecimal = |value: usize| format!("{value:#x}");
    let contract = Contract {
        name,
        summary: format!(
            "{}{} advice, {} fixed, {} permutation columns",
            single.as_ref().map_or("", |single| &single.rows),
            shape.cs.num_advice_columns(),
            shape.cs.num_fixed_columns(),
            shape.permutation.len(),
        ),
        errors: Failure::ALL.into_iter().filter(|failure| single.is_none() || !failure.is_of_keys()).collect(),
        single,
        shared,
        proof_bytes: plan.proof_bytes,
        proof_length: hexadecimal(plan.proof_bytes),
        base_modulus: BASE_MODULUS,
        scalar_modulus: scalar_modulus(),
        evals_start: hexadecimal(plan.evals.start),
        evals_end: hexadecimal(plan.evals.end),
        s: hexadecimal(writer::S),
        s_scalar: hexadecimal(writer::S + 0x40),
        t: hexadecimal(writer::T),
        t_second: hexadecimal(writer::T + 0x40),
        multiple: hexadecimal(writer::MULTIPLE),
        f: hexadecimal(writer::F),
        s_g2: words_from(writer::H2 + 0x40),
        minus_g2: words_from(writer::F + 0x40).into_iter().zip(g2_words(&-G2Affine::generator())).collect(),
        g2: g2_words(&G2Affine::generator()),
        body: plan.body,
    };
    Ok(contract.render()?)
}

fn g2_words(point: &G2Affine) -> [String; 4] {
    word::g2_coordinates(point).map(|coordinate| word::coordinate(&coordinate))
}

/// Addresses of four words.
fn words_from(address: usize) -> [String; 4] {
    [0, 1, 2, 3].map(|i| format!("{:#x}", address + 32 * i))
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
    errors: Vec<Failure>,
    single: Option<Single>,
    shared: Option<Shared>,
    proof_bytes: usize,
    proof_length: String,
    base_modulus: &'a str,
    scalar_modulus: String,
    evals_start: String,
    evals_end: String,
    s: String,
    s_scalar: String,
    t: String,
    t_second: String,
    multiple: String,
    f: String,
    s_g2: [String; 4],
    minus_g2: Vec<(String, String)>,
    g2: [String; 4],
    body: String,
}
