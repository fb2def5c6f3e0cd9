//! What is done to a proof and its instances.

use std::ops::Range;

use alloy_primitives::U256;
use halo2_proofs::halo2curves::bn256::Fr;
use rand::Rng;
use rand_chacha::ChaCha20Rng;

use crate::circuits;

/// Modulus of scalars, and of coordinates.
pub(crate) const R: U256 = U256::from_limbs([0x43e1f593f0000001, 0x2833e84879b97091, 0xb85045b68181585d, MODULUS_TOP]);
const Q: U256 = U256::from_limbs([0x3c208c16d87cfd47, 0x97816a916871ca8d, 0xb85045b68181585d, MODULUS_TOP]);
const MODULUS_TOP: u64 = 0x30644e72e131a029;

/// Instances and proof as bytes, the way a verifier gets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) instances: Vec<U256>,
    pub(crate) proof: Vec<u8>,
}

impl Case {
    pub(crate) fn new(instances: &[Fr], proof: Vec<u8>) -> Self {
        let instances = circuits::bytes(instances).chunks(32).map(U256::from_be_slice).collect();
        Case { instances, proof }
    }

    /// The instances as scalars; `None` where one is not below the modulus.
    pub(crate) fn scalars(&self) -> Option<Vec<Fr>> {
        self.instances.iter().map(|word| circuits::scalar_checked(&word.to_be_bytes::<32>())).collect()
    }

    /// What a verifier sees that reduces instances and scalars, reads no further than it must, and
    /// zeros where there is nothing.
    pub(crate) fn as_read_loosely(&self, scalars: Range<usize>, length: usize) -> Case {
        let mut loose = self.clone();
        loose.proof.resize(length, 0);
        for word in scalars {
            loose.set(word, loose.word(word) % R);
        }
        loose.instances.iter_mut().for_each(|word| *word %= R);
        loose
    }

    fn word(&self, word: usize) -> U256 {
        U256::from_be_slice(&self.proof[32 * word..32 * word + 32])
    }

    fn set(&mut self, word: usize, value: U256) {
        self.proof[32 * word..32 * word + 32].copy_from_slice(&value.to_be_bytes::<32>());
    }

    fn words(&self) -> usize {
        self.proof.len() / 32
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    Nothing,
    BitFlipped,
    PlusOne,
    Zero,
    Modulus,
    ModulusLessOne,
    PlusModulus,
    Random,
    WordsSwapped,
    PointsSwapped,
    PointCopied,
    PointNegated,
    Truncated,
    Extended,
    InstanceChanged,
    InstancePlusModulus,
    InstancesSwapped,
    InstanceAdded,
    InstanceRemoved,
}

impl Mutation {
    pub(crate) const ALL: [Mutation; 19] = [
        Mutation::Nothing,
        Mutation::BitFlipped,
        Mutation::PlusOne,
        Mutation::Zero,
        Mutation::Modulus,
        Mutation::ModulusLessOne,
        Mutation::PlusModulus,
        Mutation::Random,
        Mutation::WordsSwapped,
        Mutation::PointsSwapped,
        Mutation::PointCopied,
        Mutation::PointNegated,
        Mutation::Truncated,
        Mutation::Extended,
        Mutation::InstanceChanged,
        Mutation::InstancePlusModulus,
        Mutation::InstancesSwapped,
        Mutation::InstanceAdded,
        Mutation::InstanceRemoved,
    ];

    /// Changes a proof whose words `scalars` are scalars, all others coordinates of points.
    pub(crate) fn apply(self, case: &mut Case, scalars: Range<usize>, rng: &mut ChaCha20Rng) {
        // Half of the words are scalars, so that neither part is rare.
        let word = if rng.r#gen() { rng.gen_range(scalars.clone()) } else { rng.gen_range(0..case.words()) };
        let value = case.word(word);
        let points = scalars.start / 2 + 2;
        let mut point = || {
            let index = rng.gen_range(0..points);
            if index < scalars.start / 2 { 2 * index } else { scalars.end + 2 * (index - scalars.start / 2) }
        };
        let (a, b) = (point(), point());
        match self {
            Mutation::Nothing => {}
            Mutation::BitFlipped => case.set(word, value ^ (U256::from(1) << rng.gen_range(0..256))),
            Mutation::PlusOne => case.set(word, value.wrapping_add(U256::from(1))),
            Mutation::Zero => case.set(word, U256::ZERO),
            Mutation::Modulus => case.set(word, R),
            Mutation::ModulusLessOne => case.set(word, R - U256::from(1)),
            Mutation::PlusModulus => case.set(word, value + if scalars.contains(&word) { R } else { Q }),
            Mutation::Random => case.set(word, U256::from_limbs(rng.r#gen()) % R),
            Mutation::WordsSwapped => {
                let other = rng.gen_range(0..case.words());
                case.set(word, case.word(other));
                case.set(other, value);
            }
            Mutation::PointsSwapped => {
                for i in 0..2 {
                    let kept = case.word(a + i);
                    case.set(a + i, case.word(b + i));
                    case.set(b + i, kept);
                }
            }
            Mutation::PointCopied => case.proof.copy_within(32 * a..32 * a + 64, 32 * b),
            Mutation::PointNegated => case.set(a + 1, Q - case.word(a + 1)),
            Mutation::Truncated => {
                let bytes = if rng.r#gen() { 32 * rng.gen_range(0..case.words()) } else { case.proof.len() - 1 };
                case.proof.truncate(bytes);
            }
            Mutation::Extended => {
                let bytes = [1, 31, 32, 64][rng.gen_range(0..4)];
                case.proof.extend((0..bytes).map(|_| rng.r#gen::<u8>()));
            }
            Mutation::InstanceAdded => {
                let at = rng.gen_range(0..=case.instances.len());
                let value = if rng.r#gen() { U256::ZERO } else { U256::from(rng.r#gen::<u64>()) };
                case.instances.insert(at, value);
            }
            _ if case.instances.is_empty() => {}
            Mutation::InstanceChanged => {
                let at = rng.gen_range(0..case.instances.len());
                let value = case.instances[at];
                case.instances[at] = match rng.gen_range(0..3) {
                    0 => U256::ZERO,
                    1 => (value + U256::from(1)) % R,
                    _ => U256::from_limbs(rng.r#gen()) % R,
                };
            }
            Mutation::InstancePlusModulus => {
                let at = rng.gen_range(0..case.instances.len());
                case.instances[at] += R;
            }
            Mutation::InstancesSwapped => {
                let (a, b) = (rng.gen_range(0..case.instances.len()), rng.gen_range(0..case.instances.len()));
                case.instances.swap(a, b);
            }
            Mutation::InstanceRemoved => {
                let at = rng.gen_range(0..case.instances.len());
                case.instances.remove(at);
            }
        }
    }
}
