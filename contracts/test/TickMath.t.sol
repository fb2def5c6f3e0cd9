// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IUniswapV3Factory} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Factory.sol";
import {IUniswapV3Pool} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Pool.sol";

import {TickMath} from "src/libraries/TickMath.sol";

import {TestBase} from "./base/TestBase.sol";
import {vm} from "./base/Vm.sol";
import {TestToken} from "./market/TestToken.sol";
import {UniswapV3} from "./market/UniswapV3.sol";

contract TickMathTest is TestBase {
    IUniswapV3Factory private factory;

    function setUp() public {
        factory = UniswapV3.deployFactory();
    }

    function sqrtPrice(
        int24 tick
    ) external pure returns (uint160) {
        return TickMath.sqrtPriceX96(tick);
    }

    /// @dev A pool initialised with a price computes the tick of it: the greatest tick whose price is not above.
    function _tickOf(
        uint160 price
    ) private returns (int24 tick) {
        TestToken a = new TestToken("A", "A", 18);
        TestToken b = new TestToken("B", "B", 18);
        IUniswapV3Pool pool = IUniswapV3Pool(factory.createPool(address(a), address(b), 3000));
        pool.initialize(price);
        (, tick,,,,,) = pool.slot0();
    }

    /// forge-config: deep.fuzz.runs = 5000
    function testFuzz_priceIsTheLeastWithItsTickInARealPool(
        int256 seed
    ) public {
        int24 tick = int24(bound(seed, -887_271, 887_271));
        uint160 price = TickMath.sqrtPriceX96(tick);
        vm.assertEq(_tickOf(price), tick, "tick of the price");
        vm.assertEq(_tickOf(price - 1), tick - 1, "tick of the price below");
    }

    function test_extremePricesAreUniswaps() public pure {
        vm.assertEq(TickMath.sqrtPriceX96(-887_272), uint256(4295128739), "least");
        vm.assertEq(
            TickMath.sqrtPriceX96(887_272), uint256(1461446703485210103287273052203988822378723970342), "greatest"
        );
        vm.assertEq(TickMath.sqrtPriceX96(0), uint256(1 << 96), "one");
    }

    function test_RevertWhen_tickIsOutOfRange() public {
        vm.expectRevert(abi.encodeWithSelector(TickMath.TickOutOfRange.selector, int24(887_273)));
        this.sqrtPrice(887_273);
        vm.expectRevert(abi.encodeWithSelector(TickMath.TickOutOfRange.selector, int24(-887_273)));
        this.sqrtPrice(-887_273);
    }

    function testFuzz_valueThereAndBackLosesNoMoreThanRounding(
        int256 tickSeed,
        uint256 amountSeed
    ) public pure {
        int24 tick = int24(bound(tickSeed, -300_000, 300_000));
        uint256 amount = bound(amountSeed, 1e20, 1e30);
        uint256 there = TickMath.valueAt(tick, amount, true);
        vm.assume(there > 1e12);
        uint256 back = TickMath.valueAt(tick, there, false);
        vm.assertLe(back, amount, "rounded down");
        vm.assertApproxEqRel(back, amount, 1e7, "there and back");
    }

    function test_valueAtHighTicksIsRightToTwelveDigits() public pure {
        // The branch for prices above 2^128 must agree with the exact one at its edge.
        uint256 below = TickMath.valueAt(443_636, 1e18, true);
        uint256 above = TickMath.valueAt(443_637, 1e18, true);
        vm.assertApproxEqRel(above, below * 10_001 / 10_000, 1e9, "continuous over the edge");
    }
}
