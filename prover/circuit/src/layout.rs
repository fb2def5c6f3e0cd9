//! Rows as they are laid out: the builder that gadgets write to, and what it produces.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use halo2_proofs::halo2curves::{
    bn256::Fr,
    ff::{Field, PrimeField},
};

use crate::{
    column::{AdviceColumn, FixedColumn},
    error::CircuitError,
    gadget::{arith::Coefs, track::Evaluations},
    map::Purpose,
    shape::Shape,
};
use vouch_graph::int::INTERPOLATION_POINTS;

/// The field element of a signed integer.
pub(crate) fn field(value: i128) -> Fr {
    let magnitude = value.unsigned_abs();
    // The conversion of 128 bits doubles 64 times.
    let magnitude = u64::try_from(magnitude).map_or_else(|_| Fr::from_u128(magnitude), Fr::from);
    if value < 0 { -magnitude } else { magnitude }
}

/// Position of an advice cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cell {
    pub(crate) column: AdviceColumn,
    pub(crate) row: usize,
}

/// A committed integer: a cell and what it holds. Only the builder makes one, so a value that is
/// no cell cannot be an operand.
#[derive(Debug, Clone, Copy)]
pub struct Num {
    cell: Cell,
    value: i128,
}

impl Num {
    /// What the cell holds.
    #[must_use]
    pub fn value(self) -> i128 {
        self.value
    }

    /// Where it is.
    #[must_use]
    pub fn cell(self) -> Cell {
        self.cell
    }
}

/// Where the prover supplies values that no constrained cell determines by a gate alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HintSite {
    /// Gadget that asks.
    pub gadget: &'static str,
    /// Row it fills.
    pub row: usize,
}

/// The one door through which advice enters that is not computed from cells by a gate: quotients,
/// remainders, bytes, maxima. A test forges values here and the layout goes on consistently.
pub trait Hints {
    /// Replaces the honest values of a site.
    fn adjust(&mut self, site: HintSite, values: &mut [i128]);
    /// Whether values may leave the ranges that an honest witness keeps.
    fn is_adversary(&self) -> bool;
}

/// Leaves every hint as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Honest;

impl Hints for Honest {
    fn adjust(&mut self, _: HintSite, _: &mut [i128]) {}

    fn is_adversary(&self) -> bool {
        false
    }
}

/// Lays out rows without a witness, for keys: values are zeros that nobody checks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Blank;

impl Hints for Blank {
    fn adjust(&mut self, _: HintSite, _: &mut [i128]) {}

    fn is_adversary(&self) -> bool {
        true
    }
}

/// What a value row looks up; wide limbs have no high bytes.
pub(crate) const LIMB_COLUMNS: [AdviceColumn; 4] =
    [AdviceColumn::Abs0, AdviceColumn::Abs1, AdviceColumn::Rem0, AdviceColumn::Rem1];

/// Where an operation's rows begin in the two units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    /// Node or tensor.
    pub(crate) name: String,
    pub(crate) purpose: Purpose,
    pub(crate) value_row: usize,
    pub(crate) weight_row: usize,
}

/// The logical rows of a circuit: first-phase cells, fixed cells and copy constraints.
#[derive(Clone, Default)]
pub struct Layout {
    /// `p`, `q`, `acc`, `y` by column and row.
    pub(crate) advice: [Vec<Fr>; 4],
    /// Limbs of each value row, in the order of [`LIMB_COLUMNS`].
    pub(crate) limbs: Vec<[i64; 4]>,
    /// Weights with their offset, by lane and weight row.
    pub(crate) lanes: Vec<Vec<u64>>,
    /// Fixed cells by column and row; tables and [`FixedColumn::Base`] depend on `k` and are not here.
    pub(crate) fixed: Vec<Vec<i128>>,
    /// Pairs of equal cells.
    pub(crate) copies: Vec<(Cell, Cell)>,
    /// Cell bound to each instance after the context.
    pub(crate) instances: Vec<Cell>,
    /// Source of each cell of the column `X` in use, by row.
    pub(crate) x_sources: Vec<(usize, Cell)>,
    /// Which operation rows belong to, in order.
    pub(crate) sections: Vec<Section>,
    /// Function tables by tag, from 1.
    pub(crate) functions: Vec<Vec<i64>>,
    /// Bits of a limb.
    pub(crate) limb_bits: u32,
    /// Value rows used.
    pub(crate) value_rows: usize,
    /// Weight rows used.
    pub(crate) weight_rows: usize,
    /// How many rows of weight matrices there are of each width; each takes as many weight rows as its lanes need.
    pub(crate) widths: BTreeMap<usize, usize>,
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Cells hold the private witness: only sizes are shown.
        f.debug_struct("Layout")
            .field("value_rows", &self.value_rows)
            .field("weight_rows", &self.weight_rows)
            .field("copies", &self.copies.len())
            .finish_non_exhaustive()
    }
}

