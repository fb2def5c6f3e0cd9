//! The opening argument (SHPLONK, <https://eprint.iacr.org/2020/081>) and the pairing.
//!
//! With `Z_i` the polynomial that vanishes on the points outside set `i`, `r_ij` the polynomial
//! through the evaluations of commitment `C_ij`, and everything divided by `Z_0(u)`:
//! `F = sum_i v^i Z_i(u)/Z_0(u) sum_j y^j (C_ij - r_ij(u) G) - Z_S0(u) h1 + u h2`, and the proof
//! holds if `e(h2, s G2) = e(F, G2)`.

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field;

use super::failure::Failure;
use super::key::{KeyPoint, KeyWord};
use super::program::Id;
use super::shape::{Commitment, RotationSet};
use super::transcript::Challenge;
use super::writer::{F, H2, S, Writer, line};

/// The points of the opening argument, as differences to `u`.
pub(crate) struct Points {
    sets: Vec<RotationSet>,
    /// `u - x omega^rotation`, one a rotation.
    differences: Vec<(i32, Id)>,
    /// `Z_0(u)`.
    pub(crate) first_difference: Id,
}

/// Values that the constraints' part leaves for the opening argument.
pub(crate) struct Values {
    /// Address of `x^n`.
    pub(crate) xn: usize,
    /// Address of `1/x`.
    pub(crate) x_inverse: usize,
    /// Address of `1/Z_0(u)`.
    pub(crate) first_difference_inverse: usize,
    pub(crate) points: Points,
}

impl Points {
    pub(crate) fn new(writer: &mut Writer<'_>) -> Self {
        let sets = writer.shape.rotation_sets();
        let x = writer.challenge(Challenge::X);
        let u = writer.challenge(Challenge::ShplonkU);
        let differences: Vec<(i32, Id)> = writer
            .shape
            .rotations()
            .into_iter()
            .map(|rotation| {
                let root = writer.root(rotation);
                let point = writer.program.mul(x, root);
                (rotation, writer.program.sub(u, point))
            })
            .collect();
        let first = sets.first().map(|set| set.rotations.clone()).unwrap_or_default();
        let outside = differences.iter().filter(|(r, _)| !first.contains(r)).map(|(_, d)| *d);
        let first_difference = writer.program.product(outside);
        Points { sets, differences, first_difference }
    }

    /// Product of the differences that `keep` selects.
    fn product(&self, writer: &mut Writer<'_>, keep: impl Fn(i32) -> bool) -> Id {
        let kept = self.differences.iter().filter(|(r, _)| keep(*r)).map(|(_, d)| *d);
        writer.program.product(kept)
    }
}

/// Addresses of the scalars that commitments are multiplied with.
struct Scalars {
    /// One a set, the first set's left out: it is one.
    sets: Vec<usize>,
    generator: usize,
    h1: usize,
}

/// Writes the opening argument.
pub(crate) fn write(writer: &mut Writer<'_>, values: &Values) {
    line!(writer, "// Scalars of the opening argument.");
    let scalars = scalars(writer, values);
    let sets = commitments(writer, values);
    line!(writer, "// F = sum of all commitments, the rest of the proof, and the pairing.");
    let shplonk_y = writer.transcript.challenge(Challenge::ShplonkY);
    line!(writer, "mstore({:#x}, mload({shplonk_y:#x}))", S + 0x40);
    for (i, points) in sets.iter().enumerate() {
        horner(writer, points);
        if i == 0 {
            line!(writer, "mcopy({F:#x}, {S:#x}, 0x40)");
        } else {
            line!(writer, "accumulate({S:#x}, mload({:#x}))", scalars.sets[i - 1]);
        }
    }
    pairing(writer, &scalars);
}

