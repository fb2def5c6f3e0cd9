// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @notice Number of a version of a registered model, counted from 1. A number is never used twice, not even
/// after its version was removed.
type ModelVersion is uint64;

using {sameVersion as ==} for ModelVersion global;

/// @notice Whether two numbers name the same version.
function sameVersion(
    ModelVersion a,
    ModelVersion b
) pure returns (bool) {
    return ModelVersion.unwrap(a) == ModelVersion.unwrap(b);
}
