//! In which order the rows of a tensor are laid out, so that they evaluate the polynomials that its readers want.
//!
//! Whatever is decided here changes cost and nothing else: a reader evaluates copies where no rows did it in place.

use std::collections::{HashMap, HashSet};

use vouch_graph::int::{IntGraph, IntNode, IntOp, LinearShape, RescaleKind, Source, TensorId};

use crate::{
    gadget::track::{Chain, Variable},
    geometry::Geometry,
};

/// Most signed bits of an input whose rows hold the value where an evaluation reads it.
const TRACKED_BITS: u32 = 16;

/// The order of a graph's rows.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    /// For each node, its linear layer of several positions as a product of polynomials.
    pub(crate) geometries: Vec<Option<Geometry>>,
    /// For each tensor, the polynomials of its elements that its rows are to evaluate.
    pub(crate) wanted: Vec<Vec<Chain>>,
}

/// The element of another tensor that an element of a view is; `None` for a constant.
type Origin = Option<(usize, usize)>;

/// Tensors behind views.
struct Origins {
    views: Vec<Option<Vec<Origin>>>,
}

impl Origins {
    fn of(graph: &IntGraph) -> Self {
        let mut origins = Self { views: vec![None; graph.tensors.len()] };
        for node in &graph.nodes {
            let IntOp::View { sources } = &node.op else { continue };
            let resolved = sources.iter().map(|source| match source {
                Source::Constant(_) => None,
                Source::Element(input, index) => {
                    let tensor = node.inputs.get(*input as usize)?;
                    origins.resolve(*tensor, *index as usize)
                }
            });
            let resolved: Vec<Origin> = resolved.collect();
            origins.views[node.output.0] = Some(resolved);
        }
        origins
    }

    fn resolve(&self, tensor: TensorId, index: usize) -> Origin {
        match &self.views[tensor.0] {
            Some(elements) => elements.get(index).copied().flatten(),
            None => Some((tensor.0, index)),
        }
    }

    /// The polynomials over the one tensor that all their elements come from, each element once.
    fn common(&self, tensor: TensorId, chains: Vec<Chain>) -> Option<(usize, Vec<Chain>)> {
        let mut from = None;
        let mut seen = HashSet::new();
        let mut mapped = Vec::with_capacity(chains.len());
        for chain in chains {
            let mut terms = Vec::with_capacity(chain.terms.len());
            for (index, exponent) in chain.terms {
                let (origin, element) = self.resolve(tensor, index)?;
                if *from.get_or_insert(origin) != origin || !seen.insert(element) {
                    return None;
                }
                terms.push((element, exponent));
            }
            mapped.push(Chain { variable: chain.variable, terms });
        }
        from.map(|from| (from, mapped))
    }
}

impl Schedule {
    /// Decides on the order of every tensor.
    pub(crate) fn of(graph: &IntGraph) -> Self {
        let origins = Origins::of(graph);
        let strides = row_strides(graph, &origins);
        let mut schedule = Self {
            geometries: graph
                .nodes
                .iter()
                .zip(&strides)
                .map(|(node, stride)| match &node.op {
                    IntOp::Linear { shape, .. } if shape.positions() > 1 => Some(Geometry::new(shape, *stride)),
                    _ => None,
                })
                .collect(),
            wanted: vec![Vec::new(); graph.tensors.len()],
        };
        let producers = producers(graph);
        for (node, geometry) in graph.nodes.iter().zip(&schedule.geometries) {
            for (input, chains) in reads(node, geometry.as_ref()) {
                let Some((tensor, chains)) = origins.common(input, chains) else { continue };
                let producer = producers[tensor].map(|at| (&graph.nodes[at], schedule.geometries[at].as_ref()));
                if schedule.wanted[tensor].is_empty() && can_evaluate(graph, tensor, producer, &chains) {
                    schedule.wanted[tensor] = match producer {
                        Some((node, geometry)) => by_output(node, geometry, chains),
                        None => chains,
                    };
                }
            }
        }
        schedule
    }
}

/// Whether a product of matrices is cheaper by an identity than by a row for each product.
pub(crate) fn by_identity(rows: usize, inner: usize, cols: usize, rescale: RescaleKind) -> bool {
    // Copies of the left operand go three a row, of the right one a row.
    let identity = rows * cols + rows * inner / crate::gadget::track::TRIPLE + inner * cols;
    rescale != RescaleKind::Exact && identity < rows * cols * inner
}

/// For each tensor, the node that computes it.
fn producers(graph: &IntGraph) -> Vec<Option<usize>> {
    let mut producers = vec![None; graph.tensors.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        producers[node.output.0] = Some(at);
    }
    producers
}

/// The polynomials that a node reads, by operand.
fn reads(node: &IntNode, geometry: Option<&Geometry>) -> Vec<(TensorId, Vec<Chain>)> {
    let position = |terms| Chain { variable: Variable::Position, terms };
    match (&node.op, geometry, node.inputs.as_slice()) {
        (IntOp::Linear { .. }, Some(geometry), [x]) => {
            let parts = 0..geometry.parts.len();
            let chains =
                parts.flat_map(|part| (0..geometry.channels()).map(move |c| position(geometry.polynomial(c, part))));
            vec![(*x, chains.collect())]
        }
        (IntOp::MatMul { rows, inner, cols, rescale }, _, [a, b])
            if by_identity(*rows, *inner, *cols, rescale.kind) =>
        {
            let left = (0..*inner).map(|l| position((0..*rows).rev().map(|i| (i * inner + l, i)).collect()));
            let right = (0..*inner).map(|l| Chain {
                variable: Variable::Output,
                terms: (0..*cols).rev().map(|j| (l * cols + j, j)).collect(),
            });
            vec![(*a, left.collect()), (*b, right.collect())]
        }
        _ => Vec::new(),
    }
}

