//! Results whose number depends on the data: boxes that suppress no other, positions of what is not zero.
//!
//! A circuit has a fixed number of outputs. Where the file declares how many results there are, the circuit has as
//! many, and an input with more or fewer has no proof.

use tract_onnx::pb::tensor_proto::DataType;

use super::{Lowering, Node, along::running, arg::Field};
use crate::{
    GraphError,
    float::{Builder, Cost, Element, FloatOp, FloatSource, Value, indices},
    int::Condition,
};

/// Takes a wrong number of results out of all 16-bit ranges, even after a rescale.
const WRONG_COUNT: f64 = (1u64 << 36) as f64;

/// Bytes that a pair of boxes, or a box in a round, takes at least, with what is made of it.
const EACH: u64 = 512;

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "NonMaxSuppression" => non_max_suppression,
        "NonZero" => non_zero,
        _ => return None,
    })
}

/// Candidates for results, in order, and which of them are.
struct Candidates {
    /// Bits, `[candidates]`.
    there: Value,
    /// How many are, where the file says so.
    declared: Option<usize>,
}

impl Candidates {
    /// How many results there are: known, or as declared.
    fn count(&self) -> Option<usize> {
        let known = self.there.known().map(|bits| bits.iter().filter(|bit| **bit != 0.0).count());
        known.or(self.declared).filter(|n| *n <= self.there.len())
    }

    /// Columns of whole numbers that are not negative, an element a candidate, without those that are no results:
    /// `[columns, count]`.
    fn collected(&self, b: &mut Builder, columns: &[Value], count: usize) -> Result<Value, GraphError> {
        let all = self.there.len();
        if count == 0 {
            let none = Value::constant(Vec::new(), vec![columns.len(), 0], Element::Integer);
            return Ok(none);
        }
        b.check_size(&[columns.len(), count, all])?;
        b.check(Cost { memory: EACH * (count * all) as u64, ..Cost::default() })?;
        let there = self.there.reshaped(vec![1, all]).with_element(Element::Integer);
        let mut out = if count == all {
            b.stack(columns, 0)?
        } else {
            // The candidate's number among the results from 1 on; 0 where it is none.
            let rank = running(b, &there, all, |b, x, y| b.add((1.0, x), (1.0, y)))?;
            let rank = b.mul(&rank, &there)?;
            let each = || (0..count).flat_map(|k| (0..all).map(move |i| (k, i)));
            let spread: Vec<usize> = each().map(|(_, i)| i).collect();
            let rank = b.gather(&rank, &spread, vec![count, all])?;
            let distance = b.affine(&rank, vec![1.0], each().map(|(k, _)| -1.0 - k as f64).collect())?;
            let bits = b.indicator(&distance, Condition::Zero)?.with_element(Element::Integer);
            let mut picked = Vec::with_capacity(columns.len());
            for column in columns {
                let column = b.gather(column, &spread, vec![count, all])?;
                let products = b.mul(&bits, &column)?;
                picked.push(b.sum(&products, all, 1.0, vec![count])?);
            }
            b.stack(&picked, 0)?
        };
        if self.there.known().is_none() {
            // A result beside which a wrong count is the greater number, if it is any that fits.
            let total = b.sum(&there, all, -WRONG_COUNT, vec![1])?;
            let wrong = b.affine(&total, vec![1.0], vec![WRONG_COUNT * count as f64])?;
            let wrong = b.gather(&wrong, &vec![0; out.len()], out.shape.clone())?;
            out = b.greater(&out, &wrong)?;
        }
        Ok(out.with_data_type(DataType::Int64 as i32))
    }
}

/// Coordinates of what is not zero, an axis a row.
fn non_zero(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let there = b.truth(&x.reshaped(vec![x.len()]))?;
    let declared = node.declared(0).and_then(|shape| shape.last().copied());
    let candidates = Candidates { there, declared };
    let Some(count) = candidates.count() else {
        return Err(node.not_known(x, "input, on which the size of its output depends,"));
    };
    let strides = indices::strides(&x.shape);
    let coordinate = |axis: usize, flat: usize| (flat / strides[axis] % x.shape[axis]) as f64;
    let column = |axis: usize| {
        let data = (0..x.len()).map(|flat| coordinate(axis, flat)).collect();
        Value::constant(data, vec![x.len()], Element::Integer)
    };
    let columns: Vec<Value> = (0..x.shape.len()).map(column).collect();
    Ok(vec![candidates.collected(b, &columns, count)?.with_data_type(DataType::Int64 as i32)])
}

