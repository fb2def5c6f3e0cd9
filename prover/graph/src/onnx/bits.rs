//! Operators on the bits of integers.
//!
//! The circuit has integers of 32 bits with a sign. Those of 64-bit types are such as well, so that bits above the
//! lowest 32 repeat the sign; those of uint32 and uint64 may exceed it inside the model only. A number outside its type
//! has no meaning.

use tract_onnx::pb::tensor_proto::DataType;

use super::{Lowering, Node, elementwise::pair};
use crate::{
    GraphError,
    float::{Builder, Element, Value},
    int::Condition,
};

/// Bits of a limb.
const LIMB: u32 = 16;

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "BitwiseAnd" => |b, n, i| bitwise(b, n, i, Logic::And),
        "BitwiseOr" => |b, n, i| bitwise(b, n, i, Logic::Or),
        "BitwiseXor" => |b, n, i| bitwise(b, n, i, Logic::Xor),
        "BitwiseNot" => not,
        "BitShift" => shift,
        "BitCast" => cast,
        _ => return None,
    })
}

/// Bits of an integer type.
#[derive(Clone, Copy, PartialEq)]
struct Width {
    bits: u32,
    signed: bool,
}

impl Width {
    fn of(data_type: i32) -> Option<Self> {
        let (bits, signed) = match DataType::try_from(data_type).ok()? {
            DataType::Bool | DataType::Uint8 => (8, false),
            DataType::Uint16 => (16, false),
            DataType::Uint32 => (32, false),
            DataType::Uint64 => (64, false),
            DataType::Int8 => (8, true),
            DataType::Int16 => (16, true),
            DataType::Int32 => (32, true),
            DataType::Int64 => (64, true),
            _ => return None,
        };
        Some(Self { bits, signed })
    }

    fn of_integer(node: &Node<'_>, x: &Value) -> Result<Self, GraphError> {
        Self::of(x.data_type).ok_or_else(|| node.malformed(format!("`{}` has no integers", x.name)))
    }

    /// The number of this type with the lowest bits of another.
    fn wrapped(self, v: i128) -> i128 {
        let low = v & ((1i128 << self.bits) - 1);
        if self.signed && low >> (self.bits - 1) == 1 { low - (1i128 << self.bits) } else { low }
    }

    /// Bits that the circuit computes with.
    fn computed(self) -> u32 {
        self.bits.min(2 * LIMB)
    }
}

/// Two's power, exact.
fn power(bits: u32) -> f64 {
    f64::from(bits).exp2()
}

/// `floor(x / 2^bits)`, which has to lie in 16 bits.
fn floor_of(b: &mut Builder, x: &Value, bits: u32) -> Result<Value, GraphError> {
    let part = b.affine(&x.with_element(Element::Real), vec![1.0 / power(bits)], vec![0.0])?;
    b.floor(&part)
}

/// `max(0, x + offset)` of what lies in 16 bits without a sign, which later operations then know.
fn bounded(b: &mut Builder, x: &Value, offset: f64) -> Result<Value, GraphError> {
    let moved = b.affine(x, vec![1.0], vec![offset])?;
    b.relu(&moved, 1.0, 0.0)
}

/// Halves of 16 bits of a 32-bit number: the upper one with its sign, less `2^15` where the type has none; the lower
/// one without.
fn halves(b: &mut Builder, x: &Value, signed: bool) -> Result<(Value, Value), GraphError> {
    let centred = if signed { x.clone() } else { b.affine(x, vec![1.0], vec![-power(31)])? };
    let high = floor_of(b, &centred, LIMB)?;
    let low = b.add((1.0, &centred), (-power(LIMB), &high))?;
    let low = b.relu(&low, 1.0, 0.0)?;
    Ok((high, low))
}

/// Bits of `c + 2^(n-1)`, the highest first, for `-2^(n-1) <= c < 2^(n-1)` and `n <= 16`.
fn digits(b: &mut Builder, c: &Value, n: u32) -> Result<Vec<Value>, GraphError> {
    let mut bits = Vec::with_capacity(n as usize);
    let mut rest = c.clone();
    for k in (0..n).rev() {
        let bit = b.indicator(&rest, Condition::NonNegative)?;
        if k > 0 {
            let lower = b.add((1.0, &rest), (-power(k), &bit))?;
            rest = b.affine(&lower, vec![1.0], vec![power(k - 1)])?;
        }
        bits.push(bit);
    }
    Ok(bits)
}

