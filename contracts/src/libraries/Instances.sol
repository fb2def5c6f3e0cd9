// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Context} from "../types/Statement.sol";

/// @title A proof's instances
library Instances {
    /// @notice `[context, input words…, output words…]`.
    function join(
        Context statementContext,
        uint256[] memory inputWords,
        uint256[] memory outputWords
    ) internal pure returns (uint256[] memory instances) {
        instances = new uint256[](1 + inputWords.length + outputWords.length);
        instances[0] = Context.unwrap(statementContext);
        uint256 at = 1;
        for (uint256 i = 0; i < inputWords.length; ++i) {
            instances[at++] = inputWords[i];
        }
        for (uint256 i = 0; i < outputWords.length; ++i) {
            instances[at++] = outputWords[i];
        }
    }
}
