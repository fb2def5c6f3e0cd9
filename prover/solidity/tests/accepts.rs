//! Honest proofs are accepted, in code that fits a contract.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod circuits;

use alloy_primitives::{B256, U256};
use circuits::recipe::Lookup;
use circuits::{Keyed, Recipe};
use vouch_solidity::{Evm, EvmOutcome, Generator, Rules, SourceParts, encode_calldata};

fn accepts(recipe: &Recipe) -> EvmOutcome {
    let keyed = Keyed::new(recipe);
    let (instances, proof) = keyed.prove(7);
    assert!(keyed.native(&instances, &proof), "halo2 refuses its own proof: {recipe:?}");
    let compiled = keyed.compile();
    let calldata = encode_calldata(&instances, &proof);
    let outcomes = [Rules::Cancun, Rules::Prague, Rules::Osaka].map(|rules| {
        let verifier = Evm::new(rules).deploy(&compiled.creation).unwrap();
        assert_eq!(verifier.runtime_bytes(), compiled.runtime.len());
        let outcome = verifier.verify(&calldata).unwrap();
        assert!(outcome.verified, "{rules:?} {outcome:?} {recipe:?}");
        outcome
    });
    let shared = keyed.deploy_shared(Evm::new(Rules::Cancun));
    let through_key = shared.model.verify(&calldata).unwrap();
    assert!(through_key.verified, "shared: {through_key:?} {recipe:?}");
    println!(
        "single {} gas, shared {} gas; key {} bytes for {} gas",
        outcomes[0].gas,
        through_key.gas,
        keyed.key().bytes().len(),
        shared.model.deploy_gas()
    );
    // The parts add up to the whole.
    let single = Evm::new(Rules::Cancun).deploy(&compiled.creation).unwrap();
    for (verifier, source, gas) in
        [(&single, keyed.source(), outcomes[0].gas), (&shared.model, keyed.shared_source(), through_key.gas)]
    {
        let parts = SourceParts::compile(&source, &circuits::solc()).unwrap();
        let profile = verifier.profile(&calldata, &parts).unwrap();
        assert_eq!(profile.iter().map(|part| part.gas).sum::<u64>(), gas, "{profile:?}");
        let of = |name: &str| profile.iter().find(|part| part.name == name).unwrap_or_else(|| panic!("{name}")).gas;
        assert_eq!(of("pairing"), 113_000);
        assert_eq!(profile.iter().find(|part| part.name == "multiplications of points").unwrap().gas % 6_000, 0);
        assert!(of("Constraints at x") > 100 && of("Transcript") > 1_000, "{profile:?}");
        for part in &profile {
            println!("{:8} {}", part.gas, part.name);
        }
    }
    // The same code runs under all rules; Osaka charges more for the modular exponentiation.
    assert_eq!(outcomes[0].execution_gas, outcomes[1].execution_gas);
    assert!(outcomes[1].execution_gas < outcomes[2].execution_gas);
    let [cancun, ..] = outcomes;
    println!("{cancun:?}");
    cancun
}

#[test]
fn a_one_phase_circuit_without_permutation_is_accepted() {
    accepts(&Recipe { computed: vec![2], permuted: 0, ..Recipe::default() });
}

#[test]
fn a_two_phase_circuit_with_permutation_is_accepted() {
    accepts(&Recipe::default());
}

#[test]
fn a_circuit_without_instances_is_accepted() {
    accepts(&Recipe { instances: 0, permuted_instance: false, ..Recipe::default() });
}

#[test]
fn instances_queried_at_several_rotations_are_accepted() {
    accepts(&Recipe { instances: 7, instance_rotations: vec![-1, 0, 1], ..Recipe::default() });
}

#[test]
fn instances_by_the_hundred_are_accepted() {
    accepts(&Recipe { k: 10, instances: 900, instance_rotations: vec![0], ..Recipe::default() });
}

#[test]
fn a_fixed_column_that_commits_to_the_identity_is_accepted() {
    accepts(&Recipe { zero_fixed: true, ..Recipe::default() });
}

#[test]
fn lookups_of_halo2_in_both_phases_are_accepted() {
    let lookups = vec![
        Lookup { columns: 1, input_degree: 1, table_degree: 1, phase: 0 },
        Lookup { columns: 3, input_degree: 2, table_degree: 2, phase: 0 },
        Lookup { columns: 2, input_degree: 3, table_degree: 1, phase: 1 },
    ];
    accepts(&Recipe { lookups, ..Recipe::default() });
}

