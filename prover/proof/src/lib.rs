//! Powers of tau, keys, transcript, proving and verifying.
//!
//! Proofs are KZG proofs over BN254 with SHPLONK, one circuit a proof and one instance column, over
//! a Keccak-256 transcript that the EVM can repeat.
//!
//! | module | what it settles |
//! | --- | --- |
//! | [`srs`] | setups: development, `.ptau` and raw import with all checks, origin |
//! | [`keys`] | key generation with the checks that halo2 leaves out; key files |
//! | [`vk_digest`] | the canonical encoding and digest of a verifying key |
//! | [`transcript`] | the Keccak transcript |
//! | [`backend`] | the trait behind which provers sit; our prover, and halo2-axiom's as the reference |
//! | [`prove`](mod@prove) | prove (and verify what was proven), verify |
//! | [`proof_file`] | proofs as JSON |
//! | [`artefact`] | the header of binary files, atomic writing, `inspect` |
//!
//! Circuits are any `Circuit<Fr>`: this crate knows nothing of models.

pub mod artefact;
pub mod backend;
pub mod digest;
mod error;
mod fft;
mod guard;
pub mod keys;
mod memory;
mod msm;
pub mod proof_file;
pub mod prove;
pub mod srs;
mod synthesis;
pub mod transcript;
pub mod vk_digest;

pub use artefact::{FileInfo, inspect};
pub use backend::{DirectBackend, Halo2Backend, ProofRequest, ProverBackend};
pub use digest::{CircuitDigest, SrsDigest, VkDigest};
pub use error::ProofError;
pub use keys::{KeySpec, ProvingKey, VerifyingKey};
pub use memory::peak_memory_bytes;
pub use proof_file::ProofFile;
pub use prove::{Proof, Proven, prove, verify};
pub use srs::{DevelopmentSeed, LogRows, Provenance, Srs, Trust};
