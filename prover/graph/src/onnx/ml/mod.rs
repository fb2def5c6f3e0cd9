//! Classical machine learning: the operators of the domain `ai.onnx.ml`.
//!
//! Inputs of a circuit are finite numbers, so that nothing is missing: where an operator says what becomes of a
//! missing value, that part of it never applies. Text has no place in a circuit either. A label that is text
//! stands for its index in the node's list of labels, and comes out as that index.

mod classes;
mod forest;
mod linear;
mod preprocess;
mod svm;
mod trees;

use super::{Lowering, Node, tensor};
use crate::{
    GraphError,
    float::{Builder, Value},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    [linear::find, preprocess::find, svm::find, trees::find].iter().find_map(|family| family(operator))
}

/// An input as rows of features; a vector is one row.
fn matrix(node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Value, GraphError> {
    let x = node.required(inputs, 0)?;
    let shape = match x.shape[..] {
        [features] => vec![1, features],
        [rows, features] => vec![rows, features],
        _ => return Err(node.malformed(format!("its input has shape {:?}, not rows of features", x.shape))),
    };
    if x.len() == 0 {
        return Err(node.malformed("its input has no elements"));
    }
    Ok(x.reshaped(shape))
}

/// Real numbers of an attribute, which newer operator sets may give as a tensor instead.
fn reals(node: &Node<'_>, name: &str) -> Result<Vec<f64>, GraphError> {
    if let Some(floats) = node.floats(name).filter(|floats| !floats.is_empty()) {
        return Ok(floats.iter().map(|v| f64::from(*v)).collect());
    }
    match node.tensor(&format!("{name}_as_tensor")) {
        Some(proto) => Ok(tensor::load_any(proto, node.folder)?.known().unwrap_or_default().to_vec()),
        None => Ok(Vec::new()),
    }
}

/// Texts of an attribute.
fn texts(node: &Node<'_>, name: &str) -> Vec<String> {
    let list = node.attribute(name).map(|a| a.strings.as_slice()).unwrap_or_default();
    list.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

/// Integers of an attribute; none where it is absent.
fn ints<'a>(node: &Node<'a>, name: &str) -> &'a [i64] {
    node.ints(name).unwrap_or_default()
}

/// One coefficient for each feature, from a list of one or of as many.
fn each(node: &Node<'_>, list: &[f64], (name, features): (&str, usize)) -> Result<Vec<f64>, GraphError> {
    match list {
        [one] => Ok(vec![*one; features]),
        list if list.len() == features => Ok(list.to_vec()),
        list => Err(node.malformed(format!("{name} has {} entries for {features} features", list.len()))),
    }
}

/// The same coefficients for every row.
fn tiled(list: &[f64], rows: usize) -> Vec<f64> {
    list.iter().copied().cycle().take(list.len() * rows).collect()
}

/// `x * weight + bias` of rows of features; `weight` is `[features, width]`.
fn dense(b: &mut Builder, x: &Value, (weight, bias): (Vec<f64>, Vec<f64>), name: &str) -> Result<Value, GraphError> {
    use crate::{
        float::{Element, Layer},
        int::LinearShape,
    };
    let (rows, inner) = (x.shape[0], x.shape[1]);
    let shape = LinearShape::Dense { rows, inner };
    let layer = Layer { shape, width: bias.len(), weight, bias: Some(bias), name: name.to_owned() };
    b.linear(&x.with_element(Element::Real), layer)
}
