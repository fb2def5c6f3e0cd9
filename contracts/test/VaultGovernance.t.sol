// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {RebalancingVault} from "src/RebalancingVault.sol";
import {IModelRegistry} from "src/interfaces/IModelRegistry.sol";
import {IRebalancingVault} from "src/interfaces/IRebalancingVault.sol";
import {IRiskTimelock} from "src/interfaces/IRiskTimelock.sol";
import {ModelVersion} from "src/types/ModelVersion.sol";
import {Rails} from "src/types/Rails.sol";
import {Epoch} from "src/types/Epoch.sol";
import {RiskTimelock} from "src/vault/RiskTimelock.sol";

import {VaultTest} from "./base/VaultTest.sol";
import {vm} from "./base/Vm.sol";

/// @notice Who may do what in the vault.
contract VaultGovernanceTest is VaultTest {
    function setUp() public {
        _deployVault(true);
        _deposit(ALICE, 1e12);
        _fillWindow();
    }

    // --------------------------------------------------------------------------------------------------- W1

    function test_W1_guardianAndOwnerPauseAtOnce() public {
        uint256 before = vm.snapshotState();
        vm.prank(GUARDIAN);
        vault.pause();
        vm.assertEq(vault.paused(), true, "by the guardian");
        vm.revertToState(before);
        vm.prank(OWNER);
        vault.pause();
        vm.assertEq(vault.paused(), true, "by the owner");
        vm.prank(OWNER);
        vm.expectRevert(IRebalancingVault.VaultPaused.selector);
        vault.pause();
    }

    function test_W1_RevertWhen_strangersReduceRisk() public {
        bytes memory expected = abi.encodeWithSelector(IRebalancingVault.NotGuardian.selector, BOB);
        vm.startPrank(BOB);
        vm.expectRevert(expected);
        vault.pause();
        vm.expectRevert(expected);
        vault.tightenRails(_rails());
        vm.expectRevert(expected);
        vault.cancel("");
        vm.stopPrank();
    }

    function test_W1_guardianTightensEveryRailAtOnce() public {
        Rails memory r = Rails({
            weightCapWad: 0.5e18,
            maxStepWad: 0.1e18,
            hysteresisWad: 0.03e18,
            defaultWeightWad: 0,
            cooldown: 2 hours,
            proverDeadline: 1 days,
            slippageBps: 60,
            lossBudgetBps: 50
        });
        vm.expectEmit();
        emit IRebalancingVault.RailsSet(r);
        vm.prank(GUARDIAN);
        vault.tightenRails(r);
        vm.assertEq(keccak256(abi.encode(vault.rails())), keccak256(abi.encode(r)), "rails");
    }

    function test_W1_RevertWhen_anyRailIsLoosenedAtOnce() public {
        Rails[8] memory looser;
        bytes32[8] memory fields = [
            bytes32("weightCapWad"),
            "maxStepWad",
            "hysteresisWad",
            "defaultWeightWad",
            "cooldown",
            "proverDeadline",
            "slippageBps",
            "lossBudgetBps"
        ];
        for (uint256 i = 0; i < 8; ++i) {
            looser[i] = _rails();
        }
        looser[0].weightCapWad += 1;
        looser[1].maxStepWad += 1;
        looser[2].hysteresisWad -= 1;
        looser[3].defaultWeightWad += 1;
        looser[4].cooldown -= 1;
        looser[5].proverDeadline -= 1;
        looser[6].slippageBps += 1;
        looser[7].lossBudgetBps += 1;
        for (uint256 i = 0; i < 8; ++i) {
            vm.prank(i % 2 == 0 ? GUARDIAN : OWNER);
            vm.expectRevert(abi.encodeWithSelector(IRebalancingVault.RailLoosened.selector, fields[i]));
            vault.tightenRails(looser[i]);
        }
    }

    function test_W1_guardianCancelsWhatIsScheduled() public {
        bytes[] memory calls = new bytes[](3);
        calls[0] = abi.encodeCall(vault.setRails, (_rails()));
        calls[1] = abi.encodeCall(vault.unpause, ());
        calls[2] = abi.encodeCall(vault.setModel, (modelId, ModelVersion.wrap(1)));
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(OWNER);
            vault.schedule(calls[i]);
            vm.prank(GUARDIAN);
            vault.cancel(calls[i]);
            _skip(RISK_DELAY);
            _assertNotScheduled(calls[i]);
        }
    }

    function test_W1_RevertWhen_theGuardianKeepsAnotherFromBeingAppointed() public {
        bytes memory data = abi.encodeCall(vault.setGuardian, (BOB));
        vm.prank(OWNER);
        vault.schedule(data);
        vm.startPrank(GUARDIAN);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, GUARDIAN));
        vault.cancel(data);
        // Nor does what voids other calls.
        vault.tightenRails(_rails());
        vault.pause();
        vm.stopPrank();
        _skip(RISK_DELAY);
        vault.setGuardian(BOB);
        vm.assertEq(vault.guardian(), BOB, "appointed");
    }

    function test_W1_ownerCancelsTheAppointmentOfAGuardian() public {
        bytes memory data = abi.encodeCall(vault.setGuardian, (BOB));
        vm.startPrank(OWNER);
        vault.schedule(data);
        vault.cancel(data);
        vm.stopPrank();
        _skip(RISK_DELAY);
        _assertNotScheduled(data);
    }

    function test_W1_tightestRailsStillTrade() public {
        Rails memory r = _rails();
        r.maxStepWad = 0.01e18;
        r.hysteresisWad = 0.1e18;
        r.cooldown = 7 days;
        // The pool's fee of 30 and the least way beyond it.
        r.slippageBps = 50;
        r.lossBudgetBps = 10;
        vm.startPrank(GUARDIAN);
        vault.tightenRails(r);
        r.slippageBps = 49;
        vm.expectRevert(abi.encodeWithSelector(IRebalancingVault.RailOutOfRange.selector, bytes32("slippageBps")));
        vault.tightenRails(r);
        vm.stopPrank();
        _infer(ONE / 4);
        vm.assertApproxEqAbs(vault.weightWad(), 0.01e18, 0.0001e18, "a step");
    }

    function test_W1_RevertWhen_theBudgetCannotPayForAStep() public {
        Rails memory r = _rails();
        // A quarter of the vault at a hundred basis points costs 25.
        r.lossBudgetBps = 24;
        vm.prank(GUARDIAN);
        vm.expectRevert(abi.encodeWithSelector(IRebalancingVault.RailOutOfRange.selector, bytes32("lossBudgetBps")));
        vault.tightenRails(r);
        r.lossBudgetBps = 25;
        vm.prank(GUARDIAN);
        vault.tightenRails(r);
    }

    // --------------------------------------------------------------------------------------------------- W2

    function test_W2_RevertWhen_loosenedWithoutTheDelay() public {
        bytes[] memory calls = new bytes[](4);
        calls[0] = abi.encodeCall(vault.setRails, (_rails()));
        calls[1] = abi.encodeCall(vault.unpause, ());
        calls[2] = abi.encodeCall(vault.setModel, (modelId, ModelVersion.wrap(1)));
        calls[3] = abi.encodeCall(vault.setGuardian, (OWNER));
        for (uint256 i = 0; i < calls.length; ++i) {
            bytes32 callHash = keccak256(calls[i]);
            vm.prank(OWNER);
            (bool ok, bytes memory reason) = address(vault).call(calls[i]);
            vm.assertEq(ok, false, "not scheduled");
            vm.assertEq(reason, abi.encodeWithSelector(IRiskTimelock.NotScheduled.selector, callHash), "reason");

            vm.prank(OWNER);
            vault.schedule(calls[i]);
            uint256 at = vault.executableAt(calls[i]);
            vm.assertEq(at, block.timestamp + RISK_DELAY, "executable at");
            vm.warp(at - 1);
            vm.prank(OWNER);
            (ok, reason) = address(vault).call(calls[i]);
            vm.assertEq(ok, false, "too early");
            vm.assertEq(reason, abi.encodeWithSelector(IRiskTimelock.StillLocked.selector, callHash, at), "reason");
        }
    }

    /// @dev Nobody can make the call now, and the vault says that none is scheduled.
    function _assertNotScheduled(
        bytes memory data
    ) private {
        vm.assertEq(vault.executableAt(data), 0, "executable at");
        (bool ok, bytes memory reason) = address(vault).call(data);
        vm.assertEq(ok, false, "refused");
        vm.assertEq(reason, abi.encodeWithSelector(IRiskTimelock.NotScheduled.selector, keccak256(data)), "reason");
    }

    function test_W2_RevertWhen_aPauseIsEndedByACallArmedBeforeIt() public {
        bytes memory data = abi.encodeCall(vault.unpause, ());
        vm.prank(OWNER);
        vault.schedule(data);
        _skip(RISK_DELAY);
        vm.prank(GUARDIAN);
        vault.pause();
        _assertNotScheduled(data);
        _skip(RISK_DELAY);
        _assertNotScheduled(data);

        // Scheduled anew it takes the whole delay.
        vm.prank(OWNER);
        vault.schedule(data);
        uint256 at = block.timestamp + RISK_DELAY;
        vm.warp(at - 1);
        vm.expectRevert(abi.encodeWithSelector(IRiskTimelock.StillLocked.selector, keccak256(data), at));
        vault.unpause();
        vm.warp(at);
        vault.unpause();
        vm.assertEq(vault.paused(), false, "works again");
    }

    function test_W2_RevertWhen_railsAreLoosenedByACallArmedBeforeATightening() public {
        Rails memory loose = _rails();
        loose.weightCapWad = 1e18;
        Rails memory tight = _rails();
        tight.weightCapWad = 0.3e18;
        bytes memory data = abi.encodeCall(vault.setRails, (loose));
        uint256 before = vm.snapshotState();
        vm.prank(OWNER);
        vault.schedule(data);
        _skip(RISK_DELAY);
        vm.prank(GUARDIAN);
        vault.tightenRails(tight);
        _assertNotScheduled(data);
        _afterDelay(data);
        vm.assertEq(uint256(vault.rails().weightCapWad), 1e18, "scheduled anew");
        vm.revertToState(before);

        vm.prank(OWNER);
        vault.schedule(data);
        _skip(RISK_DELAY);
        vm.prank(GUARDIAN);
        vault.pause();
        _assertNotScheduled(data);
    }

    function test_W2_pauseVoidsNoCallThatDoesNotUndoIt() public {
        bytes memory data = abi.encodeCall(vault.setModel, (modelId, ModelVersion.wrap(1)));
        vm.prank(OWNER);
        vault.schedule(data);
        _skip(RISK_DELAY);
        vm.prank(GUARDIAN);
        vault.pause();
        vault.setModel(modelId, ModelVersion.wrap(1));
        vm.assertEq(vault.executableAt(data), 0, "made");
    }

    function test_W2_RevertWhen_aScheduledCallIsNotExact() public {
        bytes[] memory calls = new bytes[](4);
        calls[0] = abi.encodeCall(vault.setRails, (_rails()));
        calls[1] = abi.encodeCall(vault.unpause, ());
        calls[2] = abi.encodeCall(vault.setModel, (modelId, ModelVersion.wrap(1)));
        calls[3] = abi.encodeCall(vault.setGuardian, (OWNER));
        vm.startPrank(OWNER);
        for (uint256 i = 0; i < calls.length; ++i) {
            bytes4 selector = bytes4(calls[i]);
            _expectNotSchedulable(selector, calls[i].length + 1);
            vault.schedule(bytes.concat(calls[i], hex"00"));
            _expectNotSchedulable(selector, calls[i].length + 32);
            vault.schedule(bytes.concat(calls[i], bytes32(0)));
        }
        _expectNotSchedulable(vault.setModel.selector, 36);
        vault.schedule(abi.encodeWithSelector(vault.setModel.selector, modelId));
        bytes memory other = abi.encodeCall(vault.transferOwnership, (BOB));
        _expectNotSchedulable(vault.transferOwnership.selector, 36);
        vault.schedule(other);
        _expectNotSchedulable(0, 0);
        vault.schedule("");
        vm.stopPrank();
    }

    function _expectNotSchedulable(
        bytes4 selector,
        uint256 length
    ) private {
        vm.expectRevert(abi.encodeWithSelector(IRiskTimelock.NotSchedulable.selector, selector, length));
    }

    function test_W2_RevertWhen_aGuardianOrStrangerSchedules() public {
        vm.prank(GUARDIAN);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, GUARDIAN));
        vault.schedule("");
    }

    function test_W2_scheduledCallHappensOnceAfterTheDelay() public {
        Rails memory r = _rails();
        r.weightCapWad = 1e18;
        bytes memory data = abi.encodeCall(vault.setRails, (r));
        _afterDelay(data);
        vm.assertEq(uint256(vault.rails().weightCapWad), 1e18, "raised");
        vm.expectRevert(abi.encodeWithSelector(IRiskTimelock.NotScheduled.selector, keccak256(data)));
        vault.setRails(r);
    }

    function test_W2_RevertWhen_theGracePeriodHasPassed() public {
        bytes memory data = abi.encodeCall(vault.setGuardian, (BOB));
        vm.prank(OWNER);
        vault.schedule(data);
        vm.prank(OWNER);
        vm.expectRevert(abi.encodeWithSelector(IRiskTimelock.AlreadyScheduled.selector, keccak256(data)));
        vault.schedule(data);
        uint256 expiry = vault.executableAt(data) + 14 days;
        vm.warp(expiry + 1);
        vm.expectRevert(abi.encodeWithSelector(IRiskTimelock.ScheduleExpired.selector, keccak256(data), expiry));
        vault.setGuardian(BOB);
        // What lapsed can be scheduled anew.
        _afterDelay(data);
        vm.assertEq(vault.guardian(), BOB, "appointed");
    }

    function test_W2_depositorsLeaveDuringTheDelay() public {
        _infer(ONE / 4);
        Rails memory r = _rails();
        r.weightCapWad = 1e18;
        vm.prank(OWNER);
        vault.schedule(abi.encodeCall(vault.setRails, (r)));
        uint256 shares = vault.balanceOf(ALICE);
        vm.prank(ALICE);
        vault.redeemInKind(shares, ALICE, ALICE);
        vm.assertEq(vault.totalSupply(), 0, "left");
    }

    function test_W2_pauseEndsAfterTheDelay() public {
        vm.prank(GUARDIAN);
        vault.pause();
        _afterDelay(abi.encodeCall(vault.unpause, ()));
        vm.assertEq(vault.paused(), false, "works again");
        _passEpochs(1);
        _infer(ONE / 4);
    }

    function test_W2_RevertWhen_theModelFollowedIsNotUsable() public {
        bytes memory data = abi.encodeCall(vault.setModel, (modelId, ModelVersion.wrap(2)));
        vm.prank(OWNER);
        vault.schedule(data);
        _skip(RISK_DELAY);
        vm.expectRevert(
            abi.encodeWithSelector(
                IModelRegistry.VersionNotUsable.selector, modelId, 2, IModelRegistry.VersionStatus.None
            )
        );
        vault.setModel(modelId, ModelVersion.wrap(2));
    }

    // --------------------------------------------------------------------------------------------------- W3

    function test_W3_RevertWhen_pausedForInferences() public {
        Epoch epoch = ring.recordedEnd();
        bytes memory proof = _prove(epoch, ONE / 4);
        vm.prank(GUARDIAN);
        vault.pause();
        vm.expectRevert(IRebalancingVault.VaultPaused.selector);
        vault.submitInference(epoch, _outputs(ONE / 4), proof);
    }

    function test_W3_pausedVaultSellsToItsDefaultAndBuysNothing() public {
        uint256 before = vm.snapshotState();
        _infer(ONE / 4);
        vm.prank(GUARDIAN);
        vault.pause();
        _skip(1 days + 1);
        vault.fallToDefault();
        vm.assertApproxEqAbs(vault.weightWad(), 0.1e18, 0.001e18, "sold");
        vm.revertToState(before);

        vm.prank(GUARDIAN);
        vault.pause();
        _skip(1 days + 1);
        vm.expectRevert(IRebalancingVault.VaultPaused.selector);
        vault.fallToDefault();
    }

    // ----------------------------------------------------------------------------------------- construction

    function test_RevertWhen_aRailIsOutOfRange() public {
        Rails[9] memory bad;
        bytes32[9] memory fields = [
            bytes32("weightCapWad"),
            "maxStepWad",
            "hysteresisWad",
            "defaultWeightWad",
            "cooldown",
            "proverDeadline",
            "slippageBps",
            "slippageBps",
            "lossBudgetBps"
        ];
        for (uint256 i = 0; i < 9; ++i) {
            bad[i] = _rails();
        }
        bad[0].weightCapWad = 1e18 + 1;
        bad[1].maxStepWad = 0.01e18 - 1;
        bad[2].hysteresisWad = 0.1e18 + 1;
        bad[3].defaultWeightWad = 1e18 + 1;
        bad[4].cooldown = 7 days + 1;
        bad[5].proverDeadline = 0;
        // The pool's fee is 30, and 20 must be left.
        bad[6].slippageBps = 49;
        bad[7].slippageBps = 1001;
        bad[8].lossBudgetBps = 9;
        RebalancingVault.VaultConfig memory config = _vaultConfig();
        for (uint256 i = 0; i < 9; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IRebalancingVault.RailOutOfRange.selector, fields[i]));
            new RebalancingVault(config, _gateConfig(), bad[i]);
        }
    }

    function test_RevertWhen_theDelayIsOutOfRange() public {
        RebalancingVault.VaultConfig memory config = _vaultConfig();
        config.riskDelay = 1 hours - 1;
        vm.expectRevert(abi.encodeWithSelector(RiskTimelock.DelayOutOfRange.selector, 1 hours - 1));
        new RebalancingVault(config, _gateConfig(), _rails());
    }

    function test_W6_ownershipMovesInTwoStepsAndGivesNoTokens() public {
        vm.prank(OWNER);
        vault.transferOwnership(BOB);
        vm.assertEq(vault.owner(), OWNER, "not yet");
        vm.prank(BOB);
        vault.acceptOwnership();
        vm.assertEq(vault.owner(), BOB, "accepted");
        vm.assertEq(base.balanceOf(BOB), 0, "nothing");
    }
}
