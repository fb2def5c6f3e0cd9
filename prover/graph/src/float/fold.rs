//! Passes over a finished float graph: chains of views become one view, affine maps and ReLUs move
//! into the operation that they follow, and what nobody reads is dropped.

use super::{Activation, Element, FloatGraph, FloatId, FloatNode, FloatOp, FloatSource, eval::one_or_each};
use crate::int::power_of_two;

/// Runs the passes until none of them changes anything.
pub(super) fn simplify(mut graph: FloatGraph) -> FloatGraph {
    loop {
        compose_views(&mut graph);
        drop_unread(&mut graph);
        let mut changed = false;
        while absorb_one(&mut graph) || push_forward_one(&mut graph) {
            changed = true;
        }
        if !changed {
            return graph;
        }
    }
}

/// Node that defines each tensor.
fn producers(graph: &FloatGraph) -> Vec<Option<usize>> {
    let mut producers = vec![None; graph.tensors.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        producers[node.output.0] = Some(i);
    }
    producers
}

/// How often each tensor is read, outputs of the model included.
fn readers(graph: &FloatGraph) -> Vec<usize> {
    let mut readers = vec![0; graph.tensors.len()];
    for id in graph.nodes.iter().flat_map(|n| &n.inputs).chain(&graph.outputs) {
        readers[id.0] += 1;
    }
    readers
}

fn compose_views(graph: &mut FloatGraph) {
    let producers = producers(graph);
    for at in 0..graph.nodes.len() {
        let FloatOp::View { sources } = &graph.nodes[at].op else { continue };
        let node = &graph.nodes[at];
        let through: Vec<Option<(&[FloatSource], &[FloatId])>> = node
            .inputs
            .iter()
            .map(|id| {
                let inner = &graph.nodes[producers[id.0]?];
                match &inner.op {
                    FloatOp::View { sources } => Some((sources.as_slice(), inner.inputs.as_slice())),
                    _ => None,
                }
            })
            .collect();
        let mut inputs: Vec<FloatId> = Vec::new();
        let mut slot = |id: FloatId| match inputs.iter().position(|i| *i == id) {
            Some(i) => i as u32,
            None => {
                inputs.push(id);
                inputs.len() as u32 - 1
            }
        };
        let composed: Vec<FloatSource> = sources
            .iter()
            .map(|source| match *source {
                FloatSource::Element(input, index) => match through[input as usize] {
                    Some((inner, ids)) => match inner[index as usize] {
                        FloatSource::Element(i, at) => FloatSource::Element(slot(ids[i as usize]), at),
                        constant => constant,
                    },
                    None => FloatSource::Element(slot(node.inputs[input as usize]), index),
                },
                constant => constant,
            })
            .collect();
        let node = &mut graph.nodes[at];
        node.inputs = inputs;
        node.op = FloatOp::View { sources: composed };
    }
}

fn drop_unread(graph: &mut FloatGraph) {
    let mut live = vec![false; graph.tensors.len()];
    for id in graph.inputs.iter().chain(&graph.outputs) {
        live[id.0] = true;
    }
    for node in graph.nodes.iter().rev() {
        if live[node.output.0] {
            for id in &node.inputs {
                live[id.0] = true;
            }
        }
    }
    let mut renumbered = vec![FloatId(0); live.len()];
    let mut next = 0;
    for (at, live) in live.iter().enumerate() {
        renumbered[at] = FloatId(next);
        next += usize::from(*live);
    }
    graph.nodes.retain(|n| live[n.output.0]);
    let mut keep = live.iter();
    graph.tensors.retain(|_| keep.next().copied().unwrap_or(false));
    for node in &mut graph.nodes {
        node.output = renumbered[node.output.0];
        for id in &mut node.inputs {
            *id = renumbered[id.0];
        }
    }
    for id in graph.inputs.iter_mut().chain(&mut graph.outputs) {
        *id = renumbered[id.0];
    }
}

