//! Solidity verifiers generated from verifying keys, and an in-process EVM to run them.
//!
//! [`Generator`] turns a halo2 verifying key (KZG with SHPLONK over BN254, Keccak transcript) into
//! one Solidity contract with `verify(uint256[] instances, bytes proof)`, which returns nothing or
//! reverts with a named error. [`compile`] makes bytecode of it, [`Evm`] deploys it in this process
//! and tells verdict and exact gas of a call.
//!
//! ```no_run
//! # use vouch_solidity::*;
//! # use halo2_proofs::{halo2curves::bn256::{Fr, G1Affine}, plonk::VerifyingKey};
//! # fn run(vk: &VerifyingKey<G1Affine>, params: &VerifierParams, instances: &[Fr], proof: &[u8])
//! # -> Result<()> {
//! let source = Generator::new(vk, params)?.solidity("Verifier")?;
//! let compiled = compile(&source, &SolcPath::in_repository(".".as_ref()))?;
//! let verifier = Evm::new(Rules::Cancun).deploy(&compiled.creation)?;
//! let outcome = verifier.verify(&encode_calldata(instances, proof))?;
//! assert!(outcome.verified, "{:?}", outcome.error_name);
//! # Ok(())
//! # }
//! ```
//!
//! [`StatementLayout`] describes what a model's instances say, and is where the encoders and decoders here and in
//! Solidity come from.
//!
//! # What a generated verifier checks
//! - Calldata is the canonical ABI encoding, to the byte.
//! - Every instance and every scalar of the proof is below the scalar modulus.
//! - Every point of the proof is on the curve, has canonical coordinates and is not the identity.
//!   The precompiles check coordinates and curve; when one refuses, the contract looks for the
//!   point and names it. A precompile that fails takes the gas it was given, so a malformed point
//!   costs its sender nearly the whole gas limit.
//! - Every precompile call succeeds and returns the number of bytes that it must.
//! - No denominator is zero.
//! - The opening equation holds.
//!
//! # What is supported
//! Any circuit with one instance column, advice in phases with challenges, fixed columns, any gates,
//! the permutation argument and halo2's own lookups. Several instance columns, advice that nothing
//! opens, rotations that coincide, and keys made for another degree than gates and lookups need are
//! refused by name ([`Error`]).

mod calldata;
mod codec;
mod compile;
mod error;
mod evm;
mod generate;
mod model;
mod profile;
mod word;

pub use calldata::{encode_calldata, instance_words};
pub use codec::{CodecError, CompiledReader, Port, PortSpec, Role, StatementLayout, StatementValues, Subject};
pub use compile::{Compiled, MAX_RUNTIME_BYTES, SolcPath, compile, compile_all, compile_standard_json, standard_json};
pub use error::{Error, Result};
pub use evm::{Answer, DeployedVerifier, Evm, EvmOutcome, Rules, SharedDeployment};
pub use generate::{Generator, VerifierParams, shared_solidity};
pub use model::{Key, KeyContract, shared_creation};
pub use profile::{GasPart, SourceParts};
