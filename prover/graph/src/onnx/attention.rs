//! Attention of queries over keys and values.

use super::{Lowering, Node, activation::softmax_rows, elementwise::pair, matmul::product, tensor::is_bool};
use crate::{
    GraphError,
    calibrate::MASKED,
    float::{Builder, Element, FloatSource, Function, Value, indices},
    int::Condition,
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Attention" => attention,
        _ => return None,
    })
}

/// A tensor as `[batch, heads, length, size]`, split by the attribute where it has three axes.
pub(super) fn heads(b: &mut Builder, node: &Node<'_>, x: &Value, attribute: &str) -> Result<Value, GraphError> {
    match x.shape[..] {
        [_, _, _, _] => Ok(x.clone()),
        [batch, length, hidden] => {
            let count = node.int(attribute).and_then(|n| usize::try_from(n).ok());
            let count = count.filter(|n| *n > 0 && hidden.is_multiple_of(*n)).ok_or_else(|| {
                node.malformed(format!("{attribute} is {:?} for {hidden} features", node.int(attribute)))
            })?;
            b.transpose(&x.reshaped(vec![batch, length, count, hidden / count]), &[0, 2, 1, 3])
        }
        _ => Err(node.malformed(format!("an input of shape {:?}, neither of 3 nor of 4 axes", x.shape))),
    }
}

/// `[batch, heads, length, size]` as `[batch, length, heads * size]`.
pub(super) fn unheaded(b: &mut Builder, x: &Value) -> Result<Value, GraphError> {
    let out = b.transpose(x, &[0, 2, 1, 3])?;
    let (batch, length, hidden) = (out.shape[0], out.shape[1], out.shape[2] * out.shape[3]);
    Ok(out.reshaped(vec![batch, length, hidden]))
}

/// What was cached before and what comes now, one after the other.
fn with_past(b: &mut Builder, node: &Node<'_>, past: Option<&Value>, now: Value) -> Result<Value, GraphError> {
    let Some(past) = past else { return Ok(now) };
    let agrees = past.shape.len() == 4 && [0, 1, 3].iter().all(|a| past.shape[*a] == now.shape[*a]);
    if !agrees {
        return Err(node.malformed(format!("a cache of shape {:?} before {:?}", past.shape, now.shape)));
    }
    let mut shape = now.shape.clone();
    shape[2] += past.shape[2];
    let runs = [past.shape[2] * past.shape[3], now.shape[2] * now.shape[3]];
    let mut sources = Vec::with_capacity(past.len() + now.len());
    for row in 0..shape[0] * shape[1] {
        for (part, run) in runs.iter().enumerate() {
            sources.extend((row * run..(row + 1) * run).map(|i| FloatSource::Element(part as u32, i as u32)));
        }
    }
    b.assemble(&[past.clone(), now], sources, shape)
}

/// Sizes of an attention: scores are `[batch, heads, queries, keys]`.
struct Sizes {
    batch: usize,
    heads: usize,
    queries: usize,
    keys: usize,
    /// Keys that were cached before the first query.
    past: usize,
}

impl Sizes {
    fn scores(&self) -> Vec<usize> {
        vec![self.batch, self.heads, self.queries, self.keys]
    }
}