/// Elements in the order in which a node's identity lays out one of its outputs, with their exponents.
fn own_order(node: &IntNode, geometry: Option<&Geometry>, output: usize) -> Option<Vec<(usize, usize)>> {
    match (&node.op, geometry) {
        (IntOp::Linear { width, .. }, Some(geometry)) => {
            let positions = geometry.output[0] * geometry.output[1];
            Some((0..positions).rev().map(|p| (p * width + output, geometry.position(p))).collect())
        }
        (IntOp::MatMul { rows, inner, cols, rescale }, _) if by_identity(*rows, *inner, *cols, rescale.kind) => {
            Some((0..*rows).rev().map(|i| (i * cols + output, i)).collect())
        }
        _ => None,
    }
}

/// Whether the rows that compute a tensor can evaluate the polynomials.
fn can_evaluate(
    graph: &IntGraph,
    tensor: usize,
    producer: Option<(&IntNode, Option<&Geometry>)>,
    chains: &[Chain],
) -> bool {
    let Some((node, geometry)) = producer else {
        let port = graph.inputs.iter().find(|port| port.tensor.0 == tensor);
        return port.is_some_and(|port| port.packing.bits <= TRACKED_BITS);
    };
    match &node.op {
        // Rows in an order of their own: each polynomial has to be one output, with gaps that its rows leave.
        IntOp::Linear { .. } if geometry.is_none() => false,
        IntOp::Linear { width, .. } | IntOp::MatMul { cols: width, .. } => chains.iter().all(|chain| {
            let Some(own) = chain.terms.first().and_then(|(first, _)| own_order(node, geometry, first % width)) else {
                // A product laid out row by row, in any order.
                return !matches!(node.op, IntOp::Linear { .. });
            };
            let gap = |terms: &[(usize, usize)], i: usize| terms[i - 1].1 - terms[i].1;
            own.len() == chain.terms.len()
                && own.iter().zip(&chain.terms).all(|(own, term)| own.0 == term.0)
                && (1..own.len()).all(|i| gap(&chain.terms, i) <= gap(&own, i))
        }),
        IntOp::Add { rescale, .. }
        | IntOp::Mul { rescale, .. }
        | IntOp::Affine { rescale, .. }
        | IntOp::Sum { rescale, .. } => rescale.kind != RescaleKind::Exact,
        IntOp::Max { .. }
        | IntOp::Function { .. }
        | IntOp::Div { .. }
        | IntOp::Sqrt { .. }
        | IntOp::Indicator { .. } => true,
        IntOp::Select | IntOp::View { .. } => false,
    }
}

/// The polynomials of a tensor whose rows have an order of their own, one an output.
fn by_output(node: &IntNode, geometry: Option<&Geometry>, chains: Vec<Chain>) -> Vec<Chain> {
    let width = match &node.op {
        IntOp::Linear { width, .. } => *width,
        IntOp::MatMul { cols, .. } if own_order(node, geometry, 0).is_some() => *cols,
        _ => return chains,
    };
    let output = |chain: &Chain| chain.terms.first().map_or(0, |(first, _)| first % width);
    let variable = chains.first().map_or(Variable::Position, |chain| chain.variable);
    let mut ordered: Vec<Chain> = (0..width).map(|_| Chain { variable, terms: Vec::new() }).collect();
    for chain in chains {
        let at = output(&chain);
        ordered[at] = chain;
    }
    ordered
}

/// A row stride for each linear layer of several positions: at least the least, and no less than that of a layer that
/// reads its outputs, so that the rows between image rows do for both. Layers that read the same parts of one tensor
/// have the same.
fn row_strides(graph: &IntGraph, origins: &Origins) -> Vec<usize> {
    let mut strides: Vec<usize> = graph
        .nodes
        .iter()
        .map(|node| match &node.op {
            IntOp::Linear { shape, .. } if shape.positions() > 1 => Geometry::least_row_stride(shape),
            _ => 0,
        })
        .collect();
    let step = |at: usize| match &graph.nodes[at].op {
        IntOp::Linear { shape: LinearShape::Conv2d(c), .. } => c.stride,
        _ => [1, 1],
    };
    // Layers by the tensor that they read: a grouped convolution is a layer for each of its groups.
    let layers: Vec<usize> = (0..strides.len()).filter(|at| strides[*at] > 0).collect();
    let source = |at: usize| {
        let input = graph.nodes[at].inputs.first()?;
        origins.resolve(*input, 0).map(|(from, _)| from)
    };
    let sources: HashMap<usize, Option<usize>> = layers.iter().map(|at| (*at, source(*at))).collect();
    let mut readers: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
    for at in &layers {
        readers.entry(sources[at]).or_default().push(*at);
    }
    for at in layers.into_iter().rev() {
        let siblings = readers[&sources[&at]].iter().copied().filter(|other| step(*other) == step(at));
        let siblings: Vec<usize> = siblings.collect();
        let outputs = readers.get(&Some(graph.nodes[at].output.0)).map_or(&[][..], Vec::as_slice);
        let after = outputs.iter().copied().filter(|other| step(*other) == [1, 1]);
        let widest = after.chain(siblings.iter().copied()).map(|other| strides[other]).max().unwrap_or(0);
        for sibling in siblings {
            strides[sibling] = strides[sibling].max(widest);
        }
    }
    strides
}
