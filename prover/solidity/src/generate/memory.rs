//! Where the generated verifier keeps its values.

/// First address that the verifier uses: Solidity's free memory when an external function starts.
pub(crate) const BASE: usize = 0x80;

/// Hands out memory in order; nothing is ever given back.
pub(crate) struct Memory {
    next: usize,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Memory { next: BASE }
    }

    /// Address of `count` fresh words.
    pub(crate) fn words(&mut self, count: usize) -> usize {
        let address = self.next;
        self.next += 32 * count;
        address
    }
}
