// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @notice What every test contract has.
abstract contract TestBase {
    /// @dev Forge runs a contract's tests where it finds this flag.
    function IS_TEST() external pure returns (bool) {
        return true;
    }

    /// @dev A number from `[low, high]` that follows `seed`.
    function bound(
        uint256 seed,
        uint256 low,
        uint256 high
    ) internal pure returns (uint256) {
        if (low == 0 && high == type(uint256).max) return seed;
        return low + seed % (high - low + 1);
    }

    /// @dev A number from `[low, high]` that follows `seed`.
    function bound(
        int256 seed,
        int256 low,
        int256 high
    ) internal pure returns (int256) {
        uint256 span = uint256(high - low) + 1;
        return low + int256(uint256(seed) % span);
    }

    /// @dev An address that stands for somebody.
    function actor(
        string memory name
    ) internal pure returns (address) {
        return address(uint160(uint256(keccak256(bytes(name)))));
    }
}
