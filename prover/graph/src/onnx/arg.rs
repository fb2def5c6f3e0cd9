//! Positions of the greatest and least elements.

use tract_onnx::pb::tensor_proto::DataType;

use super::{
    Lowering, Node,
    along::{Rows, softmax_rows},
};
use crate::{
    GraphError,
    float::{Builder, Element, FloatSource, Value},
    int::Condition,
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "ArgMax" => |b, n, i| arg(b, n, i, 1.0),
        "ArgMin" => |b, n, i| arg(b, n, i, -1.0),
        "Hardmax" => hardmax,
        "TopK" => top_k,
        _ => return None,
    })
}

/// Position of the greatest (`sign` 1) or least (`sign` -1) element, the first or the last of equal ones.
///
/// Reals are compared as the circuit has them, rounded to 16 bits: two that round alike count as equal.
fn arg(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>], sign: f64) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let axis = node.axis(node.int("axis").unwrap_or(0), x.shape.len())?;
    let keep = node.flag("keepdims", true)?;
    let last = node.flag("select_last_index", false)?;
    let signed = b.affine(x, vec![sign], vec![0.0])?;
    let rows = Rows::along(b, &signed, axis)?;
    if rows.n == 0 {
        return Err(node.malformed("its axis has no elements"));
    }
    let (_, index) = Field::new(&rows.flat, rows.n).winner(b, last)?;
    Ok(vec![rows.reduced(&index, keep)])
}

/// 1 at the first of the greatest elements, 0 elsewhere; before operator set 13 over all axes from `axis` on.
fn hardmax(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let rows = softmax_rows(b, node, x)?;
    let (_, index) = Field::new(&rows.flat, rows.n).winner(b, false)?;
    let bits = b.one_hot(&index, rows.n)?.with_element(x.element);
    Ok(vec![rows.back(b, &bits, rows.n)?.reshaped(x.shape.clone()).with_data_type(x.data_type)])
}

/// The greatest or least `k` elements in order, equal ones in the order of their positions.
fn top_k(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let axis = node.axis(node.int("axis").unwrap_or(-1), x.shape.len())?;
    let k = match node.int("k") {
        Some(k) => Some(k),
        None => node.known(inputs, 1, "k")?.first().map(|k| *k as i64),
    };
    let k = k.and_then(|k| usize::try_from(k).ok()).filter(|k| *k <= x.shape[axis]);
    let k = k.ok_or_else(|| node.malformed(format!("its k does not fit an axis of {}", x.shape[axis])))?;
    let sign = if !node.flag("largest", true)? { -1.0 } else { 1.0 };
    let signed = b.affine(x, vec![sign], vec![0.0])?;
    let rows = Rows::along(b, &signed, axis)?;
    if k == 0 || x.len() == 0 {
        let mut shape = x.shape.clone();
        shape[axis] = k;
        let nothing = Value::constant(Vec::new(), shape, x.element);
        return Ok(vec![nothing.with_data_type(x.data_type), nothing.with_element(Element::Integer)]);
    }
    // What either costs, counted in rows of the circuit.
    let (values, indices) = if k < rows.n / 6 { by_rounds(b, &rows, k)? } else { by_rank(b, &rows, k)? };
    let values = b.affine(&values, vec![sign], vec![0.0])?;
    let (values, indices) = (rows.back(b, &values, k)?, rows.back(b, &indices, k)?);
    Ok(vec![values.with_data_type(x.data_type), indices.with_data_type(DataType::Int64 as i32)])
}

/// The first `k` by `k` tournaments, each without the winners before.
fn by_rounds(b: &mut Builder, rows: &Rows, k: usize) -> Result<(Value, Value), GraphError> {
    let shape = vec![rows.rows, rows.n];
    let negative = b.affine(&rows.flat, vec![-1.0], vec![0.0])?;
    let least = b.max(&negative, rows.n, vec![rows.rows, 1])?;
    let least = b.affine(&least, vec![-1.0], vec![0.0])?;
    let least = b.expand(&least, &shape)?;
    let mut field = Field::new(&rows.flat, rows.n);
    let (mut values, mut indices) = (Vec::with_capacity(k), Vec::with_capacity(k));
    for round in 0..k {
        let (value, index) = field.winner(b, false)?;
        if round + 1 < k {
            let won = b.one_hot(&index, rows.n)?;
            field.values = b.select(&won, &least, &field.values)?;
            let lost = b.not(&won)?;
            field.alive = Some(match &field.alive {
                Some(alive) => b.and(alive, &lost)?,
                None => lost,
            });
        }
        values.push(value);
        indices.push(index);
    }
    Ok((b.stack(&values, 1)?, b.stack(&indices, 1)?))
}