fn scalars(writer: &mut Writer<'_>, values: &Values) -> Scalars {
    let points = &values.points;
    let v = writer.challenge(Challenge::ShplonkV);
    let y = writer.challenge(Challenge::ShplonkY);
    let x_inverse = writer.program.word(values.x_inverse);
    let first_inverse = writer.program.word(values.first_difference_inverse);
    let mut remainder = writer.program.constant(Fr::ZERO);
    let mut roots = Vec::new();
    let mut sets = Vec::new();
    for (i, set) in points.sets.iter().enumerate() {
        let inside = |rotation: i32| set.rotations.contains(&rotation);
        let mut value = writer.program.constant(Fr::ZERO);
        for (position, rotation) in set.rotations.iter().enumerate() {
            // Lagrange basis over the set's points x w^a: the powers of x in the denominators
            // are taken out, what is left of them is known from the key.
            let evals: Vec<Id> = set.members.iter().map(|(_, evals)| writer.eval(evals[position])).collect();
            let joined = writer.program.horner(&evals, y);
            let numerator = points.product(writer, |r| inside(r) && r != *rotation);
            let weight = if set.rotations.len() > 1 {
                writer.key_scalar(KeyWord::Weight { set: i, position })
            } else {
                writer.program.constant(Fr::ONE)
            };
            let basis = writer.program.mul(numerator, weight);
            let term = writer.program.mul(joined, basis);
            value = writer.program.add(value, term);
        }
        let power = writer.program.power(x_inverse, set.rotations.len() - 1);
        value = writer.program.mul(value, power);
        if i > 0 {
            let outside = points.product(writer, |r| !inside(r));
            let power = writer.program.power(v, i);
            let relative = writer.program.mul(outside, first_inverse);
            let scale = writer.program.mul(power, relative);
            value = writer.program.mul(value, scale);
            let slot = writer.memory.words(1);
            roots.push((slot, scale));
            sets.push(slot);
        }
        remainder = writer.program.add(remainder, value);
    }
    let first = points.sets.first().map(|set| set.rotations.clone()).unwrap_or_default();
    let vanishing = points.product(writer, |r| first.contains(&r));
    let (generator, h1) = (writer.memory.words(1), writer.memory.words(1));
    roots.push((generator, writer.program.neg(remainder)));
    roots.push((h1, writer.program.neg(vanishing)));
    writer.program.store(&roots, &mut writer.memory, &mut writer.out);
    Scalars { sets, generator, h1 }
}

/// Lays out the key's commitments, joins the quotient's pieces; returns the addresses of the commitments of each
/// rotation set.
fn commitments(writer: &mut Writer<'_>, values: &Values) -> Vec<Vec<usize>> {
    line!(writer, "// Commitments of the key, and the quotient's pieces joined.");
    let quotient = writer.memory.words(2);
    let mut sets = Vec::new();
    for set in &values.points.sets {
        let members = set.members.iter().map(|(commitment, _)| match *commitment {
            Commitment::Quotient => quotient,
            Commitment::Fixed(column) => writer.key_point(KeyPoint::Fixed(column)),
            Commitment::Sigma(position) => writer.key_point(KeyPoint::Sigma(position)),
            Commitment::Advice(column) => writer.transcript.advice(column),
            Commitment::Product(set) => writer.transcript.product(set),
            Commitment::Random => writer.transcript.random(),
            Commitment::Lookup(index, polynomial) => writer.transcript.lookup(index, polynomial),
        });
        sets.push(members.collect());
    }
    line!(writer, "mstore({:#x}, mload({:#x}))", S + 0x40, values.xn);
    horner(writer, &writer.transcript.quotient_pieces());
    line!(writer, "mcopy({quotient:#x}, {S:#x}, 0x40)");
    sets
}

/// `S = C_0 + k C_1 + k^2 C_2 + ...` of the points at these addresses, `k` behind `S`.
fn horner(writer: &mut Writer<'_>, points: &[usize]) {
    let Some((last, others)) = points.split_last() else { return };
    line!(writer, "mcopy({S:#x}, {last:#x}, 0x40)");
    for point in others.iter().rev() {
        line!(writer, "horner({point:#x})");
    }
}

fn pairing(writer: &mut Writer<'_>, scalars: &Scalars) {
    let words = writer.transcript.proof_words();
    let h1 = writer.transcript.address(words - 4);
    let h2 = writer.proof(32 * (words - 2));
    let u = writer.transcript.challenge(Challenge::ShplonkU);
    let generator = writer.memory.words(2);
    line!(writer, "mstore({generator:#x}, 1)");
    line!(writer, "mstore({:#x}, 2)", generator + 32);
    line!(writer, "accumulate({generator:#x}, mload({:#x}))", scalars.generator);
    line!(writer, "accumulate({h1:#x}, mload({:#x}))", scalars.h1);
    line!(writer, "calldatacopy({H2:#x}, {h2}, 0x40)");
    line!(writer, "accumulate({H2:#x}, mload({u:#x}))");
    let failed = Failure::PrecompileFailed.yul();
    let rejected = Failure::ProofRejected.yul();
    line!(
        writer,
        "if iszero(and(eq(returndatasize(), 0x20), staticcall(gas(), 8, {F:#x}, 0x180, 0x00, 0x20))) {{ fail1({failed}, 8) }}"
    );
    line!(writer, "if iszero(eq(mload(0x00), 1)) {{ fail({rejected}) }}");
}
