// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {OutputSchema} from "../types/OutputSchema.sol";

/// @title Packing of output tensors into instance words
/// @dev The same packing as the circuit's: see `OutputSchema`.
library OutputCodec {
    /// @dev Bits of an instance word that carry values.
    uint256 internal constant WORD_BITS = 248;

    /// @dev Largest number of bits of a value.
    uint256 internal constant MAX_VALUE_BITS = 32;

    /// @notice Whether values can be packed by `schema` and its bounds are within what the bits hold.
    function isValid(
        OutputSchema memory schema
    ) internal pure returns (bool) {
        if (schema.count == 0 || schema.bits == 0 || schema.bits > MAX_VALUE_BITS) return false;
        if (schema.perWord == 0 || uint256(schema.perWord) * schema.bits > WORD_BITS) return false;
        int256 half = _half(schema);
        return -half <= schema.minimum && schema.minimum <= schema.maximum && schema.maximum < half;
    }

    /// @notice Instance words that the values take.
    function wordCount(
        OutputSchema memory schema
    ) internal pure returns (uint256) {
        return (uint256(schema.count) + schema.perWord - 1) / schema.perWord;
    }

    /// @notice Index of the first value outside the schema's bounds, or the number of values where there is none.
    function firstOutOfBounds(
        OutputSchema memory schema,
        int256[] memory values
    ) internal pure returns (uint256 i) {
        for (; i < values.length; ++i) {
            if (values[i] < schema.minimum || values[i] > schema.maximum) break;
        }
    }

    /// @notice Packs values that are within the schema's bounds.
    function pack(
        OutputSchema memory schema,
        int256[] memory values
    ) internal pure returns (uint256[] memory words) {
        words = new uint256[](wordCount(schema));
        int256 half = _half(schema);
        for (uint256 i = 0; i < values.length; ++i) {
            words[i / schema.perWord] |= SafeCast.toUint256(values[i] + half)
            << (uint256(schema.bits) * (i % schema.perWord));
        }
    }

    /// @dev What is added to a value before it is stored.
    function _half(
        OutputSchema memory schema
    ) private pure returns (int256) {
        return SafeCast.toInt256(2 ** (uint256(schema.bits) - 1));
    }
}
