// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title A generated verifier of one circuit's proofs
/// @notice What `vouch setup` emits for a model: it holds the verifying key and the setup's points.
interface IProofVerifier {
    /// @notice Returns where `proof` proves `instances`, and reverts otherwise.
    /// @dev Nothing is returned: there is no value that a caller could forget to look at.
    /// @param instances Public values: context, packed input words, packed output words.
    /// @param proof The proof's bytes, 64 a point and 32 a scalar, big-endian.
    function verify(
        uint256[] calldata instances,
        bytes calldata proof
    ) external view;

    /// @notice Digest of the verifying key, the first thing that the proof's transcript absorbs.
    function VK_DIGEST() external view returns (bytes32);

    /// @notice Digest of the powers of tau that key and verifier were made from.
    function SRS_DIGEST() external view returns (bytes32);

    /// @notice Number of instances that `verify` takes.
    function INSTANCE_COUNT() external view returns (uint256);
}