/// Moves one affine map with its activation into what it follows; says whether there was one.
fn absorb_one(graph: &mut FloatGraph) -> bool {
    let producers = producers(graph);
    let readers = readers(graph);
    let found = (0..graph.nodes.len()).find_map(|at| {
        let after = &graph.nodes[at];
        let FloatOp::Affine { scale, offset } = &after.op else { return None };
        let read = *after.inputs.first()?;
        let single = |id: FloatId| readers[id.0] == 1;
        let first = producers[read.0].filter(|_| single(read))?;
        let (view, before) = match &graph.nodes[first].op {
            FloatOp::View { .. } => {
                let [inner] = graph.nodes[first].inputs[..] else { return None };
                (Some(first), producers[inner.0].filter(|_| single(inner))?)
            }
            _ => (None, first),
        };
        if graph.nodes[before].activation != Activation::None {
            return None;
        }
        // Products of integers are exact, and take no ReLU along.
        let product =
            matches!(graph.nodes[before].op, FloatOp::Mul { .. } | FloatOp::MatMul { .. } | FloatOp::Sum { .. });
        let integer = graph.tensor(graph.nodes[before].output).element == Element::Integer;
        if after.activation == Activation::Relu && product && integer {
            return None;
        }
        let map = Map { scale, offset, view: view.map(|v| &graph.nodes[v].op) };
        let op = map.absorbed(&graph.nodes[before].op)?;
        let view_op = view.and_then(|v| map.constants(&graph.nodes[v].op, after.activation));
        Some((at, view, before, op, view_op))
    });
    let Some((at, view, before, op, view_op)) = found else { return false };
    let removed: FloatNode = graph.nodes[at].clone();
    graph.nodes[before].op = op;
    graph.nodes[before].activation = removed.activation;
    if let (Some(v), Some(op)) = (view, view_op) {
        graph.nodes[v].op = op;
    }
    let read = removed.inputs[0];
    let (name, shape) = {
        let t = &graph.tensors[removed.output.0];
        (t.name.clone(), t.shape.clone())
    };
    // The tensor that remains carries the later name: it is the one with the later meaning.
    graph.tensors[read.0].name = name;
    graph.tensors[read.0].element = graph.tensors[removed.output.0].element;
    if view.is_some() {
        let inner = graph.nodes[before].output;
        graph.tensors[inner.0].element = graph.tensors[read.0].element;
    }
    let output_shape_differs = graph.tensors[read.0].shape != shape;
    graph.nodes.remove(at);
    for id in graph.nodes.iter_mut().flat_map(|n| &mut n.inputs) {
        if *id == removed.output {
            *id = read;
        }
    }
    if graph.outputs.contains(&removed.output) {
        if output_shape_differs {
            let len: usize = shape.iter().product();
            let sources = (0..len).map(|i| FloatSource::Element(0, i as u32)).collect();
            let node = FloatNode {
                op: FloatOp::View { sources },
                activation: Activation::None,
                inputs: vec![read],
                ..removed
            };
            graph.nodes.push(node);
        } else {
            for id in &mut graph.outputs {
                if *id == removed.output {
                    *id = read;
                }
            }
        }
    }
    true
}

/// Moves the coefficient of one mean, or one uniform map, into the weights of the linear layer that
/// alone reads it, perhaps through a view; says whether there was one.
fn push_forward_one(graph: &mut FloatGraph) -> bool {
    let readers = readers(graph);
    let reader = |id: FloatId| {
        let at = graph.nodes.iter().position(|n| n.inputs.contains(&id))?;
        (readers[id.0] == 1).then_some(at)
    };
    let found = graph.nodes.iter().enumerate().find_map(|(at, node)| {
        let (scale, offset) = match &node.op {
            FloatOp::Sum { c, .. } if *c != 1.0 => (*c, 0.0),
            FloatOp::Affine { scale, offset } => match (&scale[..], &offset[..]) {
                ([s], [o]) => (*s, *o),
                _ => return None,
            },
            _ => return None,
        };
        // A ReLU commutes with a positive factor alone.
        if node.activation == Activation::Relu && (scale <= 0.0 || offset != 0.0 || scale == 1.0) {
            return None;
        }
        let mut next = reader(node.output)?;
        let view = matches!(graph.nodes[next].op, FloatOp::View { .. }).then_some(next);
        if let Some(view) = view {
            // Constants of a view, and elements of other tensors, are not scaled.
            let FloatOp::View { sources } = &graph.nodes[view].op else { return None };
            let constant = |s: &FloatSource| matches!(s, FloatSource::Constant(_));
            if graph.nodes[view].inputs.len() != 1 || sources.iter().any(constant) {
                return None;
            }
            next = reader(graph.nodes[view].output)?;
        }
        let layer = scaled_layer(&graph.nodes[next].op, scale, offset)?;
        Some((at, next, layer))
    });
    let Some((at, next, layer)) = found else { return false };
    let is_sum = matches!(graph.nodes[at].op, FloatOp::Sum { .. });
    if let FloatOp::Sum { c, .. } = &mut graph.nodes[at].op {
        *c = 1.0;
    } else {
        graph.nodes[at].op = FloatOp::Affine { scale: vec![1.0], offset: vec![0.0] };
    }
    graph.nodes[next].op = layer;
    let (node, read) = (graph.nodes[at].clone(), graph.nodes[at].inputs[0]);
    graph.tensors[node.output.0].name.push_str("/unscaled");
    if !is_sum && node.activation == Activation::None {
        graph.nodes.remove(at);
        for id in graph.nodes.iter_mut().flat_map(|n| &mut n.inputs) {
            if *id == node.output {
                *id = read;
            }
        }
    }
    true
}

