//! halo2's raw format: `k` (32 bits, little-endian), `n` powers, their Lagrange form, `G2`,
//! `tau*G2`; coordinates in Montgomery form, little-endian.
//!
//! halo2's own reader checks that coordinates are below the modulus and nothing else, whatever its
//! documentation says of `RawBytes`. This one believes no byte.

use std::io::Write;
use std::path::Path;

use blake2::{Blake2b512, Digest};
use halo2_proofs::SerdeFormat;
use halo2_proofs::halo2curves::bn256::{G1Affine, G2Affine};

use super::checks::{Candidate, G1_BYTES, G2_BYTES, read_g1, read_g2};
use super::{LogRows, Provenance, Srs, Trust, ceremony};
use crate::artefact::{read_file, write_atomically};
use crate::error::ProofError;

impl Srs {
    /// Reads a file in halo2's raw format with the checks of a `.ptau` import: every point on its
    /// curve and in its subgroup, the generators, tau, the powers by a pairing, the Lagrange form.
    ///
    /// # Errors
    /// A named error for each check, and [`ProofError::UnknownSetup`] where the caller trusts
    /// ceremonies alone and the file's tau belongs to none.
    pub fn import_raw(file: &Path, trust: Trust) -> Result<Self, ProofError> {
        Self::from_raw_bytes(&read_file(file)?, trust, file)
    }

    /// [`Srs::import_raw`] for bytes in memory; `file` is what messages call them.
    ///
    /// # Errors
    /// As [`Srs::import_raw`].
    pub fn from_raw_bytes(bytes: &[u8], trust: Trust, file: &Path) -> Result<Self, ProofError> {
        let points = RawPoints::parse(bytes, file)?;
        let candidate = Candidate { file, k: points.k, powers: &points.powers, g2: points.g2, tau_g2: points.tau_g2 };
        candidate.check_powers()?;
        candidate.check_lagrange(&points.lagrange)?;
        let provenance = match (ceremony::of_tau(&points.tau_g2), trust) {
            (Some(name), _) => Provenance::Ceremony { name: name.to_owned() },
            (None, Trust::AnySetup) => Provenance::Unknown { blake2b: hex::encode(Blake2b512::digest(bytes)) },
            (None, Trust::KnownCeremonies) => {
                return Err(ProofError::UnknownSetup {
                    file: file.to_owned(),
                    blake2b: hex::encode(Blake2b512::digest(bytes)),
                });
            }
        };
        Ok(points.into_srs(provenance))
    }

    /// Writes the setup in halo2's raw format. The format has no room for the origin: a
    /// development setup written so is no longer marked.
    ///
    /// # Errors
    /// [`ProofError::Io`] where the file cannot be written.
    pub fn export_raw(&self, file: &Path) -> Result<(), ProofError> {
        let bytes = self.to_raw_bytes(file)?;
        write_atomically(file, |writer| writer.write_all(&bytes))
    }

    pub(super) fn to_raw_bytes(&self, file: &Path) -> Result<Vec<u8>, ProofError> {
        let mut bytes = Vec::with_capacity(raw_length(self.k()));
        self.params().write_custom(&mut bytes, SerdeFormat::RawBytes).map_err(|source| ProofError::Io {
            path: file.to_owned(),
            action: "encode",
            source,
        })?;
        Ok(bytes)
    }
}

fn raw_length(k: LogRows) -> usize {
    4 + 2 * k.rows() * G1_BYTES + 2 * G2_BYTES
}

/// The parts of a raw file: each point is on its curve, nothing else is known.
pub(super) struct RawPoints {
    k: LogRows,
    powers: Vec<G1Affine>,
    lagrange: Vec<G1Affine>,
    g2: G2Affine,
    pub(super) tau_g2: G2Affine,
}

impl RawPoints {
    pub(super) fn parse(bytes: &[u8], file: &Path) -> Result<Self, ProofError> {
        let truncated =
            |need: usize| ProofError::SrsLength { file: file.to_owned(), need: need as u64, have: bytes.len() as u64 };
        let (head, body) = bytes.split_first_chunk::<4>().ok_or_else(|| truncated(4))?;
        let k = LogRows::new(u32::from_le_bytes(*head))?;
        if bytes.len() != raw_length(k) {
            return Err(truncated(raw_length(k)));
        }
        let (powers, rest) = body.split_at(k.rows() * G1_BYTES);
        let (lagrange, rest) = rest.split_at(k.rows() * G1_BYTES);
        let (g2, tau_g2) = rest.split_at(G2_BYTES);
        Ok(Self {
            k,
            powers: read_g1(powers, "powers in G1", file)?,
            lagrange: read_g1(lagrange, "Lagrange form in G1", file)?,
            g2: read_g2(g2, "powers in G2", 0, file)?,
            tau_g2: read_g2(tau_g2, "powers in G2", 1, file)?,
        })
    }

    pub(super) fn into_srs(self, provenance: Provenance) -> Srs {
        Srs::from_parts(self.k, self.powers, Some(self.lagrange), self.tau_g2, provenance)
    }

    /// The checks of an import, for a setup that was stored here.
    pub(super) fn check(&self, file: &Path) -> Result<(), ProofError> {
        let candidate = Candidate { file, k: self.k, powers: &self.powers, g2: self.g2, tau_g2: self.tau_g2 };
        candidate.check_powers()?;
        candidate.check_lagrange(&self.lagrange)
    }
}
