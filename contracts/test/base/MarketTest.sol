// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IUniswapV3Factory} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Factory.sol";
import {IUniswapV3Pool} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Pool.sol";

import {TickMath} from "src/libraries/TickMath.sol";

import {PoolOperator} from "../market/PoolOperator.sol";
import {TestToken} from "../market/TestToken.sol";
import {UniswapV3} from "../market/UniswapV3.sol";
import {TestBase} from "./TestBase.sol";
import {vm} from "./Vm.sol";

/// @notice A real Uniswap v3 pool of a base token of 6 and a risk token of 18 decimals, at about 2,000 to 1.
abstract contract MarketTest is TestBase {
    uint256 internal constant START = 1_800_000_000;
    uint24 internal constant FEE = 3000;
    int24 internal constant FULL_RANGE = 887_220;
    uint128 internal constant LIQUIDITY = 1e20;

    /// @dev Tick of the risk token's price in base units: 2,000 * 1e6 / 1e18.
    int24 internal constant START_TICK = -200_311;

    TestToken internal base;
    TestToken internal risk;
    IUniswapV3Pool internal pool;
    PoolOperator internal operator;
    bool internal riskIsToken0;

    function _deployMarket(
        bool riskFirst
    ) internal {
        vm.warp(START);
        base = new TestToken("Base", "BASE", 6);
        risk = new TestToken("Risk", "RISK", 18);
        // A pool orders its tokens by address; tests ask for either order.
        while ((address(risk) < address(base)) != riskFirst) {
            risk = new TestToken("Risk", "RISK", 18);
        }
        riskIsToken0 = riskFirst;
        IUniswapV3Factory factory = UniswapV3.deployFactory();
        pool = IUniswapV3Pool(factory.createPool(address(base), address(risk), FEE));
        pool.initialize(TickMath.sqrtPriceX96(_poolTick(START_TICK)));
        pool.increaseObservationCardinalityNext(400);

        operator = new PoolOperator();
        base.mint(address(this), 1e36);
        risk.mint(address(this), 1e36);
        base.approve(address(operator), type(uint256).max);
        risk.approve(address(operator), type(uint256).max);
        operator.addLiquidity(pool, -FULL_RANGE, FULL_RANGE, LIQUIDITY);
    }

    /// @dev The pool's tick for a tick of the risk token's price, and the other way round.
    function _poolTick(
        int24 priceTick
    ) internal view returns (int24) {
        return riskIsToken0 ? priceTick : -priceTick;
    }

    function _movePriceTo(
        int24 priceTick
    ) internal {
        operator.moveTo(pool, _poolTick(priceTick));
    }

    function _skip(
        uint256 seconds_
    ) internal {
        vm.warp(block.timestamp + seconds_);
    }

    /// @dev Lets `seconds_` pass at a price, so that a TWAP of that length is that price.
    function _settleAt(
        int24 priceTick,
        uint256 seconds_
    ) internal {
        _movePriceTo(priceTick);
        _skip(seconds_);
    }
}
