//! Columns of the second phase, from the layout and the challenges.

use halo2_proofs::halo2curves::{
    bn256::Fr,
    ff::{BatchInvert, Field},
};
use vouch_graph::int::INTERPOLATION_POINTS;

use crate::{
    column::{AdviceColumn as A, FixedColumn as F},
    gadget::lookup::BYTES,
    layout::{Cell, LIMB_COLUMNS, Layout, field},
    shape::Shape,
};

/// Values of the challenges; those that the shape lacks are zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChallengeValues {
    pub(crate) outputs: Fr,
    pub(crate) positions: Fr,
    pub(crate) lookup: Fr,
    pub(crate) tuple: Fr,
    pub(crate) tag: Fr,
}

/// The second phase's columns; those that the shape lacks are empty.
#[derive(Debug, Default)]
pub(crate) struct SecondPhase {
    columns: [Vec<Fr>; 8],
}

impl SecondPhase {
    pub(crate) fn column(&self, column: A) -> &[Fr] {
        &self.columns[column as usize - A::X as usize]
    }

    pub(crate) fn column_mut(&mut self, column: A) -> &mut Vec<Fr> {
        &mut self.columns[column as usize - A::X as usize]
    }
}

/// A row of the lookup table: value, function value, tag.
pub(crate) fn table_row(layout: &Layout, row: usize) -> [i128; 3] {
    if row < BYTES {
        return [row as i128, 0, 0];
    }
    let (function, point) = ((row - BYTES) / INTERPOLATION_POINTS, (row - BYTES) % INTERPOLATION_POINTS);
    match layout.functions.get(function) {
        Some(table) => [point as i128, i128::from(table[point]), function as i128 + 1],
        None => [0; 3],
    }
}

/// A lookup of a value row: the tuple, and the table row that holds it where one does.
struct Lookup {
    tuple: [i64; 3],
    table_row: Option<usize>,
}

impl Lookup {
    fn byte(value: i64) -> Self {
        let table_row = usize::try_from(value).ok().filter(|v| *v < BYTES);
        Self { tuple: [value, 0, 0], table_row }
    }

    fn point(layout: &Layout, segment: i64, value: i64, tag: usize) -> Self {
        let table = tag.checked_sub(1).and_then(|i| layout.functions.get(i));
        let at = usize::try_from(segment).ok().filter(|at| table.is_some_and(|t| t.get(*at) == Some(&value)));
        let table_row = at.map(|at| BYTES + (tag - 1) * INTERPOLATION_POINTS + at);
        Self { tuple: [segment, value, tag as i64], table_row }
    }
}

/// Lookups of a value row, by helper column.
fn lookups(layout: &Layout, row: usize) -> [Vec<Lookup>; 2] {
    let [abs0, abs1, rem0, rem1] = layout.limbs[row];
    let rescales = [F::Signed, F::Relu, F::Max].into_iter().any(|mode| layout.on(mode, row));
    if rescales {
        return [vec![Lookup::byte(abs0), Lookup::byte(abs1), Lookup::byte(rem0)], vec![Lookup::byte(rem1)]];
    }
    if layout.on(F::Function, row) {
        let tag = usize::try_from(layout.fixed(F::Tag, row)).unwrap_or(0);
        let points = [(abs1, rem0), (abs1 + 1, rem1)];
        let points = points.map(|(segment, value)| Lookup::point(layout, segment, value, tag));
        return [vec![Lookup::byte(abs0)], points.into()];
    }
    [Vec::new(), Vec::new()]
}

/// Whether some looked-up tuple is no row of the table.
#[cfg(test)]
pub(crate) fn misses(layout: &Layout) -> bool {
    (0..layout.value_rows).any(|row| lookups(layout, row).iter().flatten().any(|lookup| lookup.table_row.is_none()))
}

/// How often each row of the table is looked up.
pub(crate) fn multiplicities(layout: &Layout) -> Vec<u64> {
    let mut counts = vec![0; layout.table_rows()];
    for row in 0..layout.value_rows {
        for lookup in lookups(layout, row).iter().flatten() {
            if let Some(count) = lookup.table_row.and_then(|at| counts.get_mut(at)) {
                *count += 1;
            }
        }
    }
    counts
}

/// Computes every column of the second phase over `rows` rows, the last of which only ends the
/// logUp sum.
pub(crate) fn compute(
    layout: &Layout,
    shape: &Shape,
    multiplicities: &[Fr],
    challenges: &ChallengeValues,
    rows: usize,
) -> SecondPhase {
    let mut out = SecondPhase::default();
    if shape.has_linear() {
        value_columns(layout, shape, challenges, &mut out);
        weight_columns(layout, shape, challenges, &mut out);
    }
    lookup_columns(layout, multiplicities, challenges, rows, &mut out);
    out
}

fn cell(layout: &Layout, column: A, row: usize) -> Fr {
    match LIMB_COLUMNS.iter().position(|limb| *limb == column) {
        Some(limb) => field(i128::from(layout.limbs[row][limb])),
        None => layout.advice[column as usize].get(row).copied().unwrap_or(Fr::ZERO),
    }
}