/// Bits of a number in two's complement, the highest first.
fn pattern(b: &mut Builder, x: &Value, width: Width) -> Result<Vec<Value>, GraphError> {
    if let Some(known) = x.known() {
        let bit = |k: u32| known.iter().map(|v| ((*v as i128) >> k & 1) as f64).collect();
        let constant = |k: u32| Value::constant(bit(k), x.shape.clone(), Element::Integer).bit();
        return Ok((0..width.computed()).rev().map(constant).collect());
    }
    let mut bits = if width.bits <= LIMB {
        let half = power(width.bits - 1);
        let whole = bounded(b, x, if width.signed { half } else { 0.0 })?;
        let centred = b.affine(&whole, vec![1.0], vec![-half])?;
        digits(b, &centred, width.bits)?
    } else {
        let (high, low) = halves(b, x, width.signed)?;
        let low = b.affine(&low, vec![1.0], vec![-power(LIMB - 1)])?;
        let mut bits = digits(b, &high, LIMB)?;
        bits.extend(digits(b, &low, LIMB)?);
        bits
    };
    // Moved by half of the range, a signed number has its sign's opposite there.
    if width.signed
        && let Some(top) = bits.first_mut()
    {
        *top = b.not(top)?;
    }
    Ok(bits)
}

/// The number with these bits.
fn number(b: &mut Builder, bits: &[Value], width: Width) -> Result<Value, GraphError> {
    let mut out: Option<Value> = None;
    for bit in bits {
        out = Some(match out {
            None if width.signed => b.affine(bit, vec![-1.0], vec![0.0])?,
            None => bit.clone(),
            Some(out) => b.add((2.0, &out), (1.0, bit))?,
        });
    }
    out.ok_or_else(|| GraphError::MalformedModel { reason: "a number without bits".to_owned() })
}

#[derive(Clone, Copy)]
enum Logic {
    And,
    Or,
    Xor,
}

impl Logic {
    fn of(self, x: i128, y: i128) -> i128 {
        match self {
            Self::And => x & y,
            Self::Or => x | y,
            Self::Xor => x ^ y,
        }
    }

    fn bit(self, b: &mut Builder, x: &Value, y: &Value) -> Result<Value, GraphError> {
        match self {
            Self::And => b.and(x, y),
            Self::Or => b.or(x, y),
            Self::Xor => {
                let not = b.not(y)?;
                Ok(b.select(x, &not, y)?.bit())
            }
        }
    }
}

/// Bit by bit, of two integers of one type.
fn bitwise(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>], logic: Logic) -> Result<Vec<Value>, GraphError> {
    let (x, y) = pair(b, node, node.required(inputs, 0)?, node.required(inputs, 1)?)?;
    let width = Width::of_integer(node, &x)?;
    if let (Some(left), Some(right)) = (x.known(), y.known()) {
        let data = left.iter().zip(right).map(|(l, r)| logic.of(*l as i128, *r as i128) as f64).collect();
        let out = Value::constant(data, x.shape.clone(), Element::Integer);
        return Ok(vec![out.with_data_type(x.data_type)]);
    }
    let (left, right) = (pattern(b, &x, width)?, pattern(b, &y, width)?);
    let mut bits = Vec::with_capacity(left.len());
    for (l, r) in left.iter().zip(&right) {
        bits.push(logic.bit(b, l, r)?);
    }
    Ok(vec![number(b, &bits, width)?.with_data_type(x.data_type)])
}

/// `-1 - x`, or the greatest number of the type less `x`.
fn not(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let width = Width::of_integer(node, x)?;
    let most = match (width.signed, width.bits) {
        (true, _) => -1.0,
        (false, 64) => {
            return Err(node.unsupported("the complement of a uint64 has 64 bits", "use int64, or at most 32 bits"));
        }
        (false, bits) => power(bits) - 1.0,
    };
    Ok(vec![b.affine(x, vec![-1.0], vec![most])?.with_data_type(x.data_type)])
}

