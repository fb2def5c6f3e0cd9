// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title A generated verifier of one circuit's proofs
/// @notice What `vouch setup` emits for a model: it holds the verifying key and the setup's points.
interface IProofVerifier {
    /// @notice The contract that was called holds no key for this verifier.
    error KeyOfAnotherShape();

    /// @notice The instances or the proof are not where the canonical ABI encoding puts them.
    error CalldataLayout();

    /// @notice Calldata has more or fewer bytes than the canonical encoding.
    error CalldataLength(uint256 got, uint256 want);

    /// @notice The number of instances is not the circuit's.
    error InstanceCount(uint256 got, uint256 want);

    /// @notice The proof does not have this circuit's length in bytes.
    error ProofLength(uint256 got, uint256 want);

    /// @notice An instance is not below the scalar modulus.
    error InstanceNotCanonical(uint256 index);

    /// @notice The scalar at this word of the proof is not below the scalar modulus.
    error ScalarNotCanonical(uint256 word);

    /// @notice A coordinate of the point at this word of the proof is not below the base modulus.
    error CoordinateNotCanonical(uint256 word);

    /// @notice The point at this word of the proof is not on the curve.
    error PointNotOnCurve(uint256 word);

    /// @notice The point at this word of the proof is the identity.
    error IdentityPoint(uint256 word);

    /// @notice A precompile failed on valid input, or returned another number of bytes than it must.
    error PrecompileFailed(uint256 precompile);

    /// @notice A challenge makes a denominator zero.
    error ZeroDenominator();

    /// @notice The pairing equation does not hold for these instances.
    error ProofRejected();

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
