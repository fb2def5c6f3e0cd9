//! Fourier transforms, as products with known matrices, and what goes with them.

use std::f64::consts::PI;

use super::{Lowering, Node, tensor};
use crate::{
    GraphError,
    float::{Builder, Element, Layer, MAX_ELEMENTS, Value},
    int::LinearShape,
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "DFT" => dft,
        "STFT" => stft,
        "HannWindow" => |_, n, i| window(n, i, [0.5, -0.5, 0.0]),
        "HammingWindow" => |_, n, i| window(n, i, [25.0 / 46.0, -21.0 / 46.0, 0.0]),
        "BlackmanWindow" => |_, n, i| window(n, i, [0.42, -0.5, 0.08]),
        "MelWeightMatrix" => mel_weight_matrix,
        _ => return None,
    })
}

/// The first element of an optional input that has to be known.
fn scalar(node: &Node<'_>, inputs: &[Option<Value>], i: usize, role: &str) -> Result<Option<f64>, GraphError> {
    match inputs.get(i) {
        Some(Some(_)) => Ok(node.known(inputs, i, role)?.first().copied()),
        _ => Ok(None),
    }
}

/// A length, at least 1.
fn length(node: &Node<'_>, length: f64, role: &str) -> Result<usize, GraphError> {
    if !(1.0..=MAX_ELEMENTS as f64).contains(&length) {
        return Err(node.malformed(format!("{role} {length}")));
    }
    Ok(length as usize)
}

/// A transform of one axis.
#[derive(Debug, Clone, Copy)]
struct Transform {
    /// Length of the transform.
    length: usize,
    inverse: bool,
    onesided: bool,
    /// Elements that are read, the others being zero.
    read: usize,
    /// Parts of a number read: 1 or 2.
    parts: usize,
}

impl Transform {
    /// Number of results.
    fn results(&self) -> usize {
        if self.onesided && !self.inverse { self.length / 2 + 1 } else { self.length }
    }

    /// Parts of a result.
    fn result_parts(&self) -> usize {
        if self.onesided && self.inverse { 1 } else { 2 }
    }

    /// The matrix `[(element, part), (result, part)]`, each element's row times a weight.
    fn matrix(&self, weight: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut matrix = Vec::with_capacity(self.read * self.parts * self.results() * self.result_parts());
        for (n, part) in (0..self.read * self.parts).map(|i| (i / self.parts, i % self.parts)) {
            let scale = weight(n) * self.scale(n);
            for k in 0..self.results() {
                // Whole turns say nothing.
                let turn = (n as u128 * k as u128 % self.length as u128) as f64 / self.length as f64;
                let angle = if self.inverse { 2.0 * PI * turn } else { -2.0 * PI * turn };
                let (sin, cos) = libm::sincos(angle);
                // (a + i b) (cos + i sin)
                let entries = if part == 0 { [cos, sin] } else { [-sin, cos] };
                matrix.extend(entries[..self.result_parts()].iter().map(|entry| scale * entry));
            }
        }
        matrix
    }

    /// What an element counts: the inverse divides by the length, and a one-sided one has most of the elements twice.
    fn scale(&self, n: usize) -> f64 {
        let divisor = if self.inverse { self.length as f64 } else { 1.0 };
        let twice = self.inverse && self.onesided && n != 0 && 2 * n != self.length;
        if twice { 2.0 / divisor } else { 1.0 / divisor }
    }
}

