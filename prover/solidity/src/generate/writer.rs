//! Writes the body of `verify`.

use std::ops::Range;

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::{Field, PrimeField};

use super::VerifierParams;
use super::constraints::{Constraints, Inputs};
use super::failure::Failure;
use super::memory::{BASE, Memory};
use super::opening;
use super::program::{Id, Program};
use super::shape::{Eval, Shape};
use super::transcript::{Challenge, Segment, Transcript};
use crate::error::Result;
use crate::word;

/// Sum of commitments: x, y, and the scalar that it is multiplied with.
pub(crate) const S: usize = BASE;
/// Input of one addition: two points.
pub(crate) const T: usize = S + 0x60;
/// Input of the pairing: `(h2, s G2)`, `(F, -G2)`.
pub(crate) const PAIRING: usize = T + 0x80;
/// The point that the opening argument comes down to.
pub(crate) const F: usize = PAIRING + 0xc0;
/// Where the instances start in calldata: selector, two offsets, one length.
const INSTANCES_START: usize = 0x64;
/// Comparisons joined in one statement.
const GROUP: usize = 16;

/// The written body, and the numbers that the contract's functions need.
pub(crate) struct Plan {
    pub(crate) body: String,
    /// Calldata address of the proof.
    pub(crate) proof_start: usize,
    pub(crate) proof_bytes: usize,
    /// Calldata addresses of the evaluations.
    pub(crate) evals: Range<usize>,
}

/// What the parts of the body share.
pub(crate) struct Writer<'a> {
    pub(crate) shape: &'a Shape<'a>,
    pub(crate) params: &'a VerifierParams,
    pub(crate) transcript: Transcript,
    pub(crate) memory: Memory,
    pub(crate) program: Program,
    pub(crate) out: String,
    pub(crate) proof_start: usize,
}

/// Writes a line.
macro_rules! line {
    ($writer:expr, $($argument:tt)*) => {{
        $writer.out.push_str(&format!($($argument)*));
        $writer.out.push('\n');
    }};
}
pub(crate) use line;

/// Writes the body of `verify` for a key.
pub(crate) fn write(shape: &Shape<'_>, params: &VerifierParams) -> Result<Plan> {
    let mut memory = Memory::new();
    // S, T and the pairing's input lie at fixed addresses at the start.
    memory.words(3 + 4 + 12);
    let transcript = Transcript::new(shape, &mut memory);
    let proof_start = INSTANCES_START + 32 * shape.instances + 32;
    let proof_bytes = 32 * transcript.proof_words();
    let evals_start = proof_start + 32 * transcript.evals_start;
    let evals = evals_start..evals_start + 32 * shape.eval_count();
    let mut writer =
        Writer { shape, params, transcript, memory, program: Program::default(), out: String::new(), proof_start };
    writer.calldata(proof_bytes);
    writer.points();
    writer.transcript();
    writer.scalars();
    let values = writer.evaluate()?;
    opening::write(&mut writer, &values)?;
    writer.memory.check()?;
    Ok(Plan { body: indent(&writer.out), proof_start, proof_bytes, evals })
}

fn indent(body: &str) -> String {
    let mut indented = String::with_capacity(body.len() * 2);
    for line in body.lines() {
        indented.push_str("            ");
        indented.push_str(line);
        indented.push('\n');
    }
    indented
}

/// `op(a, op(b, ...))`: nested to the right, so that evaluation needs two stack slots only.
fn fold(op: &str, terms: &[String]) -> String {
    let Some((last, rest)) = terms.split_last() else { return "0".to_owned() };
    rest.iter().rev().fold(last.clone(), |acc, term| format!("{op}({term}, {acc})"))
}

