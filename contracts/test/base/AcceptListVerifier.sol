// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IProofVerifier} from "src/interfaces/IProofVerifier.sol";

/// @notice Stands in for a generated verifier: it accepts the pairs of instances and proof that a test listed.
contract AcceptListVerifier is IProofVerifier {
    bytes32 public immutable VK_DIGEST;
    uint256 public immutable INSTANCE_COUNT;
    bytes32 public constant SRS_DIGEST = keccak256("no setup");

    mapping(bytes32 => bool) private _accepted;

    constructor(
        bytes32 vkDigest,
        uint256 instanceCount
    ) {
        VK_DIGEST = vkDigest;
        INSTANCE_COUNT = instanceCount;
    }

    function accept(
        uint256[] calldata instances,
        bytes calldata proof
    ) external {
        _accepted[keccak256(abi.encode(instances, proof))] = true;
    }

    function verify(
        uint256[] calldata instances,
        bytes calldata proof
    ) external view {
        if (!_accepted[keccak256(abi.encode(instances, proof))]) revert ProofRejected();
    }
}
