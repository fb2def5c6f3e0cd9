//! The contracts as the relayer sees them. Signatures follow `contracts/src/interfaces`; a test
//! compares the two.

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

    interface ModelRegistry {
        struct OutputSchema {
            uint32 count;
            uint8 bits;
            uint8 perWord;
            int8 exponent;
            int64 minimum;
            int64 maximum;
        }
        struct ModelRoute {
            address verifier;
            bytes32 codeHash;
            uint32 inputWords;
            OutputSchema output;
        }
        function route(uint256 modelId, uint64 version) external view returns (ModelRoute memory);
    }

    /// Errors that a call of the relayer can meet, in gate, ring, registry, vault and OpenZeppelin.
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
        error VaultPaused();
        error CoolingDown(uint256 readyAt);
        error PriceOutsideRails(int24 spotTick, int24 twapTick);
        error MinimumOutputMissed(uint256 amountOut, uint256 minimum);
        error LossBudgetExceeded(uint256 lossWad, uint256 leftWad);
        error OracleNotReady();
    }
}
