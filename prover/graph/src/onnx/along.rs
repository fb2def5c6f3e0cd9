//! Operators over one axis: running sums and products, logarithms of shares, normalisation by a norm.

use super::{Lowering, Node};
use crate::{
    GraphError,
    float::{Builder, Element, FloatSource, Function, Quotient, Value, indices},
    int::Condition,
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "CumSum" => |b, n, i| cumulate(b, n, i, (0.0, |b, x, y| b.add((1.0, x), (1.0, y)))),
        "CumProd" => |b, n, i| cumulate(b, n, i, (1.0, |b, x, y| b.mul(x, y))),
        "LogSoftmax" => log_softmax,
        "LpNormalization" => lp_normalise,
        _ => return None,
    })
}

/// A tensor as rows along an axis, and the way back.
#[derive(Debug)]
pub(super) struct Rows {
    /// `[rows, n]`.
    pub(super) flat: Value,
    /// Number of rows.
    pub(super) rows: usize,
    /// Elements of a row.
    pub(super) n: usize,
    /// Shape before, and its axis.
    shape: Vec<usize>,
    axis: usize,
}

impl Rows {
    /// Rows along one axis.
    pub(super) fn along(b: &mut Builder, x: &Value, axis: usize) -> Result<Self, GraphError> {
        let mut perm: Vec<usize> = (0..x.shape.len()).collect();
        perm.remove(axis);
        perm.push(axis);
        let moved = b.transpose(x, &perm)?;
        let n = x.shape[axis];
        let rows = x.shape.iter().enumerate().filter(|(a, _)| *a != axis).map(|(_, d)| *d).product();
        Ok(Self { flat: moved.reshaped(vec![rows, n]), rows, n, shape: x.shape.clone(), axis })
    }

    /// Rows `[rows, size]` as a tensor whose axis has that size.
    pub(super) fn back(&self, b: &mut Builder, value: &Value, size: usize) -> Result<Value, GraphError> {
        let rank = self.shape.len();
        let mut moved = self.shape.clone();
        moved.remove(self.axis);
        moved.push(size);
        let perm: Vec<usize> = (0..self.axis).chain([rank - 1]).chain(self.axis..rank - 1).collect();
        b.transpose(&value.reshaped(moved), &perm)
    }

    /// Rows `[rows]` as a tensor whose axis has the size 1, or is gone.
    pub(super) fn reduced(&self, value: &Value, keep: bool) -> Value {
        let mut shape = self.shape.clone();
        if keep {
            shape[self.axis] = 1;
        } else {
            shape.remove(self.axis);
        }
        value.reshaped(shape)
    }
}

/// Rows of a softmax's kin: over one axis; before operator set 13 over all axes from `axis` on.
pub(super) fn softmax_rows(b: &mut Builder, node: &Node<'_>, x: &Value) -> Result<Rows, GraphError> {
    let old = node.opset < 13;
    let asked = node.int("axis").unwrap_or(if old { 1 } else { -1 });
    let rank = x.shape.len();
    let rows = if old {
        let axis = if asked == rank as i64 { rank } else { node.axis(asked, rank)? };
        let (lead, rest) = x.shape.split_at(axis);
        Rows::along(b, &x.reshaped(vec![lead.iter().product(), rest.iter().product()]), 1)?
    } else {
        Rows::along(b, x, node.axis(asked, rank)?)?
    };
    if rows.n == 0 {
        return Err(node.malformed("its axis has no elements"));
    }
    Ok(rows)
}

pub(super) type Combine = fn(&mut Builder, &Value, &Value) -> Result<Value, GraphError>;

/// Running sums or products.
fn cumulate(
    b: &mut Builder,
    node: &Node<'_>,
    inputs: &[Option<Value>],
    (identity, combine): (f64, Combine),
) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let axis = node.known(inputs, 1, "axis")?.first().copied().ok_or_else(|| node.malformed("its axis is empty"))?;
    let axis = node.axis(axis as i64, x.shape.len())?;
    let rows = Rows::along(b, x, axis)?;
    let n = rows.n;
    if x.len() == 0 {
        return Ok(vec![x.clone()]);
    }
    let turned: Vec<usize> = (0..rows.rows).flat_map(|r| (0..n).map(move |j| r * n + n - 1 - j)).collect();
    let reverse = node.flag("reverse", false)?;
    let shape = vec![rows.rows, n];
    let start = if reverse { b.gather(&rows.flat, &turned, shape.clone())? } else { rows.flat.clone() };
    let mut out = running(b, &start, n, combine)?;
    if node.flag("exclusive", false)? {
        let source = |i: usize| match i % n {
            0 => FloatSource::Constant(identity),
            _ => FloatSource::Element(0, i as u32 - 1),
        };
        let sources = (0..out.len()).map(source).collect();
        out = b.assemble(&[out], sources, shape.clone())?;
    }
    if reverse {
        out = b.gather(&out, &turned, shape)?;
    }
    Ok(vec![rows.back(b, &out, n)?.with_data_type(x.data_type)])
}

