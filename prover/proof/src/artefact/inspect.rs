//! What a file is, what made it, and its digests.

use std::io::Read;
use std::path::Path;

use serde::Serialize;

use super::{FORMAT_VERSION, Kind, MAGIC, Opened, open};
use crate::digest::{CircuitDigest, SrsDigest};
use crate::error::ProofError;
use crate::proof_file::ProofFile;

/// A file as `inspect` sees it.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "file", rename_all = "snake_case")]
pub enum FileInfo {
    /// A binary file.
    Artefact(ArtefactInfo),
    /// A proof file.
    Proof(Box<ProofFile>),
}

/// Header and description of a binary file.
#[derive(Debug, Clone, Serialize)]
pub struct ArtefactInfo {
    /// What it holds.
    pub kind: Kind,
    /// Version of the format.
    pub format_version: u16,
    /// `INSECURE` where it rests on a setup whose tau is known, else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marking: Option<&'static str>,
    /// The circuit it was made for; absent where none applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_digest: Option<CircuitDigest>,
    /// The powers of tau it was made with; absent where none apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub srs_digest: Option<SrsDigest>,
    /// Bytes behind the header.
    pub payload_bytes: u64,
    /// BLAKE3 of payload and header, hexadecimal.
    pub blake3: String,
    /// What the maker wrote about it.
    pub description: serde_json::Value,
}

/// Reads any file of this tool and says what it is. Length and digest are checked.
///
/// # Errors
/// As [`super::Artefact::read`] and [`ProofFile::read`]; [`ProofError::ForeignFile`] for anything else.
pub fn inspect(path: &Path) -> Result<FileInfo, ProofError> {
    let (file, _) = open(path)?;
    let mut start = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut start).map_err(|source| ProofError::Io {
        path: path.to_owned(),
        action: "read",
        source,
    })?;
    if start.first() == Some(&b'{') {
        return Ok(FileInfo::Proof(Box::new(ProofFile::read(path)?)));
    }
    let (opened, ()) = Opened::read(path, None, |_, _| ())?;
    let stamp = opened.stamp;
    Ok(FileInfo::Artefact(ArtefactInfo {
        kind: stamp.kind,
        format_version: FORMAT_VERSION,
        marking: stamp.insecure.then_some(crate::srs::INSECURE),
        circuit_digest: (stamp.circuit != CircuitDigest::NONE).then_some(stamp.circuit),
        srs_digest: (stamp.srs != SrsDigest::NONE).then_some(stamp.srs),
        payload_bytes: opened.payload_bytes,
        blake3: hex::encode(opened.blake3),
        description: opened.description(path)?,
    }))
}
