// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {ModelVersion} from "../types/ModelVersion.sol";
import {OutputSchema} from "../types/OutputSchema.sol";
import {IERCZKMLRegistry} from "./IERCZKMLRegistry.sol";
import {IProofVerifier} from "./IProofVerifier.sol";

/// @title Registry of models and their verifiers
/// @notice ERC-7992's registry, with what a consumer needs to rely on it: a verifier pinned by code hash, a schema
/// of the outputs, numbered versions under a delay, and instant ways to stop.
///
/// Policy on versions: one `modelId` has many versions. A model's only version is current as soon as it has a
/// verifier; once there are several, each becomes usable a fixed delay after its verifier was bound. Consumers that pin
/// a version are not moved by an update. Stopping is instant: the owner freezes or deprecates a model or removes a
/// version, and anybody stops a version by showing that its verifier accepts a contradiction.
interface IModelRegistry is IERCZKMLRegistry {
    /// @notice How proofs of a model version are checked.
    struct VerifierBinding {
        /// Generated verifier of the model's circuit.
        IProofVerifier verifier;
        /// Instance words that carry the inputs.
        uint32 inputWords;
        /// Whether outputs are a function of the public inputs alone. Where they are not (private inputs), two
        /// proofs that differ in outputs are no contradiction.
        bool inputsArePublic;
        /// The outputs.
        OutputSchema output;
    }

    /// @notice What a consumer needs to check a proof.
    struct ModelRoute {
        /// Verifier, to be called only while its code hash is `codeHash`.
        IProofVerifier verifier;
        /// Code hash of the verifier when it was bound.
        bytes32 codeHash;
        /// Instance words that carry the inputs.
        uint32 inputWords;
        /// The outputs.
        OutputSchema output;
    }

    /// @notice Where a version stands.
    enum VersionStatus {
        /// Never proposed.
        None,
        /// Proposed, without a verifier.
        Unbound,
        /// Bound, its delay still running.
        Pending,
        /// Usable.
        Active,
        /// Removed by the owner.
        Removed,
        /// Stopped by a contradiction.
        Stopped
    }

    /// @notice A verifier was bound to a version, usable from `activeFrom` (seconds).
    event VerifierBound(
        uint256 indexed modelId,
        ModelVersion indexed version,
        address indexed verifier,
        bytes32 codeHash,
        bytes32 vkDigest,
        uint64 activeFrom
    );

    /// @notice A version was proposed.
    event VersionProposed(uint256 indexed modelId, ModelVersion indexed version);

    /// @notice A version was removed by the owner.
    event VersionRemoved(uint256 indexed modelId, ModelVersion indexed version);

    /// @notice A version was stopped: its verifier accepted two outputs for one input.
    event VersionStopped(uint256 indexed modelId, ModelVersion indexed version, address indexed caller);

    /// @notice A model was frozen.
    event ModelFrozen(uint256 indexed modelId);

    /// @notice A frozen model will work again from `usableFrom` (seconds).
    event ModelThawing(uint256 indexed modelId, uint64 usableFrom);

    /// @notice An owner offered a model to somebody.
    event ModelTransferStarted(uint256 indexed modelId, address indexed from, address indexed to);

    /// @notice A model has a new owner.
    event ModelTransferred(uint256 indexed modelId, address indexed from, address indexed to);

    /// @notice The model is frozen.
    error ModelIsFrozen(uint256 modelId);

    /// @notice The model is not frozen.
    error ModelIsNotFrozen(uint256 modelId);

    /// @notice The version cannot be used as asked in its present status.
    error VersionNotUsable(uint256 modelId, ModelVersion version, VersionStatus status);

    /// @notice The caller was not offered the model.
    error NotPendingOwner(uint256 modelId, address caller);

    /// @notice The address has no code.
    error VerifierHasNoCode(address verifier);

    /// @notice The verifier holds another key than the version's commitment names.
    error VerifyingKeyMismatch(bytes32 committed, bytes32 found);

    /// @notice The verifier takes another number of instances than the schema makes.
    error InstanceCountMismatch(uint256 schema, uint256 found);

