// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IUniswapV3Pool} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Pool.sol";
import {IUniswapV3SwapCallback} from "@uniswap/v3-core/contracts/interfaces/callback/IUniswapV3SwapCallback.sol";

import {IRebalancingVault} from "../interfaces/IRebalancingVault.sol";
import {PoolOracle} from "../libraries/PoolOracle.sol";
import {TickMath} from "../libraries/TickMath.sol";

/// @title Prices and trades in one Uniswap v3 pool
/// @notice Values the risk token at the pool's TWAP and swaps with the pool directly, with a price limit and a
/// minimum output that are both anchored to the TWAP.
abstract contract PoolTrader is IUniswapV3SwapCallback {
    using SafeCast for uint256;
    using SafeCast for int256;
    using SafeERC20 for IERC20;

    /// @dev The pool's ticks that the vault goes by. `low` and `high` are the extremes of the TWAP, the present price and
    /// the price that stood in the second before this one: a swap can take the present price anywhere and back within
    /// a transaction, but the second that has passed stays as it was.
    struct Ticks {
        int24 twap;
        int24 low;
        int24 high;
    }

    /// @dev Longest TWAP; a longer one is a mistake in units.
    uint32 private constant MAX_TWAP_SECONDS = 7 days;

    /// @dev A hundredth of a percent, the unit of `Bps`, is 100 of a pool's fee units.
    uint24 private constant FEE_UNITS_PER_BPS = 100;

    uint256 internal constant BPS = 10_000;

    IUniswapV3Pool internal immutable _POOL;
    IERC20 internal immutable _BASE;
    IERC20 internal immutable _RISK;
    bool private immutable _RISK_IS_TOKEN0;

    /// @dev The pool's fee in Bps, rounded up.
    uint256 internal immutable _FEE_BPS;

    uint32 internal immutable _TWAP_SECONDS;

    /// @dev Set only while this contract is swapping, so that a callback at any other time is refused.
    bool private transient _swapping;

    constructor(
        IUniswapV3Pool pool,
        IERC20 base,
        uint32 twapSeconds
    ) {
        bool baseIsToken0 = pool.token0() == address(base);
        if (!baseIsToken0 && pool.token1() != address(base)) revert IRebalancingVault.PoolTokensMismatch();
        if (twapSeconds == 0 || twapSeconds > MAX_TWAP_SECONDS) revert IRebalancingVault.RailOutOfRange("twapSeconds");
        _POOL = pool;
        _BASE = base;
        _RISK = IERC20(baseIsToken0 ? pool.token1() : pool.token0());
        _RISK_IS_TOKEN0 = !baseIsToken0;
        _FEE_BPS = (uint256(pool.fee()) + FEE_UNITS_PER_BPS - 1) / FEE_UNITS_PER_BPS;
        _TWAP_SECONDS = twapSeconds;
    }

    /// @inheritdoc IUniswapV3SwapCallback
    function uniswapV3SwapCallback(
        int256 amount0Delta,
        int256 amount1Delta,
        bytes calldata
    ) external {
        if (!_swapping || msg.sender != address(_POOL)) revert IRebalancingVault.UnexpectedCallback(msg.sender);
        // One delta is what the pool is owed, the other what it paid.
        bool owesToken0 = amount0Delta > 0;
        IERC20 owed = owesToken0 == _RISK_IS_TOKEN0 ? _RISK : _BASE;
        owed.safeTransfer(msg.sender, (owesToken0 ? amount0Delta : amount1Delta).toUint256());
    }

    /// @dev Swaps up to `amountIn`. The swap stops early where going on would cost more than the slippage limit.
    /// @return paid What was paid of the token sold.
    /// @return received What came out of the token bought.
    function _swap(
        bool buysRisk,
        uint256 amountIn,
        Ticks memory ticks,
        uint256 slippageBps
    ) internal returns (uint256 paid, uint256 received) {
        bool zeroForOne = buysRisk != _RISK_IS_TOKEN0;
        uint160 limit = TickMath.sqrtPriceX96(_limitTick(zeroForOne, ticks, slippageBps));

        _swapping = true;
        (int256 delta0, int256 delta1) = _POOL.swap(address(this), zeroForOne, amountIn.toInt256(), limit, "");
        _swapping = false;

        (int256 deltaIn, int256 deltaOut) = zeroForOne ? (delta0, delta1) : (delta1, delta0);
        paid = deltaIn.toUint256();
        received = (-deltaOut).toUint256();
        uint256 fair = TickMath.valueAt(ticks.twap, paid, zeroForOne);
        uint256 minimum = fair * (BPS - slippageBps) / BPS;
        if (received < minimum) revert IRebalancingVault.MinimumOutputMissed(received, minimum);
    }

    /// @dev Where a swap stops. Reverts where the market is too far from the TWAP for one.
    function _limitTick(
        bool zeroForOne,
        Ticks memory ticks,
        uint256 slippageBps
    ) private view returns (int24) {
        // A tick is a basis point. The fee is paid on top of the price, so it takes its part of the limit.
        int24 reach = (slippageBps - _FEE_BPS).toInt256().toInt24();
        // Half of the way stays for the trade: whoever pushed the price up to the limit could otherwise spend the proof
        // on a trade of nothing. On the cheap side too: the amount was reckoned at the TWAP and would move the weight
        // too far.
        (uint256 deviation, int24 furthest) = _deviation(ticks);
        if (deviation >= uint24(reach / 2)) revert IRebalancingVault.PriceOutsideRails(furthest, ticks.twap);
        return zeroForOne ? ticks.twap - reach : ticks.twap + reach;
    }

    /// @dev Base value of an amount of risk token, rounded down.
    function _riskToBase(
        int24 tick,
        uint256 amount
    ) internal view returns (uint256) {
        return TickMath.valueAt(tick, amount, _RISK_IS_TOKEN0);
    }

    /// @dev Risk tokens that an amount of base token is worth, rounded down.
    function _baseToRisk(
        int24 tick,
        uint256 amount
    ) internal view returns (uint256) {
        return TickMath.valueAt(tick, amount, !_RISK_IS_TOKEN0);
    }

    /// @dev The tick at which the risk token is dearest.
    function _dearest(
        Ticks memory ticks
    ) internal view returns (int24) {
        return _RISK_IS_TOKEN0 ? ticks.high : ticks.low;
    }

    /// @dev The tick at which the risk token is cheapest.
    function _cheapest(
        Ticks memory ticks
    ) internal view returns (int24) {
        return _RISK_IS_TOKEN0 ? ticks.low : ticks.high;
    }

    /// @dev Largest distance of a price from the TWAP (ticks), and the tick of that price.
    function _deviation(
        Ticks memory ticks
    ) internal pure returns (uint256 distance, int24 furthest) {
        (int256 below, int256 above) = (int256(ticks.twap) - ticks.low, int256(ticks.high) - ticks.twap);
        return below > above ? (below.toUint256(), ticks.low) : (above.toUint256(), ticks.high);
    }

    /// @dev Reverts where the oracle does not reach back over the TWAP's length.
    function _ticks() internal view returns (Ticks memory ticks) {
        bool readable;
        (readable, ticks) = _tryTicks();
        if (!readable) revert IRebalancingVault.OracleNotReady();
    }

    function _tryTicks() internal view returns (bool readable, Ticks memory ticks) {
        uint32[] memory secondsAgos = new uint32[](3);
        (secondsAgos[0], secondsAgos[1]) = (_TWAP_SECONDS, 1);
        int56[] memory cumulatives;
        (readable, cumulatives) = PoolOracle.tryCumulatives(_POOL, secondsAgos);
        if (!readable) return (false, ticks);
        (, int24 spot,,,,,) = _POOL.slot0();
        int24 lastSecond = PoolOracle.meanTick(cumulatives[1], cumulatives[2], 1);
        ticks.twap = PoolOracle.meanTick(cumulatives[0], cumulatives[2], _TWAP_SECONDS);
        ticks.low = _min(ticks.twap, _min(spot, lastSecond));
        ticks.high = _max(ticks.twap, _max(spot, lastSecond));
    }

    function _min(
        int24 a,
        int24 b
    ) private pure returns (int24) {
        return a < b ? a : b;
    }

    function _max(
        int24 a,
        int24 b
    ) private pure returns (int24) {
        return a > b ? a : b;
    }
}
