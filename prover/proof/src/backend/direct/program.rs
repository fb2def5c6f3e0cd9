//! The gates as one straight-line program over blocks of rows.
//!
//! Challenges are constants of the program, so what they alone determine is computed once. Equal subexpressions are
//! one operation, and a block's values stay in the cache.

use std::collections::HashMap;

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field;
use halo2_proofs::plonk::{ConstraintSystem, Expression};

use crate::error::ProofError;

/// Rows of a block.
pub(super) const BLOCK: usize = 64;

/// Which table of columns a cell is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Table {
    Advice,
    Fixed,
    Instance,
}

/// A column at a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) table: Table,
    pub(super) column: usize,
    pub(super) rotation: i32,
}

/// An operand that differs from row to row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Term {
    Slot(usize),
    Result(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operand {
    Constant(Fr),
    Term(Term),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Add(Term, Term),
    Sub(Term, Term),
    Mul(Term, Term),
    /// Plus the constant of this number.
    Shift(Term, usize),
    /// Times the constant of this number.
    Scale(Term, usize),
}

impl Operation {
    fn terms(&self) -> [Option<Term>; 2] {
        match *self {
            Self::Add(a, b) | Self::Sub(a, b) | Self::Mul(a, b) => [Some(a), Some(b)],
            Self::Shift(a, _) | Self::Scale(a, _) => [Some(a), None],
        }
    }
}

/// `sum_i y^(m-1-i) g_i` over the gates' polynomials `g_i`.
#[derive(Debug)]
pub(super) struct Program {
    slots: Vec<Slot>,
    constants: Vec<Fr>,
    /// Operations with the registers that they write to.
    operations: Vec<(Operation, usize)>,
    /// Register of each operation's result.
    registers: Vec<usize>,
    width: usize,
    sum: Operand,
}

#[derive(Default)]
struct Compiler {
    slots: Vec<Slot>,
    slot_numbers: HashMap<Slot, usize>,
    constants: Vec<Fr>,
    operations: Vec<Operation>,
    results: HashMap<Operation, usize>,
}

impl Compiler {
    fn emit(&mut self, operation: Operation) -> Operand {
        let next = self.operations.len();
        let result = *self.results.entry(operation).or_insert(next);
        if result == next {
            self.operations.push(operation);
        }
        Operand::Term(Term::Result(result))
    }

    fn constant(&mut self, value: Fr) -> usize {
        self.constants.iter().position(|constant| *constant == value).unwrap_or_else(|| {
            self.constants.push(value);
            self.constants.len() - 1
        })
    }

    fn slot(&mut self, table: Table, column: usize, rotation: i32) -> Operand {
        let slot = Slot { table, column, rotation };
        let next = self.slots.len();
        let number = *self.slot_numbers.entry(slot).or_insert(next);
        if number == next {
            self.slots.push(slot);
        }
        Operand::Term(Term::Slot(number))
    }

    fn add(&mut self, a: Operand, b: Operand) -> Operand {
        match (a, b) {
            (Operand::Constant(a), Operand::Constant(b)) => Operand::Constant(a + b),
            (Operand::Constant(c), Operand::Term(t)) | (Operand::Term(t), Operand::Constant(c)) => {
                if c == Fr::ZERO {
                    return Operand::Term(t);
                }
                let c = self.constant(c);
                self.emit(Operation::Shift(t, c))
            }
            (Operand::Term(a), Operand::Term(b)) => self.emit(Operation::Add(a, b)),
        }
    }

    fn sub(&mut self, a: Operand, b: Operand) -> Operand {
        match (a, b) {
            (Operand::Term(a), Operand::Term(b)) => self.emit(Operation::Sub(a, b)),
            (a, b) => {
                let negated = self.mul(b, Operand::Constant(-Fr::ONE));
                self.add(a, negated)
            }
        }
    }

    fn mul(&mut self, a: Operand, b: Operand) -> Operand {
        match (a, b) {
            (Operand::Constant(a), Operand::Constant(b)) => Operand::Constant(a * b),
            (Operand::Constant(c), Operand::Term(t)) | (Operand::Term(t), Operand::Constant(c)) => {
                if c == Fr::ZERO {
                    return Operand::Constant(c);
                }
                if c == Fr::ONE {
                    return Operand::Term(t);
                }
                let c = self.constant(c);
                self.emit(Operation::Scale(t, c))
            }
            (Operand::Term(a), Operand::Term(b)) => self.emit(Operation::Mul(a, b)),
        }
    }

    fn compile(&mut self, expression: &Expression<Fr>, challenges: &[Fr]) -> Result<Operand, ProofError> {
        Ok(match expression {
            Expression::Constant(value) => Operand::Constant(*value),
            Expression::Fixed(query) => self.slot(Table::Fixed, query.column_index(), query.rotation().0),
            Expression::Advice(query) => self.slot(Table::Advice, query.column_index(), query.rotation().0),
            Expression::Instance(query) => self.slot(Table::Instance, query.column_index(), query.rotation().0),
            Expression::Challenge(challenge) => {
                Operand::Constant(challenges.get(challenge.index()).copied().unwrap_or(Fr::ZERO))
            }
            // Keys turn selectors into fixed columns.
            Expression::Selector(_) => {
                let what = "a selector in a key's gates".to_owned();
                return Err(ProofError::Unsupported { what, remedy: "make the keys again" });
            }
            Expression::Negated(inner) => {
                let inner = self.compile(inner, challenges)?;
                self.mul(inner, Operand::Constant(-Fr::ONE))
            }
            Expression::Sum(a, b) => {
                let left = self.compile(a, challenges)?;
                match &**b {
                    Expression::Negated(b) => {
                        let right = self.compile(b, challenges)?;
                        self.sub(left, right)
                    }
                    b => {
                        let right = self.compile(b, challenges)?;
                        self.add(left, right)
                    }
                }
            }
            Expression::Product(a, b) => {
                let (left, right) = (self.compile(a, challenges)?, self.compile(b, challenges)?);
                self.mul(left, right)
            }
            Expression::Scaled(inner, factor) => {
                let inner = self.compile(inner, challenges)?;
                self.mul(inner, Operand::Constant(*factor))
            }
        })
    }
}

impl Program {
    /// Compiles the gates of a key's constraint system.
    pub(super) fn new(cs: &ConstraintSystem<Fr>, challenges: &[Fr], y: Fr) -> Result<Self, ProofError> {
        let mut compiler = Compiler::default();
        let mut sum = Operand::Constant(Fr::ZERO);
        for polynomial in cs.gates().iter().flat_map(|gate| gate.polynomials()) {
            let value = compiler.compile(polynomial, challenges)?;
            let before = compiler.mul(sum, Operand::Constant(y));
            sum = compiler.add(before, value);
        }
        let Compiler { slots, constants, operations, .. } = compiler;
        let (registers, width) = allocate(&operations, sum);
        let operations = operations.into_iter().zip(registers.iter().copied()).collect();
        Ok(Self { slots, constants, operations, registers, width, sum })
    }

    /// Columns and rotations that it reads.
    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Fresh registers for [`Program::run`].
    pub(super) fn registers(&self) -> Vec<Vec<Fr>> {
        vec![vec![Fr::ZERO; BLOCK]; self.width]
    }

    /// Writes the sum over a block of at most [`BLOCK`] rows to `out`; `slots` holds the cells of each slot in the block.
    pub(super) fn run(&self, slots: &[&[Fr]], registers: &mut [Vec<Fr>], out: &mut [Fr]) {
        for (operation, target) in &self.operations {
            let mut result = std::mem::take(&mut registers[*target]);
            let rows = &mut result[..out.len()];
            let cells = |term: Term| match term {
                Term::Slot(slot) => slots[slot],
                Term::Result(result) => &registers[self.registers[result]][..],
            };
            match *operation {
                Operation::Add(a, b) => each(rows, cells(a), cells(b), |a, b| a + b),
                Operation::Sub(a, b) => each(rows, cells(a), cells(b), |a, b| a - b),
                Operation::Mul(a, b) => each(rows, cells(a), cells(b), |a, b| a * b),
                Operation::Shift(a, c) => one(rows, cells(a), self.constants[c], |a, c| a + c),
                Operation::Scale(a, c) => one(rows, cells(a), self.constants[c], |a, c| a * c),
            }
            registers[*target] = result;
        }
        match self.sum {
            Operand::Constant(value) => out.fill(value),
            Operand::Term(Term::Slot(slot)) => out.copy_from_slice(&slots[slot][..out.len()]),
            Operand::Term(Term::Result(result)) => {
                out.copy_from_slice(&registers[self.registers[result]][..out.len()]);
            }
        }
    }
}

fn each(out: &mut [Fr], a: &[Fr], b: &[Fr], f: impl Fn(&Fr, &Fr) -> Fr) {
    out.iter_mut().zip(a).zip(b).for_each(|((out, a), b)| *out = f(a, b));
}

fn one(out: &mut [Fr], a: &[Fr], c: Fr, f: impl Fn(&Fr, &Fr) -> Fr) {
    out.iter_mut().zip(a).for_each(|(out, a)| *out = f(a, &c));
}

/// A register for each result, free again after the last operation that reads it, and how many there are. An
/// operation never writes to a register that it reads.
fn allocate(operations: &[Operation], sum: Operand) -> (Vec<usize>, usize) {
    let mut last_use = vec![0; operations.len()];
    for (at, operation) in operations.iter().enumerate() {
        for term in operation.terms().into_iter().flatten() {
            if let Term::Result(result) = term {
                last_use[result] = at;
            }
        }
    }
    if let Operand::Term(Term::Result(result)) = sum {
        last_use[result] = usize::MAX;
    }
    let (mut free, mut width) = (Vec::new(), 0);
    let mut registers: Vec<usize> = Vec::with_capacity(operations.len());
    for (at, operation) in operations.iter().enumerate() {
        registers.push(free.pop().unwrap_or_else(|| {
            width += 1;
            width - 1
        }));
        let [a, b] = operation.terms();
        for term in [a, b.filter(|b| Some(*b) != a)].into_iter().flatten() {
            if let Term::Result(result) = term
                && last_use[result] == at
            {
                free.push(registers[result]);
            }
        }
    }
    (registers, width)
}
