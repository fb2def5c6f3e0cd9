//! SHPLONK, the opening of many polynomials at many points by two commitments.
//!
//! Polynomials opened at the same points form a set `i`, combined by powers of `y` to `N_i`; the sets are combined by
//! powers of `v`. Over its points `S_i`, with `Z_i` vanishing there and `R_i` interpolating,
//! `(N_i - R_i) / Z_i = sum_(p in S_i) a_p (N_i(X) - N_i(p)) / (X - p)`, where `a_p = 1 / prod_(q in S_i, q != p) (p - q)`:
//! so one division a point serves all sets, and `R_i` is needed at one point alone.

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field;
use rayon::prelude::*;

use super::Session;
use crate::error::ProofError;
use crate::fft::powers;

/// A polynomial's value at a point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a> {
    /// Coefficients.
    pub(super) polynomial: &'a [Fr],
    pub(super) point: Fr,
    pub(super) value: Fr,
}

/// A polynomial's points with its values there.
type Openings = Vec<(Fr, Fr)>;

/// Polynomials that are opened at the same points.
struct Set<'a> {
    points: Vec<Fr>,
    /// Each with its values at the points.
    members: Vec<(&'a [Fr], Vec<Fr>)>,
}

/// Sets in the order in which the queries name their polynomials, as the verifier forms them.
fn sets<'a>(queries: &[Query<'a>]) -> Vec<Set<'a>> {
    let mut opened: Vec<(&'a [Fr], Openings)> = Vec::new();
    for query in queries {
        let opening = (query.point, query.value);
        match opened.iter_mut().find(|(polynomial, _)| std::ptr::eq(*polynomial, query.polynomial)) {
            Some((_, openings)) => openings.push(opening),
            None => opened.push((query.polynomial, vec![opening])),
        }
    }
    let mut sets: Vec<Set<'a>> = Vec::new();
    for (polynomial, openings) in opened {
        let value = |point: &Fr| openings.iter().find(|(at, _)| at == point).map(|(_, value)| *value);
        let same = |set: &&mut Set<'a>| {
            set.points.len() == openings.len() && set.points.iter().all(|point| value(point).is_some())
        };
        match sets.iter_mut().find(same) {
            Some(set) => {
                let values = set.points.iter().filter_map(value).collect();
                set.members.push((polynomial, values));
            }
            None => {
                let (points, values) = openings.into_iter().unzip();
                sets.push(Set { points, members: vec![(polynomial, values)] });
            }
        }
    }
    sets
}

/// A set's polynomials combined.
struct Combined {
    points: Vec<Fr>,
    /// `a_p` by point.
    weights: Vec<Fr>,
    coefficients: Vec<Fr>,
    /// By point.
    values: Vec<Fr>,
}

impl Combined {
    fn new(set: &Set<'_>, y: Fr, rows: usize) -> Self {
        let scales = powers(y, set.members.len());
        let mut coefficients = vec![Fr::ZERO; rows];
        add_scaled(&mut coefficients, set.members.iter().zip(&scales).map(|((member, _), scale)| (*member, *scale)));
        let value = |at: usize| set.members.iter().zip(&scales).map(|((_, values), scale)| values[at] * scale).sum();
        let weight = |point: &Fr| {
            let others = set.points.iter().filter(|other| *other != point);
            // Points are distinct.
            others.map(|other| *point - other).product::<Fr>().invert().unwrap_or(Fr::ZERO)
        };
        Self {
            weights: set.points.iter().map(weight).collect(),
            values: (0..set.points.len()).map(value).collect(),
            points: set.points.clone(),
            coefficients,
        }
    }

    /// `R_i(u)`.
    fn interpolated(&self, u: Fr) -> Fr {
        let term = |at: usize| {
            let others = self.points.iter().enumerate().filter(|(other, _)| *other != at);
            self.values[at] * self.weights[at] * others.map(|(_, other)| u - other).product::<Fr>()
        };
        (0..self.points.len()).map(term).sum()
    }
}

/// Adds each polynomial times its scale.
fn add_scaled<'a>(sum: &mut [Fr], polynomials: impl Iterator<Item = (&'a [Fr], Fr)>) {
    const TASK: usize = 1 << 10;
    let polynomials: Vec<_> = polynomials.collect();
    sum.par_chunks_mut(TASK).enumerate().for_each(|(task, sum)| {
        for (polynomial, scale) in &polynomials {
            let coefficients = polynomial.iter().skip(task * TASK);
            sum.iter_mut().zip(coefficients).for_each(|(sum, coefficient)| *sum += *scale * coefficient);
        }
    });
}

/// `(f(X) - f(point)) / (X - point)`, of as many coefficients as `f`, in place.
fn divide(coefficients: &mut [Fr], point: Fr) {
    let mut carry = Fr::ZERO;
    for coefficient in coefficients.iter_mut().rev() {
        let next = *coefficient + carry * point;
        *coefficient = carry;
        carry = next;
    }
}

/// Writes the opening of the queries.
pub(super) fn open(session: &mut Session<'_>, queries: &[Query<'_>], rows: usize) -> Result<(), ProofError> {
    let y = session.squeeze();
    let v = session.squeeze();
    let sets: Vec<Combined> = sets(queries).iter().map(|set| Combined::new(set, y, rows)).collect();
    let scales = powers(v, sets.len());

    let mut points: Vec<Fr> = Vec::new();
    for point in sets.iter().flat_map(|set| &set.points) {
        if !points.contains(point) {
            points.push(*point);
        }
    }
    let quotients: Vec<Vec<Fr>> = points
        .par_iter()
        .map(|point| {
            let mut quotient = vec![Fr::ZERO; rows];
            let at = |set: &Combined| set.points.iter().position(|other| other == point);
            let parts = sets
                .iter()
                .zip(&scales)
                .filter_map(|(set, scale)| at(set).map(|at| (set.coefficients.as_slice(), *scale * set.weights[at])));
            add_scaled(&mut quotient, parts);
            divide(&mut quotient, *point);
            quotient
        })
        .collect();
    let mut quotient = vec![Fr::ZERO; rows];
    add_scaled(&mut quotient, quotients.iter().map(|part| (part.as_slice(), Fr::ONE)));
    drop(quotients);
    session.write_commitments(&[&quotient])?;

    let u = session.squeeze();
    // The whole is scaled so that the first set's factor is one.
    let missing = |set: &Combined| -> Fr {
        points.iter().filter(|point| !set.points.contains(point)).map(|point| u - point).product()
    };
    let first = sets.first().and_then(|set| Option::<Fr>::from(missing(set).invert())).unwrap_or(Fr::ONE);
    let all: Fr = points.iter().map(|point| u - point).product();
    let factors: Vec<Fr> = sets.iter().zip(&scales).map(|(set, scale)| *scale * missing(set) * first).collect();
    let mut linear = vec![Fr::ZERO; rows];
    let parts = sets.iter().zip(&factors).map(|(set, factor)| (set.coefficients.as_slice(), *factor));
    add_scaled(&mut linear, parts.chain([(quotient.as_slice(), -all * first)]));
    if let Some(constant) = linear.first_mut() {
        *constant -= sets.iter().zip(&factors).map(|(set, factor)| set.interpolated(u) * factor).sum::<Fr>();
    }
    divide(&mut linear, u);
    session.write_commitments(&[&linear])
}
