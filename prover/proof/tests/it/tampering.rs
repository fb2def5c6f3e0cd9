//! Every word of a proof and every instance, changed.

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::{Field, PrimeField};
use proptest::prelude::*;
use vouch_proof::{Proof, ProofError, VerifyingKey, verify};

use crate::circuits::{Chain, Shuffle};
use crate::fixtures::{SHUFFLED, STEPS, chain_key, prove_chain, prove_shuffle, shuffle_key};

const SCALAR_MODULUS: &str = "30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001";
const BASE_MODULUS: &str = "30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47";

fn word(text: &str) -> [u8; 32] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// 256-bit big-endian addition; `None` on overflow.
fn add(left: &[u8; 32], right: &[u8; 32]) -> Option<[u8; 32]> {
    let mut sum = [0u8; 32];
    let mut carry = 0u16;
    for index in (0..32).rev() {
        let digit = u16::from(left[index]) + u16::from(right[index]) + carry;
        sum[index] = (digit & 0xff) as u8;
        carry = digit >> 8;
    }
    (carry == 0).then_some(sum)
}

fn changes(original: &[u8; 32]) -> Vec<[u8; 32]> {
    let one = Fr::ONE.to_repr();
    let one: [u8; 32] = std::array::from_fn(|index| one[31 - index]);
    let moduli = [word(SCALAR_MODULUS), word(BASE_MODULUS)];
    let mut flipped = *original;
    flipped[31] ^= 2;
    let mut changed = vec![[0; 32], [0xff; 32], moduli[0], moduli[1], flipped];
    changed.extend(add(original, &one));
    changed.extend(moduli.iter().filter_map(|modulus| add(original, modulus)));
    changed.retain(|word| word != original);
    changed
}

fn assert_refused(key: &VerifyingKey, proof: &Proof, what: &str) {
    let error = verify(key, proof).expect_err(what);
    assert!(matches!(error, ProofError::ProofRejected { .. } | ProofError::ProofEncoding { .. }), "{what}: {error}");
}

fn assert_no_word_can_change(key: &VerifyingKey, honest: &Proof) {
    verify(key, honest).unwrap();
    let words = honest.bytes.len() / 32;
    for index in 0..words {
        let place = index * 32..(index + 1) * 32;
        let original: [u8; 32] = honest.bytes[place.clone()].try_into().unwrap();
        for change in changes(&original) {
            let mut proof = honest.clone();
            proof.bytes[place.clone()].copy_from_slice(&change);
            assert_refused(key, &proof, &format!("word {index} = {}", hex::encode(change)));
        }
        let next = (index + 1) % words * 32;
        let mut proof = honest.clone();
        let other: [u8; 32] = proof.bytes[next..next + 32].try_into().unwrap();
        proof.bytes[place.clone()].copy_from_slice(&other);
        proof.bytes[next..next + 32].copy_from_slice(&original);
        assert_refused(key, &proof, &format!("word {index} swapped with the next"));
    }
}

#[test]
fn every_changed_word_of_a_proof_is_rejected() {
    let proof = prove_chain(2, &Chain::instances(2, STEPS), 1).unwrap().proof;
    assert_no_word_can_change(chain_key().verifying(), &proof);
}

#[test]
fn every_changed_word_of_a_proof_over_two_phases_is_rejected() {
    let (a, b) = SHUFFLED;
    let proof = prove_shuffle(&a, &b, &Shuffle::instances(&a), 1).unwrap().proof;
    assert_no_word_can_change(shuffle_key().verifying(), &proof);
}

#[test]
fn every_flipped_bit_of_a_proof_is_rejected() {
    let honest = prove_chain(2, &Chain::instances(2, STEPS), 1).unwrap().proof;
    for place in 0..honest.bytes.len() {
        for bit in 0..8 {
            let mut proof = honest.clone();
            proof.bytes[place] ^= 1 << bit;
            assert_refused(chain_key().verifying(), &proof, &format!("byte {place} bit {bit}"));
        }
    }
}

#[test]
fn every_changed_instance_is_rejected() {
    let honest = prove_chain(2, &Chain::instances(2, STEPS), 1).unwrap().proof;
    for index in 0..honest.instances.len() {
        let value = honest.instances[index];
        for change in [value + Fr::ONE, value - Fr::ONE, -value, Fr::ZERO, Fr::ONE] {
            let mut proof = honest.clone();
            proof.instances[index] = change;
            assert_refused(chain_key().verifying(), &proof, &format!("instance {index}"));
        }
    }
    let mut proof = honest;
    proof.instances.swap(0, 1);
    assert_refused(chain_key().verifying(), &proof, "instances swapped");
}

#[test]
fn a_pair_of_zeros_in_place_of_a_point_is_rejected() {
    let honest = prove_chain(2, &Chain::instances(2, STEPS), 1).unwrap().proof;
    let mut proof = honest;
    proof.bytes[..64].fill(0);
    let error = verify(chain_key().verifying(), &proof).unwrap_err();
    assert!(
        matches!(&error, ProofError::ProofEncoding { offset: 64, problem } if problem.contains("identity")),
        "{error}"
    );
}

#[test]
fn a_proof_of_another_length_is_refused_by_length() {
    let honest = prove_chain(2, &Chain::instances(2, STEPS), 1).unwrap().proof;
    let want = honest.bytes.len();
    for got in [0, 1, 31, 32, want - 32, want - 1, want + 1, want + 32] {
        let mut proof = honest.clone();
        proof.bytes.resize(got, 0);
        let error = verify(chain_key().verifying(), &proof).unwrap_err();
        assert!(matches!(error, ProofError::ProofLength { got: g, want: w } if g == got && w == want), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(
        seed in any::<[u8; 32]>(),
        keep in 0usize..64,
    ) {
        let honest = prove_chain(2, &Chain::instances(2, STEPS), 1).unwrap().proof;
        let mut proof = honest.clone();
        let start = (keep * 32).min(honest.bytes.len() - 32);
        blake3::Hasher::new_keyed(&seed).finalize_xof().fill(&mut proof.bytes[start..]);
        prop_assert!(verify(chain_key().verifying(), &proof).is_err());
    }
}
