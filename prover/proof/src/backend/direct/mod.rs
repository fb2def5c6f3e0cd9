//! Our own prover.
//!
//! The same protocol as halo2-axiom's, so the same verifiers: what differs is how it is computed. Columns are plain
//! vectors, never rationals; transforms and commitments of several columns run side by side; the quotient is
//! evaluated by a compiled program, coset by coset, and never held on a larger domain.

mod opening;
mod permutation;
mod program;
mod quotient;
mod witness;

use halo2_proofs::arithmetic::eval_polynomial;
use halo2_proofs::halo2curves::bn256::{Fr, G1, G1Affine};
use halo2_proofs::halo2curves::ff::{Field, WithSmallOrderMulGroup};
use halo2_proofs::halo2curves::group::Curve;
use halo2_proofs::plonk::{Any, Circuit, Column, ConstraintSystem};
use halo2_proofs::poly::Rotation;
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::transcript::{Transcript, TranscriptWrite};
use rand::rngs::StdRng;
use rand::{CryptoRng, RngCore, SeedableRng};
use rayon::prelude::*;

use self::opening::Query;
use self::permutation::Challenges;
use self::program::Program;
use self::quotient::Quotient;
use self::witness::{Committer, Extent};
use super::staged::StagedWriter;
use super::{ProofRequest, ProverBackend, RawProof};
use crate::error::ProofError;
use crate::fft::Domain;
use crate::msm::msm;
use crate::srs::Srs;

/// Our own prover. It refuses circuits that compute cells from what assignments hand back: [`super::Halo2Backend`] proves
/// those.
#[derive(Debug, Clone, Copy, Default)]
pub struct DirectBackend;

/// Columns by table, all of one length.
struct Columns<'a> {
    advice: Vec<&'a [Fr]>,
    fixed: Vec<&'a [Fr]>,
    instance: Vec<&'a [Fr]>,
}

/// Coefficients of the columns.
type Polynomials<'a> = Columns<'a>;

impl<'a> Columns<'a> {
    fn of(&self, column: Column<Any>) -> &'a [Fr] {
        match column.column_type() {
            Any::Advice(_) => self.advice[column.index()],
            Any::Fixed => self.fixed[column.index()],
            Any::Instance => self.instance[column.index()],
        }
    }

    fn rows(&self) -> usize {
        self.instance.first().map_or(0, |column| column.len())
    }
}

/// The transcript, and what it takes to commit.
struct Session<'a> {
    srs: &'a Srs,
    transcript: StagedWriter<Vec<u8>>,
}

impl Session<'_> {
    fn squeeze(&mut self) -> Fr {
        *self.transcript.squeeze_challenge_scalar::<()>()
    }

    fn write_scalar(&mut self, scalar: Fr) -> Result<(), ProofError> {
        self.transcript.write_scalar(scalar).map_err(|error| refused(&error))
    }

    /// Commits to polynomials given by coefficients.
    fn write_commitments(&mut self, polynomials: &[&[Fr]]) -> Result<(), ProofError> {
        self.write_sums(polynomials, self.srs.params().get_g())
    }

    /// Commits to columns given by values.
    fn write_columns(&mut self, columns: &[&[Fr]]) -> Result<(), ProofError> {
        self.write_sums(columns, self.srs.lagrange())
    }

    fn write_sums(&mut self, scalars: &[&[Fr]], bases: &[G1Affine]) -> Result<(), ProofError> {
        let points: Vec<G1> = scalars.par_iter().map(|scalars| msm(scalars, bases)).collect();
        let mut affine = vec![G1Affine::default(); points.len()];
        G1::batch_normalize(&points, &mut affine);
        affine.into_iter().try_for_each(|point| self.transcript.write_point(point).map_err(|error| refused(&error)))
    }
}

fn refused(error: &std::io::Error) -> ProofError {
    ProofError::Halo2 { during: "proving", problem: error.to_string() }
}

