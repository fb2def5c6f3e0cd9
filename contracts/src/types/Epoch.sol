// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @notice Index of an epoch of a feature ring. Epoch `e` covers the seconds
/// `[genesis + e * length, genesis + (e + 1) * length)`.
/// @dev Used both as the name of an epoch and as an exclusive upper bound of a window of epochs.
type Epoch is uint64;

using {equals as ==, below as <, atMost as <=, above as >, plus, minus, index} for Epoch global;

/// @notice Whether two epochs are the same.
function equals(
    Epoch a,
    Epoch b
) pure returns (bool) {
    return Epoch.unwrap(a) == Epoch.unwrap(b);
}

/// @notice Whether `a` is earlier than `b`.
function below(
    Epoch a,
    Epoch b
) pure returns (bool) {
    return Epoch.unwrap(a) < Epoch.unwrap(b);
}

/// @notice Whether `a` is not later than `b`.
function atMost(
    Epoch a,
    Epoch b
) pure returns (bool) {
    return Epoch.unwrap(a) <= Epoch.unwrap(b);
}

/// @notice Whether `a` is later than `b`.
function above(
    Epoch a,
    Epoch b
) pure returns (bool) {
    return Epoch.unwrap(a) > Epoch.unwrap(b);
}

/// @notice The epoch `count` later; reverts on overflow.
function plus(
    Epoch a,
    uint64 count
) pure returns (Epoch) {
    return Epoch.wrap(Epoch.unwrap(a) + count);
}

/// @notice The epoch `count` earlier; reverts on underflow.
function minus(
    Epoch a,
    uint64 count
) pure returns (Epoch) {
    return Epoch.wrap(Epoch.unwrap(a) - count);
}

/// @notice The epoch's number as a machine word.
function index(
    Epoch a
) pure returns (uint256) {
    return Epoch.unwrap(a);
}
