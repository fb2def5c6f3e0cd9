//! What lies where in a circuit, for pictures.

use serde::Serialize;
use vouch_graph::int::IntOp;

use crate::{
    circuit::ModelCircuit,
    column::{AdviceColumn as A, FixedColumn as F},
    layout::Layout,
};

/// What rows are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Fresh values and their packing.
    Input,
    /// Linear layers.
    Linear,
    /// Products of computed matrices.
    MatrixProduct,
    /// Sums and products, element by element or over groups.
    Arithmetic,
    /// Maxima.
    Maximum,
    /// Tabulated functions, quotients and roots.
    Function,
    /// Conditions, and choices by them.
    Comparison,
    /// Packing of outputs, and constants of views.
    Output,
    /// The lookup argument.
    Lookup,
}

impl Purpose {
    pub(crate) fn of(op: &IntOp) -> Self {
        match op {
            IntOp::Linear { .. } => Self::Linear,
            IntOp::MatMul { .. } => Self::MatrixProduct,
            IntOp::Add { .. } | IntOp::Mul { .. } | IntOp::Affine { .. } | IntOp::Sum { .. } => Self::Arithmetic,
            IntOp::Max { .. } => Self::Maximum,
            IntOp::Function { .. } | IntOp::Div { .. } | IntOp::Sqrt { .. } => Self::Function,
            IntOp::Indicator { .. } | IntOp::Select => Self::Comparison,
            IntOp::View { .. } => Self::Output,
        }
    }
}

/// A column of the circuit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MapColumn {
    /// What its cells hold, by their place in a logical row.
    pub holds: Vec<String>,
    /// `weights`, `values`, `evaluations` or `fixed`.
    pub group: &'static str,
}

/// A stretch of a column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mark {
    /// Position in [`CircuitMap::columns`].
    pub column: usize,
    /// First band of rows.
    pub from: usize,
    /// Number of bands.
    pub bands: usize,
    /// What most of the cells in use are for.
    pub purpose: Purpose,
    /// Share of the cells that are in use, in tenths.
    pub tenths: u8,
}

/// A circuit's columns by bands of rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CircuitMap {
    /// Rows, as a power of two.
    pub k: u32,
    /// Bands that the rows are cut into.
    pub bands: usize,
    /// Columns: weights, values, evaluations, fixed ones.
    pub columns: Vec<MapColumn>,
    /// Stretches in use, by column.
    pub marks: Vec<Mark>,
}

/// Cells of one circuit column: how many of a band's are in use, by purpose.
struct Tally {
    counts: Vec<[usize; PURPOSES.len()]>,
    rows_per_band: usize,
}

impl Tally {
    fn add(&mut self, row: usize, purpose: Purpose) {
        if let Some(counts) = self.counts.get_mut(row / self.rows_per_band) {
            counts[purpose as usize] += 1;
        }
    }

    fn marks(&self, column: usize) -> Vec<Mark> {
        let mut marks: Vec<Mark> = Vec::new();
        for (band, counts) in self.counts.iter().enumerate() {
            let used: usize = counts.iter().sum();
            let Some(purpose) = PURPOSES.into_iter().max_by_key(|p| counts[*p as usize]).filter(|_| used > 0) else {
                continue;
            };
            let tenths = (10 * used).div_ceil(self.rows_per_band) as u8;
            match marks.last_mut() {
                Some(mark) if (mark.from + mark.bands, mark.purpose, mark.tenths) == (band, purpose, tenths) => {
                    mark.bands += 1;
                }
                _ => marks.push(Mark { column, from: band, bands: 1, purpose, tenths }),
            }
        }
        marks
    }
}

const PURPOSES: [Purpose; 9] = [
    Purpose::Input,
    Purpose::Linear,
    Purpose::MatrixProduct,
    Purpose::Arithmetic,
    Purpose::Maximum,
    Purpose::Function,
    Purpose::Comparison,
    Purpose::Output,
    Purpose::Lookup,
];

