//! Operators that take elements by their positions, known while compiling or computed.
//!
//! A computed index becomes bits, one for each position, and the element the sum of the products with them. An index out
//! of range is no error then: it gives zero, or any element.

use tract_onnx::pb::tensor_proto::DataType;

use super::{Lowering, Node, along::pick_along, shape::whole};
use crate::{
    GraphError,
    float::{Builder, Cost, Element, FloatOp, Layer, Value, indices},
    int::LinearShape,
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "OneHot" => one_hot,
        "Gather" => gather,
        "GatherElements" => gather_elements,
        "GatherND" => gather_nd,
        "Compress" => compress,
        "Unique" => unique,
        _ => return None,
    })
}

/// A known index, which counts from the end where it is negative, on an axis of `dim`.
pub(super) fn position(node: &Node<'_>, index: f64, dim: usize) -> Result<usize, GraphError> {
    let at = if index < 0.0 { index + dim as f64 } else { index };
    if at.fract() == 0.0 && (0.0..dim as f64).contains(&at) {
        return Ok(at as usize);
    }
    Err(node.malformed(format!("index {index} on an axis of {dim}")))
}

/// `on` at each index, `off` elsewhere and everywhere for an index out of range.
fn one_hot(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (index, values) = (node.required(inputs, 0)?, node.required(inputs, 2)?);
    let depth = whole(node, node.known(inputs, 1, "depth")?)?;
    let ([depth], 2) = (&depth[..], values.len()) else {
        return Err(node.malformed("its depth is no number, or its values are no two"));
    };
    let axis = node.axis(node.int("axis").unwrap_or(-1), index.shape.len() + 1)?;
    let (lead, rest) = index.shape.split_at(axis);
    let (outer, inner): (usize, usize) = (lead.iter().product(), rest.iter().product());
    let shape: Vec<usize> = lead.iter().chain([depth]).chain(rest).copied().collect();
    b.check_size(&shape)?;
    let bits = b.index_bits(index, *depth)?.reshaped(vec![outer, inner, *depth]);
    let bits = b.transpose(&bits, &[0, 2, 1])?.reshaped(shape.clone());
    let out = if let Some([off, on]) = values.known() {
        b.affine(&bits, vec![on - off], vec![*off])?.with_element(values.element)
    } else {
        let len = bits.len();
        let (off, on) = (b.gather(values, &vec![0; len], shape.clone())?, b.gather(values, &vec![1; len], shape)?);
        b.select(&bits, &on, &off)?
    };
    Ok(vec![out.with_data_type(values.data_type)])
}

/// Elements along an axis; computed indices cost a product with the whole of it.
fn gather(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, index) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    let axis = node.axis(node.int("axis").unwrap_or(0), x.shape.len())?;
    let dim = x.shape[axis];
    let mut shape = x.shape[..axis].to_vec();
    shape.extend(&index.shape);
    shape.extend(&x.shape[axis + 1..]);
    b.check_size(&shape)?;
    if let Some(known) = index.known() {
        let order = known.iter().map(|i| position(node, *i, dim)).collect::<Result<Vec<_>, _>>()?;
        return Ok(vec![pick_along(b, x, axis, &order)?.reshaped(shape)]);
    }
    let outer: usize = x.shape[..axis].iter().product();
    let run: usize = x.shape[axis + 1..].iter().product();
    if dim == 0 || outer * run == 0 {
        return Err(node.malformed(format!("an input of shape {:?}", x.shape)));
    }
    let bits = b.index_bits(index, dim)?;
    let table = b.transpose(&x.reshaped(vec![outer, dim, run]), &[1, 0, 2])?.reshaped(vec![dim, outer * run]);
    let table = Value { name: x.name.clone(), ..table };
    let out = lookup(b, &bits, &table)?.reshaped(vec![index.len(), outer, run]);
    Ok(vec![b.transpose(&out, &[1, 0, 2])?.reshaped(shape).with_data_type(x.data_type)])
}

