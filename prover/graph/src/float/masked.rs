//! Which elements of a value are minus infinity, as masks make them: told from what computes them, because the values
//! themselves become finite.

use super::{Builder, Element, FloatId, FloatOp, FloatSource, Value, build::Data, eval::one_or_each};
use crate::{
    GraphError,
    calibrate::{MASKED, MINUS_INFINITY},
    int::Condition,
};

impl Builder {
    /// Bits of the elements that are minus infinity: of constants known, of an input of reals compared with it, and of
    /// what moves, chooses, adds and compares those followed.
    pub(crate) fn masked(&mut self, value: &Value) -> Result<Value, GraphError> {
        let bits = match &value.data {
            Data::Const(known) => flags(known.iter().map(|v| *v <= MASKED)),
            Data::Tensor(id) => self.masked_tensor(*id)?,
        };
        Ok(bits.reshaped(value.shape.clone()))
    }

    fn masked_tensor(&mut self, id: FloatId) -> Result<Value, GraphError> {
        let len = self.tensor_of(id).len();
        let none = flags(std::iter::repeat_n(false, len));
        let Some(node) = self.producer(id) else {
            let input = self.tensor_of(id).reshaped(vec![len]);
            if input.element == Element::Integer {
                return Ok(none);
            }
            // Where calibration shows minus infinity, the quantiser puts the bound between it and the others.
            let distance = self.affine(&input, vec![-1.0], vec![MINUS_INFINITY])?;
            return self.indicator(&distance, Condition::NonNegative);
        };
        let shape = vec![len];
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            inputs.push(self.masked_tensor(*input)?);
        }
        Ok(match (&node.op, &inputs[..]) {
            (FloatOp::View { sources }, parts) => {
                let source = |s: &FloatSource| match *s {
                    FloatSource::Constant(c) => FloatSource::Constant(f64::from(u8::from(c <= MASKED))),
                    element => element,
                };
                let sources = sources.iter().map(source).collect();
                if parts.is_empty() { constant_bits(sources) } else { self.assemble(parts, sources, shape)?.bit() }
            }
            (FloatOp::Select, [_, a, b]) => {
                let chosen = self.tensor_of(node.inputs[0]).reshaped(shape).bit();
                let other = self.not(&chosen)?;
                let (a, b) = (self.and(&chosen, a)?, self.and(&other, b)?);
                self.add((1.0, &a), (1.0, &b))?.bit()
            }
            (FloatOp::Add { .. }, [a, b]) => self.either(a, b)?,
            (FloatOp::Affine { scale, offset }, [a]) => {
                let kept = flags((0..len).map(|i| one_or_each(scale, i) > 0.0));
                let kept = self.and(&kept, a)?;
                let fixed = flags((0..len).map(|i| one_or_each(offset, i) <= MASKED));
                self.either(&kept, &fixed)?
            }
            (FloatOp::Max { group }, [a]) => {
                let finite = self.not(a)?;
                let count = self.sum(&finite, *group, 1.0, shape)?;
                let none = self.affine(&count, vec![-1.0], vec![0.0])?;
                self.indicator(&none, Condition::NonNegative)?
            }
            _ => none,
        })
    }

    /// Either of two bits; the other where one is known never to be.
    fn either(&mut self, a: &Value, b: &Value) -> Result<Value, GraphError> {
        let never = |v: &Value| v.known().is_some_and(|known| known.iter().all(|bit| *bit == 0.0));
        match (never(a), never(b)) {
            (true, _) => Ok(b.clone()),
            (_, true) => Ok(a.clone()),
            _ => self.or(a, b),
        }
    }
}

/// Known bits.
fn flags(bits: impl Iterator<Item = bool>) -> Value {
    let bits: Vec<f64> = bits.map(|bit| f64::from(u8::from(bit))).collect();
    let len = bits.len();
    Value::constant(bits, vec![len], Element::Integer).bit()
}

fn constant_bits(sources: Vec<FloatSource>) -> Value {
    flags(sources.into_iter().map(|s| s == FloatSource::Constant(1.0)))
}
