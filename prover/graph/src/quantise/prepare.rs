use std::f64::consts::{PI, TAU};

use crate::{
    calibrate::{Range, Ranges},
    float::{
        Activation, Element, FloatGraph, FloatId, FloatNode, FloatOp, FloatSource, FloatTensor, Function, Quotient,
    },
};

/// Magnitude beyond which a function is constant within half a unit of its output; a little less
/// than a power of two, so that it fits 15 bits at a power-of-two scale.
fn saturation(function: Function) -> Option<f64> {
    match function {
        Function::Sigmoid => Some(15.99),
        Function::Tanh => Some(7.99),
        Function::Erf => Some(3.99),
        _ => None,
    }
}

/// A bound that a range reaching to `most` resolves: its unit may be so coarse that the bound would be rounded up, out of
/// the 16 bits of the clamped values.
fn resolved(bound: f64, most: f64) -> f64 {
    let unit = (libm::log2(most + bound).ceil() - 15.0).exp2();
    let top = libm::log2(bound).ceil().exp2();
    bound.min((top - unit).max(top / 2.0))
}

/// How far below its greatest argument an exponential is less than half a unit of its output.
const EXP_DEPTH: f64 = 12.0;

/// Range of an exponential's argument from which on it is cut off at [`EXP_DEPTH`].
const EXP_RANGE: f64 = 20.0;

/// Range of an exponential's argument beyond which the cut itself would be coarser than what it leaves.
const CLAMP_RANGE: f64 = 1024.0;

/// Range of a periodic function's argument from which on it is brought into one period: before, the table's points lie
/// as close.
const WIDE_ARGUMENT: f64 = 32.0;

/// Whether the least argument of a reciprocal root lies so few points of its table from zero that the chords are off by
/// more than four thousandths: then roots and quotients are exact. Below [`STEEPEST`] of the greatest argument, as in a
/// row of equal elements, the divisor may round to zero, and the table stays.
fn too_steep(range: Range, headroom: f64) -> bool {
    /// Points of the table up to the least argument.
    const POINTS: f64 = 5.0;
    /// Least argument, as a share of the greatest one.
    const STEEPEST: f64 = 1.0 / 1024.0;
    // The middle of the range is brought to the middle of the table.
    let step = libm::log2(range.hi * headroom / 2.0).ceil().exp2() / 128.0;
    range.lo > STEEPEST * range.hi && range.lo < POINTS * step
}

/// What preparing changed of the model's mathematics.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// How far a cut-off argument moves the values of a function at most, by the tensor of these.
    cuts: Vec<(FloatId, f64)>,
    /// Whole turns of angles, of which any number will do.
    pub(super) turns: Vec<FloatId>,
}

impl Notes {
    /// How far a cut-off argument moves the values of a tensor at most.
    pub(super) fn cut(&self, id: FloatId) -> f64 {
        self.cuts.iter().find(|(of, _)| *of == id).map_or(0.0, |(_, cut)| *cut)
    }
}

