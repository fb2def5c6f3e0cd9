// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IUniswapV3Pool} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Pool.sol";

import {Deploy} from "../../script/Deploy.s.sol";
import {Market} from "../../script/Market.s.sol";

import {IFeatureRing} from "src/interfaces/IFeatureRing.sol";
import {IModelRegistry} from "src/interfaces/IModelRegistry.sol";
import {IRebalancingVault} from "src/interfaces/IRebalancingVault.sol";
import {KeyContract} from "src/libraries/KeyContract.sol";
import {Epoch} from "src/types/Epoch.sol";
import {ModelVersion} from "src/types/ModelVersion.sol";

import {AcceptListVerifier} from "./base/AcceptListVerifier.sol";
import {TestBase} from "./base/TestBase.sol";
import {vm} from "./base/Vm.sol";
import {UniswapV3} from "./market/UniswapV3.sol";

/// @notice The scripts deploy what their JSON files say. The files are the examples that stand beside the tests.
contract DeployTest is TestBase {
    string private constant EXAMPLES = "contracts/test/fixtures/";

    function setUp() public {
        vm.warp(1_800_000_000);
    }

    function _file(
        string memory name
    ) private view returns (string memory) {
        return vm.readFile(string.concat(vm.projectRoot(), "/", EXAMPLES, name));
    }

    function _market() private returns (Market.Deployed memory) {
        Market market = new Market();
        return market.deploy(market.parse(_file("market.example.json")));
    }

    /// @dev The example names no addresses: they are known only once the market stands.
    function _deployment(
        Market.Deployed memory m
    ) private returns (string memory json) {
        AcceptListVerifier verifier = new AcceptListVerifier("vk", 6);
        json = _file("deployment.example.json");
        json = _replace(json, "POOL", m.pool);
        json = _replace(json, "BASE", address(m.base));
        json = _replace(json, "VERIFIER", address(verifier));
    }

    function _replace(
        string memory json,
        string memory name,
        address with
    ) private pure returns (string memory) {
        return vm.replace(json, string.concat("${", name, "}"), vm.toString(with));
    }

    function test_marketIsAsDescribed() public {
        Market.Deployed memory m = _market();
        vm.assertEq(uint256(m.base.decimals()), 6, "base decimals");
        vm.assertGt(m.base.balanceOf(m.pool), 0, "base liquidity");
        vm.assertGt(m.risk.balanceOf(m.pool), 0, "risk liquidity");
    }

    function test_deploymentIsAsDescribed() public {
        Market.Deployed memory m = _market();
        Deploy.Deployed memory d = new Deploy().deploy(_deployment(m));
        IRebalancingVault vault = d.vault;
        vm.assertEq(vault.asset(), address(m.base), "base");
        vm.assertEq(vault.RISK_ASSET(), address(m.risk), "risk");
        vm.assertEq(vault.REGISTRY(), address(d.registry), "registry");
        vm.assertEq(vault.RING(), address(d.ring), "ring");
        vm.assertEq(vault.ACTION_HASH(), new Deploy().ACTION_HASH(), "action");
        vm.assertEq(uint256(vault.rails().weightCapWad), 0.8e18, "rails");
        (uint256 modelId, ModelVersion version) = vault.pinnedModel();
        vm.assertEq(modelId, d.modelId, "model");
        vm.assertEq(uint256(ModelVersion.unwrap(version)), 1, "version");
        vm.assertEq(address(d.registry.route(modelId, version).verifier), address(d.verifier), "verifier");
        vm.assertEq(d.inferenceVerifier.registry(), address(d.registry), "inference verifier");
    }

    function test_RevertWhen_theVerifierHoldsAnotherKeyThanTheFileNames() public {
        string memory json = _deployment(_market());
        json = vm.replace(json, vm.toString(abi.encode(bytes32("vk"))), vm.toString(abi.encode(bytes32("other"))));
        Deploy script = new Deploy();
        vm.expectRevert(
            abi.encodeWithSelector(IModelRegistry.VerifyingKeyMismatch.selector, bytes32("other"), bytes32("vk"))
        );
        script.deploy(json);
    }

    function test_vaultOfAYoungPoolOpensOnceTheTwapHasAPast() public {
        Market.Deployed memory m = _market();
        Deploy.Deployed memory d = new Deploy().deploy(_deployment(m));
        vm.assertEq(d.vault.maxDeposit(address(this)), 0, "closed");
        vm.expectRevert(IRebalancingVault.OracleNotReady.selector);
        d.vault.totalAssets();
        vm.warp(block.timestamp + d.vault.TWAP_SECONDS());
        vm.assertEq(d.vault.maxDeposit(address(this)), type(uint256).max, "open");
    }

    function test_oracleShorterThanTwapAndEpochGivesNoPriceAndNoRecord() public {
        Market market = new Market();
        Market.Plan memory plan = market.parse(_file("market.example.json"));
        plan.observations = 1;
        Market.Deployed memory m = market.deploy(plan);
        Deploy.Deployed memory d = new Deploy().deploy(_deployment(m));
        uint256 end = d.ring.startOf(d.ring.currentEpoch().plus(1));
        vm.warp(end + 12);
        // One trade after the epoch's end takes the only observation.
        m.base.mint(address(this), 1e36);
        m.base.approve(address(m.operator), 1e36);
        bool sellsToken0 = address(m.base) < address(m.risk);
        (, int24 tick,,,,,) = IUniswapV3Pool(m.pool).slot0();
        m.operator.moveTo(IUniswapV3Pool(m.pool), sellsToken0 ? tick - 10 : tick + 10);
        vm.assertEq(d.vault.maxDeposit(address(this)), 0, "closed");
        vm.expectEmit();
        emit IFeatureRing.EpochsMissed(Epoch.wrap(0), Epoch.wrap(1));
        d.ring.poke();
    }

    function test_verifierIsDeployedFromItsCreationCode() public {
        Market.Deployed memory m = _market();
        string memory json = _deployment(m);
        bytes memory creation =
            bytes.concat(type(AcceptListVerifier).creationCode, abi.encode(bytes32("vk"), uint256(6)));
        string memory key = string.concat("\"verifierBytecode\": \"", vm.toString(creation), "\", \"was\":");
        json = vm.replace(json, "\"verifier\":", key);
        Deploy.Deployed memory d = new Deploy().deploy(json);
        vm.assertEq(d.verifier.VK_DIGEST(), bytes32("vk"), "key");
    }

    function test_keyOfAModelIsDeployedInFrontOfItsShapesVerifier() public {
        Market.Deployed memory m = _market();
        string memory json = _deployment(m);
        bytes memory creation =
            bytes.concat(type(AcceptListVerifier).creationCode, abi.encode(bytes32("vk"), uint256(6)));
        address shape = UniswapV3.deploy(creation);
        bytes memory key = hex"00112233";
        string memory given = string.concat(
            "\"shapeVerifier\": \"", vm.toString(shape), "\", \"key\": \"", vm.toString(key), "\", \"was\":"
        );
        json = vm.replace(json, "\"verifier\":", given);
        Deploy.Deployed memory d = new Deploy().deploy(json);
        vm.assertEq(d.verifier.VK_DIGEST(), bytes32("vk"), "answers of the shape's verifier");
        vm.assertEq(address(d.verifier).code, KeyContract.runtimeCode(shape, key), "code");
    }
}
