//! Preparation of features, and what follows a model.

use tract_onnx::pb::tensor_proto::DataType;

use super::{Node, dense, each, ints, matrix, reals, texts, tiled};
use crate::{
    GraphError,
    float::{Builder, Element, FloatOp, FloatSource, Quotient, Value},
    int::Condition,
    onnx::{Lowering, tensor},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "ArrayFeatureExtractor" => extract,
        "Binarizer" => binarize,
        "FeatureVectorizer" => vectorize,
        "Imputer" => impute,
        "LabelEncoder" => encode,
        "Normalizer" => normalize,
        "OneHotEncoder" => one_hot,
        "Scaler" => scale,
        "ZipMap" => zip_map,
        _ => return None,
    })
}

/// `(x - offset) * scale`, feature by feature.
fn scale(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let features = x.shape.last().copied().unwrap_or(1).max(1);
    let given = |name: &'static str, default: f64| -> Result<Vec<f64>, GraphError> {
        let list = reals(node, name)?;
        if list.is_empty() { Ok(vec![default; features]) } else { each(node, &list, (name, features)) }
    };
    let (scale, offset) = (given("scale", 1.0)?, given("offset", 0.0)?);
    let rows = x.len() / features;
    let moved: Vec<f64> = scale.iter().zip(&offset).map(|(s, o)| -s * o).collect();
    let out = b.affine(&x.with_element(Element::Real), tiled(&scale, rows), tiled(&moved, rows))?;
    Ok(vec![out])
}

/// A row by its greatest magnitude, the sum of its magnitudes, or the root of the sum of its squares; a row of
/// zeros stays one.
fn normalize(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = matrix(node, inputs)?.with_element(Element::Real);
    let (rows, n) = (x.shape[0], x.shape[1]);
    let norm = match node.text("norm").as_deref() {
        None | Some("MAX") => {
            let magnitudes = b.absolute(&x)?;
            b.max(&magnitudes, n, vec![rows, 1])?
        }
        Some("L1") => {
            let magnitudes = b.absolute(&x)?;
            b.sum(&magnitudes, n, 1.0, vec![rows, 1])?
        }
        Some("L2") => {
            let squares = b.mul_self(&x)?;
            let total = b.sum(&squares, n, 1.0, vec![rows, 1])?;
            b.emit(FloatOp::Sqrt, &[&total], vec![rows, 1])?
        }
        Some(other) => return Err(node.malformed(format!("the norm {other} does not exist"))),
    };
    let zero = b.indicator(&norm, Condition::Zero)?;
    let divisor = b.add((1.0, &norm), (1.0, &zero.with_element(Element::Real)))?;
    let divisor = b.expand(&divisor, &[rows, n])?;
    let out = b.div(&x, &divisor, Quotient::Real)?;
    Ok(vec![out.reshaped(node.required(inputs, 0)?.shape.clone())])
}

/// One value in place of another; a number that is none, which no input is, is never replaced.
fn impute(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let features = x.shape.last().copied().unwrap_or(1).max(1);
    let floats = reals(node, "imputed_value_floats")?;
    let (values, replaced) = if floats.is_empty() {
        let values: Vec<f64> = ints(node, "imputed_value_int64s").iter().map(|v| *v as f64).collect();
        (values, node.int("replaced_value_int64").unwrap_or(0) as f64)
    } else {
        (floats, node.float("replaced_value_float").unwrap_or(0.0))
    };
    let values = tiled(&each(node, &values, ("imputed_value", features))?, x.len() / features);
    if replaced.is_nan() {
        return Ok(vec![x.clone()]);
    }
    let imputed = Value::constant(values, x.shape.clone(), x.element).with_data_type(x.data_type);
    let difference = b.affine(x, vec![1.0], vec![-replaced])?;
    let found = b.indicator(&difference, Condition::Zero)?;
    Ok(vec![b.select(&found, &imputed, x)?])
}

/// 1 for values above the threshold, 0 for others.
fn binarize(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let threshold = node.float("threshold").unwrap_or(0.0);
    let below = b.affine(x, vec![-1.0], vec![threshold])?;
    let below = b.indicator(&below, Condition::NonNegative)?;
    let above = b.not(&below)?;
    Ok(vec![above.with_element(x.element).with_data_type(x.data_type)])
}

