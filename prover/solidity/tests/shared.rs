//! One verifier for all keys of a constraint system, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod circuits;

use alloy_primitives::{B256, U256};
use circuits::{Keyed, Recipe};
use halo2_proofs::halo2curves::bn256::G2Affine;
use vouch_solidity::{Evm, Rules, encode_calldata, shared_creation, shared_solidity};

/// Keys of one constraint system: other fixed values, other numbers of rows and of instances.
fn keys() -> [Recipe; 4] {
    let recipe = Recipe { instance_rotations: vec![0, -1], ..Recipe::default() };
    [
        recipe.clone(),
        Recipe { fixed_seed: 9, ..recipe.clone() },
        Recipe { k: 8, ..recipe.clone() },
        Recipe { instances: 12, k: 5, ..recipe },
    ]
}

#[test]
fn one_verifier_serves_every_key_of_its_constraint_system() {
    let keyed: Vec<Keyed> = keys().iter().map(Keyed::new).collect();
    let source = keyed[0].shared_source();
    assert_eq!(source, shared_solidity(keyed[0].vk().cs(), "Verifier").unwrap());
    let compiled = vouch_solidity::compile(&source, &circuits::solc()).unwrap();
    for (i, own) in keyed.iter().enumerate() {
        assert_eq!(own.shared_source(), source, "key {i}");
        let creation = shared_creation(&compiled.creation, &own.params.s_g2);
        let deployed = Evm::new(Rules::Osaka).deploy_shared(&creation, &own.key()).unwrap();
        let (instances, proof) = own.prove(5);
        let outcome = deployed.model.verify(&encode_calldata(&instances, &proof)).unwrap();
        assert!(outcome.verified, "key {i}: {outcome:?}");
        assert_eq!(deployed.model.vk_digest().unwrap(), B256::from(own.params.vk_digest));
        assert_eq!(deployed.model.srs_digest().unwrap(), B256::from(own.params.srs_digest));
        assert_eq!(deployed.model.instance_count().unwrap(), U256::from(own.params.instances));
        // A proof made under one key verifies under no other.
        for (j, other) in keyed.iter().enumerate().filter(|(j, _)| *j != i) {
            let (instances, proof) = other.prove(5);
            let outcome = deployed.model.verify(&encode_calldata(&instances, &proof)).unwrap();
            assert!(!outcome.verified, "key {i} accepts a proof of key {j}");
        }
    }
}

#[test]
fn a_verifier_without_a_key_refuses_everything_by_name() {
    let keyed = Keyed::new(&Recipe::default());
    let (instances, proof) = keyed.prove(5);
    let calldata = encode_calldata(&instances, &proof);
    let deployed = keyed.deploy_shared(Evm::new(Rules::Cancun));
    let outcome = deployed.verifier.verify(&calldata).unwrap();
    assert_eq!(outcome.error_name.as_deref(), Some("KeyOfAnotherShape"), "{outcome:?}");
    assert!(deployed.verifier.vk_digest().is_err());
    assert!(deployed.verifier.instance_count().is_err());
}

#[test]
fn a_key_of_another_constraint_system_is_refused_by_name() {
    let keyed = Keyed::new(&Recipe::default());
    let other = Keyed::new(&Recipe { degree: 6, ..Recipe::default() });
    let (instances, proof) = other.prove(5);
    let deployed = Evm::new(Rules::Cancun).deploy_shared(&keyed.compile_shared(), &other.key()).unwrap();
    let outcome = deployed.model.verify(&encode_calldata(&instances, &proof)).unwrap();
    assert_eq!(outcome.error_name.as_deref(), Some("KeyOfAnotherShape"), "{outcome:?}");
    assert!(deployed.model.vk_digest().is_err());
}

#[test]
fn the_model_contract_fixes_verifier_and_key() {
    let keyed = Keyed::new(&Recipe::default());
    let key = keyed.key();
    let one = key.contract([1; 20].into());
    assert!(one.runtime.ends_with(key.bytes()));
    assert!(one.runtime.len() <= vouch_solidity::MAX_RUNTIME_BYTES);
    assert_ne!(one.code_hash(), key.contract([2; 20].into()).code_hash());
    let deployed = keyed.deploy_shared(Evm::new(Rules::Cancun));
    assert!(deployed.model.runtime().ends_with(key.bytes()));
}

#[test]
fn a_degenerate_setup_cannot_be_deployed() {
    let keyed = Keyed::new(&Recipe::default());
    let compiled = vouch_solidity::compile(&keyed.shared_source(), &circuits::solc()).unwrap();
    let evm = Evm::new(Rules::Cancun);
    let own = keyed.params.s_g2;
    let off_curve = G2Affine { x: own.y, y: own.x };
    // On the curve, and not of the group's order: found by trying small x.
    let outside = circuits::outside_the_subgroup();
    for (what, point) in [
        ("identity", G2Affine { x: own.x - own.x, y: own.x - own.x }),
        ("generator", G2Affine::generator()),
        ("off the curve", off_curve),
        ("outside the subgroup", outside),
    ] {
        let refused = evm.deploy(&shared_creation(&compiled.creation, &point));
        assert!(refused.is_err(), "{what} is accepted");
    }
    assert!(evm.deploy(&shared_creation(&compiled.creation, &own)).is_ok());
    assert!(evm.deploy(&compiled.creation).is_err(), "no argument is accepted");
}
