//! Many compiled verifiers in one file: they are alike, so together they take a small part of their size.

use std::io::{Read, Write};

use alloy_primitives::{B256, keccak256};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const INDEX: &str = include_str!("../family.json");
const CODE: &[u8] = include_bytes!("../family.deflate");

/// What `family.json` says of the compiled verifiers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Version of the compiler that made all of them.
    pub compiler: String,
    /// Their interface, which is one.
    pub abi: serde_json::Value,
    /// The verifiers, in the order of the archive.
    pub verifiers: Vec<Entry>,
}

/// One compiled verifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Name of its shape.
    pub shape: String,
    /// Keccak-256 of the source.
    pub source: B256,
    /// Keccak-256 of the creation code without the constructor's argument.
    pub creation: B256,
    /// Bytes of the creation code.
    pub creation_bytes: usize,
    /// Bytes of the code on chain.
    pub runtime_bytes: usize,
}

/// An index and the compressed code that it describes.
#[derive(Debug, Clone)]
pub struct Archive<'a> {
    index: Index,
    code: &'a [u8],
}

/// A verifier that is compiled already.
#[derive(Debug, Clone)]
pub struct Precompiled {
    /// Creation code without the constructor's argument.
    pub creation: Vec<u8>,
    /// Bytes of the code on chain.
    pub runtime_bytes: usize,
    /// Its interface.
    pub abi: serde_json::Value,
    /// Version of its compiler.
    pub compiler: String,
}

impl Archive<'static> {
    /// The archive that is part of this program.
    ///
    /// # Errors
    /// Its index is malformed.
    pub fn embedded() -> Result<Self> {
        Self::new(INDEX, CODE)
    }
}

impl<'a> Archive<'a> {
    /// An archive of these two parts.
    ///
    /// # Errors
    /// The index is malformed.
    pub fn new(index: &str, code: &'a [u8]) -> Result<Self> {
        let index = serde_json::from_str(index).map_err(|error| damaged("its index", &error))?;
        Ok(Self { index, code })
    }

    /// What it says of its verifiers.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The verifier of a source, where the archive has it.
    ///
    /// # Errors
    /// The code is not what the index says.
    pub fn find(&self, source: &str) -> Result<Option<Precompiled>> {
        let hash = keccak256(source);
        let mut start = 0usize;
        for entry in &self.index.verifiers {
            if entry.source == hash {
                return Ok(Some(Precompiled {
                    creation: self.read(start, entry)?,
                    runtime_bytes: entry.runtime_bytes,
                    abi: self.index.abi.clone(),
                    compiler: self.index.compiler.clone(),
                }));
            }
            start = start.saturating_add(entry.creation_bytes);
        }
        Ok(None)
    }

    fn read(&self, start: usize, entry: &Entry) -> Result<Vec<u8>> {
        let fails = |error: std::io::Error| damaged(&entry.shape, &error);
        let mut code = DeflateDecoder::new(self.code);
        std::io::copy(&mut code.by_ref().take(start as u64), &mut std::io::sink()).map_err(fails)?;
        let mut creation = Vec::new();
        code.take(entry.creation_bytes as u64).read_to_end(&mut creation).map_err(fails)?;
        if keccak256(&creation) != entry.creation {
            return Err(damaged(&entry.shape, &"its code has another hash"));
        }
        Ok(creation)
    }
}

/// Compresses creation codes one after the other.
///
/// # Errors
/// Never, but for what the compressor itself reports.
pub fn compress<'c>(codes: impl IntoIterator<Item = &'c [u8]>) -> Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    for code in codes {
        encoder.write_all(code).map_err(|error| damaged("compressing", &error))?;
    }
    encoder.finish().map_err(|error| damaged("compressing", &error))
}

fn damaged(at: &str, reason: &dyn std::fmt::Display) -> Error {
    Error::Archive { at: at.to_owned(), reason: reason.to_string() }
}
