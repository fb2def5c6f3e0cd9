//! snarkjs's `.ptau` files: the format in which ceremonies publish.
//!
//! `ptau`, version 1, number of sections (32 bits each, little-endian); then sections of type
//! (32 bits), length (64 bits), content. Used here: 1 header (bytes of a coordinate, the base
//! field's modulus, power, power of the ceremony), 2 `tau^i G1` (`2^(power+1) - 1` points), 3
//! `tau^i G2` (`2^power` points), 12 Lagrange forms in G1 of all sizes up to the power, one after
//! another. Points are affine, coordinates in Montgomery form, little-endian.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use blake2::{Blake2b512, Digest};
use halo2_proofs::halo2curves::bn256::{Fr, G1Affine};
use halo2_proofs::halo2curves::ff::{Field, PrimeField};

use super::checks::{Candidate, G1_BYTES, G2_BYTES, read_g1, read_g2};
use super::{LogRows, Provenance, Srs, Trust, ceremony};
use crate::error::ProofError;

const HEADER: u32 = 1;
const TAU_G1: u32 = 2;
const TAU_G2: u32 = 3;
const LAGRANGE_G1: u32 = 12;

/// snarkjs takes powers of 5 for its roots of unity, halo2 powers of 7.
const SNARKJS_NON_RESIDUE: u64 = 5;

/// The base field's modulus, little-endian.
const BN254_MODULUS: [u8; 32] = [
    0x47, 0xfd, 0x7c, 0xd8, 0x16, 0x8c, 0x20, 0x3c, 0x8d, 0xca, 0x71, 0x68, 0x91, 0x6a, 0x81, 0x97, 0x5d, 0x58, 0x81,
    0x81, 0xb6, 0x45, 0x50, 0xb8, 0x29, 0xa0, 0x31, 0xe1, 0x72, 0x4e, 0x64, 0x30,
];

impl Srs {
    /// Imports the first `2^k` powers of a `.ptau` file (all that it is named for where `k` is not
    /// given) and checks: the format and its bounds, the file's name against its header, the digest
    /// of the whole file against the published ones, every imported point on its curve and in its
    /// subgroup, the generators, tau, the powers by a random-combination pairing, and the Lagrange
    /// form, which is computed where the file has none.
    ///
    /// # Errors
    /// A named error for each check; [`ProofError::UnknownSetup`] where the caller trusts ceremonies
    /// alone and the digest is not on the list.
    pub fn import_ptau(file: &Path, k: Option<LogRows>, trust: Trust) -> Result<Self, ProofError> {
        let mut ptau = Ptau::open(file)?;
        let k = LogRows::new(k.unwrap_or(ptau.power).0)?;
        if k > ptau.power {
            return Err(ProofError::TooFewPowers { have: ptau.power, want: k });
        }
        let blake2b = ptau.blake2b()?;
        let provenance = match (ceremony::power_of_file(&blake2b), trust) {
            (Some(_), _) => Provenance::Ceremony { name: ceremony::HERMEZ.to_owned() },
            (None, Trust::AnySetup) => Provenance::Unknown { blake2b },
            (None, Trust::KnownCeremonies) => {
                return Err(ProofError::UnknownSetup { file: file.to_owned(), blake2b });
            }
        };

        let raw = ptau.read(TAU_G1, 0, k.rows() * G1_BYTES)?;
        let powers = read_g1(&raw, "powers in G1", file)?;
        let raw = ptau.read(TAU_G2, 0, 2 * G2_BYTES)?;
        let (g2, tau_g2) = raw.split_at(G2_BYTES);
        let g2 = read_g2(g2, "powers in G2", 0, file)?;
        let tau_g2 = read_g2(tau_g2, "powers in G2", 1, file)?;
        let candidate = Candidate { file, k, powers: &powers, g2, tau_g2 };
        candidate.check_powers()?;
        let lagrange = ptau.lagrange(k)?;
        if let Some(lagrange) = &lagrange {
            candidate.check_lagrange(lagrange)?;
        }
        if let Provenance::Ceremony { name } = &provenance {
            ceremony::check_claim(name, &tau_g2, file)?;
        }
        Ok(Self::from_parts(k, powers, lagrange, tau_g2, provenance))
    }
}

