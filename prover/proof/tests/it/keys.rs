//! Key generation refuses what halo2 would let pass, and key files hold what they say.

use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::halo2curves::bn256::{Fr, G2Affine};
use halo2_proofs::halo2curves::ff::{Field, PrimeField};
use halo2_proofs::halo2curves::serde::SerdeObject;
use halo2_proofs::plonk::{Advice, Circuit, Column, ConstraintSystem, Error, Instance, Selector};
use halo2_proofs::poly::Rotation;
use vouch_proof::artefact::{Artefact, Expected, Kind};
use vouch_proof::vk_digest;
use vouch_proof::{
    CircuitDigest, DirectBackend, KeySpec, ProofError, ProofRequest, ProvingKey, VerifyingKey, prove, verify,
};

use crate::circuits::{Chain, Shuffle};
use crate::fixtures::{SHUFFLED, STEPS, chain_key, chain_spec, prove_chain, rng, shuffle_key, srs};

/// One circuit with one thing wrong at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Misfit {
    #[default]
    None,
    DegreeAboveTheCap,
    DegreeSetTooHigh,
    Lookup,
    TwoInstanceColumns,
    AliasedRotations,
    AdviceInBlindingRows,
    AdviceBeyondTheRows,
    SelectorInBlindingRows,
    CopyOutsideThePermutation,
    InstanceBeyondTheStatement,
}

#[derive(Debug, Clone, Copy, Default)]
struct MisfitCircuit(Misfit);

#[derive(Debug, Clone)]
struct MisfitConfig {
    misfit: Misfit,
    value: Column<Advice>,
    loose: Column<Advice>,
    q: Selector,
    instance: Column<Instance>,
}

impl Circuit<Fr> for MisfitCircuit {
    type Config = MisfitConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Misfit;

    fn params(&self) -> Misfit {
        self.0
    }