impl Layout {
    /// A fixed cell, zero where nothing was set.
    pub(crate) fn fixed(&self, column: FixedColumn, row: usize) -> i128 {
        self.fixed[column as usize].get(row).copied().unwrap_or(0)
    }

    /// Whether a selector is set.
    pub(crate) fn on(&self, column: FixedColumn, row: usize) -> bool {
        self.fixed(column, row) != 0
    }

    /// Numbers of a limb.
    pub(crate) fn limb_numbers(&self) -> usize {
        1 << self.limb_bits
    }

    /// Row of the table with a function's point, by tag.
    pub(crate) fn point_row(&self, tag: usize, point: usize) -> usize {
        // A row between the tables, whose point would be the next of the last number otherwise.
        self.limb_numbers() + 1 + (tag - 1) * INTERPOLATION_POINTS + point
    }

    /// Rows of the circuit that the lookup table takes.
    pub(crate) fn table_rows(&self) -> usize {
        match self.functions.len() {
            0 => self.limb_numbers(),
            functions => self.point_row(functions + 1, 0),
        }
    }

    /// Logical rows, without the one that ends the logUp sum, and without the table.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.value_rows.max(self.weight_rows)
    }
}

/// What gadgets write rows to.
pub(crate) struct Builder<'h> {
    layout: Layout,
    hints: &'h mut dyn Hints,
    /// Node being laid out, for messages.
    node: String,
    /// Accumulator of the last value row: in the field, and as an integer where it is one.
    acc: (Fr, Option<i128>),
    weight_offset: i128,
    constants: HashMap<i128, Num>,
    tags: HashMap<Vec<i64>, usize>,
    evaluations: Evaluations,
    powers: HashMap<usize, Cell>,
    position_sums: HashMap<[usize; 4], Cell>,
}

impl<'h> Builder<'h> {
    pub(crate) fn new(shape: &Shape, hints: &'h mut dyn Hints) -> Self {
        let layout = Layout {
            fixed: vec![Vec::new(); FixedColumn::ALL.len()],
            lanes: vec![Vec::new(); shape.weight_lanes],
            limb_bits: shape.limb_bits,
            ..Layout::default()
        };
        Self {
            layout,
            hints,
            node: String::new(),
            acc: (Fr::ZERO, Some(0)),
            weight_offset: shape.weight_offset(),
            constants: HashMap::new(),
            tags: HashMap::new(),
            evaluations: Evaluations::default(),
            powers: HashMap::new(),
            position_sums: HashMap::new(),
        }
    }

    pub(crate) fn finish(self) -> Layout {
        self.layout
    }

    /// Begins an operation.
    pub(crate) fn enter(&mut self, node: &str, purpose: Purpose) {
        node.clone_into(&mut self.node);
        let (value_row, weight_row) = (self.layout.value_rows, self.layout.weight_rows);
        self.layout.sections.push(Section { name: node.to_owned(), purpose, value_row, weight_row });
    }

    pub(crate) fn hints(&mut self) -> &mut dyn Hints {
        self.hints
    }

    pub(crate) fn overflow(&self) -> CircuitError {
        CircuitError::Overflow { node: self.node.clone() }
    }

    pub(crate) fn malformed(&self, what: &str) -> CircuitError {
        CircuitError::Malformed { node: self.node.clone(), what: what.to_owned() }
    }

    /// Refuses a value that an honest witness never has.
    pub(crate) fn check_range(&self, value: i128, lo: i128, hi: i128) -> Result<(), CircuitError> {
        if self.hints.is_adversary() || (lo..=hi).contains(&value) {
            return Ok(());
        }
        Err(CircuitError::OutOfRange { node: self.node.clone(), value, lo, hi })
    }

    /// The value row that the next accumulator takes.
    pub(crate) fn next_row(&self) -> usize {
        self.layout.value_rows
    }

    /// Takes the next value row.
    pub(crate) fn take_row(&mut self) -> usize {
        let row = self.layout.value_rows;
        self.layout.value_rows += 1;
        self.layout.limbs.resize(self.layout.value_rows, [0; 4]);
        for column in &mut self.layout.advice {
            column.resize(row + 1, Fr::ZERO);
        }
        self.acc = (Fr::ZERO, Some(0));
        row
    }