/// Boxes by falling score that overlap none before them by more than a threshold: batch, class and number of each.
/// Scores and overlaps are compared as the circuit has them, in 16 bits. A box of negative size overlaps nothing.
fn non_max_suppression(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (boxes, scores) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    let ([batches, n, 4], [same, classes, count]) = (&boxes.shape[..], &scores.shape[..]) else {
        return Err(node.malformed(format!("boxes of shape {:?} and scores of {:?}", boxes.shape, scores.shape)));
    };
    if (batches, n) != (same, count) {
        return Err(node.malformed(format!("boxes of shape {:?} and scores of {:?}", boxes.shape, scores.shape)));
    }
    let (batches, classes, n) = (*batches, *classes, *n);
    let most = match inputs.get(2) {
        Some(Some(_)) => node.known(inputs, 2, "max_output_boxes_per_class")?.first().copied().unwrap_or(0.0),
        _ => 0.0,
    };
    let rounds = (most.max(0.0) as usize).min(n);
    let lines = batches * classes;
    b.check_size(&[batches, n, n])?;
    b.check_size(&[lines, n, rounds])?;
    let cells = (batches * n * n + lines * n * rounds) as u64;
    b.check(Cost { memory: EACH * cells, ..Cost::default() })?;
    if lines * rounds == 0 {
        return Ok(vec![Value::constant(Vec::new(), vec![0, 3], Element::Integer)]);
    }
    let threshold = |i: usize| inputs.get(i).and_then(Option::as_ref).filter(|t| t.len() == 1);
    let overlaps = overlaps(b, boxes, threshold(3), node.flag("center_point_box", false)?)?;
    let scores = scores.reshaped(vec![lines, n]);
    let alive = match threshold(4) {
        Some(least) => {
            let least = b.gather(least, &vec![0; scores.len()], scores.shape.clone())?;
            b.above(&scores, &least)?
        }
        None => Value::constant(vec![1.0; scores.len()], scores.shape.clone(), Element::Integer).bit(),
    };
    let (there, index) = select(b, (&scores, alive), &overlaps, rounds)?;
    let candidates = Candidates { there, declared: node.declared(0).and_then(|shape| shape.first().copied()) };
    let Some(count) = candidates.count() else {
        return Err(node.unsupported(
            "how many boxes it selects depends on the data, and the file does not say how many rows its output has",
            "declare the output's shape, as in [10, 3]: inputs that select another number then have no proof",
        ));
    };
    let column = |of: &dyn Fn(usize) -> usize| {
        let data = (0..lines * rounds).map(|i| of(i / rounds) as f64).collect();
        Value::constant(data, vec![lines * rounds], Element::Integer)
    };
    let columns = [column(&|line| line / classes), column(&|line| line % classes), index];
    let out = candidates.collected(b, &columns, count)?;
    Ok(vec![b.transpose(&out, &[1, 0])?])
}

/// In every line of scores `rounds` times the best of the boxes that are left, which takes those that it overlaps with
/// it. Whether there was one, and which: `[lines * rounds]`.
fn select(
    b: &mut Builder,
    (scores, mut alive): (&Value, Value),
    overlaps: &[Value],
    rounds: usize,
) -> Result<(Value, Value), GraphError> {
    let (lines, n) = (scores.shape[0], scores.shape[1]);
    let classes = lines / overlaps.len().max(1);
    let negative = b.affine(scores, vec![-1.0], vec![0.0])?;
    let least = b.max(&negative, n, vec![lines, 1])?;
    let least = b.affine(&least, vec![-1.0], vec![0.0])?;
    let least = b.expand(&least, &scores.shape)?;
    let (mut there, mut index) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    for round in 0..rounds {
        there.push(b.max(&alive, n, vec![lines])?.bit());
        let values = b.select(&alive, scores, &least)?;
        let field = Field { values, n, alive: Some(alive.clone()) };
        let (_, best) = field.winner(b, false)?;
        if round + 1 < rounds {
            let won = b.one_hot(&best, n)?.with_element(Element::Integer);
            let mut hit = Vec::with_capacity(overlaps.len());
            for (batch, overlaps) in overlaps.iter().enumerate() {
                let at: Vec<usize> = (batch * classes * n..(batch + 1) * classes * n).collect();
                let won = b.gather(&won, &at, vec![classes, n])?;
                let op = FloatOp::MatMul { rows: classes, inner: n, cols: n };
                hit.push(b.emit(op, &[&won, overlaps], vec![classes, n])?);
            }
            // Of ones and zeros, by which the choices that follow are known to be bits.
            let hit = b.stack(&hit, 0)?.reshaped(vec![lines, n]);
            let spared = b.indicator(&hit, Condition::Zero)?;
            alive = b.and(&alive, &spared)?;
        }
        index.push(best);
    }
    let all = vec![lines * rounds];
    Ok((b.stack(&there, 1)?.reshaped(all.clone()).bit(), b.stack(&index, 1)?.reshaped(all)))
}

