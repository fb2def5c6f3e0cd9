//! Binary files: one self-describing header, a description, a body.
//!
//! | bytes | field |
//! | --- | --- |
//! | 0..6 | magic `VOUCH\0` |
//! | 6..8 | format version, little-endian |
//! | 8 | kind ([`Kind`]) |
//! | 9..16 | zeros |
//! | 16..24 | the ASCII word `INSECURE` where tau is known, else zeros |
//! | 24..56 | circuit digest, zeros where none applies |
//! | 56..88 | digest of the powers of tau, zeros where none applies |
//! | 88..96 | payload length, little-endian |
//! | 96..128 | BLAKE3 of the payload followed by bytes 0..96 of the header |
//! | 128.. | payload: length of the description (32 bits, little-endian), description (JSON), body |
//!
//! The digest covers the header too, so that no mark or digest in it can be changed unnoticed. All
//! of it is checked before anything that was made of the payload is handed out; long bodies are decoded while they are
//! hashed. Files are written beside their place under a temporary name, synced and renamed: a reader sees the old file
//! or the new one.

mod atomic;
mod inspect;

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use atomic::write_atomically;
pub use inspect::{ArtefactInfo, FileInfo, inspect};

use crate::digest::{CircuitDigest, SrsDigest};
use crate::error::ProofError;
use crate::srs::INSECURE;

/// First bytes of every binary file.
pub const MAGIC: &[u8; 6] = b"VOUCH\0";
/// Version of the layout above.
pub const FORMAT_VERSION: u16 = 1;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 128;
const HASHED_BYTES: usize = 96;

/// What a binary file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// Powers of tau.
    Srs = 1,
    /// Proving key.
    ProvingKey = 2,
    /// Verifying key.
    VerifyingKey = 3,
    /// Quantised integer graph.
    Graph = 4,
    /// Circuit plan.
    Plan = 5,
    /// Verifying key as the chain stores it.
    VerifierBlob = 6,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Srs, Self::ProvingKey, Self::VerifyingKey, Self::Graph, Self::Plan, Self::VerifierBlob];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Srs => "powers of tau",
            Self::ProvingKey => "a proving key",
            Self::VerifyingKey => "a verifying key",
            Self::Graph => "an integer graph",
            Self::Plan => "a circuit plan",
            Self::VerifierBlob => "a verifying key for the chain",
        })
    }
}

/// What a header says of its file, apart from lengths and hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// What the file holds.
    pub kind: Kind,
    /// Whether it rests on a setup whose tau is known.
    pub insecure: bool,
    /// The circuit it was made for, or [`CircuitDigest::NONE`].
    pub circuit: CircuitDigest,
    /// The powers of tau it was made with, or [`SrsDigest::NONE`].
    pub srs: SrsDigest,
}

/// What a reader insists on.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// The kind.
    pub kind: Kind,
    /// The circuit, where the reader has one in mind.
    pub circuit: Option<CircuitDigest>,
    /// The powers of tau, where the reader has them in mind.
    pub srs: Option<SrsDigest>,
}

impl Expected {
    /// A file of this kind for whatever circuit and setup.
    #[must_use]
    pub const fn any(kind: Kind) -> Self {
        Self { kind, circuit: None, srs: None }
    }
}

/// A binary file whose header and digest hold.
#[derive(Debug, Clone)]
pub struct Artefact {
    opened: Opened,
    body: Vec<u8>,
}

/// What a file says before its body.
#[derive(Debug, Clone)]
struct Opened {
    stamp: Stamp,
    blake3: [u8; 32],
    payload_bytes: u64,
    description: Vec<u8>,
}

/// The body of a file, hashed as it is read.
pub(crate) struct Body<'a> {
    file: &'a mut dyn Read,
    hasher: blake3::Hasher,
    unread: u64,
    failure: Option<io::Error>,
}

impl Body<'_> {
    /// Bytes that are still to come.
    pub(crate) const fn unread(&self) -> u64 {
        self.unread
    }

    /// Fills the buffer, which must not be longer than what is unread.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), String> {
        let ended = || "it ends early".to_owned();
        self.unread = self.unread.checked_sub(buffer.len() as u64).ok_or_else(ended)?;
        match self.file.read_exact(buffer) {
            Ok(()) => {
                self.hasher.update_rayon(buffer);
                Ok(())
            }
            Err(error) => {
                self.failure = Some(error);
                Err(ended())
            }
        }
    }

    /// Reads on to the end, for the digest's sake.
    fn drain(&mut self) {
        let mut buffer = vec![0; 1 << 16];
        while self.unread > 0 {
            let length = buffer.len().min(usize::try_from(self.unread).unwrap_or(usize::MAX));
            if self.fill(&mut buffer[..length]).is_err() {
                break;
            }
        }
    }
}