impl ModelCircuit {
    /// What lies where, in at most so many bands of rows.
    #[must_use]
    pub fn map(&self, bands: usize) -> CircuitMap {
        let (shape, layout, k) = (&self.plan.shape, &*self.layout, self.plan.k);
        let rows = 1usize << k;
        let bands = bands.clamp(1, rows);
        let rows_per_band = rows.div_ceil(bands);
        let mut map = CircuitMap { k, bands: rows.div_ceil(rows_per_band), columns: Vec::new(), marks: Vec::new() };
        let purposes = Purposes::of(layout);
        let height = shape.height;
        let mut draw = |group: &'static str, holds: Vec<String>, fill: &mut dyn FnMut(&mut Tally)| {
            let mut tally = Tally { counts: vec![[0; PURPOSES.len()]; map.bands], rows_per_band };
            fill(&mut tally);
            map.marks.extend(tally.marks(map.columns.len()));
            map.columns.push(MapColumn { holds, group });
        };
        for first in (0..shape.weight_lanes).step_by(height) {
            let lanes = first..(first + height).min(shape.weight_lanes);
            let holds = lanes.clone().map(|lane| format!("weight {lane}")).collect();
            draw("weights", holds, &mut |tally| {
                for row in (0..layout.weight_rows).filter(|row| has_weights(layout, *row)) {
                    lanes.clone().for_each(|lane| tally.add(row * height + lane % height, purposes.weights[row]));
                }
            });
        }
        for columns in shape.groups() {
            for shared in columns.chunks(height) {
                let late = shared.iter().any(|kind| kind.is_late());
                let holds = shared.iter().map(|kind| format!("{kind:?}")).collect();
                draw(if late { "evaluations" } else { "values" }, holds, &mut |tally| {
                    for (offset, kind) in shared.iter().enumerate() {
                        fill_advice(tally, layout, *kind, (offset, height, self.run() * height), &purposes);
                    }
                });
            }
        }
        let full = shape.fixed().filter(|kind| kind.is_full_height()).map(|kind| vec![kind]);
        let folded = shape.folded_fixed();
        for shared in full.chain(folded.chunks(height).map(<[F]>::to_vec)) {
            let holds = shared.iter().map(|kind| format!("{kind:?}")).collect();
            draw("fixed", holds, &mut |tally| {
                for (offset, kind) in shared.iter().enumerate() {
                    fill_fixed(tally, layout, *kind, (offset, height), &purposes);
                }
            });
        }
        map
    }
}

/// What each logical row of the two units is for.
struct Purposes {
    values: Vec<Purpose>,
    weights: Vec<Purpose>,
}

impl Purposes {
    fn of(layout: &Layout) -> Self {
        let mut purposes = Self { values: Vec::new(), weights: Vec::new() };
        // Each section ends where the next begins, so a row is written once.
        let ends = layout.sections.iter().skip(1).map(|next| (next.value_row, next.weight_row));
        let last = (layout.value_rows, layout.weight_rows);
        for (section, (values, weights)) in layout.sections.iter().zip(ends.chain([last])) {
            purposes.values.resize(values, section.purpose);
            purposes.weights.resize(weights, section.purpose);
        }
        purposes
    }
}

/// Whether the row of the weight unit holds weights, and is not one that joins evaluations alone.
fn has_weights(layout: &Layout, row: usize) -> bool {
    layout.on(F::WeightEnd, row) || layout.on(F::WeightContinue, row + 1)
}

fn fill_advice(
    tally: &mut Tally,
    layout: &Layout,
    kind: A,
    (offset, height, run): (usize, usize, usize),
    purposes: &Purposes,
) {
    let on = |row: usize, columns: &[F]| columns.iter().any(|column| layout.on(*column, row));
    match kind {
        A::Multiplicity => (0..layout.table_rows()).for_each(|row| tally.add(row, Purpose::Lookup)),
        A::Helper | A::Sum => (0..run).for_each(|row| tally.add(row, Purpose::Lookup)),
        A::WeightAcc | A::X | A::Dot => {
            for row in 0..layout.weight_rows {
                let used = match kind {
                    A::WeightAcc => has_weights(layout, row),
                    A::X => on(row, &[F::WeightEnd, F::DotLoad, F::DotScale]),
                    _ => true,
                };
                if used {
                    tally.add(row * height + offset, purposes.weights[row]);
                }
            }
        }
        _ => {
            let readers: &[F] = match kind {
                A::P => &[F::CoefP, F::CoefProduct, F::Function, F::SlackTriple, F::TrackTriple],
                A::Q => &[F::CoefQ, F::CoefProduct, F::Function, F::Max, F::SlackTriple, F::TrackTriple],
                A::Acc => &[F::CoefP, F::CoefQ, F::CoefProduct, F::CoefConst, F::CoefPrev, F::Function],
                A::Y => &[F::Input, F::Signed, F::Relu, F::Max, F::Function, F::Slack, F::Track],
                A::ValueAcc => &[F::Value, F::Slack, F::ValuePosition],
                A::Track => &[F::Track, F::TrackKeep, F::TrackPosition, F::TrackOutput],
                A::Abs0 | A::Abs1 => &[F::Input, F::Signed, F::Relu, F::Max, F::Function],
                _ => &[F::Input, F::Signed, F::Relu, F::Max],
            };
            for row in (0..layout.value_rows).filter(|row| on(*row, readers)) {
                tally.add(row * height + offset, purposes.values[row]);
            }
        }
    }
}

fn fill_fixed(tally: &mut Tally, layout: &Layout, kind: F, (offset, height): (usize, usize), purposes: &Purposes) {
    if matches!(kind, F::Table | F::TableOut | F::TableTag) {
        (0..layout.table_rows()).for_each(|row| tally.add(row, Purpose::Lookup));
        return;
    }
    if kind == F::Base {
        (0..layout.rows()).for_each(|row| tally.add(row * height, Purpose::Lookup));
        return;
    }
    let of_weights = kind >= F::WeightContinue;
    let purposes = if of_weights { &purposes.weights } else { &purposes.values };
    for (row, value) in layout.fixed[kind as usize].iter().enumerate() {
        if *value != 0 {
            tally.add(row * height + offset, purposes.get(row).copied().unwrap_or(Purpose::Output));
        }
    }
}
