//! Cells changed one at a time, and classes of copied cells at once, with the late columns and the
//! statement adapted to them. A change is accepted exactly where the rules below say that nobody
//! reads the cell, so a rule that is too generous fails as well as a constraint that is missing.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use halo2_proofs::halo2curves::{
    bn256::Fr,
    ff::{Field, PrimeField},
};
use rand::Rng;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use rayon::prelude::*;

use super::{
    attack::{
        cell_value, claimed, edited, failures, failures_near, honest, integer, mock_challenges, plan_with,
        plan_with_lanes, with_cell, with_late, with_multiplicities,
    },
    check,
    graphs::{self, Case, RELU, SIGNED},
    grid::{Sweep, moved_lookups},
    network::network,
};
use crate::{
    AdviceColumn as A, FixedColumn as F, Layout, ModelCircuit, WeightPlacement, late,
    layout::{Cell, LIMB_COLUMNS},
    shape::Shape,
};

/// One change of a value cell in so many is put to MockProver as well; every value cell of every graph is
/// changed in every way, which it is too slow for.
const TO_MOCK_PROVER: usize = 97;
/// Weights changed in one graph, spread over its rows, each in one of five ways.
const WEIGHTS: usize = 60;
/// Limbs changed by half the modulus in one graph, for MockProver.
const LIMBS: usize = 8;
/// Classes of copied cells changed in one graph, each in one of the ways.
const CLASSES: usize = 24;
/// Cells of a late column changed in one graph, each in one of four ways.
const LATE: usize = 10;
/// Circuits with limbs of sixteen bits have as many rows: one change in so many is tried there.
const WIDE: usize = 16;
/// Changes of value cells of such a circuit.
const WIDE_CHANGES: usize = 40;
/// Ways to change a cell.
const CHANGES: usize = 6;

/// The graphs of one operation, one with weights that meet a zero activation, a whole model in
/// small, layers on several lanes, and every unit at every height of a logical row.
fn circuits() -> Vec<(Case, ModelCircuit)> {
    let mut cases = graphs::all();
    let mut dead = graphs::dense(1, 6, 5, RELU, true);
    dead.inputs[0][2] = 0;
    cases.extend([dead, network(), graphs::gathered_dense(4, 2, 2), gathered_matrix(), graphs::tracked_function()]);
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
    for height in [1, 2, 4] {
        for case in [graphs::dense(3, 4, 2, SIGNED, true), gathered_matrix(), graphs::tracked_function(), network()] {
            if out.iter().all(|(other, circuit)| other.name != case.name || circuit.plan.shape.height != height) {
                out.push(shaped(case, |shape| shape.height = height));
            }
        }
    }
    for (case, height) in [(graphs::dense(3, 4, 2, SIGNED, true), 1), (named("maximum"), 4)] {
        out.push(shaped(case, |shape| (shape.height, shape.limb_bits) = (height, 16)));
    }
    out
}

/// The circuit of a case in another shape than the planner's.
fn shaped(case: Case, change: impl FnOnce(&mut Shape)) -> (Case, ModelCircuit) {
    let plan = plan_with(&case.graph, change);
    let circuit = ModelCircuit::with_witness(&case.graph, plan, &case.inputs).unwrap();
    (case, circuit)
}

fn named(name: &str) -> Case {
    graphs::all().into_iter().find(|case| case.name == name).unwrap()
}

/// A product of matrices by an identity over values that are too wide to be evaluated in place.
fn gathered_matrix() -> Case {
    graphs::matrix_product("gathered_matrix", [3, 3, 3], 12, 17)
}

/// At most `most` of them, evenly spread, the last included.
fn spread<T: Clone>(all: &[T], most: usize) -> Vec<T> {
    let Some(last) = all.len().checked_sub(1) else { return Vec::new() };
    let mut chosen: Vec<usize> = (0..most).map(|i| i * last / (most - 1)).collect();
    chosen.dedup();
    chosen.into_iter().map(|i| all[i].clone()).collect()
}

fn is_wide(circuit: &ModelCircuit) -> bool {
    circuit.plan.shape.limb_bits == 16
}