/// The bits of a number read as another type of the same width.
fn cast(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let to = node.int("to").and_then(|to| i32::try_from(to).ok()).ok_or_else(|| node.malformed("it has no type"))?;
    super::tensor::element(node.name, to)?;
    if to == x.data_type {
        return Ok(vec![x.clone()]);
    }
    let (Some(from), Some(into)) = (Width::of(x.data_type), Width::of(to)) else {
        return reinterpreted(node, x, to);
    };
    if from.bits != into.bits {
        return Err(node.malformed(format!("{} bits read as {}", from.bits, into.bits)));
    }
    let span = power(from.bits);
    let out = match (from.signed, into.signed) {
        (true, false) => {
            let sign = b.indicator(x, Condition::NonNegative)?;
            // Adds the span where the sign is negative.
            let wrapped = b.add((1.0, x), (-span, &sign))?;
            b.affine(&wrapped, vec![1.0], vec![span])?
        }
        (false, true) => {
            let moved = b.affine(x, vec![1.0], vec![-span / 2.0])?;
            let sign = b.indicator(&moved, Condition::NonNegative)?;
            b.add((1.0, x), (-span, &sign))?
        }
        _ => x.clone(),
    };
    Ok(vec![out.with_data_type(to)])
}

/// The bits of a floating-point number, or a floating-point number from its bits; both known.
fn reinterpreted(node: &Node<'_>, x: &Value, to: i32) -> Result<Vec<Value>, GraphError> {
    let known = x.known().ok_or_else(|| node.not_known(x, "floating-point number whose bits are read"))?;
    let kind = |data_type: i32| DataType::try_from(data_type).unwrap_or(DataType::Undefined);
    let read: fn(f64) -> u64 = match kind(x.data_type) {
        DataType::Float => |v| u64::from((v as f32).to_bits()),
        DataType::Int32 | DataType::Uint32 => |v| u64::from((v as i64) as u32),
        DataType::Double => f64::to_bits,
        DataType::Int64 | DataType::Uint64 => |v| (v as i128) as u64,
        _ => return Err(node.unsupported("it reads the bits of a half float", "cast it to float first")),
    };
    let write: fn(u64) -> f64 = match kind(to) {
        DataType::Float => |v| f64::from(f32::from_bits(v as u32)),
        DataType::Int32 => |v| f64::from((v as u32).cast_signed()),
        DataType::Uint32 => |v| f64::from(v as u32),
        DataType::Double => f64::from_bits,
        DataType::Int64 => |v| v.cast_signed() as f64,
        DataType::Uint64 => |v| v as f64,
        _ => return Err(node.unsupported("it makes a half float from bits", "make a float and cast that")),
    };
    let data = known.iter().map(|v| write(read(*v))).collect();
    let element = super::tensor::element(node.name, to)?;
    Ok(vec![Value::constant(data, x.shape.clone(), element).with_data_type(to)])
}

/// A shift of the bits: to the left it wraps around, except of 64-bit types, whose results must fit the circuit's
/// integers; to the right it keeps the sign. A shift by a negative number, or by all bits, leaves the sign at the most.
fn shift(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let left = match node.text("direction").unwrap_or_default().as_str() {
        "LEFT" => true,
        "RIGHT" => false,
        other => return Err(node.malformed(format!("its direction is `{other}`"))),
    };
    let (x, amount) = pair(b, node, node.required(inputs, 0)?, node.required(inputs, 1)?)?;
    let width = Width::of_integer(node, &x)?;
    let shift = Shift { width, left };
    if let (Some(x_known), Some(by)) = (x.known(), amount.known()) {
        let data = x_known.iter().zip(by).map(|(v, s)| shift.of(*v as i128, *s as i128) as f64).collect();
        let out = Value::constant(data, x.shape.clone(), Element::Integer);
        return Ok(vec![out.with_data_type(x.data_type)]);
    }
    let out = match amount.known() {
        Some(by) => b.by_class(&x, by, &mut |b, x, by, _| shift.by(b, x, by as i128))?,
        None if left && width.bits > 2 * LIMB => return Err(node.not_known(&amount, "shift of a 64-bit integer")),
        None => shift.live(b, &x, &amount)?,
    };
    Ok(vec![out.with_data_type(x.data_type)])
}

#[derive(Clone, Copy)]
struct Shift {
    width: Width,
    left: bool,
}

impl Shift {
    /// Of a known number.
    fn of(self, v: i128, by: i128) -> i128 {
        match u32::try_from(by).ok().filter(|by| *by < self.width.bits) {
            Some(by) if self.left => self.width.wrapped(v << by),
            Some(by) => v >> by,
            None if self.left => 0,
            None => v >> 127,
        }
    }

    /// What a shift by all bits leaves.
    fn emptied(self, b: &mut Builder, x: &Value) -> Result<Value, GraphError> {
        if self.left || !self.width.signed {
            return Ok(Value::constant(vec![0.0; x.len()], x.shape.clone(), Element::Integer));
        }
        let sign = b.indicator(x, Condition::NonNegative)?.with_element(Element::Integer);
        b.affine(&sign, vec![1.0], vec![-1.0])
    }