    fn without_witnesses(&self) -> Self {
        *self
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, misfit: Misfit) -> MisfitConfig {
        let value = meta.advice_column();
        let loose = meta.advice_column();
        let instance = meta.instance_column();
        let q = meta.complex_selector();
        meta.enable_equality(value);
        meta.enable_equality(instance);
        let power = if misfit == Misfit::DegreeAboveTheCap { 6 } else { 3 };
        meta.create_gate("power", |meta| {
            let q = meta.query_selector(q);
            let value = meta.query_advice(value, Rotation::cur());
            let loose = meta.query_advice(loose, Rotation::cur());
            let product = (1..power).fold(value.clone(), |product, _| product * value.clone());
            vec![q * (loose - product)]
        });
        match misfit {
            Misfit::DegreeSetTooHigh => meta.set_minimum_degree(5),
            Misfit::TwoInstanceColumns => {
                meta.instance_column();
            }
            Misfit::Lookup => {
                let table = meta.lookup_table_column();
                meta.lookup("table", |meta| vec![(meta.query_advice(value, Rotation::cur()), table)]);
            }
            Misfit::AliasedRotations => meta.create_gate("around", |meta| {
                let q = meta.query_selector(q);
                let cur = meta.query_advice(loose, Rotation::cur());
                let around = meta.query_advice(loose, Rotation(32));
                vec![q * (cur - around)]
            }),
            _ => {}
        }
        MisfitConfig { misfit, value, loose, q, instance }
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> MisfitConfig {
        Self::configure_with_params(meta, Misfit::None)
    }

    fn synthesize(&self, config: MisfitConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let (value, loose) = layouter.assign_region(
            || "power",
            |mut region| {
                config.q.enable(&mut region, 0)?;
                let value = region.assign_advice(config.value, 0, Value::known(Fr::from(2)));
                let loose = region.assign_advice(config.loose, 0, Value::known(Fr::from(8)));
                match config.misfit {
                    Misfit::AdviceInBlindingRows => {
                        region.assign_advice(config.loose, 29, Value::known(Fr::ONE));
                    }
                    Misfit::AdviceBeyondTheRows => {
                        region.assign_advice(config.loose, 40, Value::known(Fr::ONE));
                    }
                    Misfit::SelectorInBlindingRows => config.q.enable(&mut region, 30)?,
                    _ => {}
                }
                Ok((value.cell(), loose.cell()))
            },
        )?;
        if config.misfit == Misfit::CopyOutsideThePermutation {
            layouter.constrain_instance(loose, config.instance, 1);
        }
        let row = if config.misfit == Misfit::InstanceBeyondTheStatement { 2 } else { 1 };
        layouter.constrain_instance(value, config.instance, row);
        Ok(())
    }
}

fn generate(misfit: Misfit) -> Result<ProvingKey, ProofError> {
    let spec = KeySpec { circuit: CircuitDigest([4; 32]), instances: 2 };
    ProvingKey::generate(srs(), &MisfitCircuit(misfit), spec)
}

#[test]
fn the_circuit_without_a_misfit_is_accepted_and_proves() {
    let key = generate(Misfit::None).unwrap();
    let request = ProofRequest {
        circuit: &MisfitCircuit(Misfit::None),
        key: &key,
        srs: srs(),
        instances: &[Fr::ZERO, Fr::from(2)],
    };
    prove(&DirectBackend, &request, rng(1)).unwrap();
}

#[test]
fn a_degree_above_halo2s_cap_is_refused() {
    let error = generate(Misfit::DegreeAboveTheCap).unwrap_err();
    assert!(matches!(error, ProofError::DegreeMismatch { declared: 5, actual: 7 }), "{error}");
}

#[test]
fn a_degree_that_no_constraint_reaches_is_refused() {
    let error = generate(Misfit::DegreeSetTooHigh).unwrap_err();
    assert!(matches!(error, ProofError::DegreeMismatch { declared: 5, actual: 4 }), "{error}");
}

#[test]
fn halo2_lookups_and_a_second_instance_column_are_refused_by_name() {
    for (misfit, named) in [(Misfit::Lookup, "lookup"), (Misfit::TwoInstanceColumns, "2 instance columns")] {
        let error = generate(misfit).unwrap_err();
        assert!(matches!(&error, ProofError::Unsupported { what, .. } if what.contains(named)), "{error}");
    }
}

#[test]
fn rotations_that_are_one_row_are_refused() {
    let error = generate(Misfit::AliasedRotations).unwrap_err();
    assert!(matches!(error, ProofError::AliasedRotations { first: 0, second: 32, .. }), "{error}");
}

#[test]
fn cells_in_the_blinding_rows_or_beyond_are_refused() {
    for (misfit, at) in
        [(Misfit::AdviceInBlindingRows, 29), (Misfit::AdviceBeyondTheRows, 40), (Misfit::SelectorInBlindingRows, 30)]
    {
        let error = generate(misfit).unwrap_err();
        assert!(matches!(error, ProofError::RowOutOfReach { row, usable: 26, .. } if row == at), "{error}");
    }
}

#[test]
fn a_copy_from_a_column_outside_the_permutation_is_refused() {
    let error = generate(Misfit::CopyOutsideThePermutation).unwrap_err();
    assert!(matches!(&error, ProofError::NotInPermutation { column } if column == "advice column 1"), "{error}");
}

#[test]
fn an_instance_word_that_the_statement_lacks_is_refused() {
    let error = generate(Misfit::InstanceBeyondTheStatement).unwrap_err();
    assert!(matches!(error, ProofError::InstanceOutOfReach { row: 2, instances: 2 }), "{error}");
}

#[test]
fn a_statement_longer_than_the_usable_rows_is_refused() {
    let spec = KeySpec { instances: 27, ..chain_spec() };
    let error = ProvingKey::generate(srs(), &Chain::new(2, STEPS), spec).unwrap_err();
    assert!(matches!(error, ProofError::RowOutOfReach { row: 26, .. }), "{error}");
}

#[test]
fn a_circuit_with_too_many_rows_is_refused() {
    let error = ProvingKey::generate(srs(), &Chain::new(2, 40), chain_spec()).unwrap_err();
    assert!(matches!(error, ProofError::RowOutOfReach { .. }), "{error}");
}

#[test]
fn stored_keys_prove_and_verify_like_fresh_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (pk, vk) = (folder.path().join("pk"), folder.path().join("vk"));
    shuffle_key().save(&pk).unwrap();
    shuffle_key().verifying().save(&vk).unwrap();
    let circuit = CircuitDigest([2; 32]);
    let key = ProvingKey::load::<Shuffle>(&pk, circuit, ()).unwrap();
    assert_eq!(key.verifying().digest(), shuffle_key().verifying().digest());
    let (a, b) = SHUFFLED;
    let request =
        ProofRequest { circuit: &Shuffle::new(&a, &b), key: &key, srs: srs(), instances: &Shuffle::instances(&a) };
    let proof = prove(&DirectBackend, &request, rng(3)).unwrap().proof;
    let verifying = VerifyingKey::load::<Shuffle>(&vk, circuit, ()).unwrap();
    verify(&verifying, &proof).unwrap();
    verify(shuffle_key().verifying(), &proof).unwrap();
}

#[test]
fn the_setup_is_part_of_the_digest() {
    let key = chain_key().verifying();
    let digest = |tau_g2: &G2Affine| vk_digest::digest(key.halo2(), tau_g2, key.instances()).unwrap();
    assert_eq!(digest(&key.verify_g2()), key.digest());
    assert_ne!(digest(&G2Affine::generator()), key.digest());
}

#[test]
fn a_key_of_another_circuit_under_the_same_digest_is_malformed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pk");
    chain_key().save(&path).unwrap();
    let error = ProvingKey::load::<Shuffle>(&path, chain_spec().circuit, ()).unwrap_err();
    assert!(matches!(error, ProofError::Malformed { .. }), "{error}");
}

