//! Pooling over windows, and over everything after batch and channels.

use tract_onnx::pb::tensor_proto::DataType;

use super::{
    Lowering, Node,
    window::{Window, kernel_shape, spatial},
};
use crate::{
    GraphError,
    float::{Builder, Element, FloatOp, FloatSource, Function, Quotient, Value},
    int::Condition,
};

/// Greatest exponent of an Lp norm.
const MAX_NORM: u32 = 64;

/// Greatest distance within a window at which its elements are told apart by their positions.
const MAX_DISTANCE: usize = 1 << 15;

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "AveragePool" => average,
        "MaxPool" => max,
        "LpPool" => lp,
        "GlobalAveragePool" => |b, n, i| global(b, n, i, Kind::Average),
        "GlobalMaxPool" => |b, n, i| global(b, n, i, Kind::Max),
        "GlobalLpPool" => |b, n, i| global(b, n, i, Kind::Lp),
        _ => return None,
    })
}

#[derive(Clone, Copy)]
enum Kind {
    Average,
    Max,
    Lp,
}

fn global(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>], kind: Kind) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    if x.shape.len() < 2 {
        return Err(node.malformed(format!("an input of rank {}", x.shape.len())));
    }
    let area: usize = x.shape[2..].iter().product();
    if area == 0 {
        return Err(node.malformed("an input without elements"));
    }
    let mut shape = x.shape.clone();
    shape[2..].fill(1);
    Ok(vec![match kind {
        Kind::Average => b.sum(&x.with_element(Element::Real), area, 1.0 / area as f64, shape)?,
        Kind::Max => b.max(x, area, shape)?,
        Kind::Lp => norm(b, &x.reshaped(vec![x.len() / area, area]), exponent(node)?)?.reshaped(shape),
    }])
}

/// Input elements under a window, `None` in the padding.
type Taps = Vec<Option<usize>>;

/// The taps of each window.
fn windows(b: &Builder, node: &Node<'_>, x: &Value) -> Result<(Window, Vec<Taps>), GraphError> {
    spatial(node, x)?;
    let kernel = kernel_shape(node)?.ok_or_else(|| node.malformed("it has no kernel_shape"))?;
    let w = Window::new(node, x, &kernel)?;
    let reads = w.reads(b)?;
    let planes = x.shape[0] * x.shape[1];
    b.check_size(&[planes, reads.len()])?;
    let area: usize = w.input.iter().product();
    let plane = |plane: usize| {
        let window = move |row: &[Option<usize>]| row.iter().map(|at| Some(plane * area + (*at)?)).collect();
        reads.chunks(w.taps()).map(window)
    };
    let windows = (0..planes).flat_map(plane).collect();
    Ok((w, windows))
}

/// The padding repeats an element of its window, which changes no maximum.
fn max(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let (w, windows) = windows(b, node, x)?;
    let group = w.taps();
    let mut indices = Vec::with_capacity(windows.len() * group);
    for window in &windows {
        let inside = window.iter().flatten().next().copied();
        let inside = inside.ok_or_else(|| node.malformed("a window lies in the padding alone"))?;
        indices.extend(window.iter().map(|tap| tap.unwrap_or(inside)));
    }
    let shape = w.output_shape(x.shape[0], x.shape[1]);
    let patches = b.gather(x, &indices, vec![windows.len(), group])?;
    let most = b.max(&patches, group, shape.clone())?;
    if node.proto.output.get(1).is_none_or(String::is_empty) {
        return Ok(vec![most]);
    }
    let numbers = numbered(node, &w.input, &indices)?;
    let at = positions(b, (&patches, &most), &indices, &numbers)?;
    Ok(vec![most, at.reshaped(shape)])
}

/// What the output `Indices` calls each element: its position in the whole input, or with `storage_order` 1 in an
/// input whose channels are stored column by column.
fn numbered(node: &Node<'_>, dims: &[usize], indices: &[usize]) -> Result<Vec<usize>, GraphError> {
    if !node.flag("storage_order", false)? {
        return Ok(indices.to_vec());
    }
    let area: usize = dims.iter().product();
    let columnwise = |at: usize| {
        let mut rest = at % area;
        let mut place = area;
        let mut number = 0;
        for dim in dims.iter().rev() {
            place /= dim;
            number += rest % dim * place;
            rest /= dim;
        }
        at / area * area + number
    };
    Ok(indices.iter().map(|at| columnwise(*at)).collect())
}