/// The discrete Fourier transform along one axis; an inverse one-sided one takes the first half of a symmetric input.
fn dft(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let rank = x.shape.len();
    let axis = if node.opset < 20 {
        node.int("axis").unwrap_or(1)
    } else {
        scalar(node, inputs, 2, "axis")?.unwrap_or(-2.0) as i64
    };
    let axis = node.axis(axis, rank)?;
    let parts = x.shape.last().copied().unwrap_or(0);
    if axis + 1 >= rank || !(1..=2).contains(&parts) || x.shape.contains(&0) {
        return Err(node.malformed(format!("axis {axis} of an input of shape {:?}", x.shape)));
    }
    let (inverse, onesided) = (node.flag("inverse", false)?, node.flag("onesided", false)?);
    let given = x.shape[axis];
    let whole = if inverse && onesided { 2 * (given - 1) } else { given };
    let n = length(node, scalar(node, inputs, 1, "dft_length")?.unwrap_or(whole as f64), "dft_length")?;
    let used = if inverse && onesided { n / 2 + 1 } else { n };
    let transform = Transform { length: n, inverse, onesided, read: used.min(given), parts };
    // The axis next to the parts, the others in order before it.
    let mut perm: Vec<usize> = (0..rank - 1).filter(|a| *a != axis).collect();
    perm.extend([axis, rank - 1]);
    let moved = b.transpose(x, &perm)?;
    let lead: Vec<usize> = moved.shape[..rank - 2].to_vec();
    let rows: usize = lead.iter().product();
    let at = (0..rows).flat_map(|row| row * given * parts..(row * given + transform.read) * parts).collect::<Vec<_>>();
    let moved = b.gather(&moved, &at, vec![rows, transform.read * parts])?;
    let out = transformed(b, node, &moved, (transform, &|_| 1.0))?;
    let shape: Vec<usize> = lead.iter().copied().chain([transform.results(), transform.result_parts()]).collect();
    let out = out.reshaped(shape);
    let mut back: Vec<usize> = (0..rank - 2).collect();
    back.insert(axis, rank - 2);
    back.push(rank - 1);
    Ok(vec![b.transpose(&out, &back)?])
}

/// Rows `[rows, read * parts]` transformed.
fn transformed(
    b: &mut Builder,
    node: &Node<'_>,
    rows: &Value,
    (transform, weight): (Transform, &dyn Fn(usize) -> f64),
) -> Result<Value, GraphError> {
    let (inner, width) = (transform.read * transform.parts, transform.results() * transform.result_parts());
    b.check_size(&[inner, width])?;
    let layer = Layer {
        shape: LinearShape::Dense { rows: rows.shape[0], inner },
        width,
        weight: transform.matrix(weight),
        bias: None,
        name: format!("{}/fourier", node.name),
    };
    b.linear(rows, layer)
}

/// The transform of each frame of a signal `[batch, length, parts]`, times a window.
fn stft(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let [batch, len, parts] = x.shape[..] else {
        return Err(node.malformed(format!("a signal of shape {:?}", x.shape)));
    };
    let step = scalar(node, inputs, 1, "frame_step")?.ok_or_else(|| node.malformed("it has no frame_step"))?;
    let step = length(node, step, "frame_step")?;
    let window = inputs.get(2).and_then(Option::as_ref);
    let default = window.map_or(len, Value::len) as f64;
    let frame = length(node, scalar(node, inputs, 3, "frame_length")?.unwrap_or(default), "frame_length")?;
    if frame > len || batch == 0 || !(1..=2).contains(&parts) || window.is_some_and(|w| w.len() != frame) {
        return Err(node.malformed(format!("frames of {frame} elements of a signal {:?}", x.shape)));
    }
    let onesided = node.flag("onesided", true)?;
    let frames = (len - frame) / step + 1;
    let (rows, inner) = (batch * frames, frame * parts);
    b.check_size(&[rows, inner])?;
    let mut at = Vec::with_capacity(rows * inner);
    for (n, f) in (0..rows).map(|row| (row / frames, row % frames)) {
        let start = (n * len + f * step) * parts;
        at.extend(start..start + inner);
    }
    let mut framed = b.gather(x, &at, vec![rows, inner])?;
    let known = window.and_then(Value::known);
    if let Some(window) = window.filter(|_| known.is_none()) {
        let at: Vec<usize> = (0..rows * inner).map(|i| i % inner / parts).collect();
        let window = b.gather(window, &at, vec![rows, inner])?;
        framed = b.mul(&framed, &window)?;
    }
    let transform = Transform { length: frame, inverse: false, onesided, read: frame, parts };
    let out = transformed(b, node, &framed, (transform, &|n| known.map_or(1.0, |window| window[n])))?;
    Ok(vec![out.reshaped(vec![batch, frames, transform.results(), 2])])
}

