// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {FeatureRing} from "src/FeatureRing.sol";
import {RebalancingVault} from "src/RebalancingVault.sol";
import {IERCZKMLRegistry} from "src/interfaces/IERCZKMLRegistry.sol";
import {IFeatureRing} from "src/interfaces/IFeatureRing.sol";
import {IInferenceGate} from "src/interfaces/IInferenceGate.sol";
import {IModelRegistry} from "src/interfaces/IModelRegistry.sol";
import {IProofVerifier} from "src/interfaces/IProofVerifier.sol";
import {Epoch} from "src/types/Epoch.sol";
import {ModelVersion} from "src/types/ModelVersion.sol";
import {Context, Nullifier} from "src/types/Statement.sol";

import {AcceptListVerifier} from "./base/AcceptListVerifier.sol";
import {GasBurner} from "./base/GasBurner.sol";
import {VaultTest} from "./base/VaultTest.sol";
import {vm} from "./base/Vm.sol";

/// @notice Answers every call with nothing, as an account without a verifier might.
contract Silent {
    fallback() external {}
}

/// @notice Refuses the empty proof and answers every other with a word.
contract Talkative is IProofVerifier {
    bytes32 public constant VK_DIGEST = keccak256("verifying key");
    uint256 public constant INSTANCE_COUNT = 6;
    bytes32 public constant SRS_DIGEST = 0;

    function verify(
        uint256[] calldata,
        bytes calldata proof
    ) external pure {
        if (proof.length == 0) revert ProofRejected();
        assembly {
            mstore(0, 0)
            return(0, 32)
        }
    }
}