#[test]
fn a_circuit_of_lookups_without_permutation_is_accepted() {
    let lookups = vec![Lookup { columns: 2, input_degree: 2, table_degree: 1, phase: 0 }];
    accepts(&Recipe { computed: vec![1], permuted: 0, instances: 0, lookups, ..Recipe::default() });
}

#[test]
fn a_wide_circuit_fits_the_code_size_limit_and_costs_little_besides_its_precompiles() {
    let recipe = Recipe {
        k: 7,
        free: 30,
        computed: vec![5, 10],
        fixed: 24,
        permuted: 8,
        instances: 20,
        lanes: 25,
        ..Recipe::default()
    };
    let outcome = accepts(&recipe);
    assert!(outcome.runtime_bytes < 16_000, "{outcome:?}");
    assert!(outcome.execution_gas < 700_000, "{outcome:?}");
}

#[test]
fn the_contract_publishes_digests_and_instance_count() {
    let keyed = Keyed::new(&Recipe::default());
    let verifier = Evm::new(Rules::Cancun).deploy(&keyed.compile().creation).unwrap();
    assert_eq!(verifier.vk_digest().unwrap(), B256::from(keyed.params.vk_digest));
    assert_eq!(verifier.srs_digest().unwrap(), B256::from(keyed.params.srs_digest));
    assert_eq!(verifier.instance_count().unwrap(), U256::from(keyed.params.instances));
}

#[test]
fn the_same_key_gives_the_same_bytes() {
    let recipe = Recipe::default();
    let (a, b) = (Keyed::new(&recipe), Keyed::new(&recipe));
    assert_eq!(a.source(), b.source());
    assert_eq!(a.compile().creation, b.compile().creation);
}

#[test]
fn whole_transaction_gas_is_execution_plus_calldata_or_the_floor() {
    let keyed = Keyed::new(&Recipe::default());
    let (instances, proof) = keyed.prove(7);
    let calldata = encode_calldata(&instances, &proof);
    let zeros = calldata.iter().filter(|b| **b == 0).count() as u64;
    let others = calldata.len() as u64 - zeros;
    let creation = keyed.compile().creation;
    for rules in [Rules::Cancun, Rules::Prague] {
        let verifier = Evm::new(rules).deploy(&creation).unwrap();
        let outcome = verifier.verify(&calldata).unwrap();
        assert_eq!(outcome.gas, 21_000 + 4 * zeros + 16 * others + outcome.execution_gas);
        // Calldata that is refused at once: little execution, so the floor of EIP-7623 binds.
        let refused = verifier.verify(&[calldata.as_slice(), &[1; 4096]].concat()).unwrap();
        let others = others + 4096;
        let floor = 21_000 + 10 * (zeros + 4 * others);
        let standard = 21_000 + 4 * zeros + 16 * others + refused.execution_gas;
        let want = if rules == Rules::Cancun { standard } else { floor.max(standard) };
        assert_eq!(refused.gas, want, "{rules:?}");
    }
}

#[test]
fn a_key_made_by_another_seed_gives_another_verifier_which_refuses() {
    let recipe = Recipe::default();
    let keyed = Keyed::new(&recipe);
    let (instances, proof) = keyed.prove(7);
    let other = Keyed::new(&Recipe { seed: 2, ..recipe });
    let mut params = keyed.params.clone();
    for source in [
        Generator::new(other.vk(), &keyed.params).unwrap().solidity("Verifier").unwrap(),
        {
            params.s_g2 = other.params.s_g2;
            Generator::new(keyed.vk(), &params).unwrap().solidity("Verifier").unwrap()
        },
        {
            params = keyed.params.clone();
            params.vk_digest[31] ^= 1;
            Generator::new(keyed.vk(), &params).unwrap().solidity("Verifier").unwrap()
        },
    ] {
        let creation = vouch_solidity::compile(&source, &circuits::solc()).unwrap().creation;
        let verifier = Evm::new(Rules::Cancun).deploy(&creation).unwrap();
        let outcome = verifier.verify(&encode_calldata(&instances, &proof)).unwrap();
        assert!(!outcome.verified);
        let name = outcome.error_name.unwrap();
        assert!(["ProofRejected", "ProofLength"].contains(&name.as_str()), "{name}");
    }
}
