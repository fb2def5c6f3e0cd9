//! Writes the body of `verify`.

use std::ops::Range;

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field;

use super::constraints::{Constraints, Inputs};
use super::failure::Failure;
use super::key::{KeyLayout, KeyPoint, KeyValues, KeyWord};
use super::memory::{BASE, Memory};
use super::opening;
use super::program::{Id, Program};
use super::shape::{Eval, Shape};
use super::transcript::{Challenge, Segment, Transcript};
use crate::error::Result;
use crate::word;

/// Sum of commitments: x, y, and the scalar that it is multiplied with.
pub(crate) const S: usize = BASE;
/// Input of one addition: two points. Also input of a multiplication that is not of `S`.
pub(crate) const T: usize = S + 0x60;
/// What is added to `F`, which lies behind it.
pub(crate) const MULTIPLE: usize = T + 0x80;
/// The point that the opening argument comes down to. Input of the pairing: `(F, -G2)`, `(h2, s G2)`.
pub(crate) const F: usize = MULTIPLE + 0x40;
/// The last point of the proof.
pub(crate) const H2: usize = F + 0xc0;
/// Behind `s G2`.
const FIXED_END: usize = H2 + 0xc0;
/// Where the instances start in calldata: selector, two offsets, one length.
const INSTANCES_START: usize = 0x64;
/// Comparisons joined in one statement.
const GROUP: usize = 16;

/// Stands for the first address behind everything else, where the first segment of the transcript is hashed: its
/// length is the number of instances.
const TOP: &str = "TOP";

/// Where a program finds what depends on the key.
pub(crate) enum KeyAccess<'a> {
    /// Constants of the program.
    Constants(&'a KeyValues<'a>),
    /// A copy of the key at this address.
    Copy { address: usize, layout: KeyLayout },
}

/// The written body, and the numbers that the contract's functions need.
pub(crate) struct Plan {
    pub(crate) body: String,
    pub(crate) proof_bytes: usize,
    /// Where the evaluations are in the proof, in bytes.
    pub(crate) evals: Range<usize>,
}

/// What the parts of the body share.
pub(crate) struct Writer<'a> {
    pub(crate) shape: &'a Shape<'a>,
    key: KeyAccess<'a>,
    pub(crate) transcript: Transcript,
    pub(crate) memory: Memory,
    pub(crate) program: Program,
    pub(crate) out: String,
}

/// Writes a line.
macro_rules! line {
    ($writer:expr, $($argument:tt)*) => {{
        $writer.out.push_str(&format!($($argument)*));
        $writer.out.push('\n');
    }};
}
pub(crate) use line;

