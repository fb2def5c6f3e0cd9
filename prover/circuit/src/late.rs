//! Columns that depend on challenges, from the layout and the challenges.

use halo2_proofs::halo2curves::{
    bn256::Fr,
    ff::{BatchInvert, Field},
};
use rayon::prelude::*;
use vouch_graph::int::INTERPOLATION_POINTS;

use crate::{
    column::{AdviceColumn as A, FixedColumn as F},
    gadget::lookup::helped,
    layout::{Cell, LIMB_COLUMNS, Layout, field},
    shape::Shape,
};

/// Values of the challenges; those that the shape lacks are zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChallengeValues {
    pub(crate) outputs: Fr,
    pub(crate) positions: Fr,
    pub(crate) lookup: Fr,
    pub(crate) value: Fr,
    pub(crate) slope: Fr,
    pub(crate) tag: Fr,
}

/// The late columns; those that the shape lacks are empty.
#[derive(Debug, Clone, Default)]
pub(crate) struct Late {
    columns: [Vec<Fr>; 7],
}

impl Late {
    pub(crate) fn column(&self, column: A) -> &[Fr] {
        &self.columns[column as usize - A::WeightAcc as usize]
    }

    pub(crate) fn column_mut(&mut self, column: A) -> &mut Vec<Fr> {
        &mut self.columns[column as usize - A::WeightAcc as usize]
    }
}

/// A row of the lookup table: the looked-up number, a function's value times its tag, and the tag.
pub(crate) fn table_row(layout: &Layout, row: usize) -> [i128; 3] {
    if row < layout.limb_numbers() {
        return [row as i128, 0, 0];
    }
    let Some(at) = row.checked_sub(layout.limb_numbers() + 1) else { return [0; 3] };
    let (function, point) = (at / INTERPOLATION_POINTS, at % INTERPOLATION_POINTS);
    let (Some(table), tag) = (layout.functions.get(function), function as i128 + 1) else { return [0; 3] };
    let out = i128::from(table[point]) * tag;
    // The last point starts no segment.
    if point + 1 < INTERPOLATION_POINTS { [point as i128, out, tag] } else { [0, out, 0] }
}

/// What a value row looks up by one of its limbs.
struct Lookup {
    value: i64,
    /// Value, slope and tag of a function.
    point: Option<(Fr, Fr, usize)>,
}

impl Lookup {
    fn of(layout: &Layout, row: usize, limb: A) -> Self {
        let value = LIMB_COLUMNS.iter().position(|column| *column == limb).map_or(0, |i| layout.limbs[row][i]);
        let tag = usize::try_from(layout.fixed(F::Tag, row)).unwrap_or(0);
        let point = (limb == A::Abs1 && tag > 0).then(|| (cell(layout, A::Q, row), cell(layout, A::Y, row), tag));
        Self { value, point }
    }

    /// The table row that holds the tuple, where one does.
    fn table_row(&self, layout: &Layout) -> Option<usize> {
        let at = usize::try_from(self.value).ok()?;
        let Some((value, slope, tag)) = self.point else { return (at < layout.limb_numbers()).then_some(at) };
        let table = layout.functions.get(tag - 1)?;
        let (start, end) = (i128::from(*table.get(at)?), i128::from(*table.get(at + 1)?));
        (field(start) == value && field(end - start) == slope).then(|| layout.point_row(tag, at))
    }

    fn denominator(&self, challenges: &ChallengeValues) -> Fr {
        let sum = challenges.lookup + field(i128::from(self.value));
        match self.point {
            Some((value, slope, tag)) => {
                let point = challenges.tag + challenges.value * value + challenges.slope * slope;
                sum + Fr::from(tag as u64) * point
            }
            None => sum,
        }
    }
}

/// Whether some looked-up tuple is no row of the table.
#[cfg(test)]
pub(crate) fn misses(layout: &Layout, shape: &Shape) -> bool {
    let limbs = shape.limbs();
    (0..layout.value_rows)
        .any(|row| limbs.iter().any(|limb| Lookup::of(layout, row, *limb).table_row(layout).is_none()))
}

