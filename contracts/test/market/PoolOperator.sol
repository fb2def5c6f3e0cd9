// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IUniswapV3Pool} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Pool.sol";

import {TickMath} from "src/libraries/TickMath.sol";

/// @notice Adds liquidity to Uniswap v3 pools and swaps in them, for markets on development chains and in tests. The
/// caller pays and must have approved; any contract that calls back is taken for a pool, so approve nothing of worth.
contract PoolOperator {
    using SafeERC20 for IERC20;

    /// @notice Adds liquidity between two ticks; the caller pays and the operator owns the position for good.
    function addLiquidity(
        IUniswapV3Pool pool,
        int24 lower,
        int24 upper,
        uint128 liquidity
    ) external returns (uint256 amount0, uint256 amount1) {
        return pool.mint(address(this), lower, upper, liquidity, abi.encode(pool, msg.sender));
    }

    /// @notice Swaps until the pool is at `tick`, where liquidity allows.
    function moveTo(
        IUniswapV3Pool pool,
        int24 tick
    ) external {
        (uint160 price,,,,,,) = pool.slot0();
        // Just above the tick's least price: a pool that falls to that very price may count it to the tick below.
        uint160 target = TickMath.sqrtPriceX96(tick) + 1;
        if (target == price) return;
        pool.swap(msg.sender, target < price, type(int128).max, target, abi.encode(pool, msg.sender));
    }

    /// @notice Sells exactly `amountIn` of token0 or token1.
    function sell(
        IUniswapV3Pool pool,
        bool token0,
        uint256 amountIn
    ) external returns (uint256 amountOut) {
        int24 end = int24(uint24(TickMath.MAX_TICK)) - 1;
        uint160 limit = TickMath.sqrtPriceX96(token0 ? -end : end);
        (int256 delta0, int256 delta1) =
            pool.swap(msg.sender, token0, int256(amountIn), limit, abi.encode(pool, msg.sender));
        return uint256(-(token0 ? delta1 : delta0));
    }

    function uniswapV3MintCallback(
        uint256 amount0,
        uint256 amount1,
        bytes calldata data
    ) external {
        _pay(amount0, amount1, data);
    }

    function uniswapV3SwapCallback(
        int256 delta0,
        int256 delta1,
        bytes calldata data
    ) external {
        _pay(delta0 > 0 ? uint256(delta0) : 0, delta1 > 0 ? uint256(delta1) : 0, data);
    }

    function _pay(
        uint256 amount0,
        uint256 amount1,
        bytes calldata data
    ) private {
        (IUniswapV3Pool pool, address payer) = abi.decode(data, (IUniswapV3Pool, address));
        require(msg.sender == address(pool), "not the pool");
        if (amount0 != 0) IERC20(pool.token0()).safeTransferFrom(payer, msg.sender, amount0);
        if (amount1 != 0) IERC20(pool.token1()).safeTransferFrom(payer, msg.sender, amount1);
    }
}
