// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IUniswapV3Pool} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Pool.sol";

/// @title Mean ticks from a Uniswap v3 pool's oracle
library PoolOracle {
    /// @notice The mean tick between two moments, rounded down.
    /// @param pool The pool.
    /// @param secondsAgoStart Start, in seconds before now.
    /// @param secondsAgoEnd End, in seconds before now, below the start.
    /// @return readable Whether the pool's oracle reaches back to the start.
    /// @return meanTick The mean; 0 where not readable.
    function tryMeanTick(
        IUniswapV3Pool pool,
        uint32 secondsAgoStart,
        uint32 secondsAgoEnd
    ) internal view returns (bool readable, int24 meanTick) {
        uint32[] memory secondsAgos = new uint32[](2);
        secondsAgos[0] = secondsAgoStart;
        secondsAgos[1] = secondsAgoEnd;
        try pool.observe(secondsAgos) returns (int56[] memory cumulatives, uint160[] memory) {
            int56 difference;
            // The accumulator is meant to wrap; differences stay right.
            unchecked {
                difference = cumulatives[1] - cumulatives[0];
            }
            int56 span = SafeCast.toInt56(int256(uint256(secondsAgoStart - secondsAgoEnd)));
            int56 mean = difference / span;
            if (difference < 0 && difference % span != 0) --mean;
            return (true, SafeCast.toInt24(mean));
        } catch {
            return (false, 0);
        }
    }
}
