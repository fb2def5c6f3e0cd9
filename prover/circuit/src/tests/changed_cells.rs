//! Cells changed one at a time, and classes of copied cells at once, with the second phase and the
//! statement adapted to them. A change is accepted exactly where the rules below say that nobody
//! reads the cell, so a rule that is too generous fails as well as a constraint that is missing.

use std::collections::{BTreeMap, BTreeSet};

use halo2_proofs::halo2curves::{
    bn256::Fr,
    ff::{Field, PrimeField},
};
use rand::Rng;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::{
    attack::{
        cell_value, claimed, edited, failures, failures_near, honest, integer, plan_with_lanes, with_cell,
        with_multiplicities, with_second_phase,
    },
    check,
    graphs::{self, Case, RELU},
    grid::Sweep,
    network::network,
};
use crate::{
    AdviceColumn as A, FixedColumn as F, Layout, ModelCircuit, WeightPlacement,
    layout::{Cell, LIMB_COLUMNS},
    second_phase,
};

/// One change of a value cell in so many is put to MockProver as well; every value cell of every graph is
/// changed in every way, which it is too slow for.
const TO_MOCK_PROVER: usize = 97;
/// Weights changed in one graph, spread over its rows, each in one of five ways.
const WEIGHTS: usize = 100;
/// Bytes changed by half the modulus in one graph, for MockProver.
const BYTES: usize = 8;
/// Classes of copied cells changed in one graph, each in one of the ways.
const CLASSES: usize = 24;
/// Cells of a second-phase column changed in one graph, each in one of four ways.
const SECOND_PHASE: usize = 10;
/// Ways to change a cell.
const CHANGES: usize = 6;
const VALUE_COLUMNS: [A; 8] = [A::P, A::Q, A::Acc, A::Y, A::Abs0, A::Abs1, A::Rem0, A::Rem1];

/// The graphs of one operation, one with weights that meet a zero activation, a whole model in
/// small, and layers on several lanes.
fn circuits() -> Vec<(Case, ModelCircuit)> {
    let mut cases = graphs::all();
    let mut dead = graphs::dense(1, 6, 5, RELU, true);
    dead.inputs[0][2] = 0;
    cases.push(dead);
    cases.push(network());
    let with_circuit = |case: Case| {
        let circuit = honest(&case);
        (case, circuit)
    };
    let mut out: Vec<_> = cases.into_iter().map(with_circuit).collect();
    for case in [graphs::dense(1, 6, 5, RELU, true), graphs::convolution()] {
        let wide = ModelCircuit::with_witness(
            &case.graph,
            plan_with_lanes(&case.graph, 3, WeightPlacement::Private),
            &case.inputs,
        )
        .unwrap();
        out.push((case, wide));
    }
    out
}

/// At most `most` of them, evenly spread, the last included.
fn spread<T: Clone>(all: &[T], most: usize) -> Vec<T> {
    let Some(last) = all.len().checked_sub(1) else { return Vec::new() };
    let mut chosen: Vec<usize> = (0..most).map(|i| i * last / (most - 1)).collect();
    chosen.dedup();
    chosen.into_iter().map(|i| all[i].clone()).collect()
}

/// The changes: `+1`, `-1`, to zero, to the negative, by half the modulus, to anything.
fn changed(value: Fr, kind: usize, rng: &mut ChaCha20Rng) -> Fr {
    let new = match kind % CHANGES {
        0 => value + Fr::ONE,
        1 => value - Fr::ONE,
        2 => Fr::ZERO,
        3 => -value,
        4 => value + Fr::TWO_INV,
        _ => Fr::random(&mut *rng),
    };
    if new == value { value + Fr::ONE } else { new }
}

fn changed_weight(value: u64, kind: usize, offset: u64, rng: &mut ChaCha20Rng) -> u64 {
    let new = match kind % 5 {
        0 => value + 1,
        1 => value - 1,
        2 => offset,
        3 => 2 * offset - value,
        _ => rng.r#gen::<u64>() >> 2,
    };
    if new == value { value + 1 } else { new }
}

fn rescales(layout: &Layout, row: usize) -> bool {
    [F::Signed, F::Relu, F::Max].into_iter().any(|mode| layout.on(mode, row))
}

