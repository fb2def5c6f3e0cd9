//! Where the gas of a verification goes.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use foundry_compilers::artifacts::sourcemap::SourceMap;
use revm::Inspector;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::{Jumps as _, LegacyBytecode as _};
use revm::interpreter::{CallInputs, CallOutcome, Interpreter};
use serde::Serialize;

use crate::compile::{SolcPath, mapped};
use crate::error::Result;

/// The parts of a verifier's code that its source names, by instruction.
#[derive(Clone, Debug)]
pub struct SourceParts {
    /// The part of the instruction at each byte of the code.
    at: Vec<usize>,
    names: Vec<String>,
}

/// Gas of a part of a verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GasPart {
    /// What the gas is for.
    pub name: String,
    /// How often, for precompiles.
    pub calls: Option<u64>,
    /// Gas.
    pub gas: u64,
}

/// What the contract in front of a shared verifier does.
const FORWARDING: &str = "forwarding to the shared verifier";
/// What comes before the assembly of `verify`.
const DECODING: &str = "Solidity's decoding of calldata";
/// The functions that multiply commitments and add them.
const MULTIPLES: &str = "calls of the curve's precompiles";
const PUSH1: u8 = 0x60;
const PUSH32: u8 = 0x7f;

impl SourceParts {
    /// Compiles a generated source and finds its parts in the code.
    ///
    /// # Errors
    /// As [`compile`](crate::compile), and where the compiler gives no map of the source.
    pub fn compile(source: &str, solc: &SolcPath) -> Result<Self> {
        let (code, map) = mapped(source, solc)?;
        Ok(Self::new(source, &code, &map))
    }

    /// The parts of a generated source, from its compiled code and the compiler's map of it. `code` is what is on a chain:
    /// immutables do not move instructions.
    fn new(source: &str, code: &[u8], map: &SourceMap) -> Self {
        let (labels, names) = labels(source);
        let mut at = Vec::with_capacity(code.len());
        let mut instructions = map.iter();
        let mut current = 0;
        while at.len() < code.len() {
            let opcode = code[at.len()];
            let offset = instructions.next().map_or(0, |element| element.offset() as usize);
            current = labels.iter().rev().find(|(start, _)| *start <= offset).map_or(current, |(_, part)| *part);
            let length = 1 + if (PUSH1..=PUSH32).contains(&opcode) { usize::from(opcode - PUSH1) + 1 } else { 0 };
            at.extend(std::iter::repeat_n(current, length));
        }
        SourceParts { at, names }
    }
}

/// Where each part starts in the source: at the functions of `verify`, then at each comment of its body.
fn labels(source: &str) -> (Vec<(usize, usize)>, Vec<String>) {
    let mut names = vec![DECODING.to_owned(), MULTIPLES.to_owned()];
    let mut labels = vec![(0, 0)];
    let (mut offset, mut in_body) = (0, false);
    for line in source.split_inclusive('\n') {
        let text = line.trim();
        in_body |= text.starts_with("let r :=");
        if !in_body && text.starts_with("function horner(") {
            labels.push((offset, 1));
        } else if in_body && let Some(name) = text.strip_prefix("// ") {
            labels.push((offset, names.len()));
            names.push(name.trim_end_matches('.').to_owned());
        }
        offset += line.len();
    }
    (labels, names)
}

/// Adds up gas by part while a transaction runs.
#[derive(Debug)]
pub(crate) struct Profiler<'a> {
    parts: &'a SourceParts,
    frames: Vec<Frame>,
    spent: Vec<u64>,
    forwarding: u64,
    precompiles: BTreeMap<u64, (u64, u64)>,
}

/// A call that is running.
#[derive(Debug, Default)]
struct Frame {
    /// The part of the instruction that runs (nothing in other code), and the gas left before it.
    running: Option<(Option<usize>, u64)>,
    /// Gas that calls of the running instruction took.
    in_calls: u64,
    /// Gas that is attributed, calls included.
    known: u64,
}

impl<'a> Profiler<'a> {
    pub(crate) fn new(parts: &'a SourceParts) -> Self {
        let spent = vec![0; parts.names.len()];
        Profiler { parts, frames: Vec::new(), spent, forwarding: 0, precompiles: BTreeMap::new() }
    }

    /// The parts in the order of the source, then the precompiles.
    pub(crate) fn finish(self) -> Vec<GasPart> {
        let part = |(name, gas): (&str, u64)| GasPart { name: name.to_owned(), calls: None, gas };
        let named = self.parts.names.iter().map(String::as_str).zip(self.spent);
        let precompiles = self.precompiles.into_iter().map(|(number, (calls, gas))| {
            let name = match number {
                5 => "modular exponentiation".to_owned(),
                6 => "additions of points".to_owned(),
                7 => "multiplications of points".to_owned(),
                8 => "pairing".to_owned(),
                other => format!("precompile {other}"),
            };
            GasPart { name, calls: Some(calls), gas }
        });
        let parts = std::iter::once((FORWARDING, self.forwarding)).chain(named).map(part).chain(precompiles);
        parts.filter(|part| part.gas > 0).collect()
    }

    fn attribute(&mut self, part: Option<usize>, gas: u64) {
        match part {
            Some(part) => self.spent[part] += gas,
            None => self.forwarding += gas,
        }
    }
}

impl<CTX> Inspector<CTX, EthInterpreter> for Profiler<'_> {
    fn initialize_interp(&mut self, _: &mut Interpreter<EthInterpreter>, _: &mut CTX) {
        self.frames.push(Frame::default());
    }

    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, _: &mut CTX) {
        let left = interpreter.gas.remaining();
        let part = if interpreter.bytecode.bytecode_len() == self.parts.at.len() {
            self.parts.at.get(interpreter.bytecode.pc()).copied()
        } else {
            None
        };
        let Some(frame) = self.frames.last_mut() else { return };
        let before = frame.running.replace((part, left));
        let in_calls = std::mem::take(&mut frame.in_calls);
        if let Some((part, gas)) = before {
            let spent = gas.saturating_sub(left);
            frame.known += spent;
            self.attribute(part, spent.saturating_sub(in_calls));
        }
    }

    fn call_end(&mut self, _: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        let spent = outcome.gas().total_gas_spent();
        if let Some(number) = precompile(inputs.bytecode_address) {
            let entry = self.precompiles.entry(number).or_default();
            *entry = (entry.0 + 1, entry.1 + spent);
        } else if let Some(frame) = self.frames.pop()
            && let Some((part, _)) = frame.running
        {
            self.attribute(part, spent.saturating_sub(frame.known));
        }
        if let Some(caller) = self.frames.last_mut() {
            caller.in_calls += spent;
        }
    }
}

/// Number of a precompile.
fn precompile(address: Address) -> Option<u64> {
    let (zeros, number) = address.as_slice().split_at(18);
    let number = u64::from(number[0]) << 8 | u64::from(number[1]);
    (zeros.iter().all(|byte| *byte == 0) && number <= 0x100).then_some(number)
}
