//! Satisfiable circuits with random gates, and proofs of them.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::halo2curves::CurveAffine;
use halo2_proofs::halo2curves::bn256::{Bn256, Fq, Fq2, Fr, G1Affine, G2Affine};
use halo2_proofs::halo2curves::ff::{Field, PrimeField};
use halo2_proofs::plonk::{
    Advice, Challenge, Circuit, Column, ConstraintSystem, Error, Expression, FirstPhase, Fixed, Instance, ProvingKey,
    SecondPhase, ThirdPhase, VerifyingKey, create_proof, keygen_pk, keygen_vk, verify_proof,
};
use halo2_proofs::poly::Rotation;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::{ProverSHPLONK, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{TranscriptReadBuffer, TranscriptWriterBuffer};
use rand::seq::SliceRandom;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::system::halo2::transcript::evm::EvmTranscript;
use vouch_solidity::{
    Compiled, Evm, Generator, Key, SharedDeployment, SolcPath, VerifierParams, compile, shared_creation,
};

pub fn solc() -> SolcPath {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    SolcPath::in_repository(&root)
}

/// A scalar from 32 big-endian bytes.
pub fn scalar(bytes: &[u8]) -> Fr {
    let mut repr = <[u8; 32]>::try_from(bytes).unwrap();
    repr.reverse();
    Fr::from_repr(repr).unwrap()
}

/// Scalars as big-endian words.
pub fn bytes(scalars: &[Fr]) -> Vec<u8> {
    scalars.iter().flat_map(|s| s.to_repr().into_iter().rev()).collect()
}

/// A point of the twist that is not in the group of the pairing: all but one of `2^254` points are not.
pub fn outside_the_subgroup() -> G2Affine {
    let b = G2Affine::b();
    (1u64..)
        .map(|i| Fq2 { c0: Fq::from(i), c1: Fq::ONE })
        .find_map(|x| Option::<Fq2>::from((x.square() * x + b).sqrt()).map(|y| G2Affine { x, y }))
        .unwrap()
}

/// Rows that gates are active on; rotations reach two rows further.
const ROWS: std::ops::Range<usize> = 2..14;
const FILLED: usize = 16;

#[derive(Clone, Debug)]
pub struct Recipe {
    pub seed: u64,
    pub k: u32,
    /// Free columns of the first phase.
    pub free: usize,
    /// Computed columns a phase; at most two, halo2-axiom 0.5.3 panics after a third.
    pub computed: Vec<usize>,
    pub fixed: usize,
    /// Free columns in the permutation argument.
    pub permuted: usize,
    pub permuted_fixed: bool,
    pub permuted_instance: bool,
    pub instances: usize,
    /// Rotations that gates query the instance column at.
    pub instance_rotations: Vec<i32>,
    pub degree: usize,
    /// Lanes of the Horner gates of the later phases.
    pub lanes: usize,
    pub max_rotation: i32,
    /// A fixed column of zeros, whose commitment is the identity.
    pub zero_fixed: bool,
    /// Values of the fixed columns: all that keys of one constraint system differ in, beside rows and instances.
    pub fixed_seed: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
            seed: 1,
            k: 6,
            free: 3,
            computed: vec![2, 1],
            fixed: 2,
            permuted: 2,
            permuted_fixed: true,
            permuted_instance: true,
            instances: 3,
            instance_rotations: vec![],
            degree: 5,
            lanes: 4,
            max_rotation: 1,
            zero_fixed: false,
            fixed_seed: 0,
        }
    }
}

impl Recipe {
    pub fn random(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let phases = rng.gen_range(1..=2);
        let free = rng.gen_range(1..6);
        Recipe {
            seed,
            k: rng.gen_range(5..8),
            free,
            computed: (0..phases).map(|_| rng.gen_range(1..4)).collect(),
            fixed: rng.gen_range(1..4),
            permuted: rng.gen_range(0..=free),
            permuted_fixed: rng.r#gen(),
            permuted_instance: rng.r#gen(),
            instances: rng.gen_range(0..8),
            instance_rotations: [vec![], vec![0], vec![-1, 0], vec![1]].choose(&mut rng).unwrap().clone(),
            degree: rng.gen_range(3..8),
            lanes: rng.gen_range(1..10),
            max_rotation: rng.gen_range(0..3),
            zero_fixed: rng.gen_bool(0.3),
            fixed_seed: 0,
        }
    }
}