#[derive(Clone, Copy)]
struct Section {
    start: u64,
    length: u64,
}

struct Ptau {
    path: PathBuf,
    file: File,
    length: u64,
    sections: BTreeMap<u32, Section>,
    power: LogRows,
}

impl Ptau {
    fn open(path: &Path) -> Result<Self, ProofError> {
        let open = |path: &Path| -> io::Result<(File, u64)> {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        let (file, length) =
            open(path).map_err(|source| ProofError::Io { path: path.to_owned(), action: "open", source })?;
        let mut ptau = Self { path: path.to_owned(), file, length, sections: BTreeMap::new(), power: LogRows(0) };
        ptau.read_directory()?;
        ptau.read_header()?;
        ptau.check_name()?;
        Ok(ptau)
    }

    fn read_directory(&mut self) -> Result<(), ProofError> {
        if self.length < 12 {
            return Err(self.not_ptau("it is shorter than the format's first 12 bytes"));
        }
        let head = self.read_at(0, 12)?;
        if !head.starts_with(b"ptau") {
            return Err(self.not_ptau("it does not start with the letters `ptau`"));
        }
        if le_u32(&head[4..]) != 1 {
            return Err(self.not_ptau("its format version is not 1"));
        }
        let count = le_u32(&head[8..]);
        let mut position = 12u64;
        for _ in 0..count {
            let head = self.read_at(position, 12)?;
            let (kind, length) = (le_u32(&head), le_u64(&head[4..]));
            let start = position + 12;
            let end = start.checked_add(length).ok_or_else(|| self.not_ptau("a section's length overflows"))?;
            if end > self.length {
                return Err(self.too_short(end));
            }
            if self.sections.insert(kind, Section { start, length }).is_some() {
                return Err(self.not_ptau("it has two sections of one type"));
            }
            position = end;
        }
        if position != self.length {
            return Err(self.not_ptau("bytes follow its last section"));
        }
        Ok(())
    }

    fn read_header(&mut self) -> Result<(), ProofError> {
        let header = self.read(HEADER, 0, 44)?;
        if le_u32(&header) != 32 || header[4..36] != BN254_MODULUS {
            return Err(self.not_ptau("its curve is not BN254"));
        }
        let power = LogRows::new(le_u32(&header[36..]))?;
        self.power = power;
        let expected = [
            (TAU_G1, (2 * power.rows() as u64 - 1) * G1_BYTES as u64),
            (TAU_G2, power.rows() as u64 * G2_BYTES as u64),
        ];
        for (kind, length) in expected {
            if self.section(kind)?.length != length {
                return Err(self.not_ptau("a section's length does not match its power"));
            }
        }
        Ok(())
    }

    /// Published files end in their power (`…_final_09.ptau`); one that says another is not the
    /// file that somebody meant to download.
    fn check_name(&self) -> Result<(), ProofError> {
        let named = self
            .path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .and_then(|stem| stem.rsplit_once('_'))
            .filter(|(before, digits)| before.ends_with("final") && digits.len() == 2)
            .and_then(|(_, digits)| digits.parse().ok());
        match named {
            Some(named) if named != self.power.0 => {
                Err(ProofError::Misnamed { file: self.path.clone(), named: LogRows(named), holds: self.power })
            }
            _ => Ok(()),
        }
    }

    fn blake2b(&mut self) -> Result<String, ProofError> {
        let hash = |file: &mut File| -> io::Result<String> {
            file.seek(SeekFrom::Start(0))?;
            let mut hasher = Blake2b512::new();
            io::copy(file, &mut hasher)?;
            Ok(hex::encode(hasher.finalize()))
        };
        hash(&mut self.file).map_err(|source| self.io("read", source))
    }

    /// The Lagrange form of size `k` in halo2's order, where the file has one.
    ///
    /// snarkjs's domain is that of another root of unity, `w = g^e` with halo2's `g`: its point `i`
    /// is halo2's point `e*i mod n`.
    fn lagrange(&mut self, k: LogRows) -> Result<Option<Vec<G1Affine>>, ProofError> {
        if !self.sections.contains_key(&LAGRANGE_G1) {
            return Ok(None);
        }
        let n = k.rows();
        // Sizes 1, 2, 4, ... stand one after another.
        let raw = self.read(LAGRANGE_G1, (n as u64 - 1) * G1_BYTES as u64, n * G1_BYTES)?;
        let theirs = read_g1(&raw, "Lagrange form in G1", &self.path)?;
        let exponent = root_exponent(k);
        let mut ours = vec![G1Affine::default(); n];
        for (index, point) in theirs.into_iter().enumerate() {
            ours[(index * exponent) & (n - 1)] = point;
        }
        Ok(Some(ours))
    }

    fn section(&self, kind: u32) -> Result<Section, ProofError> {
        self.sections.get(&kind).copied().ok_or_else(|| self.not_ptau("a section of points is missing"))
    }

    fn read(&mut self, kind: u32, offset: u64, length: usize) -> Result<Vec<u8>, ProofError> {
        let section = self.section(kind)?;
        let end = offset.saturating_add(length as u64);
        if end > section.length {
            return Err(self.too_short(section.start.saturating_add(end)));
        }
        self.read_at(section.start + offset, length)
    }

    fn read_at(&mut self, position: u64, length: usize) -> Result<Vec<u8>, ProofError> {
        let end = position.saturating_add(length as u64);
        if end > self.length {
            return Err(self.too_short(end));
        }
        let read = |file: &mut File| -> io::Result<Vec<u8>> {
            file.seek(SeekFrom::Start(position))?;
            let mut bytes = vec![0u8; length];
            file.read_exact(&mut bytes)?;
            Ok(bytes)
        };
        read(&mut self.file).map_err(|source| self.io("read", source))
    }

    fn not_ptau(&self, problem: &'static str) -> ProofError {
        ProofError::NotPtau { file: self.path.clone(), problem }
    }

    fn too_short(&self, need: u64) -> ProofError {
        ProofError::SrsLength { file: self.path.clone(), need, have: self.length }
    }

    fn io(&self, action: &'static str, source: io::Error) -> ProofError {
        ProofError::Io { path: self.path.clone(), action, source }
    }
}

fn le_u32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn le_u64(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The `e` with `w = g^e` for snarkjs's root `w` and halo2's root `g` of order `2^k`, bit by bit.
fn root_exponent(k: LogRows) -> usize {
    // (r - 1) / 2^28 by shifting the limbs of r - 1.
    let minus_one = (-Fr::ONE).to_repr();
    let mut limbs = [0u64; 4];
    for (limb, bytes) in limbs.iter_mut().zip(minus_one.chunks_exact(8)) {
        *limb = le_u64(bytes);
    }
    let high = [limbs[1], limbs[2], limbs[3], 0];
    for (limb, next) in limbs.iter_mut().zip(high) {
        *limb = *limb >> Fr::S | next << (64 - Fr::S);
    }
    let order_2k = |root: Fr| (k.0..Fr::S).fold(root, |root, _| root.square());
    let theirs = order_2k(Fr::from(SNARKJS_NON_RESIDUE).pow_vartime(limbs));
    let ours_inverse = order_2k(Fr::ROOT_OF_UNITY_INV);

    let mut exponent = 0usize;
    for bit in 0..k.0 {
        let rest = theirs * ours_inverse.pow_vartime([exponent as u64]);
        let leading = (bit + 1..k.0).fold(rest, |value, _| value.square());
        if leading != Fr::ONE {
            exponent |= 1 << bit;
        }
    }
    exponent
}