/// How many changes a circuit gets of those that are usual.
fn share(circuit: &ModelCircuit, usual: usize) -> usize {
    if is_wide(circuit) { usual.div_ceil(WIDE).max(2) } else { usual }
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

/// Columns of the value unit that a shape has.
fn value_columns(shape: &Shape) -> Vec<A> {
    [A::P, A::Q, A::Acc, A::Y].into_iter().chain(shape.limbs()).collect()
}

/// What reads a cell of the value unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Nothing,
    /// The lookups alone, so any number of the limb's range will do.
    Lookup,
    /// A gate, a copy or an instance.
    Constraint,
}

/// What reads the cells of a circuit.
struct Readers<'c> {
    circuit: &'c ModelCircuit,
    tied: HashSet<Cell>,
}

impl<'c> Readers<'c> {
    fn new(circuit: &'c ModelCircuit) -> Self {
        let copied = circuit.layout.copies.iter().flat_map(|(left, right)| [*left, *right]);
        let tied = copied.chain(circuit.layout.instances.iter().copied()).collect();
        Self { circuit, tied }
    }

    /// What none reads is free: operands and results that a row does not have, and what lies behind the logUp sum.
    fn of(&self, cell: Cell) -> Reader {
        let Cell { column, row } = cell;
        let layout = &self.circuit.layout;
        let on = |selector| layout.on(selector, row);
        let by_gate = match column {
            A::P => [F::CoefP, F::CoefProduct, F::Function, F::SlackTriple, F::TrackTriple].into_iter().any(on),
            A::Q => [F::CoefQ, F::CoefProduct, F::Max, F::Function, F::SlackTriple, F::TrackTriple].into_iter().any(on),
            // The accumulator of a row without coefficients has to be zero.
            A::Acc => true,
            A::Y => rescales(layout, row) || [F::Input, F::Function, F::Slack, F::Track].into_iter().any(on),
            A::Abs0 | A::Abs1 => rescales(layout, row) || on(F::Input) || on(F::Function),
            _ => rescales(layout, row) || on(F::Input),
        };
        if by_gate || self.tied.contains(&cell) {
            Reader::Constraint
        } else if LIMB_COLUMNS.contains(&column) && row < self.circuit.run() {
            Reader::Lookup
        } else {
            Reader::Nothing
        }
    }

    /// Whether the cell may hold the value as well as its own.
    fn leave(&self, cell: Cell, value: Fr) -> bool {
        match self.of(cell) {
            Reader::Nothing => true,
            Reader::Lookup => self.is_limb(value),
            Reader::Constraint => false,
        }
    }

    fn is_limb(&self, value: Fr) -> bool {
        integer(value).is_some_and(|value| (0..1 << self.circuit.plan.shape.limb_bits).contains(&value))
    }

