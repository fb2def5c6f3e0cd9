// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title ERC-7992 inference verifier
/// @notice The draft's interface, unchanged.
interface IERCZKMLVerifier {
    /// @notice An inference was verified.
    event InferenceVerified(
        uint256 indexed modelId, bytes32 indexed inputCommitment, bytes output, address indexed caller
    );

    /// @notice The proof does not hold.
    error InvalidProof();

    /// @notice The proof holds but not for this model.
    error ModelMismatch();

    /// @notice The inputs are not those that were committed to.
    error InputCommitmentMismatch();

    /// @notice The output is not of the model's schema.
    error OutputMismatch();

    /// @notice The model is of another proof system.
    error UnsupportedProofSystem(bytes4 proofSystemId);

    /// @notice The model was deprecated.
    error VerificationRefused_ModelDeprecated(uint256 modelId);

    /// @notice Verifies an inference of the model's current version; reverts on any failure.
    /// @param modelId The model.
    /// @param inputCommitment Commitment to the inputs.
    /// @param output `abi.encode(int256[] values)`, the integer values of the output tensor.
    /// @param proof `abi.encode(uint256 nonce, bytes32 actionHash, uint256[] inputWords, bytes proof)`.
    function verifyInference(
        uint256 modelId,
        bytes32 inputCommitment,
        bytes calldata output,
        bytes calldata proof
    ) external;

    /// @notice The proof system of a model's current version.
    function proofSystemOf(
        uint256 modelId
    ) external view returns (bytes4);

    /// @notice The registry that models are looked up in.
    function registry() external view returns (address registryAddress);
}