/// What a row adds to the tuple of its segment.
#[cfg(test)]
pub(crate) fn point(layout: &Layout, row: usize, challenges: &ChallengeValues) -> Fr {
    let lookup = Lookup::of(layout, row, A::Abs1);
    lookup.denominator(challenges) - challenges.lookup - field(i128::from(lookup.value))
}

/// How often each row of the table is looked up, over logical rows `0..rows`.
pub(crate) fn multiplicities(layout: &Layout, shape: &Shape, rows: usize) -> Vec<u64> {
    let limbs = shape.limbs();
    let mut counts = vec![0; layout.table_rows()];
    for row in 0..layout.value_rows {
        for limb in &limbs {
            if let Some(at) = Lookup::of(layout, row, *limb).table_row(layout) {
                counts[at] += 1;
            }
        }
    }
    // Every other cell of a column of limbs is a zero.
    counts[0] += (rows * shape.height * shape.limb_columns() - layout.value_rows * limbs.len()) as u64;
    counts
}

/// Computes every late column, over logical rows `0..rows` and the row that ends the logUp sum.
pub(crate) fn compute(
    layout: &Layout,
    shape: &Shape,
    multiplicities: &[Fr],
    challenges: &ChallengeValues,
    rows: usize,
) -> Late {
    let mut out = Late::default();
    if shape.has_linear() {
        *out.column_mut(A::WeightAcc) = weights(layout, shape, challenges);
        value_columns(layout, shape, challenges, &mut out);
        dot_columns(layout, challenges, &mut out);
    }
    lookup_columns(layout, shape, multiplicities, challenges, rows, &mut out);
    out
}

