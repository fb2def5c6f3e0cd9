//! Circuits that know nothing of this project, by the library's documented calls: a Fibonacci sequence with a selector,
//! and the Poseidon hash with gates of degree 6.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::path::PathBuf;

use halo2_proofs::circuit::{AssignedCell, Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::halo2curves::bn256::{Bn256, Fr, G1Affine};
use halo2_proofs::halo2curves::ff::{Field, PrimeField};
use halo2_proofs::plonk::{
    Advice, Circuit, Column, ConstraintSystem, Error, Expression, Fixed, Instance, Selector, create_proof, keygen_pk,
    keygen_vk,
};
use halo2_proofs::poly::Rotation;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use halo2_proofs::transcript::TranscriptWriterBuffer;
use poseidon_primitives::poseidon::primitives::{ConstantLength, Hash, Spec};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::system::halo2::transcript::evm::EvmTranscript;
use vouch_solidity::{Evm, Generator, Rules, SolcPath, VerifierParams, compile, encode_calldata, shared_creation};

/// Keys, a proof, both forms of verifier: the statement is accepted, others are not.
fn accepts<C: Circuit<Fr> + Clone>(name: &str, k: u32, circuit: &C, instances: &[Fr]) {
    let srs = ParamsKZG::<Bn256>::setup(k, ChaCha20Rng::seed_from_u64(9));
    let vk = keygen_vk(&srs, circuit).unwrap();
    // halo2 opens its transcript with this scalar.
    let mut vk_digest = vk.transcript_repr().to_repr();
    vk_digest.reverse();
    let pk = keygen_pk(&srs, vk.clone(), circuit).unwrap();
    type Transcript = EvmTranscript<G1Affine, NativeLoader, Vec<u8>, Vec<u8>>;
    let mut transcript: Transcript = TranscriptWriterBuffer::init(Vec::new());
    create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
        &srs,
        &pk,
        std::slice::from_ref(circuit),
        &[&[instances]],
        ChaCha20Rng::seed_from_u64(10),
        &mut transcript,
    )
    .unwrap();
    let proof = transcript.finalize();

    let params = VerifierParams { s_g2: srs.s_g2(), vk_digest, srs_digest: [0; 32], instances: instances.len() };
    let generator = Generator::new(&vk, &params).unwrap();
    let solc = SolcPath::in_repository(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.."));
    let single = compile(&generator.solidity(name).unwrap(), &solc).unwrap();
    let shared = compile(&generator.shared_solidity(name).unwrap(), &solc).unwrap();
    let evm = Evm::new(Rules::Cancun);
    let shared =
        evm.deploy_shared(&shared_creation(&shared.creation, &params.s_g2), &generator.key().unwrap()).unwrap();
    for (form, verifier) in [("single", evm.deploy(&single.creation).unwrap()), ("shared", shared.model)] {
        let outcome = verifier.verify(&encode_calldata(instances, &proof)).unwrap();
        assert!(outcome.verified, "{name}, {form}: {outcome:?}");
        println!("{name}, {form}: {} gas, {} bytes of proof", outcome.gas, proof.len());
        for i in 0..instances.len() {
            let mut others = instances.to_vec();
            others[i] += Fr::ONE;
            let outcome = verifier.verify(&encode_calldata(&others, &proof)).unwrap();
            assert_eq!(outcome.error_name.as_deref(), Some("ProofRejected"), "{name}, {form}, instance {i}");
        }
    }
}

/// `a, b, a + b` row by row, each row's last two the next one's first.
#[derive(Clone)]
struct Fibonacci {
    start: [Value<Fr>; 2],
    rows: usize,
}

#[derive(Clone)]
struct FibonacciConfig {
    columns: [Column<Advice>; 3],
    sum: Selector,
    instance: Column<Instance>,
}

impl Circuit<Fr> for Fibonacci {
    type Config = FibonacciConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        Fibonacci { start: [Value::unknown(); 2], rows: self.rows }
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> FibonacciConfig {
        let columns = [(); 3].map(|()| meta.advice_column());
        let (sum, instance) = (meta.selector(), meta.instance_column());
        columns.iter().for_each(|column| meta.enable_equality(*column));
        meta.enable_equality(instance);
        meta.create_gate("sum", |cells| {
            let [a, b, c] = columns.map(|column| cells.query_advice(column, Rotation::cur()));
            vec![cells.query_selector(sum) * (a + b - c)]
        });
        FibonacciConfig { columns, sum, instance }
    }

    fn synthesize(&self, config: FibonacciConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let cells = layouter.assign_region(
            || "sequence",
            |mut region| {
                let mut cells = Vec::new();
                let mut last: Option<[AssignedCell<_, Fr>; 2]> = None;
                let [mut a, mut b] = self.start;
                for row in 0..self.rows {
                    config.sum.enable(&mut region, row)?;
                    let c = a + b;
                    let [first, second, third] =
                        [(0, a), (1, b), (2, c)].map(|(i, value)| region.assign_advice(config.columns[i], row, value));
                    if let Some([before, sum]) = last {
                        region.constrain_equal(before.cell(), first.cell());
                        region.constrain_equal(sum.cell(), second.cell());
                    } else {
                        cells.extend([first.cell(), second.cell()]);
                    }
                    if row + 1 == self.rows {
                        cells.push(third.cell());
                    }
                    last = Some([second, third]);
                    (a, b) = (b, c);
                }
                Ok(cells)
            },
        )?;
        for (row, cell) in cells.into_iter().enumerate() {
            layouter.constrain_instance(cell, config.instance, row);
        }
        Ok(())
    }
}

#[test]
fn a_fibonacci_circuit_has_both_verifiers() {
    let (a, b, rows) = (Fr::from(3), Fr::from(5), 20);
    let (mut x, mut y) = (a, b);
    for _ in 0..rows {
        (x, y) = (y, x + y);
    }
    accepts("Fibonacci", 6, &Fibonacci { start: [a, b].map(Value::known), rows }, &[a, b, y]);
}

/// Poseidon over this field: width 3, rate 2, `x^5`, 8 full and 57 partial rounds.
#[derive(Clone, Copy, Debug)]
struct Pow5;

impl Spec<Fr, 3, 2> for Pow5 {
    fn full_rounds() -> usize {
        8
    }

    fn partial_rounds() -> usize {
        57
    }

    fn sbox(value: Fr) -> Fr {
        value.pow_vartime([5])
    }

    fn secure_mds() -> usize {
        0
    }
}

/// Knowledge of two numbers with a given hash.
#[derive(Clone)]
struct Preimage([Value<Fr>; 2]);

#[derive(Clone)]
struct PoseidonConfig {
    state: [Column<Advice>; 3],
    constants: [Column<Fixed>; 3],
    full: Selector,
    partial: Selector,
    capacity: Column<Fixed>,
    instance: Column<Instance>,
}

fn fifth(x: Expression<Fr>) -> Expression<Fr> {
    let square = x.clone() * x.clone();
    square.clone() * square * x
}

impl Circuit<Fr> for Preimage {
    type Config = PoseidonConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        Preimage([Value::unknown(); 2])
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> PoseidonConfig {
        // halo2 caps the degree at 5 where nothing is said.
        meta.set_minimum_degree(6);
        let state = [(); 3].map(|()| meta.advice_column());
        let constants = [(); 3].map(|()| meta.fixed_column());
        let (full, partial) = (meta.selector(), meta.selector());
        let (capacity, instance) = (meta.fixed_column(), meta.instance_column());
        state.iter().for_each(|column| meta.enable_equality(*column));
        meta.enable_equality(capacity);
        meta.enable_equality(instance);
        let (_, mds, _) = Pow5::constants();
        for (name, selector, is_full) in [("full", full, true), ("partial", partial, false)] {
            meta.create_gate(name, |cells| {
                let selector = cells.query_selector(selector);
                let next = state.map(|column| cells.query_advice(column, Rotation::next()));
                let added = [0, 1, 2].map(|i| {
                    cells.query_advice(state[i], Rotation::cur()) + cells.query_fixed(constants[i], Rotation::cur())
                });
                let [x, y, z] = added;
                let boxed = if is_full { [fifth(x), fifth(y), fifth(z)] } else { [fifth(x), y, z] };
                let mixed = mds.map(|row| {
                    let terms = boxed.iter().zip(row).map(|(value, factor)| value.clone() * factor);
                    terms.reduce(|sum, term| sum + term).unwrap()
                });
                next.into_iter().zip(mixed).map(|(next, mixed)| selector.clone() * (next - mixed)).collect::<Vec<_>>()
            });
        }
        PoseidonConfig { state, constants, full, partial, capacity, instance }
    }

    fn synthesize(&self, config: PoseidonConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let (round_constants, mds, _) = Pow5::constants();
        let domain = Fr::from_u128(2 << 64);
        let hash = layouter.assign_region(
            || "permutation",
            |mut region| {
                let [a, b] = self.0;
                let mut state = [a, b, Value::known(domain)];
                let mut cells = [0, 1, 2].map(|i| region.assign_advice(config.state[i], 0, state[i]).cell());
                let fixed = region.assign_fixed(config.capacity, 0, domain);
                region.constrain_equal(cells[2], fixed);
                for (row, constants) in round_constants.iter().enumerate() {
                    let full = !(4..4 + 57).contains(&row);
                    if full { config.full } else { config.partial }.enable(&mut region, row)?;
                    for (column, constant) in config.constants.iter().zip(constants) {
                        region.assign_fixed(*column, row, *constant);
                    }
                    let boxed: [Value<Fr>; 3] = [0, 1, 2].map(|i| {
                        let added = state[i] + Value::known(constants[i]);
                        if full || i == 0 { added.map(Pow5::sbox) } else { added }
                    });
                    state = mds.map(|factors| {
                        let terms = boxed.iter().zip(factors).map(|(value, factor)| *value * Value::known(factor));
                        terms.reduce(|sum, term| sum + term).unwrap()
                    });
                    cells = [0, 1, 2].map(|i| region.assign_advice(config.state[i], row + 1, state[i]).cell());
                }
                Ok(cells[0])
            },
        )?;
        layouter.constrain_instance(hash, config.instance, 0);
        Ok(())
    }
}

#[test]
fn a_poseidon_circuit_has_both_verifiers() {
    let preimage = [Fr::from(12), Fr::from(34)];
    let hash = Hash::<Fr, Pow5, ConstantLength<2>, 3, 2>::init().hash(preimage);
    accepts("Poseidon", 7, &Preimage(preimage.map(Value::known)), &[hash]);
}