/// A bit for each category along a new axis; where no category applies all bits are zero, also where the operator
/// would stop (`zeros` 0).
fn one_hot(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let categories = ints(node, "cats_int64s");
    if categories.is_empty() {
        return Err(node.unsupported("its categories are text", "encode text as integers before the model"));
    }
    let n = categories.len();
    let mut shape = x.shape.clone();
    shape.push(n);
    b.check_size(&shape)?;
    let categories: Vec<f64> = categories.iter().map(|c| *c as f64).collect();
    let bits = equal_to_each(b, x, &categories)?;
    Ok(vec![bits.reshaped(shape).with_element(Element::Real).with_data_type(DataType::Float as i32)])
}

/// Bits `[len, keys]`: whether each element is each key.
fn equal_to_each(b: &mut Builder, x: &Value, keys: &[f64]) -> Result<Value, GraphError> {
    let (len, n) = (x.len(), keys.len());
    b.check_size(&[len, n])?;
    let at: Vec<usize> = (0..len).flat_map(|i| std::iter::repeat_n(i, n)).collect();
    let spread = b.gather(x, &at, vec![len, n])?;
    let keys: Vec<f64> = keys.iter().map(|k| -k).collect();
    let difference = b.affine(&spread, vec![1.0], tiled(&keys, len))?;
    b.indicator(&difference, Condition::Zero)
}

/// Keys and values of an encoder, and its value where no key fits.
struct Encoding {
    keys: Vec<f64>,
    values: Vec<f64>,
    default: f64,
    element: Element,
    data_type: i32,
}

impl Encoding {
    fn of(node: &Node<'_>) -> Result<Self, GraphError> {
        let tensor = |name: &str| node.tensor(name).map(|proto| tensor::load_any(proto, node.folder)).transpose();
        let list = |value: Option<Value>| value.and_then(|v| v.known().map(<[f64]>::to_vec)).unwrap_or_default();
        let reals_of = |list: &[i64]| -> Vec<f64> { list.iter().map(|v| *v as f64).collect() };
        let lists = [
            reals(node, "keys_floats")?,
            reals_of(ints(node, "keys_int64s")),
            if texts(node, "keys_strings").is_empty() { list(tensor("keys_tensor")?) } else { Vec::new() },
        ];
        let Some(keys) = lists.into_iter().find(|keys| !keys.is_empty()) else {
            return Err(node.unsupported("its keys are text", "encode text as integers before the model"));
        };
        let floats = reals(node, "values_floats")?;
        let integers = reals_of(ints(node, "values_int64s"));
        let text = texts(node, "values_strings");
        let whole = (Element::Integer, DataType::Int64 as i32);
        let (values, default, (element, data_type)) = if !floats.is_empty() {
            let default = node.float("default_float").unwrap_or(0.0);
            (floats, default, (Element::Real, DataType::Float as i32))
        } else if !integers.is_empty() {
            (integers, node.int("default_int64").unwrap_or(-1) as f64, whole)
        } else if text.is_empty() {
            let value = tensor("values_tensor")?.ok_or_else(|| node.malformed("it has no values"))?;
            let kind = (value.element, value.data_type);
            let unset = if value.element == Element::Integer { -1.0 } else { 0.0 };
            let default = list(tensor("default_tensor")?).first().copied().unwrap_or(unset);
            (list(Some(value)), default, kind)
        } else {
            let indices = (0..text.len()).map(|i| i as f64).collect();
            (indices, -1.0, whole)
        };
        if keys.len() != values.len() {
            return Err(node.malformed(format!("{} keys for {} values", keys.len(), values.len())));
        }
        if default.is_nan() || values.iter().any(|v| !v.is_finite()) {
            return Err(node.unsupported("a value or its default is no finite number", "give finite values"));
        }
        // The last of equal keys counts; one that is no number is never met.
        let last = |i: &usize| !keys[i + 1..].contains(&keys[*i]) && keys[*i].is_finite();
        let kept: Vec<usize> = (0..keys.len()).filter(last).collect();
        let pick = |list: &[f64]| kept.iter().map(|i| list[*i]).collect();
        Ok(Self { keys: pick(&keys), values: pick(&values), default, element, data_type })
    }
}