/// Rows of a table `[n, width]`, by bits `[rows, n]` of which each row has at most one set.
fn lookup(b: &mut Builder, bits: &Value, table: &Value) -> Result<Value, GraphError> {
    let (rows, inner, cols) = (bits.shape[0], bits.shape[1], table.shape[1]);
    let out = match (table.element, table.known()) {
        (Element::Real, Some(weight)) if bits.known().is_none() => {
            let shape = LinearShape::Dense { rows, inner };
            let (weight, name) = (weight.to_vec(), table.name.clone());
            b.linear(bits, Layer { shape, width: cols, weight, bias: None, name })?
        }
        (Element::Real, _) => b.emit(FloatOp::MatMul { rows, inner, cols }, &[bits, table], vec![rows, cols])?,
        (Element::Integer, _) => {
            b.check_size(&[rows, cols, inner])?;
            let each = || (0..rows * cols).flat_map(|o| (0..inner).map(move |j| (o / cols, o % cols, j)));
            let spread: Vec<usize> = each().map(|(row, _, j)| row * inner + j).collect();
            let from: Vec<usize> = each().map(|(_, col, j)| j * cols + col).collect();
            let shape = vec![rows * cols, inner];
            let (bits, values) = (b.gather(bits, &spread, shape.clone())?, b.gather(table, &from, shape)?);
            b.chosen(&bits, &values, inner)?
        }
    };
    Ok(out.reshaped(vec![rows, cols]).with_data_type(table.data_type))
}

/// Flat position in `shape` of each element of `within`, its coordinate on one axis apart, and the step on that axis.
pub(super) fn fibres(shape: &[usize], within: &[usize], axis: usize) -> (Vec<usize>, usize) {
    let strides = indices::strides(shape);
    let steps = strides.iter().enumerate().map(|(a, s)| if a == axis { 0 } else { *s as isize }).collect::<Vec<_>>();
    (indices::walk(within, 0, &steps), strides[axis])
}

/// Whether a tensor of indices fits beside another: on the axis it may have any size, elsewhere no greater one.
pub(super) fn beside(node: &Node<'_>, x: &Value, index: &Value, axis: usize) -> Result<(), GraphError> {
    let fits = x.shape.len() == index.shape.len()
        && x.shape.iter().zip(&index.shape).enumerate().all(|(a, (d, i))| a == axis || i <= d);
    if fits {
        return Ok(());
    }
    Err(node.malformed(format!("indices of shape {:?} for an input of shape {:?}", index.shape, x.shape)))
}

/// For each index the element that lies beside it on the axis.
fn gather_elements(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, index) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    let axis = node.axis(node.int("axis").unwrap_or(0), x.shape.len())?;
    beside(node, x, index, axis)?;
    let dim = x.shape[axis];
    let (from, step) = fibres(&x.shape, &index.shape, axis);
    if let Some(known) = index.known() {
        let at = known.iter().zip(&from).map(|(i, f)| Ok(f + step * position(node, *i, dim)?));
        let at = at.collect::<Result<Vec<_>, GraphError>>()?;
        return Ok(vec![b.gather(x, &at, index.shape.clone())?]);
    }
    if dim == 0 {
        return Err(node.malformed("its axis has no elements"));
    }
    let bits = b.index_bits(index, dim)?;
    let candidates: Vec<usize> = from.iter().flat_map(|f| (0..dim).map(move |j| f + step * j)).collect();
    let candidates = b.gather(x, &candidates, vec![from.len(), dim])?;
    Ok(vec![b.chosen(&bits, &candidates, dim)?.reshaped(index.shape.clone()).with_data_type(x.data_type)])
}

