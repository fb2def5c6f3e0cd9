//! Arrays of `.npz` archives. What a header says is believed only as far as the data bears it out: nothing is set
//! aside for elements that are not there.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::float::{MAX_ELEMENTS, indices};

/// Bytes of the longest header; numpy's are of a hundred or so.
const MAX_HEADER: usize = 1 << 16;

/// Most axes, as many as numpy has.
const MAX_RANK: usize = 64;

/// The names of an archive's arrays, and the arrays.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
}

impl<'a> Archive<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| e.to_string())?;
        Ok(Self { zip })
    }

    /// Names as numpy has them, without their extension.
    pub(super) fn names(&self) -> Vec<String> {
        self.zip.file_names().map(|name| name.strip_suffix(".npy").unwrap_or(name).to_owned()).collect()
    }

    /// Shape and elements, row-major, of an array of any numeric type.
    pub(super) fn array(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f64>), String> {
        let stored = format!("{name}.npy");
        let stored = if self.zip.index_for_name(&stored).is_some() { stored } else { name.to_owned() };
        let mut file = self.zip.by_name(&stored).map_err(|e| e.to_string())?;
        let Header { kind, fortran, shape } = header(&mut file)?;
        let len = indices::count(&shape).filter(|n| *n <= MAX_ELEMENTS && shape.len() <= MAX_RANK);
        let len = len.ok_or_else(|| format!("its shape {shape:?} is too large"))?;
        let size = len * kind.width;
        let mut bytes = Vec::new();
        file.take(size as u64 + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        if bytes.len() != size {
            return Err(format!("it has not the {len} elements of its shape {shape:?}"));
        }
        let values: Vec<f64> = bytes.chunks_exact(kind.width).map(|element| kind.real(element)).collect();
        if !fortran {
            return Ok((shape, values));
        }
        let axes: Vec<usize> = (0..shape.len()).rev().collect();
        let turned: Vec<usize> = shape.iter().rev().copied().collect();
        let values = indices::permute(&turned, &axes).into_iter().map(|at| values[at]).collect();
        Ok((shape, values))
    }
}

/// What an array's header says.
struct Header {
    kind: Kind,
    fortran: bool,
    shape: Vec<usize>,
}

/// A numeric type.
#[derive(Clone, Copy)]
struct Kind {
    /// Numpy's letter: float, signed, unsigned, boolean.
    letter: char,
    width: usize,
    big_endian: bool,
}

impl Kind {
    /// From numpy's text, such as `<f4`.
    fn parse(text: &str) -> Option<Self> {
        let (big_endian, rest) = match text.strip_prefix('>') {
            Some(rest) => (true, rest),
            None => (false, text.trim_start_matches(['<', '|', '='])),
        };
        let mut letters = rest.chars();
        let (letter, width) = (letters.next()?, letters.as_str().parse().ok()?);
        let known = match letter {
            'f' => [2, 4, 8].contains(&width),
            'i' | 'u' => [1, 2, 4, 8].contains(&width),
            'b' => width == 1,
            _ => false,
        };
        known.then_some(Self { letter, width, big_endian })
    }

    /// The number that an element is.
    fn real(self, element: &[u8]) -> f64 {
        let mut bytes = [0; 8];
        bytes[..self.width].copy_from_slice(element);
        if self.big_endian {
            bytes[..self.width].reverse();
        }
        let word = u64::from_le_bytes(bytes);
        let unused = 64 - 8 * self.width as u32;
        match (self.letter, self.width) {
            ('f', 2) => crate::onnx::tensor::half(word as u16),
            ('f', 4) => f64::from(f32::from_bits(word as u32)),
            ('f', _) => f64::from_bits(word),
            // The sign is in the highest bit of the element.
            ('i', _) => (((word << unused) as i64) >> unused) as f64,
            ('b', _) => f64::from(u8::from(word != 0)),
            _ => word as f64,
        }
    }
}

fn header(file: &mut impl Read) -> Result<Header, String> {
    let mut start = [0; 8];
    let no_array = |_| "it is no .npy array".to_owned();
    file.read_exact(&mut start).map_err(no_array)?;
    if start[..6] != *b"\x93NUMPY" {
        return Err("it is no .npy array".to_owned());
    }
    let mut len = [0; 4];
    let bytes = match start[6] {
        1 => &mut len[..2],
        2 | 3 => &mut len[..],
        version => return Err(format!("its format version {version} is not known")),
    };
    file.read_exact(bytes).map_err(no_array)?;
    let len = u32::from_le_bytes(len) as usize;
    if len > MAX_HEADER {
        return Err(format!("its header has {len} bytes, more than {MAX_HEADER}"));
    }
    let mut text = vec![0; len];
    file.read_exact(&mut text).map_err(no_array)?;
    parse(&String::from_utf8_lossy(&text))
}

/// The dictionary `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
fn parse(text: &str) -> Result<Header, String> {
    let after = |key: &str| {
        let at = [format!("'{key}'"), format!("\"{key}\"")].iter().find_map(|k| Some(text.find(k)? + k.len()));
        let rest = at.and_then(|at| text[at..].trim_start().strip_prefix(':')).map(str::trim_start);
        rest.ok_or_else(|| format!("its header has no `{key}`"))
    };
    let descr = after("descr")?;
    let quoted = descr.strip_prefix(['\'', '"']).and_then(|d| d.split(['\'', '"']).next());
    let kind = quoted.and_then(Kind::parse).ok_or_else(|| {
        let shown: String = descr.chars().take(16).collect();
        format!("its elements are of type {shown}…, not plain numbers")
    })?;
    let fortran = after("fortran_order")?.starts_with("True");
    let dims = after("shape")?.strip_prefix('(').and_then(|s| s.split_once(')')).map(|(dims, _)| dims);
    let dims = dims.ok_or("its header has no shape")?;
    let shape = dims.split(',').map(str::trim).filter(|d| !d.is_empty()).map(str::parse).collect::<Result<_, _>>();
    Ok(Header { kind, fortran, shape: shape.map_err(|_| format!("its shape ({dims}) is no list of sizes"))? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn headers_are_read_as_numpy_writes_them() {
        let header = parse("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n").unwrap();
        assert_eq!((header.shape, header.fortran, header.kind.width), (vec![2, 3], false, 4));
        assert_eq!(parse("{'descr': '|b1', 'fortran_order': True, 'shape': (), }").unwrap().shape.len(), 0);
        for text in ["", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "{'descr': '<c8'}"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn elements_have_signs_and_either_order() {
        let real = |kind: &str, bytes: &[u8]| Kind::parse(kind).unwrap().real(bytes);
        assert_eq!(real("<i2", &[0xfe, 0xff]), -2.0);
        assert_eq!(real(">i2", &[0xff, 0xfe]), -2.0);
        assert_eq!(real("|u1", &[0xfe]), 254.0);
        assert_eq!(real(">f4", &1.5f32.to_be_bytes()), 1.5);
        assert_eq!(real("<f2", &[0x00, 0xc0]), -2.0);
        assert_eq!(real("<i8", &(-3i64).to_le_bytes()), -3.0);
    }
}