#[test]
fn a_key_body_that_makes_no_sense_is_an_error_though_its_digest_fits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pk");
    chain_key().save(&path).unwrap();
    let honest = Artefact::read(&path, &Expected::any(Kind::ProvingKey)).unwrap();
    let description: serde_json::Value = honest.description(&path).unwrap();
    let load = |description: &serde_json::Value, body: &[u8]| {
        Artefact::write(&path, honest.stamp(), description, |file| file.write_all(body)).unwrap();
        ProvingKey::load::<Chain>(&path, chain_spec().circuit, ()).unwrap_err()
    };
    let body = honest.body();
    for length in [0, 63, 64, 200, body.len() / 2, body.len() - 1] {
        let error = load(&description, &body[..length]);
        assert!(matches!(error, ProofError::Malformed { .. }), "{error}");
    }
    let mut changed = body.to_vec();
    changed.push(0);
    let error = load(&description, &changed);
    assert!(error.to_string().contains("1 bytes follow"), "{error}");
    let mut changed = body.to_vec();
    changed[0] ^= 1;
    let error = load(&description, &changed);
    assert!(error.to_string().contains("not on the curve"), "{error}");
    let mut changed = body.to_vec();
    let end = changed.len();
    changed[end - 32..].fill(0xff);
    let error = load(&description, &changed);
    assert!(error.to_string().contains("below the modulus"), "{error}");
    for (field, value) in [
        ("k", serde_json::json!(6)),
        ("k", serde_json::json!(1)),
        ("degree", serde_json::json!(5)),
        ("instances", serde_json::json!(4)),
        ("tau_g2", serde_json::json!("0x00")),
        // A setup of the forger's own, for example tau = 1.
        ("tau_g2", serde_json::json!(format!("0x{}", hex::encode(G2Affine::generator().to_raw_bytes())))),
        ("vk_digest", serde_json::json!(format!("0x{}", "00".repeat(32)))),
    ] {
        let mut changed = description.clone();
        changed[field] = value;
        let error = load(&changed, body);
        assert!(matches!(error, ProofError::Malformed { .. }), "{field}: {error}");
    }
    for k in [0, 29, u32::MAX] {
        let mut changed = description.clone();
        changed["k"] = serde_json::json!(k);
        let error = load(&changed, body);
        assert!(matches!(error, ProofError::RowsOutOfRange { .. }), "{error}");
    }
}

#[test]
fn a_key_with_wrong_polynomials_makes_no_proof_that_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pk");
    chain_key().save(&path).unwrap();
    let honest = Artefact::read(&path, &Expected::any(Kind::ProvingKey)).unwrap();
    let description: serde_json::Value = honest.description(&path).unwrap();
    let mut body = honest.body().to_vec();
    // A coefficient of the last permutation polynomial.
    let place = body.len() - 40;
    body[place] ^= 1;
    Artefact::write(&path, honest.stamp(), &description, |file| file.write_all(&body)).unwrap();
    let key = ProvingKey::load::<Chain>(&path, chain_spec().circuit, ()).unwrap();
    let request =
        ProofRequest { circuit: &Chain::new(2, STEPS), key: &key, srs: srs(), instances: &Chain::instances(2, STEPS) };
    let error = prove(&DirectBackend, &request, rng(1)).unwrap_err();
    assert!(matches!(error, ProofError::SelfVerification { .. }), "{error}");
    prove_chain(2, &Chain::instances(2, STEPS), 1).unwrap();
}

#[test]
fn the_canonical_encoding_of_a_small_key_is_pinned() {
    let key = chain_key().verifying();
    let encoding = vk_digest::encode(key.halo2(), &key.verify_g2(), 3).unwrap();
    let g2 = key.verify_g2();
    let setup: Vec<u8> = [g2.x.c1, g2.x.c0, g2.y.c1, g2.y.c0]
        .iter()
        .flat_map(|coordinate| coordinate.to_repr().into_iter().rev().collect::<Vec<_>>())
        .collect();
    let shape: Vec<u8> = [
        b"VOUCHVK2".as_slice(),
        &setup,
        // instances, k, degree, blinding; instance, fixed, advice columns; phase; challenges
        &[0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 5],
        &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0],
        // one constraint: step * (((next + -(cur * cur * cur)) + -constant)
        &[0, 0, 0, 1, 7, 1, 0, 0, 0, 1, 0, 0, 0, 0, 6, 6],
        &[2, 0, 0, 0, 0, 0, 0, 0, 1, 5, 7, 7],
        &[2, 0, 0, 0, 0, 0, 0, 0, 0],
        &[2, 0, 0, 0, 0, 0, 0, 0, 0],
        &[2, 0, 0, 0, 0, 0, 0, 0, 0],
        &[5, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        // advice queries (0, cur), (0, next); instance (0, cur); fixed (0, cur), (1, cur)
        &[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
        // permutation: advice 0, instance 0; two fixed commitments follow
        &[0, 0, 0, 2, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0],
        &[0, 0, 0, 2],
    ]
    .concat();
    assert_eq!(encoding[..shape.len()], shape);
    assert_eq!(encoding.len(), shape.len() + 2 * 64 + 4 + 2 * 64);
    assert_eq!(
        chain_key().verifying().digest().to_string(),
        "0x038bd6e4d0d47ad4a550a1a63b63e149a2ac75a4446819c25c65818796c3accf"
    );
}
