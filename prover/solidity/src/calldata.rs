//! Calldata of a verifier's functions.

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::{SolCall, sol};
use halo2_proofs::halo2curves::bn256::Fr;

use crate::word::scalar_bytes;

sol! {
    #[allow(missing_docs)]
    function verify(uint256[] instances, bytes proof) external view;
    #[allow(missing_docs)]
    function VK_DIGEST() external view returns (bytes32);
    #[allow(missing_docs)]
    function SRS_DIGEST() external view returns (bytes32);
    #[allow(missing_docs)]
    function INSTANCE_COUNT() external view returns (uint256);
}

/// Calldata of `verify(uint256[],bytes)` in the canonical ABI encoding, the only one that a
/// generated verifier accepts.
pub fn encode_calldata(instances: &[Fr], proof: &[u8]) -> Vec<u8> {
    verifyCall { instances: instance_words(instances), proof: Bytes::copy_from_slice(proof) }.abi_encode()
}

/// Instances as the chain has them.
pub fn instance_words(instances: &[Fr]) -> Vec<U256> {
    instances.iter().map(|v| U256::from_be_bytes(scalar_bytes(v))).collect()
}
