//! Matrix products, with known weights or both operands computed.

use super::{Lowering, Node};
use crate::{
    GraphError,
    float::{Builder, Cost, FloatOp, FloatSource, Layer, Value, indices},
    int::LinearShape,
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Gemm" => gemm,
        "MatMul" => matmul,
        _ => return None,
    })
}

/// `alpha * A' B' + beta * C`.
fn gemm(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let oriented = |b: &mut Builder, i: usize, flag: &str| -> Result<Value, GraphError> {
        let v = node.required(inputs, i)?;
        if v.shape.len() != 2 {
            return Err(node.malformed(format!("an operand of shape {:?}", v.shape)));
        }
        if !node.flag(flag, false)? {
            return Ok(v.clone());
        }
        let mut turned = b.transpose(v, &[1, 0])?;
        turned.name.clone_from(&v.name);
        Ok(turned)
    };
    let (a, w) = (oriented(b, 0, "transA")?, oriented(b, 1, "transB")?);
    let product = product(b, node, &a, &w)?;
    let scaled = b.affine(&product, vec![node.float("alpha").unwrap_or(1.0)], vec![0.0])?;
    let Some(Some(c)) = inputs.get(2) else { return Ok(vec![scaled]) };
    if indices::broadcast_shape(&scaled.shape, &c.shape).as_ref() != Some(&scaled.shape) {
        return Err(node.malformed(format!("bias {:?} for output {:?}", c.shape, scaled.shape)));
    }
    let c = b.expand(c, &scaled.shape)?;
    Ok(vec![b.add((1.0, &scaled), (node.float("beta").unwrap_or(1.0), &c))?])
}

pub(super) fn matmul(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (a, w) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    if a.shape.is_empty() || w.shape.is_empty() {
        return Err(node.malformed("an operand is a scalar"));
    }
    // Numpy's rule for vectors: a row on the left, a column on the right, dropped again after.
    let left = if a.shape.len() == 1 { a.reshaped(vec![1, a.len()]) } else { a.clone() };
    let right = if w.shape.len() == 1 { w.reshaped(vec![w.len(), 1]) } else { w.clone() };
    let out = product(b, node, &left, &right)?;
    let mut shape = out.shape.clone();
    if w.shape.len() == 1 {
        shape.pop();
    }
    if a.shape.len() == 1 {
        shape.remove(shape.len() - 1 - usize::from(w.shape.len() > 1));
    }
    Ok(vec![out.reshaped(shape)])
}

/// Product over the last two axes, the others broadcast.
pub(super) fn product(b: &mut Builder, node: &Node<'_>, a: &Value, w: &Value) -> Result<Value, GraphError> {
    let (lead_a, [rows, inner]) = split(a);
    let (lead_w, [height, cols]) = split(w);
    if inner != height || inner == 0 {
        return Err(node.malformed(format!("shapes {:?} and {:?} do not multiply", a.shape, w.shape)));
    }
    let lead = indices::broadcast_shape(lead_a, lead_w)
        .ok_or_else(|| node.malformed(format!("shapes {:?} and {:?} do not broadcast", a.shape, w.shape)))?;
    let shape: Vec<usize> = lead.iter().copied().chain([rows, cols]).collect();
    let stacked: usize = lead_w.iter().product();
    if let Some(weight) = w.known()
        && stacked == 1
        && a.known().is_none()
    {
        let layer = Layer {
            shape: LinearShape::Dense { rows: a.len() / inner, inner },
            width: cols,
            weight: weight.to_vec(),
            bias: None,
            name: w.name.clone(),
        };
        return Ok(b.linear(a, layer)?.reshaped(shape));
    }
    let batches: usize = lead.iter().product();
    b.check_size(&shape)?;
    b.check(Cost::operations(batches))?;
    let from_a = indices::broadcast(lead_a, &lead);
    let from_w = indices::broadcast(lead_w, &lead);
    let mut parts = Vec::with_capacity(batches);
    for n in 0..batches {
        let left = slab(b, a, from_a[n], [rows, inner])?;
        let right = slab(b, w, from_w[n], [inner, cols])?;
        parts.push(matrices(b, &left, &right)?);
    }
    if let [only] = &parts[..] {
        return Ok(only.reshaped(shape));
    }
    let size = rows * cols;
    let sources = (0..batches * size).map(|i| FloatSource::Element((i / size) as u32, (i % size) as u32)).collect();
    b.assemble(&parts, sources, shape)
}

/// Product of two matrices, by whichever operation fits what is known.
pub(super) fn matrices(b: &mut Builder, a: &Value, w: &Value) -> Result<Value, GraphError> {
    let (rows, inner, cols) = (a.shape[0], a.shape[1], w.shape[1]);
    match (a.known(), w.known()) {
        (None, Some(weight)) => b.linear(
            a,
            Layer {
                shape: LinearShape::Dense { rows, inner },
                width: cols,
                weight: weight.to_vec(),
                bias: None,
                name: w.name.clone(),
            },
        ),
        (Some(_), None) => {
            // Y = A W is the transpose of W' A'.
            let (weight, x) = (b.transpose(a, &[1, 0])?, b.transpose(w, &[1, 0])?);
            let layer = Layer {
                shape: LinearShape::Dense { rows: cols, inner },
                width: rows,
                weight: weight.known().map(<[f64]>::to_vec).unwrap_or_default(),
                bias: None,
                name: a.name.clone(),
            };
            let turned = b.linear(&x, layer)?;
            b.transpose(&turned, &[1, 0])
        }
        _ => b.emit(FloatOp::MatMul { rows, inner, cols }, &[a, w], vec![rows, cols]),
    }
}

/// Leading axes, and the last two.
fn split(v: &Value) -> (&[usize], [usize; 2]) {
    let (lead, last) = v.shape.split_at(v.shape.len() - 2);
    (lead, [last[0], last[1]])
}

/// Matrix number `n` of a stack.
fn slab(b: &mut Builder, v: &Value, n: usize, shape: [usize; 2]) -> Result<Value, GraphError> {
    let size = shape[0] * shape[1];
    let at: Vec<usize> = (n * size..(n + 1) * size).collect();
    let mut out = b.gather(v, &at, shape.to_vec())?;
    out.name.clone_from(&v.name);
    Ok(out)
}
