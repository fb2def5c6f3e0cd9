use super::{
    ACCUMULATOR_BITS, BIT, DENOMINATOR, INTERPOLATION_POINTS, IntGraph, IntNode, IntOp, Interval, LinearShape,
    MAX_SHIFT, Packing, Rescale, RescaleKind, Source, TENSOR_BITS, TensorId, VALUE_BITS, WORD_BITS,
};
use crate::GraphError;

/// Bits of a coefficient, weight, bias or constant in magnitude.
const COEFFICIENT_BITS: u32 = 62;

/// Bits of a function table's values.
const TABLE_BITS: u32 = 20;

/// Largest left shift of a division's numerator.
const MAX_DIV_SHIFT: u32 = 60;

type Check = Result<(), String>;

/// An error with its reason where the condition does not hold.
fn ensure(holds: bool, reason: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(reason()) }
}

impl IntGraph {
    /// Checks every invariant that the executor and the circuit rely on: ids in range, every tensor
    /// defined once and before it is read, shapes that agree, shifts and kinds that the circuit
    /// has, ranges that interval analysis confirms, operands of divisions and maxima in bounds that no
    /// constraint repeats, and no accumulator that could wrap around.
    ///
    /// # Errors
    /// Names the node, tensor or port, and the invariant that it breaks.
    pub fn validate(&self) -> Result<(), GraphError> {
        let at = |place: &str| {
            let place = place.to_owned();
            move |reason: String| GraphError::InvalidGraph { place, reason }
        };
        let mut defined = vec![false; self.tensors.len()];
        for (i, tensor) in self.tensors.iter().enumerate() {
            self.tensor_is_sound(TensorId(i)).map_err(at(&tensor.name))?;
        }
        for param in &self.params {
            let fits = |v: &i64| v.unsigned_abs() < 1 << COEFFICIENT_BITS;
            ensure(param.values.iter().all(fits), || "a value exceeds 62 bits".to_owned()).map_err(at(&param.name))?;
        }
        for port in &self.inputs {
            let place = self.tensors.get(port.tensor.0).map_or("an input", |t| t.name.as_str());
            ensure(port.tensor.0 < self.tensors.len(), || format!("tensor {} does not exist", port.tensor.0))
                .and_then(|()| {
                    ensure(!std::mem::replace(&mut defined[port.tensor.0], true), || "two inputs share it".to_owned())
                })
                .and_then(|()| packing_holds(port.packing, self.tensor(port.tensor).range))
                .and_then(|()| {
                    let range = Interval::signed(port.packing.bits);
                    ensure(self.tensor(port.tensor).range == range, || {
                        format!("an input's range is not every value of its {} bits", port.packing.bits)
                    })
                })
                .map_err(at(place))?;
        }
        for node in &self.nodes {
            self.node_is_sound(node, &mut defined)?;
        }
        if let Some(i) = defined.iter().position(|d| !d) {
            return Err(at(&self.tensors[i].name)("nothing defines it".to_owned()));
        }
        ensure(!self.outputs.is_empty(), || "it has no outputs".to_owned()).map_err(at(&self.name))?;
        for port in &self.outputs {
            let place = self.tensors.get(port.tensor.0).map_or("an output", |t| t.name.as_str());
            ensure(port.tensor.0 < self.tensors.len(), || format!("tensor {} does not exist", port.tensor.0))
                .and_then(|()| packing_holds(port.packing, self.tensor(port.tensor).range))
                .map_err(at(place))?;
        }
        Ok(())
    }

    fn tensor_is_sound(&self, id: TensorId) -> Check {
        let tensor = self.tensor(id);
        let len = tensor.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        ensure(len.is_some_and(|n| u32::try_from(n).is_ok()), || {
            format!("shape {:?} has too many elements", tensor.shape)
        })?;
        ensure(tensor.exponent.0.unsigned_abs() <= 256, || {
            format!("exponent {} is outside [-256, 256]", tensor.exponent.0)
        })?;
        let range = tensor.range;
        ensure(range.lo <= range.hi, || "its range is empty".to_owned())?;
        let limit = 1i128 << TENSOR_BITS;
        ensure(-limit < range.lo && range.hi < limit, || format!("its range exceeds {TENSOR_BITS} bits"))
    }

