//! Input and calibration data: JSON by input name, EZKL's JSON, and `.npz`.

mod npz;

use std::{borrow::Cow, collections::BTreeMap, path::Path};

use serde_json::Value as Json;

use crate::{
    GraphError,
    calibrate::MASKED,
    float::{Element, InputSpec},
};

/// Key of EZKL's form, and the array that a `.npz` for a model of one input may use instead of
/// the input's name.
const EZKL_KEY: &str = "input_data";
const NPZ_KEY: &str = "x";

/// Minus infinity in JSON, which has no number for it: this text, as in the JSON form of protocol buffers.
pub const MINUS_INFINITY: &str = "-Infinity";

/// What is no finite number in JSON, the longer words first.
const NOT_FINITE: [(&str, f64); 3] =
    [(MINUS_INFINITY, f64::NEG_INFINITY), ("Infinity", f64::INFINITY), ("NaN", f64::NAN)];

/// Real values of every input of a model, in the model's order, each row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// One list an input.
    pub inputs: Vec<Vec<f64>>,
}

impl Sample {
    /// Whether some number stands for minus infinity.
    pub(crate) fn is_masked(&self) -> bool {
        self.inputs.iter().flatten().any(|v| *v <= MASKED)
    }

    /// Checks that the sample fits a model: count, lengths, finite numbers or minus infinity, whole numbers where the
    /// input is an integer.
    ///
    /// # Errors
    /// Names the input, the index and the value.
    pub fn check(&self, specs: &[InputSpec]) -> Result<(), GraphError> {
        if self.inputs.len() != specs.len() {
            return Err(GraphError::InputCount { expected: specs.len(), got: self.inputs.len() });
        }
        for (values, spec) in self.inputs.iter().zip(specs) {
            let expected = spec.shape.iter().product();
            if values.len() != expected {
                return Err(GraphError::InputLength { input: spec.name.clone(), expected, got: values.len() });
            }
            for (index, v) in values.iter().enumerate() {
                if !v.is_finite() && (*v != f64::NEG_INFINITY || spec.element == Element::Integer) {
                    return Err(GraphError::NotFiniteInput { input: spec.name.clone(), index, value: v.to_string() });
                }
                if spec.element == Element::Integer && v.fract() != 0.0 {
                    return Err(GraphError::DataType {
                        origin: "the sample".to_owned(),
                        input: spec.name.clone(),
                        index,
                        value: v.to_string(),
                        expected: "an integer",
                    });
                }
            }
        }
        Ok(())
    }
}

/// What is read of a file.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    specs: &'a [InputSpec],
    /// Names of all inputs that the ONNX file has, in its order; none where `specs` are all of them.
    all: &'a [String],
    /// Whether `specs` are everything that the model reads.
    whole: bool,
}

/// Reads every sample of a file; `.npz` by its extension, JSON otherwise.
///
/// # Errors
/// Where the file cannot be read, or does not fit the inputs.
pub fn read_file(path: &Path, specs: &[InputSpec]) -> Result<Vec<Sample>, GraphError> {
    read_file_of(path, specs, &[])
}

/// The same for a model some inputs of whose ONNX file are constants: `all` names the inputs of that file, in its
/// order. The data may have them or not; in EZKL's form, where inputs have no names, a list of all of them is read.
///
/// # Errors
/// As [`read_file`].
pub fn read_file_of(path: &Path, specs: &[InputSpec], all: &[String]) -> Result<Vec<Sample>, GraphError> {
    read_wanted(path, Wanted { specs, all, whole: true })
}

/// The value that an input has in every sample of a file.
///
/// # Errors
/// As [`read_file`], and where two samples differ.
pub fn constant_of(path: &Path, spec: &InputSpec, all: &[String]) -> Result<Vec<f64>, GraphError> {
    let specs = std::slice::from_ref(spec);
    let samples = read_wanted(path, Wanted { specs, all, whole: all.len() <= 1 })?;
    let mut values = samples.into_iter().filter_map(|sample| sample.inputs.into_iter().next());
    let first = values.next().ok_or(GraphError::NoSamples)?;
    for (n, other) in values.enumerate() {
        if let Some(index) = first.iter().zip(&other).position(|(a, b)| a != b) {
            return Err(GraphError::InputVaries {
                origin: path.display().to_string(),
                input: spec.name.clone(),
                index,
                values: [first[index], other[index]],
                sample: n + 1,
            });
        }
    }
    Ok(first)
}

fn read_wanted(path: &Path, wanted: Wanted<'_>) -> Result<Vec<Sample>, GraphError> {
    let bytes = std::fs::read(path).map_err(|source| GraphError::File { path: path.to_owned(), source })?;
    let origin = path.display().to_string();
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz")) {
        npz(&bytes, &origin, wanted)
    } else {
        json(&bytes, &origin, wanted)
    }
}

