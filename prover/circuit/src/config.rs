use halo2_proofs::{
    halo2curves::bn256::Fr,
    plonk::{
        Advice, Challenge, Column, ConstraintSystem, Expression, FirstPhase, Fixed, Instance, SecondPhase, VirtualCells,
    },
    poly::Rotation,
};

use crate::{
    column::{AdviceColumn, FixedColumn},
    gadget::{arith, function, input, linear, lookup, rescale, track},
    shape::{Shape, WeightPlacement},
};

/// Challenges, all drawn after the first phase, that is after every value and weight is committed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Challenges {
    /// Separates the outputs of a linear layer.
    pub(crate) outputs: Option<Challenge>,
    /// Separates the positions of a linear layer.
    pub(crate) positions: Option<Challenge>,
    /// Separates looked-up values.
    pub(crate) lookup: Challenge,
    /// Compresses a function's value.
    pub(crate) value: Option<Challenge>,
    /// Compresses a function's slope.
    pub(crate) slope: Option<Challenge>,
    /// Compresses the tag of a function.
    pub(crate) tag: Option<Challenge>,
}

/// A column of weights.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WeightLane {
    /// Hidden weights.
    Private(Column<Advice>),
    /// Weights in the verifying key.
    Public(Column<Fixed>),
}

/// Where a column's cells are: a circuit column, and how far below the first row of a logical row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<C> {
    pub(crate) column: C,
    pub(crate) offset: usize,
    /// Rows from one cell to the next.
    pub(crate) step: usize,
}

impl<C> Place<C> {
    /// Circuit row of the cell of a logical row; of a row for columns of full height.
    pub(crate) fn row(&self, row: usize) -> usize {
        row * self.step + self.offset
    }
}

/// Columns and challenges of a circuit of a given [`Shape`].
#[derive(Debug, Clone)]
pub struct VouchConfig {
    pub(crate) shape: Shape,
    advice: Vec<Option<Place<Column<Advice>>>>,
    fixed: Vec<Option<Place<Column<Fixed>>>>,
    pub(crate) lanes: Vec<WeightLane>,
    pub(crate) instance: Column<Instance>,
    pub(crate) challenges: Challenges,
}

impl VouchConfig {
    /// Allocates the columns of `shape` and creates its gates.
    ///
    /// Every challenge is drawn after the first phase and every operand of an identity under a
    /// challenge is a first-phase column, so no operand can depend on the challenge that tests it.
    pub fn configure(meta: &mut ConstraintSystem<Fr>, shape: Shape) -> Self {
        let lanes: Vec<_> = (0..shape.lane_columns())
            .map(|_| match shape.weights {
                WeightPlacement::Private => WeightLane::Private(meta.advice_column_in(FirstPhase)),
                WeightPlacement::Public => WeightLane::Public(meta.fixed_column()),
            })
            .collect();
        let mut advice = vec![None; AdviceColumn::ALL.len()];
        for group in shape.groups() {
            for shared in group.chunks(shape.height) {
                let column = if shared.iter().any(|kind| kind.is_late()) {
                    meta.advice_column_in(SecondPhase)
                } else {
                    meta.advice_column_in(FirstPhase)
                };
                if shared.iter().any(|kind| kind.is_permuted()) {
                    meta.enable_equality(column);
                }
                for (offset, kind) in shared.iter().enumerate() {
                    let step = if kind.is_full_height() { 1 } else { shape.height };
                    advice[*kind as usize] = Some(Place { column, offset, step });
                }
            }
        }
        let mut fixed = vec![None; FixedColumn::ALL.len()];
        for kind in shape.fixed().filter(|kind| kind.is_full_height()) {
            fixed[kind as usize] = Some(Place { column: meta.fixed_column(), offset: 0, step: 1 });
        }
        for shared in shape.folded_fixed().chunks(shape.height) {
            let column = meta.fixed_column();
            for (offset, kind) in shared.iter().enumerate() {
                fixed[*kind as usize] = Some(Place { column, offset, step: shape.height });
            }
        }
        let instance = meta.instance_column();
        meta.enable_equality(instance);

        let mut challenge = |wanted: bool| wanted.then(|| meta.challenge_usable_after(FirstPhase));
        let outputs = challenge(shape.has_linear());
        let positions = challenge(shape.has_positions());
        let functions = shape.has_functions();
        let (value, slope, tag) = (challenge(functions), challenge(functions), challenge(functions));
        let lookup = meta.challenge_usable_after(FirstPhase);
        let challenges = Challenges { outputs, positions, lookup, value, slope, tag };

        let config = Self { shape, advice, fixed, lanes, instance, challenges };
        arith::configure(meta, &config);
        rescale::configure(meta, &config);
        if config.shape.has(FixedColumn::Input) {
            input::configure(meta, &config);
        }
        if config.shape.has_linear() {
            linear::configure(meta, &config);
        }
        if config.shape.has_tracks() {
            track::configure(meta, &config);
        }
        if config.shape.has_functions() {
            function::configure(meta, &config);
        }
        lookup::configure(meta, &config);
        config
    }

    /// Where the column's cells are, where the shape has it.
    pub(crate) fn advice(&self, column: AdviceColumn) -> Option<Place<Column<Advice>>> {
        self.advice[column as usize]
    }

