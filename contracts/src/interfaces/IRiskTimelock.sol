// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title Delay before a change that may raise risk
/// @notice The owner schedules the exact call; after the delay anybody may make it, within a grace period. A reduction
/// of risk voids calls that would undo it and were scheduled before.
interface IRiskTimelock {
    /// @notice A call was scheduled.
    event CallScheduled(bytes32 indexed callHash, bytes data, uint256 executableAt);

    /// @notice A scheduled call was cancelled.
    event CallCancelled(bytes32 indexed callHash);

    /// @notice The same call is scheduled already.
    error AlreadyScheduled(bytes32 callHash);

    /// @notice The call is none that can be scheduled, or has not exactly its arguments' length. `length` in bytes.
    error NotSchedulable(bytes4 selector, uint256 length);

    /// @notice The call was not scheduled, or is void.
    error NotScheduled(bytes32 callHash);

    /// @notice The call's delay has not passed.
    error StillLocked(bytes32 callHash, uint256 executableAt);

    /// @notice The call's grace period has passed.
    error ScheduleExpired(bytes32 callHash, uint256 expiredAt);

    /// @notice Schedules a call to this contract. Owner.
    /// @param data The call's selector and arguments.
    function schedule(
        bytes calldata data
    ) external;

    /// @notice Cancels a scheduled call. Owner or guardian; owner alone where it appoints a guardian.
    function cancel(
        bytes calldata data
    ) external;

    /// @notice When a scheduled call may be made (seconds); 0 where it is not scheduled, or void.
    function executableAt(
        bytes calldata data
    ) external view returns (uint256);

    /// @notice The delay (seconds).
    function RISK_DELAY() external view returns (uint256);
}
