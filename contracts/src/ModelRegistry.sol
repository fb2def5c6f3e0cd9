// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {ERC165} from "@openzeppelin/contracts/utils/introspection/ERC165.sol";

import {IERCZKMLRegistry} from "./interfaces/IERCZKMLRegistry.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IProofVerifier} from "./interfaces/IProofVerifier.sol";
import {OutputCodec} from "./libraries/OutputCodec.sol";
import {ModelVersion} from "./types/ModelVersion.sol";
import {OutputSchema} from "./types/OutputSchema.sol";

/// @title Registry of models and their verifiers
/// @notice See `IModelRegistry` for the policy on versions. Registration is open to everybody: being registered says
/// nothing about a model but that its owner bound it to a verifier.
contract ModelRegistry is IModelRegistry, ERC165 {
    using OutputCodec for OutputSchema;

    struct Model {
        address owner;
        bool deprecated;
        uint64 versions;
        address pendingOwner;
        // The model is frozen before this second; NEVER while a freeze has no end.
        uint64 usableFrom;
    }

    struct Version {
        ModelCommitment commitment;
        VerifierBinding binding;
        bytes32 codeHash;
        // Zero while no verifier is bound.
        uint64 activeFrom;
        bool removed;
        bool stopped;
    }

    /// @inheritdoc IModelRegistry
    bytes4 public constant PROOF_SYSTEM_ID = bytes4(keccak256("halo2-kzg-bn254-v1"));

    /// @dev Longer delays are mistakes in units.
    uint64 private constant MAX_UPDATE_DELAY = 365 days;

    uint64 private constant NEVER = type(uint64).max;

    /// @inheritdoc IModelRegistry
    uint64 public immutable UPDATE_DELAY;

    uint256 private _modelCount;
    mapping(uint256 modelId => Model) private _models;
    mapping(uint256 modelId => mapping(ModelVersion => Version)) private _versions;

    /// @notice The delay is longer than a year.
    error UpdateDelayTooLong(uint64 delay);

    /// @param updateDelay Seconds between binding a later version's verifier and its use.
    constructor(
        uint64 updateDelay
    ) {
        if (updateDelay > MAX_UPDATE_DELAY) revert UpdateDelayTooLong(updateDelay);
        UPDATE_DELAY = updateDelay;
    }

    modifier onlyModelOwner(
        uint256 modelId
    ) {
        if (_model(modelId).owner != msg.sender) revert NotModelOwner(modelId, msg.sender);
        _;
    }

    // ------------------------------------------------------------------------------------------ registration

    /// @inheritdoc IERCZKMLRegistry
    function registerModel(
        ModelCommitment calldata commitment
    ) external returns (uint256 modelId) {
        return _register(commitment);
    }

    /// @inheritdoc IModelRegistry
    function registerModelWithVerifier(
        ModelCommitment calldata commitment,
        VerifierBinding calldata binding
    ) external returns (uint256 modelId) {
        modelId = _register(commitment);
        _bind(modelId, ModelVersion.wrap(1), binding);
    }

    /// @inheritdoc IERCZKMLRegistry
    function updateModel(
        uint256 modelId,
        ModelCommitment calldata newCommitment
    ) external onlyModelOwner(modelId) {
        _propose(modelId, newCommitment);
    }

    /// @inheritdoc IModelRegistry
    function updateModelWithVerifier(
        uint256 modelId,
        ModelCommitment calldata newCommitment,
        VerifierBinding calldata binding
    ) external onlyModelOwner(modelId) returns (ModelVersion version) {
        version = _propose(modelId, newCommitment);
        _bind(modelId, version, binding);
    }

    /// @inheritdoc IModelRegistry
    function bindVerifier(
        uint256 modelId,
        ModelVersion version,
        VerifierBinding calldata binding
    ) external onlyModelOwner(modelId) {
        _bind(modelId, version, binding);
    }

    // ---------------------------------------------------------------------------------------------- stopping

    /// @inheritdoc IERCZKMLRegistry
    function deprecateModel(
        uint256 modelId
    ) external onlyModelOwner(modelId) {
        _requireNotDeprecated(modelId);
        _models[modelId].deprecated = true;
        emit ModelDeprecated(modelId);
    }

    /// @inheritdoc IModelRegistry
    function removeVersion(
        uint256 modelId,
        ModelVersion version
    ) external onlyModelOwner(modelId) {
        VersionStatus status = _status(modelId, version);
        if (status == VersionStatus.None || status == VersionStatus.Removed || status == VersionStatus.Stopped) {
            revert VersionNotUsable(modelId, version, status);
        }
        _versions[modelId][version].removed = true;
        emit VersionRemoved(modelId, version);
    }

    /// @inheritdoc IModelRegistry
    function freezeModel(
        uint256 modelId
    ) external onlyModelOwner(modelId) {
        // A running thaw ends too: the owner may change their mind back at any time.
        if (_models[modelId].usableFrom == NEVER) revert ModelIsFrozen(modelId);
        _models[modelId].usableFrom = NEVER;
        emit ModelFrozen(modelId);
    }

    /// @inheritdoc IModelRegistry
    function thawModel(
        uint256 modelId
    ) external onlyModelOwner(modelId) {
        if (_models[modelId].usableFrom != NEVER) revert ModelIsNotFrozen(modelId);
        uint64 usableFrom = uint64(block.timestamp) + UPDATE_DELAY;
        _models[modelId].usableFrom = usableFrom;
        emit ModelThawing(modelId, usableFrom);
    }

    /// @inheritdoc IModelRegistry
    function stopVersion(
        uint256 modelId,
        ModelVersion version,
        uint256[] calldata instancesA,
        bytes calldata proofA,
        uint256[] calldata instancesB,
        bytes calldata proofB
    ) external {
        VersionStatus status = _status(modelId, version);
        if (status != VersionStatus.Active && status != VersionStatus.Pending) {
            revert VersionNotUsable(modelId, version, status);
        }
        Version storage v = _versions[modelId][version];
        uint256 inputWords = v.binding.inputWords;
        uint256 instanceCount = 1 + inputWords + v.binding.output.wordCount();
        if (
            !v.binding.inputsArePublic || instancesA.length != instanceCount || instancesB.length != instanceCount
                || !_sameInputsOtherOutputs(instancesA, instancesB, inputWords)
        ) revert NotAContradiction();

        v.stopped = true;
        emit VersionStopped(modelId, version, msg.sender);
        v.binding.verifier.verify(instancesA, proofA);
        v.binding.verifier.verify(instancesB, proofB);
    }

    // --------------------------------------------------------------------------------------------- ownership

    /// @inheritdoc IModelRegistry
    function transferModel(
        uint256 modelId,
        address newOwner
    ) external onlyModelOwner(modelId) {
        _models[modelId].pendingOwner = newOwner;
        emit ModelTransferStarted(modelId, msg.sender, newOwner);
    }

    /// @inheritdoc IModelRegistry
    function acceptModel(
        uint256 modelId
    ) external {
        Model storage model = _model(modelId);
        if (model.pendingOwner != msg.sender) revert NotPendingOwner(modelId, msg.sender);
        emit ModelTransferred(modelId, model.owner, msg.sender);
        model.owner = msg.sender;
        delete model.pendingOwner;
    }

    // ------------------------------------------------------------------------------------------------- reads

    /// @inheritdoc IModelRegistry
    function route(
        uint256 modelId,
        ModelVersion version
    ) external view returns (ModelRoute memory) {
        _requireNotDeprecated(modelId);
        if (_isFrozen(modelId)) revert ModelIsFrozen(modelId);
        VersionStatus status = _status(modelId, version);
        if (status != VersionStatus.Active) revert VersionNotUsable(modelId, version, status);
        Version storage v = _versions[modelId][version];
        return ModelRoute({
            verifier: v.binding.verifier,
            codeHash: v.codeHash,
            inputWords: v.binding.inputWords,
            output: v.binding.output
        });
    }

    /// @inheritdoc IModelRegistry
    function currentVersion(
        uint256 modelId
    ) external view returns (ModelVersion) {
        return _current(modelId);
    }

    /// @inheritdoc IERCZKMLRegistry
    /// @dev Where no version is usable, version 1's commitment, so that the call answers for every registered model.
    function getModel(
        uint256 modelId
    ) external view returns (ModelCommitment memory commitment, bool deprecated, address owner) {
        Model storage model = _model(modelId);
        ModelVersion version = _newestActive(modelId);
        if (ModelVersion.unwrap(version) == 0) version = ModelVersion.wrap(1);
        return (_versions[modelId][version].commitment, model.deprecated, model.owner);
    }

    /// @inheritdoc IModelRegistry
    function versionCount(
        uint256 modelId
    ) external view returns (uint64) {
        return _model(modelId).versions;
    }

    /// @inheritdoc IModelRegistry
    function getVersion(
        uint256 modelId,
        ModelVersion version
    )
        external
        view
        returns (
            ModelCommitment memory commitment,
            VerifierBinding memory binding,
            VersionStatus status,
            uint64 activeFrom
        )
    {
        Version storage v = _versions[modelId][version];
        return (v.commitment, v.binding, _status(modelId, version), v.activeFrom);
    }

    /// @inheritdoc IModelRegistry
    function isFrozen(
        uint256 modelId
    ) external view returns (bool) {
        return _isFrozen(modelId);
    }

    /// @inheritdoc IModelRegistry
    function pendingOwner(
        uint256 modelId
    ) external view returns (address) {
        return _model(modelId).pendingOwner;
    }

    /// @inheritdoc ERC165
    function supportsInterface(
        bytes4 interfaceId
    ) public view override returns (bool) {
        return interfaceId == type(IERCZKMLRegistry).interfaceId || interfaceId == type(IModelRegistry).interfaceId
            || super.supportsInterface(interfaceId);
    }

    // --------------------------------------------------------------------------------------------- internals

    function _register(
        ModelCommitment calldata commitment
    ) private returns (uint256 modelId) {
        modelId = ++_modelCount;
        _models[modelId].owner = msg.sender;
        _models[modelId].versions = 1;
        _versions[modelId][ModelVersion.wrap(1)].commitment = commitment;
        emit ModelRegistered(modelId, msg.sender, commitment);
    }

    function _propose(
        uint256 modelId,
        ModelCommitment calldata commitment
    ) private returns (ModelVersion version) {
        _requireNotDeprecated(modelId);
        ModelVersion previous = _newestActive(modelId);
        if (ModelVersion.unwrap(previous) == 0) previous = ModelVersion.wrap(1);
        version = ModelVersion.wrap(++_models[modelId].versions);
        _versions[modelId][version].commitment = commitment;
        emit ModelUpdated(modelId, _versions[modelId][previous].commitment, commitment);
        emit VersionProposed(modelId, version);
    }

    function _bind(
        uint256 modelId,
        ModelVersion version,
        VerifierBinding calldata binding
    ) private {
        _requireNotDeprecated(modelId);
        VersionStatus status = _status(modelId, version);
        if (status != VersionStatus.Unbound) revert VersionNotUsable(modelId, version, status);

        Version storage v = _versions[modelId][version];
        bytes32 vkDigest = _checkBinding(v.commitment, binding);
        // A first version that is bound late, once there are others, would move those who follow the current one.
        uint64 delay = _models[modelId].versions == 1 ? 0 : UPDATE_DELAY;
        v.binding = binding;
        v.codeHash = address(binding.verifier).codehash;
        v.activeFrom = uint64(block.timestamp) + delay;
        emit VerifierBound(modelId, version, address(binding.verifier), v.codeHash, vkDigest, v.activeFrom);
    }

    /// @dev Refuses what is not a verifier of this model: `verify` returns nothing, so a contract that answers every
    /// call with nothing would look like one that accepts every proof.
    function _checkBinding(
        ModelCommitment storage commitment,
        VerifierBinding calldata binding
    ) private view returns (bytes32 vkDigest) {
        IProofVerifier verifier = binding.verifier;
        if (commitment.proofSystemId != PROOF_SYSTEM_ID) revert ProofSystemNotSupported(commitment.proofSystemId);
        if (address(verifier).code.length == 0) revert VerifierHasNoCode(address(verifier));
        if (!binding.output.isValid()) revert SchemaInvalid(binding.output);

        vkDigest = verifier.VK_DIGEST();
        if (vkDigest != commitment.vkHash) revert VerifyingKeyMismatch(commitment.vkHash, vkDigest);
        uint256 expected = 1 + uint256(binding.inputWords) + binding.output.wordCount();
        uint256 found = verifier.INSTANCE_COUNT();
        if (found != expected) revert InstanceCountMismatch(expected, found);
        try verifier.verify(new uint256[](expected), "") {
            revert VerifierAcceptsAnything(address(verifier));
        } catch {
            // An empty proof must be refused; how it is refused is the verifier's business.
            return vkDigest;
        }
    }

    function _sameInputsOtherOutputs(
        uint256[] calldata a,
        uint256[] calldata b,
        uint256 inputWords
    ) private pure returns (bool) {
        // Instance 0 is the context, which may differ: no gate reads it.
        for (uint256 i = 1; i <= inputWords; ++i) {
            if (a[i] != b[i]) return false;
        }
        for (uint256 i = inputWords + 1; i < a.length; ++i) {
            if (a[i] != b[i]) return true;
        }
        return false;
    }

    function _model(
        uint256 modelId
    ) private view returns (Model storage model) {
        model = _models[modelId];
        if (model.owner == address(0)) revert ModelNotFound(modelId);
    }

    function _requireNotDeprecated(
        uint256 modelId
    ) private view {
        if (_model(modelId).deprecated) revert ModelIsDeprecated(modelId);
    }

    function _isFrozen(
        uint256 modelId
    ) private view returns (bool) {
        return block.timestamp < _model(modelId).usableFrom;
    }

    function _status(
        uint256 modelId,
        ModelVersion version
    ) private view returns (VersionStatus) {
        uint64 number = ModelVersion.unwrap(version);
        if (number == 0 || number > _model(modelId).versions) return VersionStatus.None;
        Version storage v = _versions[modelId][version];
        if (v.stopped) return VersionStatus.Stopped;
        if (v.removed) return VersionStatus.Removed;
        if (v.activeFrom == 0) return VersionStatus.Unbound;
        return block.timestamp < v.activeFrom ? VersionStatus.Pending : VersionStatus.Active;
    }

    function _current(
        uint256 modelId
    ) private view returns (ModelVersion version) {
        version = _newestActive(modelId);
        if (ModelVersion.unwrap(version) == 0) {
            ModelVersion newest = ModelVersion.wrap(_model(modelId).versions);
            revert VersionNotUsable(modelId, newest, _status(modelId, newest));
        }
    }

    /// @dev Zero where no version is active. The walk is as long as the run of unusable versions at the end.
    function _newestActive(
        uint256 modelId
    ) private view returns (ModelVersion) {
        for (uint64 number = _model(modelId).versions; number > 0; --number) {
            ModelVersion version = ModelVersion.wrap(number);
            if (_status(modelId, version) == VersionStatus.Active) return version;
        }
        return ModelVersion.wrap(0);
    }
}
