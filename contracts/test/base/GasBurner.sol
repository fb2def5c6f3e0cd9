// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IProofVerifier} from "src/interfaces/IProofVerifier.sol";

/// @notice A verifier that spends all the gas it is given, on every proof or on all but the empty one.
contract GasBurner is IProofVerifier {
    bytes32 public immutable VK_DIGEST;
    uint256 public immutable INSTANCE_COUNT;
    bytes32 public constant SRS_DIGEST = keccak256("no setup");

    bool private immutable _ALWAYS;

    constructor(
        bytes32 vkDigest,
        uint256 instanceCount,
        bool always
    ) {
        VK_DIGEST = vkDigest;
        INSTANCE_COUNT = instanceCount;
        _ALWAYS = always;
    }

    function verify(
        uint256[] calldata,
        bytes calldata proof
    ) external view {
        if (proof.length == 0 && !_ALWAYS) revert ProofRejected();
        assembly {
            invalid()
        }
    }
}
