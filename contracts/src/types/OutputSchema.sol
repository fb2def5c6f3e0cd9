// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @notice What a model's public output tensor looks like in a proof's instances.
/// @dev Value `i` is stored as `value + 2^(bits-1)` in word `i / perWord`, shifted left by `bits * (i mod perWord)`.
struct OutputSchema {
    /// Number of values.
    uint32 count;
    /// Bits of a value, 1 to 32.
    uint8 bits;
    /// Values in an instance word, at most `248 / bits`.
    uint8 perWord;
    /// The real number is `value / 2^exponent`.
    int8 exponent;
    /// Smallest integer value a consumer accepts.
    int64 minimum;
    /// Largest integer value a consumer accepts.
    int64 maximum;
}
