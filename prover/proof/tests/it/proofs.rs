//! Honest proofs, and requests that do not fit together.

use std::collections::BTreeSet;

use halo2_proofs::circuit::Value;
use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field;
use vouch_proof::{
    CircuitDigest, DevelopmentSeed, DirectBackend, Halo2Backend, KeySpec, ProofError, ProofFile, ProofRequest,
    ProvingKey, Srs, prove, verify,
};

use crate::circuits::{Chain, Shuffle};
use crate::fixtures::{K, SHUFFLED, STEPS, chain_key, chain_spec, prove_chain, prove_shuffle, rng, shuffle_key, srs};

#[test]
fn an_honest_proof_verifies_and_reports_its_stages() {
    let proven = prove_chain(2, &Chain::instances(2, STEPS), 1).unwrap();
    verify(chain_key().verifying(), &proven.proof).unwrap();
    assert_eq!(proven.proof.bytes.len(), chain_key().verifying().proof_length());
    let stages = proven.stages;
    assert!(stages.commit.as_nanos() > 0);
    assert!(stages.quotient.as_nanos() > 0);
    assert!(stages.open.as_nanos() > 0);
    assert!(stages.commit + stages.quotient + stages.open <= proven.create_proof);
    let names: Vec<_> = proven.spans().into_keys().collect();
    assert_eq!(names, ["commit", "create_proof", "open", "quotient", "self_verify"]);
    assert!(proven.peak_memory_bytes.is_none_or(|bytes| bytes > 1 << 20));
}

#[test]
fn a_proof_over_two_phases_and_a_challenge_verifies() {
    let (a, b) = SHUFFLED;
    let proven = prove_shuffle(&a, &b, &Shuffle::instances(&a), 1).unwrap();
    verify(shuffle_key().verifying(), &proven.proof).unwrap();
    assert_eq!(proven.proof.bytes.len(), shuffle_key().verifying().proof_length());
}

#[test]
fn a_witness_that_breaks_a_constraint_yields_no_proof() {
    let mut instances = Chain::instances(2, STEPS);
    instances[2] += Fr::ONE;
    let error = prove_chain(2, &instances, 1).unwrap_err();
    assert!(matches!(error, ProofError::SelfVerification { .. }), "{error}");

    let error = prove_shuffle(&[3, 1, 4, 5], &[5, 4, 3, 2], &Shuffle::instances(&[3]), 1).unwrap_err();
    assert!(matches!(error, ProofError::SelfVerification { .. }), "{error}");
}

#[test]
fn two_proofs_of_one_witness_share_no_word_that_depends_on_it() {
    let (a, b) = SHUFFLED;
    let instances = Shuffle::instances(&a);
    let words = |seed| -> BTreeSet<Vec<u8>> {
        let proof = prove_shuffle(&a, &b, &instances, seed).unwrap().proof;
        proof.bytes.chunks(32).map(<[u8]>::to_vec).collect()
    };
    assert!(words(1).is_disjoint(&words(2)));
}

#[test]
fn a_statement_with_another_number_of_words_is_refused() {
    let instances = Chain::instances(2, STEPS);
    for wrong in [&instances[..2], &[], &[instances.clone(), vec![Fr::ZERO]].concat()] {
        let error = prove_chain(2, wrong, 1).unwrap_err();
        assert!(matches!(error, ProofError::InstanceCount { got, want: 3 } if got == wrong.len()), "{error}");
    }
    // Padding with zeros leaves the instance polynomial as it is: only the count tells them apart.
    let mut proof = prove_chain(2, &instances, 1).unwrap().proof;
    proof.instances.push(Fr::ZERO);
    let error = verify(chain_key().verifying(), &proof).unwrap_err();
    assert!(matches!(error, ProofError::InstanceCount { got: 4, want: 3 }), "{error}");
}

#[test]
fn another_circuit_than_the_keys_is_refused_before_proving() {
    let (a, b) = SHUFFLED;
    let request = ProofRequest {
        circuit: &Shuffle::new(&a, &b),
        key: chain_key(),
        srs: srs(),
        instances: &Chain::instances(2, STEPS),
    };
    let error = prove(&DirectBackend, &request, rng(1)).unwrap_err();
    assert!(matches!(error, ProofError::CircuitShape { .. }), "{error}");
}

