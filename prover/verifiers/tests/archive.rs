//! The archive holds the verifiers of the sources that the generator writes today.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy_primitives::keccak256;
use vouch_circuit::{Shape, standard_shapes};
use vouch_solidity::MAX_RUNTIME_BYTES;
use vouch_verifiers::{Archive, Entry, Index, compress, precompiled, source};

#[test]
fn every_standard_shape_is_in_the_archive_by_its_source() {
    let archive = Archive::embedded().unwrap();
    let shapes = standard_shapes();
    assert_eq!(archive.index().verifiers.len(), shapes.len());
    for (shape, entry) in shapes.iter().zip(&archive.index().verifiers) {
        let hash = keccak256(source(shape).unwrap());
        assert_eq!((shape.to_string(), hash), (entry.shape.clone(), entry.source), "run `script/bless verifiers`");
        assert!(entry.runtime_bytes <= MAX_RUNTIME_BYTES, "{shape}");
    }
}

#[test]
fn the_code_of_the_first_and_the_last_is_what_the_index_says() {
    let shapes = standard_shapes();
    for shape in [&shapes[0], &shapes[shapes.len() / 2], &shapes[shapes.len() - 1]] {
        let found = precompiled(&source(shape).unwrap()).unwrap().unwrap();
        assert!(found.creation.len() > found.runtime_bytes, "{shape}");
        assert!(found.abi.is_array() && found.compiler.starts_with("0.8.30"), "{found:?}");
    }
}

#[test]
fn a_shape_beyond_the_standard_ones_is_not_in_it() {
    let wide = Shape { weight_lanes: 5, ..Shape::default() };
    assert!(precompiled(&source(&wide).unwrap()).unwrap().is_none());
}

fn small() -> (Index, Vec<u8>) {
    let codes: [&[u8]; 2] = [&[1; 300], &[2; 500]];
    let entry = |(i, code): (usize, &&[u8])| Entry {
        shape: format!("shape {i}"),
        source: keccak256(format!("source {i}")),
        creation: keccak256(code),
        creation_bytes: code.len(),
        runtime_bytes: 9,
    };
    let verifiers = codes.iter().enumerate().map(entry).collect();
    (Index { compiler: "0".to_owned(), abi: serde_json::Value::Null, verifiers }, compress(codes).unwrap())
}

#[test]
fn a_damaged_archive_is_refused_by_the_shape() {
    let (mut index, code) = small();
    let text = |index: &Index| serde_json::to_string(index).unwrap();
    let found = Archive::new(&text(&index), &code).unwrap().find("source 1").unwrap().unwrap();
    assert_eq!(found.creation, vec![2; 500]);
    let fails = |index: &Index, code: &[u8]| {
        let error = Archive::new(&text(index), code).unwrap().find("source 1").unwrap_err().to_string();
        assert!(error.contains("shape 1") && error.contains("damaged"), "{error}");
    };
    fails(&index, &code[..code.len() / 2]);
    fails(&index, &[]);
    index.verifiers[0].creation_bytes += 1;
    fails(&index, &code);
    assert!(Archive::new("{", &code).is_err());
}