    pub(crate) fn set_fixed(&mut self, column: FixedColumn, row: usize, value: i128) {
        let cells = &mut self.layout.fixed[column as usize];
        if cells.len() <= row {
            cells.resize(row + 1, 0);
        }
        cells[row] = value;
    }

    pub(crate) fn set_limbs(&mut self, row: usize, limbs: [i128; 4]) {
        if self.layout.limbs.len() <= row {
            self.layout.limbs.resize(row + 1, [0; 4]);
        }
        self.layout.limbs[row] = limbs.map(|limb| limb as i64);
    }

    fn set_cell(&mut self, cell: Cell, value: Fr) {
        let cells = &mut self.layout.advice[cell.column as usize];
        if cells.len() <= cell.row {
            cells.resize(cell.row + 1, Fr::ZERO);
        }
        cells[cell.row] = value;
    }

    /// Fills a cell of `p`, `q`, `acc` or `y`.
    pub(crate) fn assign(&mut self, column: AdviceColumn, row: usize, value: i128) -> Num {
        let cell = Cell { column, row };
        self.set_cell(cell, field(value));
        Num { cell, value }
    }

    /// Constrains two cells to be equal.
    pub(crate) fn copy(&mut self, left: Num, right: Num) {
        self.copy_cells(left.cell, right.cell);
    }

    pub(crate) fn copy_cells(&mut self, left: Cell, right: Cell) {
        self.layout.copies.push((left, right));
    }

    /// Copies a value into a cell.
    pub(crate) fn copy_into(&mut self, column: AdviceColumn, row: usize, value: Num) -> Num {
        let copy = self.assign(column, row, value.value);
        self.copy(value, copy);
        copy
    }

    /// A row of copied operands and their accumulator.
    pub(crate) fn arith_row(&mut self, p: Option<Num>, q: Option<Num>, coefs: Coefs) -> Result<Num, CircuitError> {
        let row = self.next_row();
        let p = p.map(|value| self.copy_into(AdviceColumn::P, row, value));
        let q = q.map(|value| self.copy_into(AdviceColumn::Q, row, value));
        match p {
            Some(p) => self.arith_on(row, (p, q), coefs),
            None => {
                let zero = Num { cell: Cell { column: AdviceColumn::P, row }, value: 0 };
                self.arith_on(row, (zero, q), coefs)
            }
        }
    }

    /// The accumulator of a row whose operands are in place.
    pub(crate) fn arith_on(
        &mut self,
        row: usize,
        (p, q): (Num, Option<Num>),
        coefs: Coefs,
    ) -> Result<Num, CircuitError> {
        let q = q.map_or(0, Num::value);
        let in_field = field(coefs.product) * field(p.value) * field(q)
            + field(coefs.p) * field(p.value)
            + field(coefs.q) * field(q)
            + field(coefs.constant)
            + field(coefs.prev) * self.acc.0;
        let before = if coefs.prev == 0 { Some(0) } else { self.acc.1 };
        let integer = before.and_then(|before| {
            // The operands first: each is below 2^62, and the interval analysis bounds the whole.
            let product = p.value.checked_mul(q)?.checked_mul(coefs.product)?;
            let linear = coefs.p.checked_mul(p.value)?.checked_add(coefs.q.checked_mul(q)?)?;
            let before = coefs.prev.checked_mul(before)?;
            product.checked_add(linear)?.checked_add(coefs.constant)?.checked_add(before)
        });
        let taken = self.take_row();
        debug_assert_eq!(taken, row);
        self.set_coefs(row, coefs);
        let cell = Cell { column: AdviceColumn::Acc, row };
        self.set_cell(cell, in_field);
        self.acc = (in_field, integer);
        Ok(Num { cell, value: integer.unwrap_or(0) })
    }

    fn set_coefs(&mut self, row: usize, coefs: Coefs) {
        for (column, coefficient) in [
            (FixedColumn::CoefProduct, coefs.product),
            (FixedColumn::CoefP, coefs.p),
            (FixedColumn::CoefQ, coefs.q),
            (FixedColumn::CoefConst, coefs.constant),
            (FixedColumn::CoefPrev, coefs.prev),
        ] {
            if coefficient != 0 {
                self.set_fixed(column, row, coefficient);
            }
        }
    }

