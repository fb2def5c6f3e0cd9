//! halo2, snark-verifier and the generated contract give the same verdict on random circuits.
//!
//! `VOUCH_SOLIDITY_CIRCUITS` sets the number of circuits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod circuits;

use std::io::Write;
use std::process::{Command, Stdio};
use std::rc::Rc;

use circuits::{Keyed, Recipe};
use halo2_proofs::halo2curves::bn256::{Bn256, Fq, Fr, G1Affine};
use halo2_proofs::halo2curves::ff::Field;
use halo2_proofs::poly::commitment::ParamsProver;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use snark_verifier::loader::evm::EvmLoader;
use snark_verifier::pcs::kzg::{Bdfg21, KzgAs, KzgDecidingKey};
use snark_verifier::system::halo2::transcript::evm::EvmTranscript;
use snark_verifier::system::halo2::{Config, compile};
use snark_verifier::verifier::SnarkVerifier;
use snark_verifier::verifier::plonk::{PlonkProtocol, PlonkVerifier};
use vouch_solidity::{DeployedVerifier, Evm, Rules, encode_calldata};

type Reference = PlonkVerifier<KzgAs<Bn256, Bdfg21>>;

const DEFAULT_CIRCUITS: u64 = 16;
/// snark-verifier's own Solidity is compiled for one circuit in this many: it takes long.
const REFERENCE_SOLIDITY_EVERY: u64 = 8;
const MUTATIONS: usize = 12;

struct SnarkVerifierTwin {
    protocol: PlonkProtocol<G1Affine>,
    key: KzgDecidingKey<Bn256>,
}

impl SnarkVerifierTwin {
    fn new(keyed: &Keyed) -> Self {
        let config = Config::kzg().with_num_instance(vec![keyed.recipe.instances]);
        let protocol = compile(&keyed.srs, keyed.vk(), config);
        let key = (keyed.srs.get_g()[0], keyed.srs.g2(), keyed.srs.s_g2()).into();
        SnarkVerifierTwin { protocol, key }
    }

    fn verdict(&self, instances: &[Fr], proof: &[u8]) -> bool {
        let mut transcript = circuits::EvmNative::<&[u8]>::new(proof);
        let instances = [instances.to_vec()];
        Reference::read_proof(&self.key, &self.protocol, &instances, &mut transcript)
            .and_then(|proof| Reference::verify(&self.key, &self.protocol, &instances, &proof))
            .is_ok()
    }

    /// The contract that snark-verifier's EVM loader writes; the reason where solc cannot compile it
    /// or a contract cannot be as long.
    fn contract(&self, instances: usize) -> Result<DeployedVerifier, String> {
        let loader = EvmLoader::new::<Fq, Fr>();
        let protocol = self.protocol.loaded(&loader);
        let mut transcript = EvmTranscript::<_, Rc<EvmLoader>, _, _>::new(&loader);
        let instances = transcript.load_instances(vec![instances]);
        let proof = Reference::read_proof(&self.key, &protocol, &instances, &mut transcript).unwrap();
        Reference::verify(&self.key, &protocol, &instances, &proof).unwrap();
        let source = loader.solidity_code();
        // It pins an older compiler than this repository does.
        let (_, contract) = source.split_once("contract").unwrap();
        let creation = compile_unoptimised(&format!("pragma solidity 0.8.30;\ncontract{contract}"))?;
        Evm::new(Rules::Cancun).deploy(&creation).map_err(|e| e.to_string())
    }
}

