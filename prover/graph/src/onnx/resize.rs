//! Images of another size: each axis in turn, with weights that the sizes alone determine.

use super::{Lowering, Node, weighted::Weighted};
use crate::{
    GraphError,
    float::{Builder, Element, FloatSource, Value, indices},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Resize" => resize,
        "Upsample" => upsample,
        _ => return None,
    })
}

/// Where an output position lies in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transform {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    /// Of version 11 alone.
    HalfPixelForNearest,
    CropAndResize,
}

/// How a position between two elements is rounded.
#[derive(Debug, Clone, Copy)]
enum Rounding {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
    /// Of version 10: down where the image grows, up where it shrinks.
    Scale,
}

/// What a position reads.
#[derive(Debug, Clone, Copy)]
enum Kernel {
    Nearest(Rounding),
    Linear,
    /// Keys' cubic convolution with this coefficient.
    Cubic(f64),
}

/// The attributes.
#[derive(Debug, Clone, Copy)]
struct Mode {
    transform: Transform,
    kernel: Kernel,
    antialias: bool,
    exclude_outside: bool,
    /// What lies outside of the input, for [`Transform::CropAndResize`].
    extrapolation: f64,
}

/// One axis.
#[derive(Debug, Clone, Copy)]
struct Axis {
    input: usize,
    output: usize,
    scale: f64,
    region: [f64; 2],
}

impl Axis {
    fn changes(&self) -> bool {
        (self.scale - 1.0).abs() > 1e-9 || self.output != self.input || self.region != [0.0, 1.0]
    }

    /// Where an output position lies in the input.
    fn original(&self, transform: Transform, position: usize) -> f64 {
        let (y, input) = (position as f64, self.input as f64);
        // The size before it is rounded down.
        let output = self.scale * input;
        match transform {
            Transform::HalfPixel => (y + 0.5) / self.scale - 0.5,
            Transform::HalfPixelSymmetric => {
                let offset = input / 2.0 * (1.0 - self.output as f64 / output);
                offset + (y + 0.5) / self.scale - 0.5
            }
            Transform::PytorchHalfPixel if output == 1.0 => -0.5,
            Transform::PytorchHalfPixel => (y + 0.5) / self.scale - 0.5,
            Transform::AlignCorners if output == 1.0 => 0.0,
            Transform::AlignCorners => y * (input - 1.0) / (output - 1.0),
            Transform::Asymmetric => y / self.scale,
            Transform::HalfPixelForNearest => (y + 0.5) / self.scale,
            Transform::CropAndResize => {
                let [start, end] = self.region;
                let within = if output == 1.0 {
                    (end - start) * (input - 1.0) / 2.0
                } else {
                    y * (end - start) * (input - 1.0) / (output - 1.0)
                };
                within + start * (input - 1.0)
            }
        }
    }

    /// How much wider an antialiasing kernel is where the image shrinks, as a divisor.
    fn shrinking(&self, mode: &Mode) -> f64 {
        if mode.antialias { self.scale.min(1.0) } else { 1.0 }
    }

    /// What an output position sums up, `None` outside of the input.
    fn taps(&self, mode: &Mode, position: usize) -> Option<Weighted> {
        let x = self.original(mode.transform, position);
        let last = self.input as f64 - 1.0;
        if mode.transform == Transform::CropAndResize && !(0.0..=last).contains(&x) {
            return None;
        }
        if let Kernel::Nearest(rounding) = mode.kernel {
            let at = match rounding {
                Rounding::PreferFloor => (x - 0.5).ceil(),
                Rounding::PreferCeil => (x + 0.5).floor(),
                Rounding::Scale if self.scale < 1.0 => x.ceil(),
                Rounding::Floor | Rounding::Scale => x.floor(),
                Rounding::Ceil => x.ceil(),
            };
            return Some(vec![(at.clamp(0.0, last) as usize, 1.0)]);
        }
        let radius = mode.kernel.radius();
        let scale = self.shrinking(mode);
        let first = (-radius / scale).floor() + 1.0;
        let base = if x.fract() == 0.0 { x - 1.0 } else { x.floor() };
        let count = (2.0 - 2.0 * first) as usize;
        let mut sum = Weighted::new();
        for i in 0..count {
            let at = base + first + i as f64;
            if mode.exclude_outside && !(0.0..=last).contains(&at) {
                continue;
            }
            let (element, weight) = (at.clamp(0.0, last) as usize, mode.kernel.weight(scale * (at - x)));
            match sum.last_mut() {
                // The edge stands for what lies beyond it.
                Some((other, total)) if *other == element => *total += weight,
                _ => sum.push((element, weight)),
            }
        }
        let total: f64 = sum.iter().map(|(_, weight)| weight).sum();
        if (mode.antialias || mode.exclude_outside) && total != 0.0 {
            sum.iter_mut().for_each(|(_, weight)| *weight /= total);
        }
        sum.retain(|(_, weight)| weight.abs() > 1e-12);
        Some(sum)
    }
}

