//! The errors that a generated verifier reverts with.

use alloy_primitives::keccak256;

/// An error of the generated contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    KeyOfAnotherShape,
    CalldataLayout,
    CalldataLength,
    InstanceCount,
    ProofLength,
    InstanceNotCanonical,
    ScalarNotCanonical,
    CoordinateNotCanonical,
    PointNotOnCurve,
    IdentityPoint,
    PrecompileFailed,
    ZeroDenominator,
    ProofRejected,
}

impl Failure {
    /// Every error, in the order in which the contract declares them.
    pub(crate) const ALL: [Failure; 13] = [
        Failure::KeyOfAnotherShape,
        Failure::CalldataLayout,
        Failure::CalldataLength,
        Failure::InstanceCount,
        Failure::ProofLength,
        Failure::InstanceNotCanonical,
        Failure::ScalarNotCanonical,
        Failure::CoordinateNotCanonical,
        Failure::PointNotOnCurve,
        Failure::IdentityPoint,
        Failure::PrecompileFailed,
        Failure::ZeroDenominator,
        Failure::ProofRejected,
    ];

    /// Whether only verifiers whose keys are elsewhere have it.
    pub(crate) fn is_of_keys(self) -> bool {
        self == Failure::KeyOfAnotherShape
    }

    /// Its name in Solidity.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Failure::KeyOfAnotherShape => "KeyOfAnotherShape",
            Failure::CalldataLayout => "CalldataLayout",
            Failure::CalldataLength => "CalldataLength",
            Failure::InstanceCount => "InstanceCount",
            Failure::ProofLength => "ProofLength",
            Failure::InstanceNotCanonical => "InstanceNotCanonical",
            Failure::ScalarNotCanonical => "ScalarNotCanonical",
            Failure::CoordinateNotCanonical => "CoordinateNotCanonical",
            Failure::PointNotOnCurve => "PointNotOnCurve",
            Failure::IdentityPoint => "IdentityPoint",
            Failure::PrecompileFailed => "PrecompileFailed",
            Failure::ZeroDenominator => "ZeroDenominator",
            Failure::ProofRejected => "ProofRejected",
        }
    }

    /// Names of its arguments, all of type `uint256`.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Failure::CalldataLength | Failure::InstanceCount | Failure::ProofLength => &["got", "want"],
            Failure::InstanceNotCanonical => &["index"],
            Failure::ScalarNotCanonical
            | Failure::CoordinateNotCanonical
            | Failure::PointNotOnCurve
            | Failure::IdentityPoint => &["word"],
            Failure::PrecompileFailed => &["precompile"],
            Failure::KeyOfAnotherShape
            | Failure::CalldataLayout
            | Failure::ZeroDenominator
            | Failure::ProofRejected => &[],
        }
    }

    /// What it says, for the contract's documentation.
    pub(crate) fn doc(self) -> &'static str {
        match self {
            Failure::KeyOfAnotherShape => "The contract that was called holds no key for this verifier.",
            Failure::CalldataLayout => "The instances or the proof are not where the canonical ABI encoding puts them.",
            Failure::CalldataLength => "Calldata has more or fewer bytes than the canonical encoding.",
            Failure::InstanceCount => "The number of instances is not the circuit's.",
            Failure::ProofLength => "The proof does not have this circuit's length in bytes.",
            Failure::InstanceNotCanonical => "An instance is not below the scalar modulus.",
            Failure::ScalarNotCanonical => "The scalar at this word of the proof is not below the scalar modulus.",
            Failure::CoordinateNotCanonical => {
                "A coordinate of the point at this word of the proof is not below the base modulus."
            }
            Failure::PointNotOnCurve => "The point at this word of the proof is not on the curve.",
            Failure::IdentityPoint => "The point at this word of the proof is the identity.",
            Failure::PrecompileFailed => {
                "A precompile failed on valid input, or returned another number of bytes than it must."
            }
            Failure::ZeroDenominator => "A challenge makes a denominator zero.",
            Failure::ProofRejected => "The pairing equation does not hold for these instances.",
        }
    }

    /// Its parameters in Solidity.
    pub(crate) fn parameters(self) -> String {
        let typed: Vec<_> = self.arguments().iter().map(|name| format!("uint256 {name}")).collect();
        typed.join(", ")
    }

    /// First four bytes of the hash of its signature.
    pub(crate) fn selector(self) -> [u8; 4] {
        let types = vec!["uint256"; self.arguments().len()].join(",");
        let hash = keccak256(format!("{}({types})", self.name()));
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Its selector as a Yul literal.
    pub(crate) fn yul(self) -> String {
        format!("0x{}", hex::encode(self.selector()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// Consumers decode a refusal by the errors that the contracts' interface of a verifier declares.
    #[test]
    fn the_interface_of_verifiers_declares_every_error() {
        let interface = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/src/interfaces/IProofVerifier.sol");
        let source = std::fs::read_to_string(interface).unwrap();
        for failure in Failure::ALL {
            let declaration =
                format!("/// @notice {}\n    error {}({});", failure.doc(), failure.name(), failure.parameters());
            assert!(source.contains(&declaration), "IProofVerifier.sol does not declare\n{declaration}");
        }
        assert_eq!(source.matches("    error ").count(), Failure::ALL.len());
    }
}