/// Clamps the inputs of saturating functions that reach far into the constant part, so that the
/// table's points lie where the function moves: `x` becomes
/// `B - relu(2 B - relu(x + B))`, whose inner ReLU joins the operation that computes `x`. Exponentials are cut off
/// below, where they are no more than rounding errors, angles lose whole turns, and reciprocal roots that a table does
/// not follow are computed.
pub(super) fn clamp_functions(graph: &FloatGraph, ranges: &Ranges, headroom: f64) -> (FloatGraph, Ranges, Notes) {
    let mut notes = Notes::default();
    let mut out = FloatGraph { nodes: Vec::new(), ..graph.clone() };
    let mut observed = Ranges { before_activation: Vec::new(), ..ranges.clone() };
    for (at, node) in graph.nodes.iter().enumerate() {
        let mut node = node.clone();
        if let (FloatOp::Function { function, .. }, [read]) = (&node.op, &node.inputs[..])
            && let Some(bound) = saturation(*function)
            && ranges.tensor(*read).max_abs() * headroom > bound
        {
            let bound = resolved(bound, ranges.tensor(*read).max_abs() * headroom);
            let mut clamp = Clamp { graph: &mut out, ranges: &mut observed, headroom, bound };
            node.inputs = vec![clamp.insert(&node.name, *read)];
            // All of them tend to 1 above and to its counterpart below, as far away.
            notes.cuts.push((node.output, 1.0 - function.value(bound) + f64::EPSILON));
        } else if let (FloatOp::Function { function, centre }, [read]) = (&mut node.op, &node.inputs[..]) {
            let range = ranges.tensor(*read);
            let mut clamp = Clamp { graph: &mut out, ranges: &mut observed, headroom, bound: 0.0 };
            match function {
                Function::Exp if (EXP_RANGE..CLAMP_RANGE).contains(&((range.hi - range.lo) * headroom)) => {
                    let least = range.hi - EXP_DEPTH;
                    let (lo, hi) = (range.lo * headroom - least, range.hi * headroom - least);
                    let hi = hi.max(EXP_DEPTH);
                    let above = clamp.map(&node.name, *read, (1.0, -least), (lo.min(0.0), hi, Activation::Relu));
                    // What is cut off needs as coarse a scale: the rest gets a finer one, around the table's middle.
                    let half = EXP_DEPTH / 2.0;
                    let bounds = (-half, hi - half, Activation::None);
                    node.inputs = vec![clamp.map(&node.name, above, (1.0, -half), bounds)];
                    let cut = function.value(least - *centre) * (1.0 + 1e-12);
                    notes.cuts.push((node.output, cut));
                    *centre -= least + half;
                }
                Function::Sin | Function::Cos if range.max_abs() * headroom > WIDE_ARGUMENT / 2.0 => {
                    let (angle, turns) = clamp.period(&node.name, *read);
                    node.inputs = vec![angle];
                    notes.turns.push(turns);
                }
                Function::Rsqrt { epsilon } if too_steep(range, headroom) => {
                    let root = clamp.root_of(&node.name, *read, *epsilon);
                    let one = clamp.one(&node.name, root);
                    node.op = FloatOp::Div { quotient: Quotient::Real };
                    node.inputs = vec![one, root];
                }
                _ => {}
            }
        }
        out.nodes.push(node);
        observed.before_activation.push(ranges.before_activation[at]);
    }
    (out, observed, notes)
}

struct Clamp<'a> {
    graph: &'a mut FloatGraph,
    ranges: &'a mut Ranges,
    headroom: f64,
    bound: f64,
}