    /// Whether the rules allow what was found to fail.
    fn agree(&self, cell: Cell, value: Fr, failed: &BTreeSet<String>) -> bool {
        let unknown = LIMB_COLUMNS.contains(&cell.column) && cell.row < self.circuit.run() && !self.is_limb(value);
        self.leave(cell, value) == failed.is_empty() && (!unknown || failed.contains("lookup ends"))
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
fn failures_of(sweep: &mut Sweep<'_>, layout: &Layout, (cell, value): (Cell, Fr), thorough: bool) -> BTreeSet<String> {
    let mut probe = layout.clone();
    if assign(&mut probe, cell, value).is_none() {
        return sweep.failures_of_limb(cell, value);
    }
    let near = sweep.failures_near(cell.row, |layout| layout.clone_from(&probe));
    if near.is_empty() && thorough { sweep.failures(|layout| *layout = probe) } else { near }
}

/// What the changes of one circuit's value cells came to.
#[derive(Default)]
struct Tally {
    tried: usize,
    free: usize,
    compared: usize,
    /// Columns that are read on rows of coefficients that no output stands for, by height and whether there are three.
    slack: BTreeSet<(usize, A, bool)>,
}

impl Tally {
    fn and(mut self, other: Self) -> Self {
        self.tried += other.tried;
        self.free += other.free;
        self.compared += other.compared;
        self.slack.extend(other.slack);
        self
    }
}

fn change_every_value(case: &Case, circuit: &ModelCircuit, rng: &mut ChaCha20Rng) -> Tally {
    let mut tally = Tally::default();
    let (layout, readers) = (&circuit.layout, Readers::new(circuit));
    let columns = value_columns(&circuit.plan.shape);
    let cells: Vec<Cell> = (0..layout.value_rows)
        .flat_map(|row| columns.iter().map(move |column| Cell { column: *column, row }))
        .collect();
    let changes: Vec<(Cell, usize)> =
        cells.into_iter().flat_map(|cell| (0..CHANGES).map(move |kind| (cell, kind))).collect();
    let changes = if is_wide(circuit) { spread(&changes, WIDE_CHANGES) } else { changes };
    let mut sweep = Sweep::new(circuit);
    for (cell, kind) in changes {
        let reader = readers.of(cell);
        if reader == Reader::Constraint && layout.on(F::Slack, cell.row) {
            tally.slack.insert((circuit.plan.shape.height, cell.column, layout.on(F::SlackTriple, cell.row)));
        }
        let new = changed(cell_value(layout, cell), kind, rng);
        // Nothing far away reads a cell that nothing near by does: one of the changes is to show it.
        let failed = failures_of(&mut sweep, layout, (cell, new), kind == 0);
        let what = || format!("{}: {cell:?}, read by {reader:?}, change {kind}", case.name);
        assert!(readers.agree(cell, new, &failed), "{}: failed {failed:?}", what());
        tally.tried += 1;
        tally.free += usize::from(failed.is_empty());
        if tally.tried % TO_MOCK_PROVER == 0 {
            let mut fits = None;
            let changed = edited(circuit, |layout| fits = assign(layout, cell, new));
            if fits.is_some() {
                assert_eq!(failures_near(&changed, &claimed(&changed), cell.row), failed, "{}", what());
                tally.compared += 1;
            }
        }
    }
    tally
}

#[test]
fn a_changed_value_is_accepted_only_where_nothing_reads_it() {
    let change = |(i, (case, circuit)): (usize, (Case, ModelCircuit))| {
        change_every_value(&case, &circuit, &mut ChaCha20Rng::seed_from_u64(i as u64))
    };
    let Tally { tried, free, compared, slack } =
        circuits().into_par_iter().enumerate().map(change).reduce(Tally::default, Tally::and);
    // Coefficients that no output stands for are read, one or three on a row: a changed one moves the identity.
    let (one, three) = ([A::Acc, A::Y], [A::P, A::Q, A::Acc, A::Y]);
    let expected =
        |height| one.map(|column| (height, column, false)).into_iter().chain(three.map(|c| (height, c, true)));
    assert_eq!(slack, [1, 2, 4].into_iter().flat_map(expected).collect());
    println!("{tried} changes of value cells, {free} of them read by nothing; {compared} put to MockProver");
}

/// The same circuit with the rows behind those in use in its layout, the one that ends the logUp sum included.
fn with_rows_behind(circuit: &ModelCircuit) -> ModelCircuit {
    let run = circuit.run();
    edited(circuit, |layout| {
        layout.value_rows = run;
        layout.limbs.resize(run + 1, [0; 4]);
        layout.advice.iter_mut().for_each(|column| column.resize(run + 1, Fr::ZERO));
    })
}

#[test]
fn a_changed_value_behind_the_rows_in_use_is_accepted_only_where_nothing_reads_it() {
    let mut rng = ChaCha20Rng::seed_from_u64(14);
    let mut tried: BTreeMap<String, usize> = BTreeMap::new();
    for (case, circuit) in circuits() {
        let (used, run) = (circuit.layout.value_rows, circuit.run());
        let circuit = with_rows_behind(&circuit);
        let (layout, readers) = (&circuit.layout, Readers::new(&circuit));
        let rows = BTreeSet::from([used, usize::midpoint(used, run), run - 1, run]);
        let columns = value_columns(&circuit.plan.shape);
        let cells: Vec<Cell> =
            rows.into_iter().flat_map(|row| columns.iter().map(move |column| Cell { column: *column, row })).collect();
        let mut sweep = Sweep::new(&circuit);
        for (i, cell) in spread(&cells, share(&circuit, cells.len())).into_iter().enumerate() {
            for kind in [0, 1 + i % (CHANGES - 1)] {
                let new = changed(cell_value(layout, cell), kind, &mut rng);
                let failed = failures_of(&mut sweep, layout, (cell, new), kind == 0 && !is_wide(&circuit));
                let reader = readers.of(cell);
                let what = format!("{}: {cell:?}, read by {reader:?}, change {kind}", case.name);
                assert!(readers.agree(cell, new, &failed), "{what}: failed {failed:?}");
                *tried.entry(format!("{reader:?}")).or_default() += 1;
            }
        }
    }
    println!("changes of value cells behind the rows in use, by what reads them: {tried:?}");
}

#[test]
fn a_limb_changed_by_half_the_modulus_is_rejected() {
    let mut tried = 0;
    for (case, circuit) in circuits() {
        let (layout, limbs) = (&circuit.layout, circuit.plan.shape.limbs());
        let rows: Vec<usize> = (0..layout.value_rows).collect();
        for (i, row) in spread(&rows, share(&circuit, LIMBS)).into_iter().enumerate() {
            let cell = Cell { column: limbs[i % limbs.len()], row };
            let old = cell_value(layout, cell);
            let new = old + Fr::TWO_INV;
            // The lookup argument goes on consistently with the new value.
            let original = circuit.clone();
            let changed = with_late(&with_cell(&circuit, cell.column, row, new), move |columns, challenges| {
                for (moved, delta) in moved_lookups(&original, cell, old, new, challenges) {
                    columns.column_mut(moved.column)[moved.row] += delta;
                }
            });
            let failed = failures(&changed, &claimed(&changed));
            assert!(failed.contains("lookup ends"), "{}: {cell:?}: {failed:?}", case.name);
            assert!(!failed.contains("lookup helper") && !failed.contains("lookup sum"), "{failed:?}");
            tried += 1;
        }
    }
    println!("{tried} limbs changed by half the modulus");
}

/// Whether the weights of a row enter an identity: times a value or an evaluation that is not zero. Rows that
/// join evaluations have weights that enter none.
fn weights_count(layout: &Layout, factors: &[Fr], row: usize) -> bool {
    let end = (row..).find(|row| !layout.on(F::WeightContinue, row + 1)).unwrap();
    layout.on(F::WeightEnd, end) && factors[end] != Fr::ZERO
}

#[test]
fn a_changed_weight_is_accepted_only_where_it_meets_a_zero_activation() {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let (mut tried, mut zero, mut without) = (0, 0, 0);
    for (case, circuit) in circuits() {
        let (layout, shape) = (&circuit.layout, &circuit.plan.shape);
        let late = late::compute(layout, shape, &[], &mock_challenges(&circuit), circuit.run());
        let cells: Vec<_> =
            (0..layout.weight_rows).flat_map(|row| (0..layout.lanes.len()).map(move |lane| (lane, row))).collect();
        for (i, (lane, row)) in spread(&cells, share(&circuit, WEIGHTS)).into_iter().enumerate() {
            let changed = edited(&circuit, |layout| {
                let weight = &mut layout.lanes[lane][row];
                *weight = changed_weight(*weight, i, shape.weight_offset() as u64, &mut rng);
            });
            let failed = failures_near(&changed, &claimed(&changed), row);
            let counts = weights_count(layout, late.column(A::X), row);
            assert_eq!(!counts, failed.is_empty(), "{}: lane {lane} of row {row}: failed {failed:?}", case.name);
            tried += 1;
            let of_no_matrix = !layout.on(F::WeightEnd, row) && !layout.on(F::WeightContinue, row + 1);
            without += usize::from(of_no_matrix);
            zero += usize::from(!counts && !of_no_matrix);
        }
    }
    assert!(zero > 0, "a weight that meets a zero activation is among them");
    assert!(without > 0, "a row without weights is among them");
    println!("{tried} weights and padding lanes changed, {zero} met a zero activation, {without} were no matrix's");
}

#[test]
fn a_class_of_copied_cells_changed_at_once_is_rejected() {
    let mut rng = ChaCha20Rng::seed_from_u64(12);
    let mut tried = 0;
    for (case, circuit) in circuits() {
        let classes = copy_classes(&circuit.layout);
        for (i, class) in spread(&classes, share(&circuit, CLASSES)).into_iter().enumerate() {
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

/// Classes of equal first-phase cells of two or more; late cells follow them.
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
    let first_phase = layout.copies.iter().filter(|(l, r)| !l.column.is_late() && !r.column.is_late());
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
        let indices: Vec<usize> = (1..statement.len()).collect();
        for index in spread(&indices, share(&circuit, statement.len().max(2))) {
            let mut changed = statement.clone();
            changed[index] += Fr::ONE;
            let failed = failures(&circuit, &changed);
            assert_eq!(failed, ["copy".to_owned()].into(), "{}: instance {index}", case.name);
        }
    }
}

/// Whether a constraint reads the late cell. The gates of evaluations are in force on every logical row up to the one
/// that ends the sum, on which nothing is looked up; a factor is read where a term of the dot product has it.
fn late_is_read(circuit: &ModelCircuit, column: A, row: usize) -> bool {
    let looked_up = circuit.run() * circuit.plan.shape.height;
    match column {
        A::X => [F::WeightEnd, F::DotLoad, F::DotScale].into_iter().any(|term| circuit.layout.on(term, row)),
        A::WeightAcc | A::Dot | A::ValueAcc | A::Track => row <= circuit.run(),
        A::Helper => row < looked_up,
        A::Sum => row <= looked_up,
        _ => panic!("{column:?} is no late column"),
    }
}

/// Rows of a late column to change: those in use, the ones behind them, and those around the end of the sum.
fn late_rows(circuit: &ModelCircuit, column: A, most: usize) -> BTreeSet<usize> {
    let (layout, shape) = (&circuit.layout, &circuit.plan.shape);
    let (used, rows) = match column {
        A::X | A::WeightAcc | A::Dot => (layout.weight_rows, circuit.run() + 1),
        A::ValueAcc | A::Track => (layout.value_rows, circuit.run() + 1),
        _ => (layout.rows() * shape.height, circuit.plan.usable_rows),
    };
    let used: Vec<usize> = (0..=used).collect();
    let end = circuit.run() * if column.is_full_height() { shape.height } else { 1 };
    let around = [end, end - 1, rows - 1, usize::midpoint(used.len(), end)];
    spread(&used, most).into_iter().chain(around.into_iter().take(most)).collect()
}

#[test]
fn a_changed_cell_of_a_late_column_is_rejected() {
    let mut rng = ChaCha20Rng::seed_from_u64(13);
    let (mut tried, mut free) = (0, 0);
    for (case, circuit) in circuits() {
        for column in circuit.plan.shape.advice().filter(|column| column.is_late()) {
            for (i, row) in late_rows(&circuit, column, share(&circuit, LATE)).into_iter().enumerate() {
                let random = Fr::random(&mut rng);
                let changed = with_late(&circuit, move |columns, _| {
                    let cells = columns.column_mut(column);
                    cells.resize(cells.len().max(row + 1), Fr::ZERO);
                    let new = match i % 4 {
                        0 => cells[row] + Fr::ONE,
                        1 => Fr::ZERO,
                        2 => -cells[row],
                        _ => random,
                    };
                    cells[row] = if new == cells[row] { new - Fr::ONE } else { new };
                });
                let logical = if column.is_full_height() { row / circuit.plan.shape.height } else { row };
                let failed = failures_near(&changed, &claimed(&circuit), logical.min(circuit.run()));
                let read = late_is_read(&circuit, column, row);
                assert_eq!(read, !failed.is_empty(), "{}: {column:?} of row {row}: {failed:?}", case.name);
                tried += 1;
                free += usize::from(!read);
            }
        }
    }
    println!("{tried} late cells changed, {free} of them read by nothing");
}

#[test]
fn a_changed_multiplicity_is_rejected_on_every_row_of_the_sum() {
    for (case, circuit) in circuits() {
        let last = circuit.run() * circuit.plan.shape.height - 1;
        let numbers = circuit.layout.limb_numbers();
        let table = circuit.layout.table_rows();
        let rows = BTreeSet::from([0, 1, numbers / 2, numbers - 1, table - 1, usize::midpoint(table, last), last]);
        let rows: Vec<usize> = rows.into_iter().collect();
        for row in spread(&rows, share(&circuit, rows.len())) {
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
fn a_multiplicity_behind_the_sum_counts_nothing() {
    // Reviewed: the row that ends the sum looks nothing up and has no entry of the table.
    for (case, circuit) in circuits().into_iter().filter(|(_, circuit)| !is_wide(circuit)) {
        let end = circuit.run() * circuit.plan.shape.height;
        let changed = with_multiplicities(&circuit, move |counts| {
            counts.resize(end + 1, Fr::ZERO);
            counts[end] = Fr::ONE;
        });
        assert_eq!(failures(&changed, &claimed(&circuit)), BTreeSet::new(), "{}", case.name);
    }
}

#[test]
fn counts_of_zero_limbs_may_move_to_the_rows_behind_the_table() {
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
