//! The two provers: what one proves, the other proves, and one verifier takes both.

use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field;
use halo2_proofs::plonk::{Advice, Circuit, Column, ConstraintSystem, Error, Fixed, Instance, Selector};
use halo2_proofs::poly::Rotation;
use vouch_proof::{
    CircuitDigest, DirectBackend, Halo2Backend, KeySpec, ProofError, ProofRequest, ProverBackend, ProvingKey, prove,
    verify,
};

use crate::circuits::{Chain, Shuffle};
use crate::fixtures::{STEPS, chain_key, prove_shuffle, rng, srs};

/// Rows of powers, copied over columns: `next = cur^(degree - 1) + before`, where `before` is a row further up.
/// Instances: `context`, then the first cell of the last column.
#[derive(Debug, Clone, Default)]
struct Powers {
    shape: Shape,
    first: u64,
    /// Cells are computed from what assignments hand back.
    by_cells: bool,
}

#[derive(Debug, Clone, Copy)]
struct Shape {
    columns: usize,
    degree: usize,
    reach: i32,
}

impl Default for Shape {
    fn default() -> Self {
        Self { columns: 1, degree: 4, reach: 1 }
    }
}

#[derive(Debug, Clone)]
struct PowersConfig {
    columns: Vec<Column<Advice>>,
    zero: Column<Fixed>,
    step: Selector,
    instance: Column<Instance>,
}

const ROWS: usize = 6;

impl Circuit<Fr> for Powers {
    type Config = PowersConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Shape;

    fn params(&self) -> Shape {
        self.shape
    }

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, shape: Shape) -> PowersConfig {
        meta.set_minimum_degree(shape.degree);
        let columns: Vec<_> = (0..shape.columns).map(|_| meta.advice_column()).collect();
        // A column that is zero everywhere, whose commitment is the identity.
        let zero = meta.fixed_column();
        let step = meta.selector();
        let instance = meta.instance_column();
        columns.iter().for_each(|column| meta.enable_equality(*column));
        meta.enable_equality(instance);
        for column in &columns {
            meta.create_gate("next = cur^(degree - 1) + before", |meta| {
                let step = meta.query_selector(step);
                let zero = meta.query_fixed(zero, Rotation::next());
                let at = |meta: &mut halo2_proofs::plonk::VirtualCells<'_, Fr>, row| {
                    meta.query_advice(*column, Rotation(row))
                };
                let (cur, next, before) = (at(meta, 0), at(meta, 1), at(meta, -shape.reach));
                let power = (2..shape.degree).fold(cur.clone(), |power, _| power * cur.clone());
                vec![step * (next - power - before + zero)]
            });
        }
        PowersConfig { columns, zero, step, instance }
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> PowersConfig {
        Self::configure_with_params(meta, Shape::default())
    }

    fn synthesize(&self, config: PowersConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let reach = self.shape.reach as usize;
        let heads = layouter.assign_region(
            || "powers",
            |mut region| {
                let mut heads = Vec::new();
                for column in &config.columns {
                    let mut values: Vec<Value<Fr>> = vec![Value::known(Fr::from(self.first)); reach + 1];
                    let mut last = None;
                    for row in 0..reach + ROWS {
                        if row > reach {
                            let power = |value: Fr| value.pow_vartime([self.shape.degree as u64 - 1]);
                            let next = values[row - 1].map(power) + values[row - 1 - reach];
                            values.push(next);
                        }
                        let cell = region.assign_advice(*column, row, values[row]);
                        if self.by_cells {
                            values[row] = cell.value().map(|value| value.evaluate());
                        }
                        if row == 0 {
                            last = Some(cell.cell());
                        }
                        if row >= reach && row + 1 < reach + ROWS {
                            config.step.enable(&mut region, row)?;
                        }
                    }
                    heads.extend(last);
                }
                region.assign_fixed(config.zero, 0, Fr::ZERO);
                Ok(heads)
            },
        )?;
        if let [.., last] = heads[..] {
            layouter.constrain_instance(last, config.instance, 1);
        }
        Ok(())
    }
}

fn statement(first: u64) -> Vec<Fr> {
    vec![Fr::from(9), Fr::from(first)]
}

#[test]
fn both_prove_what_one_verifier_takes() {
    for columns in [1, 2, 5, 7] {
        for (degree, reach) in [(3, 1), (4, 3), (5, 2), (6, 1), (9, 2)] {
            let shape = Shape { columns, degree, reach };
            let circuit = Powers { shape, first: 3, by_cells: false };
            let spec = KeySpec { circuit: CircuitDigest([3; 32]), instances: 2 };
            let key = ProvingKey::generate(srs(), &circuit, spec).unwrap_or_else(|error| panic!("{shape:?}: {error}"));
            let instances = statement(3);
            let request = ProofRequest { circuit: &circuit, key: &key, srs: srs(), instances: &instances };
            for (name, proven) in
                [("direct", prove(&DirectBackend, &request, rng(1))), ("halo2", prove(&Halo2Backend, &request, rng(1)))]
            {
                let proven = proven.unwrap_or_else(|error| panic!("{name}, {shape:?}: {error}"));
                assert_eq!(proven.proof.bytes.len(), key.verifying().proof_length(), "{name}, {shape:?}");
                verify(key.verifying(), &proven.proof).unwrap();
            }
            let other = Powers { first: 4, ..circuit.clone() };
            let request = ProofRequest { circuit: &other, ..request };
            let error = prove(&DirectBackend, &request, rng(1)).unwrap_err();
            assert!(matches!(error, ProofError::SelfVerification { .. }), "{shape:?}: {error}");
        }
    }
}

