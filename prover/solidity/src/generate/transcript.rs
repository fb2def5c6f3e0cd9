//! Where each part of the proof lies, and what is hashed when.

use super::lookup::{Opening, Polynomial};
use super::memory::Memory;
use super::shape::{Eval, Shape};

/// A challenge drawn from the transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Challenge of the circuit, by index.
    Circuit(usize),
    /// Joins the expressions of a lookup; drawn, but not kept, where there are none.
    Theta,
    Beta,
    Gamma,
    /// Joins the constraints.
    Y,
    /// The evaluation point.
    X,
    /// Joins the commitments of a rotation set.
    ShplonkY,
    /// Joins the rotation sets.
    ShplonkV,
    /// The point of the opening argument.
    ShplonkU,
}

impl Challenge {
    /// Number of challenges that are not the circuit's.
    const OTHERS: usize = 8;
}

/// Bytes that are hashed together, and the challenges drawn right after.
///
/// In memory: one word for the previous digest, then words of the proof. The first segment is hashed elsewhere: it
/// starts with the key's digest and the instances, whose number differs from key to key.
pub(crate) struct Segment {
    /// Address of the word that holds the previous digest; the proof's words follow it.
    pub(crate) address: usize,
    /// First word of the proof in this segment.
    pub(crate) first: usize,
    /// Number of words of the proof.
    pub(crate) words: usize,
    pub(crate) challenges: Vec<Challenge>,
}

/// The plan of a proof: where its parts are in memory.
pub(crate) struct Transcript {
    pub(crate) segments: Vec<Segment>,
    /// Address in memory of each word of the proof that is hashed.
    addresses: Vec<usize>,
    /// First word of each advice commitment, by column.
    advice: Vec<usize>,
    /// First word of the lookups' permuted commitments: input and table of each.
    permuted: usize,
    /// First word of the first product; the lookups' products and the random polynomial follow.
    products: usize,
    product_count: usize,
    lookup_count: usize,
    /// First word of the quotient's pieces.
    quotient: usize,
    pieces: usize,
    /// First word of the evaluations.
    pub(crate) evals_start: usize,
    advice_evals: usize,
    fixed_evals: usize,
    sigma_evals: usize,
    product_evals: usize,
    /// Address of the quotient's value, which is computed.
    quotient_eval: usize,
    /// Address of the first challenge of the circuit.
    circuit_challenges: usize,
    /// Address of the first of the other challenges.
    challenges: usize,
}

/// Collects words and cuts them into segments where challenges are drawn.
struct Builder<'a> {
    memory: &'a mut Memory,
    segments: Vec<Segment>,
    addresses: Vec<usize>,
    /// Address of the next segment's first word.
    slot: usize,
    /// First word of the segment being collected.
    first: usize,
    /// Words of the proof so far.
    words: usize,
}

impl Builder<'_> {
    fn squeeze(&mut self, challenges: &[Challenge]) {
        let words = self.words - self.first;
        let start = self.slot + 32;
        // The digest's word is taken already; the rest follows it.
        self.memory.words(words);
        self.addresses.extend((0..words).map(|i| start + 32 * i));
        self.segments.push(Segment { address: self.slot, first: self.first, words, challenges: challenges.to_vec() });
        self.first = self.words;
        self.slot = self.memory.words(1);
    }
}

