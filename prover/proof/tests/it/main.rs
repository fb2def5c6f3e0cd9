//! Tests of vouch-proof through its public interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod artefacts;
mod backends;
mod circuits;
mod fixtures;
mod keys;
mod proofs;
mod setups;
mod spans;
mod tampering;
mod transcripts;
