//! What operators have in common, as programs over the graph's operations.

use super::{Builder, Element, FloatOp, FloatSource, Quotient, Value, indices};
use crate::{GraphError, calibrate::MASKED, int::Condition};

impl Builder {
    /// 1 where the condition holds.
    pub(crate) fn indicator(&mut self, x: &Value, condition: Condition) -> Result<Value, GraphError> {
        let out = self.emit(FloatOp::Indicator { condition }, &[x], x.shape.clone())?;
        Ok(out.bit())
    }

    /// 1 where a value is not zero.
    pub(crate) fn truth(&mut self, x: &Value) -> Result<Value, GraphError> {
        let zero = self.indicator(x, Condition::Zero)?;
        self.not(&zero)
    }

    /// `1 - x` of a bit.
    pub(crate) fn not(&mut self, x: &Value) -> Result<Value, GraphError> {
        Ok(self.affine(x, vec![-1.0], vec![1.0])?.bit())
    }

    /// Both of two bits; where one is known, the other or nothing.
    pub(crate) fn and(&mut self, a: &Value, b: &Value) -> Result<Value, GraphError> {
        let (known, other) = if a.known().is_some() { (a, b) } else { (b, a) };
        let Some(known) = known.known() else { return Ok(self.mul(a, b)?.bit()) };
        if known.iter().all(|bit| *bit == 0.0) {
            return Ok(Value::constant(known.to_vec(), a.shape.clone(), Element::Integer).bit());
        }
        let source = |(i, bit): (usize, &f64)| match *bit {
            0.0 => FloatSource::Constant(0.0),
            _ => FloatSource::Element(0, i as u32),
        };
        let sources = known.iter().enumerate().map(source).collect();
        Ok(self.assemble(std::slice::from_ref(other), sources, a.shape.clone())?.bit())
    }

    /// Either of two bits, or both.
    pub(crate) fn or(&mut self, a: &Value, b: &Value) -> Result<Value, GraphError> {
        let (a, b) = (self.not(a)?, self.not(b)?);
        let neither = self.and(&a, &b)?;
        self.not(&neither)
    }

    /// Whether `a >= b`, over equal shapes.
    pub(crate) fn at_least(&mut self, a: &Value, b: &Value) -> Result<Value, GraphError> {
        let difference = self.add((1.0, a), (-1.0, b))?;
        self.indicator(&difference, Condition::NonNegative)
    }

    /// Whether `a > b`, over equal shapes.
    pub(crate) fn above(&mut self, a: &Value, b: &Value) -> Result<Value, GraphError> {
        let not = self.at_least(b, a)?;
        self.not(&not)
    }

    /// Whether `a = b`, over equal shapes.
    pub(crate) fn equal(&mut self, a: &Value, b: &Value) -> Result<Value, GraphError> {
        let infinite = |v: &Value| v.known().is_some_and(|v| !v.is_empty() && v.iter().all(|v| *v <= MASKED));
        match (infinite(a), infinite(b)) {
            (true, false) => return self.masked(b),
            (false, true) => return self.masked(a),
            _ => {}
        }
        let difference = self.add((1.0, a), (-1.0, b))?;
        self.indicator(&difference, Condition::Zero)
    }

    /// `a` where the bit is 1, `b` where it is 0, over equal shapes.
    pub(crate) fn select(&mut self, bit: &Value, a: &Value, b: &Value) -> Result<Value, GraphError> {
        if let Some(known) = bit.known() {
            let source = |(i, c): (usize, &f64)| FloatSource::Element(u32::from(*c == 0.0), i as u32);
            let sources = known.iter().enumerate().map(source).collect();
            return self.assemble(&[a.clone(), b.clone()], sources, a.shape.clone());
        }
        if let (Some(yes), Some(no)) = (a.known(), b.known())
            && yes.iter().chain(no).all(|v| v.abs() < -MASKED)
        {
            // Between two constants: the one, and a bit times what the other is more.
            let scale = yes.iter().zip(no).map(|(yes, no)| yes - no).collect();
            let out = self.affine(bit, scale, no.to_vec())?.with_element(a.element);
            return Ok(out.with_data_type(a.data_type));
        }
        let out = self.emit(FloatOp::Select, &[bit, a, b], a.shape.clone())?;
        Ok(if out.element == a.element { out.with_data_type(a.data_type) } else { out })
    }

