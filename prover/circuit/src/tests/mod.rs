//! Tests of the gadgets on graphs of one operation, and of what an attacker can try.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod attack;
mod boundaries;
mod chains;
mod changed_cells;
mod deleted_constraints;
mod forged_hints;
mod graphs;
mod grid;
mod honest;
mod independence;
mod map;
mod network;
mod phases;
mod plans;
mod properties;
mod prove;
mod real;
mod rows;

use std::sync::Arc;

use halo2_proofs::{
    dev::{MockProver, VerifyFailure},
    halo2curves::bn256::Fr,
};
use vouch_graph::int::IntGraph;

use crate::{CircuitPlan, ModelCircuit, PlanOptions, instance_values};

pub(crate) use attack::Meddling;

/// A context that no gate reads.
fn context() -> Fr {
    Fr::from(0x00c0_ffee)
}

fn plan(graph: &IntGraph) -> Arc<CircuitPlan> {
    Arc::new(CircuitPlan::choose(graph, &PlanOptions::default()).expect("the graph fits"))
}

/// Instances of the statement that the circuit's own outputs make.
fn instances(graph: &IntGraph, circuit: &ModelCircuit, inputs: &[Vec<i64>]) -> Vec<Fr> {
    instance_values(graph, context(), inputs, circuit.outputs()).expect("values fit their packing")
}

/// Runs MockProver.
fn check(circuit: &ModelCircuit, instances: Vec<Fr>) -> Result<(), Vec<VerifyFailure>> {
    MockProver::run(circuit.plan.k, circuit, vec![instances]).expect("synthesis succeeds").verify()
}
