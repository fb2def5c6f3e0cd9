//! Anything but the proof, its instances and their canonical encoding is refused, with the name of
//! what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod circuits;

use std::sync::OnceLock;

use alloy_primitives::U256;
use circuits::{Keyed, Recipe};
use vouch_solidity::{DeployedVerifier, Evm, EvmOutcome, Rules, encode_calldata};

const R: &str = "0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001";
const Q: &str = "0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47";

struct Case {
    verifier: DeployedVerifier,
    /// Selector, two offsets, length, instances, length, proof.
    calldata: Vec<u8>,
    instances: usize,
    proof_words: usize,
    /// Words of the proof that are scalars.
    scalars: std::ops::Range<usize>,
}

impl Case {
    fn proof_start(&self) -> usize {
        4 + 32 * (4 + self.instances)
    }

    fn at(&self, word: usize) -> std::ops::Range<usize> {
        let start = self.proof_start() + 32 * word;
        start..start + 32
    }

    fn word(&self, word: usize) -> U256 {
        U256::from_be_slice(&self.calldata[self.at(word)])
    }

    /// The calldata with other values in the place of words of the proof.
    fn changed(&self, changes: &[(usize, U256)]) -> Vec<u8> {
        let mut calldata = self.calldata.clone();
        for (word, value) in changes {
            calldata[self.at(*word)].copy_from_slice(&value.to_be_bytes::<32>());
        }
        calldata
    }

    /// The calldata with the lowest bit of a word of the proof flipped.
    fn flipped(&self, word: usize) -> Vec<u8> {
        self.changed(&[(word, self.word(word) ^ U256::from(1))])
    }

    /// The calldata with two points of the proof, by their first words, in each other's place.
    fn swapped(&self, a: usize, b: usize) -> Vec<u8> {
        self.changed(&[(a, self.word(b)), (a + 1, self.word(b + 1)), (b, self.word(a)), (b + 1, self.word(a + 1))])
    }

    fn with(&self, changes: &[(usize, U256)]) -> EvmOutcome {
        let outcome = self.verifier.verify(&self.changed(changes)).unwrap();
        assert!(!outcome.verified, "accepted with {changes:?}");
        outcome
    }

    /// First words of the points: commitments before the scalars, two after them.
    fn points(&self) -> Vec<usize> {
        let before = (0..self.scalars.start).step_by(2);
        before.chain((self.scalars.end..self.proof_words).step_by(2)).collect()
    }

    fn is_scalar(&self, word: usize) -> bool {
        self.scalars.contains(&word)
    }
}

fn number(text: &str) -> U256 {
    text.parse().unwrap()
}

impl Case {
    fn new(deploy: impl Fn(&Keyed) -> DeployedVerifier) -> Self {
        let keyed = Keyed::new(&Recipe { instance_rotations: vec![0], ..Recipe::default() });
        let (instances, proof) = keyed.prove(3);
        let verifier = deploy(&keyed);
        let calldata = encode_calldata(&instances, &proof);
        assert!(verifier.verify(&calldata).unwrap().verified);
        let words = proof.len() / 32;
        let scalars = keyed.scalars();
        assert_eq!(scalars.end, words - 4, "two points end the proof");
        Case { verifier, calldata, instances: instances.len(), proof_words: words, scalars }
    }
}

/// A verifier with its key inside.
fn single() -> &'static Case {
    static CASE: OnceLock<Case> = OnceLock::new();
    CASE.get_or_init(|| Case::new(|keyed| Evm::new(Rules::Cancun).deploy(&keyed.compile().creation).unwrap()))
}

/// A shared verifier behind a contract with a key.
fn shared() -> &'static Case {
    static CASE: OnceLock<Case> = OnceLock::new();
    CASE.get_or_init(|| Case::new(|keyed| keyed.deploy_shared(Evm::new(Rules::Cancun)).model))
}