    /// The same with one bit for all elements.
    pub(crate) fn choose(&mut self, bit: &Value, a: &Value, b: &Value) -> Result<Value, GraphError> {
        let bits = self.gather(bit, &vec![0; a.len()], a.shape.clone())?;
        self.select(&bits, a, b)
    }

    /// The greatest integer that is at most `x`.
    pub(crate) fn floor(&mut self, x: &Value) -> Result<Value, GraphError> {
        if x.element == Element::Integer {
            return Ok(x.clone());
        }
        self.emit(FloatOp::Floor, &[x], x.shape.clone())
    }

    /// The nearest integer, ties to the even one.
    pub(crate) fn round_even(&mut self, x: &Value) -> Result<Value, GraphError> {
        if x.element == Element::Integer {
            return Ok(x.clone());
        }
        let moved = self.affine(x, vec![1.0], vec![0.5])?;
        let up = self.floor(&moved)?;
        // A tie: nothing was dropped.
        let dropped = self.add((1.0, &moved), (-1.0, &up))?;
        let tie = self.indicator(&dropped, Condition::Zero)?;
        let odd = self.odd(&up)?;
        let down = self.and(&tie, &odd)?;
        self.add((1.0, &up), (-1.0, &down))
    }

    /// The lowest bit of an integer.
    pub(crate) fn odd(&mut self, x: &Value) -> Result<Value, GraphError> {
        let half = self.affine(&x.with_element(Element::Real), vec![0.5], vec![0.0])?;
        let half = self.floor(&half)?;
        let even = self.affine(&half, vec![2.0], vec![0.0])?;
        let same = self.equal(x, &even)?;
        self.not(&same)
    }

    /// The integer part, towards zero.
    pub(crate) fn truncate(&mut self, x: &Value) -> Result<Value, GraphError> {
        if x.element == Element::Integer {
            return Ok(x.clone());
        }
        let positive = self.relu(x, 1.0, 0.0)?;
        let negative = self.relu(x, -1.0, 0.0)?;
        let (positive, negative) = (self.floor(&positive)?, self.floor(&negative)?);
        self.add((1.0, &positive), (-1.0, &negative))
    }

    /// `max(0, x)`; of an integer of any width.
    pub(crate) fn positive_part(&mut self, x: &Value) -> Result<Value, GraphError> {
        if x.element == Element::Real {
            return self.relu(x, 1.0, 0.0);
        }
        let sign = self.indicator(x, Condition::NonNegative)?;
        self.mul(&sign, x).map(|out| out.with_data_type(x.data_type))
    }

    /// `|x|`.
    pub(crate) fn absolute(&mut self, x: &Value) -> Result<Value, GraphError> {
        let positive = self.positive_part(x)?;
        self.add((2.0, &positive), (-1.0, x))
    }

    /// `a / b` for a divisor of either sign that is not zero, over equal shapes.
    pub(crate) fn ratio(&mut self, a: &Value, b: &Value) -> Result<Value, GraphError> {
        if b.known().is_some() {
            let inverse = b.known().unwrap_or_default().iter().map(|b| 1.0 / b).collect();
            let inverse = Value::constant(inverse, b.shape.clone(), Element::Real);
            return self.mul(&a.with_element(Element::Real), &inverse);
        }
        if self.non_negative(b) {
            return self.div(a, b, Quotient::Real);
        }
        let sign = self.plus_minus(b)?;
        let size = self.mul(&sign, b)?;
        let quotient = self.div(a, &size, Quotient::Real)?;
        self.mul(&quotient, &sign)
    }

    /// `floor(a / b)` for a divisor of either sign that is not zero, over equal shapes.
    pub(crate) fn floor_ratio(&mut self, a: &Value, b: &Value) -> Result<Value, GraphError> {
        if self.non_negative(b) {
            return self.floor_quotient(a, b);
        }
        let sign = self.plus_minus(b)?;
        let (a, b) = (self.mul(&sign, a)?, self.mul(&sign, b)?);
        self.floor_quotient(&a, &b)
    }

    /// Bits `[len, n]`: whether each index is each of `0..n`.
    pub(crate) fn one_hot(&mut self, index: &Value, n: usize) -> Result<Value, GraphError> {
        self.matches(index, 0, n)
    }

