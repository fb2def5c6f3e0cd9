//! Small circuits for this crate's tests.

use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field;
use halo2_proofs::plonk::{
    Advice, Challenge, Circuit, Column, ConstraintSystem, Error, Expression, FirstPhase, Fixed, Instance, SecondPhase,
    Selector,
};
use halo2_proofs::poly::Rotation;

/// `out = a^2 * c + b` where `c` is a fixed column; then `out` is squared along a chain by a gate
/// that looks at the next row. Instances: `context`, `a`, the end of the chain.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chain {
    pub(crate) a: Value<Fr>,
    pub(crate) steps: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct ChainConfig {
    value: Column<Advice>,
    constant: Column<Fixed>,
    step: Selector,
    instance: Column<Instance>,
}

impl Chain {
    pub(crate) fn new(a: u64, steps: usize) -> Self {
        Self { a: Value::known(Fr::from(a)), steps }
    }

    pub(crate) fn instances(a: u64, steps: usize) -> Vec<Fr> {
        let mut value = Fr::from(a);
        for row in 0..steps {
            value = value.square() * value + Fr::from(row as u64 + 3);
        }
        vec![Fr::from(77), Fr::from(a), value]
    }
}

impl Circuit<Fr> for Chain {
    type Config = ChainConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        Self { a: Value::unknown(), steps: self.steps }
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> ChainConfig {
        let value = meta.advice_column();
        let constant = meta.fixed_column();
        let step = meta.selector();
        let instance = meta.instance_column();
        meta.enable_equality(value);
        meta.enable_equality(instance);
        meta.create_gate("next = cur^3 + constant", |meta| {
            let step = meta.query_selector(step);
            let cur = meta.query_advice(value, Rotation::cur());
            let next = meta.query_advice(value, Rotation::next());
            let constant = meta.query_fixed(constant, Rotation::cur());
            vec![step * (next - cur.clone().square() * cur - constant)]
        });
        ChainConfig { value, constant, step, instance }
    }

    fn synthesize(&self, config: ChainConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let (first, last) = layouter.assign_region(
            || "chain",
            |mut region| {
                let mut value = self.a;
                let first = region.assign_advice(config.value, 0, value).cell();
                let mut last = first;
                for row in 0..self.steps {
                    config.step.enable(&mut region, row)?;
                    let constant = Fr::from(row as u64 + 3);
                    region.assign_fixed(config.constant, row, constant);
                    value = value.map(|value| value.square() * value + constant);
                    last = region.assign_advice(config.value, row + 1, value).cell();
                }
                Ok((first, last))
            },
        )?;
        layouter.constrain_instance(first, config.instance, 1);
        layouter.constrain_instance(last, config.instance, 2);
        Ok(())
    }
}

/// `product(a_i + gamma) = product(b_i + gamma)` with `gamma` drawn after `a` and `b` are
/// committed: `b` is a permutation of `a`. Instances: `context`, then the first `a`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shuffle {
    pub(crate) a: Vec<Value<Fr>>,
    pub(crate) b: Vec<Value<Fr>>,
}

#[derive(Debug, Clone)]
pub(crate) struct ShuffleConfig {
    a: Column<Advice>,
    b: Column<Advice>,
    product: Column<Advice>,
    first: Selector,
    step: Selector,
    last: Selector,
    gamma: Challenge,
    instance: Column<Instance>,
}

impl Shuffle {
    pub(crate) fn new(a: &[u64], b: &[u64]) -> Self {
        let known = |values: &[u64]| values.iter().map(|v| Value::known(Fr::from(*v))).collect();
        Self { a: known(a), b: known(b) }
    }

    pub(crate) fn instances(a: &[u64]) -> Vec<Fr> {
        vec![Fr::from(1234), Fr::from(a[0])]
    }
}

impl Circuit<Fr> for Shuffle {
    type Config = ShuffleConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        Self { a: vec![Value::unknown(); self.a.len()], b: vec![Value::unknown(); self.b.len()] }
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> ShuffleConfig {
        meta.set_minimum_degree(4);
        let a = meta.advice_column_in(FirstPhase);
        let b = meta.advice_column_in(FirstPhase);
        let gamma = meta.challenge_usable_after(FirstPhase);
        let product = meta.advice_column_in(SecondPhase);
        let [first, step, last] = [(); 3].map(|()| meta.complex_selector());
        let instance = meta.instance_column();
        for column in [a, b, product] {
            meta.enable_equality(column);
        }
        meta.enable_equality(instance);
        let one = || Expression::Constant(Fr::ONE);
        meta.create_gate("ends", |meta| {
            let product = meta.query_advice(product, Rotation::cur());
            let [first, last] = [first, last].map(|q| meta.query_selector(q));
            vec![first * (product.clone() - one()), last * (product - one())]
        });
        meta.create_gate("step", |meta| {
            let [a, b] = [a, b].map(|column| meta.query_advice(column, Rotation::cur()));
            let cur = meta.query_advice(product, Rotation::cur());
            let next = meta.query_advice(product, Rotation::next());
            let gamma = meta.query_challenge(gamma);
            let step = meta.query_selector(step);
            vec![step * (next * (b + gamma.clone()) - cur * (a + gamma))]
        });
        ShuffleConfig { a, b, product, first, step, last, gamma, instance }
    }

    fn synthesize(&self, config: ShuffleConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let head = layouter.assign_region(
            || "values",
            |mut region| {
                let mut head = None;
                for (row, (a, b)) in self.a.iter().zip(&self.b).enumerate() {
                    let a = region.assign_advice(config.a, row, *a).cell();
                    region.assign_advice(config.b, row, *b);
                    head.get_or_insert(a);
                    config.step.enable(&mut region, row)?;
                }
                config.first.enable(&mut region, 0)?;
                config.last.enable(&mut region, self.a.len())?;
                region.next_phase();
                let gamma = region.get_challenge(config.gamma);
                let mut product = Value::known(Fr::ONE);
                region.assign_advice(config.product, 0, product);
                for (row, (a, b)) in self.a.iter().zip(&self.b).enumerate() {
                    product = product
                        .zip(gamma)
                        .zip(a.zip(*b))
                        .map(|((p, g), (a, b))| p * (a + g) * (b + g).invert().unwrap());
                    region.assign_advice(config.product, row + 1, product);
                }
                head.ok_or(Error::Synthesis)
            },
        )?;
        layouter.constrain_instance(head, config.instance, 1);
        Ok(())
    }
}