/// What a gate computes.
#[derive(Clone, Debug)]
enum Ast {
    Const(Fr),
    Free(usize, i32),
    Fixed(usize, i32),
    Instance(i32),
    Challenge(usize),
    Add(Box<Ast>, Box<Ast>),
    Mul(Box<Ast>, Box<Ast>),
    Neg(Box<Ast>),
    Scale(Box<Ast>, Fr),
}

struct Grower<'a> {
    recipe: &'a Recipe,
    rng: ChaCha20Rng,
}

impl Grower<'_> {
    fn rotation(&mut self) -> i32 {
        let m = self.recipe.max_rotation;
        self.rng.gen_range(-m..=m)
    }

    fn grow(&mut self, degree: usize, fuel: usize, challenges: usize) -> Ast {
        let pick = if fuel == 0 { self.rng.gen_range(0..5) } else { self.rng.gen_range(3..12) };
        match pick {
            0 | 3 => Ast::Const(match self.rng.gen_range(0..4) {
                0 => Fr::from(self.rng.gen_range(0..3)),
                1 => -Fr::from(u64::from(self.rng.next_u32())),
                2 => Fr::from(1 << 20),
                _ => Fr::random(&mut self.rng),
            }),
            1 if challenges > 0 => Ast::Challenge(self.rng.gen_range(0..challenges)),
            _ if degree == 0 => Ast::Const(Fr::from(7)),
            2 | 1 => {
                let rotation = self.rotation();
                Ast::Free(self.rng.gen_range(0..self.recipe.free), rotation)
            }
            4 => match self.recipe.instance_rotations.choose(&mut self.rng).copied() {
                Some(rotation) if self.rng.r#gen() => Ast::Instance(rotation),
                _ => {
                    let rotation = self.rotation();
                    Ast::Fixed(self.rng.gen_range(0..self.recipe.fixed), rotation)
                }
            },
            5..=7 => Ast::Add(
                Box::new(self.grow(degree, fuel - 1, challenges)),
                Box::new(self.grow(degree, fuel - 1, challenges)),
            ),
            8 | 9 => {
                let left = self.rng.gen_range(0..=degree);
                Ast::Mul(
                    Box::new(self.grow(left, fuel - 1, challenges)),
                    Box::new(self.grow(degree - left, fuel - 1, challenges)),
                )
            }
            10 => Ast::Neg(Box::new(self.grow(degree, fuel - 1, challenges))),
            _ => {
                let factor = Fr::random(&mut self.rng);
                Ast::Scale(Box::new(self.grow(degree, fuel - 1, challenges)), factor)
            }
        }
    }
}

/// A computed column: `q * (column - value) = 0`, or with `running` set
/// `q * (column(+1) - column * s^lanes - sum_l s^(lanes-1-l) free_l) = 0`.
#[derive(Clone, Debug)]
struct Computed {
    phase: usize,
    value: Ast,
    running: bool,
}

fn plan(recipe: &Recipe) -> Vec<Computed> {
    let rng = ChaCha20Rng::seed_from_u64(recipe.seed ^ 0xace);
    let mut grower = Grower { recipe, rng };
    let mut all = Vec::new();
    for (phase, count) in recipe.computed.iter().enumerate() {
        for i in 0..*count {
            let mut value = grower.grow(recipe.degree - 1, 4, phase);
            if all.is_empty() {
                // One gate has the full degree: the last piece of the quotient must not be zero.
                let full = (0..recipe.degree - 1).map(|j| Ast::Free(j % recipe.free, 0));
                let full = full.reduce(|a, b| Ast::Mul(Box::new(a), Box::new(b))).unwrap();
                value = Ast::Add(Box::new(value), Box::new(full));
            }
            all.push(Computed { phase, value, running: phase > 0 && i == 0 });
        }
    }
    all
}

#[derive(Clone, Debug)]
pub struct RandomCircuit {
    pub recipe: Recipe,
    pub instances: Vec<Fr>,
    free: Vec<Vec<Fr>>,
    fixed: Vec<Vec<Fr>>,
}

