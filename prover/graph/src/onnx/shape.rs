//! Operators that move elements without computing.

use super::{Lowering, Node};
use crate::{
    GraphError,
    float::{Builder, FloatSource, MAX_ELEMENTS, Value, indices},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Reshape" => reshape,
        "Flatten" => flatten,
        "Transpose" => transpose,
        "Squeeze" => squeeze,
        "Unsqueeze" => unsqueeze,
        "Slice" => slice,
        "Concat" => concat,
        "Split" => split,
        "Expand" => expand,
        "Tile" => tile,
        _ => return None,
    })
}

fn reshape(_: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let asked = node.ints_or_input(inputs, "shape", 1)?.ok_or_else(|| node.malformed("it has no shape"))?;
    let copies = !node.flag("allowzero", false)?;
    let mismatch = || node.malformed(format!("shape {asked:?} for an input of shape {:?}", x.shape));
    let mut shape = Vec::with_capacity(asked.len());
    let mut open = None;
    for (axis, dim) in asked.iter().enumerate() {
        shape.push(match *dim {
            -1 if open.is_none() => {
                open = Some(axis);
                1
            }
            0 if copies => *x.shape.get(axis).ok_or_else(mismatch)?,
            d => usize::try_from(d).map_err(|_| mismatch())?,
        });
    }
    let known = indices::count(&shape).ok_or_else(mismatch)?;
    if let Some(axis) = open {
        if known == 0 {
            return Err(mismatch());
        }
        shape[axis] = x.len() / known;
    }
    if indices::count(&shape) != Some(x.len()) {
        return Err(mismatch());
    }
    Ok(vec![x.reshaped(shape)])
}

fn flatten(_: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let rank = x.shape.len();
    let axis = node.int("axis").unwrap_or(1);
    let axis = if axis == rank as i64 { rank } else { node.axis(axis, rank)? };
    let (rows, cols) = x.shape.split_at(axis);
    Ok(vec![x.reshaped(vec![rows.iter().product(), cols.iter().product()])])
}

fn transpose(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let rank = x.shape.len();
    let perm = match node.ints("perm").filter(|p| !p.is_empty()) {
        Some(perm) => node.axes(perm, rank)?,
        None => (0..rank).rev().collect(),
    };
    if perm.len() != rank {
        return Err(node.malformed(format!("perm {perm:?} for rank {rank}")));
    }
    Ok(vec![b.transpose(x, &perm)?])
}

fn squeeze(_: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let rank = x.shape.len();
    let axes = match node.ints_or_input(inputs, "axes", 1)? {
        Some(axes) => node.axes(&axes, rank)?,
        None => (0..rank).filter(|a| x.shape[*a] == 1).collect(),
    };
    if let Some(axis) = axes.iter().find(|a| x.shape[**a] != 1) {
        return Err(node.malformed(format!("axis {axis} has size {}, not 1", x.shape[*axis])));
    }
    let shape = (0..rank).filter(|a| !axes.contains(a)).map(|a| x.shape[a]).collect();
    Ok(vec![x.reshaped(shape)])
}

fn unsqueeze(_: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let axes = node.ints_or_input(inputs, "axes", 1)?.ok_or_else(|| node.malformed("it has no axes"))?;
    let rank = x.shape.len() + axes.len();
    let axes = node.axes(&axes, rank)?;
    let mut dims = x.shape.iter();
    let shape = (0..rank).map(|a| if axes.contains(&a) { 1 } else { dims.next().copied().unwrap_or(1) }).collect();
    Ok(vec![x.reshaped(shape)])
}

fn slice(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let rank = x.shape.len();
    let missing = || node.malformed("it has no starts or ends");
    let starts = node.ints_or_input(inputs, "starts", 1)?.ok_or_else(missing)?;
    let ends = node.ints_or_input(inputs, "ends", 2)?.ok_or_else(missing)?;
    let axes = match node.ints_or_input(inputs, "axes", 3)? {
        Some(axes) => node.axes(&axes, rank)?,
        None => (0..starts.len().min(rank)).collect(),
    };
    let steps = node.ints_or_input(inputs, "steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [starts.len(), ends.len(), steps.len()].iter().any(|n| *n != axes.len()) {
        return Err(node.malformed("starts, ends, axes and steps differ in length"));
    }
    let strides = indices::strides(&x.shape);
    let mut shape = x.shape.clone();
    let mut jumps: Vec<isize> = strides.iter().map(|s| *s as isize).collect();
    let mut base = 0;
    for (i, axis) in axes.iter().enumerate() {
        let (dim, step) = (x.shape[*axis] as i64, steps[i]);
        if step == 0 || step.unsigned_abs() > 1 << 40 {
            return Err(node.malformed(format!("step {step}")));
        }
        let from_end = |v: i64| if v < 0 { v.saturating_add(dim) } else { v };
        let (lo, hi) = if step > 0 { (0, dim) } else { (-1, dim - 1) };
        let start = from_end(starts[i]).clamp(lo.max(0), hi.max(0));
        let end = from_end(ends[i]).clamp(lo, hi);
        let span = if step > 0 { end - start } else { start - end };
        let count = if span <= 0 || dim == 0 { 0 } else { (span - 1) / step.abs() + 1 };
        shape[*axis] = count as usize;
        base += start as usize * strides[*axis];
        // With one position no step is taken, however long.
        jumps[*axis] = if count > 1 { strides[*axis] as isize * step as isize } else { 0 };
    }
    let at = indices::walk(&shape, base, &jumps);
    Ok(vec![b.gather(x, &at, shape)?])
}