/// The linear layer of `scale * x + offset`. Padding is zero before the map and after it, so that
/// an offset passes through unpadded layers alone.
fn scaled_layer(op: &FloatOp, scale: f64, offset: f64) -> Option<FloatOp> {
    let FloatOp::Linear { shape, width, weight, bias, name } = op else { return None };
    if offset != 0.0 && shape.is_padded() {
        return None;
    }
    let bias = if offset == 0.0 {
        bias.clone()
    } else {
        let column = |o: usize| weight.iter().skip(o).step_by(*width).sum::<f64>();
        let given = |o: usize| bias.as_ref().map_or(0.0, |b| b[o]);
        Some((0..*width).map(|o| given(o) + offset * column(o)).collect())
    };
    let weight = weight.iter().map(|w| w * scale).collect();
    Some(FloatOp::Linear { shape: *shape, width: *width, weight, bias, name: name.clone() })
}

/// `y[i] = scale[i] * x[i] + offset[i]`, where `x` may be a view of the operation before.
struct Map<'a> {
    scale: &'a [f64],
    offset: &'a [f64],
    view: Option<&'a FloatOp>,
}

impl Map<'_> {
    /// The operation with the map inside, where it can carry it.
    fn absorbed(&self, op: &FloatOp) -> Option<FloatOp> {
        if let FloatOp::Linear { shape, width, weight, bias, name } = op {
            let (scale, offset) = self.by_column(shape.positions() * width, *width)?;
            let weight = weight.iter().enumerate().map(|(i, w)| w * scale[i % width]).collect();
            let bias = match bias {
                Some(b) => Some((0..*width).map(|o| b[o] * scale[o] + offset[o]).collect()),
                None if offset.iter().all(|o| *o == 0.0) => None,
                None => Some(offset),
            };
            return Some(FloatOp::Linear { shape: *shape, width: *width, weight, bias, name: name.clone() });
        }
        let ([scale], [offset]) = (self.scale, self.offset) else { return None };
        let (s, o) = (*scale, *offset);
        match op {
            FloatOp::Add { ca, cb, c } => Some(FloatOp::Add { ca: ca * s, cb: cb * s, c: c * s + o }),
            FloatOp::Affine { scale, offset } => Some(FloatOp::Affine {
                scale: scale.iter().map(|x| x * s).collect(),
                offset: offset.iter().map(|x| x * s + o).collect(),
            }),
            // The coefficient of a product of two tensors has few bits: a power of two loses nothing.
            FloatOp::Mul { c } if o == 0.0 && power_of_two(s).is_some() => Some(FloatOp::Mul { c: c * s }),
            FloatOp::Sum { group, c } if o == 0.0 => Some(FloatOp::Sum { group: *group, c: c * s }),
            FloatOp::MatMul { .. } | FloatOp::Function { .. } if s == 1.0 && o == 0.0 => Some(op.clone()),
            _ => None,
        }
    }

    /// Coefficients for each column of a `[positions, width]` result, where they depend on the
    /// column alone.
    fn by_column(&self, len: usize, width: usize) -> Option<(Vec<f64>, Vec<f64>)> {
        if let ([s], [o]) = (self.scale, self.offset) {
            return Some((vec![*s; width], vec![*o; width]));
        }
        let mut columns: Vec<Option<(f64, f64)>> = vec![None; width];
        let mut visit = |i: usize, source: usize| {
            let here = (one_or_each(self.scale, i), one_or_each(self.offset, i));
            *columns[source % width].get_or_insert(here) == here
        };
        let agree = match self.view {
            Some(FloatOp::View { sources }) => sources.iter().enumerate().all(|(i, s)| match s {
                FloatSource::Element(_, at) => visit(i, *at as usize),
                FloatSource::Constant(_) => true,
            }),
            _ => (0..len).all(|i| visit(i, i)),
        };
        agree.then(|| columns.into_iter().map(|c| c.unwrap_or((1.0, 0.0))).unzip())
    }

    /// The view with its constants mapped.
    fn constants(&self, view: &FloatOp, activation: Activation) -> Option<FloatOp> {
        let FloatOp::View { sources } = view else { return None };
        let sources = sources
            .iter()
            .enumerate()
            .map(|(i, s)| match s {
                FloatSource::Constant(c) => FloatSource::Constant(
                    activation.apply(one_or_each(self.scale, i) * c + one_or_each(self.offset, i)),
                ),
                element => *element,
            })
            .collect();
        Some(FloatOp::View { sources })
    }
}