    fn node_is_sound(&self, node: &IntNode, defined: &mut [bool]) -> Result<(), GraphError> {
        let at = |reason: String| GraphError::InvalidGraph { place: node.name.clone(), reason };
        for id in &node.inputs {
            ensure(defined.get(id.0) == Some(&true), || format!("it reads tensor {} before anything defines it", id.0))
                .map_err(at)?;
        }
        let output = node.output.0;
        ensure(defined.get(output) == Some(&false), || {
            format!("it defines tensor {output}, which does not exist or is defined already")
        })
        .map_err(at)?;
        self.sizes_agree(node).map_err(at)?;
        defined[output] = true;
        let ranges: Vec<Interval> = node.inputs.iter().map(|id| self.tensor(*id).range).collect();
        let range = node.op.range(&ranges, &self.params);
        let magnitude = range.accumulator.lo.unsigned_abs().max(range.accumulator.hi.unsigned_abs());
        let bits = 128 - magnitude.leading_zeros();
        if bits > ACCUMULATOR_BITS {
            return Err(GraphError::WrapsAround { node: node.name.clone(), bits, limit: ACCUMULATOR_BITS });
        }
        let claimed = self.tensor(node.output).range;
        ensure(claimed == range.output, || {
            format!("its output claims the range {claimed:?}, interval analysis says {:?}", range.output)
        })
        .map_err(at)
    }

    /// Number of inputs, lengths, and what else each operation demands.
    fn sizes_agree(&self, node: &IntNode) -> Check {
        let len = |i: usize| node.inputs.get(i).map_or(0, |id| self.tensor(*id).len());
        let out = self.tensor(node.output).len();
        let arity =
            |n: usize| ensure(node.inputs.len() == n, || format!("it reads {} tensors, not {n}", node.inputs.len()));
        let same = |what: &str, got: usize, expected: usize| {
            ensure(got == expected, || format!("{what} has {got} elements, not {expected}"))
        };
        let product = |factors: &[usize]| {
            let n = factors.iter().try_fold(1usize, |n, f| n.checked_mul(*f));
            n.ok_or_else(|| format!("the product of {factors:?} is too large"))
        };
        match &node.op {
            IntOp::Linear { shape, width, weight, bias, rescale } => {
                arity(1)?;
                geometry_holds(shape, len(0))?;
                let param = |i: usize| self.params.get(i).ok_or_else(|| format!("parameter {i} does not exist"));
                ensure(*width > 0 && shape.inner() > 0, || "it has no columns or no rows".to_owned())?;
                same("its weight", param(*weight)?.values.len(), product(&[shape.inner(), *width])?)?;
                if let Some(bias) = bias {
                    same("its bias", param(*bias)?.values.len(), *width)?;
                }
                ensure(rescale.kind != RescaleKind::Exact, || "a linear layer is never exact".to_owned())?;
                rescale_holds(*rescale)?;
                same("its output", out, product(&[shape.positions(), *width])?)
            }
            IntOp::Add { ca, cb, c, rescale } => {
                arity(2)?;
                coefficients_hold(&[*ca, *cb, *c])?;
                rescale_holds(*rescale)?;
                same("its first input", len(0), out)?;
                same("its second input", len(1), out)
            }
            IntOp::Mul { c, rescale } => {
                arity(2)?;
                coefficients_hold(&[*c])?;
                rescale_holds(*rescale)?;
                same("its first input", len(0), out)?;
                same("its second input", len(1), out)
            }
            IntOp::Affine { scale, offset, rescale } => {
                arity(1)?;
                coefficients_hold(scale)?;
                coefficients_hold(offset)?;
                rescale_holds(*rescale)?;
                for list in [scale, offset] {
                    ensure(list.len() == 1 || list.len() == out, || {
                        format!("it has {} coefficients for {out} elements", list.len())
                    })?;
                }
                same("its input", len(0), out)
            }
            IntOp::Sum { group, c, rescale } => {
                arity(1)?;
                coefficients_hold(&[*c])?;
                rescale_holds(*rescale)?;
                ensure(*group > 0, || "its group is empty".to_owned())?;
                same("its input", len(0), product(&[out, *group])?)
            }
            IntOp::MatMul { rows, inner, cols, rescale } => {
                arity(2)?;
                rescale_holds(*rescale)?;
                ensure(*inner > 0, || "its inner size is zero".to_owned())?;
                same("its first input", len(0), product(&[*rows, *inner])?)?;
                same("its second input", len(1), product(&[*inner, *cols])?)?;
                same("its output", out, product(&[*rows, *cols])?)
            }
            IntOp::Max { group } => {
                arity(1)?;
                ensure(*group > 0, || "its group is empty".to_owned())?;
                // The circuit bounds each element's distance from the greatest before it, which is
                // the executor's bound on the whole group only where no two values can be further apart.
                let range = self.tensor(node.inputs[0]).range;
                ensure(range.hi - range.lo < 1 << VALUE_BITS, || {
                    format!("it compares values up to {} apart, the limit is 2^{VALUE_BITS}", range.hi - range.lo)
                })?;
                same("its input", len(0), product(&[out, *group])?)
            }
            IntOp::Function { table, rescale, .. } => {
                arity(1)?;
                rescale_holds(*rescale)?;
                ensure(rescale.kind != RescaleKind::Exact, || "a function is never exact".to_owned())?;
                same("its table", table.len(), INTERPOLATION_POINTS)?;
                let fits = |v: &i64| Interval::signed(TABLE_BITS).contains(i128::from(*v));
                ensure(table.iter().all(fits), || format!("its table exceeds {TABLE_BITS} bits"))?;
                let range = self.tensor(node.inputs[0]).range;
                ensure(range.within(Interval::signed(VALUE_BITS)), || {
                    format!("its input's range {range:?} exceeds {VALUE_BITS} signed bits")
                })?;
                same("its input", len(0), out)
            }
            IntOp::Div { shift } => {
                arity(2)?;
                ensure(*shift <= MAX_DIV_SHIFT, || format!("its shift {shift} exceeds {MAX_DIV_SHIFT}"))?;
                // The circuit does not bound it.
                let den = self.tensor(node.inputs[1]).range;
                ensure(den.hi <= DENOMINATOR.hi, || {
                    format!("its denominator can be {}, the limit is {}", den.hi, DENOMINATOR.hi)
                })?;
                same("its numerator", len(0), out)?;
                same("its denominator", len(1), out)
            }
            IntOp::Sqrt { shift } => {
                arity(1)?;
                ensure(*shift <= MAX_DIV_SHIFT, || format!("its shift {shift} exceeds {MAX_DIV_SHIFT}"))?;
                same("its radicand", len(0), out)
            }
            IntOp::Indicator { .. } => {
                arity(1)?;
                let range = self.tensor(node.inputs[0]).range;
                ensure(range.max_abs() < 1 << VALUE_BITS, || {
                    format!("it tests values up to {}, the limit is 2^{VALUE_BITS}", range.max_abs())
                })?;
                same("its input", len(0), out)
            }
            IntOp::Select => {
                arity(3)?;
                // A condition that is no bit would mix the two.
                let range = self.tensor(node.inputs[0]).range;
                ensure(range.within(BIT), || format!("its condition can be {} or {}", range.lo, range.hi))?;
                same("its condition", len(0), out)?;
                same("its first input", len(1), out)?;
                same("its second input", len(2), out)
            }
            IntOp::View { sources } => {
                same("its list of sources", sources.len(), out)?;
                sources.iter().try_for_each(|source| match source {
                    Source::Constant(c) => coefficients_hold(&[*c]),
                    Source::Element(i, at) => ensure((*at as usize) < len(*i as usize), || {
                        format!("it reads element {at} of input {i}, which does not exist")
                    }),
                })
            }
        }
    }
}

