//! The description of a model's statement against what the circuit really makes.

use std::{fs, path::Path};

use serde_json::Value;
use vouch_graph::int::{IntGraph, Packing};
use vouch_solidity::{PortSpec, Role, StatementLayout, StatementValues, Subject};

use super::{compile, json, model_file, prepared};

fn layout_of(dir: &Path) -> StatementLayout {
    StatementLayout::from_json(&fs::read(dir.join("statement.json")).unwrap()).unwrap()
}

fn value(dir: &Path, file: &str) -> Value {
    serde_json::from_slice(&fs::read(dir.join(file)).unwrap()).unwrap()
}

#[test]
fn a_proofs_instances_are_read_by_name_and_written_again() {
    let dir = prepared();
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("proof.json");
    let input = model_file("input.json");
    let (path, proof_path) = (dir.to_str().unwrap(), proof.to_str().unwrap());
    let proven = json(&["prove", path, "--input", input.to_str().unwrap(), "--context", "0x1234", "--out", proof_path]);
    let ticks: Value = serde_json::from_slice(&fs::read(&input).unwrap()).unwrap();
    for more in [&[][..], &["--evm"]] {
        let said = json(&[&["verify", path, proof_path][..], more].concat())["statement"].clone();
        assert_eq!(said["context"], format!("0x{:064x}", 0x1234));
        assert_eq!(said["outputs"]["weight"]["integers"], proven["outputs"]["weight"]["integers"]);
        assert_eq!(said["outputs"]["weight"]["exponent"], proven["outputs"]["weight"]["exponent"]);
        let flat: Vec<i64> = ticks["ticks"].as_array().unwrap().iter().flat_map(numbers).collect();
        assert_eq!(numbers(&said["inputs"]["ticks"]["integers"]), flat);
    }
    let written = value(folder.path(), "proof.json")["instances"].clone();
    let instances: Vec<_> = written.as_array().unwrap().iter().map(|i| i.as_str().unwrap().parse().unwrap()).collect();
    let layout = layout_of(dir);
    assert_eq!(layout.encode(&layout.decode(&instances).unwrap()).unwrap(), instances);
}

fn numbers(value: &Value) -> Vec<i64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_i64().unwrap()],
    }
}

#[test]
fn the_folder_has_the_library_the_abi_and_the_readers_documentation() {
    let dir = prepared();
    let layout = layout_of(dir);
    assert_eq!(fs::read_to_string(dir.join("Statement.sol")).unwrap(), layout.solidity().unwrap());
    let reader = value(dir, "reader.json");
    assert_eq!(reader["contract"], "RebalancerReader");
    assert_eq!(reader["abi"], value(dir, "statement.abi.json"));
    assert_eq!(reader["model_digest"], layout.subject().model_digest);
    assert!(reader["userdoc"]["methods"]["decode(uint256[])"]["notice"].is_string());
    assert!(reader["creation"].as_str().unwrap().starts_with("0x60"));
    assert_eq!(value(dir, "verifier.json")["instances"], layout.instances());
}

#[test]
fn private_ports_are_left_out_and_bounds_are_what_a_proof_can_hold() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("private");
    compile(&dir, &["--input-visibility", "private"]);
    let layout = layout_of(&dir);
    let graph = IntGraph::from_json(&fs::read(dir.join("graph.json")).unwrap(), "graph.json").unwrap();
    let range = graph.tensor(graph.outputs[0].tensor).range;
    let [port] = layout.ports() else { panic!("{:?}", layout.ports()) };
    assert_eq!((port.spec.name.as_str(), port.spec.role, port.first_word), ("weight", Role::Output, 1));
    assert_eq!((i128::from(port.spec.minimum), i128::from(port.spec.maximum)), (range.lo, range.hi));
    assert!(!layout.subject().inputs_are_public);
    assert!(layout_of(prepared()).subject().inputs_are_public);
}

#[test]
fn words_are_those_of_the_packing_that_the_circuit_states() {
    let subject = Subject { model: "any".to_owned(), model_digest: String::new(), inputs_are_public: true };
    for bits in 1..=32 {
        for per_word in [1, 2, (248 / bits) as usize] {
            let half = 1i64 << (bits - 1);
            let spec = PortSpec {
                name: "values".to_owned(),
                role: Role::Output,
                shape: vec![19],
                bits,
                per_word,
                exponent: 0,
                minimum: -half,
                maximum: half - 1,
                minus_infinity: None,
            };
            let layout = StatementLayout::new(subject.clone(), vec![spec]).unwrap();
            let values: Vec<i64> = (0..19).map(|i| (-half + i * (i + 1) * 37 % (2 * half)).min(half - 1)).collect();
            let mut statement = StatementValues::default();
            statement.outputs.insert("values".to_owned(), values.clone());
            let made: Vec<[u8; 32]> =
                layout.encode(&statement).unwrap()[1..].iter().map(|word| word.to_be_bytes()).collect();
            assert_eq!(made, Packing { bits, per_word }.pack(&values).unwrap(), "{bits} bits, {per_word} a word");
        }
    }
}
