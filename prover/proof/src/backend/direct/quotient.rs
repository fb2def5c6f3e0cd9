//! The quotient of all constraints by the polynomial that vanishes on the rows.
//!
//! With `m` pieces of `n` coefficients, the quotient is known from its values on `m` cosets of the rows. Each coset is
//! done alone: `sum_j h_j(X) s^j` with `s = g^n` is the quotient on the coset of `g`, so the pieces `h_j` are a fixed linear
//! combination of what the cosets give.

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::{BatchInvert, Field};
use halo2_proofs::plonk::{Any, Column};
use rayon::prelude::*;

use super::permutation::{Challenges, cosets};
use super::program::{BLOCK, Program, Table};
use super::{Columns, Polynomials, slices};
use crate::fft::{Domain, powers};

/// Rows that one task evaluates.
const TASK: usize = 1 << 10;

/// What the quotient is made of.
pub(super) struct Quotient<'a> {
    pub(super) domain: &'a Domain,
    pub(super) omega: Fr,
    pub(super) program: &'a Program,
    pub(super) polynomials: &'a Polynomials<'a>,
    /// Coefficients of the permutation's columns and products.
    pub(super) sigmas: Vec<&'a [Fr]>,
    pub(super) products: &'a [Vec<Fr>],
    pub(super) permuted: &'a [Column<Any>],
    /// Columns of a set.
    pub(super) width: usize,
    pub(super) blinding: usize,
    pub(super) challenges: Challenges,
    pub(super) y: Fr,
}

/// Values on one coset.
struct Coset {
    shift: Fr,
    advice: Vec<Vec<Fr>>,
    fixed: Vec<Vec<Fr>>,
    instance: Vec<Vec<Fr>>,
    sigmas: Vec<Vec<Fr>>,
    products: Vec<Vec<Fr>>,
    /// The polynomial that is one on the first row and zero on the others.
    first: Vec<Fr>,
}

impl Coset {
    fn columns(&self) -> Columns<'_> {
        Columns { advice: slices(&self.advice), fixed: slices(&self.fixed), instance: slices(&self.instance) }
    }
}