impl Artefact {
    /// What the header says.
    #[must_use]
    pub const fn stamp(&self) -> &Stamp {
        &self.opened.stamp
    }

    /// The content behind the description.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The description, parsed.
    ///
    /// # Errors
    /// [`ProofError::Malformed`] where it is not such a description.
    pub fn description<T: DeserializeOwned>(&self, path: &Path) -> Result<T, ProofError> {
        self.opened.description(path)
    }

    /// Reads a file and checks magic, version, kind, length, digest, circuit and setup, in this
    /// order.
    ///
    /// # Errors
    /// [`ProofError::ForeignFile`], [`ProofError::FormatVersion`], [`ProofError::ForeignKind`],
    /// [`ProofError::FileLength`], [`ProofError::Corrupt`], [`ProofError::OtherCircuit`],
    /// [`ProofError::OtherSrsFile`] for the checks; [`ProofError::Io`] where reading fails.
    pub fn read(path: &Path, expected: &Expected) -> Result<Self, ProofError> {
        let (opened, body) = Opened::read(path, Some(expected.kind), read_all)?;
        opened.check(path, expected)?;
        Ok(Self { opened, body })
    }

    /// The same, with the body decoded while it is read: for bodies that memory should not hold twice. `decode` gets the
    /// stamp and the description, whose digest is not checked yet; what it returns is dropped where the digest does not hold.
    pub(crate) fn decode<D: DeserializeOwned, T>(
        path: &Path,
        expected: &Expected,
        decode: impl FnOnce(&Stamp, D, &mut Body<'_>) -> Result<T, ProofError>,
    ) -> Result<T, ProofError> {
        let (opened, content) = Opened::read(path, Some(expected.kind), |opened, body| {
            opened.description(path).and_then(|description| decode(&opened.stamp, description, body))
        })?;
        opened.check(path, expected)?;
        content
    }

    /// Writes a file atomically: header, `description` as JSON, and the bytes that `body` writes.
    ///
    /// # Errors
    /// [`ProofError::Io`] where writing fails; the file is then what it was before.
    pub fn write(
        path: &Path,
        stamp: &Stamp,
        description: &impl Serialize,
        body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), ProofError> {
        write_atomically(path, |file| {
            file.write_all(&[0; HEADER_BYTES])?;
            let description = serde_json::to_vec(description).map_err(io::Error::other)?;
            let length = u32::try_from(description.len()).map_err(io::Error::other)?;
            let mut payload = Hashing { file, hasher: blake3::Hasher::new(), bytes: 0 };
            payload.write_all(&length.to_le_bytes())?;
            payload.write_all(&description)?;
            body(&mut payload)?;
            let Hashing { file, mut hasher, bytes } = payload;
            let header = header_bytes(stamp, bytes);
            hasher.update(&header);
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header)?;
            file.write_all(hasher.finalize().as_bytes())
        })
    }
}