impl Kernel {
    /// Distance from which on weights are zero.
    fn radius(self) -> f64 {
        match self {
            Self::Nearest(_) => 0.5,
            Self::Linear => 1.0,
            Self::Cubic(_) => 2.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Self::Nearest(_) => 1.0,
            Self::Linear => (1.0 - x).max(0.0),
            Self::Cubic(a) if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
            Self::Cubic(a) if x < 2.0 => ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
            Self::Cubic(_) => 0.0,
        }
    }
}

impl Mode {
    fn new(node: &Node<'_>) -> Result<Self, GraphError> {
        // Version 10 has neither attribute.
        let old = node.opset < 11;
        let transform = node.text("coordinate_transformation_mode");
        let transform = match transform.as_deref().unwrap_or(if old { "asymmetric" } else { "half_pixel" }) {
            "half_pixel" => Transform::HalfPixel,
            "half_pixel_symmetric" => Transform::HalfPixelSymmetric,
            "pytorch_half_pixel" => Transform::PytorchHalfPixel,
            "align_corners" => Transform::AlignCorners,
            "asymmetric" => Transform::Asymmetric,
            "tf_half_pixel_for_nn" => Transform::HalfPixelForNearest,
            "tf_crop_and_resize" => Transform::CropAndResize,
            other => return Err(node.malformed(format!("coordinate_transformation_mode `{other}`"))),
        };
        let rounding = node.text("nearest_mode");
        let rounding = match rounding.as_deref() {
            None if old => Rounding::Scale,
            None | Some("round_prefer_floor") => Rounding::PreferFloor,
            Some("round_prefer_ceil") => Rounding::PreferCeil,
            Some("floor") => Rounding::Floor,
            Some("ceil") => Rounding::Ceil,
            Some(other) => return Err(node.malformed(format!("nearest_mode `{other}`"))),
        };
        let kernel = match node.text("mode").as_deref() {
            None | Some("nearest") => Kernel::Nearest(rounding),
            Some("linear" | "bilinear") => Kernel::Linear,
            Some("cubic") => Kernel::Cubic(node.float("cubic_coeff_a").unwrap_or(-0.75)),
            Some(other) => return Err(node.malformed(format!("mode `{other}`"))),
        };
        Ok(Self {
            transform,
            kernel,
            antialias: node.flag("antialias", false)?,
            exclude_outside: node.flag("exclude_outside", false)?,
            extrapolation: node.float("extrapolation_value").unwrap_or(0.0),
        })
    }
}

/// The older form: scales, and positions rounded down.
fn upsample(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let scales: Vec<f64> = match node.floats("scales") {
        Some(scales) => scales.iter().map(|s| f64::from(*s)).collect(),
        None => node.known(inputs, 1, "scales")?.to_vec(),
    };
    let axes: Vec<usize> = (0..x.shape.len()).collect();
    let kernel = match node.text("mode").as_deref() {
        None | Some("nearest") => Kernel::Nearest(Rounding::Floor),
        Some("linear" | "bilinear") => Kernel::Linear,
        Some(other) => return Err(node.malformed(format!("mode `{other}`"))),
    };
    let transform = Transform::Asymmetric;
    let mode = Mode { transform, kernel, antialias: false, exclude_outside: false, extrapolation: 0.0 };
    let plan = scaled(node, x, &axes, &scales)?;
    Ok(vec![resized(b, node, x, (&axes, &plan), &mode)?])
}

fn resize(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let rank = x.shape.len();
    let mode = Mode::new(node)?;
    let axes = match node.ints("axes") {
        Some(axes) if !axes.is_empty() => node.axes(axes, rank)?,
        _ => (0..rank).collect(),
    };
    let known = |i: usize, role: &str| match inputs.get(i) {
        Some(Some(_)) => node.known(inputs, i, role).map(|list| Some(list).filter(|list| !list.is_empty())),
        _ => Ok(None),
    };
    let scales = known(if node.opset < 11 { 1 } else { 2 }, "scales")?;
    let mut plan = match (scales, known(3, "sizes")?) {
        (Some(scales), None) => scaled(node, x, &axes, scales)?,
        (None, Some(sizes)) => sized(node, x, &axes, sizes)?,
        _ => return Err(node.malformed("it needs either scales or sizes")),
    };
    if mode.transform == Transform::CropAndResize {
        let region = known(1, "roi")?.unwrap_or_default();
        if region.len() != 2 * axes.len() {
            return Err(node.malformed(format!("a roi of {} numbers for {} axes", region.len(), axes.len())));
        }
        for (i, axis) in plan.iter_mut().enumerate() {
            axis.region = [region[i], region[axes.len() + i]];
        }
    }
    Ok(vec![resized(b, node, x, (&axes, &plan), &mode)?])
}

