//! For each gate and each kind of copy constraint, a forged statement that is accepted once the
//! constraint is left out and refused, by that constraint alone, where it is in place.

use std::collections::BTreeSet;

use halo2_proofs::{
    halo2curves::{bn256::Fr, ff::Field},
    plonk::ConstraintSystem,
};
use vouch_graph::int::{IntOp, Rescale, Visibility};

use super::{
    attack::{
        cell_value, claimed, edited, failures, forge, honest, last_site, set_signed, with_second_phase, without_gate,
    },
    check,
    graphs::{self, Case, Draft, SIGNED},
    prove::Keys,
};
use crate::{
    AdviceColumn as A, FixedColumn as F, ModelCircuit, VouchConfig,
    layout::{Cell, field},
};

/// A witness of a false statement.
type Forgery = (Case, ModelCircuit);

fn case(name: &str) -> Case {
    graphs::all().into_iter().find(|case| case.name == name).unwrap()
}

/// One output, so that the last value row is the whole layer.
fn neuron() -> Case {
    graphs::dense(1, 4, 1, SIGNED, false)
}

/// Three positions of two outputs.
fn rows_of_neurons() -> Case {
    graphs::dense(3, 4, 2, SIGNED, true)
}

/// Forges the last hint of a gadget.
fn forge_last(case: Case, gadget: &str, change: impl Fn(&mut [i128])) -> Forgery {
    let circuit = forge(&case, last_site(&case, gadget), change).unwrap();
    (case, circuit)
}

/// The last output of a linear layer one too large, which moves its pre-activation by `2^16`.
fn output_above(case: Case) -> Forgery {
    forge_last(case, "signed", |hint| {
        hint[0] += 1;
        hint[2] += 1;
    })
}

fn moved() -> Fr {
    Fr::from(1 << 16)
}

/// Rows before `row` from one witness, the others from that of other inputs.
fn spliced(case: Case, row: usize, other: &[Vec<i64>]) -> Forgery {
    let circuit = honest(&case);
    let tail = ModelCircuit::with_witness(&case.graph, circuit.plan.clone(), other).unwrap().layout;
    let circuit = edited(&circuit, |layout| {
        for (column, tail) in layout.advice.iter_mut().zip(&tail.advice) {
            column[row..].copy_from_slice(&tail[row..]);
        }
        layout.limbs[row..].copy_from_slice(&tail.limbs[row..]);
    });
    (case, circuit)
}

/// A product in which the last output alone reads the last element.
fn row_times_matrix() -> Case {
    let op = IntOp::MatMul { rows: 1, inner: 3, cols: 2, rescale: Rescale { shift: 10, kind: SIGNED } };
    graphs::binary("row_times_matrix", op, graphs::weights(3, 2000), graphs::weights(6, 1500), 2)
}

/// The last output of a case computed, from the last row of a gadget on, from another value of one input.
fn from_another(case: Case, gadget: &str, input: (usize, usize), value: i64) -> (Forgery, usize) {
    let row = last_site(&case, gadget).row;
    let mut other = case.inputs.clone();
    other[input.0][input.1] = value;
    (spliced(case, row, &other), row)
}

/// The last element of an element-wise operation computed from another input.
fn other_operand() -> (Forgery, usize) {
    from_another(case("relu"), "relu", (0, 15), 5)
}

/// A quotient by another denominator, which the bound on the remainder does not notice:
/// `5 * 2^9 + 9 - 2 * 9 * 142` is below 20.
fn other_denominator() -> Forgery {
    let ((case, circuit), row) = from_another(case("divide"), "divide", (1, 7), 9);
    let circuit = edited(&circuit, |layout| {
        let bound = row + 3;
        layout.advice[A::P as usize][bound] = Fr::from(10);
        set_signed(layout, bound, 2 * 10 - 1 - 13 - (1 << 31) - (1 << 15));
    });
    (case, circuit)
}

