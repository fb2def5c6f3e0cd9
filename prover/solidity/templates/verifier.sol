// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

{%- if shared.is_some() %}
/// @title Verifier of the proofs of all circuits of one shape: halo2, KZG with SHPLONK, BN254.
/// @notice Generated from a constraint system; do not edit. {{ summary }}. Called through contracts that
/// delegate to it and have a key at the end of their code.
{%- else %}
/// @title Verifier of one circuit's proofs: halo2, KZG with SHPLONK, BN254.
/// @notice Generated from a verifying key; do not edit. {{ summary }}.
{%- endif %}
contract {{ name }} {
{%- for error in errors %}
    /// @notice {{ error.doc() }}
    error {{ error.name() }}({{ error.parameters() }});
{%- endfor %}
{%- if let Some(single) = single %}

    /// @notice Digest of the verifying key that every proof starts from.
    bytes32 public constant VK_DIGEST = {{ single.vk_digest }};
    /// @notice Digest of the powers of tau that the key was made with.
    bytes32 public constant SRS_DIGEST = {{ single.srs_digest }};
    /// @notice Number of public values of a statement.
    uint256 public constant INSTANCE_COUNT = {{ single.instances }};
{%- endif %}
{%- if let Some(shared) = shared %}
    /// @notice `tau*G2` is the identity, the generator, or no point of the group.
    error DegenerateSetup();

    /// @notice What a key for this verifier starts with.
    bytes32 public constant VERIFIER = {{ shared.verifier }};

    /// @dev `tau*G2`, the imaginary part of a coordinate first.
    uint256 private immutable _S_X1;
    uint256 private immutable _S_X0;
    uint256 private immutable _S_Y1;
    uint256 private immutable _S_Y0;

    /// @param s The coordinates of `tau*G2`, the imaginary part of each first.
    constructor(uint256[4] memory s) {
        (bool success, bytes memory result) = address(8).staticcall(abi.encode(0, 0, s));
        if (!success || result.length != 32) revert DegenerateSetup();
        if (s[0] | s[1] | s[2] | s[3] == 0) revert DegenerateSetup();
        if (s[0] == {{ g2[0] }}) {
            if (s[1] == {{ g2[1] }}) revert DegenerateSetup();
        }
        (_S_X1, _S_X0, _S_Y1, _S_Y0) = (s[0], s[1], s[2], s[3]);
    }

    /// @notice Digest of the verifying key that every proof starts from.
    function VK_DIGEST() external view returns (bytes32) {
        return bytes32(_keyWord({{ shared.digest }}));
    }

    /// @notice Digest of the powers of tau that the key was made with.
    function SRS_DIGEST() external view returns (bytes32) {
        return bytes32(_keyWord({{ shared.srs }}));
    }

    /// @notice Number of public values of a statement.
    function INSTANCE_COUNT() external view returns (uint256) {
        return _keyWord({{ shared.size }}) >> 8;
    }

    /// @dev A word of the key of the contract that was called.
    function _keyWord(uint256 offset) private view returns (uint256 word) {
        bytes32 verifier;
        assembly ("memory-safe") {
            let key := sub(extcodesize(address()), {{ shared.key_bytes }})
            extcodecopy(address(), 0x00, key, 0x20)
            verifier := mload(0x00)
            extcodecopy(address(), 0x00, add(key, offset), 0x20)
            word := mload(0x00)
        }
        if (verifier != VERIFIER) revert KeyOfAnotherShape();
    }
{%- endif %}

    /// @notice Returns if the proof holds for the instances, reverts with a named error if not.
    /// @param instances The public values, each below the scalar modulus.
    /// @param proof The proof, {{ proof_bytes }} bytes.
    function verify(uint256[] calldata instances, bytes calldata proof) external view {
        // Memory: everything lies at or above the free memory pointer, whose value is checked;
        // the error encoder writes there too. Nothing is left allocated.
{%- if shared.is_some() %}
        {
            // Assembly reads no immutables; nothing between here and the next block touches memory.
            (uint256 x1, uint256 x0, uint256 y1, uint256 y0) = (_S_X1, _S_X0, _S_Y1, _S_Y0);
            assembly ("memory-safe") {
                mstore({{ s_g2[0] }}, x1)
                mstore({{ s_g2[1] }}, x0)
                mstore({{ s_g2[2] }}, y1)
                mstore({{ s_g2[3] }}, y0)
            }
        }
{%- endif %}
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
                let start := add(calldataload(0x24), 0x24)
                let end := add(start, {{ proof_length }})
                for { let p := start } lt(p, end) { p := add(p, 0x40) } {
                    if eq(sub(p, start), {{ evals_start }}) { p := add(start, {{ evals_end }}) }
                    let x := calldataload(p)
                    let y := calldataload(add(p, 0x20))
                    let i := shr(5, sub(p, start))
                    if iszero(or(x, y)) { fail1({{ Failure::IdentityPoint.yul() }}, i) }
                    if iszero(and(lt(x, q), lt(y, q))) { fail1({{ Failure::CoordinateNotCanonical.yul() }}, i) }
                    if iszero(eq(mulmod(y, y, q), addmod(mulmod(x, mulmod(x, x, q), q), 3, q))) {
                        fail1({{ Failure::PointNotOnCurve.yul() }}, i)
                    }
                }
                fail1({{ Failure::PrecompileFailed.yul() }}, precompile)
            }
            // A precompile that refuses its input takes all gas that it is given. After a multiplication that
            // was refused the addition is given none, so that some is left to name the point.

            // One step of Horner's rule: S := k S + P, k at {{ s_scalar }}.
            function horner(p) {
                mcopy({{ t_second }}, p, 0x40)
                let ok := and(eq(returndatasize(), 0x40), staticcall(gas(), 7, {{ s }}, 0x60, {{ t }}, 0x40))
                if iszero(and(ok, and(eq(returndatasize(), 0x40), staticcall(mul(ok, gas()), 6, {{ t }}, 0x80, {{ s }}, 0x40)))) {
                    blame(sub(7, ok))
                }
            }
            // F := k P + F
            function accumulate(p, k) {
                mcopy({{ t }}, p, 0x40)
                mstore({{ t_second }}, k)
                let ok := and(eq(returndatasize(), 0x40), staticcall(gas(), 7, {{ t }}, 0x60, {{ multiple }}, 0x40))
                if iszero(and(ok, and(eq(returndatasize(), 0x40), staticcall(mul(ok, gas()), 6, {{ multiple }}, 0x80, {{ f }}, 0x40)))) {
                    blame(sub(7, ok))
                }
            }

            let r := {{ scalar_modulus }}
{%- if let Some(single) = single %}
{%- for (address, coordinate) in s_g2.iter().zip(single.s_g2.iter()) %}
            mstore({{ address }}, {{ coordinate }})
{%- endfor %}
{%- endif %}
{%- for (address, coordinate) in minus_g2 %}
            mstore({{ address }}, {{ coordinate }})
{%- endfor %}
{{ body }}        }
    }
}
