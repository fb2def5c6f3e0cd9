//! Rotary position embedding.

use super::{Lowering, Node, matmul::product};
use crate::{
    GraphError,
    float::{Builder, FloatSource, Value},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "RotaryEmbedding" => rotary,
        _ => return None,
    })
}

/// Pairs of features turned by an angle that depends on the position: `y = cos x + sin r` where `r` has each pair as
/// `(-x2, x1)`.
fn rotary(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let given = node.required(inputs, 0)?;
    // As `[batch, time, heads, size]`.
    let x = match given.shape[..] {
        [_, _, _, _] => b.transpose(given, &[0, 2, 1, 3])?,
        [batch, time, hidden] => {
            let heads = node.int("num_heads").and_then(|n| usize::try_from(n).ok());
            let heads = heads.filter(|n| *n > 0 && hidden.is_multiple_of(*n));
            let heads = heads.ok_or_else(|| node.malformed(format!("no num_heads for {hidden} features")))?;
            given.reshaped(vec![batch, time, heads, hidden / heads])
        }
        _ => return Err(node.malformed(format!("an input of shape {:?}", given.shape))),
    };
    let size = x.shape[3];
    let turned = match node.int("rotary_embedding_dim").unwrap_or(0) {
        0 => size,
        d => usize::try_from(d).unwrap_or(usize::MAX),
    };
    if turned > size || !turned.is_multiple_of(2) {
        return Err(node.malformed(format!("rotary_embedding_dim {turned} for heads of {size}")));
    }
    let (half, interleaved) = (turned / 2, node.flag("interleaved", false)?);
    let angles = angles(b, node, inputs, &x, half)?;
    // Place of each rotated feature: which pair, and which of the two.
    let place = |f: usize| if interleaved { (f / 2, f % 2) } else { (f % half.max(1), f / half.max(1)) };
    let feature = |pair: usize, side: usize| if interleaved { 2 * pair + side } else { side * half + pair };
    let rows = x.len() / size.max(1);
    let positions = x.shape[0] * x.shape[1];
    let shape = vec![rows, turned];
    let each = |f: &dyn Fn(usize, usize) -> usize| -> Vec<usize> {
        (0..rows).flat_map(|row| (0..turned).map(move |at| (row, at))).map(|(row, at)| f(row, at)).collect()
    };
    let heads = rows / positions.max(1);
    let straight = b.gather(&x, &each(&|row, at| row * size + at), shape.clone())?;
    let swapped = each(&|row, at| {
        let (pair, side) = place(at);
        row * size + feature(pair, 1 - side)
    });
    let swapped = b.gather(&x, &swapped, shape.clone())?;
    let cos = each(&|row, at| row / heads.max(1) * 3 * half + place(at).0);
    let cos = b.gather(&angles, &cos, shape.clone())?;
    let sin = each(&|row, at| {
        let (pair, side) = place(at);
        row / heads.max(1) * 3 * half + (2 - side) * half + pair
    });
    let sin = b.gather(&angles, &sin, shape)?;
    let (along, across) = (b.mul(&straight, &cos)?, b.mul(&swapped, &sin)?);
    let rotated = b.add((1.0, &along), (1.0, &across))?;
    let source = |i: usize| match (i / size, i % size) {
        (row, at) if at < turned => FloatSource::Element(0, (row * turned + at) as u32),
        _ => FloatSource::Element(1, i as u32),
    };
    let sources = (0..x.len()).map(source).collect();
    let out = b.assemble(&[rotated, x.clone()], sources, x.shape.clone())?;
    Ok(vec![if given.shape.len() == 4 { b.transpose(&out, &[0, 2, 1, 3])? } else { out.reshaped(given.shape.clone()) }])
}

/// Cosines, sines and negated sines of each position, `[batch * time, 3 * half]`. A position that is computed chooses
/// its row of the caches by comparison with each of them; one outside them gets zeros.
fn angles(
    b: &mut Builder,
    node: &Node<'_>,
    inputs: &[Option<Value>],
    x: &Value,
    half: usize,
) -> Result<Value, GraphError> {
    let (cos, sin) = (node.required(inputs, 1)?, node.required(inputs, 2)?);
    let (batch, time) = (x.shape[0], x.shape[1]);
    let width = cos.shape.last().copied().unwrap_or(0);
    let wrong = || node.malformed(format!("caches of shapes {:?} and {:?}", cos.shape, sin.shape));
    if cos.shape != sin.shape || width < half {
        return Err(wrong());
    }
    let entries = cos.len() / width.max(1);
    let minus = b.affine(sin, vec![-1.0], vec![0.0])?;
    let parts = [cos.clone(), sin.clone(), minus];
    let row = |row: usize| {
        (0..3).flat_map(move |part| (0..half).map(move |at| FloatSource::Element(part, (row * width + at) as u32)))
    };
    let shape = vec![batch * time, 3 * half];
    let Some(ids) = inputs.get(3).and_then(Option::as_ref) else {
        if cos.shape[..] != [batch, time, width] {
            return Err(wrong());
        }
        return b.assemble(&parts, (0..entries).flat_map(row).collect(), shape);
    };
    if cos.shape.len() != 2 || ids.len() != batch * time {
        return Err(node.malformed(format!("positions {:?} in caches {:?}", ids.shape, cos.shape)));
    }
    if let Some(ids) = ids.known() {
        let rows = ids.iter().map(|id| node.axis(*id as i64, entries)).collect::<Result<Vec<_>, _>>()?;
        return b.assemble(&parts, rows.into_iter().flat_map(row).collect(), shape);
    }
    let table = b.assemble(&parts, (0..entries).flat_map(row).collect(), vec![entries, 3 * half])?;
    let chosen = b.one_hot(&ids.reshaped(vec![ids.len()]), entries)?;
    product(b, node, &chosen, &table)
}
