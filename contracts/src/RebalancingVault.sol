// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ERC20, IERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IUniswapV3Pool} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Pool.sol";

import {InferenceGate} from "./InferenceGate.sol";
import {IInferenceGate} from "./interfaces/IInferenceGate.sol";
import {IRebalancingVault} from "./interfaces/IRebalancingVault.sol";
import {Epoch} from "./types/Epoch.sol";
import {ModelVersion} from "./types/ModelVersion.sol";
import {OutputSchema} from "./types/OutputSchema.sol";
import {Rails} from "./types/Rails.sol";
import {PoolTrader} from "./vault/PoolTrader.sol";
import {RailGuard} from "./vault/RailGuard.sol";
import {RiskTimelock} from "./vault/RiskTimelock.sol";

/// @title A vault that trades only on verified inferences
///
/// @notice SPECIFICATION
///
/// HOLDINGS
/// H1. The vault holds a base token, which is the ERC-4626 asset, and a risk token. Both are plain ERC-20 tokens that
///     make one Uniswap v3 pool; tokens that take fees on transfer or change balances by themselves are not supported.
/// H2. Total assets are the base tokens held plus the risk tokens held at the pool's TWAP.
/// H3. Tokens leave the vault only to the pool, in a swap that the vault itself began, and to those who redeem shares.
///
/// SHARES
/// S1. Deposits are in base tokens. A deposit is priced at the dearest, a redemption at the cheapest, of the TWAP, the
///     pool's present price of the risk token and the price that stood in the second before, and rounded in the vault's
///     favour: nobody gains from the distance between them, by swaps in the same transaction either. What the pool has
///     yet to learn the vault does not know: whoever moves the pool to a new price of the market may deposit just
///     before, and gains on the vault as arbitrage does on any liquidity.
/// S2. Deposits stop while the vault is paused, while the pool's oracle cannot be read, and while the present price or
///     that of the second before is further from the TWAP than the slippage limit.
/// S3. Redemption in base tokens is limited to the base tokens that the vault holds; the vault never trades for it.
/// S4. Redemption in kind pays a share's part of both tokens. It works in every state of the vault and needs no price,
///     no proof, no prover, no model, no guardian and no owner.
/// S5. Virtual shares make it unprofitable to inflate the price of a share before somebody's first deposit.
///
/// TRADING
/// T1. An inference is acted on only where the model version that the vault follows proves it for this chain, this
///     vault, the ring's recorded window and this action, and at most once. Anybody may submit it.
/// T2. The verified output is a target weight of the risk token in total assets, cut off at the weight cap.
/// T3. A rebalance moves the weight by the largest step at most, and not at all where the change is below the
///     hysteresis.
/// T4. Between two rebalances passes the cool-down.
/// T5. A trade stops where the marginal price, fee included, is further from the TWAP than the slippage limit, and
///     reverts where the whole is. Nothing is traded while the present price, or that of the second before, has half of
///     that way, fee aside, behind it, on either side: amounts are reckoned at the TWAP, and mean little where the
///     market is elsewhere.
/// T6. What trades lose against the TWAP is charged to a budget, a part of total assets, that refills over a day; a
///     trade that would exceed it reverts.
///
/// WHO MAY DO WHAT
/// W1. The guardian and the owner may pause, tighten rails and cancel what is scheduled, at once; but the owner alone
///     cancels the appointment of a guardian. They can loosen nothing at once, and no rails that they may
///     set leave a trade no room.
/// W2. Loosening rails, ending a pause, following another model version and appointing a guardian are scheduled by the
///     owner and happen after a delay during which depositors can leave; after a grace period they lapse. A pause or a
///     tightening voids looser rails and ends of a pause that were scheduled before it.
/// W3. While paused the vault accepts no inference and buys no risk.
/// W4. Where no inference was accepted for longer than the prover's deadline, anybody may move the vault towards its
///     default weight, under the rails T3 to T6.
/// W5. Where the weight is above the cap, anybody may move the vault towards the cap, under the rails T3 to T6.
/// W6. Nobody can take tokens out of the vault except by redeeming shares.
contract RebalancingVault is
    IRebalancingVault,
    ERC4626,
    InferenceGate,
    PoolTrader,
    RiskTimelock,
    Ownable2Step,
    ReentrancyGuardTransient
{
    using Math for uint256;
    using RailGuard for Rails;
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @notice What a vault is made of.
    struct VaultConfig {
        /// Name of the share token.
        string name;
        /// Symbol of the share token.
        string symbol;
        /// The base token.
        IERC20 base;
        /// The pool of the base token and the risk token.
        IUniswapV3Pool pool;
        /// Length of the TWAP that prices the vault (seconds).
        uint32 twapSeconds;
        /// Delay before a change that may raise risk (seconds).
        uint256 riskDelay;
        /// Schedules changes.
        address owner;
        /// Reduces risk.
        address guardian;
        /// Model to follow.
        uint256 modelId;
        /// Its version.
        ModelVersion version;
    }

    uint256 private constant WAD = RailGuard.WAD;

    /// @dev Virtual shares for each virtual unit of base: what a donation must outweigh (S5).
    uint8 private constant SHARE_DECIMALS_OFFSET = 6;

    /// @dev The part of a loss budget that `WAD` fractions of `Bps` are counted in.
    uint256 private constant WAD_PER_BPS = WAD / BPS;

    /// @dev A loss budget refills in this time.
    uint256 private constant BUDGET_PERIOD = 1 days;

    Rails private _rails;
    address private _guardian;
    bool private _paused;
    uint64 private _lastRebalanceAt;
    uint64 private _lastVerifiedAt;
    // Part of the loss budget that is used, as of `_lossUpdatedAt`.
    uint128 private _lossUsedWad;
    uint64 private _lossUpdatedAt;

    /// @param config What the vault is made of.
    /// @param gateConfig What its gate is made of.
    /// @param initialRails The first rails.
    constructor(
        VaultConfig memory config,
        GateConfig memory gateConfig,
        Rails memory initialRails
    )
        ERC20(config.name, config.symbol)
        ERC4626(config.base)
        InferenceGate(gateConfig)
        PoolTrader(config.pool, config.base, config.twapSeconds)
        RiskTimelock(config.riskDelay)
        Ownable(config.owner)
    {
        address priced = gateConfig.ring.PRICED_TOKEN();
        if (priced != address(_RISK)) revert RingPricesAnotherToken(priced, address(_RISK));
        _lastVerifiedAt = block.timestamp.toUint64();
        _setGuardian(config.guardian);
        _setRails(initialRails);
        _follow(config.modelId, config.version);
    }

    // ------------------------------------------------------------------------------------------------ shares

    /// @inheritdoc IRebalancingVault
    function depositWithMinimum(
        uint256 assets,
        address receiver,
        uint256 minShares
    ) external returns (uint256 shares) {
        shares = deposit(assets, receiver);
        if (shares < minShares) revert BelowMinimum(shares, minShares);
    }

    /// @inheritdoc IRebalancingVault
    function redeemWithMinimum(
        uint256 shares,
        address receiver,
        address shareOwner,
        uint256 minAssets
    ) external returns (uint256 assets) {
        assets = redeem(shares, receiver, shareOwner);
        if (assets < minAssets) revert BelowMinimum(assets, minAssets);
    }

    /// @inheritdoc IRebalancingVault
    function redeemInKind(
        uint256 shares,
        address receiver,
        address shareOwner
    ) external nonReentrant returns (uint256 baseAmount, uint256 riskAmount) {
        if (msg.sender != shareOwner) _spendAllowance(shareOwner, msg.sender, shares);
        uint256 supply = totalSupply() + 10 ** SHARE_DECIMALS_OFFSET;
        baseAmount = _BASE.balanceOf(address(this)).mulDiv(shares, supply);
        riskAmount = _RISK.balanceOf(address(this)).mulDiv(shares, supply);
        _burn(shareOwner, shares);
        _BASE.safeTransfer(receiver, baseAmount);
        _RISK.safeTransfer(receiver, riskAmount);
        emit RedeemedInKind(msg.sender, receiver, shareOwner, shares, baseAmount, riskAmount);
    }

    /// @inheritdoc IERC4626
    /// @dev Reverts where the pool's oracle does not reach back over the TWAP's length.
    function totalAssets() public view override(ERC4626, IERC4626) returns (uint256) {
        return _totalAt(_ticks().twap);
    }

    /// @inheritdoc IERC4626
    function maxDeposit(
        address
    ) public view override(ERC4626, IERC4626) returns (uint256) {
        return _acceptsDeposits() ? type(uint256).max : 0;
    }

    /// @inheritdoc IERC4626
    function maxMint(
        address
    ) public view override(ERC4626, IERC4626) returns (uint256) {
        return _acceptsDeposits() ? type(uint256).max : 0;
    }

    /// @inheritdoc IERC4626
    function maxWithdraw(
        address shareOwner
    ) public view override(ERC4626, IERC4626) returns (uint256) {
        (bool readable, Ticks memory ticks) = _tryTicks();
        if (!readable) return 0;
        uint256 total = _totalAt(_cheapest(ticks));
        return _assetsFor(balanceOf(shareOwner), total, Math.Rounding.Floor).min(_BASE.balanceOf(address(this)));
    }

    /// @inheritdoc IERC4626
    function maxRedeem(
        address shareOwner
    ) public view override(ERC4626, IERC4626) returns (uint256) {
        (bool readable, Ticks memory ticks) = _tryTicks();
        if (!readable) return 0;
        uint256 total = _totalAt(_cheapest(ticks));
        return _sharesFor(_BASE.balanceOf(address(this)), total, Math.Rounding.Floor).min(balanceOf(shareOwner));
    }

    /// @inheritdoc IERC4626
    function previewDeposit(
        uint256 assets
    ) public view override(ERC4626, IERC4626) returns (uint256) {
        return _sharesFor(assets, _totalAt(_dearest(_ticks())), Math.Rounding.Floor);
    }

    /// @inheritdoc IERC4626
    function previewMint(
        uint256 shares
    ) public view override(ERC4626, IERC4626) returns (uint256) {
        return _assetsFor(shares, _totalAt(_dearest(_ticks())), Math.Rounding.Ceil);
    }

    /// @inheritdoc IERC4626
    function previewWithdraw(
        uint256 assets
    ) public view override(ERC4626, IERC4626) returns (uint256) {
        return _sharesFor(assets, _totalAt(_cheapest(_ticks())), Math.Rounding.Ceil);
    }

    /// @inheritdoc IERC4626
    function previewRedeem(
        uint256 shares
    ) public view override(ERC4626, IERC4626) returns (uint256) {
        return _assetsFor(shares, _totalAt(_cheapest(_ticks())), Math.Rounding.Floor);
    }

    // ----------------------------------------------------------------------------------------------- trading

    /// @inheritdoc IInferenceGate
    function submitInference(
        Epoch epoch,
        int256[] calldata outputs,
        bytes calldata proof
    ) public override(IInferenceGate, InferenceGate) nonReentrant {
        if (_paused) revert VaultPaused();
        super.submitInference(epoch, outputs, proof);
    }

    /// @inheritdoc IRebalancingVault
    function fallToDefault() external nonReentrant {
        uint256 deadFrom = uint256(_lastVerifiedAt) + _rails.proverDeadline;
        if (block.timestamp <= deadFrom) revert ProverAlive(deadFrom);
        _rebalance(Reason.DeadProver, _rails.defaultWeightWad);
    }

    /// @inheritdoc IRebalancingVault
    function trimToCap() external nonReentrant {
        uint256 weight = weightWad();
        if (weight <= _rails.weightCapWad) revert WeightWithinCap(weight, _rails.weightCapWad);
        _rebalance(Reason.Trim, _rails.weightCapWad);
    }

    // ------------------------------------------------------------------------------------- guardian and owner

    /// @inheritdoc IRebalancingVault
    function pause() external {
        _requireGuardian();
        if (_paused) revert VaultPaused();
        _paused = true;
        _overrule();
        emit Paused(msg.sender);
    }

    /// @inheritdoc IRebalancingVault
    function tightenRails(
        Rails calldata rails_
    ) external {
        _requireGuardian();
        RailGuard.checkTighter(_rails, rails_);
        _setRails(rails_);
        _overrule();
    }

    /// @inheritdoc IRebalancingVault
    function unpause() external afterDelay {
        if (!_paused) revert VaultNotPaused();
        _paused = false;
        emit Unpaused();
    }

    /// @inheritdoc IRebalancingVault
    function setRails(
        Rails calldata rails_
    ) external afterDelay {
        _setRails(rails_);
    }

    /// @inheritdoc IRebalancingVault
    function setModel(
        uint256 modelId,
        ModelVersion version
    ) external afterDelay {
        _follow(modelId, version);
    }

    /// @inheritdoc IRebalancingVault
    function setGuardian(
        address guardian_
    ) external afterDelay {
        _setGuardian(guardian_);
    }

    // ------------------------------------------------------------------------------------------------- reads

    /// @inheritdoc IRebalancingVault
    function rails() external view returns (Rails memory) {
        return _rails;
    }

    /// @inheritdoc IRebalancingVault
    function guardian() external view returns (address) {
        return _guardian;
    }

    /// @inheritdoc IRebalancingVault
    function paused() external view returns (bool) {
        return _paused;
    }

    /// @inheritdoc IRebalancingVault
    function weightWad() public view returns (uint256) {
        return _weightAt(_ticks().twap);
    }

    /// @inheritdoc IRebalancingVault
    function lossBudgetLeftWad() public view returns (uint256) {
        uint256 budget = _rails.lossBudgetBps * WAD_PER_BPS;
        return budget.saturatingSub(_lossNow(budget));
    }

    /// @inheritdoc IRebalancingVault
    function lastRebalanceAt() external view returns (uint256) {
        return _lastRebalanceAt;
    }

    /// @inheritdoc IRebalancingVault
    function lastVerifiedAt() external view returns (uint256) {
        return _lastVerifiedAt;
    }

    /// @inheritdoc IRebalancingVault
    function RISK_ASSET() external view returns (address) {
        return address(_RISK);
    }

    /// @inheritdoc IRebalancingVault
    function POOL() external view returns (address) {
        return address(_POOL);
    }

    /// @inheritdoc IRebalancingVault
    function TWAP_SECONDS() external view returns (uint32) {
        return _TWAP_SECONDS;
    }

    // ----------------------------------------------------------------------------------- internals: trading

    function _onVerified(
        Epoch,
        OutputSchema memory schema,
        int256[] calldata outputs
    ) internal override {
        _lastVerifiedAt = block.timestamp.toUint64();
        // `_follow` let in only schemas with values from 0 to 2^exponent.
        uint256 target = (SafeCast.toUint256(outputs[0]) * WAD) >> SafeCast.toUint256(schema.exponent);
        _rebalance(Reason.Inference, target);
    }

    function _rebalance(
        Reason reason,
        uint256 targetWad
    ) private {
        Rails memory r = _rails;
        targetWad = targetWad.min(r.weightCapWad);
        Ticks memory ticks = _ticks();
        uint256 total = _totalAt(ticks.twap);
        uint256 weight = _weightAt(ticks.twap);
        bool buysRisk = targetWad > weight;
        uint256 change = buysRisk ? targetWad - weight : weight - targetWad;
        uint256 amountIn = _amountFor(buysRisk, total.mulDiv(change.min(r.maxStepWad), WAD), ticks.twap);
        if (amountIn == 0 || change < r.hysteresisWad) {
            emit Held(reason, weight, targetWad);
            return;
        }
        if (buysRisk && _paused) revert VaultPaused();
        uint256 readyAt = uint256(_lastRebalanceAt) + r.cooldown;
        if (_lastRebalanceAt != 0 && block.timestamp < readyAt) revert CoolingDown(readyAt);
        _lastRebalanceAt = block.timestamp.toUint64();

        (uint256 paid, uint256 received) = _swap(buysRisk, amountIn, ticks, r.slippageBps);
        uint256 loss = buysRisk
            ? paid.saturatingSub(_riskToBase(ticks.twap, received))
            : _riskToBase(ticks.twap, paid).saturatingSub(received);
        _chargeLoss(loss.mulDiv(WAD, total, Math.Rounding.Ceil));
        // A swap moves the TWAP from the next second on.
        emit Rebalanced(reason, buysRisk, weight, _weightAt(ticks.twap), paid, received, loss);
    }

    /// @dev What to sell for a trade of a base value, of what is held.
    function _amountFor(
        bool buysRisk,
        uint256 baseValue,
        int24 twapTick
    ) private view returns (uint256) {
        if (buysRisk) return baseValue.min(_BASE.balanceOf(address(this)));
        return _baseToRisk(twapTick, baseValue).min(_RISK.balanceOf(address(this)));
    }

    function _chargeLoss(
        uint256 lossWad
    ) private {
        uint256 left = lossBudgetLeftWad();
        if (lossWad > left) revert LossBudgetExceeded(lossWad, left);
        uint256 budget = _rails.lossBudgetBps * WAD_PER_BPS;
        _lossUsedWad = (_lossNow(budget) + lossWad).toUint128();
        _lossUpdatedAt = block.timestamp.toUint64();
    }

    /// @dev The used part of the budget now: what was used, less what has come back since.
    function _lossNow(
        uint256 budget
    ) private view returns (uint256) {
        uint256 refilled = budget * (block.timestamp - _lossUpdatedAt) / BUDGET_PERIOD;
        return uint256(_lossUsedWad).saturatingSub(refilled);
    }

    // ------------------------------------------------------------------------------------ internals: shares

    /// @dev The base class takes and gives base tokens and shares; the guard keeps a token with hooks from entering
    /// twice.
    function _deposit(
        address caller,
        address receiver,
        uint256 assets,
        uint256 shares
    ) internal override nonReentrant {
        super._deposit(caller, receiver, assets, shares);
    }

    function _withdraw(
        address caller,
        address receiver,
        address shareOwner,
        uint256 assets,
        uint256 shares
    ) internal override nonReentrant {
        super._withdraw(caller, receiver, shareOwner, assets, shares);
    }

    function _acceptsDeposits() private view returns (bool) {
        if (_paused) return false;
        (bool readable, Ticks memory ticks) = _tryTicks();
        if (!readable) return false;
        (uint256 deviation,) = _deviation(ticks);
        return deviation <= _rails.slippageBps;
    }

    function _riskValueAt(
        int24 tick
    ) private view returns (uint256) {
        return _riskToBase(tick, _RISK.balanceOf(address(this)));
    }

    function _totalAt(
        int24 tick
    ) private view returns (uint256) {
        return _BASE.balanceOf(address(this)) + _riskValueAt(tick);
    }

    /// @dev The risk asset's part of total assets, a fraction of 1e18.
    function _weightAt(
        int24 tick
    ) private view returns (uint256) {
        uint256 total = _totalAt(tick);
        return total == 0 ? 0 : _riskValueAt(tick).mulDiv(WAD, total);
    }

    function _sharesFor(
        uint256 assets,
        uint256 total,
        Math.Rounding rounding
    ) private view returns (uint256) {
        return assets.mulDiv(totalSupply() + 10 ** SHARE_DECIMALS_OFFSET, total + 1, rounding);
    }

    function _assetsFor(
        uint256 shares,
        uint256 total,
        Math.Rounding rounding
    ) private view returns (uint256) {
        return shares.mulDiv(total + 1, totalSupply() + 10 ** SHARE_DECIMALS_OFFSET, rounding);
    }

    function _decimalsOffset() internal pure override returns (uint8) {
        return SHARE_DECIMALS_OFFSET;
    }

    // ---------------------------------------------------------------------------------- internals: settings

    function _follow(
        uint256 modelId,
        ModelVersion version
    ) private {
        OutputSchema memory schema = _pinModel(modelId, version);
        bool isWeight = schema.count == 1 && schema.exponent >= 0 && schema.exponent < 32 && schema.minimum >= 0
            && schema.maximum <= SafeCast.toInt256(2 ** SafeCast.toUint256(schema.exponent));
        if (!isWeight) revert NotAWeightModel(modelId, version);
    }

    function _setRails(
        Rails memory rails_
    ) private {
        rails_.check(_FEE_BPS);
        _rails = rails_;
        emit RailsSet(rails_);
    }

    function _setGuardian(
        address guardian_
    ) private {
        _guardian = guardian_;
        emit GuardianSet(guardian_);
    }

    function _requireGuardian() private view {
        if (msg.sender != _guardian && msg.sender != owner()) revert NotGuardian(msg.sender);
    }

    function _requireScheduler() internal view override {
        _checkOwner();
    }

    function _requireCanceller(
        bytes4 selector
    ) internal view override {
        // A guardian who could cancel this would stay for good.
        if (selector == this.setGuardian.selector) _checkOwner();
        else _requireGuardian();
    }

    function _argumentsOf(
        bytes4 selector
    ) internal pure override returns (bool known, uint256 length) {
        if (selector == this.unpause.selector) return (true, 0);
        if (selector == this.setRails.selector) return (true, 8 * 32);
        if (selector == this.setModel.selector) return (true, 2 * 32);
        if (selector == this.setGuardian.selector) return (true, 32);
        return (false, 0);
    }

    function _isOverruled(
        bytes4 selector
    ) internal pure override returns (bool) {
        return selector == this.unpause.selector || selector == this.setRails.selector;
    }
}