fn concat(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let parts = (0..inputs.len()).map(|i| node.required(inputs, i).cloned()).collect::<Result<Vec<_>, _>>()?;
    let first = node.required(inputs, 0)?;
    let axis = node.axis(node.int("axis").unwrap_or(0), first.shape.len())?;
    let mut shape = first.shape.clone();
    shape[axis] = 0;
    for part in &parts {
        let agrees =
            part.shape.len() == shape.len() && (0..shape.len()).all(|a| a == axis || part.shape[a] == shape[a]);
        if !agrees {
            return Err(
                node.malformed(format!("shapes {:?} and {:?} do not join on axis {axis}", first.shape, part.shape))
            );
        }
        shape[axis] += part.shape[axis];
    }
    b.check_size(&shape)?;
    let outer: usize = shape[..axis].iter().product();
    let mut sources = Vec::with_capacity(shape.iter().product());
    for row in 0..outer {
        for (p, part) in parts.iter().enumerate() {
            let run: usize = part.shape[axis..].iter().product();
            let elements = row * run..(row + 1) * run;
            sources.extend(elements.map(|i| FloatSource::Element(p as u32, i as u32)));
        }
    }
    Ok(vec![b.assemble(&parts, sources, shape)?])
}

fn split(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let axis = node.axis(node.int("axis").unwrap_or(0), x.shape.len())?;
    let pieces = node.proto.output.len();
    let dim = x.shape[axis];
    let sizes: Vec<usize> = match node.ints_or_input(inputs, "split", 1)? {
        Some(sizes) => sizes.iter().map(|s| usize::try_from(*s).unwrap_or(usize::MAX)).collect(),
        None => {
            let size = dim.div_ceil(pieces.max(1));
            (0..pieces).map(|i| size.min(dim.saturating_sub(i * size))).collect()
        }
    };
    let total = sizes.iter().try_fold(0usize, |n, s| n.checked_add(*s));
    if total != Some(dim) || sizes.len() != pieces {
        return Err(node.malformed(format!("pieces {sizes:?} of an axis of {dim}")));
    }
    let strides = indices::strides(&x.shape);
    let steps: Vec<isize> = strides.iter().map(|s| *s as isize).collect();
    let mut from = 0;
    let mut out = Vec::with_capacity(pieces);
    for size in sizes {
        let mut shape = x.shape.clone();
        shape[axis] = size;
        let at = indices::walk(&shape, from * strides[axis], &steps);
        out.push(b.gather(x, &at, shape)?);
        from += size;
    }
    Ok(out)
}

fn expand(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let asked = node.known(inputs, 1, "shape")?;
    let asked = whole(node, asked)?;
    let shape = indices::broadcast_shape(&x.shape, &asked)
        .filter(|s| indices::count(s).is_some_and(|n| n <= MAX_ELEMENTS))
        .ok_or_else(|| node.malformed(format!("shape {:?} to {asked:?}", x.shape)))?;
    Ok(vec![b.expand(x, &shape)?])
}

fn tile(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let mut repeats = whole(node, node.known(inputs, 1, "repeats")?)?;
    if let (Some(Some(_)), [times]) = (inputs.get(2), &repeats[..]) {
        // The oldest form repeats one axis.
        let axis = node.known(inputs, 2, "axis")?.first().copied().unwrap_or(0.0);
        let (axis, times) = (node.axis(axis as i64, x.shape.len())?, *times);
        repeats = (0..x.shape.len()).map(|a| if a == axis { times } else { 1 }).collect();
    }
    if repeats.len() != x.shape.len() {
        return Err(node.malformed(format!("repeats {repeats:?} for shape {:?}", x.shape)));
    }
    let doubled: Vec<usize> = repeats.iter().zip(&x.shape).flat_map(|(r, d)| [*r, *d]).collect();
    let count = indices::count(&doubled).filter(|n| *n <= MAX_ELEMENTS);
    if count.is_none() {
        return Err(node.malformed(format!("repeats {repeats:?}")));
    }
    let steps: Vec<isize> = indices::strides(&x.shape).iter().flat_map(|s| [0, *s as isize]).collect();
    b.check_size(&doubled)?;
    let at = indices::walk(&doubled, 0, &steps);
    let shape = repeats.iter().zip(&x.shape).map(|(r, d)| r * d).collect();
    Ok(vec![b.gather(x, &at, shape)?])
}

/// Sizes: whole numbers from zero on.
pub(super) fn whole(node: &Node<'_>, sizes: &[f64]) -> Result<Vec<usize>, GraphError> {
    let size = |d: &f64| (*d >= 0.0 && *d <= MAX_ELEMENTS as f64 && d.fract() == 0.0).then_some(*d as usize);
    sizes.iter().map(size).collect::<Option<_>>().ok_or_else(|| node.malformed(format!("sizes {sizes:?}")))
}

/// An attribute of sizes, one for each axis or one for each of its ends: as many as its default has.
pub(super) fn sizes(node: &Node<'_>, name: &str, default: Vec<usize>) -> Result<Vec<usize>, GraphError> {
    let Some(list) = node.ints(name) else { return Ok(default) };
    let size = |v: &i64| usize::try_from(*v).ok().filter(|v| *v < 1 << 24);
    let list = list.iter().map(size).collect::<Option<Vec<_>>>().filter(|l| l.len() == default.len());
    list.ok_or_else(|| node.malformed(format!("its {name} does not fit")))
}