/// The first `k` by the number of elements that come before each.
fn by_rank(b: &mut Builder, rows: &Rows, k: usize) -> Result<(Value, Value), GraphError> {
    let (lines, n) = (rows.rows, rows.n);
    b.check_size(&[lines, n, n])?;
    let pairs: Vec<(usize, usize)> = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).collect();
    let side = |of: fn(&(usize, usize)) -> usize| -> Vec<usize> {
        (0..lines).flat_map(|r| pairs.iter().map(move |p| r * n + of(p))).collect()
    };
    let shape = vec![lines, pairs.len()];
    let (first, second) =
        (b.gather(&rows.flat, &side(|p| p.0), shape.clone())?, b.gather(&rows.flat, &side(|p| p.1), shape)?);
    let ahead = b.at_least(&first, &second)?;
    let behind = b.not(&ahead)?;
    // Where a pair lies in the list.
    let at = |i: usize, j: usize| i * (2 * n - i - 1) / 2 + j - i - 1;
    let mut sources = Vec::with_capacity(lines * n * (n - 1));
    for r in 0..lines {
        let start = r * pairs.len();
        for i in 0..n {
            sources.extend((0..i).map(|j| FloatSource::Element(0, (start + at(j, i)) as u32)));
            sources.extend((i + 1..n).map(|j| FloatSource::Element(1, (start + at(i, j)) as u32)));
        }
    }
    let rank = if n == 1 {
        Value::constant(vec![0.0; lines], vec![lines, 1], Element::Integer)
    } else {
        let before = b.assemble(&[ahead, behind], sources, vec![lines, n, n - 1])?;
        b.sum(&before, n - 1, 1.0, vec![lines, n])?
    };
    let each = || (0..lines).flat_map(|r| (0..k * n).map(move |c| (r, c)));
    let places: Vec<usize> = each().map(|(r, c)| r * n + c % n).collect();
    let offset = each().map(|(_, c)| -((c / n) as f64)).collect();
    let shape = vec![lines * k, n];
    let rank = b.gather(&rank, &places, shape.clone())?;
    let distance = b.affine(&rank, vec![1.0], offset)?;
    let bits = b.indicator(&distance, Condition::Zero)?;
    let candidates = b.gather(&rows.flat, &places, shape.clone())?;
    let positions = Value::constant(each().map(|(_, c)| (c % n) as f64).collect(), shape, Element::Integer);
    let (values, indices) = (b.chosen(&bits, &candidates, n)?, b.chosen(&bits, &positions, n)?);
    Ok((values.reshaped(vec![lines, k]), indices.reshaped(vec![lines, k])))
}

/// Who meets whom: rows of elements, with their positions, and bits that say who takes part.
pub(super) struct Field {
    /// `[rows, n]`.
    pub(super) values: Value,
    pub(super) n: usize,
    /// Bits `[rows, n]`; all, where there are none.
    pub(super) alive: Option<Value>,
}

impl Field {
    fn new(rows: &Value, n: usize) -> Self {
        Self { values: rows.clone(), n, alive: None }
    }

    /// The greatest element of each row and its position, the first of equal ones or the last; by comparisons in pairs,
    /// because equality with the maximum would hang on how it was rounded. Who takes no part has the least value.
    pub(super) fn winner(&self, b: &mut Builder, last: bool) -> Result<(Value, Value), GraphError> {
        let rows = self.values.len() / self.n;
        let (mut values, mut alive, mut n) = (self.values.clone(), self.alive.clone(), self.n);
        let positions = (0..rows * n).map(|i| (i % n) as f64).collect();
        let mut index = Value::constant(positions, vec![rows, n], Element::Integer);
        while n > 1 {
            let pairs = Pairs { rows, n };
            let (left, right) = pairs.split(b, &values)?;
            let mut wins = if last { b.above(&left, &right)? } else { b.at_least(&left, &right)? };
            if let Some(bits) = &alive {
                let (here, there) = pairs.split(b, bits)?;
                wins = b.and(&wins, &here)?;
                let either = b.select(&wins, &here, &there)?;
                alive = Some(pairs.with_odd(b, &either, bits)?);
            }
            let merged = b.select(&wins, &left, &right)?;
            values = pairs.with_odd(b, &merged, &values)?;
            let (left, right) = pairs.split(b, &index)?;
            let merged = match (left.known(), right.known()) {
                (Some(l), Some(r)) => {
                    let scale = l.iter().zip(r).map(|(l, r)| l - r).collect();
                    b.affine(&wins, scale, r.to_vec())?.with_data_type(index.data_type)
                }
                _ => b.select(&wins, &left, &right)?,
            };
            index = pairs.with_odd(b, &merged, &index)?;
            n = n.div_ceil(2);
        }
        Ok((values.reshaped(vec![rows]), index.reshaped(vec![rows]).with_data_type(DataType::Int64 as i32)))
    }
}

/// Rows of `n` elements in pairs; an odd one is left over.
struct Pairs {
    rows: usize,
    n: usize,
}

impl Pairs {
    fn split(&self, b: &mut Builder, x: &Value) -> Result<(Value, Value), GraphError> {
        let (n, half) = (self.n, self.n / 2);
        let side = |s: usize| -> Vec<usize> {
            (0..self.rows).flat_map(|r| (0..half).map(move |j| r * n + 2 * j + s)).collect()
        };
        let shape = vec![self.rows, half];
        Ok((b.gather(x, &side(0), shape.clone())?, b.gather(x, &side(1), shape)?))
    }

    /// What became of the pairs, and of `x` the element that had none.
    fn with_odd(&self, b: &mut Builder, merged: &Value, x: &Value) -> Result<Value, GraphError> {
        if self.n.is_multiple_of(2) {
            return Ok(merged.clone());
        }
        let last: Vec<usize> = (0..self.rows).map(|r| (r + 1) * self.n - 1).collect();
        let odd = b.gather(x, &last, vec![self.rows, 1])?;
        b.join(merged, &odd)
    }
}
