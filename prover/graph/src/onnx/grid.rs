//! Images read at positions that a tensor gives: grids, and convolutions whose taps move.

use super::{
    Lowering, Node,
    conv::{bias, biased, channels_second},
    matmul,
    sample::{Kernel, Padding, Sampling, sample},
    window::{Window, spatial},
};
use crate::{
    GraphError,
    float::{Builder, Cost, Element, FloatSource, Layer, Value, indices},
    int::LinearShape,
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "GridSample" => grid_sample,
        "AffineGrid" => affine_grid,
        "DeformConv" => deform_conv,
        _ => return None,
    })
}

/// Reads each image at the positions of its grid. A computed grid costs a few rows for each position and each row
/// and column of the image; a known one for each element read.
fn grid_sample(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, grid) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    let axes = spatial(node, x)?;
    let fits = grid.shape.len() == axes + 2 && grid.shape[0] == x.shape[0] && grid.shape[axes + 1] == axes;
    if !fits || x.shape.contains(&0) || grid.shape.contains(&0) {
        return Err(node.malformed(format!("a grid {:?} for an input {:?}", grid.shape, x.shape)));
    }
    let kernel = match node.text("mode").as_deref() {
        None | Some("linear" | "bilinear") => Kernel::Linear,
        Some("nearest") => Kernel::Nearest,
        Some("cubic" | "bicubic") => Kernel::Cubic,
        Some(other) => return Err(node.malformed(format!("mode `{other}`"))),
    };
    let padding = match node.text("padding_mode").as_deref() {
        None | Some("zeros") => Padding::Zeros,
        Some("border") => Padding::Border,
        Some("reflection") => Padding::Reflection,
        Some(other) => return Err(node.malformed(format!("padding_mode `{other}`"))),
    };
    let sampling = Sampling { kernel, padding, align_corners: node.flag("align_corners", false)? };
    if x.element == Element::Integer && kernel != Kernel::Nearest {
        return Err(node.unsupported("it interpolates integers", "cast to float before, or use the mode `nearest`"));
    }
    let count: usize = grid.shape[1..=axes].iter().product();
    let mut shape = vec![x.shape[0], x.shape[1]];
    shape.extend(&grid.shape[1..=axes]);
    b.check_size(&shape)?;
    b.check(Cost::operations(x.shape[0]))?;
    let mut parts = Vec::with_capacity(x.shape[0]);
    for n in 0..x.shape[0] {
        let image = b.pick(x, 0, n)?;
        let positions = (0..axes)
            .map(|axis| {
                // The last axis comes first.
                let at: Vec<usize> = (0..count).map(|p| (n * count + p) * axes + axes - 1 - axis).collect();
                let given = b.gather(grid, &at, vec![count])?;
                // From [-1, 1] between the borders.
                let len = x.shape[2 + axis] as f64;
                let span = if sampling.align_corners { len - 1.0 } else { len };
                b.affine(&given.with_element(Element::Real), vec![span / 2.0], vec![(len - 1.0) / 2.0])
            })
            .collect::<Result<Vec<_>, _>>()?;
        parts.push(sample(b, &image, &positions, sampling)?);
    }
    Ok(vec![b.stack(&parts, 0)?.reshaped(shape).with_data_type(x.data_type)])
}

/// The matrices applied to evenly spaced positions of a known size.
fn affine_grid(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let theta = node.required(inputs, 0)?;
    let size = node.known(inputs, 1, "size")?;
    let axes = size.len().saturating_sub(2);
    let limit = crate::float::MAX_ELEMENTS as f64;
    if !(2..=3).contains(&axes)
        || size.iter().any(|d| !(1.0..=limit).contains(d))
        || theta.shape[..] != [size[0] as usize, axes, axes + 1]
    {
        return Err(node.malformed(format!("matrices {:?} for a size {size:?}", theta.shape)));
    }
    let dims: Vec<usize> = size[2..].iter().map(|d| *d as usize).collect();
    let images = theta.shape[0];
    let mut shape = vec![images];
    shape.extend(&dims);
    shape.push(axes + 1);
    b.check_size(&shape)?;
    let count: usize = dims.iter().product();
    let align = node.flag("align_corners", false)?;
    let strides = indices::strides(&dims);
    let mut weight = Vec::with_capacity((axes + 1) * count);
    for axis in (0..axes).rev() {
        let len = dims[axis] as f64;
        let place = |i: usize| match align {
            true if dims[axis] == 1 => -1.0,
            true => 2.0 * i as f64 / (len - 1.0) - 1.0,
            false => (2.0 * i as f64 + 1.0) / len - 1.0,
        };
        weight.extend((0..count).map(|p| place(p / strides[axis] % dims[axis])));
    }
    weight.resize((axes + 1) * count, 1.0);
    let layer = Layer {
        shape: LinearShape::Dense { rows: images * axes, inner: axes + 1 },
        width: count,
        weight,
        bias: None,
        name: format!("{}/positions", node.name),
    };
    let moved = b.linear(theta, layer)?.reshaped(vec![images, axes, count]);
    shape[axes + 1] = axes;
    Ok(vec![b.transpose(&moved, &[0, 2, 1])?.reshaped(shape)])
}