#[derive(Clone, Debug)]
pub struct RandomConfig {
    free: Vec<Column<Advice>>,
    computed: Vec<Column<Advice>>,
    fixed: Vec<Column<Fixed>>,
    q: Column<Fixed>,
    zero: Option<Column<Fixed>>,
    instance: Column<Instance>,
    challenges: Vec<Challenge>,
}

impl RandomCircuit {
    pub fn new(recipe: &Recipe, witness_seed: u64) -> Self {
        let mut key = ChaCha20Rng::seed_from_u64(recipe.seed ^ recipe.fixed_seed ^ 0xf1);
        let fixed: Vec<Vec<Fr>> =
            (0..recipe.fixed).map(|_| (0..FILLED).map(|_| Fr::random(&mut key)).collect()).collect();
        let mut rng = ChaCha20Rng::seed_from_u64(witness_seed);
        let instances: Vec<Fr> = (0..recipe.instances).map(|_| Fr::random(&mut rng)).collect();
        let mut free: Vec<Vec<Fr>> =
            (0..recipe.free).map(|_| (0..FILLED).map(|_| Fr::random(&mut rng)).collect()).collect();
        for column in 0..recipe.permuted {
            for row in 0..FILLED {
                free[column][row] = match recipe.copy(column, row) {
                    Some(Source::Instance(i)) => instances[i],
                    Some(Source::Fixed(i)) => fixed[0][i],
                    Some(Source::Free(c, r)) => free[c][r],
                    None => free[column][row],
                };
            }
        }
        RandomCircuit { recipe: recipe.clone(), instances, free, fixed }
    }

    fn evaluate(&self, ast: &Ast, row: usize, challenges: &[Fr]) -> Fr {
        let at = |rotation: i32| (row as i32 + rotation) as usize;
        match ast {
            Ast::Const(value) => *value,
            Ast::Free(column, rotation) => self.free[*column][at(*rotation)],
            Ast::Fixed(column, rotation) => self.fixed[*column][at(*rotation)],
            Ast::Instance(rotation) => self.instances.get(at(*rotation)).copied().unwrap_or(Fr::ZERO),
            Ast::Challenge(i) => challenges[*i],
            Ast::Add(a, b) => self.evaluate(a, row, challenges) + self.evaluate(b, row, challenges),
            Ast::Mul(a, b) => self.evaluate(a, row, challenges) * self.evaluate(b, row, challenges),
            Ast::Neg(a) => -self.evaluate(a, row, challenges),
            Ast::Scale(a, factor) => self.evaluate(a, row, challenges) * factor,
        }
    }

    fn column(&self, computed: &Computed, challenges: &[Fr]) -> Vec<Fr> {
        let mut values = vec![Fr::ZERO; FILLED];
        if computed.running {
            let s = challenges[computed.phase - 1];
            values[ROWS.start] = Fr::from(3);
            for row in ROWS {
                let mut acc = values[row];
                for lane in 0..self.recipe.lanes {
                    acc = acc * s + self.free[lane % self.recipe.free][row];
                }
                values[row + 1] = acc;
            }
        } else {
            for row in ROWS {
                values[row] = self.evaluate(&computed.value, row, challenges);
            }
        }
        values
    }
}

enum Source {
    Instance(usize),
    Fixed(usize),
    Free(usize, usize),
}

impl Recipe {
    /// What a cell of a permuted column is a copy of.
    fn copy(&self, column: usize, row: usize) -> Option<Source> {
        if column > 0 && row.is_multiple_of(3) {
            return Some(Source::Free(column - 1, (row * 5 + column) % FILLED));
        }
        if column == 0 && self.permuted_instance && row < self.instances {
            return Some(Source::Instance(row));
        }
        (column == 0 && self.permuted_fixed && row == 9).then_some(Source::Fixed(4))
    }
}

impl RandomConfig {
    fn expression(&self, ast: &Ast) -> Expression<Fr> {
        match ast {
            Ast::Const(value) => Expression::Constant(*value),
            Ast::Free(column, r) => self.free[*column].query_cell(Rotation(*r)),
            Ast::Fixed(column, r) => self.fixed[*column].query_cell(Rotation(*r)),
            Ast::Instance(r) => self.instance.query_cell(Rotation(*r)),
            Ast::Challenge(i) => self.challenges[*i].expr(),
            Ast::Add(a, b) => self.expression(a) + self.expression(b),
            Ast::Mul(a, b) => self.expression(a) * self.expression(b),
            Ast::Neg(a) => -self.expression(a),
            Ast::Scale(a, factor) => self.expression(a) * *factor,
        }
    }
}

