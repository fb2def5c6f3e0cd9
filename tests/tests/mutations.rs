//! A proof of a real model: change any word of it, or any public value, and both verifiers refuse it, the native one and
//! the generated contract in the EVM.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use alloy::primitives::U256;
use halo2_proofs::halo2curves::bn256::Fr;
use rand::rngs::OsRng;
use vouch_circuit::{CircuitPlan, ModelCircuit, PlanOptions, WeightPlacement, instance_values};
use vouch_graph::{
    calibrate::calibrate,
    data::read_file,
    exec::quantise_inputs,
    import::{ImportOptions, OnnxModel},
    quantise::{QuantiseOptions, quantise},
};
use vouch_proof::{
    CircuitDigest, DevelopmentSeed, DirectBackend, KeySpec, LogRows, Proof, ProofRequest, ProvingKey, Srs, prove,
    transcript::scalar_from_be, verify,
};
use vouch_solidity::{
    DeployedVerifier, Evm, Generator, Rules, SolcPath, VerifierParams, compile, encode_calldata, shared_creation,
};
use vouch_tests::root;

/// Modulus of the scalar field and of the base field.
const R: &str = "0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001";
const Q: &str = "0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47";

/// An honest proof and what checks it.
struct Case {
    key: ProvingKey,
    /// The verifier with the key inside.
    contract: DeployedVerifier,
    /// The shape's verifier behind the key's contract.
    shared: DeployedVerifier,
    proof: Proof,
    calldata: Vec<u8>,
}

/// The rebalancer on its sample input, from ONNX file to deployed verifier.
fn rebalancer(weights: WeightPlacement) -> Case {
    let model = root().join("models/rebalancer");
    let float = OnnxModel::open(&model.join("model.onnx"), &ImportOptions::default()).unwrap().lower().unwrap();
    let samples = |name: &str| read_file(&model.join(name), &float.input_specs()).unwrap();
    let ranges = calibrate(&float, &samples("calibration.json")).unwrap();
    let graph = quantise(&float, &ranges, &QuantiseOptions::default()).unwrap();
    let plan = Arc::new(CircuitPlan::choose(&graph, &PlanOptions { weights, ..PlanOptions::default() }).unwrap());
    let srs = Srs::development(LogRows::new(plan.k).unwrap(), DevelopmentSeed::DEFAULT).unwrap();
    let spec = KeySpec { circuit: CircuitDigest([7; 32]), instances: plan.instances };
    let key = ProvingKey::generate(&srs, &ModelCircuit::for_keys(&graph, Arc::clone(&plan)).unwrap(), spec).unwrap();

    let inputs = quantise_inputs(&graph, &samples("input.json")[0]).unwrap();
    let circuit = ModelCircuit::with_witness(&graph, plan, &inputs).unwrap();
    let instances = instance_values(&graph, Fr::from(0x1234), &inputs, circuit.outputs()).unwrap();
    let request = ProofRequest { circuit: &circuit, key: &key, srs: &srs, instances: &instances };
    let proof = prove(&DirectBackend, &request, OsRng).unwrap().proof;

    let verifying = key.verifying();
    let params = VerifierParams {
        s_g2: verifying.verify_g2(),
        vk_digest: *verifying.digest().as_bytes(),
        srs_digest: *verifying.srs().as_bytes(),
        instances: verifying.instances(),
    };
    let generator = Generator::new(verifying.halo2(), &params).unwrap();
    let source = generator.shared_solidity("Verifier").unwrap();
    let compiled = compile(&source, &SolcPath::in_repository(&root())).unwrap();
    let creation = shared_creation(&compiled.creation, &params.s_g2);
    let evm = Evm::new(Rules::Cancun);
    let shared = evm.deploy_shared(&creation, &generator.key().unwrap()).unwrap().model;
    let source = generator.solidity("Verifier").unwrap();
    let contract = evm.deploy(&compile(&source, &SolcPath::in_repository(&root())).unwrap().creation).unwrap();
    let calldata = encode_calldata(&proof.instances, &proof.bytes);
    Case { key, contract, shared, proof, calldata }
}

impl Case {
    fn word(&self, word: usize) -> U256 {
        U256::from_be_slice(&self.proof.bytes[32 * word..32 * word + 32])
    }

    /// Where the instances begin in the calldata: behind selector, two offsets and their number.
    const INSTANCES: usize = 4 + 3 * 32;

    /// Where the proof begins in the calldata: behind the instances and its length.
    fn proof_start(&self) -> usize {
        Self::INSTANCES + 32 * (self.proof.instances.len() + 1)
    }

