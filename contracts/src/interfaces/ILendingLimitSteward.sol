// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IInferenceGate} from "./IInferenceGate.sol";

/// @title A lending market whose loan-to-value limit a steward may set
interface ILoanToValueMarket {
    /// @notice Sets the largest loan against collateral, in parts of 10,000 of its value. The steward calls it.
    function setLoanToValue(
        uint256 limitBps
    ) external;

    /// @notice The limit in force, in parts of 10,000.
    function loanToValue() external view returns (uint256 limitBps);
}

/// @title Sets a lending limit on verified inferences
/// @notice See `LendingLimitSteward` for the specification.
interface ILendingLimitSteward is IInferenceGate {
    /// @notice What the steward may do.
    struct Bounds {
        /// Lowest limit.
        uint16 minimumBps;
        /// Highest limit.
        uint16 maximumBps;
        /// Largest change in one update.
        uint16 maxStepBps;
        /// Least time between two updates (seconds).
        uint32 minDelay;
    }

    /// @notice The limit was set. The model asked for `askedBps`.
    event LimitSet(uint256 previousBps, uint256 limitBps, uint256 askedBps);

    /// @notice The limit stands already where the model and the bounds want it.
    event LimitKept(uint256 limitBps, uint256 askedBps);

    /// @notice The last update was too recent; the next may be at `readyAt` (seconds).
    error UpdateTooSoon(uint256 readyAt);

    /// @notice The bounds contradict each other or are no fractions.
    error BoundsInvalid(Bounds bounds);

    /// @notice The model's output is not one fraction between 0 and 1.
    error NotALimitModel();

    /// @notice The bounds.
    function bounds() external view returns (Bounds memory);

    /// @notice When the limit was last set (seconds); 0 before the first time.
    function lastUpdateAt() external view returns (uint256);

    /// @notice The market.
    function MARKET() external view returns (address);
}
