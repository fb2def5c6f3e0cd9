//! Regions of images, read between their elements.

use super::{
    Lowering, Node, matmul,
    sample::{clamped, combined, hats},
    weighted::{Weighted, put, weighted},
};
use crate::{
    GraphError,
    float::{Builder, Cost, Element, FloatSource, Value},
    int::Condition,
};

/// Most samples along an axis of a region.
const MAX_SAMPLES: usize = 1 << 16;

pub(super) fn find(operator: &str) -> Option<Lowering> {
    (operator == "RoiAlign").then_some(roi_align)
}

/// The attributes and sizes.
struct Regions {
    count: usize,
    /// Outputs a region, rows then columns.
    output: [usize; 2],
    /// Samples an output along each axis; 0 where the size of the region decides.
    samples: usize,
    scale: f64,
    /// Whether positions are moved by half an element.
    half: bool,
    greatest: bool,
}

impl Regions {
    fn new(node: &Node<'_>, rois: &Value) -> Result<Self, GraphError> {
        let size = |name: &str, default: u16| {
            let size = usize::try_from(node.int(name).unwrap_or(i64::from(default))).ok();
            size.filter(|n| (usize::from(default)..=MAX_SAMPLES).contains(n))
                .ok_or_else(|| node.malformed(name.to_owned()))
        };
        let transform = node.text("coordinate_transformation_mode");
        let default = if node.opset < 16 { "output_half_pixel" } else { "half_pixel" };
        Ok(Self {
            count: rois.shape[0],
            output: [size("output_height", 1)?, size("output_width", 1)?],
            samples: size("sampling_ratio", 0)?,
            scale: node.float("spatial_scale").unwrap_or(1.0),
            half: match transform.as_deref().unwrap_or(default) {
                "half_pixel" => true,
                "output_half_pixel" => false,
                other => return Err(node.malformed(format!("coordinate_transformation_mode `{other}`"))),
            },
            greatest: match node.text("mode").as_deref() {
                None | Some("avg") => false,
                Some("max") => true,
                Some(other) => return Err(node.malformed(format!("mode `{other}`"))),
            },
        })
    }

    /// Start and size of a region along an axis (0: rows), and its samples an output. In single precision, as
    /// elsewhere, because their number steps.
    fn extent(&self, roi: &[f64], axis: usize) -> (f64, f64, usize) {
        let (offset, scale) = (if self.half { 0.5 } else { 0.0 }, self.scale as f32);
        let [start, end] = [1, 3].map(|i| roi[i - axis] as f32 * scale - offset);
        let size = if self.half { end - start } else { (end - start).max(1.0) };
        let adaptive = (size / self.output[axis] as f32).ceil().clamp(0.0, MAX_SAMPLES as f32) as usize;
        (f64::from(start), f64::from(size), if self.samples > 0 { self.samples } else { adaptive })
    }
}