/// For each batch bits `[n, n]`: whether the intersection of two boxes is more than a share of their union; of a box
/// with itself, always. Without a threshold any intersection is enough.
fn overlaps(
    b: &mut Builder,
    boxes: &Value,
    threshold: Option<&Value>,
    centred: bool,
) -> Result<Vec<Value>, GraphError> {
    let (batches, n) = (boxes.shape[0], boxes.shape[1]);
    let pairs: Vec<(usize, usize)> = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).collect();
    let shape = vec![batches, pairs.len()];
    let side = |of: fn(&(usize, usize)) -> usize| -> Vec<usize> {
        (0..batches).flat_map(|batch| pairs.iter().map(move |p| batch * n + of(p))).collect()
    };
    let (first, second) = (side(|p| p.0), side(|p| p.1));
    let mut common = Vec::new();
    let mut sizes = Vec::new();
    for axis in 0..2 {
        let column = |b: &mut Builder, at: usize| b.pick(boxes, 2, at);
        let (lo, hi) = if centred {
            let (middle, size) = (column(b, axis)?, column(b, axis + 2)?);
            let half = b.relu(&size, 0.5, 0.0)?;
            (b.add((1.0, &middle), (-1.0, &half))?, b.add((1.0, &middle), (1.0, &half))?)
        } else {
            let (one, other) = (column(b, axis)?, column(b, axis + 2)?);
            (b.lesser(&one, &other)?, b.greater(&one, &other)?)
        };
        sizes.push(b.add((1.0, &hi), (-1.0, &lo))?);
        let mut of = |x: &Value, at: &[usize]| b.gather(x, at, shape.clone());
        let (lo, hi) = ([of(&lo, &first)?, of(&lo, &second)?], [of(&hi, &first)?, of(&hi, &second)?]);
        let (lo, hi) = (b.greater(&lo[0], &lo[1])?, b.lesser(&hi[0], &hi[1])?);
        let length = b.add((1.0, &hi), (-1.0, &lo))?;
        common.push(b.relu(&length, 1.0, 0.0)?);
    }
    let shared = b.mul(&common[0], &common[1])?;
    let area = b.mul(&sizes[0], &sizes[1])?;
    let (one, other) = (b.gather(&area, &first, shape.clone())?, b.gather(&area, &second, shape.clone())?);
    let both = b.add((1.0, &one), (1.0, &other))?;
    let union = b.add((1.0, &both), (-1.0, &shared))?;
    let bound = match threshold {
        Some(threshold) => {
            let threshold = b.gather(threshold, &vec![0; union.len()], shape)?;
            b.mul(&threshold, &union)?
        }
        None => Value::constant(vec![0.0; union.len()], shape, Element::Real),
    };
    let over = b.above(&shared, &bound)?;
    // Where a pair lies in the list.
    let at = |i: usize, j: usize| i * (2 * n - i - 1) / 2 + j - i - 1;
    (0..batches)
        .map(|batch| {
            let source = |cell: usize| match (cell / n, cell % n) {
                (i, j) if i == j => FloatSource::Constant(1.0),
                (i, j) => FloatSource::Element(0, (batch * pairs.len() + at(i.min(j), i.max(j))) as u32),
            };
            let cells = (0..n * n).map(source).collect();
            let bits = b.assemble(std::slice::from_ref(&over), cells, vec![n, n])?;
            Ok(bits.with_element(Element::Integer))
        })
        .collect()
}
