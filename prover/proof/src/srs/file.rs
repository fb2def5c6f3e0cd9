//! Setups as binary files of this tool: marked, digested, with their origin.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::raw::RawPoints;
use super::{LogRows, Provenance, Srs, ceremony};
use crate::artefact::{Artefact, Expected, Kind, Stamp};
use crate::digest::{CircuitDigest, SrsDigest};
use crate::error::ProofError;

#[derive(Serialize, Deserialize)]
struct Description {
    k: LogRows,
    provenance: Provenance,
}

impl Srs {
    /// Writes the setup with its origin; a development setup is marked INSECURE in the header.
    ///
    /// # Errors
    /// [`ProofError::Io`] where the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ProofError> {
        let stamp = Stamp {
            kind: Kind::Srs,
            insecure: self.provenance().is_insecure(),
            circuit: CircuitDigest::NONE,
            srs: self.digest(),
        };
        let description = Description { k: self.k(), provenance: self.provenance().clone() };
        let bytes = self.to_raw_bytes(path)?;
        Artefact::write(path, &stamp, &description, |body| body.write_all(&bytes))
    }

    /// Reads a stored setup: header and digests are checked, every point is on its curve, and a
    /// claim to come from a ceremony must be true. `wanted` is the digest that keys ask for.
    ///
    /// The pairing check of an import is not repeated; [`Srs::check`] does.
    ///
    /// # Errors
    /// As [`Artefact::read`]; [`ProofError::OtherSrsFile`] where the points are not those of the
    /// header; [`ProofError::FalseProvenance`].
    pub fn load(path: &Path, wanted: Option<SrsDigest>) -> Result<Self, ProofError> {
        let artefact = Artefact::read(path, &Expected { kind: Kind::Srs, circuit: None, srs: wanted })?;
        let stamp = artefact.stamp();
        let Description { k, provenance } = artefact.description(path)?;
        let points = RawPoints::parse(artefact.body(), path)?;
        if let Provenance::Ceremony { name } = &provenance {
            ceremony::check_claim(name, &points.tau_g2, path)?;
        }
        if provenance.is_insecure() != stamp.insecure {
            return Err(ProofError::Malformed {
                path: path.to_owned(),
                problem: "its header and its origin disagree on whether it is INSECURE".to_owned(),
            });
        }
        let srs = points.into_srs(provenance);
        if srs.digest() != stamp.srs {
            return Err(ProofError::OtherSrsFile { path: path.to_owned(), made_with: srs.digest(), wanted: stamp.srs });
        }
        if srs.k() != k {
            return Err(ProofError::Malformed {
                path: path.to_owned(),
                problem: format!("it is described as {k} powers and holds {}", srs.k()),
            });
        }
        Ok(srs)
    }

    /// Repeats the checks of an import on this setup: generators, tau, powers, Lagrange form.
    /// `file` is what messages call it.
    ///
    /// # Errors
    /// A named error for each check, as [`Srs::import_raw`].
    pub fn check(&self, file: &Path) -> Result<(), ProofError> {
        RawPoints::parse(&self.to_raw_bytes(file)?, file)?.check(file)
    }
}
