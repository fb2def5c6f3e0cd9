// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @notice The part of Foundry's cheatcodes that the tests and scripts use.
/// @dev forge-std, which usually declares them, is in no package registry under its authors' name.
interface Vm {
    function warp(
        uint256 timestamp
    ) external;
    function chainId(
        uint256 id
    ) external;
    function etch(
        address target,
        bytes calldata code
    ) external;
    function prank(
        address sender
    ) external;
    function startPrank(
        address sender
    ) external;
    function stopPrank() external;
    function assume(
        bool condition
    ) external pure;
    function expectRevert() external;
    function expectRevert(
        bytes4 selector
    ) external;
    function expectPartialRevert(
        bytes4 selector
    ) external;
    function expectRevert(
        bytes calldata data
    ) external;
    function expectEmit() external;
    function mockCall(
        address target,
        bytes calldata data,
        bytes calldata returnData
    ) external;
    function mockCallRevert(
        address target,
        bytes calldata data,
        bytes calldata revertData
    ) external;
    function clearMockedCalls() external;
    function load(
        address target,
        bytes32 slot
    ) external view returns (bytes32);
    function store(
        address target,
        bytes32 slot,
        bytes32 value
    ) external;
    function snapshotGasLastCall(
        string calldata name
    ) external returns (uint256);
    function snapshotValue(
        string calldata name,
        uint256 value
    ) external;
    function snapshotState() external returns (uint256);
    function revertToState(
        uint256 id
    ) external returns (bool);
    function setEnv(
        string calldata name,
        string calldata value
    ) external;
    function envString(
        string calldata name
    ) external view returns (string memory);
    function envOr(
        string calldata name,
        string calldata defaultValue
    ) external view returns (string memory);
    function projectRoot() external view returns (string memory);
    function exists(
        string calldata path
    ) external view returns (bool);
    function readFile(
        string calldata path
    ) external view returns (string memory);
    function writeFile(
        string calldata path,
        string calldata data
    ) external;
    function keyExistsJson(
        string calldata json,
        string calldata key
    ) external view returns (bool);
    function parseJsonAddress(
        string calldata json,
        string calldata key
    ) external pure returns (address);
    function parseJsonBool(
        string calldata json,
        string calldata key
    ) external pure returns (bool);
    function parseJsonBytes(
        string calldata json,
        string calldata key
    ) external pure returns (bytes memory);
    function parseJsonBytes32(
        string calldata json,
        string calldata key
    ) external pure returns (bytes32);
    function parseJsonInt(
        string calldata json,
        string calldata key
    ) external pure returns (int256);
    function parseJsonIntArray(
        string calldata json,
        string calldata key
    ) external pure returns (int256[] memory);
    function parseJsonString(
        string calldata json,
        string calldata key
    ) external pure returns (string memory);
    function parseJsonUint(
        string calldata json,
        string calldata key
    ) external pure returns (uint256);
    function parseJsonUintArray(
        string calldata json,
        string calldata key
    ) external pure returns (uint256[] memory);
    function serializeAddress(
        string calldata object,
        string calldata key,
        address value
    ) external returns (string memory json);
    function serializeBool(
        string calldata object,
        string calldata key,
        bool value
    ) external returns (string memory json);
    function serializeUint(
        string calldata object,
        string calldata key,
        uint256 value
    ) external returns (string memory json);
    function replace(
        string calldata input,
        string calldata from,
        string calldata to
    ) external pure returns (string memory);
    function toString(
        address value
    ) external pure returns (string memory);
    function toString(
        bytes calldata value
    ) external pure returns (string memory);
    function startBroadcast() external;
    function stopBroadcast() external;

    function assertTrue(
        bool condition,
        string calldata message
    ) external pure;
    function assertEq(
        bool a,
        bool b,
        string calldata message
    ) external pure;
    function assertEq(
        uint256 a,
        uint256 b,
        string calldata message
    ) external pure;
    function assertEq(
        int256 a,
        int256 b,
        string calldata message
    ) external pure;
    function assertEq(
        address a,
        address b,
        string calldata message
    ) external pure;
    function assertEq(
        bytes32 a,
        bytes32 b,
        string calldata message
    ) external pure;
    function assertEq(
        bytes calldata a,
        bytes calldata b,
        string calldata message
    ) external pure;
    function assertEq(
        uint256[] calldata a,
        uint256[] calldata b,
        string calldata message
    ) external pure;
    function assertLt(
        uint256 a,
        uint256 b,
        string calldata message
    ) external pure;
    function assertLe(
        uint256 a,
        uint256 b,
        string calldata message
    ) external pure;
    function assertGt(
        uint256 a,
        uint256 b,
        string calldata message
    ) external pure;
    function assertGe(
        uint256 a,
        uint256 b,
        string calldata message
    ) external pure;
    function assertApproxEqAbs(
        uint256 a,
        uint256 b,
        uint256 tolerance,
        string calldata message
    ) external pure;
    function assertApproxEqRel(
        uint256 a,
        uint256 b,
        uint256 toleranceWad,
        string calldata message
    ) external pure;
}

/// @dev Where forge puts its cheatcodes.
Vm constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