/// Commits to the advice of a phase and draws its challenges.
struct PhaseCommitter<'a, 's, R> {
    session: &'a mut Session<'s>,
    phases: Vec<u8>,
    challenge_phases: Vec<u8>,
    usable: usize,
    rng: R,
}

impl<R: RngCore> Committer for PhaseCommitter<'_, '_, R> {
    fn commit(&mut self, phase: u8, columns: &mut [Vec<Fr>]) -> Result<Vec<(usize, Fr)>, ProofError> {
        let mut committed = Vec::new();
        for (column, _) in columns.iter_mut().zip(&self.phases).filter(|(_, of)| **of == phase) {
            column[self.usable..].fill_with(|| Fr::random(&mut self.rng));
            committed.push(column.as_slice());
        }
        self.session.write_columns(&committed)?;
        let drawn = (0..self.challenge_phases.len()).filter(|index| self.challenge_phases[*index] == phase);
        Ok(drawn.map(|index| (index, self.session.squeeze())).collect())
    }
}

impl ProverBackend for DirectBackend {
    fn create_proof<C: Circuit<Fr>, R: RngCore + CryptoRng>(
        &self,
        request: &ProofRequest<'_, C>,
        rng: R,
    ) -> Result<RawProof, ProofError> {
        let span = tracing::info_span!("create_proof", backend = "direct");
        let _entered = span.enter();
        let mut session = Session { srs: request.srs, transcript: StagedWriter::of_key(request.key.verifying())? };
        write_proof(&mut session, request, rng)?;
        Ok(session.transcript.finish())
    }
}

