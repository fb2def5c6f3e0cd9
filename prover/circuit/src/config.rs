use halo2_proofs::{
    halo2curves::bn256::Fr,
    plonk::{
        Advice, Challenge, Column, ConstraintSystem, Expression, FirstPhase, Fixed, Instance, SecondPhase, VirtualCells,
    },
    poly::Rotation,
};

use crate::{
    column::{AdviceColumn, FixedColumn},
    gadget::{arith, function, linear, lookup, rescale},
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
    /// Compresses a function's input and value.
    pub(crate) tuple: Option<Challenge>,
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

/// Columns and challenges of a circuit of a given [`Shape`].
#[derive(Debug, Clone)]
pub struct VouchConfig {
    pub(crate) shape: Shape,
    advice: Vec<Option<Column<Advice>>>,
    fixed: Vec<Option<Column<Fixed>>>,
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
        let lanes: Vec<_> = (0..shape.weight_lanes)
            .map(|_| match shape.weights {
                WeightPlacement::Private => WeightLane::Private(meta.advice_column_in(FirstPhase)),
                WeightPlacement::Public => WeightLane::Public(meta.fixed_column()),
            })
            .collect();
        let mut advice = vec![None; AdviceColumn::ALL.len()];
        for column in shape.advice() {
            let allocated = if column.is_second_phase() {
                meta.advice_column_in(SecondPhase)
            } else {
                meta.advice_column_in(FirstPhase)
            };
            if column.is_permuted() {
                meta.enable_equality(allocated);
            }
            advice[column as usize] = Some(allocated);
        }
        let mut fixed = vec![None; FixedColumn::ALL.len()];
        for &column in &shape.fixed {
            fixed[column as usize] = Some(meta.fixed_column());
        }
        let instance = meta.instance_column();
        meta.enable_equality(instance);

        let mut challenge = |wanted: bool| wanted.then(|| meta.challenge_usable_after(FirstPhase));
        let outputs = challenge(shape.has_linear());
        let positions = challenge(shape.has_positions());
        let tuple = challenge(shape.has_functions());
        let tag = challenge(shape.has_functions());
        let lookup = meta.challenge_usable_after(FirstPhase);
        let challenges = Challenges { outputs, positions, lookup, tuple, tag };

        let config = Self { shape, advice, fixed, lanes, instance, challenges };
        arith::configure(meta, &config);
        rescale::configure(meta, &config);
        if config.shape.has_linear() {
            linear::configure(meta, &config);
        }
        if config.shape.has_functions() {
            function::configure(meta, &config);
        }
        lookup::configure(meta, &config);
        config
    }

    /// The allocated column, where the shape has it.
    pub(crate) fn advice(&self, column: AdviceColumn) -> Option<Column<Advice>> {
        self.advice[column as usize]
    }

    /// The allocated column, where the shape has it.
    pub(crate) fn fixed(&self, column: FixedColumn) -> Option<Column<Fixed>> {
        self.fixed[column as usize]
    }

    /// Creates a gate of one constraint.
    pub(crate) fn gate(
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
        self.advice_at(column, Rotation::cur())
    }

    /// The cell one row above.
    pub(crate) fn above(&mut self, column: AdviceColumn) -> Expression<Fr> {
        self.advice_at(column, Rotation::prev())
    }

    /// The cell one row below.
    pub(crate) fn below(&mut self, column: AdviceColumn) -> Expression<Fr> {
        self.advice_at(column, Rotation::next())
    }

    fn advice_at(&mut self, column: AdviceColumn, at: Rotation) -> Expression<Fr> {
        match self.config.advice(column) {
            Some(column) => self.cells.query_advice(column, at),
            None => constant(0),
        }
    }

    pub(crate) fn fixed(&mut self, column: FixedColumn) -> Expression<Fr> {
        match self.config.fixed(column) {
            Some(column) => self.cells.query_fixed(column, Rotation::cur()),
            None => constant(0),
        }
    }

    pub(crate) fn lanes(&mut self) -> Vec<Expression<Fr>> {
        let lanes = self.config.lanes.clone();
        lanes
            .into_iter()
            .map(|lane| match lane {
                WeightLane::Private(column) => self.cells.query_advice(column, Rotation::cur()),
                WeightLane::Public(column) => self.cells.query_fixed(column, Rotation::cur()),
            })
            .collect()
    }

    pub(crate) fn challenge(&mut self, challenge: Option<Challenge>) -> Expression<Fr> {
        match challenge {
            Some(challenge) => self.cells.query_challenge(challenge),
            None => constant(0),
        }
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
