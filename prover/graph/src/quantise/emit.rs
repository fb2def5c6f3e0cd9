mod conditions;
mod integers;
mod terms;

use super::{
    Emitted, Prepared, QuantiseOptions,
    prepare::Notes,
    scale::{Adjustments, Scales, fitting, scales},
    table::{TABLE_SHIFT, table},
};
use crate::{
    GraphError,
    bound::Meaning,
    calibrate::{Range, Ranges},
    float::{Activation, Element, FloatGraph, FloatId, FloatNode, FloatOp, FloatSource, Quotient},
    int::{
        Condition, DENOMINATOR, INTEGER_PACKING, IntGraph, IntNode, IntOp, IntTensor, Interval, MAX_SHIFT, Packing,
        Param, Port, Rescale, RescaleKind, ScaleExp, Source, TENSOR_BITS, TensorId, VALUE_BITS, WIDE_INTEGER_PACKING,
        power_of_two,
    },
};

/// Bits that a weight stays under in magnitude.
const WEIGHT_BITS: u32 = 30;

/// Bits that an exact value of a real tensor stays under.
const EXACT_BITS: u32 = 30;

/// Bits that an exact product of integers stays under.
const PRODUCT_BITS: u32 = 40;

/// Largest power of two between the scales of two tensors that are summed exactly.
const EXACT_LEVELS: i32 = 10;

/// Relative error of a coefficient that counts as none beside 16-bit rounding.
const COEFFICIENT_ERROR: f64 = 1.0 / (1 << 17) as f64;

/// Emits the integer graph, and what each of its nodes stands for.
pub(super) fn emit(
    Prepared { graph, ranges, notes }: &Prepared,
    options: &QuantiseOptions,
    adjustments: &Adjustments,
) -> Result<Emitted, GraphError> {
    let mut e = Emitter {
        graph,
        ranges,
        notes,
        options,
        scales: scales(graph, ranges, options, adjustments),
        placed: vec![TensorId(0); graph.tensors.len()],
        meanings: Vec::new(),
        out: IntGraph {
            name: graph.name.clone(),
            tensors: Vec::new(),
            params: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        },
    };
    for (i, id) in graph.inputs.iter().enumerate() {
        e.input(i, *id)?;
    }
    for node in &graph.nodes {
        let placed = e.node(node)?;
        if notes.turns.contains(&node.output) {
            e.mean(placed, Meaning::Free);
        }
        if ranges.tensor(node.output).masked {
            e.mean(placed, Meaning::Masked);
        }
        e.placed[node.output.0] = placed;
    }
    for id in &graph.outputs {
        e.output(*id)?;
    }
    Ok((e.out, e.meanings))
}

struct Emitter<'a> {
    graph: &'a FloatGraph,
    ranges: &'a Ranges,
    notes: &'a Notes,
    options: &'a QuantiseOptions,
    scales: Scales,
    /// Integer tensor of each float tensor that has one.
    placed: Vec<TensorId>,
    /// What each node of the integer graph stands for.
    meanings: Vec<Meaning>,
    out: IntGraph,
}

/// An operation about to be emitted.
struct Draft {
    op: IntOp,
    inputs: Vec<TensorId>,
    exponent: i32,
}

