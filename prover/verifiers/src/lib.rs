//! The compiled verifiers of the standard family of circuit shapes: a model of one of these shapes needs no Solidity
//! compiler.
//!
//! A shared verifier depends on the shape alone ([`source`]). Those of [`vouch_circuit::standard_shapes`] are compiled
//! beforehand: `family.json` lists them with the hashes of source and code, `family.deflate` holds the code.
//! `script/bless verifiers` makes both anew, `script/test` checks that nothing but the compiler and the sources went
//! into them.

mod archive;
mod error;

pub use archive::{Archive, Entry, Index, Precompiled, compress};
pub use error::{Error, Result};

use vouch_circuit::Shape;

/// Name of every shared verifier's contract.
pub const CONTRACT: &str = "ShapeVerifier";

/// The compiled verifier of a source, as [`source`] or a verifying key give it; nothing where it is not of the standard
/// family.
///
/// # Errors
/// The embedded archive is damaged.
pub fn precompiled(source: &str) -> Result<Option<Precompiled>> {
    Archive::embedded()?.find(source)
}

/// Solidity source of a shape's verifier.
///
/// # Errors
/// As [`vouch_solidity::shared_solidity`].
pub fn source(shape: &Shape) -> Result<String> {
    Ok(vouch_solidity::shared_solidity(&shape.constraint_system(), CONTRACT)?)
}
