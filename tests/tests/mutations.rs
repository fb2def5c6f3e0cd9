//! A proof of a real model: change any bit or word of it, any public value, or anything of the calldata around them, and
//! all verifiers refuse it: the native one, the generated contract with the key inside, and the one shared between keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::cell::Cell;
use std::ops::Range;
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
    /// Words of the proof that are scalars; the others are coordinates.
    scalars: Range<usize>,
    /// How many changed proofs or statements were refused natively.
    native_mutants: Cell<usize>,
    /// How many changed calldata both contracts refused.
    evm_mutants: Cell<usize>,
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
    let scalars = verifying.proof_scalars();
    let (native_mutants, evm_mutants) = (Cell::new(0), Cell::new(0));
    Case { key, contract, shared, proof, calldata, scalars, native_mutants, evm_mutants }
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

    /// First words of the points.
    fn points(&self) -> Vec<usize> {
        let behind = (self.scalars.end..self.proof.bytes.len() / 32).step_by(2);
        (0..self.scalars.start).step_by(2).chain(behind).collect()
    }

    fn assert_native_refuses(&self, proof: &Proof, what: &str) {
        assert!(verify(self.key.verifying(), proof).is_err(), "the native verifier accepts {what}");
        self.native_mutants.set(self.native_mutants.get() + 1);
    }

    /// Both contracts refuse the calldata; returns the names of their errors.
    fn assert_evm_refuses(&self, calldata: &[u8], what: &str) -> [String; 2] {
        assert_ne!(calldata, self.calldata, "{what} changes nothing");
        let names = [("contract", &self.contract), ("shared verifier", &self.shared)].map(|(form, contract)| {
            let outcome = contract.verify(calldata).unwrap();
            assert!(!outcome.verified, "the {form} accepts {what}");
            outcome.error_name.unwrap()
        });
        self.evm_mutants.set(self.evm_mutants.get() + 1);
        names
    }

    /// Words of the calldata changed: both contracts refuse it for a reason that they name.
    fn assert_evm_names(&self, changes: &[(usize, U256)], what: &str) {
        let mut calldata = self.calldata.clone();
        for (at, value) in changes {
            calldata[*at..at + 32].copy_from_slice(&value.to_be_bytes::<32>());
        }
        for name in self.assert_evm_refuses(&calldata, what) {
            assert!(!matches!(name.as_str(), "EmptyRevert" | "UnknownError"), "{what}: {name}");
        }
    }

    /// Puts values in the place of words of the proof.
    fn assert_proof_refused(&self, changes: &[(usize, U256)], what: &str) {
        let mut proof = self.proof.clone();
        for (word, value) in changes {
            proof.bytes[32 * word..32 * word + 32].copy_from_slice(&value.to_be_bytes::<32>());
        }
        self.assert_native_refuses(&proof, what);
        let changes: Vec<_> = changes.iter().map(|(word, value)| (self.proof_start() + 32 * word, *value)).collect();
        self.assert_evm_names(&changes, what);
    }

    fn assert_no_bit_can_change(&self) {
        let mut proof = self.proof.clone();
        for bit in 0..8 * proof.bytes.len() {
            proof.bytes[bit / 8] ^= 1 << (bit % 8);
            self.assert_native_refuses(&proof, &format!("bit {bit} flipped"));
            proof.bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    fn assert_no_point_can_change(&self) {
        let q = Q.parse::<U256>().unwrap();
        let (zero, one, two) = (U256::ZERO, U256::from(1), U256::from(2));
        let points = self.points();
        for (i, word) in points.iter().copied().enumerate() {
            let (x, y) = (self.word(word), self.word(word + 1));
            let next = points[(i + 1) % points.len()];
            let others = [
                ("the identity", zero, zero),
                ("its negative", x, q - y),
                ("the generator", one, two),
                ("with both coordinates q more", x + q, y + q),
                ("the point behind it", self.word(next), self.word(next + 1)),
            ];
            for (how, x, y) in others {
                self.assert_proof_refused(&[(word, x), (word + 1, y)], &format!("the point at word {word} as {how}"));
            }
        }
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
                self.assert_native_refuses(&proof, &what);
                self.assert_evm_names(&[(at, other)], &what);
            }
            // The same residue under another name; there is none natively, where instances are field elements.
            for alias in [value + r, value + r + r, U256::MAX] {
                self.assert_evm_names(&[(at, alias)], &format!("instance {i} as {alias}"));
            }
        }
    }

    /// Selector, offsets and lengths, and how the parts lie.
    fn assert_calldata_has_one_encoding(&self) {
        let honest = &self.calldata;
        let length_at = self.proof_start() - 32;
        for at in (0..Self::INSTANCES).chain(length_at..self.proof_start()) {
            for bit in 0..8 {
                let mut calldata = honest.clone();
                calldata[at] ^= 1 << bit;
                self.assert_evm_refuses(&calldata, &format!("bit {bit} of calldata's byte {at} flipped"));
            }
        }
        for length in (0..honest.len() - 32).step_by(32).chain(honest.len() - 32..honest.len()) {
            self.assert_evm_refuses(&honest[..length], &format!("calldata cut to {length} bytes"));
        }
        for length in (1..=32).chain([64, 1024]) {
            for byte in [0x00, 0xff] {
                let longer = [honest.clone(), vec![byte; length]].concat();
                self.assert_evm_refuses(&longer, &format!("{length} times {byte:#x} behind calldata"));
            }
        }
        let word = |value: usize| U256::from(value).to_be_bytes::<32>();
        let (selector, instances, proof) =
            (&honest[..4], &honest[Self::INSTANCES - 32..length_at], &honest[length_at..]);
        let parts = |first: usize, second: usize, rest: &[&[u8]]| {
            [[selector, &word(first), &word(second)].concat(), rest.concat()].concat()
        };
        let gap = [0; 32];
        let (start, end) = (64, 64 + instances.len());
        for (what, calldata) in [
            ("the proof before the instances", parts(start + proof.len(), start, &[proof, instances])),
            ("a gap before the instances", parts(start + 32, end + 32, &[&gap, instances, proof])),
            ("a gap before the proof", parts(start, end + 32, &[instances, &gap, proof])),
            ("a second copy of the instances", parts(end, end + instances.len(), &[instances, instances, proof])),
            ("a second copy of the proof", parts(start, end + proof.len(), &[instances, proof, proof])),
        ] {
            self.assert_evm_refuses(&calldata, what);
        }
    }
}

fn assert_nothing_can_change(weights: WeightPlacement) {
    let case = rebalancer(weights);
    verify(case.key.verifying(), &case.proof).unwrap();
    assert!(case.contract.verify(&case.calldata).unwrap().verified);
    assert!(case.shared.verify(&case.calldata).unwrap().verified);
    case.assert_no_bit_can_change();
    case.assert_no_word_can_change();
    case.assert_no_point_can_change();
    case.assert_no_instance_can_change();
    case.assert_calldata_has_one_encoding();
    let (native, evm) = (case.native_mutants.get(), case.evm_mutants.get());
    println!("{weights:?} weights: {native} mutants refused natively, {evm} by both contracts, none accepted");
}

#[test]
fn nothing_of_a_proof_with_public_weights_can_change() {
    assert_nothing_can_change(WeightPlacement::Public);
}

#[test]
fn nothing_of_a_proof_with_private_weights_can_change() {
    assert_nothing_can_change(WeightPlacement::Private);
}
