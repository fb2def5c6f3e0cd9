// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IRebalancingVault} from "src/interfaces/IRebalancingVault.sol";

import {TestBase} from "./base/TestBase.sol";
import {vm} from "./base/Vm.sol";
import {VaultHandler} from "./handlers/VaultHandler.sol";

/// @notice What holds of the vault whatever its users, its market, its prover and its guardian do.
contract VaultInvariantTest is TestBase {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    VaultHandler internal handler;

    function setUp() public virtual {
        handler = new VaultHandler(true);
    }

    /// @dev Forge asks for the calls to make.
    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](12);
        selectors[0] = handler.deposit.selector;
        selectors[1] = handler.redeem.selector;
        selectors[2] = handler.redeemInKind.selector;
        selectors[3] = handler.moveMarket.selector;
        selectors[4] = handler.wait_.selector;
        selectors[5] = handler.poke.selector;
        selectors[6] = handler.infer.selector;
        selectors[7] = handler.fallToDefault.selector;
        selectors[8] = handler.trimToCap.selector;
        selectors[9] = handler.lowerCap.selector;
        selectors[10] = handler.pauseOrResume.selector;
        selectors[11] = handler.donate.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector({addr: address(handler), selectors: selectors});
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function _vault() private view returns (IRebalancingVault) {
        return IRebalancingVault(handler.vaultAddress());
    }

    /// @dev S1, S3, H3, T1 to T5, W3 to W6: each act is checked in the handler where it happens.
    function invariant_noActBreaksARule() public view {
        string memory rule = handler.broken();
        vm.assertTrue(bytes(rule).length == 0, rule);
    }

    /// @dev T6.
    function invariant_lossesStayWithinTheRefillingBudget() public view {
        vm.assertLe(handler.lossWad(), handler.lossAllowanceWad(), "losses");
    }

    /// @dev W6.
    function invariant_sharesBelongToDepositors() public view {
        vm.assertEq(handler.totalShares(), _vault().totalSupply(), "shares");
    }

    /// @dev S4.
    function invariant_everybodyCanLeaveInKind() public {
        uint256 state = vm.snapshotState();
        handler.everybodyLeaves();
        vm.assertEq(_vault().totalSupply(), 0, "all left");
        vm.revertToState(state);
    }

    /// @dev S1: what the shares are worth in base never exceeds what is there.
    function invariant_sharesAreBacked() public view {
        IRebalancingVault vault = _vault();
        vm.assertLe(vault.convertToAssets(vault.totalSupply()), vault.totalAssets(), "backed");
    }

    /// @dev The acts do reach the vault: an invariant over nothing holds too.
    function test_handlerReachesTheVault() public {
        handler.infer(1 << 12);
        vm.assertEq(handler.accepted(), 1, "an inference");
        handler.moveMarket(300);
        handler.wait_(1 hours);
        handler.infer(0);
        vm.assertEq(handler.accepted(), 2, "another");
        handler.redeemInKind(0, 1e12);
        handler.deposit(1, 1e9);
        vm.assertEq(bytes(handler.broken()).length, 0, handler.broken());
    }
}

/// @notice The same with the risk token as the pool's token1.
contract VaultInvariantMirroredTest is VaultInvariantTest {
    function setUp() public override {
        handler = new VaultHandler(false);
    }
}