/// Means or greatest values of samples inside each part of each region. Regions may be computed where
/// `sampling_ratio` says how many samples there are. Of a single image, `batch_indices` are not read.
fn roi_align(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, rois) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    let batch = node.required(inputs, 2)?;
    let ([images, channels, height, width], [count, 4]) = (&x.shape[..], &rois.shape[..]) else {
        return Err(node.malformed(format!("regions {:?} of an input {:?}", rois.shape, x.shape)));
    };
    if batch.shape != [*count] || x.shape.contains(&0) || *count == 0 {
        return Err(node.malformed(format!("batch indices {:?} of an input {:?}", batch.shape, x.shape)));
    }
    let regions = Regions::new(node, rois)?;
    let shape = vec![*count, *channels, regions.output[0], regions.output[1]];
    b.check_size(&shape)?;
    if batch.known().is_some_and(|list| list.iter().any(|n| !(0.0..*images as f64).contains(n))) {
        return Err(node.malformed(format!("a batch index outside of {images} images")));
    }
    let image = if *images == 1 { Some(vec![0.0; *count]) } else { batch.known().map(<[f64]>::to_vec) };
    if let (Some(known), Some(image)) = (rois.known(), &image) {
        return Ok(vec![known_regions(b, (x, &regions), known, image)?.reshaped(shape)]);
    }
    if regions.samples == 0 {
        node.known(inputs, 1, "regions, without a sampling_ratio,")?;
        node.known(inputs, 2, "batch indices, without a sampling_ratio,")?;
    }
    let lengths = [*height, *width];
    let mut weights = Vec::with_capacity(2);
    for along in lengths.into_iter().enumerate() {
        weights.push(axis_weights(b, rois, &regions, along)?);
    }
    let area = height * width;
    let picked = match &image {
        Some(image) => {
            let size = channels * area;
            let at: Vec<usize> = image.iter().flat_map(|n| (*n as usize * size)..(*n as usize + 1) * size).collect();
            b.check_size(&[*count, size])?;
            b.gather(x, &at, vec![*count, size])?
        }
        None => {
            let bits = b.one_hot(batch, *images)?;
            matmul::matrices(b, &bits, &x.reshaped(vec![*images, channels * area]))?
        }
    };
    b.check(Cost::operations(*count))?;
    let mut parts = Vec::with_capacity(*count);
    for n in 0..*count {
        let image = b.pick(&picked.reshaped(vec![*count, channels * height, *width]), 0, n)?;
        let (rows, columns) = (b.pick(&weights[0], 0, n)?, b.pick(&weights[1], 0, n)?);
        let (down, across) = (rows.shape[0], columns.shape[0]);
        let columns = b.transpose(&columns, &[1, 0])?;
        let read = matmul::matrices(b, &image, &columns)?.reshaped(vec![*channels, *height, across]);
        let read = b.transpose(&read, &[0, 2, 1])?.reshaped(vec![channels * across, *height]);
        let rows = b.transpose(&rows, &[1, 0])?;
        let read = matmul::matrices(b, &read, &rows)?.reshaped(vec![*channels, across, down]);
        parts.push(b.transpose(&read, &[0, 2, 1])?);
    }
    let read = b.stack(&parts, 0)?;
    if !regions.greatest {
        return Ok(vec![read.reshaped(shape)]);
    }
    // Of each sample there are two rows and two columns.
    let each = 2 * regions.samples;
    let [down, across] = regions.output;
    let grouped = read.reshaped(vec![count * channels, down, each, across, each]);
    let grouped = b.transpose(&grouped, &[0, 1, 3, 2, 4])?;
    Ok(vec![b.max(&grouped, each * each, shape)?])
}

/// Weights of an axis' elements in each region, `[regions, outputs, length]`: means over samples; or
/// `[regions, outputs * samples * 2, length]`, of the lower and of the upper neighbour of each sample.
fn axis_weights(
    b: &mut Builder,
    rois: &Value,
    regions: &Regions,
    (axis, len): (usize, usize),
) -> Result<Value, GraphError> {
    let (outputs, samples) = (regions.output[axis], regions.samples);
    let each = outputs * samples;
    b.check_size(&[regions.count, each, len])?;
    let column = |b: &mut Builder, at: usize| {
        let at: Vec<usize> = (0..regions.count).map(|n| 4 * n + at).collect();
        let value = b.gather(rois, &at, vec![regions.count])?.with_element(Element::Real);
        let offset = if regions.half { -0.5 } else { 0.0 };
        b.affine(&value, vec![regions.scale], vec![offset])
    };
    let (start, end) = (column(b, 1 - axis)?, column(b, 3 - axis)?);
    let mut size = b.add((1.0, &end), (-1.0, &start))?;
    if !regions.half {
        let beyond = b.relu(&size, 1.0, -1.0)?;
        size = b.affine(&beyond, vec![1.0], vec![1.0])?;
    }
    let at: Vec<usize> = (0..regions.count * each).map(|i| i / each).collect();
    let (start, size) = (b.gather(&start, &at, vec![at.len()])?, b.gather(&size, &at, vec![at.len()])?);
    let place = |i: usize| ((i % each) as f64 + 0.5) / each as f64;
    let inside = b.affine(&size, (0..at.len()).map(place).collect(), vec![0.0])?;
    let x = b.add((1.0, &start), (1.0, &inside))?;
    // Further than one element outside there is nothing.
    let (above, below) = (b.affine(&x, vec![1.0], vec![1.0])?, b.affine(&x, vec![-1.0], vec![len as f64])?);
    let above = b.indicator(&above, Condition::NonNegative)?;
    let below = b.indicator(&below, Condition::NonNegative)?;
    let near = b.and(&above, &below)?;
    let within = clamped(b, &x, len as f64 - 1.0)?;
    let nothing = Value::constant(vec![-2.0; at.len()], vec![at.len()], Element::Real);
    let x = b.select(&near, &within, &nothing)?;
    let hats = hats(b, &x, len)?;
    if regions.greatest {
        let lower = b.floor(&x)?;
        let lower = b.one_hot(&lower, len)?;
        let zeros = Value::constant(vec![0.0; hats.len()], hats.shape.clone(), Element::Real);
        let lower = b.select(&lower, &hats, &zeros)?;
        let upper = b.add((1.0, &hats), (-1.0, &lower))?;
        return Ok(b.stack(&[lower, upper], 1)?.reshaped(vec![regions.count, each * 2, len]));
    }
    let grouped = b.transpose(&hats.reshaped(vec![regions.count * outputs, samples, len]), &[0, 2, 1])?;
    b.sum(&grouped, samples, 1.0 / samples as f64, vec![regions.count, outputs, len])
}

