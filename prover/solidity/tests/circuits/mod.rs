//! Satisfiable circuits with random gates and lookups, and proofs of them.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod expression;
pub mod recipe;

use std::ops::Range;
use std::path::PathBuf;

use expression::{Ast, Computed, plan};
use halo2_proofs::circuit::{Cell, Layouter, Region, SimpleFloorPlanner, Value};
use halo2_proofs::halo2curves::CurveAffine;
use halo2_proofs::halo2curves::bn256::{Bn256, Fq, Fq2, Fr, G1Affine, G2Affine};
use halo2_proofs::halo2curves::ff::{Field, PrimeField};
use halo2_proofs::plonk::{
    Advice, Challenge, Circuit, Column, ConstraintSystem, Error, Expression, FirstPhase, Fixed, Instance, ProvingKey,
    SecondPhase, VerifyingKey, create_proof, keygen_pk, keygen_vk, verify_proof,
};
use halo2_proofs::poly::Rotation;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::{ProverSHPLONK, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{TranscriptReadBuffer, TranscriptWriterBuffer};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use recipe::FILLED;
pub use recipe::Recipe;
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::system::halo2::transcript::evm::EvmTranscript;
use vouch_solidity::{
    Compiled, Evm, Generator, Key, SharedDeployment, SolcPath, VerifierParams, compile, shared_creation,
};

pub fn solc() -> SolcPath {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    SolcPath::in_repository(&root)
}

/// A scalar from 32 big-endian bytes; `None` where they are not below the modulus.
pub fn scalar_checked(bytes: &[u8]) -> Option<Fr> {
    let mut repr = <[u8; 32]>::try_from(bytes).unwrap();
    repr.reverse();
    Fr::from_repr(repr).into()
}

/// A scalar from 32 big-endian bytes.
pub fn scalar(bytes: &[u8]) -> Fr {
    scalar_checked(bytes).unwrap()
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

/// Columns of values, indexed by column and row.
type Values = Vec<Vec<Fr>>;

fn random_values(rng: &mut ChaCha20Rng, columns: usize) -> Values {
    (0..columns).map(|_| (0..FILLED).map(|_| Fr::random(&mut *rng)).collect()).collect()
}

#[derive(Clone, Debug)]
pub struct RandomCircuit {
    pub recipe: Recipe,
    pub instances: Vec<Fr>,
    free: Values,
    fixed: Values,
    /// Tables of the lookups.
    tables: Vec<Values>,
    /// Row of the table that each row of each lookup looks up.
    picks: Vec<Vec<usize>>,
}

#[derive(Clone, Debug)]
pub struct RandomConfig {
    free: Vec<Column<Advice>>,
    computed: Vec<Column<Advice>>,
    /// Columns that are looked up, and the tables' columns, one list a lookup.
    looked: Vec<Vec<Column<Advice>>>,
    tables: Vec<Vec<Column<Fixed>>>,
    fixed: Vec<Column<Fixed>>,
    q: Column<Fixed>,
    zero: Option<Column<Fixed>>,
    instance: Column<Instance>,
    /// Challenges that the second phase uses.
    challenges: Vec<Challenge>,
    late: Vec<Challenge>,
}

impl RandomCircuit {
    pub fn new(recipe: &Recipe, witness_seed: u64) -> Self {
        let mut key = ChaCha20Rng::seed_from_u64(recipe.seed ^ recipe.fixed_seed ^ 0xf1);
        let fixed = random_values(&mut key, recipe.fixed);
        let tables = recipe.lookups.iter().map(|lookup| random_values(&mut key, lookup.columns)).collect();
        let mut rng = ChaCha20Rng::seed_from_u64(witness_seed);
        let instances: Vec<Fr> = (0..recipe.instances).map(|_| Fr::random(&mut rng)).collect();
        let mut free = random_values(&mut rng, recipe.free);
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
        let picks = recipe.lookups.iter().map(|_| (0..FILLED).map(|_| rng.gen_range(0..FILLED)).collect()).collect();
        RandomCircuit { recipe: recipe.clone(), instances, free, fixed, tables, picks }
    }

    fn evaluate(&self, ast: &Ast, row: usize, challenges: &[Fr], table: &Values) -> Fr {
        let at = |column: &[Fr], rotation: i32| {
            let row = usize::try_from(row as i32 + rotation).ok();
            row.and_then(|row| column.get(row)).copied().unwrap_or(Fr::ZERO)
        };
        let evaluate = |ast: &Ast| self.evaluate(ast, row, challenges, table);
        match ast {
            Ast::Const(value) => *value,
            Ast::Free(column, rotation) => at(&self.free[*column], *rotation),
            Ast::Fixed(column, rotation) => at(&self.fixed[*column], *rotation),
            Ast::Instance(rotation) => at(&self.instances, *rotation),
            Ast::Table(column, rotation) => at(&table[*column], *rotation),
            Ast::Challenge(i) => challenges[*i],
            Ast::Add(a, b) => evaluate(a) + evaluate(b),
            Ast::Mul(a, b) => evaluate(a) * evaluate(b),
            Ast::Neg(a) => -evaluate(a),
            Ast::Scale(a, factor) => evaluate(a) * factor,
        }
    }

    fn column(&self, computed: &Computed, challenges: &[Fr]) -> Vec<Fr> {
        let mut values = vec![Fr::ZERO; FILLED];
        let rows = self.recipe.rows();
        if computed.running {
            let s = challenges[0];
            values[rows.start] = Fr::from(3);
            for row in rows {
                let mut acc = values[row];
                for lane in 0..self.recipe.lanes {
                    acc = acc * s + self.free[lane % self.recipe.free][row];
                }
                values[row + 1] = acc;
            }
        } else {
            for row in rows {
                values[row] = self.evaluate(&computed.value, row, challenges, &vec![]);
            }
        }
        values
    }

    /// Values of the column that an expression of a lookup looks up.
    fn looked(&self, lookup: usize, pair: &expression::Pair, challenges: &[Fr]) -> Vec<Fr> {
        let table = &self.tables[lookup];
        let mut values = vec![Fr::ZERO; FILLED];
        for row in self.recipe.rows() {
            let wanted = self.evaluate(&pair.table, self.picks[lookup][row], challenges, table);
            let shift = pair.shift.as_ref().map_or(Fr::ZERO, |ast| self.evaluate(ast, row, challenges, table));
            values[row] = wanted - shift;
        }
        values
    }

    /// Assigns the columns that gates and lookups compute; those whose challenge is still to come
    /// are assigned in a later phase.
    fn assign_computed(&self, region: &mut Region<'_, Fr>, config: &RandomConfig, drawn: &[Value<Fr>]) {
        let known = |phase: usize| {
            let mut known = None;
            let needed: Value<Vec<Fr>> = if phase > 0 { drawn.iter().copied().collect() } else { Value::known(vec![]) };
            needed.map(|values| known = Some(values));
            known
        };
        let mut assign = |column: Column<Advice>, values: Vec<Fr>| {
            for (row, value) in values.into_iter().enumerate() {
                region.assign_advice(column, row, Value::known(value));
            }
        };
        let plan = plan(&self.recipe);
        for (column, of) in config.computed.iter().zip(&plan.computed) {
            if let Some(challenges) = known(of.phase) {
                assign(*column, self.column(of, &challenges));
            }
        }
        for (index, pairs) in plan.lookups.iter().enumerate() {
            let Some(challenges) = known(self.recipe.lookups[index].phase) else { continue };
            for (column, pair) in config.looked[index].iter().zip(pairs) {
                assign(*column, self.looked(index, pair, &challenges));
            }
        }
    }

    /// Copies between permuted cells; those of instances are returned.
    fn copy_cells(&self, region: &mut Region<'_, Fr>, free: &[Vec<Cell>], fixed: &[Vec<Cell>]) -> Vec<(Cell, usize)> {
        let mut tied = Vec::new();
        for column in 0..self.recipe.permuted {
            for row in 0..FILLED {
                match self.recipe.copy(column, row) {
                    Some(Source::Instance(i)) => tied.push((free[column][row], i)),
                    Some(Source::Fixed(i)) => region.constrain_equal(free[column][row], fixed[0][i]),
                    Some(Source::Free(c, r)) => region.constrain_equal(free[column][row], free[c][r]),
                    None => {}
                }
            }
        }
        tied
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
            return Some(Source::Instance((row * 7 + 2) % self.instances));
        }
        (column == 0 && self.permuted_fixed && row == 9).then_some(Source::Fixed(4))
    }
}

impl RandomConfig {
    fn expression(&self, ast: &Ast, table: &[Column<Fixed>]) -> Expression<Fr> {
        match ast {
            Ast::Const(value) => Expression::Constant(*value),
            Ast::Free(column, r) => self.free[*column].query_cell(Rotation(*r)),
            Ast::Fixed(column, r) => self.fixed[*column].query_cell(Rotation(*r)),
            Ast::Instance(r) => self.instance.query_cell(Rotation(*r)),
            Ast::Table(column, r) => table[*column].query_cell(Rotation(*r)),
            Ast::Challenge(i) => self.challenges[*i].expr(),
            Ast::Add(a, b) => self.expression(a, table) + self.expression(b, table),
            Ast::Mul(a, b) => self.expression(a, table) * self.expression(b, table),
            Ast::Neg(a) => -self.expression(a, table),
            Ast::Scale(a, factor) => self.expression(a, table) * *factor,
        }
    }

    fn gate(&self, recipe: &Recipe, column: Column<Advice>, of: &Computed) -> Expression<Fr> {
        let q = self.q.cur();
        let q = match of.late {
            Some(late) => q * self.late[late].expr(),
            None => q,
        };
        if !of.running {
            return q * (column.cur() - self.expression(&of.value, &[]));
        }
        let s = self.challenges[0].expr();
        let mut sum: Expression<Fr> = column.next();
        let mut power = Expression::Constant(Fr::ONE);
        for lane in (0..recipe.lanes).rev() {
            sum = sum - self.free[lane % recipe.free].cur() * power.clone();
            power = power * s.clone();
        }
        q * (sum - column.cur() * power)
    }

    fn lookup(&self, index: usize, pairs: &[expression::Pair]) -> Vec<(Expression<Fr>, Expression<Fr>)> {
        let table = &self.tables[index];
        let columns = self.looked[index].iter().zip(pairs);
        let each = columns.map(|(column, pair)| {
            let input = match &pair.shift {
                Some(shift) => self.q.cur() * (column.cur() + self.expression(shift, table)),
                None => column.cur(),
            };
            (input, self.expression(&pair.table, table))
        });
        each.collect()
    }
}

/// Columns and challenges of a recipe, columns of different phases in mixed order: commitments come
/// by phase, queries by use.
fn columns(meta: &mut ConstraintSystem<Fr>, recipe: &Recipe) -> RandomConfig {
    fn advice(meta: &mut ConstraintSystem<Fr>, phase: usize) -> Column<Advice> {
        if phase == 0 { meta.advice_column_in(FirstPhase) } else { meta.advice_column_in(SecondPhase) }
    }
    let (mut free, mut computed) = (Vec::new(), Vec::new());
    for (i, column) in plan(recipe).computed.iter().enumerate() {
        if i < recipe.free {
            free.push(meta.advice_column());
        }
        computed.push(advice(meta, column.phase));
    }
    let looked = recipe.lookups.iter().map(|lookup| (0..lookup.columns).map(|_| advice(meta, lookup.phase)).collect());
    let looked = looked.collect();
    while free.len() < recipe.free {
        free.push(meta.advice_column());
    }
    // Challenges of the last phase have the lower indices.
    let two_phases = recipe.computed.len() > 1;
    let late = (0..recipe.late_challenges).map(|_| {
        if two_phases { meta.challenge_usable_after(SecondPhase) } else { meta.challenge_usable_after(FirstPhase) }
    });
    let late = late.collect();
    let early = if two_phases { recipe.challenges } else { 0 };
    let challenges = (0..early).map(|_| meta.challenge_usable_after(FirstPhase)).collect();
    let fixed = (0..recipe.fixed).map(|_| meta.fixed_column()).collect();
    let tables = recipe.lookups.iter().map(|lookup| (0..lookup.columns).map(|_| meta.fixed_column()).collect());
    let tables = tables.collect();
    let q = meta.fixed_column();
    let zero = recipe.zero_fixed.then(|| meta.fixed_column());
    let instance = meta.instance_column();
    RandomConfig { free, computed, looked, tables, fixed, q, zero, instance, challenges, late }
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
        meta.set_minimum_degree(recipe.key_degree());
        let plan = plan(&recipe);
        let config = columns(meta, &recipe);
        for column in &config.free[..recipe.permuted] {
            meta.enable_equality(*column);
        }
        if recipe.permuted > 0 {
            if recipe.permuted_fixed {
                meta.enable_equality(config.fixed[0]);
            }
            if recipe.permuted_computed {
                config.computed.iter().for_each(|column| meta.enable_equality(*column));
            }
            if recipe.permuted_instance {
                meta.enable_equality(config.instance);
            }
        }
        for (index, pairs) in plan.lookups.iter().enumerate() {
            meta.lookup_any(format!("lookup {index}"), |_| config.lookup(index, pairs));
        }
        for (column, of) in config.computed.iter().zip(&plan.computed) {
            meta.create_gate("computed", |_| vec![config.gate(&recipe, *column, of)]);
        }
        meta.create_gate("every column is opened", |_| {
            let zero = config.zero.map_or(Expression::Constant(Fr::ZERO), |c| c.cur());
            let free = config.free.iter().map(|column| column.cur());
            let instance = recipe.instance_rotations.iter().map(|r| config.instance.query_cell(Rotation(*r)));
            let sum = free.chain(instance).fold(Expression::Constant(Fr::ONE), |a, b| a + b);
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
                for row in self.recipe.rows() {
                    region.assign_fixed(config.q, row, Fr::ONE);
                }
                let tables = config.tables.iter().flatten().zip(self.tables.iter().flatten());
                let mut fixed = Vec::new();
                for (column, values) in config.fixed.iter().zip(&self.fixed).chain(tables) {
                    let each = values.iter().enumerate();
                    let cells: Vec<Cell> = each.map(|(row, value)| region.assign_fixed(*column, row, *value)).collect();
                    fixed.push(cells);
                }
                let mut free = Vec::new();
                for (column, values) in config.free.iter().zip(&self.free) {
                    let each = values.iter().enumerate();
                    let cells: Vec<Cell> = each
                        .map(|(row, value)| region.assign_advice(*column, row, Value::known(*value)).cell())
                        .collect();
                    free.push(cells);
                }
                tied = self.copy_cells(&mut region, &free, &fixed);
                self.assign_computed(&mut region, &config, &drawn);
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

    /// Running products of the permutation argument.
    pub fn products(&self) -> usize {
        let pieces = self.vk().get_domain().get_quotient_poly_degree();
        self.vk().cs().permutation().get_columns().len().div_ceil(pieces - 1)
    }

    /// Words of a proof that are scalars: points come before them and two after.
    pub fn scalars(&self) -> Range<usize> {
        let cs = self.vk().cs();
        let pieces = self.vk().get_domain().get_quotient_poly_degree();
        let (products, lookups) = (self.products(), cs.lookups().len());
        let start = 2 * (cs.num_advice_columns() + products + 3 * lookups + 1 + pieces);
        let queries = cs.advice_queries().len() + cs.fixed_queries().len();
        let permutation = cs.permutation().get_columns().len() + (3 * products).saturating_sub(1);
        start..start + queries + 1 + permutation + 5 * lookups
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
