//! Gates evaluated row by row, for the one row that MockProver cannot report on and for sweeps that
//! it is too slow for. `the_grid_fails_where_mock_prover_does` holds the two against each other.

use std::{collections::BTreeSet, sync::Arc};

use halo2_proofs::{
    dev::{AdviceCellValue, CellValue, MockProver},
    halo2curves::{bn256::Fr, ff::Field},
    plonk::{ConstraintSystem, Expression},
    poly::Rotation,
};

use super::attack::{claimed, edited, failures_near, honest, rows_near, run};
use crate::{
    AdviceColumn as A, Layout, ModelCircuit, VouchConfig,
    late::{self, ChallengeValues},
    layout::{Cell, field},
    shape::Shape,
};

/// Every cell of a circuit.
pub(crate) struct Grid {
    meta: ConstraintSystem<Fr>,
    config: VouchConfig,
    /// By column and row; `None` is a blinding cell.
    advice: Vec<Vec<Option<Fr>>>,
    fixed: Vec<Vec<Fr>>,
    challenges: Vec<Fr>,
}

impl Grid {
    /// The cells that MockProver assigned, of a circuit of this shape.
    pub(crate) fn new(prover: &MockProver<Fr>, shape: &Shape, values: &ChallengeValues) -> Self {
        let mut meta = ConstraintSystem::default();
        let config = VouchConfig::configure(&mut meta, shape.clone());
        let mut challenges = vec![Fr::ZERO; meta.challenge_phase().len()];
        let drawn = config.challenges;
        let named = [
            (drawn.outputs, values.outputs),
            (drawn.positions, values.positions),
            (Some(drawn.lookup), values.lookup),
            (drawn.value, values.value),
            (drawn.slope, values.slope),
            (drawn.tag, values.tag),
        ];
        for (challenge, value) in named {
            if let Some(challenge) = challenge {
                challenges[challenge.index()] = value;
            }
        }
        let advice_cell = |cell: &AdviceCellValue<Fr>| match cell {
            AdviceCellValue::Assigned(value) => Some(value.evaluate()),
            AdviceCellValue::Poison(_) => None,
        };
        let fixed_cell = |cell: &CellValue<Fr>| match cell {
            CellValue::Assigned(value) => *value,
            _ => Fr::ZERO,
        };
        let mut advice = vec![Vec::new(); meta.num_advice_columns()];
        let mut fixed = vec![Vec::new(); meta.num_fixed_columns()];
        for (column, _) in meta.advice_queries() {
            advice[column.index()] = prover.advice_values(*column).iter().map(advice_cell).collect();
        }
        for (column, _) in meta.fixed_queries() {
            fixed[column.index()] = prover.fixed_values(*column).iter().map(fixed_cell).collect();
        }
        Self { meta, config, advice, fixed, challenges }
    }

    fn at(row: usize, rotation: Rotation, rows: usize) -> usize {
        (row + rows).wrapping_add_signed(rotation.0 as isize) % rows
    }

    /// `None` where the value depends on a blinding cell.
    fn value(&self, expression: &Expression<Fr>, row: usize) -> Option<Fr> {
        match expression {
            Expression::Constant(value) => Some(*value),
            Expression::Fixed(query) => {
                let column = &self.fixed[query.column_index()];
                Some(column[Self::at(row, query.rotation(), column.len())])
            }
            Expression::Advice(query) => {
                let column = &self.advice[query.column_index()];
                column[Self::at(row, query.rotation(), column.len())]
            }
            Expression::Challenge(challenge) => Some(self.challenges[challenge.index()]),
            Expression::Negated(inner) => Some(-self.value(inner, row)?),
            Expression::Scaled(inner, factor) => Some(self.value(inner, row)? * factor),
            Expression::Sum(left, right) => Some(self.value(left, row)? + self.value(right, row)?),
            Expression::Product(left, right) => {
                let zero = Some(Fr::ZERO);
                let left = self.value(left, row);
                if left == zero {
                    return zero;
                }
                let right = self.value(right, row);
                // A selector that is off hides a blinding cell.
                if right == zero { zero } else { Some(left? * right?) }
            }
            Expression::Selector(_) | Expression::Instance(_) => panic!("no gate reads these"),
        }
    }

    /// Names of the gates that do not hold on a row.
    pub(crate) fn failures(&self, row: usize) -> BTreeSet<String> {
        let fails = |polynomial: &Expression<Fr>| self.value(polynomial, row) != Some(Fr::ZERO);
        let gates = self.meta.gates().iter().filter(|gate| gate.polynomials().iter().any(fails));
        gates.map(|gate| gate.name().to_owned()).collect()
    }

    fn cell(&self, cell: Cell) -> Option<Fr> {
        let place = self.config.advice(cell.column)?;
        self.advice[place.column.index()][place.row(cell.row)]
    }

    fn set(&mut self, column: A, row: usize, value: Fr) {
        if let Some(place) = self.config.advice(column) {
            self.advice[place.column.index()][place.row(row)] = Some(value);
        }
    }
}

/// One circuit whose cells are changed one at a time.
pub(crate) struct Sweep<'c> {
    circuit: &'c ModelCircuit,
    challenges: ChallengeValues,
    grid: Grid,
}

impl<'c> Sweep<'c> {
    pub(crate) fn new(circuit: &'c ModelCircuit) -> Self {
        let (prover, challenges) = run(circuit, &claimed(circuit));
        Self { circuit, challenges, grid: Grid::new(&prover, &circuit.plan.shape, &challenges) }
    }

