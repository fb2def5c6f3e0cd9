//! Field elements and numbers as 256-bit EVM words.

use halo2_proofs::halo2curves::bn256::{Fq, Fr, G2Affine};
use halo2_proofs::halo2curves::ff::PrimeField;

/// A scalar as 32 big-endian bytes.
pub(crate) fn scalar_bytes(value: &Fr) -> [u8; 32] {
    let mut bytes = value.to_repr();
    bytes.reverse();
    bytes
}

/// A coordinate as 32 big-endian bytes.
pub(crate) fn coordinate_bytes(value: &Fq) -> [u8; 32] {
    let mut bytes = value.to_repr();
    bytes.reverse();
    bytes
}

/// The coordinates of a point as the pairing's precompile takes them: EIP-197 puts the imaginary part first.
pub(crate) fn g2_coordinates(point: &G2Affine) -> [Fq; 4] {
    [point.x.c1, point.x.c0, point.y.c1, point.y.c0]
}

/// A scalar from 32 big-endian bytes; `None` where they are not below the modulus.
pub(crate) fn scalar_from_bytes(bytes: &[u8; 32]) -> Option<Fr> {
    let mut little = *bytes;
    little.reverse();
    Option::from(Fr::from_repr(little))
}

/// A big-endian word as a Yul literal without leading zeros.
pub(crate) fn literal(bytes: &[u8; 32]) -> String {
    let digits = hex::encode(bytes);
    let digits = digits.trim_start_matches('0');
    format!("0x{}", if digits.is_empty() { "0" } else { digits })
}

/// A scalar as a Yul literal.
pub(crate) fn scalar(value: &Fr) -> String {
    literal(&scalar_bytes(value))
}

/// A coordinate as a Yul literal.
pub(crate) fn coordinate(value: &Fq) -> String {
    literal(&coordinate_bytes(value))
}

/// Number of significant bytes of a word.
pub(crate) fn significant_bytes(bytes: &[u8; 32]) -> usize {
    32 - bytes.iter().take_while(|b| **b == 0).count()
}
