//! Roots, quotients and bounds that the circuit computes exactly.

use super::{Activation, Builder, Data, Element, FloatId, FloatNode, FloatOp, FloatSource, Function, Quotient, Value};
use crate::{GraphError, int::Condition};

/// How far back the sign of a value is followed.
const SIGN_DEPTH: usize = 12;

/// What is made of the elements of a class: the elements, their class and where they are.
type ForClass<'f, K> = dyn FnMut(&mut Builder, &Value, K, &[usize]) -> Result<Value, GraphError> + 'f;

impl Builder {
    /// `sqrt(max(0, x))`, rounded down: below zero are values that rounding brought there.
    pub(crate) fn root(&mut self, x: &Value) -> Result<Value, GraphError> {
        let x = x.with_element(Element::Real);
        let x = if self.non_negative(&x) { x } else { self.relu(&x, 1.0, 0.0)? };
        self.strict_root(&x)
    }

    /// `sqrt(x)`, rounded down; a negative number has no proof.
    pub(crate) fn strict_root(&mut self, x: &Value) -> Result<Value, GraphError> {
        self.emit(FloatOp::Sqrt, &[&x.with_element(Element::Real)], x.shape.clone())
    }

    /// `ln(x) = 4 ln(x^(1/4))`: the roots are exact, and bring arguments of any magnitude to where a table follows the
    /// logarithm. Of zero it is about -110.
    pub(crate) fn logarithm(&mut self, x: &Value) -> Result<Value, GraphError> {
        let root = self.root(x)?;
        let root = self.strict_root(&root)?;
        let log = self.function(&root, Function::Log)?;
        self.affine(&log, vec![4.0], vec![0.0])
    }

    /// What a value sums up the exponentials of, `[sums, n]`, where it is that.
    pub(crate) fn exponents(&mut self, total: &Value) -> Result<Option<Value>, GraphError> {
        let plain = |node: &FloatNode| node.activation == Activation::None;
        let producer = |b: &Self, id: FloatId| b.producer(id).filter(plain);
        let Data::Tensor(id) = total.data else { return Ok(None) };
        let Some(FloatNode { op: FloatOp::Sum { group, c: 1.0 }, inputs, .. }) = producer(self, id) else {
            return Ok(None);
        };
        let mut summed = inputs.first().and_then(|id| producer(self, *id));
        let mut order = None;
        if let Some(FloatNode { op: FloatOp::View { sources }, inputs, .. }) = &summed
            && let [inner] = inputs[..]
        {
            let at = |s: &FloatSource| match s {
                FloatSource::Element(_, at) => Some(*at as usize),
                FloatSource::Constant(_) => None,
            };
            order = sources.iter().map(at).collect::<Option<Vec<_>>>();
            summed = producer(self, inner).filter(|_| order.is_some());
        }
        let Some(FloatNode { op: FloatOp::Function { function: Function::Exp, centre: 0.0 }, inputs, .. }) = summed
        else {
            return Ok(None);
        };
        let Some(read) = inputs.first() else { return Ok(None) };
        let x = self.tensor_of(*read);
        let shape = vec![total.len(), group];
        let order = order.unwrap_or_else(|| (0..x.len()).collect());
        self.gather(&x, &order, shape).map(Some)
    }

    /// 1 where `0 <= x`, -1 elsewhere.
    pub(crate) fn plus_minus(&mut self, x: &Value) -> Result<Value, GraphError> {
        let sign = self.indicator(x, Condition::NonNegative)?.with_element(Element::Integer);
        let out = self.affine(&sign, vec![2.0], vec![-1.0])?;
        Ok(out.with_data_type(Value::constant(vec![], vec![], Element::Integer).data_type))
    }

    /// `floor(a / b)` over equal shapes, for `0 < b`: `(2a - b) / 2b` rounded half up.
    pub(crate) fn floor_quotient(&mut self, a: &Value, b: &Value) -> Result<Value, GraphError> {
        let numerator = self.add((2.0, a), (-1.0, b))?;
        let denominator = self.affine(b, vec![2.0], vec![0.0])?;
        self.div(&numerator, &denominator, Quotient::Integer)
    }

    /// `a / b` towards zero, over equal shapes.
    pub(crate) fn truncated_ratio(&mut self, a: &Value, b: &Value) -> Result<Value, GraphError> {
        let (sign_a, sign_b) = (self.plus_minus(a)?, self.plus_minus(b)?);
        let (size_a, size_b) = (self.mul(&sign_a, a)?, self.mul(&sign_b, b)?);
        let quotient = self.floor_quotient(&size_a, &size_b)?;
        let sign = self.mul(&sign_a, &sign_b)?;
        self.mul(&quotient, &sign)
    }