    /// Where the column's cells are, where the shape has it.
    pub(crate) fn fixed(&self, column: FixedColumn) -> Option<Place<Column<Fixed>>> {
        self.fixed[column as usize]
    }

    /// Whether the advice column holds weights.
    pub(crate) fn is_lane(&self, column: usize) -> bool {
        self.lanes.iter().any(|lane| matches!(lane, WeightLane::Private(lane) if lane.index() == column))
    }

    /// What an advice column's query reads.
    pub(crate) fn kind(&self, column: usize, rotation: Rotation) -> Option<AdviceColumn> {
        AdviceColumn::ALL.into_iter().find(|kind| {
            self.advice(*kind).is_some_and(|place| {
                let step = place.step as i32;
                place.column.index() == column && (rotation.0 - place.offset as i32).rem_euclid(step) == 0
            })
        })
    }

    /// Creates a gate of one constraint, in force where a logical row begins.
    pub(crate) fn gate(
        &self,
        meta: &mut ConstraintSystem<Fr>,
        name: &'static str,
        constraint: impl FnOnce(&mut Queries<'_, '_>) -> Expression<Fr>,
    ) {
        self.row_gate(meta, name, |q| {
            let base = q.fixed(FixedColumn::Base);
            base * constraint(q)
        });
    }

    /// Creates a gate of one constraint on every row of the circuit.
    pub(crate) fn row_gate(
        &self,
        meta: &mut ConstraintSystem<Fr>,
        name: &'static str,
        constraint: impl FnOnce(&mut Queries<'_, '_>) -> Expression<Fr>,
    ) {
        #[cfg(test)]
        if self.shape.omitted == Some(name) {
            return;
        }
        meta.create_gate(name, |cells| vec![constraint(&mut Queries { cells, config: self })]);
    }
}

/// Queries of a gate by column name; a column that the shape lacks is the constant zero.
pub(crate) struct Queries<'c, 'v> {
    cells: &'v mut VirtualCells<'c, Fr>,
    config: &'v VouchConfig,
}

impl Queries<'_, '_> {
    pub(crate) fn advice(&mut self, column: AdviceColumn) -> Expression<Fr> {
        self.advice_at(column, 0)
    }

    /// The cell one logical row above.
    pub(crate) fn above(&mut self, column: AdviceColumn) -> Expression<Fr> {
        self.advice_at(column, -1)
    }

    /// The cell one row below, of a column of full height.
    pub(crate) fn below(&mut self, column: AdviceColumn) -> Expression<Fr> {
        self.advice_at(column, 1)
    }

    fn advice_at(&mut self, column: AdviceColumn, rows: i32) -> Expression<Fr> {
        match self.config.advice(column) {
            Some(Place { column, offset, step }) => {
                self.cells.query_advice(column, Rotation(offset as i32 + rows * step as i32))
            }
            None => constant(0),
        }
    }

    /// A cell of a circuit column, so many rows below.
    pub(crate) fn at(&mut self, column: Column<Advice>, rows: i32) -> Expression<Fr> {
        self.cells.query_advice(column, Rotation(rows))
    }

    pub(crate) fn fixed(&mut self, column: FixedColumn) -> Expression<Fr> {
        match self.config.fixed(column) {
            Some(Place { column, offset, .. }) => self.cells.query_fixed(column, Rotation(offset as i32)),
            None => constant(0),
        }
    }

    /// The fixed cell one row below, of a column of full height.
    pub(crate) fn fixed_below(&mut self, column: FixedColumn) -> Expression<Fr> {
        match self.config.fixed(column) {
            Some(Place { column, .. }) => self.cells.query_fixed(column, Rotation::next()),
            None => constant(0),
        }
    }

    /// The weights of a logical row.
    pub(crate) fn lanes(&mut self) -> Vec<Expression<Fr>> {
        let (lanes, height) = (self.config.lanes.clone(), self.config.shape.height);
        (0..self.config.shape.weight_lanes)
            .map(|lane| {
                let at = Rotation((lane % height) as i32);
                match lanes[lane / height] {
                    WeightLane::Private(column) => self.cells.query_advice(column, at),
                    WeightLane::Public(column) => self.cells.query_fixed(column, at),
                }
            })
            .collect()
    }

    pub(crate) fn challenge(&mut self, challenge: Option<Challenge>) -> Expression<Fr> {
        match challenge {
            Some(challenge) => self.cells.query_challenge(challenge),
            None => constant(0),
        }
    }

    /// The sum of the terms whose selectors the shape has; a term without a factor is its selector.
    pub(crate) fn selected<const N: usize>(
        &mut self,
        terms: [(FixedColumn, Option<Expression<Fr>>); N],
    ) -> Option<Expression<Fr>> {
        let mut sum: Option<Expression<Fr>> = None;
        for (column, factor) in terms {
            if !self.has(column) {
                continue;
            }
            let selector = self.fixed(column);
            let term = match factor {
                Some(factor) => selector * factor,
                None => selector,
            };
            sum = Some(match sum {
                Some(sum) => sum + term,
                None => term,
            });
        }
        sum
    }

    pub(crate) fn config(&self) -> &VouchConfig {
        self.config
    }

    pub(crate) fn has(&self, column: FixedColumn) -> bool {
        self.config.shape.has(column)
    }
}

/// A constant of a gate.
pub(crate) fn constant(value: i128) -> Expression<Fr> {
    Expression::Constant(crate::layout::field(value))
}
