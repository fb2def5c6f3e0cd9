//! The lists of deny.toml, over `cargo metadata`: licences, banned crates, sources.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    process::Command,
};

use vouch_tests::root;

use crate::{crates::metadata, files::none};

/// What deny.toml allows.
struct Policy {
    licences: Vec<String>,
    exceptions: HashMap<String, Vec<String>>,
    banned: Vec<String>,
    registries: Vec<String>,
}

fn strings(value: Option<&toml::Value>) -> Vec<String> {
    let list = value.and_then(toml::Value::as_array).expect("deny.toml has the list");
    list.iter().map(|item| item.as_str().expect("a string").to_owned()).collect()
}

impl Policy {
    fn read() -> Self {
        let file: toml::Table = fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap();
        let name = |table: &toml::Value| table["crate"].as_str().expect("a crate's name").to_owned();
        let exceptions = file["licenses"]["exceptions"].as_array().unwrap();
        Self {
            licences: strings(file["licenses"].get("allow")),
            exceptions: exceptions.iter().map(|e| (name(e), strings(e.get("allow")))).collect(),
            banned: file["bans"]["deny"].as_array().unwrap().iter().map(name).collect(),
            registries: strings(file["sources"].get("allow-registry")),
        }
    }
}

/// Whether `allowed` licences satisfy an SPDX expression; `None` where it is malformed.
///
/// `OR` binds weaker than `AND`; `/` is how old manifests write `OR`.
fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let value = any(&tokens, &mut at, allowed)?;
    (at == tokens.len()).then_some(value)
}

fn any(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut value = all(tokens, at, allowed)?;
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        value |= all(tokens, at, allowed)?;
    }
    Some(value)
}

fn all(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut value = one(tokens, at, allowed)?;
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        value &= one(tokens, at, allowed)?;
    }
    Some(value)
}

fn one(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let token = *tokens.get(*at)?;
    *at += 1;
    match token {
        "(" => {
            let value = any(tokens, at, allowed)?;
            let closed = tokens.get(*at) == Some(&")");
            *at += 1;
            closed.then_some(value)
        }
        "AND" | "OR" | "WITH" | ")" => None,
        licence if tokens.get(*at) == Some(&"WITH") => {
            let exception = tokens.get(*at + 1)?;
            *at += 2;
            Some(allowed(&format!("{licence} WITH {exception}")))
        }
        licence => Some(allowed(licence)),
    }
}

#[test]
fn every_dependency_has_an_allowed_licence() {
    let policy = Policy::read();
    let mut refused = Vec::new();
    for package in metadata().packages {
        let exceptions = policy.exceptions.get(package.name.as_str());
        let allowed = |licence: &str| {
            let listed = |list: &Vec<String>| list.iter().any(|l| l == licence);
            listed(&policy.licences) || exceptions.is_some_and(listed)
        };
        let verdict = package.license.as_deref().and_then(|expression| satisfied(expression, &allowed));
        if verdict != Some(true) {
            let licence = package.license.as_deref().unwrap_or("no licence expression");
            refused.push(format!("{} {}: {licence}", package.name, package.version));
        }
    }
    none(&refused, "deny.toml allows no such licence");
}

#[test]
fn no_banned_crate_is_a_dependency() {
    let policy = Policy::read();
    let banned: Vec<_> = metadata()
        .packages
        .iter()
        .filter(|package| policy.banned.iter().any(|name| *name == package.name.as_str()))
        .map(|package| format!("{} {}", package.name, package.version))
        .collect();
    none(&banned, "deny.toml bans these crates");
}

#[test]
fn every_dependency_comes_from_an_allowed_registry() {
    let policy = Policy::read();
    let metadata = metadata();
    let foreign: Vec<_> = metadata
        .packages
        .iter()
        .filter(|package| !metadata.workspace_members.contains(&package.id))
        .filter(|package| {
            let source = package.source.as_ref().map_or("a path", |source| source.repr.as_str());
            !policy.registries.iter().any(|registry| source == format!("registry+{registry}"))
        })
        .map(|package| format!("{} {}", package.name, package.version))
        .collect();
    none(&foreign, "deny.toml allows no such source");
}

#[test]
fn licence_expressions_follow_precedence_and_malformed_ones_have_no_verdict() {
    let mit = |licence: &str| licence == "MIT";
    assert_eq!(satisfied("MIT/Apache-2.0", &mit), Some(true));
    assert_eq!(satisfied("(MIT OR Apache-2.0) AND Unicode-3.0", &mit), Some(false));
    assert_eq!(satisfied("MIT OR Apache-2.0 AND Unicode-3.0", &mit), Some(true));
    assert_eq!(satisfied("MIT WITH LLVM-exception", &mit), Some(false));
    for malformed in ["", "MIT OR", "(MIT", "MIT MIT", "AND"] {
        assert_eq!(satisfied(malformed, &mit), None, "{malformed}");
    }
}

/// Crates and their features as `cargo tree` lists them for some kinds of dependencies.
fn features(kinds: &str) -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--locked",
            "--offline",
            "--prefix",
            "none",
            "--format",
            "{p} {f}",
            "--edges",
            kinds,
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut crates = BTreeMap::<_, BTreeSet<_>>::new();
    for line in String::from_utf8(output.stdout).unwrap().lines().filter(|line| !line.contains(" (/")) {
        let line = line.trim_end_matches(" (*)");
        let mut words = line.splitn(3, ' ');
        let name = format!("{} {}", words.next().unwrap(), words.next().unwrap_or_default());
        crates.entry(name).or_default().insert(words.next().unwrap_or_default().to_owned());
    }
    crates
}

#[test]
fn test_dependencies_switch_on_no_feature_of_what_the_programs_are_built_of() {
    let programs = features("normal,build");
    let tests = features("normal,build,dev");
    let rebuilt: Vec<_> = programs.iter().filter(|(name, features)| *features != &tests[*name]).collect();
    let findings: Vec<_> = rebuilt.iter().map(|(name, features)| format!("{name}: {features:?}")).collect();
    none(&findings, "tests must not compile a crate once more: switch its features on in tests/Cargo.toml");
}
