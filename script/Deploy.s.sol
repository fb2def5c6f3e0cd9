// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IUniswapV3Pool} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Pool.sol";

import {FeatureRing} from "src/FeatureRing.sol";
import {InferenceGate} from "src/InferenceGate.sol";
import {InferenceVerifier} from "src/InferenceVerifier.sol";
import {ModelRegistry} from "src/ModelRegistry.sol";
import {RebalancingVault} from "src/RebalancingVault.sol";
import {IERCZKMLRegistry} from "src/interfaces/IERCZKMLRegistry.sol";
import {IModelRegistry} from "src/interfaces/IModelRegistry.sol";
import {IProofVerifier} from "src/interfaces/IProofVerifier.sol";
import {KeyContract} from "src/libraries/KeyContract.sol";
import {ModelVersion} from "src/types/ModelVersion.sol";
import {OutputSchema} from "src/types/OutputSchema.sol";
import {Rails} from "src/types/Rails.sol";
import {vm} from "test/base/Vm.sol";
import {UniswapV3} from "test/market/UniswapV3.sol";

/// @title Deployment of registry, inference verifier, verifier, feature ring and vault
/// @notice One JSON file describes a deployment (`VOUCH_DEPLOYMENT`) and one reports it (`VOUCH_DEPLOYED`). See
/// `contracts/README.md` for the keys.
contract Deploy {
    using SafeCast for uint256;
    using SafeCast for int256;

    /// @notice What was deployed; the keys of the report.
    struct Deployed {
        ModelRegistry registry;
        InferenceVerifier inferenceVerifier;
        IProofVerifier verifier;
        uint256 modelId;
        FeatureRing ring;
        RebalancingVault vault;
    }

    /// @notice What a vault is allowed to do with verified weights, hashed into each proof's context.
    bytes32 public constant ACTION_HASH = keccak256("RebalancingVault.rebalance.v1");

    /// @notice Deploys what the JSON file describes and writes the report.
    function run() external {
        string memory json = vm.readFile(vm.envString("VOUCH_DEPLOYMENT"));
        string memory out = vm.envOr("VOUCH_DEPLOYED", "target/deployed.json");
        vm.startBroadcast();
        Deployed memory d = _deploy(json);
        vm.stopBroadcast();

        vm.serializeAddress("deployed", "registry", address(d.registry));
        vm.serializeAddress("deployed", "inferenceVerifier", address(d.inferenceVerifier));
        vm.serializeAddress("deployed", "verifier", address(d.verifier));
        vm.serializeAddress("deployed", "ring", address(d.ring));
        vm.serializeAddress("deployed", "vault", address(d.vault));
        vm.serializeUint("deployed", "modelVersion", 1);
        vm.writeFile(out, vm.serializeUint("deployed", "modelId", d.modelId));
    }

    /// @notice Deploys from this contract, for tests.
    function deploy(
        string memory json
    ) external returns (Deployed memory) {
        return _deploy(json);
    }

    function _deploy(
        string memory json
    ) private returns (Deployed memory d) {
        d.registry = vm.keyExistsJson(json, ".registry")
            ? ModelRegistry(vm.parseJsonAddress(json, ".registry"))
            : new ModelRegistry(_uint(json, ".updateDelay").toUint64());
        d.inferenceVerifier = new InferenceVerifier(d.registry);
        d.verifier = IProofVerifier(_verifier(json));
        d.modelId = d.registry.registerModelWithVerifier(_commitment(json, d), _binding(json, d));
        d.ring = _ring(json);
        d.vault = new RebalancingVault(_vaultConfig(json, d), _gateConfig(json, d), _rails(json));
    }

    /// @dev With `.model.key` the verifier is one that models share, and the model's own contract holds the key.
    function _verifier(
        string memory json
    ) private returns (address verifier) {
        if (vm.keyExistsJson(json, ".model.verifier")) return vm.parseJsonAddress(json, ".model.verifier");
        verifier = vm.keyExistsJson(json, ".model.shapeVerifier")
            ? vm.parseJsonAddress(json, ".model.shapeVerifier")
            : UniswapV3.deploy(vm.parseJsonBytes(json, ".model.verifierBytecode"));
        if (vm.keyExistsJson(json, ".model.key")) {
            verifier = UniswapV3.deploy(KeyContract.creationCode(verifier, vm.parseJsonBytes(json, ".model.key")));
        }
    }

    function _commitment(
        string memory json,
        Deployed memory d
    ) private view returns (IERCZKMLRegistry.ModelCommitment memory) {
        return IERCZKMLRegistry.ModelCommitment({
            modelHash: vm.parseJsonBytes32(json, ".model.modelHash"),
            circuitHash: vm.parseJsonBytes32(json, ".model.circuitHash"),
            vkHash: vm.parseJsonBytes32(json, ".model.vkHash"),
            proofSystemId: d.registry.PROOF_SYSTEM_ID(),
            uri: vm.parseJsonString(json, ".model.uri")
        });
    }

    function _binding(
        string memory json,
        Deployed memory d
    ) private pure returns (IModelRegistry.VerifierBinding memory) {
        return IModelRegistry.VerifierBinding({
            verifier: d.verifier,
            inputWords: _uint(json, ".model.inputWords").toUint32(),
            inputsArePublic: vm.parseJsonBool(json, ".model.inputsArePublic"),
            output: OutputSchema({
                count: _uint(json, ".model.output.count").toUint32(),
                bits: _uint(json, ".model.output.bits").toUint8(),
                perWord: _uint(json, ".model.output.perWord").toUint8(),
                exponent: _int(json, ".model.output.exponent").toInt8(),
                minimum: _int(json, ".model.output.minimum").toInt64(),
                maximum: _int(json, ".model.output.maximum").toInt64()
            })
        });
    }

    function _ring(
        string memory json
    ) private returns (FeatureRing) {
        IUniswapV3Pool pool = IUniswapV3Pool(vm.parseJsonAddress(json, ".pool"));
        address base = vm.parseJsonAddress(json, ".base");
        return new FeatureRing(
            pool,
            pool.token0() == base ? pool.token1() : pool.token0(),
            _uint(json, ".ring.epochSeconds"),
            _uint(json, ".ring.maxTickChange").toUint24(),
            _uint(json, ".ring.slots")
        );
    }

    function _gateConfig(
        string memory json,
        Deployed memory d
    ) private pure returns (InferenceGate.GateConfig memory) {
        return InferenceGate.GateConfig({
            registry: d.registry,
            ring: d.ring,
            windowEpochs: _uint(json, ".gate.windowEpochs"),
            maxAgeSeconds: _uint(json, ".gate.maxAgeSeconds"),
            actionHash: ACTION_HASH
        });
    }

    function _vaultConfig(
        string memory json,
        Deployed memory d
    ) private pure returns (RebalancingVault.VaultConfig memory) {
        return RebalancingVault.VaultConfig({
            name: vm.parseJsonString(json, ".vault.name"),
            symbol: vm.parseJsonString(json, ".vault.symbol"),
            base: IERC20(vm.parseJsonAddress(json, ".base")),
            pool: IUniswapV3Pool(vm.parseJsonAddress(json, ".pool")),
            twapSeconds: _uint(json, ".vault.twapSeconds").toUint32(),
            riskDelay: _uint(json, ".vault.riskDelay"),
            owner: vm.parseJsonAddress(json, ".vault.owner"),
            guardian: vm.parseJsonAddress(json, ".vault.guardian"),
            modelId: d.modelId,
            version: ModelVersion.wrap(1)
        });
    }

    function _rails(
        string memory json
    ) private pure returns (Rails memory) {
        return Rails({
            weightCapWad: _uint(json, ".rails.weightCapWad").toUint64(),
            maxStepWad: _uint(json, ".rails.maxStepWad").toUint64(),
            hysteresisWad: _uint(json, ".rails.hysteresisWad").toUint64(),
            defaultWeightWad: _uint(json, ".rails.defaultWeightWad").toUint64(),
            cooldown: _uint(json, ".rails.cooldown").toUint32(),
            proverDeadline: _uint(json, ".rails.proverDeadline").toUint32(),
            slippageBps: _uint(json, ".rails.slippageBps").toUint16(),
            lossBudgetBps: _uint(json, ".rails.lossBudgetBps").toUint16()
        });
    }

    function _uint(
        string memory json,
        string memory key
    ) private pure returns (uint256) {
        return vm.parseJsonUint(json, key);
    }

    function _int(
        string memory json,
        string memory key
    ) private pure returns (int256) {
        return vm.parseJsonInt(json, key);
    }
}