/// `softmax(Q K' scale + mask) V` by heads, where several heads of queries may share one of keys and values. A query
/// that the mask leaves no key gets zeros. The precision asked of the softmax is ignored: every softmax is exact to
/// the 16 bits that values have. A mask of numbers that is an input may hold minus infinity where calibration shows it; a query
/// to which such a mask leaves no key at all gets equal shares, for the mask's values are not known here.
fn attention(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let given = |i: usize| inputs.get(i).and_then(Option::as_ref);
    let query = node.required(inputs, 0)?;
    let scale = node.float("scale");
    let q = heads(b, node, query, "q_num_heads")?;
    let k = heads(b, node, node.required(inputs, 1)?, "kv_num_heads")?;
    let v = heads(b, node, node.required(inputs, 2)?, "kv_num_heads")?;
    let past = given(4).map_or(0, |p| p.shape.get(2).copied().unwrap_or(0));
    let (k, v) = (with_past(b, node, given(4), k)?, with_past(b, node, given(5), v)?);
    let (shared, size) = (k.shape[1], q.shape[3]);
    let sizes = Sizes { batch: q.shape[0], heads: q.shape[1], queries: q.shape[2], keys: k.shape[2], past };
    let agree = k.shape[0] == sizes.batch
        && k.shape[3] == size
        && k.shape[..3] == v.shape[..3]
        && shared > 0
        && sizes.heads.is_multiple_of(shared);
    if !agree || sizes.keys == 0 || size == 0 {
        let shapes = format!("queries {:?}, keys {:?} and values {:?}", q.shape, k.shape, v.shape);
        return Err(node.malformed(format!("{shapes} do not go together")));
    }
    // Heads that share keys are neighbours, and their queries one matrix.
    let rows = sizes.heads / shared * sizes.queries;
    let q = b.affine(&q, vec![scale.unwrap_or(1.0 / (size as f64).sqrt())], vec![0.0])?;
    let q = q.reshaped(vec![sizes.batch, shared, rows, size]);
    let turned = b.transpose(&k, &[0, 1, 3, 2])?;
    let scores = product(b, node, &q, &turned)?.reshaped(sizes.scores());
    let capped = match node.float("softcap").filter(|c| *c > 0.0) {
        Some(cap) => {
            let share = b.affine(&scores, vec![1.0 / cap], vec![0.0])?;
            let bent = b.function(&share, Function::Tanh)?;
            b.affine(&bent, vec![cap], vec![0.0])?
        }
        None => scores.clone(),
    };
    let mask = mask(b, node, inputs, &sizes)?;
    let masked = mask.apply(b, &capped)?;
    let flat = masked.reshaped(vec![sizes.batch * sizes.heads * sizes.queries, sizes.keys]);
    let shares = softmax_rows(b, &flat)?.reshaped(sizes.scores());
    let shares = mask.drop_empty(b, shares)?;
    let grouped = shares.reshaped(vec![sizes.batch, shared, rows, sizes.keys]);
    let out = product(b, node, &grouped, &v)?;
    let out = out.reshaped(vec![sizes.batch, sizes.heads, sizes.queries, v.shape[3]]);
    let out = if query.shape.len() == 3 { unheaded(b, &out)? } else { out };
    let shown = match node.int("qk_matmul_output_mode").unwrap_or(0) {
        0 => scores,
        1 => capped,
        2 => masked,
        3 => shares,
        other => return Err(node.malformed(format!("qk_matmul_output_mode {other}"))),
    };
    Ok(vec![out, k, v, shown])
}

/// Which keys each query attends to; shapes broadcast to that of the scores.
struct Mask {
    /// Bits of what is attended to.
    allowed: Option<Value>,
    /// Added to the scores.
    bias: Option<Value>,
}

/// The mask that an attention's inputs and attributes make together.
fn mask(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>], sizes: &Sizes) -> Result<Mask, GraphError> {
    let mut mask = Mask { allowed: None, bias: None };
    let lengths = inputs.get(6).and_then(Option::as_ref);
    if let Some(lengths) = lengths
        && lengths.len() != sizes.batch
    {
        return Err(node.malformed(format!("{} lengths for a batch of {}", lengths.len(), sizes.batch)));
    }
    if let Some(bits) = positions(b, node, lengths, sizes)? {
        mask.allow(b, node, &bits)?;
    }
    if let Some(lengths) = lengths {
        let spread: Vec<usize> = (0..sizes.batch * sizes.keys).map(|i| i / sizes.keys).collect();
        let left = b.gather(lengths, &spread, vec![sizes.batch, 1, 1, sizes.keys])?;
        let offset = (0..left.len()).map(|i| -1.0 - (i % sizes.keys) as f64).collect();
        let left = b.affine(&left, vec![1.0], offset)?;
        let bits = b.indicator(&left, Condition::NonNegative)?;
        mask.allow(b, node, &bits)?;
    }
    if let Some(given) = inputs.get(3).and_then(Option::as_ref) {
        mask.given(b, node, given, sizes)?;
    }
    let shapes = [&mask.allowed, &mask.bias];
    let fits = |v: &Value| indices::broadcast_shape(&v.shape, &sizes.scores()) == Some(sizes.scores());
    if let Some(wrong) = shapes.into_iter().flatten().find(|v| !fits(v)) {
        return Err(node.malformed(format!("a mask of shape {:?} for scores {:?}", wrong.shape, sizes.scores())));
    }
    Ok(mask)
}

