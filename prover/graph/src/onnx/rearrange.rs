//! Operators that lay elements out anew: padding, cropping, blocks, triangles, reversed sequences.

use super::{
    Lowering, Node,
    index::position,
    shape::{sizes, whole},
    tensor,
};
use crate::{
    GraphError,
    float::{Builder, Cost, FloatSource, Value, indices},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Pad" => pad,
        "CenterCropPad" => center_crop_pad,
        "Trilu" => trilu,
        "EyeLike" => eye_like,
        "ReverseSequence" => reverse_sequence,
        "SpaceToDepth" => space_to_depth,
        "DepthToSpace" => depth_to_space,
        "Col2Im" => col2im,
        _ => return None,
    })
}

/// Where padding takes its elements from.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Constant,
    Edge,
    Reflect,
    Wrap,
}

impl Mode {
    /// Position on an axis of `dim` for one that may lie outside it.
    fn source(self, at: i64, dim: i64) -> Option<usize> {
        let inside = match self {
            Self::Constant => at,
            Self::Edge => at.clamp(0, (dim - 1).max(0)),
            Self::Wrap => at.rem_euclid(dim.max(1)),
            Self::Reflect => {
                // There and back again, the ends once.
                let period = (2 * dim - 2).max(1);
                let turned = at.rem_euclid(period);
                turned.min(period - turned)
            }
        };
        (0..dim).contains(&inside).then_some(inside as usize)
    }
}

