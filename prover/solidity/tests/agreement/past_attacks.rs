//! What verifiers have been broken by before, tried on ours.

use alloy_primitives::U256;
use alloy_sol_types::SolCall;

use crate::circuits::{Keyed, Recipe};
use crate::contracts::{Contract, calldata, compile_unoptimised, flat_calldata, reference_source, verifyCall};
use crate::mutation::{Case, R};
use crate::native::Twin;

/// A circuit with a proof, our contract and that of snark-verifier.
struct Target {
    keyed: Keyed,
    honest: Case,
    ours: Contract,
    theirs: Contract,
}

impl Target {
    fn new() -> Self {
        let keyed = Keyed::new(&Recipe { k: 5, instance_rotations: vec![0], ..Recipe::default() });
        let twin = Twin::new(&keyed).unwrap();
        let source = reference_source(&twin, keyed.recipe.instances).unwrap();
        let reference = compile_unoptimised(&[source]).remove(0).unwrap();
        let (instances, proof) = keyed.prove(2);
        let ours = Contract::deploy_shared(&keyed.compile_shared(), &keyed.key()).unwrap();
        let theirs = Contract::deploy(&reference).unwrap();
        let honest = Case::new(&instances, proof);
        assert!(ours.verdict(calldata(&honest)).accepted && theirs.verdict(flat_calldata(&honest)).accepted);
        Target { keyed, honest, ours, theirs }
    }
}

/// `x` and `x + r` are one scalar: a consumer that keeps used statements by their words takes the second for new.
#[test]
fn aliases_of_public_values_are_refused() {
    let target = Target::new();
    for i in 0..target.honest.instances.len() {
        let mut aliased = target.honest.clone();
        aliased.instances[i] += R;
        assert!(target.theirs.verdict(flat_calldata(&aliased)).accepted, "the attack works on what reduces its input");
        assert!(!target.ours.verdict(calldata(&aliased)).accepted, "instance {i}");
    }
}

/// Offsets that a wrapper follows and a verifier ignores: the wrapper acts on values that were never proven.
#[test]
fn arrays_elsewhere_than_a_fixed_reader_looks_are_refused() {
    let target = Target::new();
    let honest = calldata(&target.honest);
    let invented: Vec<U256> = target.honest.instances.iter().map(|word| *word ^ U256::from(1)).collect();
    // The honest arrays stay where a reader of fixed places looks; the offset points behind them.
    let mut split = honest.clone();
    let behind = U256::from(honest.len() - 4);
    split[4..36].copy_from_slice(&behind.to_be_bytes::<32>());
    split.extend(U256::from(invented.len()).to_be_bytes::<32>());
    split.extend(invented.iter().flat_map(|word| word.to_be_bytes::<32>()));
    let decoded = verifyCall::abi_decode(&split).unwrap();
    assert_eq!(
        (decoded.instances, decoded.proof),
        (invented, target.honest.proof.clone().into()),
        "what a wrapper reads"
    );
    assert!(!target.ours.verdict(split).accepted);
}

/// A verifier that takes its key from the caller accepts what the caller likes. Ours takes none: another key is another
/// contract, which accepts proofs of its own circuit and changes nothing for those who call the first.
#[test]
fn no_caller_chooses_the_key() {
    let target = Target::new();
    let own = Keyed::new(&Recipe { fixed_seed: 1, ..target.keyed.recipe.clone() });
    let attackers = Contract::deploy_shared(&own.compile_shared(), &own.key()).unwrap();
    let (instances, proof) = own.prove(2);
    let forged = Case::new(&instances, proof);
    assert!(attackers.verdict(calldata(&forged)).accepted);
    assert!(!target.ours.verdict(calldata(&forged)).accepted);
    let kept = target.keyed.key().contract([1; 20].into());
    assert_ne!(kept.code_hash(), own.key().contract([1; 20].into()).code_hash());
    assert_eq!(verifyCall::SIGNATURE, "verify(uint256[],bytes)", "there is no argument for a key");
}

/// Where the last challenge does not depend on the commitment before it, that commitment can be solved for.
#[test]
fn the_last_challenge_depends_on_every_word_but_the_last_commitment() {
    let target = Target::new();
    let last = |case: &Case| *target.ours.verdict(calldata(case)).challenges.last().unwrap();
    let honest = last(&target.honest);
    let words = target.honest.proof.len() / 32;
    for word in 0..words {
        let mut changed = target.honest.clone();
        // Points and scalars alike: what is hashed is hashed before it is looked at.
        changed.proof[32 * word + 31] ^= 1;
        let bound = word < words - 2;
        assert_eq!(last(&changed) != honest, bound, "word {word} of {words}");
        assert!(!target.ours.verdict(calldata(&changed)).accepted, "word {word}");
    }
    for i in 0..target.honest.instances.len() {
        let mut changed = target.honest.clone();
        changed.instances[i] ^= U256::from(1);
        assert_ne!(last(&changed), honest, "instance {i}");
    }
}