/// A convolution whose taps are read off their places by computed or known offsets, with linear interpolation
/// among zeros.
fn deform_conv(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, w) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    let offset = node.required(inputs, 2)?;
    let axes = spatial(node, x)?;
    if w.shape.len() != x.shape.len() || x.shape.contains(&0) {
        return Err(node.malformed(format!("weight {:?} for input {:?}", w.shape, x.shape)));
    }
    let window = Window::new(node, x, &w.shape[2..])?;
    let number = |name: &str| usize::try_from(node.int(name).unwrap_or(1)).unwrap_or(0);
    let (groups, offsets) = (number("group"), number("offset_group"));
    let (batch, channels, outputs, inner) = (x.shape[0], x.shape[1], w.shape[0], w.shape[1]);
    if groups == 0 || outputs % groups != 0 || inner.checked_mul(groups) != Some(channels) {
        return Err(node.malformed(format!("{groups} groups of {channels} channels with weight {:?}", w.shape)));
    }
    let (taps, positions) = (window.taps(), window.positions());
    let expected = |each: usize| {
        let lead = offsets.checked_mul(taps * each);
        lead.map(|lead| [batch, lead].into_iter().chain(window.output.iter().copied()).collect::<Vec<_>>())
    };
    if offsets == 0 || channels % offsets != 0 || expected(axes).as_ref() != Some(&offset.shape) {
        return Err(node.malformed(format!("offsets {:?} in {offsets} groups", offset.shape)));
    }
    let mask = inputs.get(4).and_then(Option::as_ref);
    if mask.is_some_and(|mask| expected(1).as_ref() != Some(&mask.shape)) {
        return Err(node.malformed("a mask that is not one number for each tap and position"));
    }
    let bias = bias(node, inputs, 3, outputs)?;
    let shared = channels / offsets;
    b.check_size(&[batch, channels, taps, positions])?;
    b.check(Cost::operations(batch * offsets))?;
    let mut parts = Vec::with_capacity(batch * offsets);
    for (n, g) in (0..batch * offsets).map(|i| (i / offsets, i % offsets)) {
        let area: usize = window.input.iter().product();
        let start = (n * channels + g * shared) * area;
        let at: Vec<usize> = (start..start + shared * area).collect();
        let image: Vec<usize> = [shared].into_iter().chain(window.input.iter().copied()).collect();
        let image = b.gather(x, &at, image)?;
        let places = places(b, offset, &window, n * offsets + g)?;
        let mut read = sample(b, &image, &places, Sampling::LINEAR)?;
        if let Some(mask) = mask {
            let start = (n * offsets + g) * taps * positions;
            let at: Vec<usize> = (0..read.len()).map(|i| start + i % (taps * positions)).collect();
            let mask = b.gather(mask, &at, read.shape.clone())?;
            read = b.mul(&read, &mask)?;
        }
        parts.push(read);
    }
    let rows = inner * taps;
    let mut products = Vec::with_capacity(groups);
    for group in 0..groups {
        let mut sources = Vec::with_capacity(batch * positions * rows);
        for (n, p) in (0..batch * positions).map(|i| (i / positions, i % positions)) {
            for (channel, tap) in (0..rows).map(|i| (group * inner + i / taps, i % taps)) {
                let part = n * offsets + channel / shared;
                let at = (channel % shared * taps + tap) * positions + p;
                sources.push(FloatSource::Element(part as u32, at as u32));
            }
        }
        let patches = b.assemble(&parts, sources, vec![batch * positions, rows])?;
        let width = outputs / groups;
        let at: Vec<usize> = (0..rows * width).map(|i| (group * width + i % width) * rows + i / width).collect();
        let mut weight = b.gather(w, &at, vec![rows, width])?;
        weight.name = format!("{}/{group}", w.name);
        products.push(matmul::matrices(b, &patches, &weight)?);
    }
    let y = channels_second(b, &products, window.output_shape(batch, outputs))?;
    Ok(vec![biased(b, &y, bias)?])
}

/// Where the taps of each position are read, axis by axis: `[taps * positions]`.
fn places(b: &mut Builder, offset: &Value, window: &Window, part: usize) -> Result<Vec<Value>, GraphError> {
    let (taps, positions, axes) = (window.taps(), window.positions(), window.input.len());
    let (over, within) = (indices::strides(&window.output), indices::strides(&window.kernel));
    (0..axes)
        .map(|axis| {
            let mut at = Vec::with_capacity(taps * positions);
            let mut base = Vec::with_capacity(taps * positions);
            for (tap, p) in (0..taps * positions).map(|i| (i / positions, i % positions)) {
                at.push(((part * taps + tap) * axes + axis) * positions + p);
                let position = p / over[axis] % window.output[axis] * window.stride[axis];
                let place = position + tap / within[axis] % window.kernel[axis] * window.dilation[axis];
                base.push(place as f64 - window.before[axis] as f64);
            }
            let moved = b.gather(offset, &at, vec![taps * positions])?;
            b.affine(&moved, vec![1.0], base)
        })
        .collect()
}