fn write_proof<C: Circuit<Fr>, R: RngCore + CryptoRng>(
    session: &mut Session<'_>,
    request: &ProofRequest<'_, C>,
    mut rng: R,
) -> Result<(), ProofError> {
    let pk = request.key.halo2();
    let vk = pk.get_vk();
    let cs = vk.cs();
    let (k, omega) = (vk.get_domain().k(), vk.get_domain().get_omega());
    let domain = Domain::new(k, omega);
    let rows = domain.rows();
    let blinding = cs.blinding_factors();
    let usable = rows - blinding - 1;

    // The key's digest takes this place in the transcript.
    session.transcript.common_scalar(vk.transcript_repr()).map_err(|error| refused(&error))?;
    for word in request.instances {
        session.transcript.common_scalar(*word).map_err(|error| refused(&error))?;
    }

    let (advice, challenges) = advice(session, request, Extent::of(cs, rows, usable), &mut rng)?;
    let mut instance = request.instances.to_vec();
    instance.resize(rows, Fr::ZERO);
    let fixed: Vec<&[Fr]> = pk.fixed_values().iter().map(|column| column.values()).collect();
    let _theta = session.squeeze();
    let argument_challenges = Challenges { beta: session.squeeze(), gamma: session.squeeze() };
    let permuted = cs.permutation().get_columns();
    let width = cs.degree().saturating_sub(2).max(1);
    let values = Columns { advice: slices(&advice), fixed, instance: vec![&instance] };
    let argument = permutation::Argument {
        columns: permuted.clone(),
        sigmas: pk.permutation().permutations().iter().map(|column| column.values()).collect(),
        width,
        omega,
        blinding,
    };
    let products = argument.products(&values, argument_challenges, &mut rng);
    session.write_columns(&slices(&products))?;
    let products = coefficients(&domain, products);
    // It hides the quotient at the point that is opened.
    let random = random_polynomial(rows, &mut rng);
    session.write_commitments(&[&random])?;
    let y = session.squeeze();

    drop(values);
    let advice = coefficients(&domain, advice);
    let instance = domain.coefficients(&instance);
    let fixed: Vec<&[Fr]> = pk.fixed_polys().iter().map(|column| column.values()).collect();
    let sigmas: Vec<&[Fr]> = pk.permutation().polys().iter().map(|column| column.values()).collect();
    let polynomials = Polynomials { advice: slices(&advice), fixed, instance: vec![&instance] };
    let program = Program::new(cs, &challenges, y)?;
    let quotient = Quotient {
        domain: &domain,
        omega,
        program: &program,
        polynomials: &polynomials,
        sigmas: sigmas.clone(),
        products: &products,
        permuted: &permuted,
        width,
        blinding,
        challenges: argument_challenges,
        y,
    };
    let pieces =
        quotient.pieces(vk.get_domain().get_quotient_poly_degree(), vk.get_domain().get_extended_omega(), Fr::ZETA);
    session.write_commitments(&slices(&pieces))?;
    let x = session.squeeze();

    let combined = combine(&pieces, x.pow_vartime([rows as u64]));
    drop(pieces);
    let at = |rotation: Rotation| vk.get_domain().rotate_omega(x, rotation);
    let (next, last) = (at(Rotation::next()), at(Rotation(-(blinding as i32 + 1))));
    let advice =
        cs.advice_queries().iter().map(|(column, rotation)| (polynomials.advice[column.index()], at(*rotation)));
    let fixed = cs.fixed_queries().iter().map(|(column, rotation)| (polynomials.fixed[column.index()], at(*rotation)));
    let sigmas = sigmas.into_iter().map(|sigma| (sigma, x));
    let products = slices(&products);
    let chained = products.len().saturating_sub(1);
    let running = products.iter().enumerate().flat_map(|(set, product)| {
        // All but the last set's end is the next one's beginning.
        [Some(x), Some(next), Some(last).filter(|_| set < chained)].into_iter().flatten().map(|point| (*product, point))
    });
    let advice = evaluated(advice);
    let fixed = evaluated(fixed);
    let random = evaluated([(random.as_slice(), x)].into_iter());
    let sigmas = evaluated(sigmas);
    let running = evaluated(running);
    for query in [&advice, &fixed, &random, &sigmas, &running].into_iter().flatten() {
        session.write_scalar(query.value)?;
    }
    // The verifier takes them in another order than the evaluations.
    let (ends, running): (Vec<_>, Vec<_>) = running.into_iter().partition(|query| query.point == last);
    let quotient = evaluated([(combined.as_slice(), x)].into_iter());
    let ends = ends.into_iter().rev();
    let queries =
        advice.into_iter().chain(running).chain(ends).chain(fixed).chain(sigmas).chain(quotient).chain(random);
    opening::open(session, &queries.collect::<Vec<_>>(), rows)
}

impl Extent {
    fn of(cs: &ConstraintSystem<Fr>, rows: usize, usable: usize) -> Self {
        let phases = cs.advice_column_phase().into_iter().max().unwrap_or(0) + 1;
        Self { rows, usable, columns: cs.num_advice_columns(), phases }
    }
}

/// The advice columns, committed, and the circuit's challenges.
fn advice<C: Circuit<Fr>>(
    session: &mut Session<'_>,
    request: &ProofRequest<'_, C>,
    extent: Extent,
    rng: &mut impl RngCore,
) -> Result<witness::Witness, ProofError> {
    let cs = request.key.halo2().get_vk().cs();
    let mut committer = PhaseCommitter {
        session,
        phases: cs.advice_column_phase(),
        challenge_phases: cs.challenge_phase(),
        usable: extent.usable,
        rng,
    };
    witness::collect(request.circuit, request.instances, extent, &mut committer)
}

fn slices(columns: &[Vec<Fr>]) -> Vec<&[Fr]> {
    columns.iter().map(Vec::as_slice).collect()
}

fn coefficients(domain: &Domain, columns: Vec<Vec<Fr>>) -> Vec<Vec<Fr>> {
    columns.into_par_iter().map(|values| domain.coefficients(&values)).collect()
}