impl Emitter<'_> {
    fn input(&mut self, i: usize, id: FloatId) -> Result<(), GraphError> {
        let t = self.graph.tensor(id);
        let (exponent, packing) = match t.element {
            Element::Real => {
                let (exponent, bits) = self.scales.inputs[i];
                (exponent, Packing::dense(bits))
            }
            Element::Integer => {
                let range = self.ranges.tensor(id);
                let beyond = |packing: Packing| {
                    let bound = f64::from(packing.bits - 1).exp2();
                    [range.lo, range.hi].into_iter().find(|v| *v < -bound || *v >= bound)
                };
                let (input, bits) = (t.name.clone(), WIDE_INTEGER_PACKING.bits);
                if let Some(value) = beyond(WIDE_INTEGER_PACKING) {
                    return Err(GraphError::IntegerInputRange { input, value, bits });
                }
                (0, if beyond(INTEGER_PACKING).is_some() { WIDE_INTEGER_PACKING } else { INTEGER_PACKING })
            }
        };
        let tensor = self.tensor(t.name.clone(), t.shape.clone(), exponent, Interval::signed(packing.bits));
        self.placed[id.0] = tensor;
        let range = self.ranges.tensor(id);
        let minus_infinity = range.masked.then(|| ScaleExp(exponent).quantise(range.lo) as i64);
        self.out.inputs.push(Port { tensor, visibility: self.options.inputs, packing, minus_infinity });
        Ok(())
    }

    fn output(&mut self, id: FloatId) -> Result<(), GraphError> {
        let tensor = self.reduced(id)?;
        let bits = self.out.tensor(tensor).range.signed_bits().next_multiple_of(8);
        if bits > 32 {
            return Err(GraphError::Quantise {
                node: self.graph.tensor(id).name.clone(),
                reason: format!(
                    "its values have {bits} bits, an output has at most 32; divide it before it leaves the model"
                ),
            });
        }
        let packing = Packing::dense(bits);
        let exponent = self.out.tensor(tensor).exponent;
        let minus_infinity = self.ranges.minus_infinity(id).map(|most| exponent.quantise(most) as i64);
        self.out.outputs.push(Port { tensor, visibility: self.options.outputs, packing, minus_infinity });
        Ok(())
    }

    fn tensor(&mut self, name: String, shape: Vec<usize>, exponent: i32, range: Interval) -> TensorId {
        self.out.tensors.push(IntTensor { name, shape, exponent: ScaleExp(exponent), range });
        TensorId(self.out.tensors.len() - 1)
    }

    fn exponent(&self, id: TensorId) -> i32 {
        self.out.tensor(id).exponent.0
    }

    fn range(&self, id: TensorId) -> Interval {
        self.out.tensor(id).range
    }

    /// Adds an operation that computes a float tensor, or (`role`) something on the way to it.
    fn push(&mut self, node: &FloatNode, role: Option<&str>, draft: Draft) -> TensorId {
        let ranges: Vec<Interval> = draft.inputs.iter().map(|id| self.range(*id)).collect();
        let range = draft.op.range(&ranges, &self.out.params).output;
        let t = self.graph.tensor(node.output);
        let (name, shape) = match role {
            None => (t.name.clone(), t.shape.clone()),
            Some(role) => {
                let shape = draft.inputs.first().map(|id| self.out.tensor(*id).shape.clone());
                (format!("{}/{role}{}", t.name, self.out.tensors.len()), shape.unwrap_or_default())
            }
        };
        let output = self.tensor(name, shape, draft.exponent, range);
        let name = node.name.clone();
        self.out.nodes.push(IntNode { name, op: draft.op, inputs: draft.inputs, output });
        self.meanings.push(Meaning::Own);
        output
    }

    /// Says what the node that defines a tensor stands for.
    fn mean(&mut self, id: TensorId, meaning: Meaning) {
        if let Some(at) = self.out.nodes.iter().rposition(|n| n.output == id) {
            self.meanings[at] = meaning;
        }
    }

    fn refused(&self, node: &FloatNode, reason: impl Into<String>) -> GraphError {
        GraphError::Quantise { node: node.name.clone(), reason: reason.into() }
    }

    fn kind(node: &FloatNode) -> RescaleKind {
        match node.activation {
            Activation::None => RescaleKind::Signed,
            Activation::Relu => RescaleKind::Relu,
        }
    }

    fn node(&mut self, node: &FloatNode) -> Result<TensorId, GraphError> {
        let inputs: Vec<TensorId> = node.inputs.iter().map(|id| self.placed[id.0]).collect();
        match (&node.op, &inputs[..]) {
            (FloatOp::Linear { .. }, [x]) => self.linear(node, *x),
            (FloatOp::Add { ca, cb, c }, [a, b]) => self.combine(node, &[(&[*ca], *a), (&[*cb], *b)], &[*c]),
            (FloatOp::Affine { scale, offset }, [a]) if self.is_compared(node) && scale[..] == [scale[0].signum()] => {
                self.difference(node, scale[0], offset, *a)
            }
            (FloatOp::Affine { scale, offset }, [a]) => self.combine(node, &[(scale, *a)], offset),
            (FloatOp::Mul { c }, [a, b]) => self.mul(node, *c, [*a, *b]),
            (FloatOp::Sum { group, c }, [a]) => self.sum(node, *group, *c, *a),
            (FloatOp::MatMul { rows, inner, cols }, [a, b]) => self.matmul(node, [*rows, *inner, *cols], [*a, *b]),
            (FloatOp::Max { group }, [a]) => self.greatest(node, *group, *a),
            (FloatOp::Function { function, centre }, [a]) => {
                let a = self.narrow(node, 0, *a, Narrow::Signed)?;
                let exponent = self.scales.exponents[node.output.0];
                let op = IntOp::Function {
                    name: function.name(),
                    table: table(*function, *centre, self.exponent(a), exponent),
                    rescale: Rescale { shift: TABLE_SHIFT, kind: Self::kind(node) },
                };
                let id = self.push(node, None, Draft { op, inputs: vec![a], exponent });
                let cut = self.notes.cut(node.output);
                self.mean(id, Meaning::Function { function: *function, centre: *centre, cut });
                Ok(id)
            }
            (FloatOp::Div { quotient }, [a, b]) => self.quotient(node, *quotient, [*a, *b]),
            (FloatOp::Sqrt, [a]) => self.root(node, *a),
            (FloatOp::Floor, [a]) => self.floor(node, *a),
            (FloatOp::Indicator { condition }, [a]) => self.indicator(node, *condition, *a),
            (FloatOp::Select, [c, a, b]) => {
                let (exponent, values) = self.aligned(node, &[*a, *b])?;
                let draft = Draft { op: IntOp::Select, inputs: vec![*c, values[0], values[1]], exponent };
                Ok(self.push(node, None, draft))
            }
            (FloatOp::View { sources }, inputs) => self.view(node, sources, inputs),
            _ => Err(self.refused(node, format!("it reads {} tensors", inputs.len()))),
        }
    }

    /// Shift and output exponent at which coefficients up to `max` (in real units, for inputs at
    /// `input`) stay under [`WEIGHT_BITS`]: shift 16 and the desired exponent where possible.
    fn shift(&self, node: &FloatNode, max: f64, input: i32) -> Result<(u32, i32), GraphError> {
        let desired = self.scales.exponents[node.output.0];
        let room = if max > 0.0 { fitting(max, WEIGHT_BITS) } else { WEIGHT_BITS as i32 };
        // The coefficients' exponent is shift + output - input.
        let shift = (room + input - desired).min(MAX_SHIFT as i32);
        if let Ok(shift) = u32::try_from(shift) {
            return Ok((shift, desired));
        }
        let exponent = room + input;
        if desired - exponent > VALUE_BITS as i32 {
            return Err(self.refused(
                node,
                format!("its coefficients reach {max}, too large for inputs so coarse; normalise the model's inputs"),
            ));
        }
        Ok((0, exponent))
    }

    fn linear(&mut self, node: &FloatNode, x: TensorId) -> Result<TensorId, GraphError> {
        let FloatOp::Linear { shape, width, weight, bias, name } = &node.op else {
            return Err(self.refused(node, "it is no linear layer"));
        };
        if self.graph.tensor(node.output).element == Element::Integer && self.exponent(x) == 0 {
            return self.integer_linear(node, x);
        }
        let input = self.exponent(x);
        let max = weight.iter().fold(0.0f64, |m, w| m.max(w.abs()));
        let (shift, exponent) = self.shift(node, max, input)?;
        let level = shift as i32 + exponent - input;
        let weight_index = self.param(node, name.clone(), weight, level)?;
        let bias = match bias {
            Some(b) => Some(self.param(node, format!("{name}/bias"), b, level + input)?),
            None => None,
        };
        let op = IntOp::Linear {
            shape: *shape,
            width: *width,
            weight: weight_index,
            bias,
            rescale: Rescale { shift, kind: Self::kind(node) },
        };
        let id = self.push(node, None, Draft { op, inputs: vec![x], exponent });
        self.mean(id, Meaning::Linear(self.position(node)));
        Ok(id)
    }

    fn param(&mut self, node: &FloatNode, name: String, values: &[f64], exponent: i32) -> Result<usize, GraphError> {
        let values = self.integers(node, values, exponent)?;
        self.out.params.push(Param { name, values, exponent: ScaleExp(exponent) });
        Ok(self.out.params.len() - 1)
    }

    /// Coefficients at an exponent.
    fn integers(&self, node: &FloatNode, list: &[f64], exponent: i32) -> Result<Vec<i64>, GraphError> {
        list.iter()
            .map(|v| {
                let q = ScaleExp(exponent).quantise(*v);
                if q.abs() < 61f64.exp2() {
                    Ok(q as i64)
                } else {
                    Err(self.refused(
                        node,
                        format!("its constant {v} is too large beside its inputs; normalise the model's inputs"),
                    ))
                }
            })
            .collect()
    }

    fn mul(&mut self, node: &FloatNode, c: f64, inputs: [TensorId; 2]) -> Result<TensorId, GraphError> {
        if self.graph.tensor(node.output).element == Element::Integer {
            let op = IntOp::Mul { c: c as i64, rescale: Rescale::EXACT };
            return self.integer_product(node, op, inputs);
        }
        let power =
            power_of_two(c).ok_or_else(|| self.refused(node, format!("its coefficient {c} is no power of two")))?;
        let mut a = self.narrow(node, 0, inputs[0], Narrow::Spread)?;
        let mut b = if inputs[1] == inputs[0] { a } else { self.narrow(node, 1, inputs[1], Narrow::Spread)? };
        let natural = |e: &Self, a, b| e.exponent(a) + e.exponent(b) - power;
        let exponent = self.scales.exponents[node.output.0].min(natural(self, a, b));
        let excess = natural(self, a, b) - exponent - MAX_SHIFT as i32;
        if excess > 0 {
            // The product drops more than 16 bits: drop some of them from the operands first.
            if a == b {
                a = self.coarser(node, a, excess.div_euclid(2) + excess % 2)?;
                b = a;
            } else {
                b = self.coarser(node, b, excess)?;
            }
        }
        let level = exponent + MAX_SHIFT as i32 - natural(self, a, b);
        let c = c.signum() as i64 * (1i64 << level.clamp(0, 40));
        let op = IntOp::Mul { c, rescale: Rescale { shift: MAX_SHIFT, kind: Self::kind(node) } };
        Ok(self.push(node, None, Draft { op, inputs: vec![a, b], exponent }))
    }

    fn sum(&mut self, node: &FloatNode, group: usize, c: f64, a: TensorId) -> Result<TensorId, GraphError> {
        let input = self.exponent(a);
        let desired = self.scales.exponents[node.output.0];
        let integer = self.graph.tensor(node.output).element == Element::Integer;
        if integer && input == 0 && node.activation == Activation::None {
            let exact = IntOp::Sum { group, c: c as i64, rescale: Rescale::EXACT };
            return Ok(self.push(node, None, Draft { op: exact, inputs: vec![a], exponent: 0 }));
        }
        if let Some(power) = power_of_two(c) {
            let exact = IntOp::Sum { group, c: c.signum() as i64, rescale: Rescale::EXACT };
            let range = exact.range(&[self.range(a)], &self.out.params).output;
            let fits = integer || self.scales.wide[node.output.0] && range.signed_bits() <= EXACT_BITS;
            if fits && node.activation == Activation::None {
                return Ok(self.push(node, None, Draft { op: exact, inputs: vec![a], exponent: input - power }));
            }
            let exponent = desired.min(input - power);
            return self.rescaled_sum(node, None, (group, c, a), exponent);
        }
        // A mean over many elements has a small coefficient: below a precision it is split into a
        // sum, rescaled by a power of two, and an affine map with a coefficient near one.
        let coefficient = c.abs() * f64::from(MAX_SHIFT as i32 + desired - input).exp2();
        if (coefficient.round() / coefficient - 1.0).abs() <= COEFFICIENT_ERROR {
            return self.rescaled_sum(node, None, (group, c, a), desired);
        }
        let total = self.ranges.before_activation.get(self.position(node)).map_or(0.0, |r| r.max_abs());
        let exponent = fitting(total / c.abs() * self.options.headroom, VALUE_BITS - 1).min(input);
        let plain = FloatNode { activation: Activation::None, ..node.clone() };
        let total = self.rescaled_sum(&plain, Some("sum"), (group, 1.0, a), exponent)?;
        self.combine(node, &[(&[c], total)], &[0.0])
    }

    fn position(&self, node: &FloatNode) -> usize {
        self.graph.nodes.iter().position(|n| n.output == node.output).unwrap_or(usize::MAX)
    }

    fn rescaled_sum(
        &mut self,
        node: &FloatNode,
        role: Option<&str>,
        (group, c, a): (usize, f64, TensorId),
        exponent: i32,
    ) -> Result<TensorId, GraphError> {
        let level = MAX_SHIFT as i32 + exponent - self.exponent(a);
        let factor = Meaning::Factor(c);
        let c = self.integers(node, &[c], level)?[0];
        let op = IntOp::Sum { group, c, rescale: Rescale { shift: MAX_SHIFT, kind: Self::kind(node) } };
        let id = self.push(node, role, Draft { op, inputs: vec![a], exponent });
        self.mean(id, factor);
        if role.is_some() {
            self.out.tensors[id.0].shape = self.graph.tensor(node.output).shape.clone();
        }
        Ok(id)
    }

    fn matmul(
        &mut self,
        node: &FloatNode,
        [rows, inner, cols]: [usize; 3],
        inputs: [TensorId; 2],
    ) -> Result<TensorId, GraphError> {
        if self.graph.tensor(node.output).element == Element::Integer {
            let op = IntOp::MatMul { rows, inner, cols, rescale: Rescale::EXACT };
            return self.integer_product(node, op, inputs);
        }
        let mut a = self.narrow(node, 0, inputs[0], Narrow::Spread)?;
        let mut b = self.narrow(node, 1, inputs[1], Narrow::Spread)?;
        let natural = |e: &Self, a, b| e.exponent(a) + e.exponent(b);
        let exponent = self.scales.exponents[node.output.0].min(natural(self, a, b));
        let excess = natural(self, a, b) - exponent - MAX_SHIFT as i32;
        if excess > 0 {
            a = self.coarser(node, a, excess.div_euclid(2))?;
            b = self.coarser(node, b, excess - excess.div_euclid(2))?;
        }
        let shift = (natural(self, a, b) - exponent).max(0) as u32;
        let op = IntOp::MatMul { rows, inner, cols, rescale: Rescale { shift, kind: Self::kind(node) } };
        Ok(self.push(node, None, Draft { op, inputs: vec![a, b], exponent }))
    }

    fn view(&mut self, node: &FloatNode, wanted: &[FloatSource], inputs: &[TensorId]) -> Result<TensorId, GraphError> {
        let (mut exponent, joined) = self.aligned(node, inputs)?;
        if inputs.is_empty() && self.graph.tensor(node.output).element == Element::Integer {
            exponent = 0;
        }
        let sources = wanted
            .iter()
            .map(|s| match s {
                FloatSource::Element(i, at) => Ok(Source::Element(*i, *at)),
                FloatSource::Constant(c) => Ok(Source::Constant(self.integers(node, &[*c], exponent)?[0])),
            })
            .collect::<Result<Vec<_>, GraphError>>()?;
        let unit = ScaleExp(exponent);
        let rounded = sources.iter().zip(wanted).enumerate().filter_map(|(i, pair)| match pair {
            (Source::Constant(q), FloatSource::Constant(c)) => Some((i, (unit.dequantise(*q) - c).abs())),
            _ => None,
        });
        let rounded: Vec<(usize, f64)> = rounded.filter(|(_, error)| *error > 0.0).collect();
        let id = self.push(node, None, Draft { op: IntOp::View { sources }, inputs: joined, exponent });
        if !rounded.is_empty() {
            self.mean(id, Meaning::Constants(rounded));
        }
        Ok(id)
    }

    /// Tensors at one exponent: the finest at which none needs more than [`EXACT_BITS`] bits, and no finer than
    /// the node's output wants.
    fn aligned(&mut self, node: &FloatNode, inputs: &[TensorId]) -> Result<(i32, Vec<TensorId>), GraphError> {
        let integer = self.graph.tensor(node.output).element == Element::Integer;
        let desired = if integer { 0 } else { self.scales.exponents[node.output.0] };
        let exponents: Vec<i32> = inputs.iter().map(|id| self.exponent(*id)).collect();
        let Some(finest) = exponents.iter().copied().max() else { return Ok((desired, Vec::new())) };
        if exponents.iter().all(|e| *e == finest) {
            return Ok((finest, inputs.to_vec()));
        }
        let room =
            |id: &TensorId| self.exponent(*id) + (EXACT_BITS - self.range(*id).signed_bits().min(EXACT_BITS)) as i32;
        let exponent = inputs.iter().map(room).fold(finest.min(desired), i32::min);
        let mut aligned = Vec::with_capacity(inputs.len());
        for (id, from) in inputs.iter().zip(exponents) {
            aligned.push(match from - exponent {
                0 => *id,
                levels if levels > 0 => self.coarser(node, *id, levels)?,
                levels => self.finer(node, *id, levels.unsigned_abs()),
            });
        }
        Ok((exponent, aligned))
    }

    /// Input number `i` of a node as a tensor of 16 bits.
    fn narrow(&mut self, node: &FloatNode, i: usize, id: TensorId, how: Narrow) -> Result<TensorId, GraphError> {
        match self.lossless(node, i, id, how) {
            Some(RescaleKind::Exact) => return Ok(id),
            Some(kind) => {
                let op = IntOp::Affine { scale: vec![1], offset: vec![0], rescale: Rescale { shift: 0, kind } };
                let narrow = self.push(node, Some("narrow"), Draft { op, inputs: vec![id], exponent: 0 });
                if kind == RescaleKind::Relu {
                    self.mean(narrow, Meaning::Clipped);
                }
                return Ok(narrow);
            }
            None => {}
        }
        let observed = self.ranges.tensor(node.inputs[i]).max_abs() * self.options.headroom;
        let exponent = fitting(observed, VALUE_BITS - 1).min(self.exponent(id));
        self.coarser(node, id, self.exponent(id) - exponent)
    }

    /// How input number `i` of a node becomes a tensor of 16 bits without a loss, where it does: as it is, or because it
    /// holds integers that were observed to fit.
    fn lossless(&self, node: &FloatNode, i: usize, id: TensorId, how: Narrow) -> Option<RescaleKind> {
        let range = self.range(id);
        let spread = matches!(how, Narrow::Spread);
        let fits = match how {
            Narrow::Signed => range.within(Interval::signed(VALUE_BITS)),
            Narrow::Spread => range.hi.saturating_sub(range.lo) < 1 << VALUE_BITS && range.max_abs() < 1 << VALUE_BITS,
        };
        if fits {
            return Some(RescaleKind::Exact);
        }
        let observed = self.ranges.tensor(node.inputs[i]);
        let integer = self.graph.tensor(node.inputs[i]).element == Element::Integer && self.exponent(id) == 0;
        let greatest = f64::from(VALUE_BITS).exp2() - 1.0;
        if integer && spread && observed.lo >= 0.0 && observed.hi <= greatest {
            return Some(RescaleKind::Relu);
        }
        (integer && observed.max_abs() < f64::from(VALUE_BITS - 1).exp2()).then_some(RescaleKind::Signed)
    }

    /// The tensor at an exponent higher by `levels`, exactly.
    fn finer(&mut self, node: &FloatNode, id: TensorId, levels: u32) -> TensorId {
        let op = IntOp::Affine { scale: vec![1i64 << levels], offset: vec![0], rescale: Rescale::EXACT };
        let exponent = self.exponent(id) + levels as i32;
        self.push(node, Some("finer"), Draft { op, inputs: vec![id], exponent })
    }

    /// The tensor at an exponent lower by `levels`, as signed 16-bit values.
    fn coarser(&mut self, node: &FloatNode, id: TensorId, levels: i32) -> Result<TensorId, GraphError> {
        if levels == 0 && self.range(id).within(Interval::signed(VALUE_BITS)) {
            return Ok(id);
        }
        let Some(step) = u32::try_from(levels).ok().filter(|l| *l <= MAX_SHIFT) else {
            return Err(self.refused(node, "the scales of its inputs are too far apart; normalise the model's inputs"));
        };
        let shift = if step == 0 { 0 } else { MAX_SHIFT };
        let rescale = Rescale { shift, kind: RescaleKind::Signed };
        let op = IntOp::Affine { scale: vec![1i64 << (shift - step)], offset: vec![0], rescale };
        let exponent = self.exponent(id) - levels;
        Ok(self.push(node, Some("narrow"), Draft { op, inputs: vec![id], exponent }))
    }

    /// A quotient. Numerator and denominator are scaled so that its shift is no negative one.
    fn quotient(
        &mut self,
        node: &FloatNode,
        quotient: Quotient,
        [mut a, mut b]: [TensorId; 2],
    ) -> Result<TensorId, GraphError> {
        let mut exponent = self.scales.exponents[node.output.0];
        if quotient == Quotient::Integer {
            let observed = self.ranges.tensor(node.output);
            let narrow = Interval::signed(VALUE_BITS);
            if let Some(beyond) = [observed.lo, observed.hi].into_iter().find(|v| !narrow.contains(*v as i128)) {
                return Err(self.refused(
                    node,
                    format!(
                        "its whole quotient reaches {beyond} before it is clipped, and has at most 16 bits; divide by \
                         more, clip what is divided, or quantise to 8 bits"
                    ),
                ));
            }
            // Exact operands at one exponent: anything else would round twice.
            exponent = 0;
            let levels = self.exponent(a) - self.exponent(b);
            if levels > 0 {
                b = self.finer(node, b, levels.unsigned_abs().min(MAX_SHIFT));
            }
        } else {
            a = self.narrow(node, 0, a, Narrow::Spread)?;
        }
        if self.range(b).hi > DENOMINATOR.hi {
            let integer = self.graph.tensor(node.inputs[1]).element == Element::Integer;
            if integer && self.lossless(node, 1, b, Narrow::Spread).is_none() {
                return Err(self.refused(node, "its integers are too large to be divided exactly; use floats"));
            }
            b = self.narrow(node, 1, b, Narrow::Spread)?;
        }
        let shift = exponent - self.exponent(a) + self.exponent(b);
        if shift < 0 {
            a = self.coarser(node, a, -shift)?;
        }
        let op = IntOp::Div { shift: shift.max(0).unsigned_abs() };
        let id = self.push(node, None, Draft { op, inputs: vec![a, b], exponent });
        if quotient == Quotient::Integer {
            self.mean(id, Meaning::Whole);
        }
        Ok(id)
    }

    fn root(&mut self, node: &FloatNode, mut a: TensorId) -> Result<TensorId, GraphError> {
        let mut exponent = self.scales.exponents[node.output.0];
        if self.graph.tensor(node.inputs[0]).element == Element::Integer {
            // Its bits are what the root is exact by, and a floor may read it.
            let fits = self.ranges.tensor(node.output).max_abs() < f64::from(VALUE_BITS - 1).exp2();
            let floor = |n: &FloatNode| matches!(n.op, FloatOp::Floor) && n.inputs.contains(&node.output);
            if !fits && self.graph.nodes.iter().any(floor) {
                return Err(self.refused(node, "its integers are too large for an exact root; use floats"));
            }
            exponent = if fits { exponent.max(0) } else { exponent };
        } else {
            a = self.narrow(node, 0, a, Narrow::Spread)?;
        }
        let shift = 2 * exponent - self.exponent(a);
        if shift < 0 {
            a = self.coarser(node, a, -shift)?;
        }
        let op = IntOp::Sqrt { shift: shift.max(0).unsigned_abs() };
        Ok(self.push(node, None, Draft { op, inputs: vec![a], exponent }))
    }
}

/// What a reader demands of a narrow tensor.
#[derive(Clone, Copy)]
enum Narrow {
    /// Signed 16-bit values.
    Signed,
    /// Values that lie less than `2^16` apart.
    Spread,
}