impl Clamp<'_> {
    /// The three maps; returns the clamped tensor.
    fn insert(&mut self, node: &str, read: FloatId) -> FloatId {
        let (bound, range) = (self.bound, self.ranges.tensor(read));
        // Bounds that hold with head-room; `map` takes the head-room out again.
        let (lo, hi) = (range.lo * self.headroom + bound, range.hi * self.headroom + bound);
        let above = self.map(node, read, (1.0, bound), (lo, hi, Activation::Relu));
        let top = (2.0 * bound - hi.max(0.0), 2.0 * bound);
        let below = self.map(node, above, (-1.0, 2.0 * bound), (top.0, top.1, Activation::Relu));
        self.map(node, below, (-1.0, bound), (-bound, bound, Activation::None))
    }

    /// An angle less the nearest whole number of turns, and these.
    fn period(&mut self, node: &str, read: FloatId) -> (FloatId, FloatId) {
        let range = self.ranges.tensor(read);
        let turn = |x: f64| x * self.headroom / TAU + 0.5;
        let (lo, hi) = (turn(range.lo), turn(range.hi));
        let turns = self.map(node, read, (1.0 / TAU, 0.5), (lo, hi, Activation::None));
        let bounds = (lo.floor(), hi.floor(), Activation::None);
        let whole = self.push(node, (FloatOp::Floor, Element::Integer), &[turns], bounds);
        let op = FloatOp::Add { ca: 1.0, cb: -TAU, c: 0.0 };
        (self.push(node, (op, Element::Real), &[read, whole], (-PI, PI, Activation::None)), whole)
    }

    /// `sqrt(x + epsilon)`.
    fn root_of(&mut self, node: &str, read: FloatId, epsilon: f64) -> FloatId {
        let range = self.ranges.tensor(read);
        let (lo, hi) = (range.lo / self.headroom + epsilon, range.hi * self.headroom + epsilon);
        let above = self.map(node, read, (1.0, epsilon), (lo, hi, Activation::None));
        let bounds = (lo.sqrt(), hi.sqrt(), Activation::None);
        self.push(node, (FloatOp::Sqrt, Element::Real), &[above], bounds)
    }

    /// Ones of the shape of another tensor.
    fn one(&mut self, node: &str, like: FloatId) -> FloatId {
        let sources = vec![FloatSource::Constant(1.0); self.graph.tensor(like).len()];
        let one = (1.0, 1.0, Activation::None);
        let output = self.push(node, (FloatOp::View { sources }, Element::Real), &[like], one);
        if let Some(view) = self.graph.nodes.last_mut() {
            view.inputs.clear();
        }
        output
    }

    fn map(
        &mut self,
        node: &str,
        read: FloatId,
        (scale, offset): (f64, f64),
        bounds: (f64, f64, Activation),
    ) -> FloatId {
        let op = FloatOp::Affine { scale: vec![scale], offset: vec![offset] };
        self.push(node, (op, Element::Real), &[read], bounds)
    }

    fn push(
        &mut self,
        node: &str,
        (op, element): (FloatOp, Element),
        read: &[FloatId],
        (lo, hi, activation): (f64, f64, Activation),
    ) -> FloatId {
        let first = self.graph.tensor(read[0]);
        let (shape, name) = (first.shape.clone(), first.name.clone());
        let output = FloatId(self.graph.tensors.len());
        let name = format!("{name}/clamp{}", output.0);
        self.graph.tensors.push(FloatTensor { name, shape, element });
        let name = node.to_owned();
        self.graph.nodes.push(FloatNode { name, op, activation, inputs: read.to_vec(), output });
        let range = |lo: f64, hi: f64| {
            let (lo, hi) = (lo / self.headroom, hi / self.headroom);
            Range::between(lo, hi)
        };
        self.ranges.before_activation.push(range(lo, hi));
        self.ranges.tensors.push(range(activation.apply(lo), activation.apply(hi)));
        output
    }
}

/// Lets an operation carry the ReLU of the affine map that alone reads it, offset included.
pub(super) fn fuse_clamps(mut graph: FloatGraph, mut ranges: Ranges) -> (FloatGraph, Ranges) {
    let mut at = 0;
    while at < graph.nodes.len() {
        let fused = fusion(&graph, at);
        let Some((before, op)) = fused else {
            at += 1;
            continue;
        };
        let removed = graph.nodes.remove(at);
        graph.nodes[before].op = op;
        graph.nodes[before].activation = Activation::Relu;
        graph.nodes[before].output = removed.output;
        ranges.before_activation[before] = ranges.before_activation.remove(at);
    }
    (graph, ranges)
}

/// The operation before node `at` with the node's offset inside, where the node is a shifted ReLU
/// that it can carry.
fn fusion(graph: &FloatGraph, at: usize) -> Option<(usize, FloatOp)> {
    let node = &graph.nodes[at];
    let FloatOp::Affine { scale, offset } = &node.op else { return None };
    let ([1.0], [offset], Activation::Relu) = (&scale[..], &offset[..], node.activation) else {
        return None;
    };
    let [read] = node.inputs[..] else { return None };
    let readers = graph.nodes.iter().flat_map(|n| &n.inputs).chain(&graph.outputs);
    if readers.filter(|id| **id == read).count() != 1 {
        return None;
    }
    let before = graph.nodes[..at].iter().position(|n| n.output == read)?;
    if graph.nodes[before].activation != Activation::None {
        return None;
    }
    Some((before, shifted(&graph.nodes[before].op, *offset)?))
}

