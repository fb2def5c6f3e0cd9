//! A case on disk: a model, its input and the outputs that the ONNX reference gives.

use std::{fs, path::Path};

use eyre::{Result, WrapErr, ensure, eyre};
use prost::Message;
use tract_onnx::pb::{ModelProto, TensorProto, tensor_proto::DataType};

use super::record_folder;

/// A case of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its folder's name.
    pub name: String,
    /// The operator that it is about.
    pub operator: String,
}

impl Case {
    /// The cases that `tests/conformance/cases.txt` lists.
    ///
    /// # Errors
    /// As [`Case::list`], and where the file cannot be read.
    pub fn all() -> Result<Vec<Self>> {
        Self::list(&fs::read_to_string(record_folder().join("cases.txt"))?)
    }

    /// The cases of a list: a name and an operator a line, `#` before a comment.
    ///
    /// # Errors
    /// Where a line is neither.
    pub fn list(text: &str) -> Result<Vec<Self>> {
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                let (name, operator) = line.split_once(' ').ok_or_else(|| eyre!("`{line}` is no case and operator"))?;
                Ok(Self { name: name.to_owned(), operator: operator.to_owned() })
            })
            .collect()
    }
}

/// Names of the cases that go on to a proof: those in `tests/conformance/proved.txt`, one a line.
///
/// # Errors
/// Where the file cannot be read.
pub fn proved() -> Result<Vec<String>> {
    let text = fs::read_to_string(record_folder().join("proved.txt"))?;
    Ok(text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

/// Elements of a tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Elements {
    /// Of a floating-point type.
    Real(Vec<f64>),
    /// Of an integer type or booleans.
    Whole(Vec<i128>),
}

impl Elements {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Real(values) => values.len(),
            Self::Whole(values) => values.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as an input file has them.
    #[must_use]
    pub fn reals(&self) -> Vec<f64> {
        match self {
            Self::Real(values) => values.clone(),
            Self::Whole(values) => values.iter().map(|v| *v as f64).collect(),
        }
    }
}

/// An input of a model, with the value that the case gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Name in the model.
    pub name: String,
    /// The value.
    pub value: Elements,
}

/// What the files of a case say.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    /// Inputs in the model's order.
    pub inputs: Vec<Input>,
    /// Expected outputs in the model's order.
    pub outputs: Vec<Elements>,
}

impl Data {
    /// Reads the data of the case in a folder.
    ///
    /// # Errors
    /// Where a file is absent or cannot be decoded.
    pub fn read(folder: &Path) -> Result<Self> {
        let model = ModelProto::decode(read(&folder.join("model.onnx"))?.as_slice())?;
        let graph = model.graph.ok_or_else(|| eyre!("the model has no graph"))?;
        let tensor = |side: &str, index: usize| {
            let path = folder.join(format!("test_data_set_0/{side}_{index}.pb"));
            let proto = TensorProto::decode(read(&path)?.as_slice())?;
            elements(&proto).wrap_err_with(|| path.display().to_string())
        };
        let inputs = graph.input.into_iter().enumerate();
        let inputs = inputs.map(|(i, port)| Ok(Input { name: port.name, value: tensor("input", i)? }));
        let outputs = (0..graph.output.len()).map(|i| tensor("output", i));
        Ok(Self { inputs: inputs.collect::<Result<_>>()?, outputs: outputs.collect::<Result<_>>()? })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).wrap_err_with(|| path.display().to_string())
}