fn scaled(node: &Node<'_>, x: &Value, axes: &[usize], scales: &[f64]) -> Result<Vec<Axis>, GraphError> {
    if scales.len() != axes.len() || scales.iter().any(|s| !(*s > 0.0 && *s < 1e6)) {
        return Err(node.malformed(format!("scales {scales:?} for {} axes", axes.len())));
    }
    let axis = |(axis, scale): (&usize, &f64)| {
        let input = x.shape[*axis];
        Axis { input, output: (scale * input as f64) as usize, scale: *scale, region: [0.0, 1.0] }
    };
    Ok(axes.iter().zip(scales).map(axis).collect())
}

fn sized(node: &Node<'_>, x: &Value, axes: &[usize], sizes: &[f64]) -> Result<Vec<Axis>, GraphError> {
    let fits = |s: &f64| (0.0..crate::float::MAX_ELEMENTS as f64).contains(s);
    if sizes.len() != axes.len() || !sizes.iter().all(fits) || axes.iter().any(|a| x.shape[*a] == 0) {
        return Err(node.malformed(format!("sizes {sizes:?} for {} axes of {:?}", axes.len(), x.shape)));
    }
    let scales = axes.iter().zip(sizes).map(|(axis, size)| size / x.shape[*axis] as f64);
    let common = match node.text("keep_aspect_ratio_policy").as_deref() {
        None | Some("stretch") => None,
        Some("not_larger") => Some(scales.clone().fold(f64::INFINITY, f64::min)),
        Some("not_smaller") => Some(scales.clone().fold(0.0, f64::max)),
        Some(other) => return Err(node.malformed(format!("keep_aspect_ratio_policy `{other}`"))),
    };
    let axis = |((axis, size), own): ((&usize, &f64), f64)| {
        let input = x.shape[*axis];
        let scale = common.unwrap_or(own);
        let output = if common.is_some() { (scale * input as f64 + 0.5) as usize } else { *size as usize };
        Axis { input, output, scale, region: [0.0, 1.0] }
    };
    Ok(axes.iter().zip(sizes).zip(scales).map(axis).collect())
}

/// Axis after axis.
fn resized(
    b: &mut Builder,
    node: &Node<'_>,
    x: &Value,
    (axes, plan): (&[usize], &[Axis]),
    mode: &Mode,
) -> Result<Value, GraphError> {
    let mut shape = x.shape.clone();
    for (axis, plan) in axes.iter().zip(plan) {
        if plan.output == 0 || plan.input == 0 {
            return Err(node.malformed(format!("an axis of {} elements resized to {}", plan.input, plan.output)));
        }
        shape[*axis] = plan.output;
    }
    b.check_size(&shape)?;
    if x.element == Element::Integer && !matches!(mode.kernel, Kernel::Nearest(_)) {
        return Err(node.unsupported("it interpolates integers", "cast to float before, or use the mode `nearest`"));
    }
    let mut out = x.clone();
    for (axis, plan) in axes.iter().zip(plan).filter(|(_, plan)| plan.changes()) {
        out = along(b, &out, *axis, (plan, mode))?;
    }
    Ok(out)
}

fn along(b: &mut Builder, x: &Value, axis: usize, (plan, mode): (&Axis, &Mode)) -> Result<Value, GraphError> {
    let reach = (2.0 * mode.kernel.radius() / plan.shrinking(mode)) as usize + 1;
    b.check_size(&[plan.output, reach.min(plan.input)])?;
    let sums: Vec<Option<Weighted>> = (0..plan.output).map(|position| plan.taps(mode, position)).collect();
    let group = sums.iter().flatten().map(Vec::len).max().unwrap_or(1).max(1);
    let mut shape = x.shape.clone();
    shape[axis] = plan.output;
    let rows = indices::count(&shape).unwrap_or(usize::MAX);
    b.check_size(&[rows, group])?;
    let outer: usize = x.shape[..axis].iter().product();
    let run: usize = x.shape[axis + 1..].iter().product();
    let mut sources = Vec::with_capacity(rows * group);
    let mut weights = Vec::with_capacity(rows * group);
    for row in 0..outer {
        for sum in &sums {
            for i in 0..run {
                let end = sources.len() + group;
                match sum {
                    Some(sum) => {
                        let element = |at: usize| ((row * plan.input + at) * run + i) as u32;
                        sources.extend(sum.iter().map(|(at, _)| FloatSource::Element(0, element(*at))));
                        weights.extend(sum.iter().map(|(_, weight)| *weight));
                    }
                    None => {
                        sources.push(FloatSource::Constant(mode.extrapolation));
                        weights.push(1.0);
                    }
                }
                sources.resize(end, FloatSource::Constant(0.0));
                weights.resize(end, 0.0);
            }
        }
    }
    if group == 1 {
        return b.assemble(std::slice::from_ref(x), sources, shape).map(|out| out.with_data_type(x.data_type));
    }
    let taps = b.assemble(std::slice::from_ref(x), sources, vec![rows, group])?;
    let products = b.affine(&taps, weights, vec![0.0])?;
    b.sum(&products, group, 1.0, shape)
}