/// Whether a constraint reads the cell of the value unit. What none reads is free: operands that a
/// row does not have, the accumulator of a linear layer's row, bytes of rows without lookups.
fn is_read(layout: &Layout, cell: Cell) -> bool {
    let Cell { column, row } = cell;
    let on = |selector| layout.on(selector, row);
    let copied = layout.copies.iter().any(|(left, right)| *left == cell || *right == cell);
    let bound = layout.instances.contains(&cell);
    copied
        || bound
        || match column {
            A::P => on(F::CoefP) || on(F::CoefProduct) || on(F::Gather) || on(F::Function),
            A::Q => on(F::CoefQ) || on(F::CoefProduct) || on(F::Gather) || on(F::Max),
            A::Acc => {
                on(F::Arith)
                    || on(F::Function)
                    || (rescales(layout, row) && !on(F::Value))
                    || layout.on(F::CoefPrev, row + 1)
            }
            A::Y => rescales(layout, row) || on(F::Gather),
            _ => rescales(layout, row) || on(F::Function),
        }
}

/// Whether the weight row multiplies a zero activation at every position.
fn meets_zero(layout: &Layout, row: usize) -> bool {
    let end = (row..).find(|row| layout.on(F::WeightEnd, *row)).unwrap();
    let (_, source) = *layout.x_sources.iter().find(|(at, _)| *at == end).unwrap();
    if source.column != A::ValueAcc {
        return cell_value(layout, source) == Fr::ZERO;
    }
    let mut row = source.row;
    loop {
        if [A::P, A::Q, A::Y].into_iter().any(|column| cell_value(layout, Cell { column, row }) != Fr::ZERO) {
            return false;
        }
        if !layout.on(F::GatherContinue, row) {
            return true;
        }
        row -= 1;
    }
}

/// Changes the cell of the value unit in a layout, where the layout can hold the value.
fn assign(layout: &mut Layout, cell: Cell, value: Fr) -> Option<()> {
    match LIMB_COLUMNS.iter().position(|limb| *limb == cell.column) {
        Some(limb) => layout.limbs[cell.row][limb] = i64::try_from(integer(value)?).ok()?,
        None => layout.advice[cell.column as usize][cell.row] = value,
    }
    Some(())
}

/// What fails near the cell, and everywhere where nothing does and `thorough`.
fn failures_of(
    sweep: &mut Sweep<'_>,
    circuit: &ModelCircuit,
    (cell, value): (Cell, Fr),
    thorough: bool,
) -> BTreeSet<String> {
    let layout = &circuit.layout;
    let mut probe = (**layout).clone();
    if assign(&mut probe, cell, value).is_none() {
        let function = layout.on(F::Function, cell.row) && cell.column == A::Abs0;
        return sweep.failures_of_byte(cell, value, rescales(layout, cell.row) || function);
    }
    let near = sweep.failures_near(cell.row, |layout| layout.clone_from(&probe));
    if near.is_empty() && thorough { sweep.failures(|layout| *layout = probe) } else { near }
}

#[test]
fn a_changed_value_is_accepted_only_where_nothing_reads_it() {
    let mut rng = ChaCha20Rng::seed_from_u64(10);
    let (mut tried, mut free, mut compared) = (0, 0, 0);
    for (case, circuit) in circuits() {
        let layout = &circuit.layout;
        let cells = (0..layout.value_rows).flat_map(|row| VALUE_COLUMNS.map(|column| Cell { column, row }));
        let mut sweep = Sweep::new(&circuit);
        for cell in cells {
            let (value, read) = (cell_value(layout, cell), is_read(layout, cell));
            for kind in 0..CHANGES {
                let new = changed(value, kind, &mut rng);
                // Nothing far away reads a cell that nothing near by does: one of the changes is to show it.
                let failed = failures_of(&mut sweep, &circuit, (cell, new), kind == 0);
                assert_eq!(read, !failed.is_empty(), "{}: {cell:?}, change {kind}: failed {failed:?}", case.name);
                let byte = integer(new).is_some_and(|value| (0..256).contains(&value));
                if LIMB_COLUMNS.contains(&cell.column) && rescales(layout, cell.row) && !byte {
                    assert!(failed.contains("lookup ends"), "{}: {cell:?}, change {kind}: {failed:?}", case.name);
                }
                tried += 1;
                free += usize::from(!read);
                if tried % TO_MOCK_PROVER == 0 {
                    let mut fits = None;
                    let changed = edited(&circuit, |layout| fits = assign(layout, cell, new));
                    if fits.is_some() {
                        let found = failures_near(&changed, &claimed(&changed), cell.row);
                        assert_eq!(found, failed, "{}: {cell:?}, change {kind}", case.name);
                        compared += 1;
                    }
                }
            }
        }
    }
    println!("{tried} changes of value cells, {free} of them read by nothing; {compared} put to MockProver");
}