    /// `a / b` rounded to the nearest integer, ties to the even one, over equal shapes and for `0 < b`.
    pub(crate) fn nearest_ratio(&mut self, a: &Value, b: &Value) -> Result<Value, GraphError> {
        let up = self.div(a, b, Quotient::Integer)?;
        let minus = self.affine(a, vec![-1.0], vec![0.0])?;
        let minus_down = self.div(&minus, b, Quotient::Integer)?;
        // Rounding ties up and down differ at ties alone.
        let gap = self.add((1.0, &up), (1.0, &minus_down))?;
        let clear = self.indicator(&gap, Condition::Zero)?;
        let half = self.affine(&up.with_element(Element::Real), vec![0.5], vec![0.0])?;
        let half = self.floor(&half)?;
        let even = self.affine(&half, vec![2.0], vec![0.0])?;
        self.select(&clear, &up, &even)
    }

    /// The greater of two values, over equal shapes; of integers of any width.
    pub(crate) fn greater_of(&mut self, a: &Value, b: &Value) -> Result<Value, GraphError> {
        if a.element == Element::Integer && b.element == Element::Integer {
            let bit = self.at_least(a, b)?;
            return self.select(&bit, a, b);
        }
        let difference = self.add((1.0, a), (-1.0, b))?;
        let above = self.relu(&difference, 1.0, 0.0)?;
        self.add((1.0, b), (1.0, &above))
    }

    /// The lesser of two values, over equal shapes; of integers of any width.
    pub(crate) fn lesser_of(&mut self, a: &Value, b: &Value) -> Result<Value, GraphError> {
        if a.element == Element::Integer && b.element == Element::Integer {
            let bit = self.at_least(a, b)?;
            return self.select(&bit, b, a);
        }
        let difference = self.add((1.0, b), (-1.0, a))?;
        let above = self.relu(&difference, 1.0, 0.0)?;
        self.add((1.0, b), (-1.0, &above))
    }

    /// Applies `f` to the elements of each class by itself: `class[i]` is the class of element `i`.
    pub(crate) fn by_class<K: PartialEq + Copy>(
        &mut self,
        x: &Value,
        class: &[K],
        f: &mut ForClass<'_, K>,
    ) -> Result<Value, GraphError> {
        let mut classes: Vec<(K, Vec<usize>)> = Vec::new();
        for (i, k) in class.iter().enumerate() {
            match classes.iter_mut().find(|(other, _)| other == k) {
                Some((_, members)) => members.push(i),
                None => classes.push((*k, vec![i])),
            }
        }
        if let [(k, members)] = &classes[..] {
            return f(self, x, *k, members);
        }
        let mut parts = Vec::with_capacity(classes.len());
        let mut sources = vec![FloatSource::Constant(0.0); class.len()];
        for (part, (k, members)) in classes.iter().enumerate() {
            let picked = self.gather(x, members, vec![members.len()])?;
            parts.push(f(self, &picked, *k, members)?);
            for (at, i) in members.iter().enumerate() {
                sources[*i] = FloatSource::Element(part as u32, at as u32);
            }
        }
        self.assemble(&parts, sources, x.shape.clone())
    }

    /// Whether a value is never negative, as far as the operations before it tell; rounded or not.
    pub(crate) fn non_negative(&self, x: &Value) -> bool {
        match &x.data {
            Data::Const(known) => known.iter().all(|v| *v >= 0.0),
            Data::Tensor(id) => self.never_negative(*id, SIGN_DEPTH),
        }
    }

    fn never_negative(&self, id: FloatId, depth: usize) -> bool {
        let nodes = self.nodes();
        let Ok(at) = nodes.binary_search_by_key(&id, |n| n.output) else { return false };
        let node = &nodes[at];
        if node.activation == Activation::Relu {
            return true;
        }
        let Some(depth) = depth.checked_sub(1) else { return false };
        let all = || node.inputs.iter().all(|id| self.never_negative(*id, depth));
        let positive = |list: &[f64]| list.iter().all(|c| *c >= 0.0);
        match &node.op {
            FloatOp::Sqrt | FloatOp::Indicator { .. } | FloatOp::Function { function: Function::Exp, .. } => true,
            FloatOp::Mul { c } => *c >= 0.0 && (node.inputs.windows(2).all(|pair| pair[0] == pair[1]) || all()),
            FloatOp::Add { ca, cb, c } => positive(&[*ca, *cb, *c]) && all(),
            FloatOp::Affine { scale, offset } => positive(scale) && positive(offset) && all(),
            FloatOp::Sum { c, .. } => *c >= 0.0 && all(),
            FloatOp::Max { .. } | FloatOp::Floor | FloatOp::MatMul { .. } => all(),
            FloatOp::Div { .. } => node.inputs.first().is_some_and(|id| self.never_negative(*id, depth)),
            FloatOp::Select => node.inputs.iter().skip(1).all(|id| self.never_negative(*id, depth)),
            FloatOp::View { sources } => {
                let constant = |s: &FloatSource| matches!(s, FloatSource::Constant(c) if *c < 0.0);
                !sources.iter().any(constant) && all()
            }
            FloatOp::Linear { .. } | FloatOp::Function { .. } => false,
        }
    }
}