impl Circuit<Fr> for RandomCircuit {
    type Config = RandomConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Recipe;

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn params(&self) -> Recipe {
        self.recipe.clone()
    }

    fn configure(_: &mut ConstraintSystem<Fr>) -> RandomConfig {
        panic!("the recipe is needed")
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, recipe: Recipe) -> RandomConfig {
        meta.set_minimum_degree(recipe.degree.max(3));
        let plan = plan(&recipe);
        let mut free = Vec::new();
        let mut computed = Vec::new();
        // Columns of different phases in mixed order: commitments come by phase, queries by use.
        for (i, column) in plan.iter().enumerate() {
            if i < recipe.free {
                free.push(meta.advice_column());
            }
            computed.push(match column.phase {
                0 => meta.advice_column_in(FirstPhase),
                1 => meta.advice_column_in(SecondPhase),
                _ => meta.advice_column_in(ThirdPhase),
            });
        }
        while free.len() < recipe.free {
            free.push(meta.advice_column());
        }
        let mut challenges = Vec::new();
        if recipe.computed.len() > 1 {
            challenges.push(meta.challenge_usable_after(FirstPhase));
        }
        if recipe.computed.len() > 2 {
            challenges.push(meta.challenge_usable_after(SecondPhase));
        }
        let fixed: Vec<_> = (0..recipe.fixed).map(|_| meta.fixed_column()).collect();
        let q = meta.fixed_column();
        let zero = recipe.zero_fixed.then(|| meta.fixed_column());
        let instance = meta.instance_column();
        for column in &free[..recipe.permuted] {
            meta.enable_equality(*column);
        }
        if recipe.permuted > 0 && recipe.permuted_fixed {
            meta.enable_equality(fixed[0]);
        }
        if recipe.permuted > 0 && recipe.permuted_instance {
            meta.enable_equality(instance);
        }
        let config = RandomConfig { free, computed, fixed, q, zero, instance, challenges };
        for (column, of) in config.computed.iter().zip(&plan) {
            meta.create_gate("computed", |_| {
                let q = config.q.cur();
                if of.running {
                    let s = config.challenges[of.phase - 1].expr();
                    let lanes = recipe.lanes;
                    let mut sum: Expression<Fr> = column.next();
                    let mut power = Expression::Constant(Fr::ONE);
                    for lane in (0..lanes).rev() {
                        sum = sum - config.free[lane % recipe.free].cur() * power.clone();
                        power = power * s.clone();
                    }
                    return vec![q * (sum - column.cur() * power)];
                }
                vec![q * (column.cur() - config.expression(&of.value))]
            });
        }
        let spare = config.free.clone();
        meta.create_gate("every column is opened", |_| {
            let zero = config.zero.map_or(Expression::Constant(Fr::ZERO), |c| c.cur());
            let sum = spare.iter().fold(Expression::Constant(Fr::ONE), |a, c| a + c.cur());
            vec![zero * sum]
        });
        config
    }

    fn synthesize(&self, config: RandomConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let drawn: Vec<Value<Fr>> = config.challenges.iter().map(|c| layouter.get_challenge(*c)).collect();
        let mut tied = Vec::new();
        layouter.assign_region(
            || "all",
            |mut region| {
                let fixed: Vec<Vec<_>> = config
                    .fixed
                    .iter()
                    .zip(&self.fixed)
                    .map(|(column, values)| {
                        let each = values.iter().enumerate();
                        each.map(|(row, value)| region.assign_fixed(*column, row, *value)).collect()
                    })
                    .collect();
                for row in ROWS {
                    region.assign_fixed(config.q, row, Fr::ONE);
                }
                let free: Vec<Vec<_>> = config
                    .free
                    .iter()
                    .zip(&self.free)
                    .map(|(column, values)| {
                        let each = values.iter().enumerate();
                        each.map(|(row, value)| region.assign_advice(*column, row, Value::known(*value)).cell())
                            .collect()
                    })
                    .collect();
                tied.clear();
                for column in 0..self.recipe.permuted {
                    for row in 0..FILLED {
                        match self.recipe.copy(column, row) {
                            Some(Source::Instance(i)) => tied.push((free[column][row], i)),
                            Some(Source::Fixed(i)) => {
                                region.constrain_equal(free[column][row], fixed[0][i]);
                            }
                            Some(Source::Free(c, r)) => {
                                region.constrain_equal(free[column][row], free[c][r]);
                            }
                            None => {}
                        }
                    }
                }
                for (column, of) in config.computed.iter().zip(plan(&self.recipe)) {
                    let known: Value<Vec<Fr>> = drawn[..of.phase].iter().copied().collect();
                    // A column whose challenge is still to come is assigned in a later phase.
                    let mut values = None;
                    known.map(|known| values = Some(self.column(&of, &known)));
                    for (row, value) in values.into_iter().flatten().enumerate() {
                        region.assign_advice(*column, row, Value::known(value));
                    }
                }
                Ok(())
            },
        )?;
        for (cell, row) in &tied {
            layouter.constrain_instance(*cell, config.instance, *row);
        }
        Ok(())
    }
}

