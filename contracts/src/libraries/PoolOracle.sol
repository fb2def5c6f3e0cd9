// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IUniswapV3Pool} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Pool.sol";

/// @title Mean ticks from a Uniswap v3 pool's oracle
library PoolOracle {
    /// @notice The pool's accumulated ticks at some moments.
    /// @param pool The pool.
    /// @param secondsAgos The moments, in seconds before now.
    /// @return readable Whether the pool's oracle reaches back to all of them.
    /// @return cumulatives Ticks times seconds, one for each moment; empty where not readable.
    function tryCumulatives(
        IUniswapV3Pool pool,
        uint32[] memory secondsAgos
    ) internal view returns (bool readable, int56[] memory cumulatives) {
        try pool.observe(secondsAgos) returns (int56[] memory found, uint160[] memory) {
            return (true, found);
        } catch {
            return (false, cumulatives);
        }
    }

    /// @notice The mean tick between two moments, rounded down.
    /// @param start Accumulated ticks at the earlier moment.
    /// @param end Accumulated ticks at the later moment.
    /// @param span Seconds between the two, above zero.
    function meanTick(
        int56 start,
        int56 end,
        uint256 span
    ) internal pure returns (int24) {
        int56 difference;
        // The accumulator is meant to wrap; differences stay right.
        unchecked {
            difference = end - start;
        }
        int56 length = SafeCast.toInt56(SafeCast.toInt256(span));
        int56 mean = difference / length;
        if (difference < 0 && difference % length != 0) --mean;
        return SafeCast.toInt24(mean);
    }
}