/// The number of the first element of each window that is its greatest. Elements that differ by less than the circuit
/// tells apart count as equal.
fn positions(
    b: &mut Builder,
    (patches, most): (&Value, &Value),
    indices: &[usize],
    numbers: &[usize],
) -> Result<Value, GraphError> {
    let (rows, group) = (patches.shape[0], patches.shape[1]);
    let spread = |at: &Value, b: &mut Builder| {
        let rowwise: Vec<usize> = (0..rows * group).map(|i| i / group).collect();
        b.gather(at, &rowwise, vec![rows, group])
    };
    let top = spread(most, b)?;
    let greatest = b.equal(patches, &top)?;
    // The nearer to the window's first element, the greater.
    let last: Vec<usize> = indices.chunks(group).map(|row| row.iter().copied().max().unwrap_or(0)).collect();
    let near: Vec<f64> = indices.iter().enumerate().map(|(i, at)| (last[i / group] + 1 - at) as f64).collect();
    let far = near.iter().any(|distance| *distance > MAX_DISTANCE as f64);
    let near = if far { (0..rows * group).map(|i| (group - i % group) as f64).collect() } else { near };
    let ranked = b.affine(&greatest, near.clone(), vec![0.0])?;
    let first = b.max(&ranked, group, vec![rows])?;
    if !far && numbers == indices {
        let end = last.iter().map(|at| (at + 1) as f64).collect();
        return Ok(b.affine(&first, vec![-1.0], end)?.with_data_type(DataType::Int64 as i32));
    }
    // Equal ranks are one element that the padding repeats: all but one of them are dropped.
    let mut seen: Vec<(usize, f64)> = Vec::new();
    let mut values = Vec::with_capacity(numbers.len());
    for (i, number) in numbers.iter().enumerate() {
        if i % group == 0 {
            seen.clear();
        }
        let key = (indices[i], near[i]);
        values.push(if seen.contains(&key) { 0.0 } else { *number as f64 });
        seen.push(key);
    }
    let first = spread(&first, b)?;
    let offset = near.iter().map(|distance| -distance).collect();
    let distance = b.affine(&first, vec![1.0], offset)?;
    let chosen = b.indicator(&distance, Condition::Zero)?;
    let number = b.affine(&chosen, values, vec![0.0])?;
    Ok(b.sum(&number, group, 1.0, vec![rows])?.with_data_type(DataType::Int64 as i32))
}

/// Sums of windows, divided by their size; windows at the edge may count fewer elements.
fn average(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let (w, windows) = windows(b, node, x)?;
    let group = w.taps();
    let counted = counted(node, &w, &windows)?;
    let patches = zero_padded(b, x, &windows, group)?.with_element(Element::Real);
    let mean = b.sum(&patches, group, 1.0 / group as f64, w.output_shape(x.shape[0], x.shape[1]))?;
    let scale = counted.iter().map(|n| group as f64 / *n as f64).collect();
    Ok(vec![b.affine(&mean, scale, vec![0.0])?])
}

/// The windows as rows, zero in the padding.
fn zero_padded(b: &mut Builder, x: &Value, windows: &[Taps], group: usize) -> Result<Value, GraphError> {
    let sources = windows
        .iter()
        .flatten()
        .map(|tap| tap.map_or(FloatSource::Constant(0.0), |i| FloatSource::Element(0, i as u32)))
        .collect();
    b.assemble(std::slice::from_ref(x), sources, vec![windows.len(), group])
}