/// A circuit with its keys.
pub struct Keyed {
    pub recipe: Recipe,
    pub srs: ParamsKZG<Bn256>,
    pub pk: ProvingKey<G1Affine>,
    pub params: VerifierParams,
}

pub type EvmNative<S> = EvmTranscript<G1Affine, NativeLoader, S, Vec<u8>>;

impl Keyed {
    pub fn new(recipe: &Recipe) -> Self {
        let circuit = RandomCircuit::new(recipe, 0);
        let rng = ChaCha20Rng::seed_from_u64(recipe.seed ^ 0x5125);
        let srs = ParamsKZG::<Bn256>::setup(recipe.k, rng);
        let vk = keygen_vk(&srs, &circuit).unwrap();
        let mut vk_digest = vk.transcript_repr().to_repr();
        vk_digest.reverse();
        let params =
            VerifierParams { s_g2: srs.s_g2(), vk_digest, srs_digest: [0x51; 32], instances: recipe.instances };
        let pk = keygen_pk(&srs, vk, &circuit).unwrap();
        Keyed { recipe: recipe.clone(), srs, pk, params }
    }

    pub fn vk(&self) -> &VerifyingKey<G1Affine> {
        self.pk.get_vk()
    }

    pub fn source(&self) -> String {
        Generator::new(self.vk(), &self.params).unwrap().solidity("Verifier").unwrap()
    }

    pub fn shared_source(&self) -> String {
        Generator::new(self.vk(), &self.params).unwrap().shared_solidity("Verifier").unwrap()
    }

    pub fn key(&self) -> Key {
        Generator::new(self.vk(), &self.params).unwrap().key().unwrap()
    }

    /// Creation code of the shared verifier, `tau * G2` included.
    pub fn compile_shared(&self) -> Vec<u8> {
        let compiled = compile(&self.shared_source(), &solc()).unwrap();
        shared_creation(&compiled.creation, &self.params.s_g2)
    }

    pub fn deploy_shared(&self, evm: Evm) -> SharedDeployment {
        evm.deploy_shared(&self.compile_shared(), &self.key()).unwrap()
    }

    pub fn compile(&self) -> Compiled {
        compile(&self.source(), &solc()).unwrap()
    }

    pub fn prove(&self, witness_seed: u64) -> (Vec<Fr>, Vec<u8>) {
        let circuit = RandomCircuit::new(&self.recipe, witness_seed);
        let instances = circuit.instances.clone();
        let mut transcript: EvmNative<Vec<u8>> = TranscriptWriterBuffer::init(Vec::new());
        create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
            &self.srs,
            &self.pk,
            &[circuit],
            &[&[&instances]],
            ChaCha20Rng::seed_from_u64(witness_seed ^ 0xb11d),
            &mut transcript,
        )
        .unwrap();
        (instances, transcript.finalize())
    }

    /// halo2's own verdict.
    pub fn native(&self, instances: &[Fr], proof: &[u8]) -> bool {
        let mut transcript: EvmNative<&[u8]> = TranscriptReadBuffer::init(proof);
        verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, _>(
            &self.srs,
            self.vk(),
            SingleStrategy::new(&self.srs),
            &[&[instances]],
            &mut transcript,
        )
        .is_ok()
    }
}