impl Writer<'_> {
    /// A challenge as a node.
    pub(crate) fn challenge(&mut self, challenge: Challenge) -> Id {
        let address = self.transcript.challenge(challenge);
        self.program.word(address)
    }

    /// An evaluation as a node.
    pub(crate) fn eval(&mut self, eval: Eval) -> Id {
        let address = self.transcript.eval(eval);
        self.program.word(address)
    }

    fn calldata(&mut self, proof_bytes: usize) {
        let count = self.shape.instances;
        let total = self.proof_start + proof_bytes;
        let proof_start = self.proof_start;
        line!(self, "// Calldata: the canonical encoding and nothing else.");
        line!(self, "if gt(mload(0x40), {BASE:#x}) {{ revert(0, 0) }}");
        let count_error = Failure::InstanceCount.yul();
        line!(self, "if iszero(eq(instances.length, {count})) {{ fail2({count_error}, instances.length, {count}) }}");
        let length_error = Failure::ProofLength.yul();
        line!(
            self,
            "if iszero(eq(proof.length, {proof_bytes:#x})) {{ fail2({length_error}, proof.length, {proof_bytes:#x}) }}"
        );
        let layout = Failure::CalldataLayout.yul();
        line!(
            self,
            "if iszero(and(eq(instances.offset, {INSTANCES_START:#x}), eq(proof.offset, {proof_start:#x}))) {{ fail({layout}) }}"
        );
        let calldata = Failure::CalldataLength.yul();
        line!(self, "if iszero(eq(calldatasize(), {total:#x})) {{ fail2({calldata}, calldatasize(), {total:#x}) }}");
    }

    /// No point is the identity: `y = 0` holds for no other point of the curve, and what is not on
    /// the curve the precompiles refuse.
    fn points(&mut self) {
        line!(self, "// No commitment is the identity, the only point with y = 0.");
        let evals_end = self.transcript.evals_start + self.shape.eval_count();
        let words =
            (0..self.transcript.evals_start).step_by(2).chain((evals_end..self.transcript.proof_words()).step_by(2));
        let zero: Vec<String> =
            words.map(|w| format!("iszero(calldataload({:#x}))", self.proof_start + 32 * (w + 1))).collect();
        for group in zero.chunks(GROUP) {
            line!(self, "if {} {{ blame(0) }}", fold("or", group));
        }
    }

    fn transcript(&mut self) {
        line!(self, "// Transcript.");
        let digest = word::literal(&self.params.vk_digest);
        let Some(first) = self.transcript.segments.first() else { return };
        line!(self, "mstore({:#x}, {digest})", first.address);
        let segments = std::mem::take(&mut self.transcript.segments);
        for (i, segment) in segments.iter().enumerate() {
            let next = segments.get(i + 1).map(|next| next.address);
            self.segment(i, segment, next);
        }
        self.transcript.segments = segments;
    }

    fn segment(&mut self, index: usize, segment: &Segment, next: Option<usize>) {
        let prefix = if index == 0 { self.shape.instances } else { 0 };
        let start = segment.address;
        let length = 32 * (1 + prefix + segment.words);
        if index == 0 && prefix > 0 {
            line!(self, "calldatacopy({:#x}, {INSTANCES_START:#x}, {:#x})", start + 32, 32 * prefix);
        }
        if segment.words > 0 {
            let from = self.proof_start + 32 * segment.first;
            let to = start + 32 * (1 + prefix);
            line!(self, "calldatacopy({to:#x}, {from:#x}, {:#x})", 32 * segment.words);
        }
        line!(self, "{{");
        let hash = if length == 32 {
            line!(self, "mstore8({:#x}, 1)", start + 32);
            format!("keccak256({start:#x}, 0x21)")
        } else {
            format!("keccak256({start:#x}, {length:#x})")
        };
        line!(self, "let h := {hash}");
        for (i, challenge) in segment.challenges.iter().enumerate() {
            if i > 0 {
                // The digest alone is hashed again with a byte appended; it lies in scratch space.
                line!(self, "mstore(0x00, h)");
                line!(self, "mstore8(0x20, 1)");
                line!(self, "h := keccak256(0x00, 0x21)");
            }
            if *challenge != Challenge::Theta {
                line!(self, "mstore({:#x}, mod(h, r))", self.transcript.challenge(*challenge));
            }
        }
        if let Some(next) = next {
            line!(self, "mstore({next:#x}, h)");
        }
        line!(self, "}}");
    }

    /// Every evaluation is below the modulus.
    fn scalars(&mut self) {
        line!(self, "// Canonical scalars.");
        let start = self.transcript.evals_start;
        let checks: Vec<String> = (start..start + self.shape.eval_count())
            .map(|w| format!("lt(mload({:#x}), r)", self.transcript.address(w)))
            .collect();
        let first = self.proof_start + 32 * start;
        let end = first + 32 * self.shape.eval_count();
        let not_canonical = Failure::ScalarNotCanonical.yul();
        let proof_start = self.proof_start;
        line!(self, "{{");
        line!(self, "let ok := 1");
        for group in checks.chunks(GROUP) {
            line!(self, "ok := and(ok, {})", fold("and", group));
        }
        line!(self, "if iszero(ok) {{");
        line!(self, "for {{ let p := {first:#x} }} lt(p, {end:#x}) {{ p := add(p, 0x20) }} {{");
        line!(self, "if iszero(lt(calldataload(p), r)) {{ fail1({not_canonical}, shr(5, sub(p, {proof_start:#x}))) }}");
        line!(self, "}}");
        line!(self, "}}");
        line!(self, "}}");
        let count = self.shape.instances;
        if count > 0 {
            let from = self.transcript.instances;
            let to = from + 32 * count;
            let not_canonical = Failure::InstanceNotCanonical.yul();
            line!(self, "for {{ let p := {from:#x} }} lt(p, {to:#x}) {{ p := add(p, 0x20) }} {{");
            line!(self, "if iszero(lt(mload(p), r)) {{ fail1({not_canonical}, shr(5, sub(p, {from:#x}))) }}");
            line!(self, "}}");
        }
    }

    /// Numerator and denominator of a sum of `value_i w_i / (x - w_i)` over consecutive rows from
    /// `row`, `value_i` one or the instances. One running fraction needs one inverse in the end.
    fn fraction(&mut self, row: i32, count: usize, instances: bool) -> (usize, usize) {
        let numerator = self.memory.words(1);
        let denominator = self.memory.words(1);
        let x = self.transcript.challenge(Challenge::X);
        let omega = word::scalar(&self.shape.omega);
        let first = word::scalar(&self.shape.root(row));
        line!(self, "{{");
        line!(self, "let w := {first}");
        line!(self, "let num := 0");
        line!(self, "let den := 1");
        let start = if instances { self.transcript.instances } else { 0 };
        let end = start + 32 * count;
        line!(self, "for {{ let p := {start:#x} }} lt(p, {end:#x}) {{ p := add(p, 0x20) }} {{");
        line!(self, "let d := add(mload({x:#x}), sub(r, w))");
        let term = if instances { "mulmod(mload(p), w, r)" } else { "w" };
        line!(self, "num := add(mulmod(num, d, r), mulmod({term}, den, r))");
        line!(self, "den := mulmod(den, d, r)");
        line!(self, "w := mulmod(w, {omega}, r)");
        line!(self, "}}");
        line!(self, "mstore({numerator:#x}, mod(num, r))");
        line!(self, "mstore({denominator:#x}, den)");
        line!(self, "}}");
        (numerator, denominator)
    }

    /// Everything in the field: the quotient's value and the scalars of the opening argument.
    fn evaluate(&mut self) -> Result<opening::Values> {
        line!(self, "// Row polynomials at x, and all denominators.");
        let xn = self.memory.words(1);
        let x_address = self.transcript.challenge(Challenge::X);
        line!(self, "{{");
        line!(self, "let t := mload({x_address:#x})");
        for _ in 0..self.shape.k {
            line!(self, "t := mulmod(t, t, r)");
        }
        line!(self, "mstore({xn:#x}, t)");
        line!(self, "}}");

        // Addresses of denominators; one inversion replaces each value by its inverse.
        let mut denominators: Vec<usize> = Vec::new();
        let queries = self.shape.instance_queries.clone();
        let instance_fractions: Vec<_> =
            queries.iter().map(|rotation| self.fraction(-rotation, self.shape.instances, true)).collect();
        let blind = self.fraction(-(self.shape.blinding as i32), self.shape.blinding, false);
        denominators.extend(instance_fractions.iter().map(|(_, denominator)| *denominator));
        denominators.push(blind.1);

        let x = self.challenge(Challenge::X);
        let xn_node = self.program.word(xn);
        let p = &mut self.program;
        let one = p.constant(Fr::ONE);
        let last_root = self.shape.root(self.shape.last_rotation());
        let last_root_node = p.constant(last_root);
        let from_first = p.sub(x, one);
        let from_last = p.sub(x, last_root_node);
        let vanishing = p.sub(xn_node, one);
        let points = opening::Points::new(self);
        let mut roots = Vec::new();
        let mut slots = Vec::new();
        for node in [from_first, from_last, vanishing, x, points.first_difference] {
            let slot = self.memory.words(1);
            roots.push((slot, node));
            slots.push(slot);
            denominators.push(slot);
        }
        // The vanishing polynomial's value is needed after its slot holds the inverse.
        let vanishing_slot = self.memory.words(1);
        roots.push((vanishing_slot, vanishing));
        self.program.store_volatile(&roots, &mut self.memory, &mut self.out);
        self.invert(&denominators);

        let p = &mut self.program;
        let vanishing = p.word(vanishing_slot);
        let inverted: Vec<Id> = slots.iter().map(|slot| p.word(*slot)).collect();
        let n_inv = p.constant(Fr::TWO_INV.pow_vartime([u64::from(self.shape.k)]));
        let scale = p.mul(vanishing, n_inv);
        let l_first = p.mul(scale, inverted[0]);
        let root = p.constant(last_root);
        let weighted = p.mul(scale, root);
        let l_last = p.mul(weighted, inverted[1]);
        let mut sum_of = |(numerator, denominator): (usize, usize)| {
            let (numerator, inverse) = (p.word(numerator), p.word(denominator));
            let quotient = p.mul(numerator, inverse);
            p.mul(scale, quotient)
        };
        let l_blind = sum_of(blind);
        let instance = instance_fractions.into_iter().map(&mut sum_of).collect();
        let inactive = p.add(l_last, l_blind);
        let l_active = p.sub(one, inactive);
        let beta = self.challenge(Challenge::Beta);
        let gamma = self.challenge(Challenge::Gamma);
        let y = self.challenge(Challenge::Y);
        let constraints = Constraints {
            shape: self.shape,
            transcript: &self.transcript,
            program: &mut self.program,
            inputs: Inputs { instance, l_first, l_last, l_active, x, beta, gamma },
        };
        let mut all = constraints.build()?;
        all.reverse();
        let numerator = self.program.horner(&all, y);
        let quotient = self.program.mul(numerator, inverted[2]);
        line!(self, "// Constraints at x.");
        let slot = self.transcript.eval(Eval::Quotient);
        self.program.store(&[(slot, quotient)], &mut self.memory, &mut self.out);
        Ok(opening::Values { xn, x_inverse: slots[3], first_difference_inverse: slots[4], points })
    }

    /// Replaces every entry by its inverse: prefix products, one modular exponentiation, and back.
    fn invert(&mut self, entries: &[usize]) {
        let prefixes: Vec<usize> = entries.iter().map(|_| self.memory.words(1)).collect();
        let zero = Failure::ZeroDenominator.yul();
        let failed = Failure::PrecompileFailed.yul();
        let exponent = word::scalar(&(-Fr::from(2u64)));
        line!(self, "// One inversion for all denominators.");
        line!(self, "{{");
        line!(self, "let t := 1");
        for (entry, prefix) in entries.iter().zip(&prefixes) {
            line!(self, "mstore({prefix:#x}, t)");
            line!(self, "t := mulmod(t, mload({entry:#x}), r)");
        }
        line!(self, "if iszero(t) {{ fail({zero}) }}");
        for (i, value) in ["0x20", "0x20", "0x20", "t", &exponent, "r"].iter().enumerate() {
            line!(self, "mstore({:#x}, {value})", PAIRING + 32 * i);
        }
        line!(
            self,
            "if iszero(and(eq(returndatasize(), 0x20), staticcall(gas(), 5, {PAIRING:#x}, 0xc0, 0x00, 0x20))) {{ fail1({failed}, 5) }}"
        );
        line!(self, "t := mload(0x00)");
        line!(self, "let v");
        for (entry, prefix) in entries.iter().zip(&prefixes).rev() {
            line!(self, "v := mload({entry:#x})");
            line!(self, "mstore({entry:#x}, mulmod(t, mload({prefix:#x}), r))");
            line!(self, "t := mulmod(t, v, r)");
        }
        line!(self, "}}");
    }
}
