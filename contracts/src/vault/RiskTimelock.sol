// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IRiskTimelock} from "../interfaces/IRiskTimelock.sol";

/// @title Delay before a change that may raise risk
/// @notice See `IRiskTimelock`.
abstract contract RiskTimelock is IRiskTimelock {
    /// @dev A shorter delay leaves depositors no time to leave.
    uint256 private constant MIN_DELAY = 1 hours;

    /// @dev A longer one is a mistake in units.
    uint256 private constant MAX_DELAY = 60 days;

    /// @dev How long a call may be made once its delay has passed: a change that everybody forgot must not appear
    /// years later.
    uint256 private constant GRACE = 14 days;

    /// @inheritdoc IRiskTimelock
    uint256 public immutable RISK_DELAY;

    mapping(bytes32 callHash => uint256) private _executableAt;

    // When risk was last reduced at once.
    uint256 private _overruledAt;

    /// @notice The delay is out of range.
    error DelayOutOfRange(uint256 delay);

    constructor(
        uint256 riskDelay
    ) {
        if (riskDelay < MIN_DELAY || riskDelay > MAX_DELAY) revert DelayOutOfRange(riskDelay);
        RISK_DELAY = riskDelay;
    }

    /// @dev Lets a call through once, if exactly this call was scheduled and its delay has passed.
    modifier afterDelay() {
        _consume();
        _;
    }

    /// @inheritdoc IRiskTimelock
    function schedule(
        bytes calldata data
    ) external {
        _requireScheduler();
        // Bytes past the arguments would make many calls of one, and a guardian would have to cancel each.
        (bool known, uint256 length) = _argumentsOf(bytes4(data));
        if (!known || data.length != 4 + length) revert NotSchedulable(bytes4(data), data.length);
        bytes32 callHash = keccak256(data);
        uint256 at = executableAt(data);
        if (at != 0 && block.timestamp <= at + GRACE) revert AlreadyScheduled(callHash);
        _executableAt[callHash] = block.timestamp + RISK_DELAY;
        emit CallScheduled(callHash, data, block.timestamp + RISK_DELAY);
    }

    /// @inheritdoc IRiskTimelock
    function cancel(
        bytes calldata data
    ) external {
        _requireCanceller(bytes4(data));
        bytes32 callHash = keccak256(data);
        if (executableAt(data) == 0) revert NotScheduled(callHash);
        delete _executableAt[callHash];
        emit CallCancelled(callHash);
    }

    /// @inheritdoc IRiskTimelock
    function executableAt(
        bytes calldata data
    ) public view returns (uint256 at) {
        at = _executableAt[keccak256(data)];
        // What was armed before must not undo what reduced risk since: its delay would have passed already.
        if (at < _overruledAt + RISK_DELAY && _isOverruled(bytes4(data))) at = 0;
    }

    function _consume() private {
        bytes32 callHash = keccak256(msg.data);
        uint256 at = executableAt(msg.data);
        if (at == 0) revert NotScheduled(callHash);
        if (block.timestamp < at) revert StillLocked(callHash, at);
        if (block.timestamp > at + GRACE) revert ScheduleExpired(callHash, at + GRACE);
        delete _executableAt[callHash];
    }

    /// @dev Voids the calls scheduled so far that `_isOverruled` names.
    function _overrule() internal {
        _overruledAt = block.timestamp;
    }

    /// @dev Reverts where the caller may not schedule.
    function _requireScheduler() internal view virtual;

    /// @dev Reverts where the caller may not cancel calls of a function.
    function _requireCanceller(
        bytes4 selector
    ) internal view virtual;

    /// @dev Whether calls of a function can be scheduled, and the length of its encoded arguments (bytes).
    function _argumentsOf(
        bytes4 selector
    ) internal pure virtual returns (bool known, uint256 length);

    /// @dev Whether `_overrule` voids calls of a function.
    function _isOverruled(
        bytes4 selector
    ) internal pure virtual returns (bool);
}