/// A polynomial of as many random coefficients as there are rows.
fn random_polynomial(rows: usize, rng: &mut impl RngCore) -> Vec<Fr> {
    const TASK: usize = 1 << 10;
    let mut seeds = vec![[0; 32]; rows.div_ceil(TASK)];
    seeds.iter_mut().for_each(|seed| rng.fill_bytes(seed));
    let mut coefficients = vec![Fr::ZERO; rows];
    coefficients.par_chunks_mut(TASK).zip(seeds).for_each(|(chunk, seed)| {
        let mut rng = StdRng::from_seed(seed);
        chunk.fill_with(|| Fr::random(&mut rng));
    });
    coefficients
}

/// `sum_i pieces[i] * factor^i`.
fn combine(pieces: &[Vec<Fr>], factor: Fr) -> Vec<Fr> {
    let mut sum = vec![Fr::ZERO; pieces.first().map_or(0, Vec::len)];
    for piece in pieces.iter().rev() {
        sum.par_iter_mut().zip(piece).for_each(|(sum, coefficient)| *sum = *sum * factor + coefficient);
    }
    sum
}

/// Polynomials with their values at points.
fn evaluated<'a>(openings: impl Iterator<Item = (&'a [Fr], Fr)>) -> Vec<Query<'a>> {
    let openings: Vec<_> = openings.collect();
    let value =
        |(polynomial, point): (&'a [Fr], Fr)| Query { polynomial, point, value: eval_polynomial(polynomial, point) };
    openings.into_par_iter().map(value).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::srs::{DevelopmentSeed, LogRows};
    use crate::transcript::KeccakWriter;

    const ROWS: usize = 32;
    const USABLE: usize = 26;

    fn committed(phase: u8, seed: u64) -> (Vec<Vec<Fr>>, Vec<(usize, Fr)>) {
        let srs = Srs::development(LogRows(5), DevelopmentSeed::DEFAULT).unwrap();
        let transcript = StagedWriter::new(KeccakWriter::new(Fr::ONE, Vec::new()), 2);
        let mut session = Session { srs: &srs, transcript };
        let mut columns = vec![vec![Fr::from(5); ROWS]; 3];
        let mut committer = PhaseCommitter {
            session: &mut session,
            phases: vec![0, 1, 0],
            challenge_phases: vec![1, 0],
            usable: USABLE,
            rng: StdRng::seed_from_u64(seed),
        };
        let challenges = committer.commit(phase, &mut columns).unwrap();
        (columns, challenges)
    }

    #[test]
    fn the_rows_behind_the_usable_ones_are_random_in_every_column_of_the_phase() {
        for (phase, hidden, challenge) in [(0, [true, false, true], 1), (1, [false, true, false], 0)] {
            let mut random = BTreeSet::new();
            for seed in 0..2 {
                let (columns, challenges) = committed(phase, seed);
                assert_eq!(challenges.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [challenge]);
                for (column, hidden) in columns.iter().zip(hidden) {
                    assert!(column[..USABLE].iter().all(|cell| *cell == Fr::from(5)));
                    if hidden {
                        random.extend(column[USABLE..].iter().map(|cell| format!("{cell:?}")));
                    } else {
                        assert!(column[USABLE..].iter().all(|cell| *cell == Fr::from(5)));
                    }
                }
            }
            let columns = hidden.into_iter().filter(|hidden| *hidden).count();
            assert_eq!(random.len(), 2 * columns * (ROWS - USABLE), "no number twice");
        }
    }

    #[test]
    fn the_hiding_polynomial_has_a_random_coefficient_for_every_row() {
        let polynomials = [1, 2].map(|seed| random_polynomial(5000, &mut StdRng::seed_from_u64(seed)));
        let distinct: BTreeSet<String> = polynomials.iter().flatten().map(|c| format!("{c:?}")).collect();
        assert_eq!(distinct.len(), 10_000);
    }
}