    /// @notice The verifier accepted an empty proof.
    error VerifierAcceptsAnything(address verifier);

    /// @notice The schema is not one that can be packed or decoded.
    error SchemaInvalid(OutputSchema schema);

    /// @notice The proof system is not the one that this registry binds verifiers of.
    error ProofSystemNotSupported(bytes4 proofSystemId);

    /// @notice The two claims do not contradict each other.
    error NotAContradiction();

    /// @notice Registers a model and binds version 1's verifier in one step.
    /// @param commitment The model's hashes.
    /// @param binding How its proofs are checked.
    /// @return modelId The model's number.
    function registerModelWithVerifier(
        ModelCommitment calldata commitment,
        VerifierBinding calldata binding
    ) external returns (uint256 modelId);

    /// @notice Proposes a version and binds its verifier in one step.
    /// @param modelId The model.
    /// @param newCommitment The new version's hashes.
    /// @param binding How its proofs are checked.
    /// @return version The new version's number.
    function updateModelWithVerifier(
        uint256 modelId,
        ModelCommitment calldata newCommitment,
        VerifierBinding calldata binding
    ) external returns (ModelVersion version);

    /// @notice Binds a verifier to a version that has none. A binding is never changed.
    /// @param modelId The model.
    /// @param version The version.
    /// @param binding How its proofs are checked.
    function bindVerifier(
        uint256 modelId,
        ModelVersion version,
        VerifierBinding calldata binding
    ) external;

    /// @notice Removes a version, at once and for good.
    function removeVersion(
        uint256 modelId,
        ModelVersion version
    ) external;

    /// @notice Freezes a model at once.
    function freezeModel(
        uint256 modelId
    ) external;

    /// @notice Ends a freeze after the update delay.
    function thawModel(
        uint256 modelId
    ) external;

    /// @notice Stops a version whose verifier accepts two different outputs for the same public inputs. Anybody may
    /// call it: one of the two proofs is false, so nothing that the verifier says can be relied on.
    /// @param modelId The model.
    /// @param version The version.
    /// @param instancesA Instances of the first proof.
    /// @param proofA The first proof.
    /// @param instancesB Instances of the second proof: the same input words, other output words.
    /// @param proofB The second proof.
    function stopVersion(
        uint256 modelId,
        ModelVersion version,
        uint256[] calldata instancesA,
        bytes calldata proofA,
        uint256[] calldata instancesB,
        bytes calldata proofB
    ) external;

    /// @notice Offers a model to a new owner, who must accept it.
    function transferModel(
        uint256 modelId,
        address newOwner
    ) external;

    /// @notice Takes over a model that was offered to the caller.
    function acceptModel(
        uint256 modelId
    ) external;

    /// @notice How to check a proof of a version; reverts where the version may not be used now.
    function route(
        uint256 modelId,
        ModelVersion version
    ) external view returns (ModelRoute memory);

    /// @notice The newest usable version; reverts where there is none.
    function currentVersion(
        uint256 modelId
    ) external view returns (ModelVersion);

    /// @notice The number of versions proposed so far, which is also the newest one's number.
    function versionCount(
        uint256 modelId
    ) external view returns (uint64);

    /// @notice A version's commitment, binding and status, whatever the status.
    /// @return commitment The version's hashes.
    /// @return binding How its proofs are checked; empty where unbound.
    /// @return status Where the version stands, freezing and deprecation of the model aside.
    /// @return activeFrom When it becomes usable (seconds); 0 where unbound.
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
        );

    /// @notice Whether a model is frozen now.
    function isFrozen(
        uint256 modelId
    ) external view returns (bool);

    /// @notice Who was offered a model.
    function pendingOwner(
        uint256 modelId
    ) external view returns (address);

    /// @notice Seconds between binding a verifier and its use, but for a model's only version, and between thawing and use.
    function UPDATE_DELAY() external view returns (uint64);

    /// @notice The proof system of every verifier here.
    function PROOF_SYSTEM_ID() external view returns (bytes4);
}
