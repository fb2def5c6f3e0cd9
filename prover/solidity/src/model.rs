//! Keys of shared verifiers, and the contracts that hold them.

use alloy_primitives::{Address, keccak256};
use halo2_proofs::halo2curves::bn256::G2Affine;

use crate::word;

/// A verifying key as a shared verifier reads it: constants that follow from the number of rows, and commitments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(Vec<u8>);

/// The contract of one model or circuit: it hands its calldata to a shared verifier, which reads the key at the end of
/// its code. Its interface is that of a verifier with the key inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyContract {
    /// Code that deploys the contract.
    pub creation: Vec<u8>,
    /// Code that the deployed contract has: it fixes both the verifier and the key.
    pub runtime: Vec<u8>,
}

impl From<Vec<u8>> for Key {
    /// A key that was kept as bytes.
    fn from(bytes: Vec<u8>) -> Self {
        Key(bytes)
    }
}

impl Key {
    /// The key's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The contract that has this key and calls the verifier at an address.
    pub fn contract(&self, verifier: Address) -> KeyContract {
        let runtime = [&delegating(verifier)[..], &self.0].concat();
        KeyContract { creation: [&returning(runtime.len())[..], &runtime].concat(), runtime }
    }
}

impl KeyContract {
    /// Hash of the deployed code.
    pub fn code_hash(&self) -> [u8; 32] {
        keccak256(&self.runtime).0
    }
}

/// Creation code of a shared verifier with `tau * G2` as the constructor's argument.
pub fn shared_creation(creation: &[u8], s_g2: &G2Affine) -> Vec<u8> {
    let coordinates = word::g2_coordinates(s_g2);
    let argument = coordinates.iter().flat_map(word::coordinate_bytes);
    creation.iter().copied().chain(argument).collect()
}

/// Forwards calldata by `DELEGATECALL` and answers with what comes back.
fn delegating(verifier: Address) -> Vec<u8> {
    let mut code = vec![
        0x36, 0x5f, 0x5f, 0x37, // calldatacopy(0, 0, calldatasize())
        0x5f, 0x5f, 0x36, 0x5f, // output: nothing; input: all of it
        0x73, // the verifier
    ];
    code.extend(verifier.as_slice());
    code.extend([
        0x5a, 0xf4, // delegatecall with all gas
        0x3d, 0x5f, 0x5f, 0x3e, // returndatacopy(0, 0, returndatasize())
        0x60, 0x29, 0x57, // on success to the jump destination below
        0x3d, 0x5f, 0xfd, // revert with what came back
        0x5b, 0x3d, 0x5f, 0xf3, // return what came back
    ]);
    code
}

/// Returns the bytes that follow it.
fn returning(length: usize) -> [u8; 11] {
    let [.., a, b, c] = (length as u64).to_be_bytes();
    [
        0x62, a, b, c, // their number
        0x80, 0x60, 0x0b, 0x5f, 0x39, // codecopy(0, 11, number)
        0x5f, 0xf3, // return(0, number)
    ]
}
