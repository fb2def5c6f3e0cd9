//! Counts of n-grams in rows of integers.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Lowering, Node,
    weighted::{Weighted, put, weighted},
};
use crate::{
    GraphError,
    float::{Builder, Cost, Element, FloatSource, Value},
    int::Condition,
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "TfIdfVectorizer" => vectorise,
        _ => return None,
    })
}

/// Bytes that an element of a list takes at least, with what is made of it.
const EACH: u64 = 64;

/// What the elements of the output say of how often their n-grams occur.
enum Mode {
    /// The count.
    Tf,
    /// The weight, where there is one at all.
    Idf,
    /// The count times the weight.
    TfIdf,
}

/// The n-grams of a node by size, each with the element of the output that counts it.
struct Pool {
    grams: BTreeMap<usize, BTreeMap<Vec<i64>, usize>>,
    /// Elements of the output.
    size: usize,
}

impl Pool {
    /// Reads the n-grams of the sizes that are looked for; of one that occurs twice the later counts.
    fn read(node: &Node<'_>, (least, most): (usize, usize)) -> Result<Self, GraphError> {
        let tokens = node.ints("pool_int64s").unwrap_or_default();
        let list = |name: &str| node.ints(name).ok_or_else(|| node.malformed(format!("it has no {name}")));
        let (starts, places) = (list("ngram_counts")?, list("ngram_indexes")?);
        let places = places.iter().map(|p| usize::try_from(*p).ok()).collect::<Option<Vec<_>>>();
        let places = places.ok_or_else(|| node.malformed("its ngram_indexes has a negative number"))?;
        let size = places.iter().max().map_or(0, |most| most + 1);
        let mut pool = Self { grams: BTreeMap::new(), size };
        let mut next = 0;
        for (i, start) in starts.iter().enumerate() {
            let length = i + 1;
            let end = starts.get(length).copied().unwrap_or(tokens.len() as i64);
            let part = usize::try_from(*start).ok().zip(usize::try_from(end).ok());
            let part = part.and_then(|(start, end)| tokens.get(start..end));
            let part = part.ok_or_else(|| node.malformed(format!("its ngram_counts is {starts:?}")))?;
            for gram in part.chunks_exact(length) {
                let place = places.get(next).ok_or_else(|| node.malformed("its ngram_indexes is too short"))?;
                if (least..=most).contains(&length) {
                    pool.grams.entry(length).or_default().insert(gram.to_vec(), *place);
                }
                next += 1;
            }
        }
        Ok(pool)
    }
}

/// Distances between the elements of an n-gram: those of one element have no distance, and are counted once.
fn distances(n: usize, most: usize) -> std::ops::RangeInclusive<usize> {
    if n == 1 { 1..=1 } else { 1..=most }
}

/// How often each n-gram occurs, its elements as many positions apart as may be skipped, and one. Elements are compared
/// with every token once; an n-gram is the product of its bits.
fn vectorise(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    if node.texts("pool_strings").is_some_and(|pool| !pool.is_empty()) || x.element == Element::Real {
        return Err(node.unsupported("its n-grams are not of integers", "give pool_int64s, and codes in place of text"));
    }
    let number = |name: &str| node.int(name).and_then(|n| usize::try_from(n).ok());
    let need = |name: &str| number(name).ok_or_else(|| node.malformed(format!("its {name} is absent or negative")));
    let (least, most, skips) = (need("min_gram_length")?, need("max_gram_length")?, need("max_skip_count")?);
    let mode = match node.text("mode").as_deref() {
        Some("TF") => Mode::Tf,
        Some("IDF") => Mode::Idf,
        Some("TFIDF") => Mode::TfIdf,
        other => return Err(node.malformed(format!("its mode is {other:?}"))),
    };
    let pool = Pool::read(node, (least, most))?;
    let (rows, length, shape) = match x.shape[..] {
        [] => (1, 1, vec![pool.size]),
        [n] => (1, n, vec![pool.size]),
        [rows, n] => (rows, n, vec![rows, pool.size]),
        _ => return Err(node.malformed(format!("its input has shape {:?}, not rows of tokens", x.shape))),
    };
    b.check_size(&[rows, pool.size])?;
    // Elements of a row are less than its length apart.
    let furthest = skips.min(length) + 1;
    b.check_size(&[length, furthest])?;
    let counts = counts(b, &pool, &x.reshaped(vec![rows, length]), furthest)?;
    let weight = |i: usize| node.floats("weights").and_then(|w| w.get(i % pool.size)).map_or(1.0, |w| f64::from(*w));
    let weights: Vec<f64> = (0..counts.len()).map(weight).collect();
    let out = match mode {
        Mode::Tf => counts,
        Mode::Idf => {
            let some = b.truth(&counts)?.with_element(Element::Integer);
            b.affine(&some, weights, vec![0.0])?
        }
        Mode::TfIdf => b.affine(&counts, weights, vec![0.0])?,
    };
    let float = tract_onnx::pb::tensor_proto::DataType::Float as i32;
    Ok(vec![out.with_element(Element::Real).reshaped(shape).with_data_type(float)])
}

