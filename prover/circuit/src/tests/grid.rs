//! Gates evaluated row by row, for the one row that MockProver cannot report on and for sweeps that
//! it is too slow for. `the_grid_fails_where_mock_prover_does` holds the two against each other.

use std::{collections::BTreeSet, sync::Arc};

use halo2_proofs::{
    dev::{AdviceCellValue, CellValue, MockProver},
    halo2curves::{bn256::Fr, ff::Field},
    plonk::{ConstraintSystem, Expression},
    poly::Rotation,
};

use super::attack::{claimed, edited, failures_near, honest, run};
use crate::{
    AdviceColumn as A, Layout, ModelCircuit, VouchConfig,
    layout::{Cell, field},
    second_phase::{self, ChallengeValues, SecondPhase},
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
            (drawn.tuple, values.tuple),
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
        let column = self.config.advice(cell.column)?;
        self.advice[column.index()][cell.row]
    }

    fn set(&mut self, column: A, row: usize, value: Fr) {
        if let Some(column) = self.config.advice(column) {
            self.advice[column.index()][row] = Some(value);
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

    fn last(&self) -> usize {
        self.circuit.plan.usable_rows - 1
    }

    /// What fails around `row` and where the logUp sum ends, and every copy that fails, once `edit` has
    /// changed the layout and all that follows from it.
    pub(crate) fn failures_near(&mut self, row: usize, edit: impl FnOnce(&mut Layout)) -> BTreeSet<String> {
        let rows = [row.saturating_sub(1), row, (row + 1).min(self.last()), self.last()];
        let changed = edited(self.circuit, edit);
        self.failures_on(&rows, &changed.layout)
    }

    /// Everything that fails then.
    pub(crate) fn failures(&mut self, edit: impl FnOnce(&mut Layout)) -> BTreeSet<String> {
        let rows: Vec<usize> = (0..=self.last()).collect();
        let changed = edited(self.circuit, edit);
        self.failures_on(&rows, &changed.layout)
    }

    /// What fails there where one of a row's four bytes becomes what no machine integer holds. The lookup
    /// argument follows a byte that is looked up.
    pub(crate) fn failures_of_byte(&mut self, cell: Cell, value: Fr, looked_up: bool) -> BTreeSet<String> {
        let layout = Arc::clone(&self.circuit.layout);
        self.fill(&layout);
        let helper = if cell.column == A::Rem1 { A::Helper1 } else { A::Helper0 };
        if looked_up {
            let old = self.grid.cell(cell).unwrap();
            let term = |value: Fr| (self.challenges.lookup + value).invert().unwrap();
            let delta = term(value) - term(old);
            let sums = (cell.row + 1..=self.last()).map(|row| Cell { column: A::Sum, row });
            for moved in std::iter::once(Cell { column: helper, row: cell.row }).chain(sums) {
                let before = self.grid.cell(moved).unwrap();
                self.grid.set(moved.column, moved.row, before + delta);
            }
        }
        self.grid.set(cell.column, cell.row, value);
        let rows = [cell.row.saturating_sub(1), cell.row, (cell.row + 1).min(self.last()), self.last()];
        rows.into_iter().flat_map(|row| self.grid.failures(row)).collect()
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
        let shape = &self.circuit.plan.shape;
        let counts: Vec<Fr> = second_phase::multiplicities(layout).into_iter().map(Fr::from).collect();
        let second: SecondPhase =
            second_phase::compute(layout, shape, &counts, &self.challenges, self.circuit.plan.usable_rows);
        for (column, cells) in [A::P, A::Q, A::Acc, A::Y].into_iter().zip(&layout.advice) {
            cells.iter().enumerate().for_each(|(row, value)| self.grid.set(column, row, *value));
        }
        for (row, limbs) in layout.limbs.iter().enumerate() {
            for (column, limb) in crate::layout::LIMB_COLUMNS.into_iter().zip(limbs) {
                self.grid.set(column, row, field(i128::from(*limb)));
            }
        }
        counts.iter().enumerate().for_each(|(row, count)| self.grid.set(A::Multiplicity, row, *count));
        for column in A::ALL.into_iter().filter(|column| column.is_second_phase()) {
            second.column(column).iter().enumerate().for_each(|(row, value)| self.grid.set(column, row, *value));
        }
    }
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
    assert!(failing.len() > 8, "many kinds of failure are compared: {failing:?}");
}
