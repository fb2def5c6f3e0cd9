// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title The contract of one model behind a verifier that models share
/// @notice Its code forwards calldata to the verifier by `DELEGATECALL` and ends with the model's key, which the
/// verifier copies from there. Whoever pins its code hash has pinned both the verifier and the key.
library KeyContract {
    /// @dev Bytes of the creation code before the runtime code.
    uint256 private constant LOADER_BYTES = 11;

    /// @notice The code that the contract has once deployed.
    /// @param verifier The verifier of the key's shape.
    /// @param key The key, as `vouch setup` writes it.
    function runtimeCode(
        address verifier,
        bytes memory key
    ) internal pure returns (bytes memory) {
        // calldatacopy(0, 0, calldatasize()); delegatecall(gas(), verifier, 0, calldatasize(), 0, 0);
        // returndatacopy(0, 0, returndatasize()); then return or revert with what came back.
        return abi.encodePacked(hex"365f5f375f5f365f73", verifier, hex"5af43d5f5f3e6029573d5ffd5b3d5ff3", key);
    }

    /// @notice The code that deploys the contract.
    /// @param verifier The verifier of the key's shape.
    /// @param key The key, as `vouch setup` writes it.
    function creationCode(
        address verifier,
        bytes memory key
    ) internal pure returns (bytes memory) {
        bytes memory runtime = runtimeCode(verifier, key);
        // codecopy(0, LOADER_BYTES, length); return(0, length)
        return abi.encodePacked(hex"62", uint24(runtime.length), hex"8060", uint8(LOADER_BYTES), hex"5f395ff3", runtime);
    }
}