/// Slices named by rows of indices, one for each of the first axes after the batch.
fn gather_nd(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, index) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    let shared = usize::try_from(node.int("batch_dims").unwrap_or(0)).unwrap_or(usize::MAX);
    let mismatch = || node.malformed(format!("indices of shape {:?} for an input of shape {:?}", index.shape, x.shape));
    let (lead, depth) = match index.shape.split_last() {
        Some((depth, lead)) if shared <= lead.len() && shared <= x.shape.len() => (lead, *depth),
        _ => return Err(mismatch()),
    };
    let end = shared.checked_add(depth).filter(|end| *end <= x.shape.len()).ok_or_else(mismatch)?;
    if lead[..shared] != x.shape[..shared] || depth == 0 {
        return Err(mismatch());
    }
    let dims = &x.shape[shared..end];
    let shape: Vec<usize> = lead.iter().chain(&x.shape[end..]).copied().collect();
    b.check_size(&shape)?;
    let batches: usize = lead[..shared].iter().product();
    let rows: usize = lead[shared..].iter().product();
    let (cells, width): (usize, usize) = (dims.iter().product(), x.shape[end..].iter().product());
    if let Some(known) = index.known() {
        let mut at = Vec::with_capacity(batches * rows * width);
        for (row, tuple) in known.chunks(depth).enumerate() {
            let start = (row / rows * cells + cell(node, tuple, dims)?) * width;
            at.extend(start..start + width);
        }
        return Ok(vec![b.gather(x, &at, shape)?]);
    }
    if cells * width == 0 {
        return Err(mismatch());
    }
    b.check(Cost::operations(batches))?;
    let mut parts = Vec::with_capacity(batches);
    for batch in 0..batches {
        let tuples: Vec<usize> = (batch * rows * depth..(batch + 1) * rows * depth).collect();
        let tuples = b.gather(index, &tuples, vec![rows, depth])?;
        let bits = b.cell_bits(&tuples, dims)?;
        let table: Vec<usize> = (batch * cells * width..(batch + 1) * cells * width).collect();
        let table = Value { name: x.name.clone(), ..b.gather(x, &table, vec![cells, width])? };
        parts.push(lookup(b, &bits, &table)?);
    }
    Ok(vec![b.stack(&parts, 0)?.reshaped(shape).with_data_type(x.data_type)])
}

/// The cell that known indices name, one for each axis.
pub(super) fn cell(node: &Node<'_>, tuple: &[f64], dims: &[usize]) -> Result<usize, GraphError> {
    tuple.iter().zip(dims).try_fold(0, |at, (i, dim)| Ok(at * dim + position(node, *i, *dim)?))
}

/// Elements, or slices along an axis, where a condition known while compiling holds: their number is structure.
fn compress(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let (x, axis) = match node.int("axis") {
        Some(axis) => (x.clone(), node.axis(axis, x.shape.len())?),
        None => (x.reshaped(vec![x.len()]), 0),
    };
    let condition = node.known(inputs, 1, "condition")?;
    if condition.len() > x.shape[axis] {
        return Err(node.malformed(format!("{} conditions for an axis of {}", condition.len(), x.shape[axis])));
    }
    let order: Vec<usize> = (0..condition.len()).filter(|i| condition[*i] != 0.0).collect();
    Ok(vec![pick_along(b, &x, axis, &order)?])
}

/// The distinct elements, or slices along an axis; the input is known while compiling, because the outputs' size is
/// structure.
fn unique(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    node.known(inputs, 0, "input, on which the size of its output depends")?;
    let (x, axis) = match node.int("axis") {
        Some(axis) => (x.clone(), node.axis(axis, x.shape.len())?),
        None => (x.reshaped(vec![x.len()]), 0),
    };
    let dim = x.shape[axis];
    let mut perm: Vec<usize> = (0..x.shape.len()).collect();
    perm.remove(axis);
    perm.insert(0, axis);
    let moved = b.transpose(&x, &perm)?;
    let data = moved.known().unwrap_or_default();
    let width = data.len() / dim.max(1);
    let slice = |i: usize| &data[i * width..(i + 1) * width];
    let mut order: Vec<usize> = (0..dim).collect();
    let compare = |i: &usize, j: &usize| {
        let differing = slice(*i).iter().zip(slice(*j)).map(|(a, b)| a.total_cmp(b)).find(|c| c.is_ne());
        differing.unwrap_or(std::cmp::Ordering::Equal)
    };
    // Stable, so that the first of equal slices leads its group.
    order.sort_by(compare);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for i in order {
        match groups.last_mut() {
            Some(group) if slice(group[0]) == slice(i) => group.push(i),
            _ => groups.push(vec![i]),
        }
    }
    if !node.flag("sorted", true)? {
        groups.sort_by_key(|group| group[0]);
    }
    let mut inverse = vec![0.0; dim];
    for (g, group) in groups.iter().enumerate() {
        group.iter().for_each(|i| inverse[*i] = g as f64);
    }
    let first: Vec<usize> = groups.iter().map(|group| group[0]).collect();
    let counts = groups.iter().map(|group| group.len() as f64).collect();
    let list = |data: Vec<f64>| {
        let shape = vec![data.len()];
        Value::constant(data, shape, Element::Integer).with_data_type(DataType::Int64 as i32)
    };
    let distinct = pick_along(b, &x, axis, &first)?;
    Ok(vec![distinct, list(first.iter().map(|i| *i as f64).collect()), list(inverse), list(counts)])
}