/// For each gadget that copies operands, an output from another operand, and the copies that tell.
fn other_operands() -> Vec<(&'static str, Forgery, A, usize)> {
    vec![
        ("operand of a relu", other_operand().0, A::P, 1),
        ("second operand of a sum", from_another(case("add_rounded"), "signed", (1, 15), 5).0, A::Q, 1),
        ("second operand of a product", from_another(case("multiply"), "relu", (1, 15), -32768).0, A::Q, 1),
        ("second operand of a matrix product", from_another(row_times_matrix(), "signed", (1, 5), 900).0, A::Q, 1),
        ("compared value", from_another(case("maximum"), "max", (0, 15), 30_000).0, A::P, 1),
        ("greatest value before", from_another(case("maximum"), "max", (0, 12), 20_000).0, A::Q, 1),
        ("denominator", other_denominator(), A::Q, 2),
        ("argument of a function", from_another(case("function"), "function", (0, 15), 1000).0, A::P, 1),
    ]
}

fn accumulator() -> Forgery {
    let ((case, circuit), row) = other_operand();
    let original = honest(&case);
    let circuit = edited(&circuit, |layout| {
        layout.advice[A::P as usize][row] = original.layout.advice[A::P as usize][row];
    });
    (case, circuit)
}

fn weight_evaluation() -> Forgery {
    let (case, circuit) = output_above(neuron());
    let last = circuit.layout.weight_rows - 1;
    let circuit = with_second_phase(&circuit, move |columns, _| {
        let x = columns.column(A::X)[last].invert().unwrap();
        columns.column_mut(A::WeightAcc)[last] += moved() * x;
        columns.column_mut(A::Dot)[last] += moved();
    });
    (case, circuit)
}

fn dot_product() -> Forgery {
    let (case, circuit) = output_above(neuron());
    let last = circuit.layout.weight_rows - 1;
    let circuit = with_second_phase(&circuit, move |columns, _| columns.column_mut(A::Dot)[last] += moved());
    (case, circuit)
}

fn value_evaluation() -> Forgery {
    let (case, circuit) = output_above(neuron());
    let row = last_site(&case, "signed").row;
    let circuit = with_second_phase(&circuit, move |columns, _| columns.column_mut(A::ValueAcc)[row] -= moved());
    (case, circuit)
}

fn position_sum() -> Forgery {
    let (case, circuit) = output_above(rows_of_neurons());
    let row = last_site(&case, "signed").row;
    let circuit = with_second_phase(&circuit, move |columns, _| columns.column_mut(A::ValueSum)[row] -= moved());
    (case, circuit)
}

fn function_value() -> Forgery {
    let case = case("function");
    let site = last_site(&case, "function");
    let (case, circuit) = forge_last(case, "function", |hint| {
        hint[2] += 100;
        hint[3] += 100;
    });
    let circuit = edited(&circuit, |layout| {
        layout.limbs[site.row][2] -= 100;
        layout.limbs[site.row][3] -= 100;
    });
    (case, circuit)
}

/// The output one too large and the remainder negative, in one byte of the remainder.
fn negative_remainder(byte: usize) -> Forgery {
    let case = case("add_rounded");
    let row = last_site(&case, "signed").row;
    let (case, circuit) = output_above(case);
    let circuit = edited(&circuit, |layout| layout.limbs[row][byte] -= [1 << 16, 1 << 8][byte - 2]);
    (case, circuit)
}

/// The same, with the byte's term left out of its helper and the sum.
fn hidden_from_helper(helper: A, byte: usize) -> Forgery {
    let (case, circuit) = negative_remainder(byte);
    let row = last_site(&case, "signed").row;
    let value = field(i128::from(circuit.layout.limbs[row][byte]));
    let circuit = with_second_phase(&circuit, move |columns, challenges| {
        let term = (challenges.lookup + value).invert().unwrap();
        columns.column_mut(helper)[row] -= term;
        columns.column_mut(A::Sum)[row + 1..].iter_mut().for_each(|sum| *sum -= term);
    });
    (case, circuit)
}

fn lookup_sum() -> Forgery {
    let (case, circuit) = negative_remainder(3);
    (case, with_second_phase(&circuit, |columns, _| columns.column_mut(A::Sum).fill(Fr::ZERO)))
}