/// Reads the samples of JSON text in either form.
///
/// # Errors
/// Where it is no JSON of a known form, or does not fit the inputs.
pub fn read_json(bytes: &[u8], origin: &str, specs: &[InputSpec]) -> Result<Vec<Sample>, GraphError> {
    json(bytes, origin, Wanted { specs, all: &[], whole: true })
}

fn json(bytes: &[u8], origin: &str, wanted: Wanted<'_>) -> Result<Vec<Sample>, GraphError> {
    let specs = wanted.specs;
    let format = |reason: String| GraphError::DataFormat { origin: origin.to_owned(), reason };
    let quoted = with_quoted_words(bytes);
    let json: Json = serde_json::from_slice(&quoted).map_err(|e| format(format!("it is no JSON ({e})")))?;
    let Json::Object(map) = &json else {
        return Err(format("its top level is no object".to_owned()));
    };
    let arrays = if let Some(Json::Array(list)) = map.get(EZKL_KEY)
        && !specs.iter().any(|s| s.name == EZKL_KEY)
    {
        let list = wanted.of_list(list)?;
        list.iter()
            .zip(specs)
            .map(|(json, spec)| {
                let mut array = nested(json, origin, spec)?;
                // EZKL's arrays are flat, whatever their nesting.
                array.shape = vec![array.data.len()];
                Ok(array)
            })
            .collect::<Result<Vec<_>, _>>()?
    } else {
        specs
            .iter()
            .map(|spec| match map.get(&spec.name) {
                Some(json) => nested(json, origin, spec),
                None => Err(GraphError::MissingInput {
                    origin: origin.to_owned(),
                    input: spec.name.clone(),
                    found: map.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
                }),
            })
            .collect::<Result<Vec<_>, _>>()?
    };
    samples(&arrays, origin, specs)
}

/// The text with each bare word for what is no finite number, which Python writes and JSON does not know, as a string.
fn with_quoted_words(text: &[u8]) -> Cow<'_, [u8]> {
    let has = |word: &str| text.windows(word.len()).any(|part| part == word.as_bytes());
    if !NOT_FINITE.iter().any(|(word, _)| has(word)) {
        return Cow::Borrowed(text);
    }
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    let (mut inside, mut escaped) = (false, false);
    while let Some((byte, after)) = rest.split_first() {
        let found = NOT_FINITE.iter().map(|(word, _)| word).find(|word| rest.starts_with(word.as_bytes()));
        if let Some(word) = found.filter(|_| !inside) {
            out.push(b'"');
            out.extend(word.as_bytes());
            out.push(b'"');
            rest = &rest[word.len()..];
            continue;
        }
        inside ^= *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        out.push(*byte);
        rest = after;
    }
    Cow::Owned(out)
}

/// Reads the samples of a `.npz` archive. A model of one input takes the array of its name, or
/// the one called `x`.
///
/// # Errors
/// Where it is no archive of numeric arrays, or does not fit the inputs.
pub fn read_npz(bytes: &[u8], origin: &str, specs: &[InputSpec]) -> Result<Vec<Sample>, GraphError> {
    npz(bytes, origin, Wanted { specs, all: &[], whole: true })
}

fn npz(bytes: &[u8], origin: &str, wanted: Wanted<'_>) -> Result<Vec<Sample>, GraphError> {
    let specs = wanted.specs;
    let format = |reason: String| GraphError::DataFormat { origin: origin.to_owned(), reason };
    let mut archive = npz::Archive::open(bytes).map_err(|e| format(format!("it is no .npz archive ({e})")))?;
    let names = archive.names();
    let mut arrays = Vec::with_capacity(specs.len());
    for spec in specs {
        let has = |key: &str| names.iter().any(|n| n == key);
        let key = if has(&spec.name) {
            spec.name.as_str()
        } else if wanted.whole && specs.len() == 1 && has(NPZ_KEY) {
            NPZ_KEY
        } else {
            return Err(GraphError::MissingInput {
                origin: origin.to_owned(),
                input: spec.name.clone(),
                found: names.join(", "),
            });
        };
        let (shape, data) = archive.array(key).map_err(|e| format(format!("array `{key}` cannot be read ({e})")))?;
        arrays.push(Array { shape, data });
    }
    samples(&arrays, origin, specs)
}

impl Wanted<'_> {
    /// The wanted items of a list that has one an input.
    fn of_list<'j>(&self, list: &'j [Json]) -> Result<Vec<&'j Json>, GraphError> {
        if self.whole && list.len() == self.specs.len() {
            return Ok(list.iter().collect());
        }
        let count = || GraphError::InputCount { expected: self.all.len().max(self.specs.len()), got: list.len() };
        if list.len() != self.all.len() {
            return Err(count());
        }
        let position = |spec: &InputSpec| self.all.iter().position(|name| *name == spec.name);
        self.specs.iter().map(|spec| position(spec).and_then(|at| list.get(at)).ok_or_else(count)).collect()
    }
}

