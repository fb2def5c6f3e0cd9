// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {FeatureRing} from "src/FeatureRing.sol";
import {InferenceGate} from "src/InferenceGate.sol";
import {ModelRegistry} from "src/ModelRegistry.sol";
import {RebalancingVault} from "src/RebalancingVault.sol";
import {IERCZKMLRegistry} from "src/interfaces/IERCZKMLRegistry.sol";
import {IModelRegistry} from "src/interfaces/IModelRegistry.sol";
import {IProofVerifier} from "src/interfaces/IProofVerifier.sol";
import {Instances} from "src/libraries/Instances.sol";
import {OutputCodec} from "src/libraries/OutputCodec.sol";
import {Epoch} from "src/types/Epoch.sol";
import {ModelVersion} from "src/types/ModelVersion.sol";
import {OutputSchema} from "src/types/OutputSchema.sol";
import {Rails} from "src/types/Rails.sol";
import {Context, Nullifier} from "src/types/Statement.sol";

import {AcceptListVerifier} from "./AcceptListVerifier.sol";
import {MarketTest} from "./MarketTest.sol";
import {vm} from "./Vm.sol";

/// @notice A vault on a real pool, following a model whose proofs the test accepts one by one.
abstract contract VaultTest is MarketTest {
    using OutputCodec for OutputSchema;

    uint256 internal constant EPOCH_SECONDS = 1 hours;
    uint256 internal constant WINDOW = 32;
    uint256 internal constant MAX_AGE = 3 hours;
    uint32 internal constant TWAP = 30 minutes;
    uint24 internal constant MAX_TICK_CHANGE = 2000;
    uint256 internal constant SLOTS = 12;
    uint64 internal constant UPDATE_DELAY = 2 days;
    uint256 internal constant RISK_DELAY = 3 days;
    bytes32 internal constant ACTION = keccak256("RebalancingVault.rebalance.v1");
    bytes32 internal constant VK_DIGEST = keccak256("verifying key");

    /// @dev Output weights have 14 bits after the point.
    int256 internal constant ONE = 1 << 14;

    ModelRegistry internal registry;
    FeatureRing internal ring;
    RebalancingVault internal vault;
    AcceptListVerifier internal verifier;
    uint256 internal modelId;

    address internal immutable OWNER = actor("owner");
    address internal immutable GUARDIAN = actor("guardian");
    address internal immutable ALICE = actor("alice");
    address internal immutable BOB = actor("bob");

    function _deployVault(
        bool riskFirst
    ) internal {
        _deployMarket(riskFirst);
        registry = new ModelRegistry(UPDATE_DELAY);
        verifier = new AcceptListVerifier(VK_DIGEST, 1 + 4 + 1);
        modelId = registry.registerModelWithVerifier(_commitment(), _binding(verifier));
        ring = new FeatureRing(pool, address(risk), EPOCH_SECONDS, MAX_TICK_CHANGE, SLOTS);
        vault = new RebalancingVault(_vaultConfig(), _gateConfig(), _rails());
        // The TWAP needs a past.
        _skip(TWAP);
    }

    function _commitment() internal pure returns (IERCZKMLRegistry.ModelCommitment memory) {
        return IERCZKMLRegistry.ModelCommitment({
            modelHash: keccak256("model"),
            circuitHash: keccak256("circuit"),
            vkHash: VK_DIGEST,
            proofSystemId: bytes4(keccak256("halo2-kzg-bn254-v1")),
            uri: ""
        });
    }

    function _binding(
        IProofVerifier v
    ) internal pure returns (IModelRegistry.VerifierBinding memory) {
        return IModelRegistry.VerifierBinding({verifier: v, inputWords: 4, inputsArePublic: true, output: _schema()});
    }

    function _schema() internal pure returns (OutputSchema memory) {
        return OutputSchema({count: 1, bits: 16, perWord: 15, exponent: 14, minimum: 0, maximum: 1 << 14});
    }

    function _vaultConfig() internal view returns (RebalancingVault.VaultConfig memory) {
        return RebalancingVault.VaultConfig({
            name: "Vouch Vault",
            symbol: "vBASE",
            base: base,
            pool: pool,
            twapSeconds: TWAP,
            riskDelay: RISK_DELAY,
            owner: OWNER,
            guardian: GUARDIAN,
            modelId: modelId,
            version: ModelVersion.wrap(1)
        });
    }

    function _gateConfig() internal view returns (InferenceGate.GateConfig memory) {
        return InferenceGate.GateConfig({
            registry: registry, ring: ring, windowEpochs: WINDOW, maxAgeSeconds: MAX_AGE, actionHash: ACTION
        });
    }

    function _rails() internal pure returns (Rails memory) {
        return Rails({
            weightCapWad: 0.8e18,
            maxStepWad: 0.25e18,
            hysteresisWad: 0.02e18,
            defaultWeightWad: 0.1e18,
            cooldown: 30 minutes,
            proverDeadline: 1 days,
            slippageBps: 100,
            lossBudgetBps: 100
        });
    }

    function _deposit(
        address who,
        uint256 assets
    ) internal returns (uint256 shares) {
        base.mint(who, assets);
        vm.startPrank(who);
        base.approve(address(vault), assets);
        shares = vault.deposit(assets, who);
        vm.stopPrank();
    }

    /// @dev Lets epochs pass at a price and records each.
    function _passEpochs(
        uint256 count
    ) internal {
        for (uint256 i = 0; i < count; ++i) {
            vm.warp(ring.startOf(ring.currentEpoch().plus(1)));
            ring.poke();
        }
    }

    /// @dev Lets so many epochs pass that the model has a whole window.
    function _fillWindow() internal returns (Epoch end) {
        _passEpochs(WINDOW);
        return ring.recordedEnd();
    }

    function _outputs(
        int256 weight
    ) internal pure returns (int256[] memory outputs) {
        outputs = new int256[](1);
        outputs[0] = weight;
    }

    function _instances(
        Epoch epoch,
        int256[] memory outputs
    ) internal view returns (uint256[] memory) {
        (Context ctx, uint256[] memory inputs,,,) = vault.statement(epoch);
        return Instances.join(ctx, inputs, _schema().pack(outputs));
    }

    /// @dev A proof of the vault's statement for an epoch, with a salt since there are many proofs of a statement.
    function _prove(
        Epoch epoch,
        int256 weight,
        uint256 salt
    ) internal returns (bytes memory proof) {
        proof = abi.encode(epoch, weight, salt);
        verifier.accept(_instances(epoch, _outputs(weight)), proof);
    }

    function _prove(
        Epoch epoch,
        int256 weight
    ) internal returns (bytes memory) {
        return _prove(epoch, weight, 0);
    }

    /// @dev Proves and submits a weight for the newest window.
    function _infer(
        int256 weight
    ) internal {
        Epoch epoch = ring.recordedEnd();
        vault.submitInference(epoch, _outputs(weight), _prove(epoch, weight));
    }

    function _inferNextEpoch(
        int256 weight
    ) internal {
        _passEpochs(1);
        _infer(weight);
    }

    /// @dev Schedules a call as the owner, waits and makes it.
    function _afterDelay(
        bytes memory data
    ) internal {
        vm.prank(OWNER);
        vault.schedule(data);
        _skip(RISK_DELAY);
        (bool ok, bytes memory reason) = address(vault).call(data);
        if (!ok) {
            // The reason is shown as the call gave it.
            assembly ("memory-safe") {
                revert(add(reason, 0x20), mload(reason))
            }
        }
    }

    function _isUsed(
        Epoch epoch
    ) internal view returns (bool used) {
        (,,, used,) = vault.statement(epoch);
    }

    function _nullifierOf(
        Epoch epoch
    ) internal view returns (Nullifier id) {
        (,, id,,) = vault.statement(epoch);
    }
}
