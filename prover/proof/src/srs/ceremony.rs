//! Published facts about ceremonies: digests of their files, and their `tau*G2`.

use std::path::Path;

use halo2_proofs::halo2curves::bn256::G2Affine;
use halo2_proofs::halo2curves::serde::SerdeObject;

use crate::error::ProofError;

/// The ceremony whose files are known here.
pub(super) const HERMEZ: &str = "Hermez powers of tau";

const HERMEZ_DIGESTS: &str = include_str!("../../data/hermez_ptau_blake2b.txt");
const HERMEZ_TAU_G2: &str = include_str!("../../data/hermez_tau_g2.txt");

/// The power of the ceremony file with this BLAKE2b-512, where there is one.
pub(super) fn power_of_file(blake2b: &str) -> Option<u32> {
    facts(HERMEZ_DIGESTS).find_map(|line| {
        let (power, digest) = line.split_once(' ')?;
        (digest.trim() == blake2b).then(|| power.parse().ok())?
    })
}

/// The ceremony whose tau this is. The powers of a checked setup follow from `tau*G2`, so this
/// names a setup whatever file it came in.
pub(super) fn of_tau(tau_g2: &G2Affine) -> Option<&'static str> {
    let known = facts(HERMEZ_TAU_G2).next()?;
    (hex::encode(tau_g2.to_raw_bytes()) == known).then_some(HERMEZ)
}

/// Refuses a setup that claims a ceremony and has another tau.
pub(super) fn check_claim(name: &str, tau_g2: &G2Affine, file: &Path) -> Result<(), ProofError> {
    if of_tau(tau_g2) == Some(name) {
        Ok(())
    } else {
        Err(ProofError::FalseProvenance { file: file.to_owned(), claimed: name.to_owned() })
    }
}

fn facts(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}