impl Quotient<'_> {
    /// The pieces, from low to high, of a quotient of `count` pieces. `root` is of an order that is a multiple of the
    /// number of rows, by at least `count`.
    pub(super) fn pieces(&self, count: usize, root: Fr, zeta: Fr) -> Vec<Vec<Fr>> {
        let rows = self.domain.rows();
        let shifts: Vec<Fr> = powers(root, count).into_iter().map(|power| zeta * power).collect();
        let nodes: Vec<Fr> = shifts.iter().map(|shift| shift.pow_vartime([rows as u64])).collect();
        let weights = interpolation(&nodes);
        let mut pieces = vec![vec![Fr::ZERO; rows]; count];
        for (at, (shift, node)) in shifts.iter().zip(&nodes).enumerate() {
            let part = self.part(*shift, *node);
            pieces.par_iter_mut().zip(&weights).for_each(|(piece, weights)| {
                let weight = weights[at];
                piece.iter_mut().zip(&part).for_each(|(sum, value)| *sum += weight * value);
            });
        }
        pieces
    }

    /// Coefficients of the polynomial of degree below the number of rows that the quotient is on a coset.
    fn part(&self, shift: Fr, node: Fr) -> Vec<Fr> {
        let rows = self.domain.rows();
        let shift_powers = powers(shift, rows);
        let on_coset = |polynomials: &[&[Fr]]| -> Vec<Vec<Fr>> {
            polynomials.par_iter().map(|coefficients| self.domain.on_coset(coefficients, &shift_powers)).collect()
        };
        // The vanishing polynomial is the same everywhere on a coset, and zero on none.
        let vanishing = node - Fr::ONE;
        let coset = Coset {
            shift,
            advice: on_coset(&self.polynomials.advice),
            fixed: on_coset(&self.polynomials.fixed),
            instance: on_coset(&self.polynomials.instance),
            sigmas: on_coset(&self.sigmas),
            products: on_coset(&slices(self.products)),
            first: self.first_row(shift, vanishing),
        };
        drop(shift_powers);
        let mut values = vec![Fr::ZERO; rows];
        let columns = coset.columns();
        values.par_chunks_mut(TASK).enumerate().for_each(|(task, values)| {
            self.gates(&columns, task * TASK, values);
            self.permutation(&coset, &columns, task * TASK, values);
        });
        drop(columns);
        drop(coset);
        let mut part = self.domain.coefficients(&values);
        let divisor = vanishing.invert().unwrap_or(Fr::ZERO);
        let unshift = powers(shift.invert().unwrap_or(Fr::ZERO), rows);
        part.par_iter_mut().zip(&unshift).for_each(|(value, power)| *value *= divisor * power);
        part
    }

    /// `(X^n - 1) / (n (X - 1))` on a coset.
    fn first_row(&self, shift: Fr, vanishing: Fr) -> Vec<Fr> {
        let rows = self.domain.rows();
        let mut values = powers(self.omega, rows);
        let factor = vanishing * Fr::from(rows as u64).invert().unwrap_or(Fr::ZERO);
        values.par_chunks_mut(TASK).for_each(|values| {
            values.iter_mut().for_each(|value| *value = *value * shift - Fr::ONE);
            values.iter_mut().batch_invert();
            values.iter_mut().for_each(|value| *value *= factor);
        });
        values
    }

    fn gates(&self, columns: &Columns<'_>, start: usize, values: &mut [Fr]) {
        let rows = self.domain.rows();
        let mut registers = self.program.registers();
        let slots = self.program.slots();
        let mut wrapped = vec![Vec::new(); slots.len()];
        for (block, values) in values.chunks_mut(BLOCK).enumerate() {
            let first = start + block * BLOCK;
            let places: Vec<(&[Fr], usize)> = slots
                .iter()
                .map(|slot| {
                    let column = match slot.table {
                        Table::Advice => columns.advice[slot.column],
                        Table::Fixed => columns.fixed[slot.column],
                        Table::Instance => columns.instance[slot.column],
                    };
                    (column, rotated(first, slot.rotation, rows))
                })
                .collect();
            for ((column, from), copy) in places.iter().zip(&mut wrapped) {
                copy.clear();
                if from + values.len() > rows {
                    copy.extend((0..values.len()).map(|i| column[(from + i) % rows]));
                }
            }
            let cells: Vec<&[Fr]> = places
                .iter()
                .zip(&wrapped)
                .map(
                    |((column, from), copy)| {
                        if copy.is_empty() { &column[*from..from + values.len()] } else { &copy[..] }
                    },
                )
                .collect();
            self.program.run(&cells, &mut registers, values);
        }
    }

    fn permutation(&self, coset: &Coset, columns: &Columns<'_>, start: usize, values: &mut [Fr]) {
        let (Some(first_product), Some(last_product)) = (coset.products.first(), coset.products.last()) else { return };
        let Challenges { beta, gamma } = self.challenges;
        let rows = self.domain.rows();
        let deltas: Vec<Fr> = cosets(self.permuted.len()).into_iter().map(|delta| delta * beta).collect();
        let mut point = coset.shift * self.omega.pow_vartime([start as u64]);
        for (i, value) in values.iter_mut().enumerate() {
            let row = start + i;
            let fold = |value: &mut Fr, constraint: Fr| *value = *value * self.y + constraint;
            // Indicators of other rows are rotations of the first row's.
            let first = coset.first[row];
            let last = coset.first[(row + self.blinding + 1) % rows];
            let random: Fr = (1..=self.blinding).map(|i| coset.first[(row + i) % rows]).sum();
            let active = Fr::ONE - last - random;
            fold(value, (Fr::ONE - first_product[row]) * first);
            fold(value, (last_product[row].square() - last_product[row]) * last);
            let before_blinding = rotated(row, -(self.blinding as i32 + 1), rows);
            for pair in coset.products.windows(2) {
                fold(value, (pair[1][row] - pair[0][before_blinding]) * first);
            }
            for (set, product) in coset.products.iter().enumerate() {
                let members = set * self.width..((set + 1) * self.width).min(self.permuted.len());
                let (mut left, mut right) = (product[(row + 1) % rows], product[row]);
                for member in members {
                    let cell = columns.of(self.permuted[member])[row] + gamma;
                    left *= cell + beta * coset.sigmas[member][row];
                    right *= cell + deltas[member] * point;
                }
                fold(value, (left - right) * active);
            }
            point *= self.omega;
        }
    }
}

/// The row so many further, round the end.
fn rotated(row: usize, rotation: i32, rows: usize) -> usize {
    (row as i64 + i64::from(rotation)).rem_euclid(rows as i64) as usize
}

/// For each power, the weights with which values at the nodes give a polynomial's coefficient of that power.
fn interpolation(nodes: &[Fr]) -> Vec<Vec<Fr>> {
    let mut weights = vec![vec![Fr::ZERO; nodes.len()]; nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        // The basis polynomial of the node, by multiplying its factors out.
        let mut basis = vec![Fr::ONE];
        let mut scale = Fr::ONE;
        for other in nodes.iter().filter(|other| *other != node) {
            basis.push(Fr::ZERO);
            for power in (0..basis.len()).rev() {
                let lower = if power > 0 { basis[power - 1] } else { Fr::ZERO };
                basis[power] = lower - *other * basis[power];
            }
            scale *= *node - other;
        }
        let scale = scale.invert().unwrap_or(Fr::ZERO);
        for (weights, coefficient) in weights.iter_mut().zip(&basis) {
            weights[at] = *coefficient * scale;
        }
    }
    weights
}
