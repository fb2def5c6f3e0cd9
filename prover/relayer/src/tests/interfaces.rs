//! The signatures in `contracts.rs` are those of `contracts/src/interfaces`.

use std::collections::BTreeSet;

use crate::contracts::FeatureRing::FeatureRingCalls;
use crate::contracts::InferenceGate::InferenceGateCalls;
use crate::contracts::ModelRegistry::ModelRegistryCalls;
use crate::contracts::Reverts::RevertsErrors;

/// What user-defined value types are in the ABI.
const TYPES: [(&str, &str); 6] = [
    ("Epoch", "uint64"),
    ("ModelVersion", "uint64"),
    ("Context", "uint256"),
    ("Nullifier", "bytes32"),
    ("VersionStatus", "uint8"),
    ("IProofVerifier", "address"),
];

/// A source without its comments, on one line.
fn code(source: &str) -> String {
    source.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join(" ")
}

/// Every struct of a source with its fields' types.
fn structs(code: &str) -> Vec<(String, Vec<String>)> {
    code.split("struct ")
        .skip(1)
        .filter_map(|declaration| {
            let (name, rest) = declaration.split_once('{')?;
            let (fields, _) = rest.split_once('}')?;
            let types = fields.split(';').filter_map(|field| Some(field.split_whitespace().next()?.to_owned()));
            Some((name.trim().to_owned(), types.collect()))
        })
        .collect()
}

/// A type as the ABI writes it.
fn canonical(kind: &str, structs: &[(String, Vec<String>)]) -> String {
    if let Some((_, abi)) = TYPES.iter().find(|(name, _)| *name == kind) {
        return (*abi).to_owned();
    }
    match structs.iter().find(|(name, _)| name == kind) {
        Some((_, fields)) => {
            let fields: Vec<_> = fields.iter().map(|field| canonical(field, structs)).collect();
            format!("({})", fields.join(","))
        }
        None => kind.to_owned(),
    }
}

/// `name(types)` of every function and error that a source declares.
fn signatures(code: &str, structs: &[(String, Vec<String>)]) -> BTreeSet<String> {
    ["function ", "error "]
        .into_iter()
        .flat_map(|keyword| code.split(keyword).skip(1))
        .filter_map(|declaration| {
            let (name, rest) = declaration.split_once('(')?;
            let (arguments, _) = rest.split_once(')')?;
            let types: Vec<_> = arguments
                .split(',')
                .filter_map(|argument| argument.split_whitespace().next())
                .map(|kind| canonical(kind, structs))
                .collect();
            Some(format!("{}({})", name.trim(), types.join(",")))
        })
        .collect()
}

/// Sources of the interfaces and of the types that they use.
fn sources() -> Vec<String> {
    let root = super::workspace();
    let folders = ["contracts/src/interfaces", "contracts/src/types"].map(|folder| root.join(folder));
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    files.map(|path| code(&std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_signature_is_one_of_the_contracts() {
    let sources = sources();
    let structs: Vec<_> = sources.iter().flat_map(|source| structs(source)).collect();
    let declared: BTreeSet<String> = sources.iter().flat_map(|source| signatures(source, &structs)).collect();
    let ours = [
        InferenceGateCalls::SIGNATURES,
        FeatureRingCalls::SIGNATURES,
        ModelRegistryCalls::SIGNATURES,
        RevertsErrors::SIGNATURES,
    ];
    let missing: Vec<_> = ours.into_iter().flatten().filter(|signature| !declared.contains(**signature)).collect();
    assert!(missing.is_empty(), "the contracts do not declare {missing:?}");
}
