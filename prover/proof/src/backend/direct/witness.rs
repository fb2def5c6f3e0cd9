//! The advice columns, phase by phase, as plain vectors.

use std::collections::BTreeMap;

use halo2_proofs::circuit::Value;
use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field;
use halo2_proofs::plonk::{
    Advice, Any, Assigned, Assignment, Challenge, Circuit, Column, ConstraintSystem, Error, Fixed, FloorPlanner,
    Instance, Selector,
};

use crate::error::ProofError;
use crate::guard::{guarded, halo2};
use crate::synthesis::ignore_names;

/// Commits to the columns of a phase and returns the challenges after it, by index.
pub(super) trait Committer {
    fn commit(&mut self, phase: u8, columns: &mut [Vec<Fr>]) -> Result<Vec<(usize, Fr)>, ProofError>;
}

/// Collects what a circuit assigns.
struct Collector<'a, K> {
    committer: &'a mut K,
    phases: u8,
    phase: u8,
    usable: usize,
    columns: Vec<Vec<Fr>>,
    instances: &'a [Fr],
    challenges: BTreeMap<usize, Fr>,
    problem: Option<ProofError>,
}

/// Advice columns by index, and challenges by index.
pub(super) type Witness = (Vec<Vec<Fr>>, Vec<Fr>);

/// Rows and phases of a circuit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) rows: usize,
    pub(super) usable: usize,
    pub(super) columns: usize,
    pub(super) phases: u8,
}

/// Synthesises the circuit; columns are committed as their phases end.
pub(super) fn collect<C: Circuit<Fr>>(
    circuit: &C,
    instances: &[Fr],
    extent: Extent,
    committer: &mut impl Committer,
) -> Result<Witness, ProofError> {
    let Extent { rows, usable, columns, phases } = extent;
    let mut cs = ConstraintSystem::default();
    let config = guarded("configuration", || C::configure_with_params(&mut cs, circuit.params()))?;
    let mut collector = Collector {
        committer,
        phases,
        phase: 0,
        usable,
        columns: vec![vec![Fr::ZERO; rows]; columns],
        instances,
        challenges: BTreeMap::new(),
        problem: None,
    };
    // A circuit that does not end its phases itself is synthesised once for each.
    while collector.phase < phases && collector.problem.is_none() {
        let synthesis = guarded("proving", || {
            C::FloorPlanner::synthesize(&mut collector, circuit, config.clone(), cs.constants().clone())
        });
        // What the collector saw explains an error or a panic better than its text does.
        if collector.problem.is_none() {
            synthesis?.map_err(|error| halo2("proving", &error))?;
            if collector.phase < phases {
                collector.next_phase();
            }
        }
    }
    match collector.problem {
        Some(problem) => Err(problem),
        None => Ok((collector.columns, collector.challenges.into_values().collect())),
    }
}

impl<K: Committer> Assignment<Fr> for Collector<'_, K> {
    ignore_names!();

    fn enable_selector<A, AR>(&mut self, _: A, _: &Selector, _: usize) -> Result<(), Error>
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        Ok(())
    }

    fn query_instance(&self, _: Column<Instance>, row: usize) -> Result<Value<Fr>, Error> {
        if row >= self.usable {
            return Err(Error::BoundsFailure);
        }
        Ok(Value::known(self.instances.get(row).copied().unwrap_or(Fr::ZERO)))
    }

    fn assign_advice<'v>(
        &mut self,
        column: Column<Advice>,
        row: usize,
        value: Value<Assigned<Fr>>,
    ) -> Value<&'v Assigned<Fr>> {
        let phase = column.column_type().phase();
        // Columns of earlier phases are committed.
        if phase < self.phase || self.problem.is_some() {
            return Value::unknown();
        }
        let mut known = None;
        value.map(|value| {
            known = Some(match value {
                Assigned::Trivial(value) => value,
                other => other.evaluate(),
            });
        });
        let cell = self.columns.get_mut(column.index()).and_then(|cells| cells[..self.usable].get_mut(row));
        match (known, cell) {
            (Some(value), Some(cell)) => *cell = value,
            // What depends on a challenge to come is assigned again.
            (None, Some(_)) if phase > self.phase => {}
            _ => self.problem = Some(ProofError::UnknownWitness { column: column.index(), row }),
        }
        Value::unknown()
    }

    fn assign_fixed(&mut self, _: Column<Fixed>, _: usize, _: Assigned<Fr>) {}

    fn copy(&mut self, _: Column<Any>, _: usize, _: Column<Any>, _: usize) {}

    fn fill_from_row(&mut self, _: Column<Fixed>, _: usize, _: Value<Assigned<Fr>>) -> Result<(), Error> {
        Ok(())
    }

    fn get_challenge(&self, challenge: Challenge) -> Value<Fr> {
        self.challenges.get(&challenge.index()).copied().map_or_else(Value::unknown, Value::known)
    }

    fn next_phase(&mut self) {
        if self.problem.is_some() || self.phase >= self.phases {
            return;
        }
        match self.committer.commit(self.phase, &mut self.columns) {
            Ok(challenges) => self.challenges.extend(challenges),
            Err(error) => self.problem = Some(error),
        }
        self.phase += 1;
    }
}
