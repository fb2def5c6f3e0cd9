// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";

import {ModelVersion} from "../types/ModelVersion.sol";
import {Rails} from "../types/Rails.sol";
import {IInferenceGate} from "./IInferenceGate.sol";

/// @title A vault that trades only on verified inferences
/// @notice See `RebalancingVault` for the specification.
interface IRebalancingVault is IERC4626, IInferenceGate {
    /// @notice Why the vault traded.
    enum Reason {
        /// A verified inference asked for the weight.
        Inference,
        /// The prover is dead; the vault moves to its default weight.
        DeadProver,
        /// The weight was above the cap.
        Trim
    }

    /// @notice The vault traded. Weights are fractions of 1e18 at the TWAP; amounts are in the tokens' units.
    event Rebalanced(
        Reason indexed reason,
        bool indexed buysRisk,
        uint256 weightBeforeWad,
        uint256 weightAfterWad,
        uint256 amountIn,
        uint256 amountOut,
        uint256 lossBase
    );

    /// @notice The vault had no reason to trade: the weight is within the hysteresis of the target.
    event Held(Reason indexed reason, uint256 weightWad, uint256 targetWad);

    /// @notice Shares were redeemed for both tokens.
    event RedeemedInKind(
        address indexed caller,
        address indexed receiver,
        address indexed owner,
        uint256 shares,
        uint256 baseAmount,
        uint256 riskAmount
    );

    /// @notice The rails are new.
    event RailsSet(Rails rails);

    /// @notice The vault was paused by the guardian or the owner.
    event Paused(address indexed by);

    /// @notice The vault works again.
    event Unpaused();

    /// @notice The guardian is another address.
    event GuardianSet(address indexed guardian);

    /// @notice The vault is paused.
    error VaultPaused();

    /// @notice The vault is not paused.
    error VaultNotPaused();

    /// @notice The last rebalance was too recent; the next may be at `readyAt` (seconds).
    error CoolingDown(uint256 readyAt);

    /// @notice The pool's price, or that of the second before, is at least half of the slippage limit less the pool's fee
    /// from the TWAP, on either side. `spotTick` is the further of the two.
    error PriceOutsideRails(int24 spotTick, int24 twapTick);

    /// @notice The trade gave less than the TWAP-anchored minimum.
    error MinimumOutputMissed(uint256 amountOut, uint256 minimum);

    /// @notice The trade would lose more than what is left of the day's budget. Fractions of 1e18.
    error LossBudgetExceeded(uint256 lossWad, uint256 leftWad);

    /// @notice The prover is not dead before `deadFrom` (seconds).
    error ProverAlive(uint256 deadFrom);

    /// @notice The weight is not above the cap.
    error WeightWithinCap(uint256 weightWad, uint256 capWad);

    /// @notice A field of the rails is out of range.
    error RailOutOfRange(bytes32 field);

    /// @notice The guardian may not loosen a field of the rails.
    error RailLoosened(bytes32 field);

    /// @notice The caller is neither guardian nor owner.
    error NotGuardian(address caller);

    /// @notice The pool called back outside a trade, or somebody else did.
    error UnexpectedCallback(address caller);

    /// @notice The pool does not trade the vault's two tokens.
    error PoolTokensMismatch();

    /// @notice The shares or amounts are less than the caller asked for.
    error BelowMinimum(uint256 got, uint256 minimum);

    /// @notice The pool's oracle does not reach back over the TWAP's length.
    error OracleNotReady();

    /// @notice The feature ring prices another token than the risk asset.
    error RingPricesAnotherToken(address priced, address risk);

    /// @notice The model's output is not one weight between 0 and 1.
    error NotAWeightModel(uint256 modelId, ModelVersion version);

    /// @notice Deposits as `deposit` does, and reverts where fewer than `minShares` shares come out.
    function depositWithMinimum(
        uint256 assets,
        address receiver,
        uint256 minShares
    ) external returns (uint256 shares);

    /// @notice Redeems as `redeem` does, and reverts where less than `minAssets` comes out.
    function redeemWithMinimum(
        uint256 shares,
        address receiver,
        address owner,
        uint256 minAssets
    ) external returns (uint256 assets);

    /// @notice Redeems shares for their part of both tokens. It needs no price, proof, model or guardian, and works
    /// in every state of the vault.
    /// @param shares Shares to burn.
    /// @param receiver Who gets the tokens.
    /// @param owner Whose shares they are.
    /// @return baseAmount Base tokens paid.
    /// @return riskAmount Risk tokens paid.
    function redeemInKind(
        uint256 shares,
        address receiver,
        address owner
    ) external returns (uint256 baseAmount, uint256 riskAmount);

    /// @notice Moves towards the default weight where the prover is dead. Anybody may call.
    function fallToDefault() external;

    /// @notice Sells risk where the weight is above the cap. Anybody may call.
    function trimToCap() external;

    /// @notice Stops inferences and deposits at once, and voids what was scheduled to end a pause or to set rails.
    /// Guardian or owner.
    function pause() external;

    /// @notice Ends a pause. Under the timelock.
    function unpause() external;

    /// @notice Sets rails of which none is looser than before, at once, and voids what was scheduled to end a pause or to
    /// set rails. Guardian or owner.
    function tightenRails(
        Rails calldata rails_
    ) external;

    /// @notice Sets any rails. Under the timelock.
    function setRails(
        Rails calldata rails_
    ) external;

    /// @notice Follows another model version. Under the timelock.
    function setModel(
        uint256 modelId,
        ModelVersion version
    ) external;

    /// @notice Appoints another guardian. Under the timelock.
    function setGuardian(
        address guardian_
    ) external;

    /// @notice The rails in force.
    function rails() external view returns (Rails memory);

    /// @notice The guardian.
    function guardian() external view returns (address);

    /// @notice Whether the vault is paused.
    function paused() external view returns (bool);

    /// @notice The risk asset's present part of total assets at the TWAP, a fraction of 1e18.
    function weightWad() external view returns (uint256);

    /// @notice What is left of the day's loss budget, a fraction of 1e18 of total assets.
    function lossBudgetLeftWad() external view returns (uint256);

    /// @notice When the vault last traded (seconds).
    function lastRebalanceAt() external view returns (uint256);

    /// @notice When an inference was last accepted (seconds); the deployment's time before the first.
    function lastVerifiedAt() external view returns (uint256);

    /// @notice The risk asset.
    function RISK_ASSET() external view returns (address);

    /// @notice The pool that the vault trades in and is priced by.
    function POOL() external view returns (address);

    /// @notice Length of the TWAP that prices the vault (seconds).
    function TWAP_SECONDS() external view returns (uint32);
}
