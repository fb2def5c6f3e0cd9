// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Epoch} from "../types/Epoch.sol";

/// @title Market data that nobody can choose
/// @notice Time is cut into epochs of equal length. For each completed epoch the ring holds the mean tick of a
/// Uniswap v3 pool over exactly that epoch, taken from the pool's own oracle: whoever calls `poke`, and when,
/// changes nothing about the value.
///
/// Eight values share a storage slot as 24-bit fields `tick + 2^23`, the earliest least significant, which is the
/// packing of a proof's instances: a slot is an instance word. A field of zero, which no tick has, is a gap.
interface IFeatureRing {
    /// @notice An epoch was recorded with `tick`. `meanTick` is what the pool's oracle gave; the two differ where
    /// the change since the last record was above the bound.
    event EpochRecorded(Epoch indexed epoch, int24 tick, int24 meanTick);

    /// @notice Epochs `[from, to)` can no longer be read from the pool's oracle and stay gaps.
    event EpochsMissed(Epoch indexed from, Epoch indexed to);

    /// @notice No epoch has ended since the last record; the next ends at `endsAt` (seconds).
    error NothingToRecord(uint256 endsAt);

    /// @notice The window has no epochs, or starts before epoch 0.
    error WindowInvalid(Epoch end, uint256 count);

    /// @notice The window starts before the oldest epoch that the ring still holds.
    error WindowTooOld(Epoch from, Epoch oldest);

    /// @notice The window ends after the last recorded epoch.
    error WindowNotRecorded(Epoch end, Epoch recordedEnd);

    /// @notice An epoch of the window is a gap.
    error GapInWindow(Epoch epoch);

    /// @notice A construction parameter is out of its range.
    error ParameterOutOfRange(bytes32 name, uint256 value);

    /// @notice Records the completed epochs that are not recorded yet, a bounded number of them. Anybody may call.
    /// @return end The epoch after the last one that was recorded or found missing.
    function poke() external returns (Epoch end);

    /// @notice The values of epochs `[end - count, end)` as instance words.
    /// @dev A window that starts at a multiple of eight is the storage slots themselves. Reverts on a gap.
    /// @param end The epoch after the last one of the window.
    /// @param count Number of epochs, above zero.
    /// @return words `ceil(count / 8)` words; unused places of the last are zero.
    function window(
        Epoch end,
        uint256 count
    ) external view returns (uint256[] memory words);

    /// @notice The recorded tick of an epoch; reverts where the ring does not hold one.
    function tickAt(
        Epoch epoch
    ) external view returns (int24);

    /// @notice The epoch after the last one recorded or found missing: the largest `end` of a window.
    function recordedEnd() external view returns (Epoch);

    /// @notice The oldest epoch that the ring still holds.
    function oldestEpoch() external view returns (Epoch);

    /// @notice The epoch that is running now.
    function currentEpoch() external view returns (Epoch);

    /// @notice When an epoch starts (seconds).
    function startOf(
        Epoch epoch
    ) external view returns (uint256);

    /// @notice The Uniswap v3 pool.
    function POOL() external view returns (address);

    /// @notice The token whose price is recorded: ticks rise when it becomes dearer in the pool's other token.
    function PRICED_TOKEN() external view returns (address);

    /// @notice Start of epoch 0 (seconds).
    function GENESIS() external view returns (uint256);

    /// @notice Length of an epoch (seconds).
    function EPOCH_SECONDS() external view returns (uint256);

    /// @notice Number of epochs before the end of the records that the ring always holds.
    function HISTORY_EPOCHS() external view returns (uint256);

    /// @notice Largest change of the recorded tick from one epoch to the next.
    function MAX_TICK_CHANGE() external view returns (uint24);
}
