//! Reductions over axes.

use super::{Lowering, Node};
use crate::{
    GraphError,
    float::{Builder, Element, Value},
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "ReduceSum" => |b, n, i| reduce(b, n, i, Kind::Sum),
        "ReduceMean" => |b, n, i| reduce(b, n, i, Kind::Mean),
        "ReduceMax" => |b, n, i| reduce(b, n, i, Kind::Max),
        "ReduceMin" => |b, n, i| reduce(b, n, i, Kind::Min),
        "ReduceSumSquare" => |b, n, i| reduce(b, n, i, Kind::SumSquare),
        _ => return None,
    })
}

#[derive(Clone, Copy)]
enum Kind {
    Sum,
    Mean,
    Max,
    Min,
    SumSquare,
}

fn reduce(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>], kind: Kind) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let rank = x.shape.len();
    let axes = match node.ints_or_input(inputs, "axes", 1)?.filter(|a| !a.is_empty()) {
        Some(axes) => node.axes(&axes, rank)?,
        None if node.int("noop_with_empty_axes").unwrap_or(0) != 0 => return Ok(vec![x.clone()]),
        None => (0..rank).collect(),
    };
    let keep = node.int("keepdims").unwrap_or(1) != 0;
    let mut perm: Vec<usize> = (0..rank).filter(|a| !axes.contains(a)).collect();
    let shape: Vec<usize> = if keep {
        (0..rank).map(|a| if axes.contains(&a) { 1 } else { x.shape[a] }).collect()
    } else {
        perm.iter().map(|a| x.shape[*a]).collect()
    };
    let n: usize = axes.iter().map(|a| x.shape[*a]).product();
    if n == 0 {
        return Err(node.malformed("its axes have no elements"));
    }
    perm.extend(&axes);
    let moved = b.transpose(x, &perm)?;
    Ok(vec![match kind {
        Kind::Sum => b.sum(&moved, n, 1.0, shape)?,
        Kind::Mean => b.sum(&moved.with_element(Element::Real), n, 1.0 / n as f64, shape)?,
        Kind::Max => b.max(&moved, n, shape)?,
        Kind::Min => {
            let negative = b.affine(&moved, vec![-1.0], vec![0.0])?;
            let most = b.max(&negative, n, shape)?;
            b.affine(&most, vec![-1.0], vec![0.0])?
        }
        Kind::SumSquare => {
            let square = b.mul_self(&moved)?;
            b.sum(&square, n, 1.0, shape)?
        }
    }])
}
