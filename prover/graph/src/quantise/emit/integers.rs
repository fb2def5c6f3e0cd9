//! Integers stay exact, or are refused.

use super::{
    Activation, Condition, Draft, Element, Emitter, FloatId, FloatNode, FloatOp, GraphError, IntOp, Interval,
    MAX_SHIFT, Meaning, Narrow, PRODUCT_BITS, Rescale, RescaleKind, Source, TENSOR_BITS, TensorId, VALUE_BITS,
    WIDE_INTEGER_PACKING,
};
use crate::int::LinearShape;

/// What the sum of a layer over integers stays under, so that its upper half has 16 bits once it is rounded.
const SUM_LIMIT: f64 = (1u64 << 31) as f64 - (1u64 << 15) as f64;

impl Emitter<'_> {
    /// The tensor of an output: integers that are bounded to more than 32 bits, and have fewer where they were
    /// observed, leave the model as what was observed.
    pub(super) fn reduced(&mut self, id: FloatId) -> Result<TensorId, GraphError> {
        let tensor = self.placed[id.0];
        let observed = self.ranges.tensor(id);
        let within = |bits: u32| observed.lo >= -f64::from(bits - 1).exp2() && observed.hi < f64::from(bits - 1).exp2();
        let wide = self.range(tensor).signed_bits() > WIDE_INTEGER_PACKING.bits;
        let node = self.graph.nodes.iter().find(|n| n.output == id);
        let Some(node) = node.filter(|_| wide && self.exponent(tensor) == 0 && within(WIDE_INTEGER_PACKING.bits))
        else {
            return Ok(tensor);
        };
        self.out.tensors[tensor.0].name.push_str("/wide");
        let affine = |offset: i64, shift: u32| {
            let rescale = Rescale { shift, kind: RescaleKind::Signed };
            IntOp::Affine { scale: vec![1], offset: vec![offset], rescale }
        };
        if within(VALUE_BITS) {
            return Ok(self.push(node, None, Draft { op: affine(0, 0), inputs: vec![tensor], exponent: 0 }));
        }
        // The upper half is checked by its rescale, the lower one by its ReLU.
        let op = affine(-(1i64 << (MAX_SHIFT - 1)), MAX_SHIFT);
        let high = self.push(node, Some("high"), Draft { op, inputs: vec![tensor], exponent: -(MAX_SHIFT as i32) });
        self.mean(high, Meaning::Floor);
        let rescale = Rescale { shift: 0, kind: RescaleKind::Relu };
        let op = IntOp::Add { ca: 1, cb: -(1i64 << MAX_SHIFT), c: 0, rescale };
        let low = self.push(node, Some("low"), Draft { op, inputs: vec![tensor, high], exponent: 0 });
        let op = IntOp::Add { ca: 1i64 << MAX_SHIFT, cb: 1, c: 0, rescale: Rescale::EXACT };
        let whole = self.push(node, None, Draft { op, inputs: vec![high, low], exponent: 0 });
        self.mean(whole, Meaning::Follows(tensor));
        Ok(whole)
    }

    /// `sum_i coefficient_i * input_i + offset` of integers, exact.
    pub(super) fn combined_integers(
        &mut self,
        node: &FloatNode,
        terms: &[(&[f64], TensorId)],
        offset: &[f64],
    ) -> Result<Option<TensorId>, GraphError> {
        let integer = self.graph.tensor(node.output).element == Element::Integer;
        let mut coefficients = terms.iter().flat_map(|(c, _)| c.iter()).chain(offset);
        let whole = coefficients.all(|c| c.fract() == 0.0) && terms.iter().all(|(_, id)| self.exponent(*id) == 0);
        if !integer || !whole {
            return Ok(None);
        }
        if node.activation == Activation::None {
            let draft = self.combined(node, terms, offset, (0, Rescale::EXACT))?;
            let ranges: Vec<Interval> = terms.iter().map(|(_, id)| self.range(*id)).collect();
            let fits = draft.op.range(&ranges, &self.out.params).output.signed_bits() < TENSOR_BITS;
            return Ok(fits.then(|| self.push(node, None, draft)));
        }
        let observed = self.before(node).max_abs();
        if observed < f64::from(VALUE_BITS).exp2() {
            let rescale = Rescale { shift: 0, kind: RescaleKind::Relu };
            let draft = self.combined(node, terms, offset, (0, rescale))?;
            return Ok(Some(self.push(node, None, draft)));
        }
        let draft = self.combined(node, terms, offset, (0, Rescale::EXACT))?;
        let whole = self.push(node, Some("whole"), draft);
        Ok(Some(self.rectified(node, whole)?))
    }

    /// `max(0, .)` of what a node computes before its activation, of more than 16 bits.
    fn rectified(&mut self, node: &FloatNode, whole: TensorId) -> Result<TensorId, GraphError> {
        let most = self.before(node).max_abs();
        let sign = self.test(node, Some("sign"), Condition::NonNegative, (whole, most))?;
        let op = IntOp::Mul { c: 1, rescale: Rescale::EXACT };
        let positive = self.push(node, None, Draft { op, inputs: vec![sign, whole], exponent: 0 });
        self.mean(positive, Meaning::Follows(whole));
        Ok(positive)
    }

    /// A layer over integers. Sums of more than 16 bits come in halves, of one layer over two operands: its weights
    /// have `-2^16` for each output below them. Over `[x, 0]` it gives the upper half, over `[x, upper half]` what that
    /// leaves.
    pub(super) fn integer_linear(&mut self, node: &FloatNode, x: TensorId) -> Result<TensorId, GraphError> {
        let FloatOp::Linear { shape, width, weight, bias, name } = &node.op else {
            return Err(self.refused(node, "it is no linear layer"));
        };
        let (shape, width, most) = (*shape, *width, self.before(node).max_abs());
        let relu = node.activation == Activation::Relu;
        let bits = if relu { VALUE_BITS } else { VALUE_BITS - 1 };
        let narrow = most < f64::from(bits).exp2();
        if most >= SUM_LIMIT {
            return Err(self.refused(node, format!("its sums of integers reach {most}, beyond 32 bits; use floats")));
        }
        let mut weight = weight.clone();
        if !narrow {
            let carry = |i: usize| if i / width == i % width { -f64::from(MAX_SHIFT).exp2() } else { 0.0 };
            weight.extend((0..width * width).map(carry));
        }
        let weight = self.param(node, name.clone(), &weight, 0)?;
        let bias = match bias {
            Some(b) => Some(self.param(node, format!("{name}/bias"), b, 0)?),
            None => None,
        };
        if narrow {
            let rescale = Rescale { shift: 0, kind: Self::kind(node) };
            let op = IntOp::Linear { shape, width, weight, bias, rescale };
            let id = self.push(node, None, Draft { op, inputs: vec![x], exponent: 0 });
            self.mean(id, Meaning::Linear(self.position(node)));
            return Ok(id);
        }
        let (rows, inner) = (shape.positions(), shape.inner() + width);
        let layer = |shift: u32| {
            let rescale = Rescale { shift, kind: RescaleKind::Signed };
            IntOp::Linear { shape: LinearShape::Dense { rows, inner }, width, weight, bias, rescale }
        };
        let operand = |beside: &dyn Fn(usize) -> Source| -> Vec<Source> {
            let read = |p: usize, l: usize| match shape.index(p, l) {
                _ if l >= shape.inner() => beside(p * width + l - shape.inner()),
                Some(at) => Source::Element(0, at as u32),
                None => Source::Constant(0),
            };
            (0..rows).flat_map(|p| (0..inner).map(move |l| (p, l))).map(|(p, l)| read(p, l)).collect()
        };
        let alone = self.elements(node, &[x], (operand(&|_| Source::Constant(0)), vec![rows, inner]));
        let draft = Draft { op: layer(MAX_SHIFT), inputs: vec![alone], exponent: -(MAX_SHIFT as i32) };
        let high = self.push(node, Some("high"), draft);
        self.out.tensors[high.0].shape = vec![rows, width];
        let beside = operand(&|at| Source::Element(1, at as u32));
        let both = self.elements(node, &[x, high], (beside, vec![rows, inner]));
        let low = self.push(node, Some("low"), Draft { op: layer(0), inputs: vec![both], exponent: 0 });
        self.out.tensors[low.0].shape = vec![rows, width];
        let op = IntOp::Add { ca: 1i64 << MAX_SHIFT, cb: 1, c: 0, rescale: Rescale::EXACT };
        let sum = Draft { op, inputs: vec![high, low], exponent: 0 };
        let whole = self.push(node, relu.then_some("whole"), sum);
        self.mean(whole, Meaning::Halves(x));
        if relu { self.rectified(node, whole) } else { Ok(whole) }
    }

    /// Elements of tensors on the way to a node's output, at exponent 0 and in a shape of their own.
    fn elements(
        &mut self,
        node: &FloatNode,
        inputs: &[TensorId],
        (sources, shape): (Vec<Source>, Vec<usize>),
    ) -> TensorId {
        let draft = Draft { op: IntOp::View { sources }, inputs: inputs.to_vec(), exponent: 0 };
        let id = self.push(node, Some("part"), draft);
        self.out.tensors[id.0].shape = shape;
        id
    }

    /// The greatest element of each group. A maximum takes values of 16 bits: integers of more meet in pairs.
    pub(super) fn greatest(&mut self, node: &FloatNode, group: usize, a: TensorId) -> Result<TensorId, GraphError> {
        let integer = self.graph.tensor(node.output).element == Element::Integer && self.exponent(a) == 0;
        if !integer || group < 2 || self.lossless(node, 0, a, Narrow::Spread).is_some() {
            let a = self.narrow(node, 0, a, Narrow::Spread)?;
            let exponent = self.exponent(a);
            return Ok(self.push(node, None, Draft { op: IntOp::Max { group }, inputs: vec![a], exponent }));
        }
        let apart = 2.0 * self.ranges.tensor(node.inputs[0]).max_abs();
        let rows = self.graph.tensor(node.output).len();
        let (mut field, mut n) = (a, group);
        loop {
            let half = n / 2;
            let side = |s: usize| -> (Vec<Source>, Vec<usize>) {
                let pairs = (0..rows).flat_map(|r| (0..half).map(move |j| r * n + 2 * j + s));
                (pairs.map(|at| Source::Element(0, at as u32)).collect(), vec![rows, half])
            };
            let (left, right) = (self.elements(node, &[field], side(0)), self.elements(node, &[field], side(1)));
            let op = IntOp::Add { ca: 1, cb: -1, c: 0, rescale: Rescale::EXACT };
            let difference = Draft { op, inputs: vec![left, right], exponent: 0 };
            let difference = self.push(node, Some("difference"), difference);
            let first = self.test(node, Some("first"), Condition::NonNegative, (difference, apart))?;
            let greater = Draft { op: IntOp::Select, inputs: vec![first, left, right], exponent: 0 };
            if n == 2 {
                return Ok(self.push(node, None, greater));
            }
            let greater = self.push(node, Some("greater"), greater);
            let left_over = n % 2;
            let next = (0..rows).flat_map(|r| {
                let odd = (0..left_over).map(move |_| Source::Element(1, (r * n + n - 1) as u32));
                (0..half).map(move |j| Source::Element(0, (r * half + j) as u32)).chain(odd)
            });
            let next = (next.collect(), vec![rows, half + left_over]);
            let both = [greater, field];
            field = self.elements(node, if left_over == 0 { std::slice::from_ref(&greater) } else { &both[..] }, next);
            n = half + left_over;
        }
    }

    /// A product of integers.
    pub(super) fn integer_product(
        &mut self,
        node: &FloatNode,
        op: IntOp,
        inputs: [TensorId; 2],
    ) -> Result<TensorId, GraphError> {
        // Of a matrix the products count: their sums have room.
        let each = IntOp::Mul { c: if let IntOp::Mul { c, .. } = op { c } else { 1 }, rescale: Rescale::EXACT };
        let inputs = self.multiplicands(node, inputs, |ranges| each.range(&ranges, &[]).output)?;
        Ok(self.push(node, None, Draft { op, inputs, exponent: 0 }))
    }

    /// Two integer operands; where their product could be too wide, those that fit as values of 16 bits. None loses
    /// bits: an operand on a coarser scale would be another integer.
    fn multiplicands(
        &mut self,
        node: &FloatNode,
        inputs: [TensorId; 2],
        product: impl Fn([Interval; 2]) -> Interval,
    ) -> Result<Vec<TensorId>, GraphError> {
        let fits = |e: &Self, ids: [TensorId; 2]| product(ids.map(|id| e.range(id))).signed_bits() <= PRODUCT_BITS;
        if fits(self, inputs) {
            return Ok(inputs.to_vec());
        }
        let mut narrowed = inputs;
        for i in 0..2 {
            if self.ranges.tensor(node.inputs[i]).max_abs() < f64::from(VALUE_BITS - 1).exp2() {
                let same = inputs[0] == inputs[1];
                narrowed[i] = if i == 1 && same { narrowed[0] } else { self.coarser(node, inputs[i], 0)? };
            }
        }
        if !fits(self, narrowed) {
            let reason =
                "its integers are too large to be multiplied exactly; keep one operand below 32768, or use floats";
            return Err(self.refused(node, reason));
        }
        Ok(narrowed.to_vec())
    }
}