#[test]
fn another_setup_than_the_keys_is_refused_before_proving() {
    let other = Srs::development(K, DevelopmentSeed([9; 32])).unwrap();
    let request = ProofRequest {
        circuit: &Chain::new(2, STEPS),
        key: chain_key(),
        srs: &other,
        instances: &Chain::instances(2, STEPS),
    };
    let error = prove(&DirectBackend, &request, rng(1)).unwrap_err();
    assert!(
        matches!(error, ProofError::OtherSrs { made_with, given }
            if made_with == srs().digest() && given == other.digest()),
        "{error}"
    );
}

#[test]
fn a_witness_with_an_unknown_value_is_an_error_and_no_panic() {
    let circuit = Chain { a: Value::unknown(), steps: STEPS };
    let request =
        ProofRequest { circuit: &circuit, key: chain_key(), srs: srs(), instances: &Chain::instances(2, STEPS) };
    let error = prove(&DirectBackend, &request, rng(1)).unwrap_err();
    assert!(matches!(error, ProofError::UnknownWitness { column: 0, row: 0 }), "{error}");
    let error = prove(&Halo2Backend, &request, rng(1)).unwrap_err();
    assert!(matches!(error, ProofError::Halo2Panicked { during: "proving", .. }), "{error}");
}

#[test]
fn a_proof_under_another_key_setup_or_circuit_is_rejected() {
    let instances = Chain::instances(2, STEPS);
    let proof = prove_chain(2, &instances, 1).unwrap().proof;

    // Other constants: the same shape, another model.
    let circuit = Chain::new(2, STEPS - 1);
    let other = ProvingKey::generate(srs(), &circuit, chain_spec()).unwrap();
    assert_ne!(other.verifying().digest(), chain_key().verifying().digest());
    let error = verify(other.verifying(), &proof).unwrap_err();
    assert!(matches!(error, ProofError::ProofRejected { .. }), "{error}");

    let other_srs = Srs::development(K, DevelopmentSeed([9; 32])).unwrap();
    let other = ProvingKey::generate(&other_srs, &Chain::new(2, STEPS), chain_spec()).unwrap();
    let error = verify(other.verifying(), &proof).unwrap_err();
    assert!(matches!(error, ProofError::ProofRejected { .. }), "{error}");

    let error = verify(shuffle_key().verifying(), &proof).unwrap_err();
    assert!(matches!(error, ProofError::InstanceCount { .. }), "{error}");
}

#[test]
fn the_number_of_words_is_part_of_the_keys_digest() {
    let spec = KeySpec { instances: 4, ..chain_spec() };
    let other = ProvingKey::generate(srs(), &Chain::new(2, STEPS), spec).unwrap();
    assert_ne!(other.verifying().digest(), chain_key().verifying().digest());
}

#[test]
fn a_proof_file_survives_the_disk_and_names_foreign_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proof.json");
    let proven = prove_chain(2, &Chain::instances(2, STEPS), 1).unwrap();
    let key = chain_key().verifying();
    ProofFile::new(key, &proven).write(&path).unwrap();

    let file = ProofFile::read(&path).unwrap();
    assert_eq!(file.marking.as_deref(), Some("INSECURE"));
    let proof = file.proof_for(key, &path).unwrap();
    assert_eq!(proof, proven.proof);
    verify(key, &proof).unwrap();

    let error = file.proof_for(shuffle_key().verifying(), &path).unwrap_err();
    assert!(matches!(error, ProofError::OtherCircuit { .. }), "{error}");
    let mut foreign = file.clone();
    foreign.vk_digest = shuffle_key().verifying().digest();
    let error = foreign.proof_for(key, &path).unwrap_err();
    assert!(matches!(error, ProofError::OtherKey { .. }), "{error}");
    let mut foreign = file.clone();
    foreign.srs_digest.0[0] ^= 1;
    let error = foreign.proof_for(key, &path).unwrap_err();
    assert!(matches!(error, ProofError::OtherSrsFile { .. }), "{error}");
    let mut foreign = file.clone();
    foreign.model_digest = CircuitDigest([7; 32]);
    let error = foreign.proof_for(key, &path).unwrap_err();
    assert!(matches!(error, ProofError::OtherCircuit { .. }), "{error}");
    let mut foreign = file;
    foreign.context = foreign.instances[1].clone();
    let error = foreign.proof_for(key, &path).unwrap_err();
    assert!(matches!(error, ProofError::BadHex { .. }), "{error}");
}