fn coefficients_hold(list: &[i64]) -> Check {
    let fits = |c: &i64| c.unsigned_abs() < 1 << COEFFICIENT_BITS;
    ensure(list.iter().all(fits), || format!("a coefficient exceeds {COEFFICIENT_BITS} bits"))
}

fn rescale_holds(rescale: Rescale) -> Check {
    ensure(rescale.shift <= MAX_SHIFT, || format!("its shift {} exceeds {MAX_SHIFT}", rescale.shift))?;
    ensure(rescale.kind != RescaleKind::Exact || rescale.shift == 0, || {
        format!("it is exact with shift {}", rescale.shift)
    })
}

fn packing_holds(packing: Packing, range: Interval) -> Check {
    let Packing { bits, per_word } = packing;
    ensure((1..=32).contains(&bits) && per_word > 0 && per_word <= (WORD_BITS / bits) as usize, || {
        format!("{per_word} values of {bits} bits do not share a word")
    })?;
    ensure(range.signed_bits() <= bits, || format!("its values have {} bits, its packing {bits}", range.signed_bits()))
}

/// Whether every index that the geometry computes lies in an input of `len` elements.
fn geometry_holds(shape: &LinearShape, len: usize) -> Check {
    match shape {
        LinearShape::Dense { rows, inner } => ensure(rows.checked_mul(*inner) == Some(len), || {
            format!("its input has {len} elements, not {rows} rows of {inner}")
        }),
        LinearShape::Conv2d(c) => {
            let last = c.first_channel.checked_add(c.channels);
            let area = c.input[0].checked_mul(c.input[1]);
            let end = last.and_then(|l| l.checked_mul(area?));
            ensure(end.is_some_and(|end| end <= len), || {
                format!("its channels reach beyond the {len} elements of its input")
            })?;
            let small = |sizes: [usize; 2]| sizes.iter().all(|s| *s > 0 && *s < 1 << 24);
            let geometry = [c.output, c.kernel, c.stride, c.dilation];
            ensure(geometry.into_iter().all(small) && c.pad_before.iter().all(|p| *p < 1 << 24), || {
                "a size of its geometry is zero or beyond 2^24".to_owned()
            })?;
            let sizes = [c.output[0], c.output[1], c.channels, c.kernel[0], c.kernel[1]];
            ensure(sizes.iter().try_fold(1usize, |n, s| n.checked_mul(*s)).is_some(), || {
                "its geometry is too large".to_owned()
            })
        }
    }
}
