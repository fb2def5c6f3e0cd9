//! Solidity verifiers generated from verifying keys, and an in-process EVM to run them.

mod calldata;
mod compile;
mod error;
mod evm;
mod generate;
mod word;

pub use calldata::encode_calldata;
pub use compile::{Compiled, MAX_RUNTIME_BYTES, SolcPath, compile};
pub use error::{Error, Result};
pub use evm::{DeployedVerifier, Evm, EvmOutcome, Rules};
pub use generate::{Generator, VerifierParams};