/// Padding by a value, which may be computed, or by the input's own elements; negative pads crop.
fn pad(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let mode = match node.text("mode").as_deref() {
        None | Some("constant") => Mode::Constant,
        Some("edge") => Mode::Edge,
        Some("reflect") => Mode::Reflect,
        Some("wrap") => Mode::Wrap,
        Some(other) => return Err(node.malformed(format!("its mode is `{other}`"))),
    };
    let rank = x.shape.len();
    // The oldest operator set has another name for them.
    let pads = match node.ints("paddings") {
        Some(pads) => pads.to_vec(),
        None => node.ints_or_input(inputs, "pads", 1)?.ok_or_else(|| node.malformed("it has no pads"))?,
    };
    let fill = match inputs.get(2) {
        Some(Some(fill)) if fill.len() == 1 => fill.with_element(x.element),
        Some(Some(_)) => return Err(node.malformed("its value is no scalar")),
        _ => Value::constant(vec![node.float("value").unwrap_or(0.0)], vec![], x.element),
    };
    let axes = match inputs.get(3) {
        Some(Some(_)) => {
            let axes: Vec<i64> = node.known(inputs, 3, "axes")?.iter().map(|a| *a as i64).collect();
            node.axes(&axes, rank)?
        }
        _ => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() || pads.iter().any(|p| p.unsigned_abs() > 1 << 24) {
        return Err(node.malformed(format!("pads {pads:?} for {} axes", axes.len())));
    }
    let mut before = vec![0i64; rank];
    let mut shape = x.shape.clone();
    for (i, axis) in axes.iter().enumerate() {
        before[*axis] = pads[i];
        let dim = x.shape[*axis] as i64 + pads[i] + pads[i + axes.len()];
        shape[*axis] = usize::try_from(dim).map_err(|_| node.malformed(format!("pads {pads:?}")))?;
    }
    if mode != Mode::Constant && (0..rank).any(|a| x.shape[a] == 0 && shape[a] > 0) {
        return Err(node.malformed("it pads an axis without elements by its own"));
    }
    Ok(vec![window(b, x, &fill, (&before, shape), mode)?])
}

/// The part of a tensor that starts `before` its first elements and has a shape of its own.
fn window(
    b: &mut Builder,
    x: &Value,
    fill: &Value,
    (before, shape): (&[i64], Vec<usize>),
    mode: Mode,
) -> Result<Value, GraphError> {
    b.check_size(&shape)?;
    let (from, to) = (indices::strides(&x.shape), indices::strides(&shape));
    let flat = |i: usize| {
        (0..shape.len()).try_fold(0, |flat, axis| {
            let at = (i / to[axis] % shape[axis]) as i64 - before[axis];
            Some(flat + mode.source(at, x.shape[axis] as i64)? * from[axis])
        })
    };
    let source = |i: usize| flat(i).map_or(FloatSource::Element(1, 0), |at| FloatSource::Element(0, at as u32));
    let sources: Vec<FloatSource> = (0..shape.iter().product()).map(source).collect();
    Ok(b.assemble(&[x.clone(), fill.clone()], sources, shape)?.with_data_type(x.data_type))
}

/// The middle of a tensor, or the tensor in the middle of zeros, axis by axis.
fn center_crop_pad(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let asked = whole(node, node.known(inputs, 1, "shape")?)?;
    let axes = match node.ints("axes") {
        Some(axes) => node.axes(axes, x.shape.len())?,
        None => (0..x.shape.len()).collect(),
    };
    if axes.len() != asked.len() {
        return Err(node.malformed(format!("shape {asked:?} for {} axes", axes.len())));
    }
    let mut shape = x.shape.clone();
    let mut before = vec![0i64; shape.len()];
    for (axis, size) in axes.iter().zip(asked) {
        let dim = x.shape[*axis];
        // Half of the difference, rounded down, lies in front.
        before[*axis] = if size > dim { ((size - dim) / 2) as i64 } else { -(((dim - size) / 2) as i64) };
        shape[*axis] = size;
    }
    let zero = Value::constant(vec![0.0], vec![], x.element);
    Ok(vec![window(b, x, &zero, (&before, shape), Mode::Constant)?])
}

/// The triangle on and above a diagonal of each matrix, or on and below it; zeros elsewhere.
fn trilu(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let [.., height, width] = x.shape[..] else {
        return Err(node.malformed(format!("an input of shape {:?}", x.shape)));
    };
    let k = match inputs.get(1) {
        Some(Some(_)) => node.known(inputs, 1, "k")?.first().copied().unwrap_or(0.0),
        _ => 0.0,
    };
    let upper = node.flag("upper", true)?;
    let source = |i: usize| {
        let above = (i % width) as f64 - (i / width % height) as f64 - k;
        let kept = if upper { above >= 0.0 } else { above <= 0.0 };
        if kept { FloatSource::Element(0, i as u32) } else { FloatSource::Constant(0.0) }
    };
    let sources = (0..x.len()).map(source).collect();
    Ok(vec![b.assemble(std::slice::from_ref(x), sources, x.shape.clone())?.with_data_type(x.data_type)])
}

/// Ones on a diagonal of a matrix of zeros.
fn eye_like(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let (height, width) = match x.shape[..] {
        [n] => (n, n),
        [height, width] => (height, width),
        _ => return Err(node.malformed(format!("an input of shape {:?}", x.shape))),
    };
    b.check_size(&[height, width])?;
    let data_type = node.int("dtype").map_or(x.data_type, |d| i32::try_from(d).unwrap_or(0));
    let element = tensor::element(node.name, data_type)?;
    let k = node.int("k").unwrap_or(0);
    let one = |i: usize| f64::from(u8::from((i % width) as i64 - (i / width) as i64 == k));
    let data = (0..height * width).map(one).collect();
    Ok(vec![Value::constant(data, vec![height, width], element).with_data_type(data_type)])
}

/// The first elements of each sequence in reverse, the others as they are; a computed length is compared with each that
/// it could be, and one out of range gives zeros, or any elements.
fn reverse_sequence(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, lengths) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    let batch = node.axis(node.int("batch_axis").unwrap_or(1), x.shape.len())?;
    let time = node.axis(node.int("time_axis").unwrap_or(0), x.shape.len())?;
    let (items, steps) = (x.shape[batch], x.shape[time]);
    if batch == time || lengths.len() != items {
        return Err(node.malformed(format!("{} lengths on axis {batch} of {:?}", lengths.len(), x.shape)));
    }
    let strides = indices::strides(&x.shape);
    let coordinates = |i: usize| (i / strides[batch] % items, i / strides[time] % steps);
    // Where element `i` comes from in a sequence of `length`.
    let turned = |i: usize, length: usize| {
        let (_, at) = coordinates(i);
        if at < length { i - at * strides[time] + (length - 1 - at) * strides[time] } else { i }
    };
    if let Some(known) = lengths.known() {
        let lengths = known.iter().map(|l| position(node, l.max(0.0), steps + 1)).collect::<Result<Vec<_>, _>>()?;
        let at: Vec<usize> = (0..x.len()).map(|i| turned(i, lengths[coordinates(i).0])).collect();
        return Ok(vec![b.gather(x, &at, x.shape.clone())?]);
    }
    let n = steps + 1;
    b.check_size(&[x.len(), n])?;
    let bits = b.one_hot(&lengths.reshaped(vec![items]), n)?;
    let hit: Vec<usize> = (0..x.len() * n).map(|i| coordinates(i / n).0 * n + i % n).collect();
    let from: Vec<usize> = (0..x.len() * n).map(|i| turned(i / n, i % n)).collect();
    let shape = vec![x.len(), n];
    let (bits, candidates) = (b.gather(&bits, &hit, shape.clone())?, b.gather(x, &from, shape)?);
    Ok(vec![b.chosen(&bits, &candidates, n)?.reshaped(x.shape.clone()).with_data_type(x.data_type)])
}

