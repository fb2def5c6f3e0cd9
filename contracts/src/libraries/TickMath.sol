// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {SignedMath} from "@openzeppelin/contracts/utils/math/SignedMath.sol";

/// @title Prices of Uniswap v3 ticks
/// @notice A tick `t` stands for the price `1.0001^t` of token0 in token1, both in their smallest units.
library TickMath {
    /// @dev Largest tick of a pool, and the negative of the smallest.
    uint24 internal constant MAX_TICK = 887272;

    /// @notice The tick is not one that a pool can have.
    error TickOutOfRange(int24 tick);

    /// @notice `sqrt(1.0001^tick)` as a 64.96-bit fixed-point number, exactly as a pool computes it.
    /// @dev Binary exponentiation: factor `i` is `2^128 / sqrt(1.0001)^(2^i)`, rounded as Uniswap v3 rounds it, since
    /// a price limit that differed from the pool's by one unit would be another price.
    function sqrtPriceX96(
        int24 tick
    ) internal pure returns (uint160) {
        uint256 magnitude = SignedMath.abs(tick);
        if (magnitude > MAX_TICK) revert TickOutOfRange(tick);

        uint256 ratio = magnitude & 0x1 != 0 ? 0xfffcb933bd6fad37aa2d162d1a594001 : 1 << 128;
        if (magnitude & 0x2 != 0) ratio = (ratio * 0xfff97272373d413259a46990580e213a) >> 128;
        if (magnitude & 0x4 != 0) ratio = (ratio * 0xfff2e50f5f656932ef12357cf3c7fdcc) >> 128;
        if (magnitude & 0x8 != 0) ratio = (ratio * 0xffe5caca7e10e4e61c3624eaa0941cd0) >> 128;
        if (magnitude & 0x10 != 0) ratio = (ratio * 0xffcb9843d60f6159c9db58835c926644) >> 128;
        if (magnitude & 0x20 != 0) ratio = (ratio * 0xff973b41fa98c081472e6896dfb254c0) >> 128;
        if (magnitude & 0x40 != 0) ratio = (ratio * 0xff2ea16466c96a3843ec78b326b52861) >> 128;
        if (magnitude & 0x80 != 0) ratio = (ratio * 0xfe5dee046a99a2a811c461f1969c3053) >> 128;
        if (magnitude & 0x100 != 0) ratio = (ratio * 0xfcbe86c7900a88aedcffc83b479aa3a4) >> 128;
        if (magnitude & 0x200 != 0) ratio = (ratio * 0xf987a7253ac413176f2b074cf7815e54) >> 128;
        if (magnitude & 0x400 != 0) ratio = (ratio * 0xf3392b0822b70005940c7a398e4b70f3) >> 128;
        if (magnitude & 0x800 != 0) ratio = (ratio * 0xe7159475a2c29b7443b29c7fa6e889d9) >> 128;
        if (magnitude & 0x1000 != 0) ratio = (ratio * 0xd097f3bdfd2022b8845ad8f792aa5825) >> 128;
        if (magnitude & 0x2000 != 0) ratio = (ratio * 0xa9f746462d870fdf8a65dc1f90e061e5) >> 128;
        if (magnitude & 0x4000 != 0) ratio = (ratio * 0x70d869a156d2a1b890bb3df62baf32f7) >> 128;
        if (magnitude & 0x8000 != 0) ratio = (ratio * 0x31be135f97d08fd981231505542fcfa6) >> 128;
        if (magnitude & 0x10000 != 0) ratio = (ratio * 0x9aa508b5b7a84e1c677de54f3e99bc9) >> 128;
        if (magnitude & 0x20000 != 0) ratio = (ratio * 0x5d6af8dedb81196699c329225ee604) >> 128;
        if (magnitude & 0x40000 != 0) ratio = (ratio * 0x2216e584f5fa1ea926041bedfe98) >> 128;
        if (magnitude & 0x80000 != 0) ratio = (ratio * 0x48a170391f7dc42444e8fa2) >> 128;
        if (tick > 0) ratio = type(uint256).max / ratio;

        // From 128.128 to 64.96, rounded up, so that the tick of the result is `tick` again.
        return SafeCast.toUint160(Math.ceilDiv(ratio, 1 << 32));
    }

    /// @notice What `amount` of one token is worth in the other at a tick, rounded down.
    /// @param tick The pool's tick.
    /// @param amount Amount of the given token, in its smallest unit.
    /// @param ofToken0 Whether the given token is the pool's token0.
    function valueAt(
        int24 tick,
        uint256 amount,
        bool ofToken0
    ) internal pure returns (uint256) {
        uint256 sqrtPrice = sqrtPriceX96(tick);
        // The square of a price above 2^128 does not fit 256 bits: there, 64 bits are dropped first.
        if (sqrtPrice <= type(uint128).max) {
            uint256 price = sqrtPrice * sqrtPrice;
            return ofToken0 ? Math.mulDiv(price, amount, 1 << 192) : Math.mulDiv(1 << 192, amount, price);
        }
        uint256 coarse = Math.mulDiv(sqrtPrice, sqrtPrice, 1 << 64);
        return ofToken0 ? Math.mulDiv(coarse, amount, 1 << 128) : Math.mulDiv(1 << 128, amount, coarse);
    }
}