/// A forgery for each gate.
fn forgeries() -> Vec<(&'static str, Forgery)> {
    vec![
        ("accumulator", accumulator()),
        ("rescale", output_above(case("add_rounded"))),
        ("signed value", forge_last(case("add_rounded"), "signed", |hint| hint[2] += 1)),
        (
            "relu",
            forge_last(case("relu"), "relu", |hint| {
                hint[0] += 2;
                hint[2] += 1;
            }),
        ),
        (
            "max",
            forge_last(case("maximum"), "max", |hint| {
                hint[0] += 2;
                hint[2] += 1;
            }),
        ),
        ("weight evaluation", weight_evaluation()),
        ("dot product", dot_product()),
        ("value evaluation", value_evaluation()),
        ("position sum", position_sum()),
        ("function input", forge_last(case("function"), "function", |hint| hint[0] = 0)),
        ("function value", function_value()),
        ("lookup helper 0", hidden_from_helper(A::Helper0, 2)),
        ("lookup helper 1", hidden_from_helper(A::Helper1, 3)),
        ("lookup sum", lookup_sum()),
        ("lookup ends", negative_remainder(3)),
    ]
}

/// Requires that the statement keeps the inputs and changes an output.
fn assert_false_statement(case: &Case, circuit: &ModelCircuit, name: &str) {
    let (truth, forged) = (claimed(&honest(case)), claimed(circuit));
    let inputs: usize = case
        .graph
        .inputs
        .iter()
        .filter(|port| port.visibility == Visibility::Public)
        .map(|port| port.packing.words(case.graph.tensor(port.tensor).len()))
        .sum();
    assert_eq!(truth[..=inputs], forged[..=inputs], "{name}: the inputs are the true ones");
    assert_ne!(truth[inputs + 1..], forged[inputs + 1..], "{name}: an output is forged");
}

#[test]
fn each_gate_alone_refuses_a_forgery() {
    for (gate, (case, circuit)) in forgeries() {
        assert_false_statement(&case, &circuit, gate);
        let statement = claimed(&circuit);
        check(&without_gate(&circuit, gate), statement.clone())
            .unwrap_or_else(|failed| panic!("without {gate} the forgery is accepted: {failed:?}"));
        assert_eq!(failures(&circuit, &statement), [gate.to_owned()].into(), "{gate}");
    }
}

#[test]
fn the_verifier_refuses_each_forgery() {
    // Copies too: what MockProver calls a broken copy has to break the permutation argument.
    let operands = other_operands().into_iter().map(|(name, forgery, ..)| (name, forgery));
    let copies = operands.chain([("copy between sides", output_above(neuron()))]);
    for (constraint, (case, circuit)) in forgeries().into_iter().chain(copies) {
        let keys = Keys::new(&case.graph, &super::plan(&case.graph));
        assert!(!keys.convinces(&circuit, &claimed(&circuit)), "{constraint}");
    }
}

#[test]
fn every_gate_of_the_constraint_system_has_a_forgery() {
    let mut gates = BTreeSet::new();
    for case in graphs::all() {
        let mut meta = ConstraintSystem::<Fr>::default();
        VouchConfig::configure(&mut meta, super::plan(&case.graph).shape.clone());
        gates.extend(meta.gates().iter().map(|gate| gate.name().to_owned()));
        assert!(meta.lookups().is_empty(), "lookups are gates here");
    }
    let forged: BTreeSet<_> = forgeries().into_iter().map(|(gate, _)| gate.to_owned()).collect();
    assert_eq!(gates, forged);
}

/// Requires that the forgery is accepted without the copies that it breaks, that these are
/// as many as expected, and that they alone refuse it.
fn assert_copies_refuse((case, circuit): &Forgery, broken: impl Fn(&ModelCircuit, Cell, Cell) -> bool, count: usize) {
    assert_false_statement(case, circuit, case.name);
    let statement = claimed(circuit);
    assert_eq!(failures(circuit, &statement), ["copy".to_owned()].into(), "{}", case.name);
    let mut dropped = 0;
    let without = edited(circuit, |layout| {
        layout.copies.retain(|(left, right)| {
            let drop = broken(circuit, *left, *right);
            dropped += usize::from(drop);
            !drop
        });
    });
    assert_eq!(dropped, count, "{}: copies dropped", case.name);
    check(&without, statement).unwrap_or_else(|failed| panic!("{}: {failed:?}", case.name));
}