/// Elements of a tensor of any type that a case has.
fn elements(proto: &TensorProto) -> Result<Elements> {
    fn raw<const N: usize, T>(proto: &TensorProto, read: fn([u8; N]) -> T) -> Vec<T> {
        proto.raw_data.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
    }
    let typed = proto.raw_data.is_empty();
    let words = || proto.int32_data.iter().map(|v| i128::from(*v)).collect();
    let data_type = DataType::try_from(proto.data_type)?;
    let elements = match data_type {
        DataType::Float if typed => Elements::Real(proto.float_data.iter().map(|v| f64::from(*v)).collect()),
        DataType::Float => Elements::Real(raw(proto, |b| f64::from(f32::from_le_bytes(b)))),
        DataType::Double if typed => Elements::Real(proto.double_data.clone()),
        DataType::Double => Elements::Real(raw(proto, f64::from_le_bytes)),
        DataType::Float16 if typed => Elements::Real(proto.int32_data.iter().map(|v| half(*v as u16)).collect()),
        DataType::Float16 => Elements::Real(raw(proto, |b| half(u16::from_le_bytes(b)))),
        DataType::Int64 if typed => Elements::Whole(proto.int64_data.iter().map(|v| i128::from(*v)).collect()),
        DataType::Int64 => Elements::Whole(raw(proto, |b| i128::from(i64::from_le_bytes(b)))),
        DataType::Uint32 | DataType::Uint64 if typed => {
            Elements::Whole(proto.uint64_data.iter().map(|v| i128::from(*v)).collect())
        }
        DataType::Uint64 => Elements::Whole(raw(proto, |b| i128::from(u64::from_le_bytes(b)))),
        DataType::Uint32 => Elements::Whole(raw(proto, |b| i128::from(u32::from_le_bytes(b)))),
        DataType::Int32 | DataType::Int16 | DataType::Int8 | DataType::Uint16 | DataType::Uint8 | DataType::Bool
            if typed =>
        {
            Elements::Whole(words())
        }
        DataType::Int32 => Elements::Whole(raw(proto, |b| i128::from(i32::from_le_bytes(b)))),
        DataType::Int16 => Elements::Whole(raw(proto, |b| i128::from(i16::from_le_bytes(b)))),
        DataType::Uint16 => Elements::Whole(raw(proto, |b| i128::from(u16::from_le_bytes(b)))),
        DataType::Int8 => Elements::Whole(raw(proto, |[b]: [u8; 1]| i128::from(b as i8))),
        DataType::Uint8 | DataType::Bool => Elements::Whole(raw(proto, |[b]: [u8; 1]| i128::from(b))),
        other => return Err(eyre!("elements of type {} are not read", other.as_str_name())),
    };
    let expected: i64 = proto.dims.iter().product();
    ensure!(elements.len() as i64 == expected, "{expected} elements are declared, {} are there", elements.len());
    Ok(elements)
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f64::from(bits & 0x3ff);
    sign * match bits >> 10 & 0x1f {
        0 => fraction * (-24f64).exp2(),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1024.0 + fraction) * f64::from(i32::from(exponent) - 25).exp2(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_a_case_a_line() {
        let abs = Case { name: "test_abs".to_owned(), operator: "Abs".to_owned() };
        assert_eq!(Case::list("# cases\n\ntest_abs Abs\n").ok(), Some(vec![abs]));
        assert!(Case::list("test_abs\n").is_err());
    }

    #[test]
    fn cases_to_be_proved_are_cases() {
        let (all, proved) = (Case::all().unwrap_or_default(), proved().unwrap_or_default());
        let unknown: Vec<_> = proved.iter().filter(|name| !all.iter().any(|case| case.name == **name)).collect();
        assert!(!proved.is_empty() && unknown.is_empty(), "no cases: {unknown:?}");
    }

    #[test]
    fn elements_are_read_from_bytes_and_from_typed_fields() {
        let raw = |data_type: DataType, bytes: &[u8]| {
            let proto = TensorProto {
                data_type: data_type as i32,
                dims: vec![1],
                raw_data: bytes.to_vec(),
                ..TensorProto::default()
            };
            elements(&proto).ok()
        };
        assert_eq!(raw(DataType::Int8, &[0xff]), Some(Elements::Whole(vec![-1])));
        assert_eq!(raw(DataType::Uint64, &[0xff; 8]), Some(Elements::Whole(vec![i128::from(u64::MAX)])));
        assert_eq!(raw(DataType::Float16, &[0x00, 0xc0]), Some(Elements::Real(vec![-2.0])));
        assert_eq!(raw(DataType::Float, &[0; 8]), None);
        let typed = TensorProto {
            data_type: DataType::Bool as i32,
            dims: vec![2],
            int32_data: vec![1, 0],
            ..TensorProto::default()
        };
        assert_eq!(elements(&typed).ok(), Some(Elements::Whole(vec![1, 0])));
    }
}
