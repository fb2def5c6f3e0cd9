//! Changes that know nothing of what the bytes mean.

use rand::{Rng, RngCore};
use rand_chacha::ChaCha8Rng;

/// Changes a few places.
pub(super) fn change(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..rng.gen_range(1..=4) {
        let at = rng.gen_range(0..=bytes.len());
        let end = (at + rng.gen_range(1..=32)).min(bytes.len());
        match rng.gen_range(0..7) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.gen_range(0..8);
                }
            }
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = [0, 1, 0x7f, 0x80, 0xff][rng.gen_range(0..5)];
                }
            }
            2 => {
                let mut added = vec![0; rng.gen_range(1..=8)];
                rng.fill_bytes(&mut added);
                bytes.splice(at..at, added);
            }
            3 => {
                bytes.drain(at..end);
            }
            4 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            5 if !other.is_empty() => {
                let from = rng.gen_range(0..other.len());
                let to = (from + rng.gen_range(1..=256)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            _ if rng.gen_bool(0.2) => bytes.truncate(at),
            _ => {}
        }
    }
}
