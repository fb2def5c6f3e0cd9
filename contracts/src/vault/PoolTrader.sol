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
        int24 twapTick,
        uint256 slippageBps
    ) internal returns (uint256 paid, uint256 received) {
        bool zeroForOne = buysRisk != _RISK_IS_TOKEN0;
        // A tick is a basis point. The fee is paid on top of the price, so it takes its part of the limit.
        uint256 reach = slippageBps - _FEE_BPS;
        // On the cheap side too: the amount was reckoned at the TWAP and would move the weight too far.
        if (_deviation(twapTick) >= reach) revert IRebalancingVault.PriceOutsideRails(_spotTick(), twapTick);
        int24 signedReach = reach.toInt256().toInt24();
        int24 limitTick = zeroForOne ? twapTick - signedReach : twapTick + signedReach;

        _swapping = true;
        (int256 delta0, int256 delta1) =
            _POOL.swap(address(this), zeroForOne, amountIn.toInt256(), TickMath.sqrtPriceX96(limitTick), "");
        _swapping = false;

        (int256 deltaIn, int256 deltaOut) = zeroForOne ? (delta0, delta1) : (delta1, delta0);
        paid = deltaIn.toUint256();
        received = (-deltaOut).toUint256();
        uint256 fair = TickMath.valueAt(twapTick, paid, zeroForOne);
        uint256 minimum = fair * (BPS - slippageBps) / BPS;
        if (received < minimum) revert IRebalancingVault.MinimumOutputMissed(received, minimum);
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

    /// @dev The dearer for the risk token of the TWAP and the present price.
    function _dearerTick(
        int24 twapTick
    ) internal view returns (int24) {
        int24 spot = _spotTick();
        return (spot > twapTick) == _RISK_IS_TOKEN0 ? spot : twapTick;
    }

    /// @dev The cheaper for the risk token of the TWAP and the present price.
    function _cheaperTick(
        int24 twapTick
    ) internal view returns (int24) {
        int24 spot = _spotTick();
        return (spot > twapTick) == _RISK_IS_TOKEN0 ? twapTick : spot;
    }

    /// @dev Distance of the present price from the TWAP (ticks).
    function _deviation(
        int24 twapTick
    ) internal view returns (uint256) {
        int24 spot = _spotTick();
        return (spot > twapTick ? int256(spot) - twapTick : int256(twapTick) - spot).toUint256();
    }

    /// @dev The TWAP's tick; reverts where the oracle does not reach back.
    function _twapTick() internal view returns (int24 tick) {
        bool readable;
        (readable, tick) = _tryTwapTick();
        if (!readable) revert IRebalancingVault.OracleNotReady();
    }

    function _tryTwapTick() internal view returns (bool readable, int24 tick) {
        return PoolOracle.tryMeanTick(_POOL, _TWAP_SECONDS, 0);
    }

    function _spotTick() internal view returns (int24 tick) {
        (, tick,,,,,) = _POOL.slot0();
    }
}