/// First-phase cells that a copy ties and that differ.
fn differ(circuit: &ModelCircuit, left: Cell, right: Cell) -> bool {
    !left.column.is_second_phase()
        && !right.column.is_second_phase()
        && cell_value(&circuit.layout, left) != cell_value(&circuit.layout, right)
}

#[test]
fn the_copy_of_each_operand_refuses_another_operand() {
    for (name, forgery, column, count) in other_operands() {
        let torn = |circuit: &ModelCircuit, left: Cell, right: Cell| {
            let differs = differ(circuit, left, right);
            assert!(!differs || right.column == column, "{name}: {left:?} and {right:?}");
            differs
        };
        assert_copies_refuse(&forgery, torn, count);
    }
}

#[test]
fn the_copies_of_a_gathered_activation_refuse_another_activation() {
    let case = rows_of_neurons();
    let row = honest(&case).layout.fixed[F::Value as usize].iter().position(|value| *value != 0).unwrap();
    let mut other = case.inputs.clone();
    other[0][5] += 200;
    assert_copies_refuse(&spliced(case, row, &other), differ, 1);
}

#[test]
fn the_copy_of_an_activation_refuses_another_factor() {
    let (case, circuit) = output_above(neuron());
    let last = circuit.layout.weight_rows - 1;
    let circuit = with_second_phase(&circuit, move |columns, _| {
        let weight = columns.column(A::WeightAcc)[last].invert().unwrap();
        columns.column_mut(A::X)[last] += moved() * weight;
        columns.column_mut(A::Dot)[last] += moved();
    });
    let factor = Cell { column: A::X, row: last };
    assert_copies_refuse(&(case, circuit), |_, left, right| left == factor || right == factor, 1);
}

#[test]
fn the_copy_between_the_sides_of_a_linear_layer_refuses_another_output() {
    for case in [neuron(), rows_of_neurons()] {
        let forgery = output_above(case);
        assert_copies_refuse(&forgery, |_, left, right| left.column == A::Dot || right.column == A::Dot, 1);
    }
}

#[test]
fn the_copy_that_makes_a_fresh_value_whole_refuses_a_fraction() {
    // 2^16 x is one: x is the inverse of 2^16, which the range alone would let pass.
    let mut draft = Draft::new("fraction");
    let x = draft.input(1, 16);
    let op = IntOp::Affine { scale: vec![1 << 16], offset: vec![0], rescale: Rescale::EXACT };
    let y = draft.node(op, &[x], 1);
    let mut graph = draft.output(y);
    graph.inputs[0].visibility = Visibility::Private;
    let case = Case { name: "fraction", graph, inputs: vec![vec![0]] };
    let fraction = Fr::from(1 << 16).invert().unwrap();
    let circuit = edited(&honest(&case), |layout| {
        let [p, _, acc, y] = &mut layout.advice;
        (p[0], acc[0], y[0]) = (fraction, Fr::ONE, Fr::ZERO);
        layout.limbs[0] = [0, 128, 1, 128];
        (p[1], acc[1]) = (fraction, Fr::ONE);
        (p[2], acc[2]) = (Fr::ONE, Fr::ONE + Fr::from(1 << 31));
    });
    assert_copies_refuse(&(case, circuit), differ, 1);
}

#[test]
fn the_binding_of_an_instance_refuses_another_output() {
    let circuit = honest(&case("add_exact"));
    let mut statement = claimed(&circuit);
    *statement.last_mut().unwrap() += Fr::ONE;
    assert_eq!(failures(&circuit, &statement), ["copy".to_owned()].into());
    let unbound = edited(&circuit, |layout| {
        layout.instances.pop();
    });
    check(&unbound, statement).unwrap();
}
