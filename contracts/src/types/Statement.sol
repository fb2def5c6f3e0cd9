// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {ModelVersion} from "./ModelVersion.sol";

/// @notice First instance of a proof: what the proof was made for. Below 2^248, so always a scalar of BN254.
type Context is uint256;

/// @notice Marks a statement as used. It does not depend on the proof, so a second proof of the same statement is
/// a replay as much as a copy of the first.
type Nullifier is bytes32;

/// @notice What a proof speaks about, apart from its inputs and outputs.
struct Statement {
    /// Contract that will act on the outputs.
    address consumer;
    /// Model in the registry.
    uint256 modelId;
    /// Version of the model.
    ModelVersion version;
    /// Epoch or request number.
    uint256 nonce;
    /// What the consumer will do with the outputs.
    bytes32 actionHash;
}

using {context, nullifier} for Statement global;

/// @dev Separates these hashes from all others.
bytes32 constant STATEMENT_DOMAIN = keccak256("vouch.statement.v1");

/// @dev Separates nullifiers from contexts.
bytes32 constant NULLIFIER_DOMAIN = keccak256("vouch.nullifier.v1");

/// @notice The statement on this chain as an instance. The shift makes it fit the scalar field.
function context(
    Statement memory s
) view returns (Context) {
    bytes32 digest =
        keccak256(abi.encode(STATEMENT_DOMAIN, block.chainid, s.consumer, s.modelId, s.version, s.nonce, s.actionHash));
    return Context.wrap(uint256(digest) >> 8);
}

/// @notice The statement's nullifier on this chain.
function nullifier(
    Statement memory s
) view returns (Nullifier) {
    return Nullifier.wrap(keccak256(abi.encode(NULLIFIER_DOMAIN, s.context())));
}
