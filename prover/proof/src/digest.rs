//! Names for the three 32-byte digests that tie artefacts to each other.
//!
//! They are types of their own so that a circuit's digest can never be compared with a setup's.

use std::fmt;
use std::str::FromStr;

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::PrimeField;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::ProofError;

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// All zeros: stands in a header for "does not apply".
            pub const NONE: Self = Self([0; 32]);

            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "0x{}", hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ProofError;

            fn from_str(text: &str) -> Result<Self, ProofError> {
                Ok(Self(hex_to_word(text, stringify!($name))?))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest! {
    /// Identifies a circuit: the model, its scales and its layout. Chosen by whoever compiles the
    /// circuit; here it is only carried and compared.
    CircuitDigest
}

digest! {
    /// Identifies powers of tau of one size: see [`crate::srs`] for what is hashed.
    SrsDigest
}

digest! {
    /// Canonical digest of a verifying key, 32 bytes big-endian, already reduced modulo the scalar
    /// field: see [`crate::vk_digest`].
    VkDigest
}

impl VkDigest {
    /// The digest as the scalar that opens every transcript.
    ///
    /// # Errors
    /// [`ProofError::BadHex`] where the digest is not below the field's modulus, which no digest
    /// computed here is.
    pub fn to_scalar(self) -> Result<Fr, ProofError> {
        let mut repr = self.0;
        repr.reverse();
        Option::from(Fr::from_repr(repr)).ok_or_else(|| ProofError::BadHex {
            what: "VkDigest".to_owned(),
            problem: "the value is not below the scalar field's modulus".to_owned(),
        })
    }

    /// The digest whose scalar is given.
    #[must_use]
    pub fn from_scalar(scalar: Fr) -> Self {
        let mut bytes = scalar.to_repr();
        bytes.reverse();
        Self(bytes)
    }
}

/// Reads `0x` and 64 hexadecimal digits.
pub(crate) fn hex_to_word(text: &str, what: &str) -> Result<[u8; 32], ProofError> {
    let bytes = hex_to_bytes(text, what)?;
    bytes.as_slice().try_into().map_err(|_| ProofError::BadHex {
        what: what.to_owned(),
        problem: format!("{} bytes where 32 belong", bytes.len()),
    })
}

/// Reads `0x` and an even number of hexadecimal digits.
pub(crate) fn hex_to_bytes(text: &str, what: &str) -> Result<Vec<u8>, ProofError> {
    let digits = text
        .strip_prefix("0x")
        .ok_or_else(|| ProofError::BadHex { what: what.to_owned(), problem: "it does not start with 0x".to_owned() })?;
    hex::decode(digits).map_err(|error| ProofError::BadHex { what: what.to_owned(), problem: error.to_string() })
}