    /// What fails around a logical row and where the logUp sum ends, and every copy that fails, once `edit` has
    /// changed the layout and all that follows from it.
    pub(crate) fn failures_near(&mut self, row: usize, edit: impl FnOnce(&mut Layout)) -> BTreeSet<String> {
        let changed = edited(self.circuit, edit);
        self.failures_on(&rows_near(self.circuit, row), &changed.layout)
    }

    /// Everything that fails then.
    pub(crate) fn failures(&mut self, edit: impl FnOnce(&mut Layout)) -> BTreeSet<String> {
        let rows: Vec<usize> = (0..self.circuit.plan.usable_rows).collect();
        let changed = edited(self.circuit, edit);
        self.failures_on(&rows, &changed.layout)
    }

    /// What fails there where one of a row's limbs becomes what no machine integer holds. The lookup
    /// argument follows.
    pub(crate) fn failures_of_limb(&mut self, cell: Cell, value: Fr) -> BTreeSet<String> {
        let layout = Arc::clone(&self.circuit.layout);
        self.fill(&layout);
        let old = self.grid.cell(cell).unwrap();
        for (moved, delta) in moved_lookups(self.circuit, cell, old, value, &self.challenges) {
            let before = self.grid.cell(moved).unwrap();
            self.grid.set(moved.column, moved.row, before + delta);
        }
        self.grid.set(cell.column, cell.row, value);
        rows_near(self.circuit, cell.row).into_iter().flat_map(|row| self.grid.failures(row)).collect()
    }

    fn failures_on(&mut self, rows: &[usize], layout: &Layout) -> BTreeSet<String> {
        self.fill(layout);
        let mut failed: BTreeSet<String> = rows.iter().flat_map(|row| self.grid.failures(*row)).collect();
        if layout.copies.iter().any(|(left, right)| self.grid.cell(*left) != self.grid.cell(*right)) {
            failed.insert("copy".to_owned());
        }
        failed
    }

    /// Writes every advice column that follows from a layout, weights excepted.
    fn fill(&mut self, layout: &Layout) {
        let (shape, rows) = (&self.circuit.plan.shape, self.circuit.run());
        let counts: Vec<Fr> = late::multiplicities(layout, shape, rows).into_iter().map(Fr::from).collect();
        let columns = late::compute(layout, shape, &counts, &self.challenges, rows);
        for (column, cells) in [A::P, A::Q, A::Acc, A::Y].into_iter().zip(&layout.advice) {
            cells.iter().enumerate().for_each(|(row, value)| self.grid.set(column, row, *value));
        }
        for (row, limbs) in layout.limbs.iter().enumerate() {
            for (column, limb) in crate::layout::LIMB_COLUMNS.into_iter().zip(limbs) {
                self.grid.set(column, row, field(i128::from(*limb)));
            }
        }
        counts.iter().enumerate().for_each(|(row, count)| self.grid.set(A::Multiplicity, row, *count));
        for column in A::ALL.into_iter().filter(|column| column.is_late()) {
            columns.column(column).iter().enumerate().for_each(|(row, value)| self.grid.set(column, row, *value));
        }
    }
}

/// Cells of the lookup argument that move with a limb, and by how much.
pub(crate) fn moved_lookups(
    circuit: &ModelCircuit,
    cell: Cell,
    old: Fr,
    new: Fr,
    challenges: &ChallengeValues,
) -> Vec<(Cell, Fr)> {
    let shape = &circuit.plan.shape;
    let at = shape.limbs().iter().position(|limb| *limb == cell.column).unwrap();
    let (column, row) = (at / shape.height, cell.row * shape.height + at % shape.height);
    // The tuple of a segment of a function has more than the limb.
    let others = if cell.column == A::Abs1 { late::point(&circuit.layout, cell.row, challenges) } else { Fr::ZERO };
    let term = |value: Fr| (challenges.lookup + value + others).invert().unwrap();
    let delta = term(new) - term(old);
    let helper = crate::gadget::lookup::helped(shape)[column].then_some(Cell { column: A::Helper, row });
    let sums = (row + 1..=circuit.run() * shape.height).map(|row| Cell { column: A::Sum, row });
    helper.into_iter().chain(sums).map(|cell| (cell, delta)).collect()
}

#[test]
fn the_grid_fails_where_mock_prover_does() {
    let mut failing = BTreeSet::new();
    for case in super::graphs::all() {
        let circuit = honest(&case);
        let mut sweep = Sweep::new(&circuit);
        assert_eq!(sweep.failures(|_| ()), BTreeSet::new(), "{}", case.name);
        // Row zero is for the grid alone.
        for row in (1..circuit.layout.value_rows).step_by(7) {
            for column in 0..8 {
                let edit = |layout: &mut Layout| match column {
                    0..4 => layout.advice[column][row] += Fr::ONE,
                    _ => layout.limbs[row][column - 4] += 1,
                };
                let changed = edited(&circuit, edit);
                let near = sweep.failures_near(row, edit);
                let expected = failures_near(&changed, &claimed(&changed), row);
                // MockProver looks further where nothing fails near by; so must the grid.
                let found = if near.is_empty() { sweep.failures(edit) } else { near };
                assert_eq!(found, expected, "{}: column {column} of row {row}", case.name);
                failing.extend(found);
            }
        }
    }
    assert!(failing.len() >= 8, "many kinds of failure are compared: {failing:?}");
}
