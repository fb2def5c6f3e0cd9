// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Deploy} from "../../script/Deploy.s.sol";
import {Market} from "../../script/Market.s.sol";

import {IRebalancingVault} from "src/interfaces/IRebalancingVault.sol";
import {ModelVersion} from "src/types/ModelVersion.sol";

import {AcceptListVerifier} from "./base/AcceptListVerifier.sol";
import {TestBase} from "./base/TestBase.sol";
import {vm} from "./base/Vm.sol";

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
}
