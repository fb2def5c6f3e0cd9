//! One synthesis against a checker, before halo2's own.
//!
//! Assignments cannot return errors in halo2-axiom: out of reach they panic, and advice written to
//! the blinding rows is overwritten without a word. The layout does not depend on the witness, so
//! what holds here holds for each proof.

use halo2_proofs::circuit::Value;
use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::plonk::{
    Advice, Any, Assigned, Assignment, Challenge, Circuit, Column, ConstraintSystem, Error, Fixed, FloorPlanner,
    Instance, Selector,
};

use crate::error::ProofError;
use crate::guard::{guarded, halo2};
use crate::srs::LogRows;
use crate::synthesis::ignore_names;

/// Synthesises the circuit and reports the first cell that is out of reach.
pub(super) fn check<C: Circuit<Fr>>(
    circuit: &C,
    cs: &ConstraintSystem<Fr>,
    k: LogRows,
    instances: usize,
) -> Result<(), ProofError> {
    let usable = k.rows().saturating_sub(cs.blinding_factors() + 1);
    let mut checker = Checker { k, usable, instances, permutation: cs.permutation().get_columns(), problem: None };
    if instances > usable {
        checker.note_row("the instance column".to_owned(), instances - 1);
    }
    if checker.problem.is_none() {
        let result = guarded("synthesis", || {
            let mut fresh = ConstraintSystem::default();
            let config = C::configure_with_params(&mut fresh, circuit.params());
            let constants = fresh.constants().clone();
            C::FloorPlanner::synthesize(&mut checker, circuit, config, constants)
        });
        // What the checker saw explains an error or a panic better than its text does.
        if checker.problem.is_none() {
            result?.map_err(|error| halo2("synthesis", &error))?;
        }
    }
    checker.problem.map_or(Ok(()), Err)
}

struct Checker {
    k: LogRows,
    usable: usize,
    instances: usize,
    permutation: Vec<Column<Any>>,
    problem: Option<ProofError>,
}

impl Checker {
    fn note_row(&mut self, column: String, row: usize) {
        if row >= self.usable && self.problem.is_none() {
            self.problem = Some(ProofError::RowOutOfReach { column, row, usable: self.usable, k: self.k });
        }
    }

    fn note_copy(&mut self, column: Column<Any>, row: usize) {
        if !self.permutation.contains(&column) && self.problem.is_none() {
            self.problem = Some(ProofError::NotInPermutation { column: name(column) });
        }
        if matches!(column.column_type(), Any::Instance) {
            self.note_instance(row);
        }
        self.note_row(name(column), row);
    }

    fn note_instance(&mut self, row: usize) {
        if row >= self.instances && self.problem.is_none() {
            self.problem = Some(ProofError::InstanceOutOfReach { row, instances: self.instances });
        }
    }
}

fn name(column: Column<Any>) -> String {
    let kind = match column.column_type() {
        Any::Advice(_) => "advice",
        Any::Fixed => "fixed",
        Any::Instance => "instance",
    };
    format!("{kind} column {}", column.index())
}

impl Assignment<Fr> for Checker {
    ignore_names!();

    fn enable_selector<A, AR>(&mut self, _: A, selector: &Selector, row: usize) -> Result<(), Error>
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        self.note_row(format!("selector {}", selector.index()), row);
        Ok(())
    }

    fn query_instance(&self, _: Column<Instance>, row: usize) -> Result<Value<Fr>, Error> {
        if row < self.usable { Ok(Value::unknown()) } else { Err(Error::BoundsFailure) }
    }

    fn assign_advice<'v>(
        &mut self,
        column: Column<Advice>,
        row: usize,
        _: Value<Assigned<Fr>>,
    ) -> Value<&'v Assigned<Fr>> {
        if row >= self.usable {
            self.note_row(format!("advice column {}", column.index()), row);
        }
        Value::unknown()
    }

    fn assign_fixed(&mut self, column: Column<Fixed>, row: usize, _: Assigned<Fr>) {
        if row >= self.usable {
            self.note_row(format!("fixed column {}", column.index()), row);
        }
    }

    fn copy(&mut self, left_column: Column<Any>, left_row: usize, right_column: Column<Any>, right_row: usize) {
        self.note_copy(left_column, left_row);
        self.note_copy(right_column, right_row);
    }

    fn fill_from_row(&mut self, column: Column<Fixed>, row: usize, _: Value<Assigned<Fr>>) -> Result<(), Error> {
        self.note_row(format!("fixed column {}", column.index()), row);
        Ok(())
    }

    fn get_challenge(&self, _: Challenge) -> Value<Fr> {
        Value::unknown()
    }
}