/// @notice What an adversary who is not the prover can try at the gate, T1 of the vault's specification.
contract InferenceGateTest is VaultTest {
    int256 private constant WEIGHT = ONE / 4;

    function setUp() public {
        _deployVault(true);
        _deposit(ALICE, 1e12);
    }

    function test_contextIsTheDocumentedHash() public {
        Epoch epoch = _fillWindow();
        (Context ctx,, Nullifier id,, uint256 deadline) = vault.statement(epoch);
        bytes32 digest = keccak256(
            abi.encode(
                keccak256("vouch.statement.v1"),
                block.chainid,
                address(vault),
                modelId,
                uint256(1),
                epoch.index(),
                ACTION
            )
        );
        vm.assertEq(Context.unwrap(ctx), uint256(digest) >> 8, "context");
        vm.assertEq(Nullifier.unwrap(id), keccak256(abi.encode(keccak256("vouch.nullifier.v1"), ctx)), "nullifier");
        vm.assertEq(deadline, ring.startOf(epoch) + MAX_AGE, "deadline");
    }

    function test_anybodySubmits() public {
        Epoch epoch = _fillWindow();
        bytes memory proof = _prove(epoch, WEIGHT);
        vm.expectEmit();
        emit IInferenceGate.InferenceAccepted(epoch, _nullifierOf(epoch), BOB, _outputs(WEIGHT));
        vm.prank(BOB);
        vault.submitInference(epoch, _outputs(WEIGHT), proof);
        vm.assertEq(_isUsed(epoch), true, "used");
        vm.assertEq(vault.isUsed(_nullifierOf(epoch)), true, "used by nullifier");
        vm.assertEq(vault.lastEpoch().index(), epoch.index(), "last epoch");
        vm.assertEq(vault.lastVerifiedAt(), block.timestamp, "verified now");
    }

    function test_dueEpochFollowsTheRing() public {
        (bool due,) = vault.dueEpoch();
        vm.assertEq(due, false, "too few epochs");
        Epoch epoch = _fillWindow();
        Epoch newest;
        (due, newest) = vault.dueEpoch();
        vm.assertTrue(due && newest == epoch, "due");
        _infer(WEIGHT);
        (due,) = vault.dueEpoch();
        vm.assertEq(due, false, "done");
        _passEpochs(1);
        _skip(MAX_AGE + 1);
        (due,) = vault.dueEpoch();
        vm.assertEq(due, false, "stale");
    }

    function test_RevertWhen_theSameProofIsSentTwice() public {
        Epoch epoch = _fillWindow();
        bytes memory proof = _prove(epoch, WEIGHT);
        vault.submitInference(epoch, _outputs(WEIGHT), proof);
        vm.expectRevert(abi.encodeWithSelector(IInferenceGate.StatementUsed.selector, _nullifierOf(epoch)));
        vault.submitInference(epoch, _outputs(WEIGHT), proof);
    }

    function test_RevertWhen_aSecondValidProofOfTheStatementIsSent() public {
        Epoch epoch = _fillWindow();
        vault.submitInference(epoch, _outputs(WEIGHT), _prove(epoch, WEIGHT, 1));
        bytes memory second = _prove(epoch, WEIGHT, 2);
        vm.expectRevert(abi.encodeWithSelector(IInferenceGate.StatementUsed.selector, _nullifierOf(epoch)));
        vault.submitInference(epoch, _outputs(WEIGHT), second);
    }

    function test_RevertWhen_theProofIsForAnotherEpoch() public {
        Epoch epoch = _fillWindow();
        bytes memory proof = _prove(epoch, WEIGHT);
        _passEpochs(1);
        Epoch next = ring.recordedEnd();
        vm.expectRevert(IProofVerifier.ProofRejected.selector);
        vault.submitInference(next, _outputs(WEIGHT), proof);
    }

    function test_RevertWhen_theProofIsForAnotherConsumer() public {
        Epoch epoch = _fillWindow();
        bytes memory proof = _prove(epoch, WEIGHT);
        RebalancingVault twin = new RebalancingVault(_vaultConfig(), _gateConfig(), _rails());
        vm.expectRevert(IProofVerifier.ProofRejected.selector);
        twin.submitInference(epoch, _outputs(WEIGHT), proof);
    }

    function test_RevertWhen_theProofIsForAnotherChain() public {
        Epoch epoch = _fillWindow();
        bytes memory proof = _prove(epoch, WEIGHT);
        vm.chainId(block.chainid + 1);
        vm.expectRevert(IProofVerifier.ProofRejected.selector);
        vault.submitInference(epoch, _outputs(WEIGHT), proof);
    }

    function test_RevertWhen_theProofIsOfAnotherModelVersion() public {
        // Version 2 has the same verifier, and the epoch is the same: the version in the context alone differs.
        ModelVersion second = registry.updateModelWithVerifier(modelId, _commitment(), _binding(verifier));
        vm.prank(OWNER);
        vault.schedule(abi.encodeCall(vault.setModel, (modelId, second)));
        _passEpochs(RISK_DELAY / EPOCH_SECONDS + 1);
        Epoch epoch = ring.recordedEnd();
        bytes memory proof = _prove(epoch, WEIGHT);
        uint256 before = vm.snapshotState();
        vault.submitInference(epoch, _outputs(WEIGHT), proof);
        vm.revertToState(before);

        vault.setModel(modelId, second);
        vm.expectRevert(IProofVerifier.ProofRejected.selector);
        vault.submitInference(epoch, _outputs(WEIGHT), proof);
        vault.submitInference(epoch, _outputs(WEIGHT), _prove(epoch, WEIGHT));
    }

    function test_RevertWhen_theProofIsOfInventedInputs() public {
        Epoch epoch = _fillWindow();
        uint256[] memory instances = _instances(epoch, _outputs(WEIGHT));
        instances[2] ^= 1;
        verifier.accept(instances, "invented");
        vm.expectRevert(IProofVerifier.ProofRejected.selector);
        vault.submitInference(epoch, _outputs(WEIGHT), "invented");
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_RevertWhen_outputsAreTampered(
        int256 seed
    ) public {
        int256 other = bound(seed, 0, ONE);
        vm.assume(other != WEIGHT);
        Epoch epoch = _fillWindow();
        bytes memory proof = _prove(epoch, WEIGHT);
        vm.expectRevert(IProofVerifier.ProofRejected.selector);
        vault.submitInference(epoch, _outputs(other), proof);
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_RevertWhen_anOutputIsOutOfBounds(
        int256 value
    ) public {
        if (value >= 0 && value <= ONE) value = ONE + 1 + value;
        Epoch epoch = _fillWindow();
        vm.expectRevert(abi.encodeWithSelector(IInferenceGate.OutputOutOfBounds.selector, 0, value));
        vault.submitInference(epoch, _outputs(value), "");
    }

    function test_RevertWhen_outputsAreTooMany() public {
        Epoch epoch = _fillWindow();
        vm.expectRevert(abi.encodeWithSelector(IInferenceGate.OutputCountMismatch.selector, 2, 1));
        vault.submitInference(epoch, new int256[](2), "");
        vm.expectRevert(abi.encodeWithSelector(IInferenceGate.OutputCountMismatch.selector, 0, 1));
        vault.submitInference(epoch, new int256[](0), "");
    }

    function test_RevertWhen_theEpochIsStale() public {
        Epoch epoch = _fillWindow();
        bytes memory proof = _prove(epoch, WEIGHT);
        uint256 deadline = ring.startOf(epoch) + MAX_AGE;
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IInferenceGate.DeadlinePassed.selector, epoch, deadline));
        vault.submitInference(epoch, _outputs(WEIGHT), proof);
        vm.warp(deadline);
        vault.submitInference(epoch, _outputs(WEIGHT), proof);
    }

    function test_RevertWhen_aLaterEpochWasActedOn() public {
        Epoch epoch = _fillWindow();
        bytes memory proof = _prove(epoch, WEIGHT);
        _inferNextEpoch(WEIGHT);
        vm.expectRevert(abi.encodeWithSelector(IInferenceGate.EpochSuperseded.selector, epoch, ring.recordedEnd()));
        vault.submitInference(epoch, _outputs(WEIGHT), proof);
    }

    function test_proofStaysValidWhileLaterEpochsArrive() public {
        Epoch epoch = _fillWindow();
        bytes memory proof = _prove(epoch, WEIGHT);
        _passEpochs(2);
        vault.submitInference(epoch, _outputs(WEIGHT), proof);
    }

    function test_RevertWhen_theEpochIsNotRecorded() public {
        Epoch end = _fillWindow();
        vm.expectRevert(abi.encodeWithSelector(IInferenceGate.EpochNotRecorded.selector, end.plus(1), end));
        vault.submitInference(end.plus(1), _outputs(WEIGHT), "");
    }

    function test_RevertWhen_theWindowHasAGap() public {
        _passEpochs(WINDOW - 1);
        vm.mockCallRevert(address(pool), abi.encodeWithSelector(pool.observe.selector), "OLD");
        _passEpochs(1);
        vm.clearMockedCalls();
        _passEpochs(1);
        Epoch end = ring.recordedEnd();
        (bool due,) = vault.dueEpoch();
        vm.assertEq(due, false, "not due");
        vm.expectRevert(abi.encodeWithSelector(IFeatureRing.GapInWindow.selector, end.minus(2)));
        vault.submitInference(end, _outputs(WEIGHT), "");
    }

    function test_RevertWhen_theVerifierHasNoCode() public {
        Epoch epoch = _fillWindow();
        bytes memory proof = _prove(epoch, WEIGHT);
        bytes32 codeHash = address(verifier).codehash;
        vm.etch(address(verifier), "");
        vm.expectRevert(
            abi.encodeWithSelector(
                IInferenceGate.VerifierCodeChanged.selector, address(verifier), codeHash, keccak256("")
            )
        );
        vault.submitInference(epoch, _outputs(WEIGHT), proof);
    }

    function test_RevertWhen_theVerifierReturnsNothingToEveryCall() public {
        Epoch epoch = _fillWindow();
        bytes32 codeHash = address(verifier).codehash;
        vm.etch(address(verifier), address(new Silent()).code);
        bytes32 silent = address(verifier).codehash;
        vm.expectRevert(
            abi.encodeWithSelector(IInferenceGate.VerifierCodeChanged.selector, address(verifier), codeHash, silent)
        );
        vault.submitInference(epoch, _outputs(WEIGHT), "");
    }

    /// @dev Another vault, which follows a model that has the given verifier.
    function _vaultWith(
        IProofVerifier other
    ) private returns (RebalancingVault) {
        RebalancingVault.VaultConfig memory config = _vaultConfig();
        config.modelId = registry.registerModelWithVerifier(_commitment(), _binding(other));
        return new RebalancingVault(config, _gateConfig(), _rails());
    }

    function test_RevertWhen_theRegisteredVerifierBurnsAllGas() public {
        RebalancingVault other = _vaultWith(new GasBurner(VK_DIGEST, 6, false));
        Epoch epoch = _fillWindow();
        uint256 verifiedAt = other.lastVerifiedAt();
        (bool ok, bytes memory reason) = address(other).call{gas: 3_000_000}(
            abi.encodeCall(other.submitInference, (epoch, _outputs(WEIGHT), "proof"))
        );
        vm.assertEq(ok, false, "refused");
        vm.assertEq(reason, "", "by the verifier");
        (,,, bool used,) = other.statement(epoch);
        vm.assertEq(used, false, "statement");
        vm.assertEq(other.lastEpoch().index(), 0, "epoch");
        vm.assertEq(other.lastVerifiedAt(), verifiedAt, "prover's deadline");
    }

    function test_registeredVerifierRefusesByRevertingAlone() public {
        // What it returns has no meaning; that it refuses the empty proof is all that the registry can see.
        RebalancingVault other = _vaultWith(new Talkative());
        Epoch epoch = _fillWindow();
        vm.expectRevert(IProofVerifier.ProofRejected.selector);
        other.submitInference(epoch, _outputs(WEIGHT), "");
        other.submitInference(epoch, _outputs(WEIGHT), "proof");
        vm.assertEq(other.lastEpoch().index(), epoch.index(), "accepted");
    }

    function test_RevertWhen_theModelIsStopped() public {
        Epoch epoch = _fillWindow();
        bytes memory proof = _prove(epoch, WEIGHT);
        uint256 before = vm.snapshotState();

        registry.freezeModel(modelId);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ModelIsFrozen.selector, modelId));
        vault.submitInference(epoch, _outputs(WEIGHT), proof);
        vm.revertToState(before);

        registry.deprecateModel(modelId);
        vm.expectRevert(abi.encodeWithSelector(IERCZKMLRegistry.ModelIsDeprecated.selector, modelId));
        vault.submitInference(epoch, _outputs(WEIGHT), proof);
        vm.revertToState(before);

        registry.removeVersion(modelId, ModelVersion.wrap(1));
        vm.expectRevert(
            abi.encodeWithSelector(
                IModelRegistry.VersionNotUsable.selector, modelId, 1, IModelRegistry.VersionStatus.Removed
            )
        );
        vault.submitInference(epoch, _outputs(WEIGHT), proof);
    }

    function test_anUpdateDoesNotMoveAPinnedGate() public {
        AcceptListVerifier other = new AcceptListVerifier(VK_DIGEST, 6);
        registry.updateModelWithVerifier(modelId, _commitment(), _binding(other));
        _skip(UPDATE_DELAY);
        _fillWindow();
        _infer(WEIGHT);
    }

    function test_RevertWhen_theRingIsTooShortForTheWindowAndItsDeadline() public {
        RebalancingVault.VaultConfig memory config = _vaultConfig();
        // 32 epochs, 3 of proving time and the one that is running need 36; five slots hold 32 for certain.
        ring = new FeatureRing(pool, address(risk), EPOCH_SECONDS, MAX_TICK_CHANGE, 5);
        vm.expectRevert(abi.encodeWithSelector(IInferenceGate.RingTooShort.selector, 36, 32));
        new RebalancingVault(config, _gateConfig(), _rails());
        ring = new FeatureRing(pool, address(risk), EPOCH_SECONDS, MAX_TICK_CHANGE, 6);
        new RebalancingVault(config, _gateConfig(), _rails());
    }

    function test_RevertWhen_theModelTakesOtherInputs() public {
        IModelRegistry.VerifierBinding memory binding = _binding(new AcceptListVerifier(VK_DIGEST, 7));
        binding.inputWords = 5;
        uint256 other = registry.registerModelWithVerifier(_commitment(), binding);
        RebalancingVault.VaultConfig memory config = _vaultConfig();
        config.modelId = other;
        vm.expectRevert(abi.encodeWithSelector(IInferenceGate.InputWordsMismatch.selector, 4, 5));
        new RebalancingVault(config, _gateConfig(), _rails());
    }
}