/// Each check as a test of both forms.
macro_rules! for_both_forms {
    ($($name:ident),* $(,)?) => {
        mod of_a_single_verifier {
            $(#[test] fn $name() { super::$name(super::single()); })*
        }
        mod of_a_shared_verifier {
            $(#[test] fn $name() { super::$name(super::shared()); })*
        }
    };
}

for_both_forms!(
    a_scalar_that_is_not_reduced_is_named,
    a_point_that_is_not_one_is_named,
    a_gas_limit_of_a_million_pays_for_the_name,
    no_gas_limit_makes_a_false_proof_true,
    every_word_of_the_proof_counts,
    swapped_commitments_are_refused,
    every_instance_counts,
    instances_moved_removed_or_added_are_refused,
    calldata_other_than_the_canonical_encoding_is_refused,
    a_proof_of_other_instances_is_refused,
);
fn expect(outcome: &EvmOutcome, name: &str, arguments: &[u64]) {
    assert_eq!(outcome.error_name.as_deref(), Some(name), "{outcome:?}");
    let arguments: Vec<_> = arguments.iter().map(|a| U256::from(*a)).collect();
    assert_eq!(outcome.error_arguments, arguments, "{outcome:?}");
}

fn a_scalar_that_is_not_reduced_is_named(case: &Case) {
    let r = number(R);
    for word in case.scalars.clone() {
        let same_residue = case.word(word) + r;
        for value in [r, r + U256::from(1), same_residue, number(Q), U256::MAX] {
            expect(&case.with(&[(word, value)]), "ScalarNotCanonical", &[word as u64]);
        }
    }
}

fn a_point_that_is_not_one_is_named(case: &Case) {
    let q = number(Q);
    for word in case.points() {
        let (x, y) = (case.word(word), case.word(word + 1));
        let at = [word as u64];
        let zero = U256::ZERO;
        expect(&case.with(&[(word, zero), (word + 1, zero)]), "IdentityPoint", &at);
        for (x, y) in [(x + q, y), (x, y + q), (q, q), (zero, q), (q, zero), (U256::MAX, y)] {
            let outcome = case.with(&[(word, x), (word + 1, y)]);
            expect(&outcome, "CoordinateNotCanonical", &at);
        }
        for (x, y) in [(x, zero), (zero, y), (x, y ^ U256::from(1)), (y, x)] {
            expect(&case.with(&[(word, x), (word + 1, y)]), "PointNotOnCurve", &at);
        }
        // On the curve, but another point.
        expect(&case.with(&[(word + 1, q - y)]), "ProofRejected", &[]);
        expect(&case.with(&[(word, U256::from(1)), (word + 1, U256::from(2))]), "ProofRejected", &[]);
    }
}

/// A precompile that refuses takes all gas that it is given.
fn a_gas_limit_of_a_million_pays_for_the_name(case: &Case) {
    let verifier = case.verifier.clone().with_gas_limit(1_000_000);
    for word in case.points() {
        let outcome = verifier.verify(&case.flipped(word + 1)).unwrap();
        expect(&outcome, "PointNotOnCurve", &[word as u64]);
    }
}

/// Who submits chooses the gas, and so the call that runs out of it.
fn no_gas_limit_makes_a_false_proof_true(case: &Case) {
    let honest = case.verifier.verify(&case.calldata).unwrap();
    let falsehoods = [case.flipped(case.scalars.start), case.flipped(1), case.swapped(0, 2)];
    // A call keeps a 64th back from what it calls, so that an honest proof needs somewhat more than it takes.
    let enough = honest.gas + honest.gas / 32;
    let limits: Vec<u64> =
        (honest.gas - honest.execution_gas..enough).step_by(997).chain([enough, 2 * enough]).collect();
    assert!(limits.len() > 100, "{limits:?}");
    for limit in limits {
        let verifier = case.verifier.clone().with_gas_limit(limit);
        let verified = verifier.verify(&case.calldata).unwrap().verified;
        assert!(!verified || limit >= honest.gas, "verified with {limit} of {} gas", honest.gas);
        assert!(verified || limit < enough, "{limit} gas do not pay for an honest proof");
        for calldata in &falsehoods {
            assert!(!verifier.verify(calldata).unwrap().verified, "accepted with {limit} gas");
        }
    }
}

fn every_word_of_the_proof_counts(case: &Case) {
    for word in 0..case.proof_words {
        let value = case.word(word);
        let mut changed = vec![
            U256::ZERO,
            U256::from(1),
            value + U256::from(1),
            value - U256::from(1),
            number(R),
            number(R) - U256::from(1),
            number(Q),
            U256::MAX,
            case.word((word + 1) % case.proof_words),
        ];
        changed.extend([0, 7, 128, 200, 253, 254, 255].map(|bit| value ^ (U256::from(1) << bit)));
        for changed in changed.into_iter().filter(|changed| *changed != value) {
            let outcome = case.with(&[(word, changed)]);
            if case.is_scalar(word) && changed < number(R) {
                expect(&outcome, "ProofRejected", &[]);
            }
        }
        let next = (word + 1) % case.proof_words;
        case.with(&[(word, case.word(next)), (next, value)]);
    }
}

fn swapped_commitments_are_refused(case: &Case) {
    for pair in case.points().windows(2) {
        let outcome = case.verifier.verify(&case.swapped(pair[0], pair[1])).unwrap();
        expect(&outcome, "ProofRejected", &[]);
    }
}

fn every_instance_counts(case: &Case) {
    for i in 0..case.instances {
        let at = 4 + 32 * (3 + i)..4 + 32 * (4 + i);
        let value = U256::from_be_slice(&case.calldata[at.clone()]);
        let with = |changed: U256| {
            let mut calldata = case.calldata.clone();
            calldata[at.clone()].copy_from_slice(&changed.to_be_bytes::<32>());
            case.verifier.verify(&calldata).unwrap()
        };
        let one = U256::from(1);
        for changed in [U256::ZERO, value + one, value - one, value ^ one << 200, number(R) - one] {
            expect(&with(changed), "ProofRejected", &[]);
        }
        for changed in [number(R), value + number(R), U256::MAX] {
            expect(&with(changed), "InstanceNotCanonical", &[i as u64]);
        }
    }
}

fn instances_moved_removed_or_added_are_refused(case: &Case) {
    let start = 4 + 32 * 3;
    let words: Vec<_> = case.calldata[start..start + 32 * case.instances].chunks(32).collect();
    let proof = &case.calldata[case.proof_start()..];
    let send = |instances: &[&[u8]], proof: &[u8]| {
        let instances: Vec<_> = instances.iter().map(|w| circuits::scalar(w)).collect();
        case.verifier.verify(&encode_calldata(&instances, proof)).unwrap()
    };
    let want = case.instances as u64;
    let mut swapped = words.clone();
    swapped.swap(0, 1);
    expect(&send(&swapped, proof), "ProofRejected", &[]);
    expect(&send(&words[1..], proof), "InstanceCount", &[want - 1, want]);
    expect(&send(&[words.clone(), words.clone()].concat(), proof), "InstanceCount", &[2 * want, want]);
    expect(&send(&[], proof), "InstanceCount", &[0, want]);
    let length = proof.len() as u64;
    expect(&send(&words, &proof[..proof.len() - 32]), "ProofLength", &[length - 32, length]);
    expect(&send(&words, &proof[..proof.len() - 1]), "ProofLength", &[length - 1, length]);
    expect(&send(&words, &[proof, &[0; 32]].concat()), "ProofLength", &[length + 32, length]);
    expect(&send(&words, &[]), "ProofLength", &[0, length]);
}

fn calldata_other_than_the_canonical_encoding_is_refused(case: &Case) {
    let total = case.calldata.len() as u64;
    let send = |calldata: &[u8]| case.verifier.verify(calldata).unwrap();
    let with = |changes: &[(usize, u64)]| {
        let mut calldata = case.calldata.clone();
        for (word, value) in changes {
            let at = 4 + 32 * word;
            calldata[at..at + 32].copy_from_slice(&U256::from(*value).to_be_bytes::<32>());
        }
        calldata
    };

    // Trailing bytes.
    for extra in [1usize, 31, 32, 64] {
        let calldata = [case.calldata.as_slice(), &vec![0; extra]].concat();
        expect(&send(&calldata), "CalldataLength", &[total + extra as u64, total]);
    }
    // Arrays moved back by a word: what a decoder reads is the same, the encoding is another.
    let (head, body) = case.calldata.split_at(4 + 64);
    let mut moved = [head, &[0; 32], body].concat();
    let (instances, proof) = (0x60, 0x60 + 32 * (1 + case.instances as u64));
    moved[4..36].copy_from_slice(&U256::from(instances).to_be_bytes::<32>());
    moved[36..68].copy_from_slice(&U256::from(proof).to_be_bytes::<32>());
    expect(&send(&moved), "CalldataLayout", &[]);
    // The proof first, the instances behind it.
    let proof_part = &case.calldata[case.proof_start() - 32..];
    let instance_part = &case.calldata[4 + 64..case.proof_start() - 32];
    let mut exchanged = [head, proof_part, instance_part].concat();
    let behind = U256::from(64 + proof_part.len());
    exchanged[4..36].copy_from_slice(&behind.to_be_bytes::<32>());
    exchanged[36..68].copy_from_slice(&U256::from(64).to_be_bytes::<32>());
    expect(&send(&exchanged), "CalldataLayout", &[]);
    // Offsets that point elsewhere, lengths that lie.
    let proof_offset = 0x40 + 32 * (1 + case.instances as u64);
    for calldata in [
        with(&[(0, 0x20)]),
        with(&[(0, 0x60)]),
        with(&[(0, 0)]),
        with(&[(0, u64::MAX)]),
        with(&[(1, proof_offset - 32)]),
        with(&[(1, proof_offset + 32)]),
        with(&[(1, 0x40)]),
        with(&[(2, case.instances as u64 - 1)]),
        with(&[(2, case.instances as u64 + 1)]),
        with(&[(2, u64::MAX)]),
    ] {
        assert!(!send(&calldata).verified);
    }
    // Truncated at every word, and by a byte.
    for length in (0..case.calldata.len()).step_by(32).chain([case.calldata.len() - 1, 1, 3, 4]) {
        assert!(!send(&case.calldata[..length]).verified, "{length}");
    }
    // Another function, or none.
    let mut selector = case.calldata.clone();
    selector[0] ^= 1;
    expect(&send(&selector), "EmptyRevert", &[]);
}

fn a_proof_of_other_instances_is_refused(case: &Case) {
    let keyed = Keyed::new(&Recipe { instance_rotations: vec![0], ..Recipe::default() });
    let ((one, _), (_, other)) = (keyed.prove(3), keyed.prove(4));
    let outcome = case.verifier.verify(&encode_calldata(&one, &other)).unwrap();
    expect(&outcome, "ProofRejected", &[]);
}