/// Creation code without the optimizer, which is how snark-verifier compiles its contracts: with it
/// they need more stack than there is.
fn compile_unoptimised(source: &str) -> Result<Vec<u8>, String> {
    let input = serde_json::json!({
        "language": "Solidity",
        "sources": { "Verifier.sol": { "content": source } },
        "settings": { "outputSelection": { "*": { "*": ["evm.bytecode.object"] } } },
    });
    let mut solc = Command::new(circuits::solc().path())
        .arg("--standard-json")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    solc.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = solc.wait_with_output().unwrap().stdout;
    let output: serde_json::Value = serde_json::from_slice(&output).unwrap();
    let contracts = output["contracts"]["Verifier.sol"].as_object();
    let code = contracts
        .and_then(|contracts| contracts.values().next())
        .and_then(|contract| contract["evm"]["bytecode"]["object"].as_str());
    code.map(|code| hex::decode(code).unwrap())
        .ok_or_else(|| output["errors"][0]["message"].as_str().unwrap_or("no message").to_owned())
}

fn mutate(rng: &mut ChaCha20Rng, instances: &mut [Fr], proof: &mut [u8]) {
    let words = proof.len() / 32;
    match rng.gen_range(0..6) {
        0 if !instances.is_empty() => {
            *instances.choose_mut(rng).unwrap() += Fr::random(rng);
        }
        1 => {
            let (a, b) = (rng.gen_range(0..words), rng.gen_range(0..words));
            for i in 0..32 {
                proof.swap(32 * a + i, 32 * b + i);
            }
        }
        2 => {
            let word = rng.gen_range(0..words);
            proof[32 * word..32 * word + 32].fill(0);
        }
        3 => {
            // A whole point moved onto another.
            let (a, b) = (2 * rng.gen_range(0..words / 2), 2 * rng.gen_range(0..words / 2));
            proof.copy_within(32 * a..32 * a + 64, 32 * b);
        }
        4 => proof[32 * rng.gen_range(0..words) + 31] ^= 1,
        _ => {
            let bit = rng.gen_range(0..8 * proof.len());
            proof[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn three_verifiers_agree_on_random_circuits_valid_and_mutated() {
    let circuits =
        std::env::var("VOUCH_SOLIDITY_CIRCUITS").ok().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_CIRCUITS);
    let (mut accepted, mut refused, mut contracts) = (0, 0, 0);
    for seed in 0..circuits {
        let recipe = Recipe::random(seed);
        let keyed = Keyed::new(&recipe);
        let twin = SnarkVerifierTwin::new(&keyed);
        let ours = Evm::new(Rules::Cancun).deploy(&keyed.compile().creation).unwrap();
        let theirs = (seed % REFERENCE_SOLIDITY_EVERY == 0)
            .then(|| twin.contract(recipe.instances))
            .transpose()
            .unwrap_or_else(|reason| {
                println!("circuit {seed}: snark-verifier's contract takes no part: {reason}");
                None
            });
        contracts += usize::from(theirs.is_some());
        let (instances, proof) = keyed.prove(seed);
        let mut rng = ChaCha20Rng::seed_from_u64(seed ^ 0x3070);
        for mutation in 0..=MUTATIONS {
            let (mut instances, mut proof) = (instances.clone(), proof.clone());
            let before = (instances.clone(), proof.clone());
            if mutation > 0 {
                mutate(&mut rng, &mut instances, &mut proof);
            }
            let honest = before == (instances.clone(), proof.clone());
            let outcome = ours.verify(&encode_calldata(&instances, &proof)).unwrap();
            assert_eq!(outcome.verified, honest, "{outcome:?} {recipe:?} mutation {mutation}");
            assert_eq!(keyed.native(&instances, &proof), honest, "halo2: {recipe:?}");
            assert_eq!(twin.verdict(&instances, &proof), honest, "snark-verifier: {recipe:?}");
            if let Some(contract) = &theirs {
                let flat = [circuits::bytes(&instances), proof.clone()].concat();
                let verified = contract.verify(&flat).unwrap().verified;
                assert_eq!(verified, honest, "snark-verifier's contract: {recipe:?}");
            }
            if honest { accepted += 1 } else { refused += 1 }
        }
    }
    println!(
        "{circuits} circuits, {accepted} proofs accepted, {refused} refused by all; {contracts} contracts of snark-verifier took part"
    );
}