#[test]
fn all_randomness_is_the_callers() {
    let (circuit, instances) = (Chain::new(2, STEPS), Chain::instances(2, STEPS));
    let request = ProofRequest { circuit: &circuit, key: chain_key(), srs: srs(), instances: &instances };
    let bytes = |seed| DirectBackend.create_proof(&request, rng(seed)).unwrap().bytes;
    assert_eq!(bytes(1), bytes(1));
    let words = |bytes: Vec<u8>| bytes.chunks(32).map(<[u8]>::to_vec).collect::<std::collections::BTreeSet<_>>();
    assert!(words(bytes(1)).is_disjoint(&words(bytes(2))));
}

#[test]
fn a_circuit_that_reads_its_assigned_cells_is_the_references() {
    let circuit = Powers { first: 3, by_cells: true, ..Powers::default() };
    let spec = KeySpec { circuit: CircuitDigest([3; 32]), instances: 2 };
    let key = ProvingKey::generate(srs(), &circuit, spec).unwrap();
    let instances = statement(3);
    let request = ProofRequest { circuit: &circuit, key: &key, srs: srs(), instances: &instances };
    prove(&Halo2Backend, &request, rng(1)).unwrap();
    let error = prove(&DirectBackend, &request, rng(1)).unwrap_err();
    assert!(matches!(error, ProofError::UnknownWitness { column: 0, .. }), "{error}");
}

#[test]
fn a_false_second_phase_is_refused() {
    let error = prove_shuffle(&[3, 1, 4, 5], &[5, 4, 3, 2], &Shuffle::instances(&[3]), 1).unwrap_err();
    assert!(matches!(error, ProofError::SelfVerification { .. }), "{error}");
}

/// A cell that equals a fixed one: a fixed column in the permutation.
#[derive(Debug, Clone, Default)]
struct Constant(u64);

impl Circuit<Fr> for Constant {
    type Config = (Column<Advice>, Column<Fixed>, Selector, Column<Instance>);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> Self::Config {
        let (advice, fixed, square) = (meta.advice_column(), meta.fixed_column(), meta.selector());
        let instance = meta.instance_column();
        meta.enable_equality(advice);
        meta.enable_equality(fixed);
        meta.enable_equality(instance);
        meta.set_minimum_degree(5);
        meta.create_gate("next = cur^4", |meta| {
            let square = meta.query_selector(square);
            let (cur, next) = (meta.query_advice(advice, Rotation::cur()), meta.query_advice(advice, Rotation::next()));
            vec![square * (next - cur.clone() * cur.clone() * cur.clone() * cur)]
        });
        (advice, fixed, square, instance)
    }

    fn synthesize(
        &self,
        (advice, fixed, square, instance): Self::Config,
        mut layouter: impl Layouter<Fr>,
    ) -> Result<(), Error> {
        let last = layouter.assign_region(
            || "constant",
            |mut region| {
                square.enable(&mut region, 0)?;
                let first = region.assign_advice(advice, 0, Value::known(Fr::from(self.0))).cell();
                let constant = region.assign_fixed(fixed, 3, Fr::from(2));
                region.constrain_equal(first, constant);
                Ok(region.assign_advice(advice, 1, Value::known(Fr::from(self.0.pow(4)))).cell())
            },
        )?;
        layouter.constrain_instance(last, instance, 1);
        Ok(())
    }
}

#[test]
fn a_key_from_a_file_knows_the_fixed_columns_that_are_copied_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proving.key");
    let spec = KeySpec { circuit: CircuitDigest([4; 32]), instances: 2 };
    ProvingKey::generate(srs(), &Constant(2), spec).unwrap().save(&path).unwrap();
    let key = ProvingKey::load::<Constant>(&path, spec.circuit, ()).unwrap();
    let instances = statement(16);
    let request = ProofRequest { circuit: &Constant(2), key: &key, srs: srs(), instances: &instances };
    prove(&DirectBackend, &request, rng(1)).unwrap();
    prove(&Halo2Backend, &request, rng(1)).unwrap();
    let instances = statement(81);
    let request = ProofRequest { circuit: &Constant(3), instances: &instances, ..request };
    let error = prove(&DirectBackend, &request, rng(1)).unwrap_err();
    assert!(matches!(error, ProofError::SelfVerification { .. }), "{error}");
}
