//! Normalisation.

use super::{Lowering, Node};
use crate::{
    GraphError,
    float::{Builder, Element, Function, Value},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "BatchNormalization" => batch,
        "LayerNormalization" => layer,
        _ => return None,
    })
}

/// At inference an affine map a channel.
fn batch(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    if node.int("training_mode").unwrap_or(0) != 0 {
        return Err(node.unsupported("it is in training mode", "export the model in evaluation mode"));
    }
    let x = node.required(inputs, 0)?;
    let channels = *x.shape.get(1).ok_or_else(|| node.malformed("an input without channels"))?;
    let mut given = Vec::with_capacity(4);
    for (i, role) in ["scale", "bias", "mean", "variance"].iter().enumerate() {
        let known = node.known(inputs, i + 1, role)?;
        if known.len() != channels {
            return Err(node.malformed(format!("{role} has {} entries for {channels} channels", known.len())));
        }
        given.push(known);
    }
    let epsilon = node.float("epsilon").unwrap_or(1e-5);
    let scale: Vec<f64> = (0..channels).map(|c| given[0][c] / (given[3][c] + epsilon).sqrt()).collect();
    let offset: Vec<f64> = (0..channels).map(|c| given[1][c] - given[2][c] * scale[c]).collect();
    if scale.iter().chain(&offset).any(|v| !v.is_finite()) {
        return Err(node.malformed("its variance is negative"));
    }
    let area: usize = x.shape[2..].iter().product();
    let channel = |i: usize| i / area.max(1) % channels.max(1);
    let scale = (0..x.len()).map(|i| scale[channel(i)]).collect();
    let offset = (0..x.len()).map(|i| offset[channel(i)]).collect();
    Ok(vec![b.affine(x, scale, offset)?])
}

/// `(x - mean) / sqrt(variance + epsilon) * scale + bias` over the axes from `axis` on.
fn layer(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let axis = node.axis(node.int("axis").unwrap_or(-1), x.shape.len())?;
    let n: usize = x.shape[axis..].iter().product();
    if n == 0 {
        return Err(node.malformed("its axes have no elements"));
    }
    let rows = x.len() / n;
    let flat = x.reshaped(vec![rows, n]).with_element(Element::Real);
    let centred = {
        let mean = b.sum(&flat, n, 1.0 / n as f64, vec![rows, 1])?;
        let mean = b.expand(&mean, &[rows, n])?;
        b.add((1.0, &flat), (-1.0, &mean))?
    };
    let square = b.mul_self(&centred)?;
    let variance = b.sum(&square, n, 1.0 / n as f64, vec![rows, 1])?;
    let epsilon = node.float("epsilon").unwrap_or(1e-5);
    let inverse = b.function(&variance, Function::Rsqrt { epsilon })?;
    let inverse = b.expand(&inverse, &[rows, n])?;
    let unit = b.mul(&centred, &inverse)?;
    let per_element = |i: usize, role: &str, default: f64| -> Result<Vec<f64>, GraphError> {
        match inputs.get(i) {
            Some(Some(_)) => {
                let known = node.known(inputs, i, role)?;
                if known.is_empty() || !n.is_multiple_of(known.len()) {
                    return Err(node.malformed(format!("{role} has {} entries for {n}", known.len())));
                }
                Ok((0..rows * n).map(|at| known[at % known.len()]).collect())
            }
            _ => Ok(vec![default]),
        }
    };
    let scale = per_element(1, "scale", 1.0)?;
    let bias = per_element(2, "bias", 0.0)?;
    let out = b.affine(&unit, scale, bias)?;
    Ok(vec![out.reshaped(x.shape.clone())])
}
