//! How the crates of the workspace stand to each other.

use std::{fs, path::PathBuf};

use cargo_metadata::{Metadata, MetadataCommand, Package};
use vouch_tests::root;

use crate::files::none;

/// The stages in order; a crate uses earlier ones only.
const STAGES: [&str; 8] = [
    "vouch-graph",
    "vouch-circuit",
    "vouch-proof",
    "vouch-solidity",
    "vouch-verifiers",
    "vouch-relayer",
    "vouch-cli",
    "vouch-tests",
];
/// Crates that end in a person reading a message.
const APPLICATIONS: [&str; 2] = ["vouch-cli", "vouch-tests"];
/// Errors without a type of their own are for those alone.
const OPAQUE_ERRORS: [&str; 3] = ["anyhow", "color-eyre", "eyre"];
const INHERITED: [&str; 6] = ["version", "edition", "rust-version", "license", "repository", "publish"];

pub(crate) fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .exec()
        .expect("cargo metadata describes the workspace")
}

fn stage(name: &str) -> Option<usize> {
    STAGES.iter().position(|stage| *stage == name)
}

/// Each member with its position among the stages.
fn members(metadata: &Metadata) -> Vec<(usize, &Package)> {
    let members = metadata.workspace_packages();
    assert_eq!(members.len(), STAGES.len(), "a crate came or went: bring the list of stages up to date");
    members
        .into_iter()
        .map(|package| {
            let stage = stage(&package.name).unwrap_or_else(|| panic!("{} is not among the stages", package.name));
            (stage, package)
        })
        .collect()
}

#[test]
fn no_crate_depends_on_a_later_stage() {
    let metadata = metadata();
    let mut backwards = Vec::new();
    for (at, package) in members(&metadata) {
        for dependency in &package.dependencies {
            if stage(&dependency.name).is_some_and(|other| other >= at) {
                backwards.push(format!("{} depends on {}", package.name, dependency.name));
            }
        }
    }
    none(&backwards, "dependencies point one way");
}

#[test]
fn only_applications_use_errors_without_a_type() {
    let metadata = metadata();
    let mut opaque = Vec::new();
    for (_, package) in
        members(&metadata).into_iter().filter(|(_, package)| !APPLICATIONS.contains(&package.name.as_str()))
    {
        for dependency in package.dependencies.iter().filter(|d| OPAQUE_ERRORS.contains(&d.name.as_str())) {
            opaque.push(format!("{} depends on {}", package.name, dependency.name));
        }
    }
    none(&opaque, "a library's errors are an enum");
}

#[test]
fn every_crate_inherits_lints_and_package_keys_from_the_workspace() {
    let metadata = metadata();
    let mut own = Vec::new();
    for (_, package) in members(&metadata) {
        let manifest: toml::Table = fs::read_to_string(&package.manifest_path).unwrap().parse().unwrap();
        let inherits = |table: &str, key: Option<&str>| {
            let value = manifest.get(table).and_then(|table| key.map_or(Some(table), |key| table.get(key)));
            value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
        };
        if !inherits("lints", None) {
            own.push(format!("{}: [lints] workspace = true is missing", package.name));
        }
        for key in INHERITED.into_iter().filter(|key| !inherits("package", Some(key))) {
            own.push(format!("{}: {key}.workspace = true is missing", package.name));
        }
    }
    none(&own, "crates inherit from the workspace");
}

#[test]
fn every_crate_lies_where_the_workspace_says() {
    let metadata = metadata();
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let listed = manifest["workspace"]["members"].as_array().unwrap();
    let listed: Vec<PathBuf> =
        listed.iter().map(|member| root().join(member.as_str().unwrap()).join("Cargo.toml")).collect();
    let missing = members(&metadata)
        .into_iter()
        .filter(|(_, package)| !listed.iter().any(|path| path == package.manifest_path.as_std_path()))
        .map(|(_, package)| package.manifest_path.to_string())
        .collect::<Vec<_>>();
    none(&missing, "members are listed by folder in Cargo.toml");
}
