// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IUniswapV3Factory} from "@uniswap/v3-core/contracts/interfaces/IUniswapV3Factory.sol";

import {vm} from "../base/Vm.sol";

/// @notice Uniswap v3's own bytecode, from the npm package that its authors published.
library UniswapV3 {
    string private constant FACTORY =
        "node_modules/@uniswap/v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json";

    function deployFactory() internal returns (IUniswapV3Factory) {
        string memory artefact = vm.readFile(string.concat(vm.projectRoot(), "/", FACTORY));
        return IUniswapV3Factory(deploy(vm.parseJsonBytes(artefact, ".bytecode")));
    }

    /// @notice Deploys creation code.
    function deploy(
        bytes memory creation
    ) internal returns (address at) {
        // Code that this compiler did not make can be deployed in no other way.
        assembly ("memory-safe") {
            at := create(0, add(creation, 0x20), mload(creation))
        }
        require(at != address(0), "creation code reverted");
    }
}