/// Batch, channels, height and width, and the size of the blocks.
fn blocks(node: &Node<'_>, x: &Value) -> Result<([usize; 4], usize), GraphError> {
    let size = node.int("blocksize").and_then(|s| usize::try_from(s).ok()).filter(|s| (1..1 << 16).contains(s));
    let size = size.ok_or_else(|| node.malformed("its blocksize is no positive number"))?;
    let [n, c, h, w] = x.shape[..] else {
        return Err(node.malformed(format!("an input of shape {:?}", x.shape)));
    };
    Ok(([n, c, h, w], size))
}

/// Whether the channels of a block come first, before those of the input.
fn block_first(node: &Node<'_>) -> Result<bool, GraphError> {
    match node.text("mode").as_deref() {
        None | Some("DCR") => Ok(true),
        Some("CRD") => Ok(false),
        Some(other) => Err(node.malformed(format!("its mode is `{other}`"))),
    }
}

fn space_to_depth(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let ([n, c, h, w], size) = blocks(node, x)?;
    if h % size != 0 || w % size != 0 {
        return Err(node.malformed(format!("blocks of {size} in an image of {h} x {w}")));
    }
    let split = x.reshaped(vec![n, c, h / size, size, w / size, size]);
    let perm = if block_first(node)? { [0, 3, 5, 1, 2, 4] } else { [0, 1, 3, 5, 2, 4] };
    Ok(vec![b.transpose(&split, &perm)?.reshaped(vec![n, c * size * size, h / size, w / size])])
}

fn depth_to_space(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let ([n, c, h, w], size) = blocks(node, x)?;
    if c % (size * size) != 0 {
        return Err(node.malformed(format!("blocks of {size} from {c} channels")));
    }
    let depth = c / (size * size);
    let (split, perm) = if block_first(node)? {
        (vec![n, size, size, depth, h, w], [0, 3, 4, 1, 5, 2])
    } else {
        (vec![n, depth, size, size, h, w], [0, 1, 4, 2, 5, 3])
    };
    Ok(vec![b.transpose(&x.reshaped(split), &perm)?.reshaped(vec![n, depth, h * size, w * size])])
}

