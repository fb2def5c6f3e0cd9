// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Epoch} from "../types/Epoch.sol";
import {ModelVersion} from "../types/ModelVersion.sol";
import {Context, Nullifier} from "../types/Statement.sol";

/// @title An action behind a verified inference
/// @notice A submitter supplies an epoch, outputs and a proof. The gate rebuilds every other instance itself: the
/// context from its own address and the pinned model version, the inputs from the feature ring. Anybody may submit.
interface IInferenceGate {
    /// @notice An inference was verified and acted on.
    event InferenceAccepted(
        Epoch indexed epoch, Nullifier indexed nullifier, address indexed submitter, int256[] outputs
    );

    /// @notice The gate follows another model version.
    event ModelPinned(uint256 indexed modelId, ModelVersion indexed version);

    /// @notice The statement was used before.
    error StatementUsed(Nullifier nullifier);

    /// @notice A later epoch was already acted on.
    error EpochSuperseded(Epoch epoch, Epoch latest);

    /// @notice The window's end is not recorded yet.
    error EpochNotRecorded(Epoch epoch, Epoch recordedEnd);

    /// @notice The epoch's deadline (seconds) has passed.
    error DeadlinePassed(Epoch epoch, uint256 deadline);

    /// @notice The number of outputs is not the schema's.
    error OutputCountMismatch(uint256 got, uint256 want);

    /// @notice An output is outside the schema's bounds.
    error OutputOutOfBounds(uint256 index, int256 value);

    /// @notice The verifier's code is not what was registered.
    error VerifierCodeChanged(address verifier, bytes32 registered, bytes32 found);

    /// @notice The model takes another number of input words than the gate makes.
    error InputWordsMismatch(uint256 gate, uint256 model);

    /// @notice The ring does not hold the window's epochs until its inference becomes stale.
    error RingTooShort(uint256 neededEpochs, uint256 heldEpochs);

    /// @notice Acts on an inference of the window that ends before `epoch`, where the proof holds.
    /// @param epoch End of the window, also the statement's nonce.
    /// @param outputs The output tensor's integers.
    /// @param proof The proof.
    function submitInference(
        Epoch epoch,
        int256[] calldata outputs,
        bytes calldata proof
    ) external;

    /// @notice The instances that a proof for `epoch` must have, but for the outputs.
    /// @param epoch End of the window.
    /// @return statementContext First instance, the context to prove with.
    /// @return inputWords The input words.
    /// @return statementNullifier The statement's nullifier.
    /// @return used Whether it was acted on.
    /// @return deadline Last second at which a proof is accepted.
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
        );

    /// @notice The newest epoch that an inference could be submitted for now.
    /// @return due Whether there is one.
    /// @return epoch The epoch; 0 where there is none.
    function dueEpoch() external view returns (bool due, Epoch epoch);

    /// @notice Whether a nullifier was used.
    function isUsed(
        Nullifier statementNullifier
    ) external view returns (bool);

    /// @notice The model version that proofs must be of.
    function pinnedModel() external view returns (uint256 modelId, ModelVersion version);

    /// @notice The last epoch acted on; 0 before the first.
    function lastEpoch() external view returns (Epoch);

    /// @notice The registry.
    function REGISTRY() external view returns (address);

    /// @notice The feature ring.
    function RING() external view returns (address);

    /// @notice Epochs in the model's window.
    function WINDOW_EPOCHS() external view returns (uint256);

    /// @notice Seconds after a window's end at which its inference becomes stale.
    function MAX_AGE_SECONDS() external view returns (uint256);

    /// @notice What verified outputs are used for, hashed into the context.
    function ACTION_HASH() external view returns (bytes32);
}