/// Moves the inputs of functions to the middle of their tables where that halves the step between
/// two points or better: `f(x)` becomes `g(x + centre)` with `g(y) = f(y - centre)`, and the centre
/// joins the bias of what computes `x`. A softmax's exponential, whose argument is never positive,
/// gains a bit.
pub(super) fn centre_functions(graph: &FloatGraph, ranges: &Ranges, headroom: f64) -> (FloatGraph, Ranges) {
    let (mut graph, mut ranges) = (graph.clone(), ranges.clone());
    let mut next = 0;
    while next < graph.nodes.len() {
        let mut at = next;
        next += 1;
        let FloatOp::Function { .. } = graph.nodes[at].op else { continue };
        let [read] = graph.nodes[at].inputs[..] else { continue };
        let readers = graph.nodes.iter().flat_map(|n| &n.inputs).chain(&graph.outputs);
        if readers.filter(|id| **id == read).count() != 1 {
            continue;
        }
        let Some(before) = graph.nodes.iter().position(|n| n.output == read) else { continue };
        let mut before = before;
        if graph.nodes[before].activation != Activation::None {
            continue;
        }
        let observed = ranges.tensor(read);
        let (lo, hi) = (observed.lo.min(0.0) * headroom, observed.hi.max(0.0) * headroom);
        let (half, whole) = ((hi - lo) / 2.0, lo.abs().max(hi.abs()));
        if half <= 0.0 || libm::log2(half).ceil() >= libm::log2(whole).ceil() {
            continue;
        }
        let shift = -(lo + hi) / 2.0;
        let mut read = read;
        if matches!(graph.nodes[before].op, FloatOp::Sqrt | FloatOp::Sum { .. }) {
            // Roots and sums have no room for a constant: a map of its own is worth a bit.
            let mut clamp = Clamp { graph: &mut graph, ranges: &mut ranges, headroom, bound: 0.0 };
            let name = clamp.graph.nodes[at].name.clone();
            read = clamp.map(&name, read, (1.0, 0.0), (lo, hi, Activation::None));
            let (Some(map), Some(range)) = (graph.nodes.pop(), ranges.before_activation.pop()) else { continue };
            graph.nodes.insert(at, map);
            ranges.before_activation.insert(at, range);
            before = at;
            at += 1;
            next += 1;
            graph.nodes[at].inputs = vec![read];
        }
        let Some(op) = shifted(&graph.nodes[before].op, shift) else { continue };
        graph.nodes[before].op = op;
        if let FloatOp::Function { centre, .. } = &mut graph.nodes[at].op {
            *centre += shift;
        }
        // The values carry another meaning now, and must not pass for those of the ONNX tensor.
        graph.tensors[read.0].name.push_str("/centred");
        // Head-room is inside the bounds already.
        let (lo, hi) = ((lo + shift) / headroom, (hi + shift) / headroom);
        let centred = Range::between(lo, hi);
        ranges.tensors[read.0] = centred;
        ranges.before_activation[before] = centred;
    }
    (graph, ranges)
}

/// The operation with a constant added to its result, where it has room for one.
fn shifted(op: &FloatOp, shift: f64) -> Option<FloatOp> {
    match op {
        FloatOp::Linear { shape, width, weight, bias, name } => {
            let bias = match bias {
                Some(b) => b.iter().map(|b| b + shift).collect(),
                None => vec![shift; *width],
            };
            Some(FloatOp::Linear {
                shape: *shape,
                width: *width,
                weight: weight.clone(),
                bias: Some(bias),
                name: name.clone(),
            })
        }
        FloatOp::Add { ca, cb, c } => Some(FloatOp::Add { ca: *ca, cb: *cb, c: c + shift }),
        FloatOp::Affine { scale, offset } => {
            Some(FloatOp::Affine { scale: scale.clone(), offset: offset.iter().map(|o| o + shift).collect() })
        }
        _ => None,
    }
}
