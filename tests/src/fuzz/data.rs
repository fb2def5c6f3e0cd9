//! Data files: JSON text, and archives whose checksums hold, so that what is wrong inside them is read.

use rand::{Rng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{Kind, Mutant, bytes, corpus::Corpus};

/// What may stand in a header's place of a type or a size.
const TYPES: [&str; 12] =
    ["<f4", "<f8", ">f4", "<i8", "<i4", "|u1", "|b1", "<f2", "<c8", "|O", "<U8", "[('a', '<f4')]"];
const SIZES: [&str; 10] =
    ["0", "1", "32", "64", "-1", "4294967296", "18446744073709551615", "99999999999999999999", "", "(1)"];
/// What may stand in JSON in the place of a number.
const VALUES: [&str; 12] = [
    "1e400",
    "-1e308",
    "null",
    "true",
    "\"x\"",
    "[]",
    "{}",
    "[[[[]]]]",
    "123456789012345678901234567890",
    "-0.0",
    "1e-400",
    "NaN",
];

/// A data file for the inputs of a model.
pub(super) fn mutant(rng: &mut ChaCha8Rng, corpus: &Corpus) -> Mutant {
    if rng.gen_bool(0.5) {
        let (first, other) = (pick(rng, &corpus.json), pick(rng, &corpus.json));
        return Mutant { kind: Kind::Json, bytes: json(rng, first, other) };
    }
    Mutant { kind: Kind::Npz, bytes: npz(rng) }
}

fn pick<'a>(rng: &mut ChaCha8Rng, list: &'a [Vec<u8>]) -> &'a [u8] {
    list.choose(rng).map_or(&[], Vec::as_slice)
}

fn json(rng: &mut ChaCha8Rng, text: &[u8], other: &[u8]) -> Vec<u8> {
    let mut text = text[..text.len().min(20_000)].to_vec();
    match rng.gen_range(0..5) {
        0 => {
            let depth = [10, 100, 127, 128, 129, 10_000, 200_000][rng.gen_range(0..7)];
            let mut nested = b"{\"x\":".to_vec();
            nested.extend(std::iter::repeat_n(b'[', depth));
            nested.extend(std::iter::repeat_n(b']', depth));
            nested.push(b'}');
            return nested;
        }
        1 | 2 => {
            // In the place of a number.
            let starts: Vec<usize> = (1..text.len())
                .filter(|at| text[*at].is_ascii_digit() && matches!(text[at - 1], b'[' | b' ' | b','))
                .collect();
            if let Some(at) = starts.choose(rng) {
                let end = (*at..text.len()).find(|i| matches!(text[*i], b',' | b']')).unwrap_or(text.len());
                let value = VALUES[rng.gen_range(0..VALUES.len())];
                text.splice(*at..end, value.bytes());
            }
            if rng.gen_bool(0.5) {
                return text;
            }
        }
        _ => {}
    }
    bytes::change(rng, &mut text, other);
    text
}

/// An archive of one or two arrays with a header that may say anything.
fn npz(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    let count = rng.gen_range(1..=2u16);
    for name in ["x.npy", "y.npy"].into_iter().take(count.into()) {
        let array = array(rng);
        let offset = archive.len() as u32;
        // A reader that trusts sizes is told wrong ones now and then.
        let claimed = if rng.gen_bool(0.9) { array.len() as u32 } else { u32::MAX - 1 };
        let mut entry = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        entry.extend(crc32(&array).to_le_bytes());
        entry.extend((array.len() as u32).to_le_bytes());
        entry.extend(claimed.to_le_bytes());
        entry.extend((name.len() as u16).to_le_bytes());
        entry.extend(0u16.to_le_bytes());
        archive.extend(b"PK\x03\x04");
        archive.extend(&entry);
        archive.extend(name.bytes());
        archive.extend(&array);
        directory.extend(b"PK\x01\x02");
        directory.extend([20, 0]);
        directory.extend(&entry);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.bytes());
    }
    let start = archive.len() as u32;
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    archive.extend((directory.len() as u32).to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend(0u16.to_le_bytes());
    if rng.gen_bool(0.2) {
        bytes::change(rng, &mut archive, &directory);
    }
    archive
}

fn array(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let kind = if rng.gen_bool(0.6) { "<f4" } else { TYPES[rng.gen_range(0..TYPES.len())] };
    let shape: Vec<&str> = match rng.gen_range(0..3) {
        0 => vec!["2", "32"],
        1 => (0..rng.gen_range(0..4)).map(|_| SIZES[rng.gen_range(0..SIZES.len())]).collect(),
        _ => std::iter::repeat_n("1", rng.gen_range(30..300)).collect(),
    };
    let order = if rng.gen_bool(0.3) { "True" } else { "False" };
    let mut header =
        format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': ({}), }}\n", shape.join(", ")).into_bytes();
    match rng.gen_range(0..8) {
        0 => bytes::change(rng, &mut header, b"'shape': ("),
        1 => header = vec![b'('; 60_000],
        _ => {}
    }
    let mut array = b"\x93NUMPY".to_vec();
    if rng.gen_bool(0.8) {
        array.extend([1, 0]);
        array.extend((header.len() as u16).to_le_bytes());
    } else {
        array.extend([2, 0]);
        let len = if rng.gen_bool(0.5) { header.len() as u32 } else { u32::MAX };
        array.extend(len.to_le_bytes());
    }
    array.extend(header);
    let elements = [0, 1, 2, 64, 65][rng.gen_range(0..5)];
    array.extend((0..elements * 4).map(|_| rng.gen_range(0..=255u8)));
    array
}

/// The checksum that archives have.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_archives() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
