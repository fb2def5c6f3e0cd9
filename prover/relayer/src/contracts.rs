//! The contracts as a relayer and a deployer see them. Signatures follow `contracts/src/interfaces`;
//! a test compares the two.
#![allow(missing_docs, reason = "generated from the contracts' interfaces, documented there")]

use alloy::sol;

sol! {
    interface InferenceGate {
        function submitInference(uint64 epoch, int256[] calldata outputs, bytes calldata proof) external;
        function statement(uint64 epoch) external view returns (
            uint256 statementContext,
            uint256[] memory inputWords,
            bytes32 statementNullifier,
            bool used,
            uint256 deadline
        );
        function dueEpoch() external view returns (bool due, uint64 epoch);
        function pinnedModel() external view returns (uint256 modelId, uint64 version);
        function lastEpoch() external view returns (uint64);
        function REGISTRY() external view returns (address);
        function RING() external view returns (address);
        function WINDOW_EPOCHS() external view returns (uint256);
    }

    interface FeatureRing {
        function poke() external returns (uint64 recordedEnd);
        function recordedEnd() external view returns (uint64);
        function currentEpoch() external view returns (uint64);
    }

    #[sol(rpc)]
    interface ModelRegistry {
        struct ModelCommitment {
            bytes32 modelHash;
            bytes32 circuitHash;
            bytes32 vkHash;
            bytes4 proofSystemId;
            string uri;
        }
        struct OutputSchema {
            uint32 count;
            uint8 bits;
            uint8 perWord;
            int8 exponent;
            int64 minimum;
            int64 maximum;
        }
        struct VerifierBinding {
            address verifier;
            uint32 inputWords;
            bool inputsArePublic;
            OutputSchema output;
        }
        struct ModelRoute {
            address verifier;
            bytes32 codeHash;
            uint32 inputWords;
            OutputSchema output;
        }
        event ModelRegistered(uint256 indexed modelId, address indexed owner, ModelCommitment commitment);
        function registerModelWithVerifier(
            ModelCommitment calldata commitment,
            VerifierBinding calldata binding
        ) external returns (uint256 modelId);
        function getVersion(uint256 modelId, uint64 version) external view returns (
            ModelCommitment memory commitment,
            VerifierBinding memory binding,
            uint8 status,
            uint64 activeFrom
        );
        function route(uint256 modelId, uint64 version) external view returns (ModelRoute memory);
        function PROOF_SYSTEM_ID() external view returns (bytes4);
    }

    /// Errors that a relayer or a deployer can meet, in gate, ring, registry, vault and generated verifier.
    interface Reverts {
        error StatementUsed(bytes32 nullifier);
        error EpochSuperseded(uint64 epoch, uint64 latest);
        error EpochNotRecorded(uint64 epoch, uint64 recordedEnd);
        error DeadlinePassed(uint64 epoch, uint256 deadline);
        error OutputCountMismatch(uint256 got, uint256 want);
        error OutputOutOfBounds(uint256 index, int256 value);
        error VerifierCodeChanged(address verifier, bytes32 registered, bytes32 found);
        error InputWordsMismatch(uint256 gate, uint256 model);
        error NothingToRecord(uint256 endsAt);
        error WindowInvalid(uint64 end, uint256 count);
        error WindowTooOld(uint64 from, uint64 oldest);
        error WindowNotRecorded(uint64 end, uint64 recordedEnd);
        error GapInWindow(uint64 epoch);
        error ModelNotFound(uint256 modelId);
        error ModelIsDeprecated(uint256 modelId);
        error ModelIsFrozen(uint256 modelId);
        error VersionNotUsable(uint256 modelId, uint64 version, uint8 status);
        error VerifierHasNoCode(address verifier);
        error VerifyingKeyMismatch(bytes32 committed, bytes32 found);
        error InstanceCountMismatch(uint256 schema, uint256 found);
        error VerifierAcceptsAnything(address verifier);
        error SchemaInvalid(ModelRegistry.OutputSchema schema);
        error ProofSystemNotSupported(bytes4 proofSystemId);
        error VaultPaused();
        error CoolingDown(uint256 readyAt);
        error PriceOutsideRails(int24 spotTick, int24 twapTick);
        error MinimumOutputMissed(uint256 amountOut, uint256 minimum);
        error LossBudgetExceeded(uint256 lossWad, uint256 leftWad);
        error OracleNotReady();
        error KeyOfAnotherShape();
        error CalldataLayout();
        error CalldataLength(uint256 got, uint256 want);
        error InstanceCount(uint256 got, uint256 want);
        error ProofLength(uint256 got, uint256 want);
        error InstanceNotCanonical(uint256 index);
        error ScalarNotCanonical(uint256 word);
        error CoordinateNotCanonical(uint256 word);
        error PointNotOnCurve(uint256 word);
        error IdentityPoint(uint256 word);
        error PrecompileFailed(uint256 precompile);
        error ZeroDenominator();
        error ProofRejected();
    }
}