    /// The accumulator of a row that is taken: of its operand `p` and of the row above.
    pub(crate) fn accumulate(&mut self, row: usize, p: Option<Num>, coefs: Coefs) {
        let above = row.checked_sub(1).map_or(Fr::ZERO, |above| self.layout.advice[AdviceColumn::Acc as usize][above]);
        let sum = field(coefs.p) * field(p.map_or(0, Num::value)) + field(coefs.constant) + field(coefs.prev) * above;
        self.set_coefs(row, coefs);
        self.set_cell(Cell { column: AdviceColumn::Acc, row }, sum);
    }

    /// Sets the accumulator of the last row, where it is no sum of terms.
    pub(crate) fn set_acc(&mut self, row: usize, value: i128) {
        self.assign(AdviceColumn::Acc, row, value);
        self.acc = (field(value), Some(value));
    }

    /// Row and integer value of the last accumulator.
    pub(crate) fn last_acc(&self) -> Result<(usize, i128), CircuitError> {
        let value = self.acc.1.ok_or_else(|| self.overflow())?;
        Ok((self.layout.value_rows - 1, value))
    }

    /// The last accumulator as an operand.
    pub(crate) fn last_num(&self) -> Result<Num, CircuitError> {
        let (row, value) = self.last_acc()?;
        Ok(Num { cell: Cell { column: AdviceColumn::Acc, row }, value })
    }

    /// Makes a cell the next instance.
    pub(crate) fn expose_cell(&mut self, cell: Cell) {
        self.layout.instances.push(cell);
    }

    /// A constant of the model's structure, one row for each distinct value.
    pub(crate) fn constant(&mut self, value: i128) -> Result<Num, CircuitError> {
        if let Some(num) = self.constants.get(&value) {
            return Ok(*num);
        }
        let num = self.arith_row(None, None, Coefs { constant: value, ..Coefs::default() })?;
        self.constants.insert(value, num);
        Ok(num)
    }

    /// The tag of a function table; equal tables share one.
    pub(crate) fn function_tag(&mut self, table: &[i64]) -> usize {
        if let Some(tag) = self.tags.get(table) {
            return *tag;
        }
        self.layout.functions.push(table.to_vec());
        let tag = self.layout.functions.len();
        self.tags.insert(table.to_vec(), tag);
        tag
    }

    /// A point of a function's table, zero outside it.
    pub(crate) fn function_point(&self, tag: usize, segment: i128) -> i128 {
        let table = tag.checked_sub(1).and_then(|i| self.layout.functions.get(i));
        let point = usize::try_from(segment).ok().and_then(|segment| table?.get(segment).copied());
        i128::from(point.unwrap_or(0))
    }

    /// A row of weights, padded with zero weights in front; its number.
    pub(crate) fn weight_row(&mut self, weights: &[i128]) -> Result<usize, CircuitError> {
        let row = self.layout.weight_rows;
        self.layout.weight_rows += 1;
        // A row without weights has zeros alone.
        let padding = self.layout.lanes.len() - weights.len();
        for lane in 0..self.layout.lanes.len() {
            let weight = lane.checked_sub(padding).map_or(0, |i| weights[i]);
            let stored = u64::try_from(weight + self.weight_offset).ok().filter(|w| *w < 1 << 63);
            let Some(stored) = stored else {
                return Err(self.malformed(&format!("weight {weight} does not fit its lane")));
            };
            self.layout.lanes[lane].push(stored);
        }
        Ok(row)
    }

    /// Counts a row of a weight matrix.
    pub(crate) fn count_width(&mut self, width: usize) {
        *self.layout.widths.entry(width).or_default() += 1;
    }

    /// Number of weight rows so far.
    pub(crate) fn weight_rows(&self) -> usize {
        self.layout.weight_rows
    }

    /// Bits of a limb.
    pub(crate) fn limb_bits(&self) -> u32 {
        self.layout.limb_bits
    }

    pub(crate) fn evaluations(&mut self) -> &mut Evaluations {
        &mut self.evaluations
    }

    /// Cells with powers of the challenge of positions.
    pub(crate) fn powers(&mut self) -> &mut HashMap<usize, Cell> {
        &mut self.powers
    }

    /// Cells with sums of such powers, see [`Builder::position_sum`].
    pub(crate) fn position_sums(&mut self) -> &mut HashMap<[usize; 4], Cell> {
        &mut self.position_sums
    }

    /// Number of weight lanes.
    pub(crate) fn lanes(&self) -> usize {
        self.layout.lanes.len()
    }

    /// Copies a cell into the column `X`.
    pub(crate) fn set_x(&mut self, row: usize, source: Cell) {
        self.layout.x_sources.push((row, source));
        self.copy_cells(source, Cell { column: AdviceColumn::X, row });
    }
}
