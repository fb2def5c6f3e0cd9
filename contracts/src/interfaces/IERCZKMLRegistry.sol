// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title ERC-7992 registry of model commitments
/// @notice The draft's interface, with one change: it declares an event and an error that are both called
/// `ModelDeprecated`, which does not compile. The error is called `ModelIsDeprecated` here.
interface IERCZKMLRegistry {
    /// @notice Hashes that identify a model.
    struct ModelCommitment {
        /// Hash of weights and architecture.
        bytes32 modelHash;
        /// Hash of the circuit.
        bytes32 circuitHash;
        /// Digest of the verifying key, equal to the verifier's `VK_DIGEST`.
        bytes32 vkHash;
        /// First four bytes of the hash of the proof system's name.
        bytes4 proofSystemId;
        /// Where the model is described; may be empty.
        string uri;
    }

    /// @notice A model was registered.
    event ModelRegistered(uint256 indexed modelId, address indexed owner, ModelCommitment commitment);

    /// @notice A new version of a model was proposed.
    event ModelUpdated(uint256 indexed modelId, ModelCommitment oldCommitment, ModelCommitment newCommitment);

    /// @notice A model was deprecated for good.
    event ModelDeprecated(uint256 indexed modelId);

    /// @notice No model has this number.
    error ModelNotFound(uint256 modelId);

    /// @notice The caller does not own the model.
    error NotModelOwner(uint256 modelId, address caller);

    /// @notice The model was deprecated and verifies nothing any more.
    error ModelIsDeprecated(uint256 modelId);

    /// @notice Registers a model, owned by the caller. It verifies nothing before a verifier is bound to version 1.
    /// @param commitment The model's hashes.
    /// @return modelId The model's number, counted from 1.
    function registerModel(
        ModelCommitment calldata commitment
    ) external returns (uint256 modelId);

    /// @notice Proposes a new version. The present version stays current until the new one has a verifier and the
    /// update delay has passed since that was bound.
    /// @param modelId The model.
    /// @param newCommitment The new version's hashes.
    function updateModel(
        uint256 modelId,
        ModelCommitment calldata newCommitment
    ) external;

    /// @notice Deprecates a model: at once and for good.
    /// @param modelId The model.
    function deprecateModel(
        uint256 modelId
    ) external;

    /// @notice The current version's commitment, with the model's status.
    /// @param modelId The model.
    /// @return commitment Hashes of the current version.
    /// @return deprecated Whether the model was deprecated.
    /// @return owner Who may change the model.
    function getModel(
        uint256 modelId
    ) external view returns (ModelCommitment memory commitment, bool deprecated, address owner);
}