impl Opened {
    /// Reads a file: its head, what `take` makes of the body, and the digest of all of it.
    fn read<T>(
        path: &Path,
        want: Option<Kind>,
        take: impl FnOnce(&Self, &mut Body<'_>) -> T,
    ) -> Result<(Self, T), ProofError> {
        let (mut file, length) = open(path)?;
        let io_error = |source| ProofError::Io { path: path.to_owned(), action: "read", source };
        let mut start = Vec::with_capacity(HEADER_BYTES);
        (&mut file).take(HEADER_BYTES as u64).read_to_end(&mut start).map_err(io_error)?;
        if !start.starts_with(MAGIC) {
            return Err(ProofError::ForeignFile { path: path.to_owned() });
        }
        let wrong_length = |need| ProofError::FileLength { path: path.to_owned(), need, have: length };
        let header: &[u8; HEADER_BYTES] = start.as_slice().try_into().map_err(|_| wrong_length(HEADER_BYTES as u64))?;
        let ParsedHeader { stamp, payload_bytes, blake3 } = parse_header(header, path, want)?;
        let need = payload_bytes.saturating_add(HEADER_BYTES as u64);
        if need != length {
            return Err(wrong_length(need));
        }
        // The length is the file's own, so a forged header cannot ask for more memory than that.
        let mut body = Body { file: &mut file, hasher: blake3::Hasher::new(), unread: payload_bytes, failure: None };
        let mut description_bytes = [0; 4];
        let mut description = Vec::new();
        let described = body.fill(&mut description_bytes).and_then(|()| {
            let bytes = u32::from_le_bytes(description_bytes);
            if u64::from(bytes) > body.unread() {
                return Err("its description is longer than the file".to_owned());
            }
            description.resize(bytes as usize, 0);
            body.fill(&mut description)
        });
        let opened = Self { stamp, blake3, payload_bytes, description };
        let content = described.map(|()| take(&opened, &mut body));
        body.drain();
        let Body { mut hasher, failure, .. } = body;
        if let Some(error) = failure {
            // The file became shorter while it was read.
            return Err(if error.kind() == io::ErrorKind::UnexpectedEof {
                wrong_length(need)
            } else {
                io_error(error)
            });
        }
        hasher.update(&header[..HASHED_BYTES]);
        if *hasher.finalize().as_bytes() != blake3 {
            return Err(ProofError::Corrupt { path: path.to_owned() });
        }
        let content = content.map_err(|problem| ProofError::Malformed { path: path.to_owned(), problem })?;
        Ok((opened, content))
    }

    fn description<T: DeserializeOwned>(&self, path: &Path) -> Result<T, ProofError> {
        serde_json::from_slice(&self.description).map_err(|error| ProofError::Malformed {
            path: path.to_owned(),
            problem: format!("its description is not understood: {error}"),
        })
    }

    fn check(&self, path: &Path, expected: &Expected) -> Result<(), ProofError> {
        let stamp = &self.stamp;
        if let Some(wanted) = expected.circuit
            && wanted != stamp.circuit
        {
            return Err(ProofError::OtherCircuit { path: path.to_owned(), made_for: stamp.circuit, wanted });
        }
        if let Some(wanted) = expected.srs
            && wanted != stamp.srs
        {
            return Err(ProofError::OtherSrsFile { path: path.to_owned(), made_with: stamp.srs, wanted });
        }
        Ok(())
    }
}

/// The whole body; shorter where reading fails, which the reader notices.
fn read_all(_: &Opened, body: &mut Body<'_>) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(body.unread()).unwrap_or(0)];
    // A failure is kept in the body.
    let _ = body.fill(&mut bytes);
    bytes
}

/// Reads a whole file.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, ProofError> {
    std::fs::read(path).map_err(|source| ProofError::Io { path: path.to_owned(), action: "read", source })
}

fn open(path: &Path) -> Result<(File, u64), ProofError> {
    let open = || -> io::Result<(File, u64)> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    };
    open().map_err(|source| ProofError::Io { path: path.to_owned(), action: "open", source })
}

struct ParsedHeader {
    stamp: Stamp,
    payload_bytes: u64,
    blake3: [u8; 32],
}

fn parse_header(header: &[u8; HEADER_BYTES], path: &Path, want: Option<Kind>) -> Result<ParsedHeader, ProofError> {
    let version = u16::from_le_bytes([header[6], header[7]]);
    if version != FORMAT_VERSION {
        return Err(ProofError::FormatVersion {
            path: path.to_owned(),
            got: u64::from(version),
            want: u64::from(FORMAT_VERSION),
        });
    }
    let kind = match (Kind::from_byte(header[8]), want) {
        (Some(kind), None) => kind,
        (Some(kind), Some(want)) if kind == want => kind,
        (Some(kind), Some(want)) => {
            return Err(ProofError::ForeignKind { path: path.to_owned(), got: kind.to_string(), want });
        }
        (None, Some(want)) => {
            return Err(ProofError::ForeignKind {
                path: path.to_owned(),
                got: format!("an unknown kind of content ({})", header[8]),
                want,
            });
        }
        (None, None) => {
            return Err(ProofError::Malformed {
                path: path.to_owned(),
                problem: format!("this build knows no kind of content {}", header[8]),
            });
        }
    };
    let word = |start: usize| {
        let mut word = [0u8; 32];
        word.copy_from_slice(&header[start..start + 32]);
        word
    };
    let mut length = [0u8; 8];
    length.copy_from_slice(&header[88..96]);
    Ok(ParsedHeader {
        stamp: Stamp {
            kind,
            insecure: &header[16..24] == INSECURE.as_bytes(),
            circuit: CircuitDigest(word(24)),
            srs: SrsDigest(word(56)),
        },
        payload_bytes: u64::from_le_bytes(length),
        blake3: word(96),
    })
}

fn header_bytes(stamp: &Stamp, payload_bytes: u64) -> [u8; HASHED_BYTES] {
    let mut header = [0u8; HASHED_BYTES];
    header[..6].copy_from_slice(MAGIC);
    header[6..8].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    header[8] = stamp.kind as u8;
    if stamp.insecure {
        header[16..24].copy_from_slice(INSECURE.as_bytes());
    }
    header[24..56].copy_from_slice(stamp.circuit.as_bytes());
    header[56..88].copy_from_slice(stamp.srs.as_bytes());
    header[88..96].copy_from_slice(&payload_bytes.to_le_bytes());
    header
}

/// Passes bytes on to the file and hashes them on the way.
struct Hashing<'a, F> {
    file: &'a mut F,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<F: Write> Write for Hashing<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