impl Transcript {
    pub(crate) fn new(shape: &Shape<'_>, memory: &mut Memory) -> Self {
        let slot = memory.words(1);
        let mut b = Builder { memory, segments: Vec::new(), addresses: Vec::new(), slot, first: 0, words: 0 };
        let mut advice = vec![0; shape.cs.num_advice_columns()];
        let mut pending = Vec::new();
        for (i, phase) in shape.phases.iter().enumerate() {
            for column in &phase.advice {
                advice[*column] = b.words;
                b.words += 2;
            }
            pending.extend(phase.challenges.iter().copied().map(Challenge::Circuit));
            if i + 1 == shape.phases.len() {
                pending.push(Challenge::Theta);
                if shape.lookups() == 0 {
                    pending.extend([Challenge::Beta, Challenge::Gamma]);
                }
            }
            if !pending.is_empty() {
                b.squeeze(&pending);
                pending.clear();
            }
        }
        let permuted = b.words;
        if shape.lookups() > 0 {
            b.words += 4 * shape.lookups();
            b.squeeze(&[Challenge::Beta, Challenge::Gamma]);
        }
        let products = b.words;
        b.words += 2 * (shape.products() + shape.lookups() + 1);
        b.squeeze(&[Challenge::Y]);
        let quotient = b.words;
        b.words += 2 * shape.pieces;
        b.squeeze(&[Challenge::X]);
        let evals_start = b.words;
        b.words += shape.eval_count();
        b.squeeze(&[Challenge::ShplonkY, Challenge::ShplonkV]);
        b.words += 2;
        b.squeeze(&[Challenge::ShplonkU]);

        let Builder { segments, addresses, .. } = b;
        Transcript {
            segments,
            addresses,
            advice,
            permuted,
            products,
            product_count: shape.products(),
            lookup_count: shape.lookups(),
            quotient,
            pieces: shape.pieces,
            evals_start,
            advice_evals: shape.advice_queries.len(),
            fixed_evals: shape.fixed_queries.len(),
            sigma_evals: shape.permutation.len(),
            product_evals: shape.product_eval_count(),
            quotient_eval: memory.words(1),
            circuit_challenges: memory.words(shape.cs.num_challenges()),
            challenges: memory.words(Challenge::OTHERS),
        }
    }

    /// Address of a word of the proof.
    pub(crate) fn address(&self, word: usize) -> usize {
        self.addresses[word]
    }

    /// Words of the proof, the last commitment included, which is hashed no more.
    pub(crate) fn proof_words(&self) -> usize {
        self.addresses.len() + 2
    }

    /// Address of an advice column's commitment.
    pub(crate) fn advice(&self, column: usize) -> usize {
        self.address(self.advice[column])
    }

    /// Address of the commitment of a running product of the permutation argument.
    pub(crate) fn product(&self, set: usize) -> usize {
        self.address(self.products + 2 * set)
    }

    /// Address of the commitment of the random polynomial.
    pub(crate) fn random(&self) -> usize {
        self.address(self.products + 2 * (self.product_count + self.lookup_count))
    }

    /// Address of a commitment of a lookup.
    pub(crate) fn lookup(&self, lookup: usize, polynomial: Polynomial) -> usize {
        self.address(match polynomial {
            Polynomial::Input => self.permuted + 4 * lookup,
            Polynomial::Table => self.permuted + 4 * lookup + 2,
            Polynomial::Product => self.products + 2 * (self.product_count + lookup),
        })
    }

    /// Addresses of the commitments of the quotient's pieces, lowest powers first.
    pub(crate) fn quotient_pieces(&self) -> Vec<usize> {
        (0..self.pieces).map(|i| self.address(self.quotient + 2 * i)).collect()
    }

    /// Address of an evaluation.
    pub(crate) fn eval(&self, eval: Eval) -> usize {
        let fixed = self.advice_evals;
        let random = fixed + self.fixed_evals;
        let sigma = random + 1;
        let product = sigma + self.sigma_evals;
        let position = match eval {
            Eval::Quotient => return self.quotient_eval,
            Eval::Advice(query) => query,
            Eval::Fixed(query) => fixed + query,
            Eval::Random => random,
            Eval::Sigma(column) => sigma + column,
            // Three evaluations a product; only the last product lacks the third.
            Eval::Product(set) => product + 3 * set,
            Eval::ProductNext(set) => product + 3 * set + 1,
            Eval::ProductLast(set) => product + 3 * set + 2,
            Eval::Lookup(lookup, opening) => {
                product + self.product_evals + Opening::COUNT * lookup + opening.position()
            }
        };
        self.address(self.evals_start + position)
    }

    /// Address of a challenge.
    pub(crate) fn challenge(&self, challenge: Challenge) -> usize {
        let other = match challenge {
            Challenge::Circuit(index) => return self.circuit_challenges + 32 * index,
            Challenge::Theta => 0,
            Challenge::Beta => 1,
            Challenge::Gamma => 2,
            Challenge::Y => 3,
            Challenge::X => 4,
            Challenge::ShplonkY => 5,
            Challenge::ShplonkV => 6,
            Challenge::ShplonkU => 7,
        };
        self.challenges + 32 * other
    }
}
