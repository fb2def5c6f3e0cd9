// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {ERC165} from "@openzeppelin/contracts/utils/introspection/ERC165.sol";

import {IERCZKMLRegistry} from "./interfaces/IERCZKMLRegistry.sol";
import {IERCZKMLStorageExtension} from "./interfaces/IERCZKMLStorageExtension.sol";
import {IERCZKMLVerifier} from "./interfaces/IERCZKMLVerifier.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {Instances} from "./libraries/Instances.sol";
import {OutputCodec} from "./libraries/OutputCodec.sol";
import {ModelVersion} from "./types/ModelVersion.sol";
import {OutputSchema} from "./types/OutputSchema.sol";
import {Context, Statement} from "./types/Statement.sol";

/// @title Verifies inferences of registered models
/// @notice ERC-7992's verifier and storage extension. A proof is made for the address that calls: the caller is the
/// statement's `consumer`, so that a proof seen in one caller's transaction is of no use to another. It keeps no
/// record of what was verified; callers that act once on a statement keep their own nullifiers, as `InferenceGate`
/// does, or store the inference here.
contract InferenceVerifier is IERCZKMLVerifier, IERCZKMLStorageExtension, ERC165 {
    using OutputCodec for OutputSchema;

    struct StoredInference {
        uint256 modelId;
        bytes32 inputCommitment;
        bytes output;
    }

    /// @notice Separates input commitments from all other hashes.
    bytes32 public constant INPUT_DOMAIN = keccak256("vouch.inputs.v1");

    IModelRegistry private immutable _REGISTRY;

    mapping(bytes32 inferenceId => StoredInference) private _inferences;

    /// @notice No inference is stored under this id.
    error InferenceNotFound(bytes32 inferenceId);

    /// @notice The inference is stored already.
    error InferenceAlreadyStored(bytes32 inferenceId);

    /// @param modelRegistry Where models are looked up.
    constructor(
        IModelRegistry modelRegistry
    ) {
        _REGISTRY = modelRegistry;
    }

    /// @inheritdoc IERCZKMLVerifier
    function verifyInference(
        uint256 modelId,
        bytes32 inputCommitment,
        bytes calldata output,
        bytes calldata proof
    ) external {
        _verify(modelId, inputCommitment, output, proof);
        emit InferenceVerified(modelId, inputCommitment, output, msg.sender);
    }

    /// @inheritdoc IERCZKMLStorageExtension
    function verifyAndStoreInference(
        uint256 modelId,
        bytes32 inputCommitment,
        bytes calldata output,
        bytes calldata proof
    ) external returns (bytes32 inferenceId) {
        inferenceId = keccak256(abi.encodePacked(modelId, inputCommitment, output));
        if (_inferences[inferenceId].modelId != 0) revert InferenceAlreadyStored(inferenceId);
        _verify(modelId, inputCommitment, output, proof);
        _inferences[inferenceId] = StoredInference({modelId: modelId, inputCommitment: inputCommitment, output: output});
        emit InferenceVerified(modelId, inputCommitment, output, msg.sender);
        emit InferenceStored(inferenceId);
    }

    /// @inheritdoc IERCZKMLStorageExtension
    function getInference(
        bytes32 inferenceId
    ) external view returns (uint256 modelId, bytes32 inputCommitment, bytes memory output) {
        StoredInference storage stored = _inferences[inferenceId];
        if (stored.modelId == 0) revert InferenceNotFound(inferenceId);
        return (stored.modelId, stored.inputCommitment, stored.output);
    }

    /// @inheritdoc IERCZKMLVerifier
    function proofSystemOf(
        uint256 modelId
    ) external view returns (bytes4) {
        (IERCZKMLRegistry.ModelCommitment memory commitment,,) = _REGISTRY.getModel(modelId);
        return commitment.proofSystemId;
    }

    /// @inheritdoc IERCZKMLVerifier
    function registry() external view returns (address registryAddress) {
        return address(_REGISTRY);
    }

    /// @notice The commitment to an inference's inputs.
    /// @param modelId The model.
    /// @param nonce Chosen by the caller; it also goes into the proof's context.
    /// @param inputWords The packed input words.
    function inputCommitmentOf(
        uint256 modelId,
        uint256 nonce,
        uint256[] memory inputWords
    ) public pure returns (bytes32) {
        return keccak256(abi.encode(INPUT_DOMAIN, modelId, nonce, inputWords));
    }

    /// @notice The context that a proof must be made with for `consumer` to verify it now.
    function contextFor(
        address consumer,
        uint256 modelId,
        uint256 nonce,
        bytes32 actionHash
    ) external view returns (Context) {
        return _context(consumer, modelId, _REGISTRY.currentVersion(modelId), nonce, actionHash);
    }

    /// @inheritdoc ERC165
    function supportsInterface(
        bytes4 interfaceId
    ) public view override returns (bool) {
        return interfaceId == type(IERCZKMLVerifier).interfaceId
            || interfaceId == type(IERCZKMLStorageExtension).interfaceId || super.supportsInterface(interfaceId);
    }

    function _verify(
        uint256 modelId,
        bytes32 inputCommitment,
        bytes calldata output,
        bytes calldata proof
    ) private view {
        _requireServed(modelId);
        ModelVersion version = _REGISTRY.currentVersion(modelId);
        IModelRegistry.ModelRoute memory route = _REGISTRY.route(modelId, version);

        (uint256 nonce, bytes32 actionHash, uint256[] memory inputWords, bytes memory zkProof) =
            abi.decode(proof, (uint256, bytes32, uint256[], bytes));
        if (inputWords.length != route.inputWords || inputCommitmentOf(modelId, nonce, inputWords) != inputCommitment) {
            revert InputCommitmentMismatch();
        }
        uint256[] memory instances = Instances.join(
            _context(msg.sender, modelId, version, nonce, actionHash), inputWords, _outputWords(route.output, output)
        );
        if (address(route.verifier).codehash != route.codeHash) revert ModelMismatch();
        try route.verifier.verify(instances, zkProof) {}
        catch {
            revert InvalidProof();
        }
    }

    function _requireServed(
        uint256 modelId
    ) private view {
        (IERCZKMLRegistry.ModelCommitment memory commitment, bool deprecated,) = _REGISTRY.getModel(modelId);
        if (deprecated) revert VerificationRefused_ModelDeprecated(modelId);
        if (commitment.proofSystemId != _REGISTRY.PROOF_SYSTEM_ID()) {
            revert UnsupportedProofSystem(commitment.proofSystemId);
        }
    }

    /// @dev Encodings other than the canonical one are refused: the emitted bytes are what others read.
    function _outputWords(
        OutputSchema memory schema,
        bytes calldata output
    ) private pure returns (uint256[] memory) {
        int256[] memory values = abi.decode(output, (int256[]));
        if (
            values.length != schema.count || schema.firstOutOfBounds(values) != values.length
                || keccak256(abi.encode(values)) != keccak256(output)
        ) revert OutputMismatch();
        return schema.pack(values);
    }

    function _context(
        address consumer,
        uint256 modelId,
        ModelVersion version,
        uint256 nonce,
        bytes32 actionHash
    ) private view returns (Context) {
        Statement memory s =
            Statement({consumer: consumer, modelId: modelId, version: version, nonce: nonce, actionHash: actionHash});
        return s.context();
    }
}