/// Blocks of an image that a convolution would read, summed where they overlap.
fn col2im(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let columns = Columns::of(b, node, inputs)?;
    let &[n, depth, steps] = &x.shape[..] else {
        return Err(node.malformed(format!("an input of shape {:?}", x.shape)));
    };
    let area: usize = columns.block.iter().product();
    if area == 0 || depth % area != 0 || indices::count(&columns.along) != Some(steps) {
        return Err(node.malformed(format!(
            "blocks {:?} of an image {:?} from a shape {:?}",
            columns.block, columns.image, x.shape
        )));
    }
    let channels = depth / area;
    b.spend(Cost::steps(area.saturating_mul(steps)))?;
    let pixels = columns.pixels();
    let most = pixels.iter().map(Vec::len).max().unwrap_or(0).max(1);
    b.check_size(&[n, channels, pixels.len(), most])?;
    let mut sources = Vec::with_capacity(n * channels * pixels.len() * most);
    for channel in 0..n * channels {
        for list in &pixels {
            let start = channel * area * steps;
            let terms = list.iter().map(|at| FloatSource::Element(0, (start + at) as u32));
            sources.extend(terms.chain(std::iter::repeat_n(FloatSource::Constant(0.0), most - list.len())));
        }
    }
    let len = sources.len();
    let terms = b.assemble(std::slice::from_ref(x), sources, vec![len])?;
    let shape = [n, channels].into_iter().chain(columns.image).collect();
    Ok(vec![b.sum(&terms, most, 1.0, shape)?.with_data_type(x.data_type)])
}

/// How blocks lie in an image.
struct Columns {
    image: Vec<usize>,
    block: Vec<usize>,
    dilations: Vec<usize>,
    strides: Vec<usize>,
    pads: Vec<usize>,
    /// Blocks along each axis.
    along: Vec<usize>,
}

impl Columns {
    fn of(b: &Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Self, GraphError> {
        let image = whole(node, node.known(inputs, 1, "image shape")?)?;
        let block = whole(node, node.known(inputs, 2, "block shape")?)?;
        b.check_size(&image)?;
        b.check_size(&block)?;
        let axes = image.len();
        let (dilations, strides) = (sizes(node, "dilations", vec![1; axes])?, sizes(node, "strides", vec![1; axes])?);
        let pads = sizes(node, "pads", vec![0; 2 * axes])?;
        let mismatch = || node.malformed(format!("blocks {block:?} of an image {image:?}"));
        if block.len() != axes || strides.contains(&0) {
            return Err(mismatch());
        }
        let along = (0..axes).map(|a| {
            let extent = dilations[a].checked_mul(block[a].checked_sub(1)?)? + 1;
            Some((image[a] + pads[a] + pads[a + axes]).checked_sub(extent)? / strides[a] + 1)
        });
        let along = along.collect::<Option<Vec<_>>>().ok_or_else(mismatch)?;
        Ok(Self { image, block, dilations, strides, pads, along })
    }

    /// Elements of a channel that meet in each pixel.
    fn pixels(&self) -> Vec<Vec<usize>> {
        let (of_block, of_step) = (indices::strides(&self.block), indices::strides(&self.along));
        let of_image = indices::strides(&self.image);
        let steps: usize = self.along.iter().product();
        let mut pixels = vec![Vec::new(); self.image.iter().product()];
        for cell in 0..self.block.iter().product() {
            for step in 0..steps {
                let pixel = (0..self.image.len()).try_fold(0, |flat, a| {
                    let start = step / of_step[a] % self.along[a] * self.strides[a];
                    let at = start + cell / of_block[a] % self.block[a] * self.dilations[a];
                    Some(flat + at.checked_sub(self.pads[a]).filter(|at| *at < self.image[a])? * of_image[a])
                });
                if let Some(pixel) = pixel {
                    pixels[pixel].push(cell * steps + step);
                }
            }
        }
        pixels
    }
}
