// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {RebalancingVault} from "src/RebalancingVault.sol";
import {IModelRegistry} from "src/interfaces/IModelRegistry.sol";
import {IRebalancingVault} from "src/interfaces/IRebalancingVault.sol";
import {FeatureRing} from "src/FeatureRing.sol";
import {TickMath} from "src/libraries/TickMath.sol";
import {Epoch} from "src/types/Epoch.sol";
import {Rails} from "src/types/Rails.sol";

import {AcceptListVerifier} from "./base/AcceptListVerifier.sol";
import {VaultTest} from "./base/VaultTest.sol";
import {vm} from "./base/Vm.sol";

/// @notice The vault's trading rules, with the risk token as the pool's token0.
contract VaultTradingTest is VaultTest {
    uint256 private constant MILLION = 1e12;

    function setUp() public virtual {
        _deployVault(true);
        _deposit(ALICE, MILLION);
        _fillWindow();
    }

    /// @dev Half a percent of a weight: fees and the price's move shift it a little.
    function _assertWeight(
        uint256 expected
    ) private view {
        vm.assertApproxEqAbs(vault.weightWad(), expected, 0.005e18, "weight");
    }

    // --------------------------------------------------------------------------------------------- T2 and T3

    function test_T2_vaultBuysTowardsTheVerifiedWeight() public {
        _infer(ONE / 5);
        _assertWeight(0.2e18);
        vm.assertGt(risk.balanceOf(address(vault)), 0, "risk held");
        vm.assertEq(vault.lastRebalanceAt(), block.timestamp, "traded now");
    }

    function test_T2_vaultSellsTowardsTheVerifiedWeight() public {
        _infer(ONE / 4);
        _inferNextEpoch(ONE / 10);
        _assertWeight(0.1e18);
    }

    function test_T2_weightIsCutOffAtTheCap() public {
        for (uint256 i = 0; i < 5; ++i) {
            _passEpochs(1);
            _skip(12 minutes);
            _infer(ONE);
            vm.assertLe(vault.weightWad(), 0.8e18 + 0.001e18, "cap");
            // The loss budget refills before the next step.
            _passEpochs(12);
        }
        _assertWeight(0.8e18);
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_T2_weightFollowsAnyOutput(
        uint256 seed
    ) public {
        int256 output = int256(bound(seed, 0, uint256(ONE)));
        _infer(output);
        uint256 target = uint256(output) * 1e18 / uint256(ONE);
        if (target < 0.02e18) {
            vm.assertEq(vault.weightWad(), 0, "held");
        } else {
            _assertWeight(target < 0.25e18 ? target : 0.25e18);
        }
    }

    function test_T3_stepIsBounded() public {
        _infer(ONE * 3 / 4);
        _assertWeight(0.25e18);
        _inferNextEpoch(ONE * 3 / 4);
        _assertWeight(0.5e18);
    }

    function test_T3_changesWithinTheHysteresisAreNotTraded() public {
        _infer(ONE / 4);
        uint256 riskBefore = risk.balanceOf(address(vault));
        uint256 tradedAt = vault.lastRebalanceAt();
        // 0.01 away, below the hysteresis of 0.02.
        _inferNextEpoch(ONE * 26 / 100);
        vm.assertEq(risk.balanceOf(address(vault)), riskBefore, "held");
        vm.assertEq(vault.lastRebalanceAt(), tradedAt, "no rebalance");
        vm.assertEq(vault.lastVerifiedAt(), block.timestamp, "yet verified");
    }

    function test_T3_anEmptyVaultHolds() public {
        uint256 shares = vault.balanceOf(ALICE);
        vm.prank(ALICE);
        vault.redeemInKind(shares, ALICE, ALICE);
        _infer(ONE / 5);
        vm.assertLe(risk.balanceOf(address(vault)), 1e12, "dust at most");
    }

    // --------------------------------------------------------------------------------------------------- T4

    function test_T4_RevertWhen_coolingDown() public {
        Epoch first = ring.recordedEnd();
        _passEpochs(1);
        Epoch second = ring.recordedEnd();
        vault.submitInference(first, _outputs(ONE / 5), _prove(first, ONE / 5));
        bytes memory proof = _prove(second, 0);
        uint256 readyAt = block.timestamp + 30 minutes;
        vm.expectRevert(abi.encodeWithSelector(IRebalancingVault.CoolingDown.selector, readyAt));
        vault.submitInference(second, _outputs(0), proof);

        // The refusal used nothing up: the same proof is good once the cool-down has passed.
        vm.warp(readyAt);
        vault.submitInference(second, _outputs(0), proof);
        _assertWeight(0);
    }

    // --------------------------------------------------------------------------------------------------- T5

    function test_T5_RevertWhen_thePriceWasPushedBeforeTheTrade() public {
        Epoch epoch = ring.recordedEnd();
        bytes memory proof = _prove(epoch, ONE / 4);
        // Half of the slippage limit of 100 less the pool's fee of 30.
        _movePriceTo(START_TICK + 35);
        vm.expectPartialRevert(IRebalancingVault.PriceOutsideRails.selector);
        vault.submitInference(epoch, _outputs(ONE / 4), proof);
        _movePriceTo(START_TICK - 35);
        vm.expectPartialRevert(IRebalancingVault.PriceOutsideRails.selector);
        vault.submitInference(epoch, _outputs(ONE / 4), proof);
        _movePriceTo(START_TICK + 200);
        vm.expectRevert(
            abi.encodeWithSelector(
                IRebalancingVault.PriceOutsideRails.selector, _poolTick(START_TICK + 200), _poolTick(START_TICK)
            )
        );
        vault.submitInference(epoch, _outputs(ONE / 4), proof);
    }

    function test_T5_RevertWhen_thePriceWasPushedBackForTheTrade() public {
        Epoch epoch = ring.recordedEnd();
        bytes memory proof = _prove(epoch, ONE / 4);
        _movePriceTo(START_TICK + 300);
        _skip(12);
        _movePriceTo(START_TICK);
        // The TWAP has followed for 12 of its 1,800 seconds.
        vm.expectRevert(
            abi.encodeWithSelector(
                IRebalancingVault.PriceOutsideRails.selector, _poolTick(START_TICK + 300), _poolTick(START_TICK + 2)
            )
        );
        vault.submitInference(epoch, _outputs(ONE / 4), proof);
    }

    function test_T5_pushToTheLimitSpendsNoProof() public {
        // A quarter of this is more than the pool sells within the limit.
        _deposit(BOB, 1e15);
        Epoch epoch = ring.recordedEnd();
        bytes memory proof = _prove(epoch, ONE / 4);
        uint256 verifiedAt = vault.lastVerifiedAt();
        _movePriceTo(START_TICK + 69);
        vm.expectPartialRevert(IRebalancingVault.PriceOutsideRails.selector);
        vault.submitInference(epoch, _outputs(ONE / 4), proof);
        vm.assertEq(_isUsed(epoch), false, "statement");
        vm.assertEq(vault.lastRebalanceAt(), 0, "cool-down");
        vm.assertEq(vault.lastVerifiedAt(), verifiedAt, "prover's deadline");

        // The furthest push that lets the trade through leaves it half of the way.
        _movePriceTo(START_TICK + 34);
        vault.submitInference(epoch, _outputs(ONE / 4), proof);
        (, int24 spot,,,,,) = pool.slot0();
        vm.assertTrue(_poolTick(spot) >= START_TICK + 69, "traded up to the limit");
        vm.assertGt(vault.weightWad(), 0.007e18, "half of what it buys unhindered");
    }

    function test_T5_marketThatJumpedAndSettledIsTraded() public {
        for (uint256 i = 0; i < 3; ++i) {
            vm.warp(ring.startOf(ring.currentEpoch().plus(1)) + 1);
            _movePriceTo(START_TICK + int24(int256(1500 * (i + 1))));
            _passEpochs(1);
            uint256 before = risk.balanceOf(address(vault));
            _infer(ONE / 4 * int256(i + 1));
            vm.assertGt(risk.balanceOf(address(vault)), before, "bought");
        }
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_T5_tradesNeverCostMoreThanTheSlippageLimit(
        uint256 pushSeed,
        uint256 sizeSeed
    ) public {
        // Up to the whole pool's depth.
        _deposit(BOB, bound(sizeSeed, 1e9, 1e15));
        _passEpochs(1);
        Epoch epoch = ring.recordedEnd();
        bytes memory proof = _prove(epoch, ONE / 4);
        int24 twap = _poolTick(START_TICK);
        _movePriceTo(START_TICK + int24(int256(bound(pushSeed, 0, 140)) - 70));

        uint256 baseBefore = base.balanceOf(address(vault));
        (bool ok,) = address(vault).call(abi.encodeCall(vault.submitInference, (epoch, _outputs(ONE / 4), proof)));
        uint256 paid = baseBefore - base.balanceOf(address(vault));
        uint256 got = TickMath.valueAt(twap, risk.balanceOf(address(vault)), riskIsToken0);
        if (!ok) vm.assertEq(paid, 0, "nothing moved");
        vm.assertGe(got + 1, paid * 9900 / 10_000, "within one percent of the TWAP");
    }

    function test_T5_RevertWhen_thePoolPaysLessThanTheMinimum() public {
        Epoch epoch = ring.recordedEnd();
        bytes memory proof = _prove(epoch, ONE / 4);
        // No real pool gets here past its price limit; one that says it paid one unit too little stands for the rest.
        uint256 paid = 1e11;
        uint256 minimum = TickMath.valueAt(_poolTick(START_TICK), paid, !riskIsToken0) * 9900 / 10_000;
        int256 received = -int256(minimum - 1);
        bytes memory deltas = riskIsToken0 ? abi.encode(received, paid) : abi.encode(paid, received);
        vm.mockCall(address(pool), abi.encodeWithSelector(pool.swap.selector), deltas);
        vm.expectRevert(abi.encodeWithSelector(IRebalancingVault.MinimumOutputMissed.selector, minimum - 1, minimum));
        vault.submitInference(epoch, _outputs(ONE / 4), proof);
    }

    function test_T5_largeTradeStopsAtTheLimitPrice() public {
        // A quarter of this is more than the pool sells within 70 ticks.
        _deposit(BOB, 1e15);
        _infer(ONE / 4);
        vm.assertLt(vault.weightWad(), 0.2e18, "stopped early");
        vm.assertGt(vault.weightWad(), 0.01e18, "but traded");
        (, int24 spot,,,,,) = pool.slot0();
        int24 pushed = _poolTick(spot) - START_TICK;
        vm.assertTrue(pushed >= 69 && pushed <= 70, "at the limit: slippage less fee");
    }

    // --------------------------------------------------------------------------------------------------- T6

    function test_T6_lossesAreChargedAndRefillOverADay() public {
        vm.assertEq(vault.lossBudgetLeftWad(), 0.01e18, "whole");
        _infer(ONE / 4);
        uint256 left = vault.lossBudgetLeftWad();
        // A quarter of the vault at 0.3 percent.
        vm.assertApproxEqAbs(left, 0.01e18 - 0.00075e18, 0.00002e18, "charged");
        uint256 used = 0.01e18 - left;
        _skip(uint256(1 days) * used / 0.01e18 / 2);
        vm.assertApproxEqRel(0.01e18 - vault.lossBudgetLeftWad(), used / 2, 0.001e18, "half of it back");
        _skip(1 days);
        vm.assertEq(vault.lossBudgetLeftWad(), 0.01e18, "whole again");
    }

    function test_T6_RevertWhen_theBudgetIsSpent() public {
        Rails memory r = vault.rails();
        // A quarter at the slippage limit: the least budget that is allowed.
        (r.slippageBps, r.lossBudgetBps) = (52, 13);
        vm.prank(GUARDIAN);
        vault.tightenRails(r);
        // A first step costs 7.5 of 13 basis points; an hour gives back about half of one.
        _infer(ONE / 4);
        _passEpochs(1);
        Epoch epoch = ring.recordedEnd();
        bytes memory proof = _prove(epoch, 0);
        vm.expectPartialRevert(IRebalancingVault.LossBudgetExceeded.selector);
        vault.submitInference(epoch, _outputs(0), proof);
    }

    // --------------------------------------------------------------------------------------------------- H3

    function test_H3_RevertWhen_somebodyElseCallsBack() public {
        vm.expectRevert(abi.encodeWithSelector(IRebalancingVault.UnexpectedCallback.selector, address(this)));
        vault.uniswapV3SwapCallback(1, 0, "");
    }

    function test_H3_RevertWhen_thePoolCallsBackUnasked() public {
        vm.prank(address(pool));
        vm.expectRevert(abi.encodeWithSelector(IRebalancingVault.UnexpectedCallback.selector, address(pool)));
        vault.uniswapV3SwapCallback(1, 0, "");
    }

    // --------------------------------------------------------------------------------------------------- W4

    function test_W4_anybodyMovesToTheDefaultOnceTheProverIsDead() public {
        _infer(ONE / 4);
        uint256 deadFrom = block.timestamp + 1 days;
        vm.warp(deadFrom);
        vm.expectRevert(abi.encodeWithSelector(IRebalancingVault.ProverAlive.selector, deadFrom));
        vault.fallToDefault();
        vm.warp(deadFrom + 1);
        vm.prank(BOB);
        vault.fallToDefault();
        _assertWeight(0.1e18);
    }

    function test_W4_defaultIsReachedInSteps() public {
        _infer(ONE * 3 / 4);
        _inferNextEpoch(ONE * 3 / 4);
        _skip(1 days + 1);
        vault.fallToDefault();
        _assertWeight(0.25e18);
        vm.expectPartialRevert(IRebalancingVault.CoolingDown.selector);
        vault.fallToDefault();
        _skip(TWAP);
        vault.fallToDefault();
        _assertWeight(0.1e18);
    }

    function test_W4_defaultIsBoughtToo() public {
        _skip(1 days + 1);
        vault.fallToDefault();
        _assertWeight(0.1e18);
    }

    function test_W4_anInferenceRevivesTheProver() public {
        _passEpochs(24);
        _infer(ONE / 4);
        vm.expectPartialRevert(IRebalancingVault.ProverAlive.selector);
        vault.fallToDefault();
    }

    // --------------------------------------------------------------------------------------------------- W5

    function test_W5_anybodyTrimsToALoweredCap() public {
        _infer(ONE / 4);
        Rails memory r = vault.rails();
        r.weightCapWad = 0.15e18;
        vm.prank(GUARDIAN);
        vault.tightenRails(r);
        _skip(30 minutes);
        vm.prank(BOB);
        vault.trimToCap();
        _assertWeight(0.15e18);
    }

    function test_W5_RevertWhen_theWeightIsWithinTheCap() public {
        _infer(ONE / 4);
        uint256 weight = vault.weightWad();
        vm.expectRevert(abi.encodeWithSelector(IRebalancingVault.WeightWithinCap.selector, weight, 0.8e18));
        vault.trimToCap();
    }

    // ----------------------------------------------------------------------------------------- construction

    function test_RevertWhen_theModelIsNotAWeight() public {
        IModelRegistry.VerifierBinding memory binding = _binding(new AcceptListVerifier(VK_DIGEST, 6));
        binding.output.maximum = (1 << 14) + 1;
        uint256 other = registry.registerModelWithVerifier(_commitment(), binding);
        RebalancingVault.VaultConfig memory config = _vaultConfig();
        config.modelId = other;
        vm.expectRevert(abi.encodeWithSelector(IRebalancingVault.NotAWeightModel.selector, other, 1));
        new RebalancingVault(config, _gateConfig(), _rails());
    }

    function test_RevertWhen_theRingPricesTheBaseToken() public {
        FeatureRing wrong = new FeatureRing(pool, address(base), EPOCH_SECONDS, MAX_TICK_CHANGE, SLOTS);
        ring = wrong;
        RebalancingVault.VaultConfig memory config = _vaultConfig();
        vm.expectRevert(
            abi.encodeWithSelector(IRebalancingVault.RingPricesAnotherToken.selector, address(base), address(risk))
        );
        new RebalancingVault(config, _gateConfig(), _rails());
    }
}

/// @notice The same rules with the risk token as the pool's token1, where every tick changes its sign.
contract VaultTradingMirroredTest is VaultTradingTest {
    function setUp() public override {
        _deployVault(false);
        _deposit(ALICE, 1e12);
        _fillWindow();
    }
}
