// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title ERC-7992 storage extension
/// @notice The draft's interface, unchanged.
interface IERCZKMLStorageExtension {
    /// @notice A verified inference was stored.
    event InferenceStored(bytes32 indexed inferenceId);

    /// @notice Verifies an inference as `verifyInference` does and stores it.
    /// @param modelId The model.
    /// @param inputCommitment Commitment to the inputs, nonce included, so that two requests are two records.
    /// @param output The output's bytes.
    /// @param proof The proof's bytes.
    /// @return inferenceId `keccak256(abi.encodePacked(modelId, inputCommitment, output))`.
    function verifyAndStoreInference(
        uint256 modelId,
        bytes32 inputCommitment,
        bytes calldata output,
        bytes calldata proof
    ) external returns (bytes32 inferenceId);

    /// @notice A stored inference; reverts where there is none.
    function getInference(
        bytes32 inferenceId
    ) external view returns (uint256 modelId, bytes32 inputCommitment, bytes memory output);
}