#[test]
fn a_byte_changed_by_half_the_modulus_is_rejected() {
    let mut tried = 0;
    for (case, circuit) in circuits() {
        let layout = &circuit.layout;
        let rows: Vec<usize> = (0..layout.value_rows).filter(|row| rescales(layout, *row)).collect();
        for (i, row) in spread(&rows, BYTES).into_iter().enumerate() {
            let column = LIMB_COLUMNS[i % 4];
            let old = cell_value(layout, Cell { column, row });
            let new = old + Fr::TWO_INV;
            let helper = if column == A::Rem1 { A::Helper1 } else { A::Helper0 };
            // The lookup argument goes on consistently with the new value.
            let changed = with_second_phase(&with_cell(&circuit, column, row, new), move |columns, challenges| {
                let term = |value: Fr| (challenges.lookup + value).invert().unwrap();
                let delta = term(new) - term(old);
                columns.column_mut(helper)[row] += delta;
                columns.column_mut(A::Sum)[row + 1..].iter_mut().for_each(|sum| *sum += delta);
            });
            let failed = failures(&changed, &claimed(&changed));
            assert!(failed.contains("lookup ends"), "{}: {column:?} of row {row}: {failed:?}", case.name);
            assert!(!failed.contains("lookup helper 0") && !failed.contains("lookup helper 1"), "{failed:?}");
            tried += 1;
        }
    }
    println!("{tried} bytes changed by half the modulus");
}

#[test]
fn a_changed_weight_is_accepted_only_where_it_meets_a_zero_activation() {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let (mut tried, mut free) = (0, 0);
    for (case, circuit) in circuits() {
        let layout = &circuit.layout;
        let offset = circuit.plan.shape.weight_offset() as u64;
        let cells: Vec<_> =
            (0..layout.weight_rows).flat_map(|row| (0..layout.lanes.len()).map(move |lane| (lane, row))).collect();
        for (i, (lane, row)) in spread(&cells, WEIGHTS).into_iter().enumerate() {
            let changed = edited(&circuit, |layout| {
                let weight = &mut layout.lanes[lane][row];
                *weight = changed_weight(*weight, i, offset, &mut rng);
            });
            let failed = failures_near(&changed, &claimed(&changed), row);
            let zero = meets_zero(layout, row);
            assert_eq!(zero, failed.is_empty(), "{}: lane {lane} of row {row}: failed {failed:?}", case.name);
            tried += 1;
            free += usize::from(zero);
        }
    }
    assert!(free > 0, "a weight that meets a zero activation is among them");
    println!("{tried} weights and padding lanes changed, {free} of them met a zero activation");
}

#[test]
fn a_class_of_copied_cells_changed_at_once_is_rejected() {
    let mut rng = ChaCha20Rng::seed_from_u64(12);
    let mut tried = 0;
    for (case, circuit) in circuits() {
        let classes = copy_classes(&circuit.layout);
        for (i, class) in spread(&classes, CLASSES).into_iter().enumerate() {
            let changed = edited(&circuit, |layout| {
                let value = changed(cell_value(layout, class[0]), i, &mut rng);
                for cell in &class {
                    layout.advice[cell.column as usize][cell.row] = value;
                }
            });
            let failed = failures(&changed, &claimed(&changed));
            assert!(!failed.is_empty(), "{}: class {class:?} changed", case.name);
            tried += 1;
        }
    }
    println!("{tried} classes of copied cells changed");
}

/// Classes of equal first-phase cells of two or more; cells of the second phase follow them.
fn copy_classes(layout: &Layout) -> Vec<Vec<Cell>> {
    fn root(parents: &BTreeMap<(A, usize), (A, usize)>, mut at: (A, usize)) -> (A, usize) {
        while let Some(parent) = parents.get(&at) {
            at = *parent;
        }
        at
    }
    let mut parents = BTreeMap::new();
    let mut members: BTreeMap<(A, usize), Vec<Cell>> = BTreeMap::new();
    let key = |cell: Cell| (cell.column, cell.row);
    let first_phase = layout.copies.iter().filter(|(l, r)| !l.column.is_second_phase() && !r.column.is_second_phase());
    let mut cells = Vec::new();
    for (left, right) in first_phase {
        let (left_root, right_root) = (root(&parents, key(*left)), root(&parents, key(*right)));
        if left_root != right_root {
            parents.insert(left_root, right_root);
        }
        cells.extend([*left, *right]);
    }
    for cell in cells {
        let class = members.entry(root(&parents, key(cell))).or_default();
        if !class.contains(&cell) {
            class.push(cell);
        }
    }
    members.into_values().collect()
}

