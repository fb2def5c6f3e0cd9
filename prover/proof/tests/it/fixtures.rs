//! Setups, keys and proofs that several tests share.

use std::path::PathBuf;
use std::sync::OnceLock;

use halo2_proofs::halo2curves::bn256::Fr;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use vouch_proof::{
    CircuitDigest, DevelopmentSeed, DirectBackend, KeySpec, LogRows, ProofError, ProofRequest, Proven, ProvingKey, Srs,
    prove,
};

use crate::circuits::{Chain, Shuffle};

pub(crate) const K: LogRows = LogRows(5);
pub(crate) const STEPS: usize = 6;
pub(crate) const SHUFFLED: ([u64; 4], [u64; 4]) = ([3, 1, 4, 5], [5, 4, 3, 1]);

pub(crate) fn srs() -> &'static Srs {
    static SRS: OnceLock<Srs> = OnceLock::new();
    SRS.get_or_init(|| Srs::development(K, DevelopmentSeed::DEFAULT).unwrap())
}

pub(crate) fn chain_spec() -> KeySpec {
    KeySpec { circuit: CircuitDigest([1; 32]), instances: 3 }
}

pub(crate) fn chain_key() -> &'static ProvingKey {
    static KEY: OnceLock<ProvingKey> = OnceLock::new();
    KEY.get_or_init(|| ProvingKey::generate(srs(), &Chain::new(2, STEPS), chain_spec()).unwrap())
}

pub(crate) fn shuffle_key() -> &'static ProvingKey {
    static KEY: OnceLock<ProvingKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let spec = KeySpec { circuit: CircuitDigest([2; 32]), instances: 2 };
        let (a, b) = SHUFFLED;
        ProvingKey::generate(srs(), &Shuffle::new(&a, &b), spec).unwrap()
    })
}

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn prove_chain(a: u64, instances: &[Fr], seed: u64) -> Result<Proven, ProofError> {
    let request = ProofRequest { circuit: &Chain::new(a, STEPS), key: chain_key(), srs: srs(), instances };
    prove(&DirectBackend, &request, rng(seed))
}

pub(crate) fn prove_shuffle(a: &[u64], b: &[u64], instances: &[Fr], seed: u64) -> Result<Proven, ProofError> {
    let request = ProofRequest { circuit: &Shuffle::new(a, b), key: shuffle_key(), srs: srs(), instances };
    prove(&DirectBackend, &request, rng(seed))
}

/// A file of the reference folder beside the workspace, or `None` (with a word to the reader) where
/// the folder is absent.
pub(crate) fn reference(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/srs").join(name);
    if path.is_file() {
        Some(path)
    } else {
        eprintln!("skipped: {} is not here", path.display());
        None
    }
}
