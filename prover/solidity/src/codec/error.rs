//! Why instances or values are refused, here and on the chain.

use alloy_primitives::{I256, U256};
use alloy_sol_types::{SolError, sol};

/// Why instances have no reading, or values no instances.
///
/// Ports are counted from 0 in the order of the instances. All but [`CodecError::PortMissing`] and
/// [`CodecError::PortUnknown`] are errors of the generated library too, with the same arguments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// Another number of instances than the model's proofs have.
    #[error("the statement has {got} instances, not {want}; give those of a proof of this model")]
    InstanceCount {
        /// Number of instances.
        got: usize,
        /// Number that the model's proofs have.
        want: usize,
    },
    /// The context is no canonical scalar.
    #[error("the context {context:#x} is not below the scalar modulus; shift it right by 8 bits as contracts do")]
    ContextNotCanonical {
        /// The context.
        context: U256,
    },
    /// A port has another number of values.
    #[error("port {port} has {got} values, not {want}; give its whole tensor, row-major")]
    ValueCount {
        /// The port.
        port: usize,
        /// Number of values.
        got: usize,
        /// Elements of the port's tensor.
        want: usize,
    },
    /// A value that no proof holds.
    #[error("value {value} at index {index} of port {port} is outside the port's bounds; see statement.json")]
    ValueOutOfBounds {
        /// The port.
        port: usize,
        /// Position in the tensor.
        index: usize,
        /// The value.
        value: i64,
    },
    /// A word has bits beyond the values that it holds.
    #[error("instance {instance}, a word of port {port}, has bits beyond its values; give the instances of a proof")]
    ExcessBits {
        /// The port.
        port: usize,
        /// Position among the instances.
        instance: usize,
        /// The word.
        word: U256,
    },
    /// A value that stands for minus infinity was to become fixed point.
    #[error("value {value} of port {port} stands for minus infinity, which is no fixed-point number; compare it first")]
    NotFinite {
        /// The port.
        port: usize,
        /// The value.
        value: i64,
    },
    /// A public port got no values.
    #[error("there are no values for `{identifier}`; give those of every public port")]
    PortMissing {
        /// The port's identifier.
        identifier: String,
    },
    /// Values of something that is no public port.
    #[error("`{identifier}` is no public port; give the identifiers that statement.json has")]
    PortUnknown {
        /// What was given.
        identifier: String,
    },
}

/// The same errors in Solidity.
mod revert {
    #![allow(missing_docs)]

    use super::sol;

    sol! {
        error InstanceCount(uint256 got, uint256 want);
        error ContextNotCanonical(uint256 context);
        error ValueCount(uint256 port, uint256 got, uint256 want);
        error ValueOutOfBounds(uint256 port, uint256 index, int256 value);
        error ExcessBits(uint256 port, uint256 instance, uint256 word);
        error NotFinite(uint256 port, int256 value);
    }
}

impl CodecError {
    /// What the generated library reverts with for the same reason; nothing where Solidity's types leave no such error.
    pub fn revert_data(&self) -> Option<Vec<u8>> {
        let number = |value: usize| U256::from(value);
        let integer = |value: i64| I256::try_from(value).unwrap_or_default();
        Some(match *self {
            Self::InstanceCount { got, want } => {
                revert::InstanceCount { got: number(got), want: number(want) }.abi_encode()
            }
            Self::ContextNotCanonical { context } => revert::ContextNotCanonical { context }.abi_encode(),
            Self::ValueCount { port, got, want } => {
                revert::ValueCount { port: number(port), got: number(got), want: number(want) }.abi_encode()
            }
            Self::ValueOutOfBounds { port, index, value } => {
                let value = integer(value);
                revert::ValueOutOfBounds { port: number(port), index: number(index), value }.abi_encode()
            }
            Self::ExcessBits { port, instance, word } => {
                revert::ExcessBits { port: number(port), instance: number(instance), word }.abi_encode()
            }
            Self::NotFinite { port, value } => {
                revert::NotFinite { port: number(port), value: integer(value) }.abi_encode()
            }
            Self::PortMissing { .. } | Self::PortUnknown { .. } => return None,
        })
    }
}
