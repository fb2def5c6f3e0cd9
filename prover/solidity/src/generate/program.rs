//! Field arithmetic as a graph with shared nodes, and its translation to Yul.
//!
//! Equal subexpressions become one node. A node that is used more than once is computed once and
//! kept in memory. Additions are not reduced until they have to be: five reduced values fit one
//! 256-bit word (`5r < 2^256`), and `mulmod`, `addmod` and `mod` take any word.

use std::collections::HashMap;

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field;

use super::memory::Memory;
use crate::word;

/// A node of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Node {
    Const([u8; 32]),
    /// A reduced value at this memory address.
    Word(usize),
    Add(Id, Id),
    Mul(Id, Id),
    Neg(Id),
}

/// Largest multiple of the modulus that an unreduced word may reach.
const WORD_BOUND: u8 = 5;
/// Stack slots that one nested expression may take; `DUP16` is the EVM's limit and the
/// surrounding function needs a few.
const MAX_DEPTH: usize = 8;
/// A constant longer than this is worth a memory slot when used several times.
const SHORT_CONSTANT_BYTES: usize = 4;

/// Yul for a value: its text, a bound in multiples of the modulus, stack slots needed.
struct Code {
    text: String,
    bound: u8,
    depth: usize,
}

impl Code {
    /// The same value below or equal to the modulus.
    fn reduced(self) -> Self {
        if self.bound <= 1 {
            return self;
        }
        Code { text: format!("mod({}, r)", self.text), bound: 1, depth: self.depth + 1 }
    }
}

/// A graph of field operations, and where its computed nodes are.
#[derive(Default)]
pub(crate) struct Program {
    nodes: Vec<Node>,
    index: HashMap<Node, Id>,
    /// Nodes that earlier statements left in memory: address and bound.
    stored: HashMap<Id, (usize, u8)>,
}

impl Program {
    fn insert(&mut self, node: Node) -> Id {
        if let Some(id) = self.index.get(&node) {
            return *id;
        }
        let id = Id(self.nodes.len());
        self.nodes.push(node);
        self.index.insert(node, id);
        id
    }

    fn constant_value(&self, id: Id) -> Option<Fr> {
        match self.nodes[id.0] {
            Node::Const(bytes) => word::scalar_from_bytes(&bytes),
            _ => None,
        }
    }

    /// A constant; one above `r/2` is the negation of a shorter one.
    pub(crate) fn constant(&mut self, value: Fr) -> Id {
        let (plain, negated) = (word::scalar_bytes(&value), word::scalar_bytes(&-value));
        if word::significant_bytes(&negated) + 1 < word::significant_bytes(&plain) {
            let id = self.insert(Node::Const(negated));
            return self.insert(Node::Neg(id));
        }
        self.insert(Node::Const(plain))
    }

    /// A reduced value in memory.
    pub(crate) fn word(&mut self, address: usize) -> Id {
        self.insert(Node::Word(address))
    }

    pub(crate) fn neg(&mut self, a: Id) -> Id {
        match self.nodes[a.0] {
            Node::Neg(inner) => inner,
            _ if self.constant_value(a) == Some(Fr::ZERO) => a,
            _ => self.insert(Node::Neg(a)),
        }
    }

    pub(crate) fn add(&mut self, a: Id, b: Id) -> Id {
        match (self.constant_value(a), self.constant_value(b)) {
            (Some(x), Some(y)) => self.constant(x + y),
            (Some(zero), None) if zero == Fr::ZERO => b,
            (None, Some(zero)) if zero == Fr::ZERO => a,
            _ => self.insert(Node::Add(a.min(b), a.max(b))),
        }
    }

    pub(crate) fn sub(&mut self, a: Id, b: Id) -> Id {
        let b = self.neg(b);
        self.add(a, b)
    }

    pub(crate) fn mul(&mut self, a: Id, b: Id) -> Id {
        if let Node::Neg(inner) = self.nodes[a.0] {
            let product = self.mul(inner, b);
            return self.neg(product);
        }
        if let Node::Neg(inner) = self.nodes[b.0] {
            let product = self.mul(a, inner);
            return self.neg(product);
        }
        match (self.constant_value(a), self.constant_value(b)) {
            (Some(x), Some(y)) => self.constant(x * y),
            (Some(x), None) if x == Fr::ZERO => a,
            (Some(x), None) if x == Fr::ONE => b,
            (None, Some(y)) if y == Fr::ZERO => b,
            (None, Some(y)) if y == Fr::ONE => a,
            _ => self.insert(Node::Mul(a.min(b), a.max(b))),
        }
    }

    /// `a^exponent`; powers that differ by one share their work.
    pub(crate) fn power(&mut self, a: Id, exponent: usize) -> Id {
        match exponent {
            0 => self.constant(Fr::ONE),
            1 => a,
            even if even % 2 == 0 => {
                let half = self.power(a, even / 2);
                self.mul(half, half)
            }
            odd => {
                let below = self.power(a, odd - 1);
                self.mul(below, a)
            }
        }
    }