    fn assert_evm_refuses(&self, changes: &[(usize, U256)], what: &str) {
        let mut calldata = self.calldata.clone();
        for (at, value) in changes {
            calldata[*at..at + 32].copy_from_slice(&value.to_be_bytes::<32>());
        }
        assert_ne!(calldata, self.calldata, "{what} changes nothing");
        let outcome = self.contract.verify(&calldata).unwrap();
        assert!(!outcome.verified, "the contract accepts {what}");
        let name = outcome.error_name.unwrap();
        assert!(!matches!(name.as_str(), "EmptyRevert" | "UnknownError"), "{what}: {name}");
        // A point that is none takes nearly all gas, and behind the key's contract there may be too little left to name it.
        assert!(!self.shared.verify(&calldata).unwrap().verified, "the shared verifier accepts {what}");
    }

    /// Puts values in the place of words of the proof.
    fn assert_proof_refused(&self, changes: &[(usize, U256)], what: &str) {
        let mut proof = self.proof.clone();
        for (word, value) in changes {
            proof.bytes[32 * word..32 * word + 32].copy_from_slice(&value.to_be_bytes::<32>());
        }
        assert!(verify(self.key.verifying(), &proof).is_err(), "the native verifier accepts {what}");
        let changes: Vec<_> = changes.iter().map(|(word, value)| (self.proof_start() + 32 * word, *value)).collect();
        self.assert_evm_refuses(&changes, what);
    }

    fn assert_no_word_can_change(&self) {
        let number = |text: &str| text.parse::<U256>().unwrap();
        let (r, q, one) = (number(R), number(Q), U256::from(1));
        let words = self.proof.bytes.len() / 32;
        for word in 0..words {
            let value = self.word(word);
            let others = [
                ("0", U256::ZERO),
                ("1", one),
                ("one more", value.wrapping_add(one)),
                ("one less", value.wrapping_sub(one)),
                ("r more", value.wrapping_add(r)),
                ("q more", value.wrapping_add(q)),
                ("r", r),
                ("q", q),
                ("2^256 - 1", U256::MAX),
                ("its lowest bit flipped", value ^ one),
                ("its highest bit flipped", value ^ (one << 255)),
                ("its negative mod r", r.wrapping_sub(value)),
                ("its negative mod q", q.wrapping_sub(value)),
            ];
            for (how, other) in others.into_iter().filter(|(_, other)| *other != value) {
                self.assert_proof_refused(&[(word, other)], &format!("word {word} of {words} as {how}"));
            }
            let next = (word + 1) % words;
            let swap = [(word, self.word(next)), (next, value)];
            self.assert_proof_refused(&swap, &format!("words {word} and {next} of {words} swapped"));
        }
    }

    fn assert_no_instance_can_change(&self) {
        let r = R.parse::<U256>().unwrap();
        for (i, honest) in self.proof.instances.iter().enumerate() {
            let at = Self::INSTANCES + 32 * i;
            let value = U256::from_be_slice(&self.calldata[at..at + 32]);
            let canonical =
                [U256::ZERO, U256::from(1), value + U256::from(1), value ^ (U256::from(1) << 24), r - value];
            for other in canonical.into_iter().map(|other| other % r).filter(|other| *other != value) {
                let what = format!("instance {i} as {other}");
                let mut proof = self.proof.clone();
                proof.instances[i] = scalar_from_be(&other.to_be_bytes()).unwrap();
                assert_ne!(proof.instances[i], *honest);
                assert!(verify(self.key.verifying(), &proof).is_err(), "the native verifier accepts {what}");
                self.assert_evm_refuses(&[(at, other)], &what);
            }
            // The same residue under another name; there is none natively, where instances are field elements.
            for alias in [value + r, value + r + r, U256::MAX] {
                self.assert_evm_refuses(&[(at, alias)], &format!("instance {i} as {alias}"));
            }
        }
    }
}

fn assert_nothing_can_change(weights: WeightPlacement) {
    let case = rebalancer(weights);
    verify(case.key.verifying(), &case.proof).unwrap();
    assert!(case.contract.verify(&case.calldata).unwrap().verified);
    assert!(case.shared.verify(&case.calldata).unwrap().verified);
    case.assert_no_instance_can_change();
    case.assert_no_word_can_change();
}

#[test]
fn no_word_of_a_proof_with_public_weights_can_change() {
    assert_nothing_can_change(WeightPlacement::Public);
}

#[test]
fn no_word_of_a_proof_with_private_weights_can_change() {
    assert_nothing_can_change(WeightPlacement::Private);
}
