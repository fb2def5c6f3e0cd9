// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title Verifier of one circuit's proofs: halo2, KZG with SHPLONK, BN254.
/// @notice Generated from a verifying key; do not edit. {{ summary }}.
contract {{ name }} {
{%- for error in errors %}
    /// @notice {{ error.doc() }}
    error {{ error.name() }}({{ error.parameters() }});
{%- endfor %}

    /// @notice Digest of the verifying key that every proof starts from.
    bytes32 public constant VK_DIGEST = {{ vk_digest }};
    /// @notice Digest of the powers of tau that the key was made with.
    bytes32 public constant SRS_DIGEST = {{ srs_digest }};
    /// @notice Number of public values of a statement.
    uint256 public constant INSTANCE_COUNT = {{ instances }};

    /// @notice Returns if the proof holds for the instances, reverts with a named error if not.
    /// @param instances The public values, each below the scalar modulus.
    /// @param proof The proof, {{ proof_bytes }} bytes.
    function verify(uint256[] calldata instances, bytes calldata proof) external view {
        // Memory: everything lies at or above the free memory pointer, whose value is checked;
        // the error encoder writes there too. Nothing is left allocated.
        assembly ("memory-safe") {
            function fail(selector) {
                mstore(0x80, selector)
                revert(0x9c, 0x04)
            }
            function fail1(selector, a) {
                mstore(0x80, selector)
                mstore(0xa0, a)
                revert(0x9c, 0x24)
            }
            function fail2(selector, a, b) {
                mstore(0x80, selector)
                mstore(0xa0, a)
                mstore(0xc0, b)
                revert(0x9c, 0x44)
            }
            // Names the first point of the proof that is not acceptable. The precompiles check
            // coordinates and curve, so this runs only when one of them has refused its input.
            function blame(precompile) {
                let q := {{ base_modulus }}
                for { let p := {{ proof_start }} } lt(p, {{ proof_end }}) { p := add(p, 0x40) } {
                    if eq(p, {{ evals_start }}) { p := {{ evals_end }} }
                    let x := calldataload(p)
                    let y := calldataload(add(p, 0x20))
                    let i := shr(5, sub(p, {{ proof_start }}))
                    if iszero(or(x, y)) { fail1({{ Failure::IdentityPoint.yul() }}, i) }
                    if iszero(and(lt(x, q), lt(y, q))) { fail1({{ Failure::CoordinateNotCanonical.yul() }}, i) }
                    if iszero(eq(mulmod(y, y, q), addmod(mulmod(x, mulmod(x, x, q), q), 3, q))) {
                        fail1({{ Failure::PointNotOnCurve.yul() }}, i)
                    }
                }
                fail1({{ Failure::PrecompileFailed.yul() }}, precompile)
            }
            // S := C_0 + k C_1 + k^2 C_2 + ..., k at {{ s_scalar }}. The table lists the
            // commitments' addresses, last first, two bytes each.
            function horner(from, to) {
                mcopy({{ s }}, and(mload(from), 0xffff), 0x40)
                for { from := add(from, 2) } lt(from, to) { from := add(from, 2) } {
                    mcopy({{ t_second }}, and(mload(from), 0xffff), 0x40)
                    let ok := and(eq(returndatasize(), 0x40), staticcall(gas(), 7, {{ s }}, 0x60, {{ t }}, 0x40))
                    if iszero(and(ok, and(eq(returndatasize(), 0x40), staticcall(gas(), 6, {{ t }}, 0x80, {{ s }}, 0x40)))) {
                        blame(sub(7, ok))
                    }
                }
            }
            // F := F + k P
            function accumulate(p, k) {
                mcopy({{ t }}, p, 0x40)
                mstore({{ t_second }}, k)
                let ok := and(eq(returndatasize(), 0x40), staticcall(gas(), 7, {{ t }}, 0x60, {{ t }}, 0x40))
                mcopy({{ t_second }}, {{ f }}, 0x40)
                if iszero(and(ok, and(eq(returndatasize(), 0x40), staticcall(gas(), 6, {{ t }}, 0x80, {{ f }}, 0x40)))) {
                    blame(sub(7, ok))
                }
            }

            let r := {{ scalar_modulus }}
{{ body }}        }
    }
}
