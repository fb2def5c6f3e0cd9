//! Pooling over windows.

use super::{Lowering, Node, conv::Window};
use crate::{
    GraphError,
    float::{Builder, Element, FloatSource, Value},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "AveragePool" => average,
        "MaxPool" => max,
        "GlobalAveragePool" => |b, n, i| global(b, n, i, Kind::Average),
        "GlobalMaxPool" => |b, n, i| global(b, n, i, Kind::Max),
        _ => return None,
    })
}

#[derive(Clone, Copy)]
enum Kind {
    Average,
    Max,
}

fn global(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>], kind: Kind) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    if x.shape.len() < 3 {
        return Err(node.malformed(format!("an input of rank {}", x.shape.len())));
    }
    let area: usize = x.shape[2..].iter().product();
    if area == 0 {
        return Err(node.malformed("an input without elements"));
    }
    let mut shape = x.shape.clone();
    shape[2..].fill(1);
    Ok(vec![match kind {
        Kind::Average => b.sum(x, area, 1.0 / area as f64, shape)?,
        Kind::Max => b.max(x, area, shape)?,
    }])
}

/// Input elements under a window, `None` in the padding.
type Taps = Vec<Option<usize>>;

/// The taps of each window.
fn windows(node: &Node<'_>, x: &Value) -> Result<(Window, Vec<Taps>), GraphError> {
    let kernel = node
        .ints("kernel_shape")
        .ok_or_else(|| node.malformed("it has no kernel_shape"))?
        .iter()
        .map(|k| usize::try_from(*k).ok().filter(|k| *k < 1 << 16))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| node.malformed("its kernel_shape"))?;
    let w = Window::new(node, x, &kernel)?;
    let [height, width] = w.input;
    let planes = x.shape[0] * x.shape[1];
    let mut out = Vec::with_capacity(planes * w.output[0] * w.output[1]);
    let along = |axis: usize, position: usize, tap: usize| {
        (position * w.stride[axis] + tap * w.dilation[axis])
            .checked_sub(w.before[axis])
            .filter(|at| *at < w.input[axis])
    };
    for plane in 0..planes {
        for row in 0..w.output[0] {
            for col in 0..w.output[1] {
                let taps = (0..w.kernel[0] * w.kernel[1]).map(|tap| {
                    let y = along(0, row, tap / w.kernel[1])?;
                    let x = along(1, col, tap % w.kernel[1])?;
                    Some((plane * height + y) * width + x)
                });
                out.push(taps.collect());
            }
        }
    }
    Ok((w, out))
}

/// The padding repeats an element of its window, which changes no maximum.
fn max(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    if node.proto.output.len() > 1 && node.proto.output.iter().skip(1).any(|o| !o.is_empty()) {
        return Err(node.unsupported("its second output (indices) is used", "drop the indices"));
    }
    let x = node.required(inputs, 0)?;
    let (w, windows) = windows(node, x)?;
    let group = w.kernel[0] * w.kernel[1];
    let mut indices = Vec::with_capacity(windows.len() * group);
    for window in &windows {
        let inside = window.iter().flatten().next().copied();
        let inside = inside.ok_or_else(|| node.malformed("a window lies in the padding alone"))?;
        indices.extend(window.iter().map(|tap| tap.unwrap_or(inside)));
    }
    let patches = b.gather(x, &indices, vec![windows.len(), group])?;
    Ok(vec![b.max(&patches, group, w.output_shape(x, x.shape[1]))?])
}

/// Sums of windows, divided by their size; windows at the edge may count fewer elements.
fn average(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let (w, windows) = windows(node, x)?;
    let group = w.kernel[0] * w.kernel[1];
    let sources = windows
        .iter()
        .flatten()
        .map(|tap| tap.map_or(FloatSource::Constant(0.0), |i| FloatSource::Element(0, i as u32)))
        .collect();
    let counted = counted(node, &w, &windows);
    let patches = b.assemble(std::slice::from_ref(x), sources, vec![windows.len(), group])?;
    let patches = patches.with_element(Element::Real);
    let mean = b.sum(&patches, group, 1.0 / group as f64, w.output_shape(x, x.shape[1]))?;
    let scale = counted.iter().map(|n| group as f64 / *n as f64).collect();
    Ok(vec![b.affine(&mean, scale, vec![0.0])?])
}

/// Elements that each window's mean divides by. With `count_include_pad` the padding counts, but
/// never what a rounded-up size adds beyond it.
fn counted(node: &Node<'_>, w: &Window, windows: &[Taps]) -> Vec<usize> {
    let include = node.int("count_include_pad").unwrap_or(0) != 0;
    let area = w.output[0] * w.output[1];
    let extent = |axis: usize, position: usize| {
        let limit = w.input[axis] + w.before[axis] + w.after[axis];
        let start = position * w.stride[axis];
        (0..w.kernel[axis]).filter(|tap| start + tap * w.dilation[axis] < limit).count()
    };
    windows
        .iter()
        .enumerate()
        .map(|(i, window)| {
            let n = if include {
                let at = i % area;
                extent(0, at / w.output[1]) * extent(1, at % w.output[1])
            } else {
                window.iter().flatten().count()
            };
            n.max(1)
        })
        .collect()
}