/// What is combined up to each element of rows of `n`: over the pairs first, so that the chains are short.
pub(super) fn running(b: &mut Builder, x: &Value, n: usize, combine: Combine) -> Result<Value, GraphError> {
    if n == 1 {
        return Ok(x.clone());
    }
    let (rows, half) = (x.len() / n, n / 2);
    let every = |count: usize, first: usize| -> Vec<usize> {
        (0..rows).flat_map(|r| (0..count).map(move |j| r * n + first + 2 * j)).collect()
    };
    let (left, right) =
        (b.gather(x, &every(half, 0), vec![rows, half])?, b.gather(x, &every(half, 1), vec![rows, half])?);
    let pairs = combine(b, &left, &right)?;
    // Elements number 1, 3, 5 and so on.
    let odd = running(b, &pairs, half, combine)?;
    let rest = n - half - 1;
    let before: Vec<usize> = (0..rows).flat_map(|r| (0..rest).map(move |j| r * half + j)).collect();
    let before = b.gather(&odd, &before, vec![rows, rest])?;
    let own = b.gather(x, &every(rest, 2), vec![rows, rest])?;
    let even = if rest == 0 { own } else { combine(b, &before, &own)? };
    let source = |r: usize, j: usize| match (j, j % 2) {
        (0, _) => FloatSource::Element(0, (r * n) as u32),
        (_, 1) => FloatSource::Element(1, (r * half + j / 2) as u32),
        _ => FloatSource::Element(2, (r * rest + j / 2 - 1) as u32),
    };
    let sources = (0..rows).flat_map(|r| (0..n).map(move |j| source(r, j))).collect();
    b.assemble(&[x.clone(), odd, even], sources, vec![rows, n])
}

/// `x - max - log(sum exp(x - max))`, which loses nothing where the shares are small.
fn log_softmax(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let rows = softmax_rows(b, node, x)?;
    let shape = [rows.rows, rows.n];
    let (below, log, _) = log_sum_exp(b, &rows.flat, rows.n)?;
    let log = b.expand(&log, &shape)?;
    let out = b.add((1.0, &below), (-1.0, &log))?;
    Ok(vec![rows.back(b, &out, rows.n)?.reshaped(x.shape.clone()).with_data_type(x.data_type)])
}

/// `x - max`, `log(sum exp(x - max))` and `max` of rows of `n`, the latter two `[rows, 1]`.
pub(super) fn log_sum_exp(b: &mut Builder, x: &Value, n: usize) -> Result<(Value, Value, Value), GraphError> {
    let rows = x.len() / n.max(1);
    let x = x.reshaped(vec![rows, n]).with_element(Element::Real);
    let most = b.max(&x, n, vec![rows, 1])?;
    let spread = b.expand(&most, &[rows, n])?;
    let below = b.add((1.0, &x), (-1.0, &spread))?;
    let exp = b.function(&below, Function::Exp)?;
    let total = b.sum(&exp, n, 1.0, vec![rows, 1])?;
    Ok((below, log_up_to(b, &total, n)?, most))
}

/// Logarithm of values from 1 to `n`. A table over all of them would be coarse at 1, where the logarithm is steepest:
/// powers of two are taken out first.
fn log_up_to(b: &mut Builder, x: &Value, n: usize) -> Result<Value, GraphError> {
    let levels = n.max(1).ilog2();
    let mut x = x.clone();
    let mut logs = Vec::new();
    let mut power = 1usize << levels.max(1).ilog2();
    while levels > 2 && power > 0 {
        let step = (power as f64).exp2();
        let above = b.affine(&x, vec![1.0], vec![-step])?;
        let above = b.indicator(&above, Condition::NonNegative)?;
        let factor = b.affine(&above.with_element(Element::Real), vec![1.0 / step - 1.0], vec![1.0])?;
        x = b.mul(&x, &factor)?;
        logs.push((above, power as f64 * std::f64::consts::LN_2));
        power /= 2;
    }
    let mut log = b.function(&x, Function::Log)?;
    for (bit, part) in logs {
        log = b.add((1.0, &log), (part, &bit))?;
    }
    Ok(log)
}

/// `x` over its norm, the sum of the magnitudes or the root of the sum of the squares; zero where the norm is.
fn lp_normalise(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let axis = node.axis(node.int("axis").unwrap_or(-1), x.shape.len())?;
    if x.len() == 0 {
        return Ok(vec![x.clone()]);
    }
    let rows = Rows::along(b, x, axis)?;
    let column = vec![rows.rows, 1];
    let norm = match node.int("p").unwrap_or(2) {
        1 => {
            let magnitude = b.absolute(&rows.flat)?;
            b.sum(&magnitude, rows.n, 1.0, column)?
        }
        2 => {
            let square = b.mul_self(&rows.flat)?;
            let total = b.sum(&square, rows.n, 1.0, column)?;
            b.root(&total)?
        }
        p => return Err(node.unsupported(format!("its p is {p}"), "use the norm 1 or 2")),
    };
    let zero = b.indicator(&norm, Condition::Zero)?;
    let divisor = b.add((1.0, &norm), (1.0, &zero))?;
    let divisor = b.expand(&divisor, &[rows.rows, rows.n])?;
    let out = b.div(&rows.flat, &divisor, Quotient::Real)?;
    Ok(vec![rows.back(b, &out, rows.n)?.with_data_type(x.data_type)])
}

/// Positions of an axis in another order: element `j` of the new axis is element `order[j]` of the old one.
pub(super) fn pick_along(b: &mut Builder, x: &Value, axis: usize, order: &[usize]) -> Result<Value, GraphError> {
    let mut shape = x.shape.clone();
    shape[axis] = order.len();
    b.check_size(&shape)?;
    let outer: usize = x.shape[..axis].iter().product();
    let run: usize = x.shape[axis + 1..].iter().product();
    let dim = x.shape[axis];
    let mut at = Vec::with_capacity(indices::count(&shape).unwrap_or(0));
    for row in 0..outer {
        for position in order {
            let start = (row * dim + position) * run;
            at.extend(start..start + run);
        }
    }
    b.gather(x, &at, shape)
}