/// The rows or columns that a known position reads; `None` far outside.
fn neighbours(x: f64, len: usize) -> Option<Pair> {
    if !(-1.0..=len as f64).contains(&x) {
        return None;
    }
    let x = x.clamp(0.0, len as f64 - 1.0);
    let low = x.floor() as usize;
    Some([(low, 1.0 - x.fract()), ((low + 1).min(len - 1), x.fract())])
}

/// What each output reads along an axis of a known region: the neighbours of each sample.
fn along(regions: &Regions, roi: &[f64], (axis, len): (usize, usize)) -> Vec<Vec<Option<Pair>>> {
    let (start, size, samples) = regions.extent(roi, axis);
    let outputs = regions.output[axis];
    let sample = |i: usize| neighbours(start + size * (i as f64 + 0.5) / (outputs * samples) as f64, len);
    (0..outputs).map(|output| (0..samples).map(|i| sample(output * samples + i)).collect()).collect()
}

/// Regions known while compiling: the elements that each output reads.
fn known_regions(
    b: &mut Builder,
    (x, regions): (&Value, &Regions),
    rois: &[f64],
    images: &[f64],
) -> Result<Value, GraphError> {
    let (channels, dims) = (x.shape[1], [x.shape[2], x.shape[3]]);
    let mut sums: Vec<Weighted> = Vec::new();
    for (roi, image) in rois.chunks(4).zip(images) {
        let read = [0, 1].map(|axis| along(regions, roi, (axis, dims[axis])));
        let join = if regions.greatest { each_sample } else { mean };
        let mut one: Vec<Weighted> = Vec::with_capacity(regions.output[0] * regions.output[1]);
        for rows in &read[0] {
            for columns in &read[1] {
                one.push(join(rows, columns, dims[1]));
                b.check_size(&[regions.count, channels, regions.output[0], regions.output[1], one[0].len()])?;
            }
        }
        for channel in 0..channels {
            let base = (*image as usize * channels + channel) * dims[0] * dims[1];
            sums.extend(one.iter().map(|sum| sum.iter().map(|(at, weight)| (base + at, *weight)).collect()));
        }
    }
    if regions.greatest {
        return greatest(b, x, &sums);
    }
    weighted(b, x, &sums, vec![sums.len()])
}

/// Two neighbours of a sample and their weights.
type Pair = [(usize, f64); 2];

/// A mean over samples: the product of the means along the axes.
fn mean(rows: &[Option<Pair>], columns: &[Option<Pair>], width: usize) -> Weighted {
    let along = |samples: &[Option<Pair>]| {
        let mut mean = Weighted::new();
        for (at, weight) in samples.iter().flatten().flatten().filter(|(_, weight)| *weight != 0.0) {
            put(&mut mean, *at, weight / samples.len() as f64);
        }
        mean
    };
    combined(&along(rows), &along(columns), width)
}

/// The four neighbours of each sample; far outside, nothing.
fn each_sample(rows: &[Option<Pair>], columns: &[Option<Pair>], width: usize) -> Weighted {
    let pairs = rows.iter().flat_map(|row| columns.iter().map(move |column| (row, column)));
    let read = |pair: (&Option<Pair>, &Option<Pair>)| match pair {
        (Some(row), Some(column)) => combined(row, column, width),
        _ => vec![(0, 0.0)],
    };
    pairs.flat_map(read).collect()
}

/// The greatest of the weighted elements of each output.
fn greatest(b: &mut Builder, x: &Value, sums: &[Weighted]) -> Result<Value, GraphError> {
    let group = sums.iter().map(Vec::len).max().unwrap_or(0).max(1);
    b.check_size(&[sums.len(), group])?;
    let mut sources = Vec::with_capacity(sums.len() * group);
    let mut weights = Vec::with_capacity(sums.len() * group);
    for sum in sums {
        // Repeated elements change no maximum.
        let first = sum.first().copied().unwrap_or((0, 0.0));
        for (at, weight) in sum.iter().chain(std::iter::repeat(&first)).take(group) {
            sources.push(FloatSource::Element(0, *at as u32));
            weights.push(*weight);
        }
    }
    let rows = b.assemble(std::slice::from_ref(x), sources, vec![sums.len(), group])?;
    let products = b.affine(&rows.with_element(Element::Real), weights, vec![0.0])?;
    b.max(&products, group, vec![sums.len()])
}