pub(crate) fn cell(layout: &Layout, column: A, row: usize) -> Fr {
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

/// Evaluations of weight rows.
fn weights(layout: &Layout, shape: &Shape, challenges: &ChallengeValues) -> Vec<Fr> {
    let offset = field(shape.weight_offset());
    let mut evaluations: Vec<Fr> = (0..layout.weight_rows)
        .into_par_iter()
        .map(|row| {
            let horner = |sum: Fr, lane: &Vec<u64>| sum * challenges.outputs + Fr::from(lane[row]) - offset;
            layout.lanes.iter().fold(Fr::ZERO, horner)
        })
        .collect();
    let step = challenges.outputs.pow_vartime([layout.lanes.len() as u64]);
    for row in 1..layout.weight_rows {
        if layout.on(F::WeightContinue, row) {
            evaluations[row] = evaluations[row] + evaluations[row - 1] * step;
        }
    }
    evaluations
}

fn value_columns(layout: &Layout, shape: &Shape, challenges: &ChallengeValues, out: &mut Late) {
    let (r, s) = (challenges.outputs, challenges.positions);
    let cube = s.square() * s;
    let mut values = Vec::with_capacity(layout.value_rows);
    let mut tracks = Vec::with_capacity(layout.value_rows);
    let (mut value, mut track) = (Fr::ZERO, Fr::ZERO);
    for row in 0..layout.value_rows {
        let step = |factors: &[(F, Fr)]| -> Fr {
            factors.iter().filter(|(column, _)| layout.on(*column, row)).map(|(_, factor)| factor).sum()
        };
        let triple = |column| match layout.on(column, row) {
            true => (cell(layout, A::P, row) * s + cell(layout, A::Q, row)) * s,
            false => Fr::ZERO,
        };
        let single = |column| if layout.on(column, row) { cell(layout, A::Y, row) } else { Fr::ZERO };
        value *= step(&[(F::ValueOutput, r), (F::ValuePosition, s), (F::SlackTriple, cube)]);
        value += single(F::Slack) + triple(F::SlackTriple);
        if layout.on(F::Value, row) {
            value += pre_activation(layout, row);
        }
        values.push(value);
        if shape.has_tracks() {
            let factors = [(F::TrackKeep, Fr::ONE), (F::TrackPosition, s), (F::TrackOutput, r), (F::TrackTriple, cube)];
            track *= step(&factors);
            track += single(F::Track) + triple(F::TrackTriple);
            tracks.push(track);
        }
    }
    *out.column_mut(A::ValueAcc) = values;
    *out.column_mut(A::Track) = tracks;
}

fn dot_columns(layout: &Layout, challenges: &ChallengeValues, out: &mut Late) {
    let rows = layout.weight_rows;
    let mut sources = vec![None; rows];
    for (row, source) in &layout.x_sources {
        sources[*row] = Some(*source);
    }
    let weights = out.column(A::WeightAcc);
    let mut x = vec![Fr::ZERO; rows];
    let mut dots: Vec<Fr> = Vec::with_capacity(rows);
    let mut dot = Fr::ZERO;
    for row in 0..rows {
        if let Some(Cell { column, row: source }) = sources[row] {
            x[row] = match column {
                A::Dot => dots.get(source).copied().unwrap_or(Fr::ZERO),
                A::ValueAcc | A::Track => out.column(column)[source],
                _ => cell(layout, column, source),
            };
        }
        let on = |column| layout.on(column, row);
        let mut step = Fr::ZERO;
        for (column, factor) in [(F::DotContinue, Fr::ONE), (F::DotOutput, challenges.outputs), (F::DotScale, x[row])] {
            if on(column) {
                step += factor;
            }
        }
        dot *= step;
        for (column, entering) in [(F::WeightEnd, x[row] * weights[row]), (F::DotLoad, x[row])] {
            if on(column) {
                dot += entering;
            }
        }
        dots.push(dot);
    }
    *out.column_mut(A::X) = x;
    *out.column_mut(A::Dot) = dots;
}

fn lookup_columns(
    layout: &Layout,
    shape: &Shape,
    multiplicities: &[Fr],
    challenges: &ChallengeValues,
    rows: usize,
    out: &mut Late,
) {
    // A denominator of zero has probability 2^-254; the sum then does not close and proving fails.
    let invert = |d: Fr| d.invert().unwrap_or(Fr::ZERO);
    let entry = |row: usize| {
        let [number, out, tag] = table_row(layout, row).map(field);
        let next = field(table_row(layout, row + 1)[1]);
        challenges.lookup + number + challenges.tag * tag + challenges.value * out + challenges.slope * (next - out)
    };
    let mut inverses: Vec<Fr> = (0..layout.table_rows()).into_par_iter().map(entry).collect();
    inverses.iter_mut().batch_invert();
    let term = |lookup: &Lookup| match lookup.table_row(layout) {
        Some(row) => inverses[row],
        None => invert(lookup.denominator(challenges)),
    };
    let zero = inverses[0];
    let (limbs, height) = (shape.limbs(), shape.height);
    let helped = helped(shape);
    let run = rows * height;
    // Terms of each circuit row: those of the sum, and those of the helper.
    let terms: Vec<[Fr; 2]> = (0..run)
        .into_par_iter()
        .map(|at| {
            let mut terms = [Fr::ZERO; 2];
            for (column, helped) in helped.iter().enumerate() {
                let limb = limbs.get(column * height + at % height).filter(|_| at / height < layout.value_rows);
                terms[usize::from(*helped)] += limb.map_or(zero, |limb| term(&Lookup::of(layout, at / height, *limb)));
            }
            terms
        })
        .collect();
    let mut sums = Vec::with_capacity(run + 1);
    let mut sum = Fr::ZERO;
    for (at, [direct, helper]) in terms.iter().enumerate() {
        sums.push(sum);
        sum += direct + helper;
        if let Some(m) = multiplicities.get(at).filter(|m| !m.is_zero_vartime()) {
            sum -= m * inverses.get(at).unwrap_or(&zero);
        }
    }
    sums.push(sum);
    *out.column_mut(A::Sum) = sums;
    if helped.contains(&true) {
        *out.column_mut(A::Helper) = terms.into_iter().map(|[_, helper]| helper).collect();
    }
}
