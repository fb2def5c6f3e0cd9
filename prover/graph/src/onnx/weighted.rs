//! Sums of few elements with known weights.

use crate::{
    GraphError,
    float::{Builder, Element, FloatSource, Value},
};

/// What is summed up: elements with their weights.
pub(super) type Weighted = Vec<(usize, f64)>;

/// Adds an element to a sum, or its weight to the element's.
pub(super) fn put(sum: &mut Weighted, at: usize, weight: f64) {
    match sum.iter_mut().find(|(other, _)| *other == at) {
        Some((_, total)) => *total += weight,
        None => sum.push((at, weight)),
    }
}

/// One sum for each element of the output. Elements that are one element with weight 1, or none, cost nothing.
pub(super) fn weighted(b: &mut Builder, x: &Value, sums: &[Weighted], shape: Vec<usize>) -> Result<Value, GraphError> {
    let group = sums.iter().map(Vec::len).max().unwrap_or(0).max(1);
    b.check_size(&[sums.len(), group])?;
    let mut sources = Vec::with_capacity(sums.len() * group);
    let mut weights = Vec::with_capacity(sums.len() * group);
    for sum in sums {
        let end = sources.len() + group;
        sources.extend(sum.iter().map(|(at, _)| FloatSource::Element(0, *at as u32)));
        weights.extend(sum.iter().map(|(_, weight)| *weight));
        sources.resize(end, FloatSource::Constant(0.0));
        weights.resize(end, 0.0);
    }
    let one = |i: usize| weights[i] == 1.0 || matches!(sources[i], FloatSource::Constant(_));
    let parts = std::slice::from_ref(x);
    if group == 1 && (0..weights.len()).all(one) {
        return b.assemble(parts, sources, shape);
    }
    let full = sums.iter().all(|sum| sum.len() == group);
    let rows = b.assemble(parts, sources, vec![sums.len(), group])?.with_element(Element::Real);
    match weights.first() {
        Some(weight) if full && weights.iter().all(|w| w == weight) => b.sum(&rows, group, *weight, shape),
        _ => {
            let products = b.affine(&rows, weights, vec![0.0])?;
            b.sum(&products, group, 1.0, shape)
        }
    }
}
