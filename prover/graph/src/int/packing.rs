use serde::{Deserialize, Serialize};

/// Bits of an instance word that carry values: the largest whole number of bytes below the
/// scalar field's modulus.
pub const WORD_BITS: u32 = 248;

/// An instance word, big-endian, below `2^248`.
pub type Word = [u8; 32];

/// A value that does not fit its packing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("value {value} at index {index} does not fit {bits} signed bits")]
pub struct PackingError {
    /// Position in the tensor.
    pub index: usize,
    /// The value.
    pub value: i64,
    /// Bits a value has.
    pub bits: u32,
}

/// How the values of a public tensor share instance words.
///
/// Value `i` is stored as `v + 2^(bits-1)` in word `i / per_word`, shifted left by
/// `bits * (i mod per_word)`: the first value is the least significant. The last word's unused
/// places are zero. With 24 bits and eight a word this is a storage slot of the feature ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packing {
    /// Bits of a value, 1 to 32.
    pub bits: u32,
    /// Values in a word, at most `248 / bits`.
    pub per_word: usize,
}

impl Packing {
    /// As many values of `bits` bits to a word as fit.
    #[must_use]
    pub fn dense(bits: u32) -> Self {
        Self { bits, per_word: (WORD_BITS / bits) as usize }
    }

    /// What is added to a value before it is stored.
    #[must_use]
    pub fn offset(self) -> i64 {
        1i64 << (self.bits - 1)
    }

    /// Words that `len` values take.
    #[must_use]
    pub fn words(self, len: usize) -> usize {
        len.div_ceil(self.per_word)
    }

    /// Packs a tensor's values.
    ///
    /// # Errors
    /// Where a value does not fit `bits` signed bits.
    pub fn pack(self, values: &[i64]) -> Result<Vec<Word>, PackingError> {
        let mut words = vec![[0u8; 32]; self.words(values.len())];
        for (index, &value) in values.iter().enumerate() {
            let stored = value.checked_add(self.offset()).filter(|s| *s >= 0 && *s < 1i64 << self.bits);
            let Some(stored) = stored else {
                return Err(PackingError { index, value, bits: self.bits });
            };
            let word = &mut words[index / self.per_word];
            let shift = self.bits as usize * (index % self.per_word);
            for bit in (0..self.bits as usize).filter(|b| (stored >> b) & 1 == 1) {
                let at = shift + bit;
                word[31 - at / 8] |= 1 << (at % 8);
            }
        }
        Ok(words)
    }

    /// The values in `words`, the inverse of [`Packing::pack`]; bits outside the values are ignored.
    #[must_use]
    pub fn unpack(self, words: &[Word], len: usize) -> Vec<i64> {
        (0..len)
            .map(|index| {
                let word = words.get(index / self.per_word).copied().unwrap_or_default();
                let shift = self.bits as usize * (index % self.per_word);
                let stored = (0..self.bits as usize).fold(0i64, |v, bit| {
                    let at = shift + bit;
                    v | i64::from((word[31 - at / 8] >> (at % 8)) & 1) << bit
                });
                stored - self.offset()
            })
            .collect()
    }
}