/// Writes the body of `verify`: for a key, or for every key of a shape.
pub(crate) fn write<'a>(shape: &'a Shape<'a>, key: Option<&'a KeyValues<'a>>) -> Result<Plan> {
    let mut memory = Memory::new();
    // What lies at fixed addresses.
    memory.words((FIXED_END - BASE) / 32);
    let key = match key {
        Some(values) => KeyAccess::Constants(values),
        None => {
            let layout = KeyLayout::new(shape);
            KeyAccess::Copy { address: memory.words(layout.bytes() / 32), layout }
        }
    };
    let transcript = Transcript::new(shape, &mut memory);
    let proof_bytes = 32 * transcript.proof_words();
    let evals = 32 * transcript.evals_start..32 * (transcript.evals_start + shape.eval_count());
    let mut writer = Writer { shape, key, transcript, memory, program: Program::default(), out: String::new() };
    writer.calldata(proof_bytes);
    writer.transcript();
    writer.points();
    writer.scalars();
    let values = writer.evaluate()?;
    opening::write(&mut writer, &values);
    let top = format!("{:#x}", writer.memory.words(0));
    Ok(Plan { body: indent(&writer.out.replace(TOP, &top)), proof_bytes, evals })
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

    /// A word of the key as Yul.
    fn key_text(&self, word: KeyWord) -> String {
        match &self.key {
            KeyAccess::Constants(values) => values.scalar(word).map_or_else(String::new, |value| word::scalar(&value)),
            KeyAccess::Copy { address, layout } => {
                layout.word(word).map_or_else(String::new, |offset| format!("mload({:#x})", address + offset))
            }
        }
    }

    /// A scalar of the key as a node.
    pub(crate) fn key_scalar(&mut self, word: KeyWord) -> Id {
        match &self.key {
            KeyAccess::Constants(values) => {
                let value = values.scalar(word).unwrap_or(Fr::ZERO);
                self.program.constant(value)
            }
            KeyAccess::Copy { address, layout } => {
                let address = address + layout.word(word).unwrap_or(0);
                self.program.word(address)
            }
        }
    }

    /// `omega^rotation` as a node.
    pub(crate) fn root(&mut self, rotation: i32) -> Id {
        let last = self.shape.last_rotation();
        match &self.key {
            _ if rotation == 0 => self.program.constant(Fr::ONE),
            KeyAccess::Constants(_) => self.key_scalar(KeyWord::Root(rotation)),
            KeyAccess::Copy { .. } if [1, -1, last].contains(&rotation) => self.key_scalar(KeyWord::Root(rotation)),
            KeyAccess::Copy { .. } => {
                let near_last = rotation < -1 && (rotation - last).unsigned_abs() < rotation.unsigned_abs();
                let from = if near_last { last } else { 0 };
                let start = self.root(from);
                let step = self.key_scalar(KeyWord::Root(if rotation > from { 1 } else { -1 }));
                let distance = self.program.power(step, rotation.abs_diff(from) as usize);
                self.program.mul(start, distance)
            }
        }
    }

    /// Address of a commitment of the key.
    pub(crate) fn key_point(&mut self, point: KeyPoint) -> usize {
        let (x, y) = match &self.key {
            KeyAccess::Copy { address, layout } => return address + layout.point(point),
            KeyAccess::Constants(values) => {
                let point = values.point(point);
                (word::coordinate(&point.x), word::coordinate(&point.y))
            }
        };
        let address = self.memory.words(2);
        line!(self, "mstore({address:#x}, {x})");
        line!(self, "mstore({:#x}, {y})", address + 32);
        address
    }

    /// Bytes of all instances as Yul, once their number is checked.
    fn instance_bytes(&self) -> String {
        match &self.key {
            KeyAccess::Constants(values) => format!("{:#x}", 32 * values.instances()),
            KeyAccess::Copy { .. } => "shl(5, instances.length)".to_owned(),
        }
    }

    /// Address in calldata of a byte of the proof as Yul.
    pub(crate) fn proof(&self, offset: usize) -> String {
        match &self.key {
            KeyAccess::Constants(values) => {
                format!("{:#x}", INSTANCES_START + 32 * values.instances() + 32 + offset)
            }
            KeyAccess::Copy { .. } if offset == 0 => "proof.offset".to_owned(),
            KeyAccess::Copy { .. } => format!("add(proof.offset, {offset:#x})"),
        }
    }

    fn calldata(&mut self, proof_bytes: usize) {
        line!(self, "if gt(mload(0x40), {BASE:#x}) {{ revert(0, 0) }}");
        let count = match &self.key {
            KeyAccess::Constants(values) => values.instances().to_string(),
            KeyAccess::Copy { address, layout } => {
                let (address, bytes, other) = (*address, layout.bytes(), Failure::KeyOfAnotherShape.yul());
                let verifier = self.key_text(KeyWord::Verifier);
                line!(self, "// The key: the end of the code of the contract that is called.");
                line!(
                    self,
                    "extcodecopy(address(), {address:#x}, sub(extcodesize(address()), {bytes:#x}), {bytes:#x})"
                );
                line!(self, "if iszero(eq({verifier}, VERIFIER)) {{ fail({other}) }}");
                format!("shr(8, {})", self.key_text(KeyWord::Size))
            }
        };
        line!(self, "// Calldata: the canonical encoding and nothing else.");
        let count_error = Failure::InstanceCount.yul();
        line!(self, "if iszero(eq(instances.length, {count})) {{ fail2({count_error}, instances.length, {count}) }}");
        let length_error = Failure::ProofLength.yul();
        line!(
            self,
            "if iszero(eq(proof.length, {proof_bytes:#x})) {{ fail2({length_error}, proof.length, {proof_bytes:#x}) }}"
        );
        let layout = Failure::CalldataLayout.yul();
        let proof_start = match &self.key {
            KeyAccess::Constants(_) => self.proof(0),
            KeyAccess::Copy { .. } => format!("add({:#x}, {})", INSTANCES_START + 32, self.instance_bytes()),
        };
        line!(
            self,
            "if iszero(and(eq(instances.offset, {INSTANCES_START:#x}), eq(proof.offset, {proof_start}))) {{ fail({layout}) }}"
        );
        let calldata = Failure::CalldataLength.yul();
        let total = self.proof(proof_bytes);
        line!(self, "if iszero(eq(calldatasize(), {total})) {{ fail2({calldata}, calldatasize(), {total}) }}");
    }

    /// No point is the identity: `y = 0` holds for no other point of the curve, and what is not on
    /// the curve the precompiles refuse.
    fn points(&mut self) {
        line!(self, "// No commitment is the identity, the only point with y = 0.");
        let words = self.transcript.proof_words();
        let evals_end = self.transcript.evals_start + self.shape.eval_count();
        let hashed = (0..self.transcript.evals_start).step_by(2).chain((evals_end..words - 2).step_by(2));
        let mut zero: Vec<String> =
            hashed.map(|w| format!("iszero(mload({:#x}))", self.transcript.address(w + 1))).collect();
        zero.push(format!("iszero(calldataload({}))", self.proof(32 * (words - 1))));
        for group in zero.chunks(GROUP) {
            line!(self, "if {} {{ blame(0) }}", fold("or", group));
        }
    }

    fn transcript(&mut self) {
        line!(self, "// Transcript.");
        let segments = std::mem::take(&mut self.transcript.segments);
        for (i, segment) in segments.iter().enumerate() {
            let next = segments.get(i + 1).map(|next| next.address);
            let hash = if i == 0 { self.first_segment(segment) } else { self.later_segment(segment) };
            self.challenges(segment, &hash, next);
        }
        self.transcript.segments = segments;
    }

    /// Digest of the key, instances, commitments of the first phase. The commitments stay at known addresses too.
    fn first_segment(&mut self, segment: &Segment) -> String {
        let (words, instances) = (32 * segment.words, self.instance_bytes());
        line!(self, "mstore({TOP}, {})", self.digest());
        line!(self, "calldatacopy(add({TOP}, 0x20), {INSTANCES_START:#x}, {instances})");
        if words == 0 {
            return self.digest_and_instances(&instances);
        }
        let from = self.proof(32 * segment.first);
        line!(self, "calldatacopy({:#x}, {from}, {words:#x})", segment.address + 32);
        line!(self, "calldatacopy(add(add({TOP}, 0x20), {instances}), {from}, {words:#x})");
        format!("keccak256({TOP}, add({instances}, {:#x}))", 32 + words)
    }

    /// A buffer of one word is hashed with a byte appended.
    fn digest_and_instances(&mut self, instances: &str) -> String {
        line!(self, "let l := add({instances}, 0x20)");
        line!(self, "if eq(l, 0x20) {{");
        line!(self, "mstore8(add({TOP}, 0x20), 1)");
        line!(self, "l := 0x21");
        line!(self, "}}");
        format!("keccak256({TOP}, l)")
    }

    fn digest(&self) -> String {
        match &self.key {
            KeyAccess::Constants(values) => word::literal(values.digest()),
            KeyAccess::Copy { .. } => self.key_text(KeyWord::Digest),
        }
    }

    fn later_segment(&mut self, segment: &Segment) -> String {
        let start = segment.address;
        if segment.words == 0 {
            line!(self, "mstore8({:#x}, 1)", start + 32);
            return format!("keccak256({start:#x}, 0x21)");
        }
        let from = self.proof(32 * segment.first);
        line!(self, "calldatacopy({:#x}, {from}, {:#x})", start + 32, 32 * segment.words);
        format!("keccak256({start:#x}, {:#x})", 32 * (1 + segment.words))
    }

    fn challenges(&mut self, segment: &Segment, hash: &str, next: Option<usize>) {
        line!(self, "{{");
        line!(self, "let h := {hash}");
        for (i, challenge) in segment.challenges.iter().enumerate() {
            if i > 0 {
                // The digest alone is hashed again with a byte appended; it lies in scratch space.
                line!(self, "mstore(0x00, h)");
                line!(self, "mstore8(0x20, 1)");
                line!(self, "h := keccak256(0x00, 0x21)");
            }
            // Without lookups nothing reads theta.
            if *challenge != Challenge::Theta || self.shape.lookups() > 0 {
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
        let (first, end) = (self.proof(32 * start), self.proof(32 * (start + self.shape.eval_count())));
        let not_canonical = Failure::ScalarNotCanonical.yul();
        let proof_start = self.proof(0);
        line!(self, "{{");
        line!(self, "let ok := 1");
        for group in checks.chunks(GROUP) {
            line!(self, "ok := and(ok, {})", fold("and", group));
        }
        line!(self, "if iszero(ok) {{");
        line!(self, "for {{ let p := {first} }} lt(p, {end}) {{ p := add(p, 0x20) }} {{");
        line!(self, "if iszero(lt(calldataload(p), r)) {{ fail1({not_canonical}, shr(5, sub(p, {proof_start}))) }}");
        line!(self, "}}");
        line!(self, "}}");
        line!(self, "}}");
        let not_canonical = Failure::InstanceNotCanonical.yul();
        let instances = self.instance_bytes();
        line!(self, "for {{ let p := 0 }} lt(p, {instances}) {{ p := add(p, 0x20) }} {{");
        line!(self, "if iszero(lt(mload(add(add({TOP}, 0x20), p)), r)) {{ fail1({not_canonical}, shr(5, p)) }}");
        line!(self, "}}");
    }

    /// Numerator and denominator of a sum of `value_i w_i / (x - w_i)` over consecutive rows from
    /// `row`, `value_i` one for the blinding rows, or the instances. One running fraction needs one inverse in the end.
    fn fraction(&mut self, row: i32, instances: bool) -> (usize, usize) {
        let (numerator, denominator, first) = (self.memory.words(1), self.memory.words(1), self.memory.words(1));
        let x = self.transcript.challenge(Challenge::X);
        let omega = self.key_text(KeyWord::Root(1));
        let root = self.root(row);
        self.program.store(&[(first, root)], &mut self.memory, &mut self.out);
        let (start, end) = if instances {
            (format!("add({TOP}, 0x20)"), format!("add(add({TOP}, 0x20), {})", self.instance_bytes()))
        } else {
            ("0".to_owned(), format!("{:#x}", 32 * self.shape.blinding))
        };
        line!(self, "{{");
        line!(self, "let w := mload({first:#x})");
        line!(self, "let num := 0");
        line!(self, "let den := 1");
        line!(self, "let end := {end}");
        line!(self, "for {{ let p := {start} }} lt(p, end) {{ p := add(p, 0x20) }} {{");
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

    /// `x^n` at an address: as many squarings as the logarithm of `n`.
    fn rows_power(&mut self, address: usize) {
        let x = self.transcript.challenge(Challenge::X);
        line!(self, "{{");
        line!(self, "let t := mload({x:#x})");
        match &self.key {
            KeyAccess::Constants(values) => {
                for _ in 0..values.k {
                    line!(self, "t := mulmod(t, t, r)");
                }
            }
            KeyAccess::Copy { .. } => {
                let size = self.key_text(KeyWord::Size);
                line!(self, "for {{ let i := and({size}, 0xff) }} i {{ i := sub(i, 1) }} {{ t := mulmod(t, t, r) }}");
            }
        }
        line!(self, "mstore({address:#x}, t)");
        line!(self, "}}");
    }

    /// Everything in the field: the quotient's value and the scalars of the opening argument.
    fn evaluate(&mut self) -> Result<opening::Values> {
        line!(self, "// Row polynomials at x, and all denominators.");
        let xn = self.memory.words(1);
        self.rows_power(xn);

        // Addresses of denominators; one inversion replaces each value by its inverse.
        let mut denominators: Vec<usize> = Vec::new();
        let queries = self.shape.instance_queries.clone();
        let instance_fractions: Vec<_> = queries.iter().map(|rotation| self.fraction(-rotation, true)).collect();
        let blind = self.fraction(-(self.shape.blinding as i32), false);
        denominators.extend(instance_fractions.iter().map(|(_, denominator)| *denominator));
        denominators.push(blind.1);

        let x = self.challenge(Challenge::X);
        let xn_node = self.program.word(xn);
        let last_root = self.root(self.shape.last_rotation());
        let rows_inverse = self.key_scalar(KeyWord::RowsInverse);
        let p = &mut self.program;
        let one = p.constant(Fr::ONE);
        let from_first = p.sub(x, one);
        let from_last = p.sub(x, last_root);
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
        let scale = p.mul(vanishing, rows_inverse);
        let l_first = p.mul(scale, inverted[0]);
        let weighted = p.mul(scale, last_root);
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
            line!(self, "mstore({:#x}, {value})", S + 32 * i);
        }
        line!(
            self,
            "if iszero(and(eq(returndatasize(), 0x20), staticcall(gas(), 5, {S:#x}, 0xc0, 0x00, 0x20))) {{ fail1({failed}, 5) }}"
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