/// What the order of keys and queries allows: bits `[batch or 1, 1, queries, keys]`. Query `i` stands at `offset + i`,
/// and the bits depend on how far that is from key `j` alone: they are computed once a diagonal.
fn positions(
    b: &mut Builder,
    node: &Node<'_>,
    lengths: Option<&Value>,
    sizes: &Sizes,
) -> Result<Option<Value>, GraphError> {
    let causal = node.flag("is_causal", false)?;
    let window = |name: &str| node.int(name).filter(|w| *w >= 0).map(|w| w as f64);
    let (left, right) = (window("left_window_size"), window("right_window_size"));
    if !causal && left.is_none() && right.is_none() {
        return Ok(None);
    }
    let diagonals = sizes.queries + sizes.keys - 1;
    let offset = match lengths.filter(|_| sizes.past == 0) {
        Some(lengths) => b.affine(lengths, vec![1.0], vec![-(sizes.queries as f64)])?,
        None => Value::constant(vec![sizes.past as f64], vec![1], Element::Integer),
    };
    let batch = offset.len();
    let spread: Vec<usize> = (0..batch * diagonals).map(|i| i / diagonals).collect();
    let offset = b.gather(&offset, &spread, vec![batch, diagonals])?;
    let ahead = (0..offset.len()).map(|i| (i % diagonals) as f64 - (sizes.keys - 1) as f64).collect();
    let ahead = b.affine(&offset, vec![1.0], ahead)?;
    let limits = [causal.then_some((1.0, 0.0)), left.map(|w| (-1.0, w)), right.map(|w| (1.0, w))];
    let mut bits: Option<Value> = None;
    for (sign, offset) in limits.into_iter().flatten() {
        let within = b.affine(&ahead, vec![sign], vec![offset])?;
        let within = b.indicator(&within, Condition::NonNegative)?;
        bits = Some(match bits {
            Some(bits) => b.and(&bits, &within)?,
            None => within,
        });
    }
    let Some(bits) = bits else { return Ok(None) };
    let (queries, keys) = (sizes.queries, sizes.keys);
    let at: Vec<usize> = (0..batch)
        .flat_map(|n| (0..queries).flat_map(move |i| (0..keys).map(move |j| n * diagonals + i + keys - 1 - j)))
        .collect();
    Ok(Some(b.gather(&bits, &at, vec![batch, 1, queries, keys])?))
}

impl Mask {
    /// Narrows what is attended to.
    fn allow(&mut self, b: &mut Builder, node: &Node<'_>, bits: &Value) -> Result<(), GraphError> {
        self.allowed = Some(match &self.allowed {
            Some(before) => {
                let (x, y) = pair(b, node, before, bits)?;
                b.and(&x, &y)?
            }
            None => bits.clone(),
        });
        Ok(())
    }

    /// Takes in a mask that the model has: booleans of what is attended to, or numbers to add. Keys that it does not
    /// reach are not attended to.
    fn given(&mut self, b: &mut Builder, node: &Node<'_>, given: &Value, sizes: &Sizes) -> Result<(), GraphError> {
        let reach = given.shape.last().copied().unwrap_or(0);
        if reach == 0 || reach > sizes.keys {
            return Err(node.malformed(format!("a mask of shape {:?} for {} keys", given.shape, sizes.keys)));
        }
        let mut shape = given.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = sizes.keys;
        }
        b.check_size(&shape)?;
        let len = indices::count(&shape).unwrap_or(0);
        let source = |i: usize| match (i / sizes.keys, i % sizes.keys) {
            (row, at) if at < reach => FloatSource::Element(0, (row * reach + at) as u32),
            _ => FloatSource::Constant(0.0),
        };
        let padded = b.assemble(std::slice::from_ref(given), (0..len).map(source).collect(), shape)?;
        if is_bool(given.data_type) {
            return self.allow(b, node, &padded.bit());
        }
        let reached = (0..sizes.keys).map(|at| f64::from(u8::from(at < reach))).collect();
        if reach < sizes.keys {
            self.allow(b, node, &Value::constant(reached, vec![sizes.keys], Element::Integer).bit())?;
        }
        let Some(known) = padded.known() else {
            self.bias = Some(padded);
            return Ok(());
        };
        let bits: Vec<f64> = known.iter().map(|v| f64::from(u8::from(*v > MASKED))).collect();
        let finite = known.iter().map(|v| if *v > MASKED { *v } else { 0.0 }).collect();
        if bits.contains(&0.0) {
            self.allow(b, node, &Value::constant(bits, padded.shape.clone(), Element::Integer).bit())?;
        }
        self.bias = Some(Value::constant(finite, padded.shape.clone(), Element::Real));
        Ok(())
    }

    /// Scores with the mask.
    fn apply(&self, b: &mut Builder, scores: &Value) -> Result<Value, GraphError> {
        let mut out = scores.clone();
        if let Some(bias) = &self.bias {
            let bias = b.expand(bias, &scores.shape)?;
            out = b.add((1.0, &out), (1.0, &bias))?;
        }
        if let Some(allowed) = &self.allowed {
            let allowed = b.expand(allowed, &scores.shape)?;
            let least = vec![f64::from(f32::MIN); scores.len()];
            out = b.select(&allowed, &out, &Value::constant(least, scores.shape.clone(), Element::Real))?;
        }
        Ok(out)
    }

    /// Shares with zeros where a query has no key.
    fn drop_empty(&self, b: &mut Builder, shares: Value) -> Result<Value, GraphError> {
        let Some(allowed) = &self.allowed else { return Ok(shares) };
        let mut shape = allowed.shape.clone();
        let keys = shape.pop().unwrap_or(1);
        shape.push(1);
        let count = b.sum(allowed, keys, 1.0, shape)?;
        let some = b.affine(&count, vec![1.0], vec![-1.0])?;
        let some = b.indicator(&some, Condition::NonNegative)?;
        let some = b.expand(&some, &shares.shape)?;
        b.mul(&shares, &some)
    }
}