/// Occurrences, `[rows, size]`.
fn counts(b: &mut Builder, pool: &Pool, x: &Value, furthest: usize) -> Result<Value, GraphError> {
    let (rows, length) = (x.shape[0], x.shape[1]);
    let tokens: BTreeSet<i64> = pool.grams.values().flat_map(BTreeMap::keys).flatten().copied().collect();
    let tokens: Vec<i64> = tokens.into_iter().collect();
    let column = |token: &i64| tokens.binary_search(token).unwrap_or_default();
    b.check_size(&[x.len(), tokens.len()])?;
    // Whether each element is each token: `[rows * length, tokens]`.
    let spread: Vec<usize> = (0..x.len()).flat_map(|i| std::iter::repeat_n(i, tokens.len())).collect();
    let spread = b.gather(x, &spread, vec![x.len(), tokens.len()])?;
    let offset = (0..x.len()).flat_map(|_| tokens.iter().map(|t| -(*t as f64))).collect();
    let distance = b.affine(&spread, vec![1.0], offset)?;
    let bits = b.indicator(&distance, Condition::Zero)?;

    let mut parts = Vec::new();
    b.check(Cost { memory: EACH * (rows * pool.size) as u64, ..Cost::default() })?;
    let mut sums: Vec<Weighted> = vec![Weighted::new(); rows * pool.size];
    let mut placed = 0;
    for (n, grams) in &pool.grams {
        let starts: Vec<(usize, usize)> = distances(*n, furthest)
            .flat_map(|d| (0..length.saturating_sub(d.saturating_mul(n - 1))).map(move |start| (start, d)))
            .collect();
        if starts.is_empty() {
            continue;
        }
        let places = rows * grams.len();
        b.check_size(&[places, starts.len(), *n])?;
        b.check(Cost { memory: EACH * (places * starts.len() * n) as u64, ..Cost::default() })?;
        let mut all: Option<Value> = None;
        for item in 0..*n {
            let mut at = Vec::with_capacity(places * starts.len());
            for row in 0..rows {
                for gram in grams.keys() {
                    let token = column(&gram[item]);
                    at.extend(starts.iter().map(|(s, d)| (row * length + s + d * item) * tokens.len() + token));
                }
            }
            let next = b.gather(&bits, &at, vec![places, starts.len()])?;
            all = Some(match all {
                Some(before) => b.and(&before, &next)?,
                None => next,
            });
        }
        let Some(all) = all else { continue };
        parts.push(b.sum(&all.with_element(Element::Integer), starts.len(), 1.0, vec![places])?);
        for row in 0..rows {
            for (i, place) in grams.values().enumerate() {
                put(&mut sums[row * pool.size + place], placed + row * grams.len() + i, 1.0);
            }
        }
        placed += places;
    }
    let sources = parts.iter().enumerate().flat_map(|(p, part)| {
        let element = move |i: usize| FloatSource::Element(p as u32, i as u32);
        (0..part.len()).map(element)
    });
    let sources = sources.collect();
    let joined = b.assemble(&parts, sources, vec![placed])?;
    weighted(b, &joined, &sums, vec![rows, pool.size])
}
