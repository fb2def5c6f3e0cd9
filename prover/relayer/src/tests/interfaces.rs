//! The signatures in `contracts.rs` are those of `contracts/src/interfaces`.

use std::collections::BTreeSet;

use crate::contracts::FeatureRing::FeatureRingCalls;
use crate::contracts::InferenceGate::InferenceGateCalls;
use crate::contracts::ModelRegistry::ModelRegistryCalls;
use crate::contracts::Reverts::RevertsErrors;

/// What user-defined types are in the ABI.
const TYPES: [(&str, &str); 6] = [
    ("Epoch", "uint64"),
    ("ModelVersion", "uint64"),
    ("Context", "uint256"),
    ("Nullifier", "bytes32"),
    ("VersionStatus", "uint8"),
    ("IProofVerifier", "address"),
];

/// `name(types)` of every function and error that a Solidity source declares.
fn signatures(source: &str) -> BTreeSet<String> {
    let code: String = source.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join(" ");
    ["function ", "error "]
        .into_iter()
        .flat_map(|keyword| code.split(keyword).skip(1).map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|declaration| {
            let (name, rest) = declaration.split_once('(')?;
            let (arguments, _) = rest.split_once(')')?;
            let types: Vec<_> = arguments
                .split(',')
                .filter_map(|argument| argument.split_whitespace().next())
                .map(|kind| TYPES.iter().find(|(name, _)| *name == kind).map_or(kind, |(_, abi)| abi))
                .collect();
            Some(format!("{}({})", name.trim(), types.join(",")))
        })
        .collect()
}

#[test]
fn every_signature_is_one_of_the_contracts() {
    let folder = super::workspace().join("contracts/src/interfaces");
    let declared: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .flat_map(|entry| signatures(&std::fs::read_to_string(entry.unwrap().path()).unwrap()))
        .collect();
    let ours = [
        InferenceGateCalls::SIGNATURES,
        FeatureRingCalls::SIGNATURES,
        ModelRegistryCalls::SIGNATURES,
        RevertsErrors::SIGNATURES,
    ];
    let missing: Vec<_> = ours.into_iter().flatten().filter(|signature| !declared.contains(**signature)).collect();
    assert!(missing.is_empty(), "contracts/src/interfaces does not declare {missing:?}");
}
