// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {FeatureRing} from "src/FeatureRing.sol";
import {IFeatureRing} from "src/interfaces/IFeatureRing.sol";
import {Epoch} from "src/types/Epoch.sol";

import {MarketTest} from "./base/MarketTest.sol";
import {vm} from "./base/Vm.sol";

contract FeatureRingTest is MarketTest {
    uint256 private constant LENGTH = 1 hours;
    uint24 private constant MAX_CHANGE = 5000;
    uint256 private constant SLOTS = 6;

    FeatureRing private ring;

    function setUp() public {
        _deployMarket(true);
        ring = new FeatureRing(pool, address(risk), LENGTH, MAX_CHANGE, SLOTS);
    }

    function _endEpoch() private {
        vm.warp(ring.startOf(ring.currentEpoch().plus(1)));
    }

    /// @dev Records `count` epochs, each at a price of its own, and returns the ticks.
    function _record(
        uint256 count,
        uint256 seed
    ) private returns (int24[] memory ticks) {
        ticks = new int24[](count);
        for (uint256 i = 0; i < count; ++i) {
            ticks[i] = int24(START_TICK + int24(uint24(uint256(keccak256(abi.encode(seed, i))) % 2000)));
            _movePriceTo(ticks[i]);
            _endEpoch();
            ring.poke();
        }
    }

    /// @dev The packing as the circuit's definition says it, one bit at a time.
    function _naivePack(
        int24[] memory ticks,
        uint256 from,
        uint256 count
    ) private pure returns (uint256[] memory words) {
        words = new uint256[]((count + 7) / 8);
        for (uint256 i = 0; i < count; ++i) {
            uint256 stored = uint256(int256(ticks[from + i]) + 2 ** 23);
            for (uint256 b = 0; b < 24; ++b) {
                if ((stored >> b) & 1 == 1) words[i / 8] += 2 ** (24 * (i % 8) + b);
            }
        }
    }

    function test_meanTickOfAnEpochIsTheTimeWeightedMean() public {
        _movePriceTo(-200_000);
        _skip(LENGTH / 4);
        _movePriceTo(-201_000);
        _skip(LENGTH / 4);
        _movePriceTo(-199_000);
        _endEpoch();
        vm.expectEmit();
        emit IFeatureRing.EpochRecorded(Epoch.wrap(0), -199_750, -199_750);
        ring.poke();
        vm.assertEq(ring.tickAt(Epoch.wrap(0)), -199_750, "mean");
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_whenAndHowOftenPokeIsCalledChangesNothing(
        uint256 seed
    ) public {
        uint256 start = vm.snapshotState();
        int24[] memory punctual = _record(10, seed);
        vm.assertEq(ring.recordedEnd().index(), 10, "recorded");
        uint256[] memory words = ring.window(Epoch.wrap(10), 10);
        vm.revertToState(start);

        for (uint256 i = 0; i < 10; ++i) {
            _movePriceTo(punctual[i]);
            _endEpoch();
            // Late by some seconds, but for an epoch's last moment, or left to a later call.
            if (uint256(keccak256(abi.encode(seed, "late", i))) % 3 == 0) ring.poke();
        }
        _skip(seed % LENGTH);
        if (ring.recordedEnd().index() < 10) ring.poke();
        vm.assertEq(ring.window(Epoch.wrap(10), 10), words, "the same values");
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_windowsOfAnyAlignmentArePackedAsTheCircuitUnpacksThem(
        uint256 endSeed,
        uint256 countSeed
    ) public {
        uint256 total = 60;
        int24[] memory ticks = _record(total, 7);
        uint256 oldest = ring.oldestEpoch().index();
        vm.assertEq(oldest, 16, "six slots of eight end with epoch 63");
        uint256 end = bound(endSeed, oldest + 1, total);
        uint256 count = bound(countSeed, 1, end - oldest);
        vm.assertEq(ring.window(Epoch.wrap(uint64(end)), count), _naivePack(ticks, end - count, count), "window");
    }

    function test_alignedWindowIsTheStorageSlotsThemselves() public {
        _record(40, 3);
        uint256[] memory words = ring.window(Epoch.wrap(40), 32);
        for (uint256 i = 0; i < 4; ++i) {
            // The words are the contract's first mapping, at slot 0.
            bytes32 slot = keccak256(abi.encode((1 + i) % SLOTS, uint256(0)));
            vm.assertEq(uint256(vm.load(address(ring), slot)), words[i], "slot");
        }
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_everyRecordedEpochReadsBack(
        uint256 seed
    ) public {
        int24[] memory ticks = _record(20, seed);
        for (uint64 i = 0; i < 20; ++i) {
            vm.assertEq(ring.tickAt(Epoch.wrap(i)), ticks[i], "tick");
        }
    }

    function test_priceOfToken1IsTheNegatedTick() public {
        _deployMarket(false);
        ring = new FeatureRing(pool, address(risk), LENGTH, MAX_CHANGE, SLOTS);
        _movePriceTo(-200_000);
        _endEpoch();
        ring.poke();
        vm.assertEq(ring.tickAt(Epoch.wrap(0)), -200_000, "dearer is higher");
    }

    function test_meanIsRoundedDown() public {
        _movePriceTo(-200_000);
        _skip(LENGTH - 1);
        _movePriceTo(-200_001);
        _endEpoch();
        ring.poke();
        vm.assertEq(ring.tickAt(Epoch.wrap(0)), -200_001, "floor");
    }

    function test_changeIsBoundedAndAJumpIsFollowedOverEpochs() public {
        _endEpoch();
        ring.poke();
        int24 target = START_TICK + 12_000;
        _movePriceTo(target);
        _endEpoch();
        vm.expectEmit();
        emit IFeatureRing.EpochRecorded(Epoch.wrap(1), START_TICK + 5000, target);
        ring.poke();
        _endEpoch();
        ring.poke();
        _endEpoch();
        ring.poke();
        vm.assertEq(ring.tickAt(Epoch.wrap(2)), START_TICK + 10_000, "second epoch");
        vm.assertEq(ring.tickAt(Epoch.wrap(3)), target, "there");
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_recordsNeverChangeByMoreThanTheBound(
        uint256 seed
    ) public {
        int24 last;
        for (uint64 i = 0; i < 8; ++i) {
            _movePriceTo(START_TICK + int24(int256(uint256(keccak256(abi.encode(seed, i))) % 60_000) - 30_000));
            _endEpoch();
            ring.poke();
            int24 tick = ring.tickAt(Epoch.wrap(i));
            if (i != 0) vm.assertTrue(tick - last <= 5000 && last - tick <= 5000, "bounded");
            last = tick;
        }
    }

    function test_unreadableEpochsAreGapsAndBlockTheirWindowsAlone() public {
        _record(8, 1);
        vm.mockCallRevert(address(pool), abi.encodeWithSelector(pool.observe.selector), "OLD");
        _endEpoch();
        _endEpoch();
        vm.expectEmit();
        emit IFeatureRing.EpochsMissed(Epoch.wrap(8), Epoch.wrap(10));
        ring.poke();
        vm.clearMockedCalls();
        _record(8, 2);
        vm.expectRevert(abi.encodeWithSelector(IFeatureRing.GapInWindow.selector, Epoch.wrap(8)));
        ring.window(Epoch.wrap(16), 16);
        vm.expectRevert(abi.encodeWithSelector(IFeatureRing.GapInWindow.selector, Epoch.wrap(9)));
        ring.tickAt(Epoch.wrap(9));
        ring.window(Epoch.wrap(8), 8);
        ring.window(Epoch.wrap(18), 8);
    }

    /// @dev Trades so often that the pool's oracle, of 400 observations, forgets. Returns ticks times seconds.
    function _fillOracle(
        uint256 trades,
        uint256 secondsBetween
    ) private returns (int256 cumulative) {
        for (uint256 i = 0; i < trades; ++i) {
            (, int24 spot,,,,,) = pool.slot0();
            cumulative += int256(spot) * int256(secondsBetween);
            _skip(secondsBetween);
            _movePriceTo(START_TICK + int24(int256(i % 3)));
        }
    }

    function _assertForgotten(
        uint256 secondsAgo
    ) private {
        uint32[] memory secondsAgos = new uint32[](1);
        secondsAgos[0] = uint32(secondsAgo);
        vm.expectRevert(bytes("OLD"));
        pool.observe(secondsAgos);
    }

    function test_epochsThatThePoolForgotAreGaps() public {
        // Five epochs of trades, of which the oracle holds the last 12,000 seconds: neither epoch 0's end nor what is
        // before, but the start of epoch 2.
        _fillOracle(600, 30);
        vm.expectEmit();
        emit IFeatureRing.EpochsMissed(Epoch.wrap(0), Epoch.wrap(2));
        ring.poke();
        vm.expectRevert(abi.encodeWithSelector(IFeatureRing.GapInWindow.selector, Epoch.wrap(0)));
        ring.tickAt(Epoch.wrap(0));
        vm.expectRevert(abi.encodeWithSelector(IFeatureRing.GapInWindow.selector, Epoch.wrap(1)));
        ring.tickAt(Epoch.wrap(1));
        ring.tickAt(Epoch.wrap(2));

        // What comes after the gap is read as ever.
        _fillOracle(450, 8);
        ring.poke();
        ring.tickAt(Epoch.wrap(5));
    }

    function test_tradesThatFillTheOracleMakeNoGapWhereThePokesAreInTime() public {
        // 450 trades an epoch: at its end the oracle does not reach its start any more.
        for (uint64 i = 0; i < 3; ++i) {
            int256 cumulative = _fillOracle(450, 8);
            _assertForgotten(LENGTH);
            ring.poke();
            int256 mean = cumulative / int256(LENGTH);
            if (cumulative % int256(LENGTH) != 0) --mean;
            vm.assertEq(ring.tickAt(Epoch.wrap(i)), mean, "mean");
        }
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_windowRevertsExactlyWhereItHoldsAGap(
        uint256 seed,
        uint256 endSeed,
        uint256 countSeed
    ) public {
        uint256 total = 30;
        bool[] memory gap = new bool[](total);
        for (uint256 i = 0; i < total; ++i) {
            gap[i] = uint256(keccak256(abi.encode(seed, i))) % 10 == 0;
            if (gap[i]) vm.mockCallRevert(address(pool), abi.encodeWithSelector(pool.observe.selector), "OLD");
            _endEpoch();
            ring.poke();
            vm.clearMockedCalls();
        }
        uint256 end = bound(endSeed, 1, total);
        uint256 count = bound(countSeed, 1, end);
        for (uint256 e = end - count; e < end; ++e) {
            if (!gap[e]) continue;
            vm.expectRevert(abi.encodeWithSelector(IFeatureRing.GapInWindow.selector, Epoch.wrap(uint64(e))));
            break;
        }
        ring.window(Epoch.wrap(uint64(end)), count);
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_aLongSilenceLeavesGapsAndNoOldValues(
        uint256 silenceSeed
    ) public {
        _record(48, 5);
        uint256 silence = bound(silenceSeed, 33, 200);
        _skip(silence * LENGTH);
        ring.poke();
        uint256 end = ring.recordedEnd().index();
        vm.assertEq(end, 48 + silence, "caught up");
        uint256 oldest = ring.oldestEpoch().index();
        for (uint256 e = oldest; e < end; ++e) {
            if (e >= 48 && e < end - 32) {
                vm.expectRevert(abi.encodeWithSelector(IFeatureRing.GapInWindow.selector, Epoch.wrap(uint64(e))));
            }
            ring.tickAt(Epoch.wrap(uint64(e)));
        }
    }

    function test_ringHoldsItsHistoryAtEveryMoment() public {
        vm.assertEq(ring.HISTORY_EPOCHS(), 40, "five whole slots");
        _record(40, 11);
        for (uint256 i = 0; i < 20; ++i) {
            ring.window(ring.recordedEnd(), 40);
            _record(1, i);
        }
    }

    function test_RevertWhen_noEpochHasEnded() public {
        vm.expectRevert(abi.encodeWithSelector(IFeatureRing.NothingToRecord.selector, ring.startOf(Epoch.wrap(1))));
        ring.poke();
        _endEpoch();
        ring.poke();
        vm.expectRevert(abi.encodeWithSelector(IFeatureRing.NothingToRecord.selector, ring.startOf(Epoch.wrap(2))));
        ring.poke();
    }

    function test_RevertWhen_windowIsOutsideTheRing() public {
        _record(60, 9);
        vm.expectRevert(abi.encodeWithSelector(IFeatureRing.WindowInvalid.selector, Epoch.wrap(60), 0));
        ring.window(Epoch.wrap(60), 0);
        vm.expectRevert(abi.encodeWithSelector(IFeatureRing.WindowInvalid.selector, Epoch.wrap(20), 21));
        ring.window(Epoch.wrap(20), 21);
        vm.expectRevert(abi.encodeWithSelector(IFeatureRing.WindowNotRecorded.selector, Epoch.wrap(61), Epoch.wrap(60)));
        ring.window(Epoch.wrap(61), 8);
        vm.expectRevert(abi.encodeWithSelector(IFeatureRing.WindowTooOld.selector, Epoch.wrap(15), Epoch.wrap(16)));
        ring.window(Epoch.wrap(60), 45);
        ring.window(Epoch.wrap(60), 44);
    }

    function test_RevertWhen_builtWithParametersOutOfRange() public {
        vm.expectRevert(abi.encodeWithSelector(IFeatureRing.ParameterOutOfRange.selector, bytes32("slots"), 1));
        new FeatureRing(pool, address(risk), LENGTH, MAX_CHANGE, 1);
        vm.expectRevert(abi.encodeWithSelector(IFeatureRing.ParameterOutOfRange.selector, bytes32("epochSeconds"), 0));
        new FeatureRing(pool, address(risk), 0, MAX_CHANGE, SLOTS);
        vm.expectRevert(abi.encodeWithSelector(IFeatureRing.ParameterOutOfRange.selector, bytes32("maxTickChange"), 0));
        new FeatureRing(pool, address(risk), LENGTH, 0, SLOTS);
        vm.expectPartialRevert(IFeatureRing.ParameterOutOfRange.selector);
        new FeatureRing(pool, address(this), LENGTH, MAX_CHANGE, SLOTS);
    }
}