/// The value that belongs to each element. Values that are text come out as their index in the node's list, and
/// -1 where no key fits.
fn encode(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let encoding = Encoding::of(node)?;
    let (len, n) = (x.len(), encoding.keys.len());
    let bits = equal_to_each(b, x, &encoding.keys)?;
    let steps: Vec<f64> = encoding.values.iter().map(|v| v - encoding.default).collect();
    let out = if encoding.element == Element::Integer {
        weighted(b, &bits, &tiled(&steps, len), encoding.default)?
    } else {
        dense(b, &bits.reshaped(vec![len, n]), (steps, vec![encoding.default]), node.name)?
    };
    Ok(vec![out.reshaped(x.shape.clone()).with_element(encoding.element).with_data_type(encoding.data_type)])
}

/// Sums of each row's elements times integers, and a constant.
fn weighted(b: &mut Builder, bits: &Value, weights: &[f64], constant: f64) -> Result<Value, GraphError> {
    let (rows, n) = (bits.shape[0], bits.shape[1]);
    let terms = b.affine(bits, weights.to_vec(), vec![0.0])?;
    let total = b.sum(&terms, n, 1.0, vec![rows])?;
    b.affine(&total, vec![1.0], vec![constant])
}

/// Columns by index along the last axis; indices may be computed.
fn extract(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, index) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    let n = x.shape.last().copied().unwrap_or(1);
    if x.len() == 0 || n == 0 || index.len() == 0 {
        return Err(node.malformed("an input of it has no elements"));
    }
    let (rows, picked) = (x.len() / n, index.len());
    let mut shape = x.shape.clone();
    match &mut shape[..] {
        [] | [_] => shape = vec![1, picked],
        [.., last] => *last = picked,
    }
    b.check_size(&[rows, picked, n])?;
    if let Some(known) = index.known() {
        if let Some(outside) = known.iter().find(|i| !(**i >= 0.0 && **i < n as f64)) {
            return Err(node.malformed(format!("index {outside} of {n} columns")));
        }
        let at: Vec<usize> = (0..rows).flat_map(|r| known.iter().map(move |i| r * n + *i as usize)).collect();
        return Ok(vec![b.gather(x, &at, shape)?]);
    }
    let bits = b.one_hot(&index.reshaped(vec![picked]), n)?;
    let all = vec![rows, picked, n];
    let at: Vec<usize> = (0..rows * picked * n).map(|i| i % (picked * n)).collect();
    let bits = b.gather(&bits, &at, all.clone())?;
    let at: Vec<usize> = (0..rows * picked * n).map(|i| i / (picked * n) * n + i % n).collect();
    let spread = b.gather(x, &at, all)?;
    let terms = b.mul(&bits, &spread)?;
    let out = b.sum(&terms, n, 1.0, shape)?;
    Ok(vec![out.with_element(x.element).with_data_type(x.data_type)])
}

/// Inputs side by side, each cut or filled up with zeros to its width.
fn vectorize(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let widths = ints(node, "inputdimensions");
    let mut parts = Vec::with_capacity(inputs.len());
    for i in 0..inputs.len() {
        let x = node.required(inputs, i)?;
        let shape = match x.shape[..] {
            [rows] => vec![rows, 1],
            [rows, features] => vec![rows, features],
            _ => return Err(node.malformed(format!("its input {i} has shape {:?}", x.shape))),
        };
        parts.push(x.reshaped(shape).with_element(Element::Real));
    }
    let widths: Vec<usize> = match widths {
        [] => parts.iter().map(|p| p.shape[1]).collect(),
        given if given.len() == parts.len() => given.iter().map(|w| usize::try_from(*w).unwrap_or(0)).collect(),
        given => return Err(node.malformed(format!("{} widths for {} inputs", given.len(), parts.len()))),
    };
    let rows = parts.first().map_or(0, |p| p.shape[0]);
    if parts.iter().any(|p| p.shape[0] != rows) {
        return Err(node.malformed("its inputs have different numbers of rows"));
    }
    let total = widths.iter().try_fold(0usize, |n, w| n.checked_add(*w)).unwrap_or(usize::MAX);
    b.check_size(&[rows, total])?;
    let mut sources = Vec::with_capacity(rows * total);
    for row in 0..rows {
        for (part, width) in widths.iter().enumerate() {
            let features = parts[part].shape[1];
            sources.extend((0..*width).map(|c| {
                let element = FloatSource::Element(part as u32, (row * features + c) as u32);
                if c < features { element } else { FloatSource::Constant(0.0) }
            }));
        }
    }
    Ok(vec![b.assemble(&parts, sources, vec![rows, total])?])
}

/// The tensor of the map's values: a class a column, in the order of the node's labels.
fn zip_map(_: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    Ok(vec![node.required(inputs, 0)?.clone()])
}