/// Data with the shape it has in its file.
struct Array {
    shape: Vec<usize>,
    data: Vec<f64>,
}

/// Nested JSON arrays of numbers, all of one depth and size.
fn nested(json: &Json, origin: &str, spec: &InputSpec) -> Result<Array, GraphError> {
    let mut shape = Vec::new();
    let mut level = json;
    while let Json::Array(list) = level {
        shape.push(list.len());
        match list.first() {
            Some(first) => level = first,
            None => break,
        }
    }
    let mut data = Vec::new();
    collect(json, &shape, &mut data, &|index, found| match found {
        Some(value) => GraphError::DataType {
            origin: origin.to_owned(),
            input: spec.name.clone(),
            index,
            value,
            expected: "a number",
        },
        None => GraphError::DataShape {
            origin: origin.to_owned(),
            input: spec.name.clone(),
            expected: spec.shape.clone(),
            got: format!("rows of different length near element {index}"),
        },
    })?;
    Ok(Array { shape, data })
}

/// Appends the numbers under `json`, which should nest as `shape` says.
fn collect(
    json: &Json,
    shape: &[usize],
    out: &mut Vec<f64>,
    refused: &dyn Fn(usize, Option<String>) -> GraphError,
) -> Result<(), GraphError> {
    match (json, shape) {
        (Json::Array(list), [len, inner @ ..]) if list.len() == *len => {
            list.iter().try_for_each(|item| collect(item, inner, out, refused))
        }
        (Json::Number(n), []) => {
            out.push(n.as_f64().ok_or_else(|| refused(out.len(), Some(n.to_string())))?);
            Ok(())
        }
        (Json::String(text), []) => match NOT_FINITE.iter().find(|(word, _)| text == word) {
            Some((_, value)) => {
                out.push(*value);
                Ok(())
            }
            None => Err(refused(out.len(), Some(format!("\"{text}\"")))),
        },
        (Json::Bool(b), []) => {
            out.push(f64::from(u8::from(*b)));
            Ok(())
        }
        (Json::Array(_) | Json::Number(_) | Json::Bool(_), _) => Err(refused(out.len(), None)),
        (other, _) => Err(refused(out.len(), Some(other.to_string()))),
    }
}

/// Cuts each input's data into samples.
fn samples(arrays: &[Array], origin: &str, specs: &[InputSpec]) -> Result<Vec<Sample>, GraphError> {
    let mut counts = BTreeMap::new();
    // A flat array without elements has as many samples of an input without elements as there are of the others.
    let empty = |(array, spec): &(&Array, &InputSpec)| array.shape == [0] && spec.shape.contains(&0);
    for (array, spec) in arrays.iter().zip(specs).filter(|pair| !empty(pair)) {
        let count = sample_count(array, spec).ok_or_else(|| GraphError::DataShape {
            origin: origin.to_owned(),
            input: spec.name.clone(),
            expected: spec.shape.clone(),
            got: format!("shape {:?}", array.shape),
        })?;
        counts.entry(count).or_insert_with(|| spec.name.as_str());
    }
    let count = counts.keys().next().copied().unwrap_or(usize::from(!specs.is_empty()));
    if counts.len() > 1 {
        let text: Vec<String> = counts.iter().map(|(n, name)| format!("{n} for `{name}`")).collect();
        return Err(GraphError::DataFormat {
            origin: origin.to_owned(),
            reason: format!("its inputs have different numbers of samples ({})", text.join(", ")),
        });
    }
    let samples = (0..count)
        .map(|n| {
            let input = |(array, spec): (&Array, &InputSpec)| {
                let len: usize = spec.shape.iter().product();
                array.data[n * len..(n + 1) * len].to_vec()
            };
            Sample { inputs: arrays.iter().zip(specs).map(input).collect() }
        })
        .collect::<Vec<_>>();
    samples.iter().try_for_each(|s| s.check(specs))?;
    Ok(samples)
}

/// How many samples an array holds: it has the input's shape, that shape behind a sample axis
/// (which may stand in for a batch of one), or is flat and a whole number of samples long.
fn sample_count(array: &Array, spec: &InputSpec) -> Option<usize> {
    let len: usize = spec.shape.iter().product();
    if array.shape == spec.shape {
        return Some(1);
    }
    if len == 0 {
        return None;
    }
    let (first, rest) = array.shape.split_first()?;
    let unbatched = spec.shape.first() == Some(&1) && rest == &spec.shape[1..];
    if rest == spec.shape || unbatched {
        return Some(*first);
    }
    let flat = rest.is_empty() || rest.iter().product::<usize>() == len;
    (flat && len > 0 && !array.data.is_empty() && array.data.len().is_multiple_of(len)).then(|| array.data.len() / len)
}