/// Elements that each window's mean divides by. With `count_include_pad` the padding counts, but
/// never what a rounded-up size adds beyond it.
fn counted(node: &Node<'_>, w: &Window, windows: &[Taps]) -> Result<Vec<usize>, GraphError> {
    let include = node.flag("count_include_pad", false)?;
    let extent = |axis: usize, position: usize| {
        let limit = w.input[axis] + w.before[axis] + w.after[axis];
        let start = position * w.stride[axis];
        (0..w.kernel[axis]).filter(|tap| start + tap * w.dilation[axis] < limit).count()
    };
    let count = |(i, window): (usize, &Taps)| {
        let n = if include {
            let mut at = i;
            let mut n = 1;
            for axis in (0..w.output.len()).rev() {
                n *= extent(axis, at % w.output[axis]);
                at /= w.output[axis];
            }
            n
        } else {
            window.iter().flatten().count()
        };
        n.max(1)
    };
    Ok(windows.iter().enumerate().map(count).collect())
}

/// The exponent of the norm: 2 unless the attribute `p` says otherwise.
fn exponent(node: &Node<'_>) -> Result<u32, GraphError> {
    let p = node.int("p").unwrap_or(2);
    u32::try_from(p).ok().filter(|p| (1..=MAX_NORM).contains(p)).ok_or_else(|| {
        node.unsupported(format!("its exponent p is {p}"), format!("use a whole p from 1 to {MAX_NORM}"))
    })
}

/// `(sum |x|^p)^(1/p)` of windows; the padding is zero.
fn lp(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let p = exponent(node)?;
    let (w, windows) = windows(b, node, x)?;
    let x = if p == 2 { b.mul_self(x)? } else { b.absolute(x)? };
    let patches = zero_padded(b, &x, &windows, w.taps())?;
    let out = if p == 2 { root_of_sum(b, &patches)? } else { positive_norm(b, &patches, p)? };
    Ok(vec![out.reshaped(w.output_shape(x.shape[0], x.shape[1]))])
}

/// The Lp norm of each row.
fn norm(b: &mut Builder, rows: &Value, p: u32) -> Result<Value, GraphError> {
    if p == 2 {
        let squares = b.mul_self(rows)?;
        return root_of_sum(b, &squares);
    }
    let magnitudes = b.absolute(rows)?;
    positive_norm(b, &magnitudes, p)
}

fn root_of_sum(b: &mut Builder, squares: &Value) -> Result<Value, GraphError> {
    let (rows, group) = (squares.shape[0], squares.shape[1]);
    let sum = b.sum(squares, group, 1.0, vec![rows])?;
    b.emit(FloatOp::Sqrt, &[&sum.with_element(Element::Real)], vec![rows])
}

/// The Lp norm of rows that are not negative, as `m (sum (x / m)^p)^(1/p)` with the greatest element `m`: powers of
/// shares, and a root between 1 and the length of a row, need few bits.
fn positive_norm(b: &mut Builder, rows: &Value, p: u32) -> Result<Value, GraphError> {
    let (count, group) = (rows.shape[0], rows.shape[1]);
    if p == 1 {
        return b.sum(rows, group, 1.0, vec![count]);
    }
    let rows = rows.with_element(Element::Real);
    let most = b.max(&rows, group, vec![count])?;
    // A row of zeros is divided by 1.
    let zero = b.indicator(&most, Condition::Zero)?;
    let divisor = b.add((1.0, &most), (1.0, &zero))?;
    let at: Vec<usize> = (0..count * group).map(|i| i / group).collect();
    let divisor = b.gather(&divisor, &at, vec![count, group])?;
    let share = b.div(&rows, &divisor, Quotient::Share)?;
    let power = powered(b, &share, p)?;
    let sum = b.sum(&power, group, 1.0, vec![count])?;
    let sum = b.add((1.0, &sum), (1.0, &zero))?;
    let log = b.function(&sum, Function::Log)?;
    let log = b.affine(&log, vec![1.0 / f64::from(p)], vec![0.0])?;
    let root = b.function(&log, Function::Exp)?;
    b.mul(&root, &most)
}

/// `x^p` by squaring.
fn powered(b: &mut Builder, x: &Value, p: u32) -> Result<Value, GraphError> {
    let mut out: Option<Value> = None;
    let mut square = x.clone();
    let mut left = p;
    while left > 0 {
        if left % 2 == 1 {
            out = Some(match out {
                Some(out) => b.mul(&out, &square)?,
                None => square.clone(),
            });
        }
        left /= 2;
        if left > 0 {
            square = b.mul_self(&square)?;
        }
    }
    Ok(out.unwrap_or(square))
}