/// A constant with the element type that an attribute asks for.
fn typed(node: &Node<'_>, data: Vec<f64>, shape: Vec<usize>) -> Result<Value, GraphError> {
    let data_type = node.int("output_datatype").unwrap_or(1);
    let data_type = i32::try_from(data_type).unwrap_or(0);
    let element = tensor::element(node.name, data_type)?;
    let data = if element == Element::Integer { data.iter().map(|v| v.trunc()).collect() } else { data };
    Ok(Value::constant(data, shape, element).with_data_type(data_type))
}

/// A sum of three cosines over one period of a known length, which a symmetric window reaches at its last element.
fn window(node: &Node<'_>, inputs: &[Option<Value>], cosines: [f64; 3]) -> Result<Vec<Value>, GraphError> {
    let size = scalar(node, inputs, 0, "size")?.ok_or_else(|| node.malformed("it has no size"))?;
    let size = length(node, size, "size")?;
    let period = if node.flag("periodic", true)? { size } else { size - 1 };
    if period == 0 {
        return Err(node.malformed("a symmetric window of one element"));
    }
    let value = |n: usize| {
        let angle = 2.0 * PI * n as f64 / period as f64;
        cosines[0] + cosines[1] * libm::cos(angle) + cosines[2] * libm::cos(2.0 * angle)
    };
    Ok(vec![typed(node, (0..size).map(value).collect(), vec![size])?])
}

/// Triangles that are evenly spaced on the mel scale, over the frequencies of a Fourier transform.
fn mel_weight_matrix(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let mut given = [0.0; 5];
    let roles = ["num_mel_bins", "dft_length", "sample_rate", "lower_edge_hertz", "upper_edge_hertz"];
    for (i, role) in roles.iter().enumerate() {
        given[i] = scalar(node, inputs, i, role)?.ok_or_else(|| node.malformed(format!("it has no {role}")))?;
    }
    let [bins, dft, rate, lower, upper] = given;
    let (bins, dft) = (length(node, bins, roles[0])?, length(node, dft, roles[1])?);
    let rows = dft / 2 + 1;
    b.check_size(&[rows, bins])?;
    let mel = |hertz: f64| 2595.0 * libm::log10(1.0 + hertz / 700.0);
    let (low, high) = (mel(lower), mel(upper));
    let step = (high - low) / (bins + 2) as f64;
    let edge = |i: usize| {
        let hertz = 700.0 * (libm::pow(10.0, (low + i as f64 * step) / 2595.0) - 1.0);
        ((dft + 1) as f64 * hertz / rate).floor()
    };
    let edges: Vec<f64> = (0..bins + 2).map(edge).collect();
    if !edges.iter().all(|e| (0.0..rows as f64).contains(e)) {
        return Err(node.malformed(format!("frequencies from {lower} to {upper} at a sample rate of {rate}")));
    }
    let mut data = vec![0.0; rows * bins];
    for (bin, edges) in edges.windows(3).enumerate() {
        let [left, centre, right] = [edges[0], edges[1], edges[2]];
        for row in left as usize..=centre as usize {
            let rise = centre - left;
            data[row * bins + bin] = if rise > 0.0 { (row as f64 - left) / rise } else { 1.0 };
        }
        for row in centre as usize..(right as usize).max(centre as usize) {
            data[row * bins + bin] = (right - row as f64) / (right - centre);
        }
    }
    Ok(vec![typed(node, data, vec![rows, bins])?])
}