    /// By one known amount.
    fn by(self, b: &mut Builder, x: &Value, by: i128) -> Result<Value, GraphError> {
        let bits = self.width.bits;
        let Some(by) = u32::try_from(by).ok().filter(|by| *by < bits) else { return self.emptied(b, x) };
        if by == 0 {
            return Ok(x.clone());
        }
        if !self.left {
            return if bits <= LIMB { floor_of(b, x, by) } else { self.right(b, x, by) };
        }
        if bits == 2 * LIMB {
            return self.left(b, x, by);
        }
        let kept = if bits > LIMB { x.clone() } else { residue(b, x, bits - by, self.width.signed)? };
        b.affine(&kept, vec![power(by)], vec![0.0])
    }

    /// A wide number to the right.
    fn right(self, b: &mut Builder, x: &Value, by: u32) -> Result<Value, GraphError> {
        if by >= 2 * LIMB {
            return self.emptied(b, x);
        }
        let (high, low) = halves(b, x, self.width.signed)?;
        let high = if self.width.signed { high } else { b.affine(&high, vec![1.0], vec![power(LIMB - 1)])? };
        match by.checked_sub(LIMB) {
            Some(0) => Ok(high),
            Some(by) => floor_of(b, &high, by),
            None => {
                let low = floor_of(b, &low, by)?;
                b.add((power(LIMB - by), &high), (1.0, &low))
            }
        }
    }

    /// A 32-bit number to the left. Halves with known bounds keep those of what a computed amount shifts again and
    /// again.
    fn left(self, b: &mut Builder, x: &Value, by: u32) -> Result<Value, GraphError> {
        // A multiple of `2^15`, which the upper half of a number without a sign lacks, leaves the 32 bits.
        let (high, low) = halves(b, x, self.width.signed)?;
        if let Some(by) = by.checked_sub(LIMB) {
            let moved = if by == 0 { 0.0 } else { -power(LIMB - 1) };
            let high = b.affine(&low, vec![power(by)], vec![moved * power(by)])?;
            let high = residue(b, &high, LIMB, self.width.signed)?;
            return b.affine(&high, vec![power(LIMB)], vec![0.0]);
        }
        let carried = floor_of(b, &low, LIMB - by)?;
        let low = b.add((power(by), &low), (-power(LIMB), &carried))?;
        let low = b.relu(&low, 1.0, 0.0)?;
        let high = b.add((power(by), &high), (1.0, &carried))?;
        let high = residue(b, &high, LIMB, self.width.signed)?;
        b.add((power(LIMB), &high), (1.0, &low))
    }

    /// By a computed amount: one stage for each of its bits.
    fn live(self, b: &mut Builder, x: &Value, amount: &Value) -> Result<Value, GraphError> {
        let bits = self.width.computed();
        let least = b.indicator(amount, Condition::NonNegative)?;
        let room = b.affine(amount, vec![-1.0], vec![f64::from(bits - 1)])?;
        let most = b.indicator(&room, Condition::NonNegative)?;
        let valid = b.and(&least, &most)?;
        let amount = b.mul(&valid, amount)?;
        let stages = bits.ilog2();
        let half = power(stages - 1);
        let amount = bounded(b, &amount, 0.0)?;
        let centred = b.affine(&amount, vec![1.0], vec![-half])?;
        let mut out = x.clone();
        for (stage, bit) in digits(b, &centred, stages)?.iter().rev().enumerate() {
            let moved = self.by(b, &out, 1i128 << stage)?;
            out = b.select(bit, &moved, &out)?;
        }
        let emptied = self.emptied(b, x)?;
        b.select(&valid, &out, &emptied)
    }
}

/// The number of `m` bits that is `x` modulo `2^m`, for `m <= 16`.
fn residue(b: &mut Builder, x: &Value, m: u32, signed: bool) -> Result<Value, GraphError> {
    let half = if signed { power(m - 1) } else { 0.0 };
    let moved = b.affine(x, vec![1.0], vec![half])?;
    let above = floor_of(b, &moved, m)?;
    let rest = b.add((1.0, &moved), (-power(m), &above))?;
    let rest = b.relu(&rest, 1.0, 0.0)?;
    b.affine(&rest, vec![1.0], vec![-half])
}