    /// Bits `[len, n]`: whether each value is each of `first..first + n`.
    fn matches(&mut self, value: &Value, first: usize, n: usize) -> Result<Value, GraphError> {
        let len = value.len();
        self.check_size(&[len, n])?;
        let spread: Vec<usize> = (0..len).flat_map(|i| std::iter::repeat_n(i, n)).collect();
        let spread = self.gather(value, &spread, vec![len, n])?;
        let offset = (0..len).flat_map(|_| (first..first + n).map(|j| -(j as f64))).collect();
        let distance = self.affine(&spread, vec![1.0], offset)?;
        self.indicator(&distance, Condition::Zero)
    }

    /// Bits `[len, n]`: whether each index, which counts from the end where it is negative, is each of `0..n`. No bit
    /// is set for an index out of range; one of more than 16 bits has no proof.
    pub(crate) fn index_bits(&mut self, index: &Value, n: usize) -> Result<Value, GraphError> {
        let len = index.len();
        let index = self.truncate(&index.reshaped(vec![len]))?;
        let front = self.indicator(&index, Condition::NonNegative)?.with_data_type(index.data_type);
        let moved = self.affine(&front, vec![-(n as f64)], vec![n as f64])?;
        let moved = self.add((1.0, &index), (1.0, &moved))?;
        if n >= 1 << 15 {
            return self.matches(&moved, 0, n);
        }
        // Narrowed once here and not for each comparison; zero is what lies before the first element.
        let place = self.relu(&moved, 1.0, 1.0)?;
        self.matches(&place, 1, n)
    }

    /// Bits `[rows, cells]`: which cell of an array each row of indices, one for each axis, names.
    pub(crate) fn cell_bits(&mut self, rows: &Value, dims: &[usize]) -> Result<Value, GraphError> {
        let len = rows.len() / dims.len().max(1);
        let mut bits = Value::constant(vec![1.0; len], vec![len, 1], Element::Integer).bit();
        let mut cells = 1;
        for (axis, dim) in dims.iter().enumerate() {
            let at: Vec<usize> = (0..len).map(|row| row * dims.len() + axis).collect();
            let index = self.gather(rows, &at, vec![len])?;
            let inner = self.index_bits(&index, *dim)?;
            self.check_size(&[len, cells, *dim])?;
            let each = || (0..len).flat_map(|row| (0..cells * dim).map(move |c| (row, c)));
            let left: Vec<usize> = each().map(|(row, c)| row * cells + c / dim).collect();
            let right: Vec<usize> = each().map(|(row, c)| row * dim + c % dim).collect();
            cells *= dim;
            let (left, right) =
                (self.gather(&bits, &left, vec![len, cells])?, self.gather(&inner, &right, vec![len, cells])?);
            bits = self.and(&left, &right)?;
        }
        Ok(bits)
    }

    /// Of each `n` neighbours the one whose bit is set, for at most one set bit; without one it is any of them, or zero.
    pub(crate) fn chosen(&mut self, bits: &Value, values: &Value, n: usize) -> Result<Value, GraphError> {
        let len = values.len() / n.max(1);
        if values.element == Element::Real {
            let products = self.mul(bits, values)?.with_data_type(values.data_type);
            return self.sum(&products, n, 1.0, vec![len]);
        }
        // Integers go through a tree of selections, where the bounds of their values stay what they are.
        let (mut bits, mut values, mut n) = (bits.clone(), values.clone(), n);
        while n > 1 {
            let (half, rest) = (n / 2, n % 2);
            let at = |side: usize| -> Vec<usize> {
                (0..len).flat_map(|i| (0..half).map(move |j| i * n + 2 * j + side)).collect()
            };
            let pairs: Vec<usize> = (0..len).flat_map(|i| (0..2 * half).map(move |j| i * n + j)).collect();
            let bit = self.gather(&bits, &at(0), vec![len, half])?;
            let (left, right) =
                (self.gather(&values, &at(0), vec![len, half])?, self.gather(&values, &at(1), vec![len, half])?);
            let merged = self.select(&bit, &left, &right)?;
            let either = self.gather(&bits, &pairs, vec![len, 2 * half])?;
            let either = self.max(&either, 2, vec![len, half])?;
            if rest == 0 {
                (bits, values) = (either, merged);
            } else {
                let last: Vec<usize> = (0..len).map(|i| (i + 1) * n - 1).collect();
                let (odd_bit, odd) =
                    (self.gather(&bits, &last, vec![len, 1])?, self.gather(&values, &last, vec![len, 1])?);
                (bits, values) = (self.join(&either, &odd_bit)?, self.join(&merged, &odd)?);
            }
            n = half + rest;
        }
        Ok(values.reshaped(vec![len]))
    }

