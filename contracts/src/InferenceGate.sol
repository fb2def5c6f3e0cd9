// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeatureRing} from "./interfaces/IFeatureRing.sol";
import {IInferenceGate} from "./interfaces/IInferenceGate.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {Instances} from "./libraries/Instances.sol";
import {OutputCodec} from "./libraries/OutputCodec.sol";
import {Epoch} from "./types/Epoch.sol";
import {ModelVersion} from "./types/ModelVersion.sol";
import {OutputSchema} from "./types/OutputSchema.sol";
import {Context, Nullifier, Statement} from "./types/Statement.sol";

/// @title An action behind a verified inference
/// @notice See `IInferenceGate`. A contract that extends this one says in `_onVerified` what verified outputs do.
/// @dev Everything that a proof is checked against is either read from chain or hashed into the context; the
/// submitter's outputs are bounded by the schema before the verifier sees them. The verifier is called only while
/// its code is what was registered, since it reports failure by reverting and an account without that code would
/// report none.
abstract contract InferenceGate is IInferenceGate {
    using OutputCodec for OutputSchema;

    /// @notice What a gate is made of.
    struct GateConfig {
        /// Where the model is looked up.
        IModelRegistry registry;
        /// Where the inputs come from.
        IFeatureRing ring;
        /// Epochs in the model's window.
        uint256 windowEpochs;
        /// Seconds after a window's end at which its inference becomes stale.
        uint256 maxAgeSeconds;
        /// What verified outputs are used for.
        bytes32 actionHash;
    }

    /// @dev Epochs in an instance word of the feature ring.
    uint256 private constant EPOCHS_PER_WORD = 8;

    IModelRegistry private immutable _REGISTRY;
    IFeatureRing private immutable _RING;

    /// @inheritdoc IInferenceGate
    uint256 public immutable WINDOW_EPOCHS;

    /// @inheritdoc IInferenceGate
    uint256 public immutable MAX_AGE_SECONDS;

    /// @inheritdoc IInferenceGate
    bytes32 public immutable ACTION_HASH;

    uint256 private _modelId;
    ModelVersion private _version;
    Epoch private _lastEpoch;
    mapping(Nullifier => bool) private _used;

    constructor(
        GateConfig memory config
    ) {
        // Later epochs arrive while a proof is made; they must not push the window out of the ring.
        uint256 needed = config.windowEpochs + config.maxAgeSeconds / config.ring.EPOCH_SECONDS() + 1;
        uint256 held = config.ring.HISTORY_EPOCHS();
        if (needed > held) revert RingTooShort(needed, held);
        _REGISTRY = config.registry;
        _RING = config.ring;
        WINDOW_EPOCHS = config.windowEpochs;
        MAX_AGE_SECONDS = config.maxAgeSeconds;
        ACTION_HASH = config.actionHash;
    }

    /// @inheritdoc IInferenceGate
    function submitInference(
        Epoch epoch,
        int256[] calldata outputs,
        bytes calldata proof
    ) public virtual {
        Statement memory s = _statementOf(epoch);
        Nullifier id = s.nullifier();
        if (_used[id]) revert StatementUsed(id);
        _requireFresh(epoch);

        IModelRegistry.ModelRoute memory route = _REGISTRY.route(_modelId, _version);
        uint256[] memory instances =
            Instances.join(s.context(), _RING.window(epoch, WINDOW_EPOCHS), _outputWords(route.output, outputs));
        bytes32 codeHash = address(route.verifier).codehash;
        if (codeHash != route.codeHash) {
            revert VerifierCodeChanged(address(route.verifier), route.codeHash, codeHash);
        }
        route.verifier.verify(instances, proof);

        _used[id] = true;
        _lastEpoch = epoch;
        emit InferenceAccepted(epoch, id, msg.sender, outputs);
        _onVerified(epoch, route.output, outputs);
    }

    /// @inheritdoc IInferenceGate
    function statement(
        Epoch epoch
    )
        external
        view
        returns (
            Context statementContext,
            uint256[] memory inputWords,
            Nullifier statementNullifier,
            bool used,
            uint256 deadline
        )
    {
        Statement memory s = _statementOf(epoch);
        statementContext = s.context();
        inputWords = _RING.window(epoch, WINDOW_EPOCHS);
        statementNullifier = s.nullifier();
        used = _used[statementNullifier];
        deadline = _deadlineOf(epoch);
    }

    /// @inheritdoc IInferenceGate
    function dueEpoch() external view returns (bool due, Epoch epoch) {
        epoch = _RING.recordedEnd();
        if (!(epoch > _lastEpoch) || block.timestamp > _deadlineOf(epoch)) return (false, Epoch.wrap(0));
        try _RING.window(epoch, WINDOW_EPOCHS) returns (uint256[] memory) {
            return (true, epoch);
        } catch {
            // A gap in the window, or too few epochs so far.
            return (false, Epoch.wrap(0));
        }
    }

    /// @inheritdoc IInferenceGate
    function isUsed(
        Nullifier statementNullifier
    ) external view returns (bool) {
        return _used[statementNullifier];
    }

    /// @inheritdoc IInferenceGate
    function pinnedModel() external view returns (uint256 modelId, ModelVersion version) {
        return (_modelId, _version);
    }

    /// @inheritdoc IInferenceGate
    function lastEpoch() external view returns (Epoch) {
        return _lastEpoch;
    }

    /// @inheritdoc IInferenceGate
    function REGISTRY() external view returns (address) {
        return address(_REGISTRY);
    }

    /// @inheritdoc IInferenceGate
    function RING() external view returns (address) {
        return address(_RING);
    }

    /// @dev Acts on verified outputs, which are within the schema's bounds.
    function _onVerified(
        Epoch epoch,
        OutputSchema memory schema,
        int256[] calldata outputs
    ) internal virtual;

    /// @dev Follows a version that is usable now and takes the gate's inputs. Returns the schema of its outputs for
    /// the extending contract to check.
    function _pinModel(
        uint256 modelId,
        ModelVersion version
    ) internal returns (OutputSchema memory) {
        IModelRegistry.ModelRoute memory route = _REGISTRY.route(modelId, version);
        uint256 inputWords = (WINDOW_EPOCHS + EPOCHS_PER_WORD - 1) / EPOCHS_PER_WORD;
        if (route.inputWords != inputWords) revert InputWordsMismatch(inputWords, route.inputWords);
        _modelId = modelId;
        _version = version;
        emit ModelPinned(modelId, version);
        return route.output;
    }

    function _requireFresh(
        Epoch epoch
    ) private view {
        if (!(epoch > _lastEpoch)) revert EpochSuperseded(epoch, _lastEpoch);
        Epoch end = _RING.recordedEnd();
        if (epoch > end) revert EpochNotRecorded(epoch, end);
        uint256 deadline = _deadlineOf(epoch);
        if (block.timestamp > deadline) revert DeadlinePassed(epoch, deadline);
    }

    function _outputWords(
        OutputSchema memory schema,
        int256[] memory outputs
    ) private pure returns (uint256[] memory) {
        if (outputs.length != schema.count) revert OutputCountMismatch(outputs.length, schema.count);
        uint256 bad = schema.firstOutOfBounds(outputs);
        if (bad != outputs.length) revert OutputOutOfBounds(bad, outputs[bad]);
        return schema.pack(outputs);
    }

    /// @dev A window's last epoch ends where the epoch that names the window starts.
    function _deadlineOf(
        Epoch epoch
    ) private view returns (uint256) {
        return _RING.startOf(epoch) + MAX_AGE_SECONDS;
    }

    function _statementOf(
        Epoch epoch
    ) private view returns (Statement memory) {
        return Statement({
            consumer: address(this), modelId: _modelId, version: _version, nonce: epoch.index(), actionHash: ACTION_HASH
        });
    }
}
