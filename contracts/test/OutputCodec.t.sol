// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {OutputCodec} from "src/libraries/OutputCodec.sol";
import {OutputSchema} from "src/types/OutputSchema.sol";

import {TestBase} from "./base/TestBase.sol";
import {vm} from "./base/Vm.sol";

contract OutputCodecTest is TestBase {
    using OutputCodec for OutputSchema;

    function _schema(
        uint32 count,
        uint8 bits,
        uint8 perWord
    ) private pure returns (OutputSchema memory) {
        int64 half = int64(1) << (bits - 1);
        return
            OutputSchema({count: count, bits: bits, perWord: perWord, exponent: 0, minimum: -half, maximum: half - 1});
    }

    /// @dev The decoder of the packing, as its definition says.
    function _unpack(
        OutputSchema memory s,
        uint256[] memory words
    ) private pure returns (int256[] memory values) {
        values = new int256[](s.count);
        for (uint256 i = 0; i < s.count; ++i) {
            uint256 stored = (words[i / s.perWord] >> (s.bits * (i % s.perWord))) % (2 ** s.bits);
            values[i] = int256(stored) - int256(2 ** (s.bits - 1));
        }
    }

    function testFuzz_packedValuesUnpackToThemselves(
        uint256 seed,
        uint8 bits,
        uint8 perWord,
        uint32 count
    ) public pure {
        bits = uint8(bound(bits, 1, 32));
        perWord = uint8(bound(perWord, 1, 248 / uint256(bits)));
        count = uint32(bound(count, 1, 60));
        OutputSchema memory s = _schema(count, bits, perWord);
        vm.assertTrue(s.isValid(), "valid");
        int256[] memory values = new int256[](count);
        for (uint256 i = 0; i < count; ++i) {
            values[i] = bound(int256(uint256(keccak256(abi.encode(seed, i)))), s.minimum, s.maximum);
        }
        vm.assertEq(s.firstOutOfBounds(values), count, "in bounds");
        uint256[] memory words = s.pack(values);
        vm.assertEq(words.length, s.wordCount(), "words");
        vm.assertEq(keccak256(abi.encode(_unpack(s, words))), keccak256(abi.encode(values)), "there and back");
        for (uint256 i = 0; i < words.length; ++i) {
            vm.assertLt(words[i], 2 ** 248, "a scalar");
        }
    }

    function test_knownWords() public pure {
        int256[] memory values = new int256[](3);
        (values[0], values[1], values[2]) = (-8_388_608, 1, 8_388_607);
        uint256[] memory words = _schema(3, 24, 2).pack(values);
        vm.assertEq(words.length, 2, "two words");
        vm.assertEq(words[0], 0x800001000000, "first least significant, offset");
        vm.assertEq(words[1], 0xffffff, "last word's rest is zero");
    }

    function test_schemasThatCannotBePackedAreInvalid() public pure {
        vm.assertEq(_schema(0, 16, 15).isValid(), false, "no values");
        vm.assertEq(_schema(1, 16, 0).isValid(), false, "none to a word");
        vm.assertEq(_schema(1, 16, 16).isValid(), false, "too many to a word");
        vm.assertEq(_schema(1, 33, 1).isValid(), false, "too many bits");
        OutputSchema memory s = _schema(1, 16, 15);
        s.bits = 0;
        vm.assertEq(s.isValid(), false, "no bits");
        s = _schema(1, 16, 15);
        s.maximum = 1 << 15;
        vm.assertEq(s.isValid(), false, "maximum above what the bits hold");
        s = _schema(1, 16, 15);
        s.minimum = -(1 << 15) - 1;
        vm.assertEq(s.isValid(), false, "minimum below");
        s = _schema(1, 16, 15);
        (s.minimum, s.maximum) = (2, 1);
        vm.assertEq(s.isValid(), false, "empty range");
    }
}
