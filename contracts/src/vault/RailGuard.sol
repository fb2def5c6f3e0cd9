// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IRebalancingVault} from "../interfaces/IRebalancingVault.sol";
import {Rails} from "../types/Rails.sol";

/// @title Which rails are sound, and which are tighter than others
library RailGuard {
    uint256 internal constant WAD = 1e18;

    /// @dev Below this step a vault needs too many trades to reach safety.
    uint256 private constant MIN_STEP_WAD = 0.01e18;

    /// @dev Above this hysteresis or these times, a vault hardly follows its model: a guardian who may only tighten
    /// must not be able to hold a vault in its present allocation.
    uint256 private constant MAX_HYSTERESIS_WAD = 0.1e18;
    uint256 private constant MAX_COOLDOWN = 7 days;
    uint256 private constant MAX_PROVER_DEADLINE = 365 days;

    /// @dev Above this a TWAP anchor protects nobody.
    uint256 private constant MAX_SLIPPAGE_BPS = 1_000;

    /// @dev What the slippage limit leaves above the pool's fee: with less, next to nothing is ever traded.
    uint256 private constant MIN_REACH_BPS = 20;

    uint256 private constant MIN_LOSS_BUDGET_BPS = 10;
    uint256 private constant MAX_LOSS_BUDGET_BPS = 1_000;

    /// @notice Reverts where a field is out of range.
    /// @param r The rails.
    /// @param feeBps The pool's fee, which every trade pays out of the slippage limit.
    function check(
        Rails memory r,
        uint256 feeBps
    ) internal pure {
        _require(r.weightCapWad <= WAD, "weightCapWad");
        _require(r.defaultWeightWad <= WAD, "defaultWeightWad");
        _require(r.maxStepWad >= MIN_STEP_WAD && r.maxStepWad <= WAD, "maxStepWad");
        _require(r.hysteresisWad <= MAX_HYSTERESIS_WAD, "hysteresisWad");
        _require(r.cooldown <= MAX_COOLDOWN, "cooldown");
        _require(r.proverDeadline != 0 && r.proverDeadline <= MAX_PROVER_DEADLINE, "proverDeadline");
        _require(r.slippageBps >= feeBps + MIN_REACH_BPS && r.slippageBps <= MAX_SLIPPAGE_BPS, "slippageBps");
        _require(r.lossBudgetBps >= MIN_LOSS_BUDGET_BPS && r.lossBudgetBps <= MAX_LOSS_BUDGET_BPS, "lossBudgetBps");
        // A whole budget pays for the largest step at the worst price, or that step could never be made.
        _require(r.lossBudgetBps * WAD >= uint256(r.maxStepWad) * r.slippageBps, "lossBudgetBps");
    }

    /// @notice Reverts where a field of `b` is looser than the same field of `a`.
    function checkTighter(
        Rails memory a,
        Rails memory b
    ) internal pure {
        _requireTighter(b.weightCapWad <= a.weightCapWad, "weightCapWad");
        _requireTighter(b.maxStepWad <= a.maxStepWad, "maxStepWad");
        _requireTighter(b.hysteresisWad >= a.hysteresisWad, "hysteresisWad");
        _requireTighter(b.defaultWeightWad <= a.defaultWeightWad, "defaultWeightWad");
        _requireTighter(b.cooldown >= a.cooldown, "cooldown");
        // Neither direction is plainly safer: sooner means more moves to the default, later fewer.
        _requireTighter(b.proverDeadline == a.proverDeadline, "proverDeadline");
        _requireTighter(b.slippageBps <= a.slippageBps, "slippageBps");
        _requireTighter(b.lossBudgetBps <= a.lossBudgetBps, "lossBudgetBps");
    }

    function _require(
        bool inRange,
        bytes32 field
    ) private pure {
        if (!inRange) revert IRebalancingVault.RailOutOfRange(field);
    }

    function _requireTighter(
        bool tighter,
        bytes32 field
    ) private pure {
        if (!tighter) revert IRebalancingVault.RailLoosened(field);
    }
}