    /// Two matrices of equally many rows side by side.
    pub(crate) fn join(&mut self, left: &Value, right: &Value) -> Result<Value, GraphError> {
        let (rows, a, c) = (left.shape[0], left.shape[1], right.shape[1]);
        let row = |i: usize| {
            let left = (i * a..(i + 1) * a).map(|at| FloatSource::Element(0, at as u32));
            left.chain((i * c..(i + 1) * c).map(|at| FloatSource::Element(1, at as u32)))
        };
        let sources = (0..rows).flat_map(row).collect();
        self.assemble(&[left.clone(), right.clone()], sources, vec![rows, a + c])
    }

    /// The greater of two values, over equal shapes.
    pub(crate) fn greater(&mut self, a: &Value, c: &Value) -> Result<Value, GraphError> {
        let sources = (0..a.len() as u32).flat_map(|i| [FloatSource::Element(0, i), FloatSource::Element(1, i)]);
        let pairs = self.assemble(&[a.clone(), c.clone()], sources.collect(), vec![a.len(), 2])?;
        self.max(&pairs, 2, a.shape.clone())
    }

    /// The lesser of two values, over equal shapes.
    pub(crate) fn lesser(&mut self, a: &Value, c: &Value) -> Result<Value, GraphError> {
        let (a, c) = (self.affine(a, vec![-1.0], vec![0.0])?, self.affine(c, vec![-1.0], vec![0.0])?);
        let most = self.greater(&a, &c)?;
        self.affine(&most, vec![-1.0], vec![0.0])
    }

    /// Product of `group` neighbours.
    pub(crate) fn product(&mut self, x: &Value, group: usize, shape: Vec<usize>) -> Result<Value, GraphError> {
        let rows = x.len() / group.max(1);
        let mut columns: Vec<Value> = (0..group)
            .map(|j| {
                let at: Vec<usize> = (0..rows).map(|i| i * group + j).collect();
                self.gather(x, &at, vec![rows])
            })
            .collect::<Result<_, _>>()?;
        // A balanced tree, so that roundings are few.
        while columns.len() > 1 {
            columns = columns
                .chunks(2)
                .map(|pair| match pair {
                    [a, b] => self.mul(a, b),
                    [a] => Ok(a.clone()),
                    _ => Ok(Value::constant(vec![1.0; rows], vec![rows], x.element)),
                })
                .collect::<Result<_, _>>()?;
        }
        let product = columns.pop().unwrap_or_else(|| Value::constant(vec![1.0; rows], vec![rows], x.element));
        Ok(product.reshaped(shape))
    }

    /// Values of one shape along a new axis.
    pub(crate) fn stack(&mut self, parts: &[Value], axis: usize) -> Result<Value, GraphError> {
        let shape = parts.first().map(|p| p.shape.clone()).unwrap_or_default();
        let outer: usize = shape[..axis].iter().product();
        let run: usize = shape[axis..].iter().product();
        self.check_size(&[outer, parts.len(), run])?;
        let mut sources = Vec::with_capacity(outer * parts.len() * run);
        for row in 0..outer {
            for part in 0..parts.len() {
                sources.extend((row * run..(row + 1) * run).map(|i| FloatSource::Element(part as u32, i as u32)));
            }
        }
        let mut stacked = shape;
        stacked.insert(axis, parts.len());
        self.assemble(parts, sources, stacked)
    }

    /// One position along an axis, which goes.
    pub(crate) fn pick(&mut self, x: &Value, axis: usize, position: usize) -> Result<Value, GraphError> {
        let strides = indices::strides(&x.shape);
        if x.shape.get(axis).is_none_or(|dim| position >= *dim) {
            return Err(self.misfit());
        }
        let mut shape = x.shape.clone();
        shape.remove(axis);
        let mut steps: Vec<isize> = strides.iter().map(|s| *s as isize).collect();
        steps.remove(axis);
        let at = indices::walk(&shape, position * strides[axis], &steps);
        self.gather(x, &at, shape)
    }
}

impl Value {
    /// The value as a logical one.
    pub(crate) fn bit(&self) -> Self {
        let element = Element::Integer;
        Self { element, ..self.clone() }.with_data_type(tract_onnx::pb::tensor_proto::DataType::Bool as i32)
    }
}