/// The pre-activation of a rescaling row; the gates' expression over values.
fn pre_activation(layout: &Layout, row: usize) -> Fr {
    let [abs0, abs1, rem0, rem1] = layout.limbs[row].map(i128::from);
    let (abs, rem) = (field(abs0 + (abs1 << 8)), field(rem0 + (rem1 << 8)));
    let y = cell(layout, A::Y, row);
    let value = if layout.on(F::Signed, row) {
        abs - field(1 << 15)
    } else if layout.on(F::Relu, row) {
        y.double() - abs
    } else {
        (y - cell(layout, A::Q, row)).double() - abs
    };
    value * field(1 << 16) + rem - field(1 << 15)
}

fn value_columns(layout: &Layout, shape: &Shape, challenges: &ChallengeValues, out: &mut SecondPhase) {
    let (r, s) = (challenges.outputs, challenges.positions);
    let mut accs = Vec::with_capacity(layout.value_rows);
    let mut sums = Vec::with_capacity(layout.value_rows);
    let (mut acc, mut sum) = (Fr::ZERO, Fr::ZERO);
    for row in 0..layout.value_rows {
        if layout.on(F::Value, row) {
            let start = if layout.on(F::ValueContinue, row) { acc * r } else { Fr::ZERO };
            acc = start + pre_activation(layout, row);
            sum = match (layout.on(F::PositionKeep, row), layout.on(F::PositionNext, row)) {
                (false, false) => Fr::ZERO,
                (true, false) => sum,
                (false, true) => sum * s,
                (true, true) => sum + sum * s,
            };
            if layout.on(F::PositionAdd, row) {
                sum += acc;
            }
        } else if layout.on(F::Gather, row) {
            let start = if layout.on(F::GatherContinue, row) { acc } else { Fr::ZERO };
            acc = [A::P, A::Q, A::Y].into_iter().fold(start, |acc, column| acc * s + cell(layout, column, row));
            sum = Fr::ZERO;
        } else {
            (acc, sum) = (Fr::ZERO, Fr::ZERO);
        }
        accs.push(acc);
        sums.push(sum);
    }
    *out.column_mut(A::ValueAcc) = accs;
    if shape.has_positions() {
        *out.column_mut(A::ValueSum) = sums;
    }
}

fn weight_columns(layout: &Layout, shape: &Shape, challenges: &ChallengeValues, out: &mut SecondPhase) {
    let rows = layout.weight_rows;
    let mut x = vec![Fr::ZERO; rows];
    for (row, Cell { column, row: source }) in &layout.x_sources {
        x[*row] = match column {
            A::ValueAcc => out.column(A::ValueAcc)[*source],
            column => cell(layout, *column, *source),
        };
    }
    let offset = field(shape.weight_offset());
    let (mut evaluations, mut dots) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let (mut evaluation, mut dot) = (Fr::ZERO, Fr::ZERO);
    for row in 0..rows {
        let start = if layout.on(F::WeightContinue, row) { evaluation } else { Fr::ZERO };
        evaluation =
            layout.lanes.iter().fold(start, |sum, lane| sum * challenges.outputs + Fr::from(lane[row]) - offset);
        if !layout.on(F::DotContinue, row) {
            dot = Fr::ZERO;
        }
        if layout.on(F::WeightEnd, row) {
            dot += x[row] * evaluation;
        }
        evaluations.push(evaluation);
        dots.push(dot);
    }
    *out.column_mut(A::X) = x;
    *out.column_mut(A::WeightAcc) = evaluations;
    *out.column_mut(A::Dot) = dots;
}

fn lookup_columns(
    layout: &Layout,
    multiplicities: &[Fr],
    challenges: &ChallengeValues,
    rows: usize,
    out: &mut SecondPhase,
) {
    let denominator = |[value, point, tag]: [i128; 3]| {
        challenges.lookup + field(value) + challenges.tuple * field(point) + challenges.tag * field(tag)
    };
    // A denominator of zero has probability 2^-254; the sum then does not close and proving fails.
    let invert = |d: Fr| d.invert().unwrap_or(Fr::ZERO);
    let mut inverses: Vec<Fr> = (0..layout.table_rows()).map(|row| denominator(table_row(layout, row))).collect();
    inverses.iter_mut().batch_invert();
    let term = |lookup: &Lookup| match lookup.table_row {
        Some(row) => inverses[row],
        None => invert(denominator(lookup.tuple.map(i128::from))),
    };
    let mut columns = [Vec::with_capacity(rows), Vec::with_capacity(rows)];
    let mut sums = Vec::with_capacity(rows);
    let mut sum = Fr::ZERO;
    for row in 0..rows {
        sums.push(sum);
        let helpers = if row < layout.value_rows {
            lookups(layout, row).map(|lookups| lookups.iter().map(term).sum::<Fr>())
        } else {
            [Fr::ZERO; 2]
        };
        sum += helpers[0] + helpers[1];
        if let Some(m) = multiplicities.get(row).filter(|m| !m.is_zero_vartime()) {
            sum -= m * inverses.get(row).copied().unwrap_or_else(|| invert(denominator([0; 3])));
        }
        for (column, helper) in columns.iter_mut().zip(helpers) {
            column.push(helper);
        }
    }
    let [helper0, helper1] = columns;
    *out.column_mut(A::Helper0) = helper0;
    *out.column_mut(A::Helper1) = helper1;
    *out.column_mut(A::Sum) = sums;
}