#[test]
fn a_changed_public_value_is_rejected() {
    for (case, circuit) in circuits() {
        let statement = claimed(&circuit);
        check(&circuit, statement.clone()).unwrap();
        for index in 1..statement.len() {
            let mut changed = statement.clone();
            changed[index] += Fr::ONE;
            let failed = failures(&circuit, &changed);
            assert_eq!(failed, ["copy".to_owned()].into(), "{}: instance {index}", case.name);
        }
    }
}

/// Whether a constraint reads the second-phase cell.
fn second_phase_is_read(circuit: &ModelCircuit, column: A, row: usize) -> bool {
    let layout = &circuit.layout;
    let last = circuit.plan.usable_rows - 1;
    match column {
        A::X => layout.on(F::WeightEnd, row),
        A::WeightAcc | A::Dot => layout.on(F::Weight, row),
        A::ValueAcc => layout.on(F::Value, row) || layout.on(F::Gather, row),
        A::ValueSum => layout.on(F::Value, row),
        // The last row ends the sum and has no lookups of its own.
        A::Helper0 | A::Helper1 => row < last,
        _ => row <= last,
    }
}

#[test]
fn a_changed_cell_of_the_second_phase_is_rejected() {
    let mut rng = ChaCha20Rng::seed_from_u64(13);
    let (mut tried, mut free) = (0, 0);
    for (case, circuit) in circuits() {
        let layout = &circuit.layout;
        for column in circuit.plan.shape.advice().filter(|column| column.is_second_phase()) {
            let rows = match column {
                A::X | A::WeightAcc | A::Dot => layout.weight_rows,
                A::ValueAcc | A::ValueSum => layout.value_rows,
                _ => circuit.plan.usable_rows,
            };
            let rows: Vec<usize> = (0..rows).collect();
            for (i, row) in spread(&rows, SECOND_PHASE).into_iter().enumerate() {
                let random = Fr::random(&mut rng);
                let changed = with_second_phase(&circuit, move |columns, _| {
                    let cell = &mut columns.column_mut(column)[row];
                    let new = match i % 4 {
                        0 => *cell + Fr::ONE,
                        1 => Fr::ZERO,
                        2 => -*cell,
                        _ => random,
                    };
                    *cell = if new == *cell { new - Fr::ONE } else { new };
                });
                let failed = failures_near(&changed, &claimed(&circuit), row);
                let read = second_phase_is_read(&circuit, column, row);
                assert_eq!(read, !failed.is_empty(), "{}: {column:?} of row {row}: {failed:?}", case.name);
                tried += 1;
                free += usize::from(!read);
            }
        }
    }
    println!("{tried} second-phase cells changed, {free} of them read by nothing");
}

#[test]
fn a_changed_multiplicity_is_rejected_on_every_row_of_the_sum() {
    for (case, circuit) in circuits() {
        let last = circuit.plan.usable_rows - 1;
        let counts = second_phase::multiplicities(&circuit.layout);
        for row in [0, 1, 128, 255, counts.len() - 1, (counts.len() + last) / 2, last - 1] {
            let changed = with_multiplicities(&circuit, move |counts| {
                counts.resize(counts.len().max(row + 1), Fr::ZERO);
                counts[row] += Fr::ONE;
            });
            let failed = failures(&changed, &claimed(&circuit));
            assert_eq!(failed, ["lookup ends".to_owned()].into(), "{}: row {row}", case.name);
        }
    }
}

#[test]
fn counts_of_zero_bytes_may_move_to_the_rows_behind_the_table() {
    // Reviewed: rows behind the table repeat its entry for zero, so the sum is the same.
    let (_, circuit) = circuits().swap_remove(0);
    let behind = circuit.layout.table_rows();
    let moved = with_multiplicities(&circuit, move |counts| {
        counts.resize(behind + 1, Fr::ZERO);
        counts[behind] = counts[0];
        counts[0] = Fr::ZERO;
    });
    check(&moved, claimed(&circuit)).unwrap();
}
