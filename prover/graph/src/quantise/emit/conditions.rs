//! Floors and conditions.

use super::{
    Activation, Condition, Draft, EXACT_BITS, Element, Emitter, FloatNode, FloatOp, GraphError, IntOp, Interval,
    MAX_SHIFT, Meaning, Narrow, Rescale, RescaleKind, ScaleExp, Source, TensorId, VALUE_BITS,
};

impl Emitter<'_> {
    /// `floor(q / 2^e) = floor((q - 2^(e-1) + 2^(e-1)) / 2^e)`: a shift that rounds half up, of a value moved by half.
    pub(super) fn floor(&mut self, node: &FloatNode, mut a: TensorId) -> Result<TensorId, GraphError> {
        let mut exponent = self.exponent(a);
        if exponent > MAX_SHIFT as i32 && self.range(a).max_abs() < 1i128 << exponent.min(100) {
            // Less than 1 in magnitude: -1 below zero, 0 from there on.
            let most = self.ranges.tensor(node.inputs[0]).max_abs();
            let sign = self.test(node, Some("sign"), Condition::NonNegative, (a, most))?;
            let op = IntOp::Affine { scale: vec![1], offset: vec![-1], rescale: Rescale::EXACT };
            return Ok(self.push(node, None, Draft { op, inputs: vec![sign], exponent: 0 }));
        }
        if exponent > MAX_SHIFT as i32 {
            a = self.coarser(node, a, exponent - MAX_SHIFT as i32)?;
            exponent = MAX_SHIFT as i32;
        }
        let floors = exponent > 0;
        let op = match u32::try_from(exponent) {
            Ok(0) => {
                let sources = (0..self.graph.tensor(node.output).len()).map(|i| Source::Element(0, i as u32)).collect();
                IntOp::View { sources }
            }
            Ok(shift) => {
                let rescale = Rescale { shift, kind: RescaleKind::Signed };
                IntOp::Affine { scale: vec![1], offset: vec![-(1i64 << (shift - 1))], rescale }
            }
            Err(_) => {
                let scale = vec![1i64 << exponent.unsigned_abs().min(EXACT_BITS)];
                IntOp::Affine { scale, offset: vec![0], rescale: Rescale::EXACT }
            }
        };
        let id = self.push(node, None, Draft { op, inputs: vec![a], exponent: 0 });
        if floors {
            self.mean(id, Meaning::Floor);
        }
        Ok(id)
    }

    pub(super) fn indicator(
        &mut self,
        node: &FloatNode,
        condition: Condition,
        a: TensorId,
    ) -> Result<TensorId, GraphError> {
        let wide = self.range(a).max_abs() >= 1 << VALUE_BITS;
        let observed = self.ranges.tensor(node.inputs[0]).max_abs();
        if condition == Condition::Zero && wide {
            // Zero is what has either sign.
            let op = IntOp::Affine { scale: vec![-1], offset: vec![0], rescale: Rescale::EXACT };
            let exponent = self.exponent(a);
            let negative = self.push(node, Some("negative"), Draft { op, inputs: vec![a], exponent });
            let least = self.test(node, Some("sign"), Condition::NonNegative, (a, observed))?;
            let most = self.test(node, Some("sign"), Condition::NonNegative, (negative, observed))?;
            let op = IntOp::Mul { c: 1, rescale: Rescale::EXACT };
            return Ok(self.push(node, None, Draft { op, inputs: vec![least, most], exponent: 0 }));
        }
        self.test(node, None, condition, (a, observed))
    }

    /// Whether nothing but conditions reads a node.
    pub(super) fn is_compared(&self, node: &FloatNode) -> bool {
        let mut readers = self.graph.nodes.iter().filter(|n| n.inputs.contains(&node.output)).peekable();
        readers.peek().is_some()
            && node.activation == Activation::None
            && !self.graph.outputs.contains(&node.output)
            && readers.all(|n| matches!(n.op, FloatOp::Indicator { .. }))
    }

    /// `sign * a + offset` for conditions alone. A threshold beyond every value of `a` decides as one just beyond does,
    /// which keeps the difference within 32 bits where `a` has 31; and of more than 16 bits the lower ones say
    /// nothing of the sign.
    pub(super) fn difference(
        &mut self,
        node: &FloatNode,
        sign: f64,
        wanted: &[f64],
        a: TensorId,
    ) -> Result<TensorId, GraphError> {
        let (exponent, range) = (self.exponent(a), self.range(a));
        let zero = |n: &FloatNode| matches!(n.op, FloatOp::Indicator { condition: Condition::Zero });
        let equal = self.graph.nodes.iter().any(|n| n.inputs.contains(&node.output) && zero(n));
        let (lo, hi) = if sign > 0.0 { (-range.hi, -range.lo) } else { (range.lo, range.hi) };
        let (least, most) = (lo - 1, if equal { hi + 1 } else { hi });
        let limited = |v: &f64| ScaleExp(exponent).quantise(*v).clamp(least as f64, most as f64) as i64;
        let mut offset: Vec<i64> = wanted.iter().map(limited).collect();
        let scale = vec![sign as i64];
        let op = IntOp::Affine { scale: scale.clone(), offset: offset.clone(), rescale: Rescale::EXACT };
        let difference = op.range(&[range], &[]).output;
        let wide = difference.max_abs() >= 1 << VALUE_BITS;
        let meaning = Meaning::Compared { offset: wanted.to_vec(), equal };
        if equal || !wide || !difference.within(Interval::signed(VALUE_BITS + MAX_SHIFT)) {
            let id = self.push(node, None, Draft { op, inputs: vec![a], exponent });
            self.mean(id, meaning);
            return Ok(id);
        }
        offset.iter_mut().for_each(|v| *v -= 1i64 << (MAX_SHIFT - 1));
        let rescale = Rescale { shift: MAX_SHIFT, kind: RescaleKind::Signed };
        let op = IntOp::Affine { scale, offset, rescale };
        let id = self.push(node, Some("high"), Draft { op, inputs: vec![a], exponent: exponent - MAX_SHIFT as i32 });
        self.mean(id, meaning);
        Ok(id)
    }

    /// A condition of a tensor whose values were observed up to a magnitude. Of 32 bits the lower half is dropped:
    /// that keeps the sign.
    pub(super) fn test(
        &mut self,
        node: &FloatNode,
        role: Option<&str>,
        condition: Condition,
        (mut a, observed): (TensorId, f64),
    ) -> Result<TensorId, GraphError> {
        if self.range(a).max_abs() >= 1 << VALUE_BITS {
            let wide = VALUE_BITS + MAX_SHIFT;
            let most = observed * f64::from(self.exponent(a)).exp2();
            let within = |most: f64| most < f64::from(wide - 1).exp2();
            let integer = self.exponent(a) == 0 && self.graph.tensor(node.inputs[0]).element == Element::Integer;
            let bounded = self.range(a).within(Interval::signed(wide));
            if integer && !bounded && !within(most) {
                let reason = format!("it compares integers up to {most}, beyond 32 bits; use floats");
                return Err(self.refused(node, reason));
            }
            if integer || bounded || within(most * self.options.headroom) {
                let rescale = Rescale { shift: MAX_SHIFT, kind: RescaleKind::Signed };
                let op = IntOp::Affine { scale: vec![1], offset: vec![-(1i64 << (MAX_SHIFT - 1))], rescale };
                let exponent = self.exponent(a) - MAX_SHIFT as i32;
                a = self.push(node, Some("high"), Draft { op, inputs: vec![a], exponent });
                self.mean(a, Meaning::Floor);
            } else {
                a = self.narrow(node, 0, a, Narrow::Signed)?;
            }
        }
        Ok(self.push(node, role, Draft { op: IntOp::Indicator { condition }, inputs: vec![a], exponent: 0 }))
    }
}