    /// Product of all factors; one for none.
    pub(crate) fn product(&mut self, factors: impl IntoIterator<Item = Id>) -> Id {
        let one = self.constant(Fr::ONE);
        factors.into_iter().fold(one, |acc, factor| self.mul(acc, factor))
    }

    /// `terms[0] + base terms[1] + base^2 terms[2] + ...`.
    pub(crate) fn horner(&mut self, terms: &[Id], base: Id) -> Id {
        let zero = self.constant(Fr::ZERO);
        terms.iter().rev().fold(zero, |acc, term| {
            let scaled = self.mul(acc, base);
            self.add(scaled, *term)
        })
    }

    /// Writes statements that leave the value of each root at its address; later code reads it
    /// there.
    pub(crate) fn store(&mut self, roots: &[(usize, Id)], memory: &mut Memory, out: &mut String) {
        self.write(roots, memory, out);
        for (address, root) in roots {
            self.stored.entry(*root).or_insert((*address, 1));
        }
    }

    /// Writes statements that leave the value of each root at its address, which is about to be
    /// overwritten: later code computes the root anew.
    pub(crate) fn store_volatile(&mut self, roots: &[(usize, Id)], memory: &mut Memory, out: &mut String) {
        self.write(roots, memory, out);
    }

    fn write(&mut self, roots: &[(usize, Id)], memory: &mut Memory, out: &mut String) {
        let mut uses = vec![0usize; self.nodes.len()];
        for (_, root) in roots {
            self.count(*root, &mut uses);
        }
        for (address, root) in roots {
            let code = self.code(*root, &uses, memory, out);
            // Written words feed precompiles and comparisons too, so they are always reduced.
            let code = code.reduced();
            statement(out, *address, &code.text);
        }
    }

    fn count(&self, id: Id, uses: &mut [usize]) {
        uses[id.0] += 1;
        if uses[id.0] > 1 || self.stored.contains_key(&id) {
            return;
        }
        match self.nodes[id.0] {
            Node::Const(_) | Node::Word(_) => {}
            Node::Add(a, b) | Node::Mul(a, b) => {
                self.count(a, uses);
                self.count(b, uses);
            }
            Node::Neg(a) => self.count(a, uses),
        }
    }

    fn code(&mut self, id: Id, uses: &[usize], memory: &mut Memory, out: &mut String) -> Code {
        if let Some((address, bound)) = self.stored.get(&id) {
            return Code { text: format!("mload({address:#x})"), bound: *bound, depth: 1 };
        }
        let node = self.nodes[id.0];
        let code = match node {
            Node::Const(bytes) => Code { text: word::literal(&bytes), bound: 1, depth: 1 },
            Node::Word(address) => {
                return Code { text: format!("mload({address:#x})"), bound: 1, depth: 1 };
            }
            Node::Neg(a) => {
                let a = self.code(a, uses, memory, out).reduced();
                return Code { text: format!("sub(r, {})", a.text), bound: 1, depth: a.depth.max(2) };
            }
            Node::Add(a, b) => self.sum(a, b, uses, memory, out),
            Node::Mul(a, b) => {
                let (light, heavy) = self.operands(a, b, uses, memory, out);
                Code {
                    text: format!("mulmod({}, {}, r)", light.text, heavy.text),
                    bound: 1,
                    depth: (heavy.depth + 1).max(light.depth + 2),
                }
            }
        };
        let keep = match node {
            Node::Const(bytes) => uses[id.0] > 2 && word::significant_bytes(&bytes) > SHORT_CONSTANT_BYTES,
            _ => uses[id.0] > 1 || code.depth > MAX_DEPTH,
        };
        if !keep {
            return code;
        }
        let address = memory.words(1);
        statement(out, address, &code.text);
        self.stored.insert(id, (address, code.bound));
        Code { text: format!("mload({address:#x})"), bound: code.bound, depth: 1 }
    }

    fn sum(&mut self, a: Id, b: Id, uses: &[usize], memory: &mut Memory, out: &mut String) -> Code {
        let (light, heavy) = self.operands(a, b, uses, memory, out);
        let bound = light.bound + heavy.bound;
        if bound <= WORD_BOUND {
            return Code {
                text: format!("add({}, {})", light.text, heavy.text),
                bound,
                depth: heavy.depth.max(light.depth + 1),
            };
        }
        Code {
            text: format!("addmod({}, {}, r)", light.text, heavy.text),
            bound: 1,
            depth: (heavy.depth + 1).max(light.depth + 2),
        }
    }

    /// Both operands, the one that needs more stack last: Yul evaluates arguments from right to
    /// left, so it runs while the stack is still empty.
    fn operands(&mut self, a: Id, b: Id, uses: &[usize], memory: &mut Memory, out: &mut String) -> (Code, Code) {
        let a = self.code(a, uses, memory, out);
        let b = self.code(b, uses, memory, out);
        if a.depth > b.depth { (b, a) } else { (a, b) }
    }
}

fn statement(out: &mut String, address: usize, value: &str) {
    out.push_str(&format!("mstore({address:#x}, {value})\n"));
}
