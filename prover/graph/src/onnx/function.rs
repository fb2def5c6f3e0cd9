//! Trigonometric and hyperbolic functions, and activations that are smooth.
//!
//! A table has 256 segments over the whole range of its argument. Near poles, at ends where a function is as steep as
//! a root, and over wide ranges that is too coarse: identities bring such arguments to where it suffices.

use std::f64::consts::{FRAC_1_PI, FRAC_PI_2, PI};

use super::{Lowering, Node, elementwise::one};
use crate::{
    GraphError,
    float::{Builder, Function, Quotient, Value},
};

/// Slope of the saturating side of `Selu` where a node gives none.
const SELU_ALPHA: f64 = 1.673_263_192_176_818_8;

/// Factor of `Selu` where a node gives none.
const SELU_GAMMA: f64 = 1.050_701_022_148_132_3;

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Sinh" => |b, n, i| table(b, n, i, Function::Sinh),
        "Cosh" => |b, n, i| table(b, n, i, Function::Cosh),
        "Tan" => |b, n, i| one(b, n, i, tan),
        "Asin" => |b, n, i| one(b, n, i, |b, x| asin(b, x, (2.0, 0.0))),
        "Acos" => |b, n, i| one(b, n, i, |b, x| asin(b, x, (-2.0, FRAC_PI_2))),
        "Atan" => |b, n, i| one(b, n, i, |b, x| odd(b, x, Function::AtanSquare)),
        "Asinh" => |b, n, i| one(b, n, i, |b, x| odd(b, x, Function::AsinhSquare)),
        "Acosh" => |b, n, i| one(b, n, i, acosh),
        "Atanh" => |b, n, i| one(b, n, i, atanh),
        "Mish" => |b, n, i| table(b, n, i, Function::Mish),
        "Swish" => |b, n, i| table(b, n, i, Function::Swish { alpha: n.float("alpha").unwrap_or(1.0) }),
        "Celu" => celu,
        "Selu" => selu,
        _ => return None,
    })
}

fn table(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>], f: Function) -> Result<Vec<Value>, GraphError> {
    Ok(vec![b.function(node.required(inputs, 0)?, f)?])
}

fn celu(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let alpha = node.float("alpha").unwrap_or(1.0);
    if alpha == 0.0 {
        return Err(node.malformed("its alpha is zero"));
    }
    table(b, node, inputs, Function::Celu { alpha })
}

fn selu(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let elu = Function::Elu { alpha: node.float("alpha").unwrap_or(SELU_ALPHA) };
    let curve = b.function(node.required(inputs, 0)?, elu)?;
    Ok(vec![b.affine(&curve, vec![node.float("gamma").unwrap_or(SELU_GAMMA)], vec![0.0])?])
}

/// `sin(r) / cos(r)` with `r` the argument less the nearest multiple of pi. At a pole it has no proof.
fn tan(b: &mut Builder, x: &Value) -> Result<Value, GraphError> {
    let turns = b.affine(x, vec![FRAC_1_PI], vec![0.5])?;
    let turns = b.floor(&turns)?;
    let rest = b.add((1.0, x), (-PI, &turns))?;
    let (sin, cos) = (b.function(&rest, Function::Sin)?, b.function(&rest, Function::Cos)?);
    b.div(&sin, &cos, Quotient::Real)
}

/// `sqrt(1 - x^2)`.
fn other_leg(b: &mut Builder, x: &Value) -> Result<Value, GraphError> {
    let square = b.mul_self(x)?;
    let rest = b.relu(&square, -1.0, 1.0)?;
    b.strict_root(&rest)
}

/// `offset + scale * asin(x) / 2` through `asin(x) = 2 atan(x / (1 + sqrt(1 - x^2)))`, whose table ends at 1. An
/// argument beyond 1 has no meaning.
fn asin(b: &mut Builder, x: &Value, (scale, offset): (f64, f64)) -> Result<Value, GraphError> {
    let leg = other_leg(b, x)?;
    let sum = b.affine(&leg, vec![1.0], vec![1.0])?;
    let tangent = b.div(x, &sum, Quotient::Real)?;
    let half = b.function(&tangent, Function::Atan)?;
    b.affine(&half, vec![scale], vec![offset])
}

/// An odd function of which the table has `f(x^2)`: the root spreads small arguments over it.
fn odd(b: &mut Builder, x: &Value, f: Function) -> Result<Value, GraphError> {
    let sign = b.plus_minus(x)?;
    let size = b.mul(x, &sign)?;
    let root = b.strict_root(&size)?;
    let curve = b.function(&root, f)?;
    b.mul(&curve, &sign)
}

/// `2 asinh(sqrt((x - 1) / 2))`, which is smooth where the argument is 1.
fn acosh(b: &mut Builder, x: &Value) -> Result<Value, GraphError> {
    let half = b.affine(x, vec![0.5], vec![-0.5])?;
    let root = b.root(&half)?;
    let curve = b.function(&root, Function::Asinh)?;
    b.affine(&curve, vec![2.0], vec![0.0])
}

/// `asinh(x / sqrt(1 - x^2))`. At 1 and beyond it has no proof.
fn atanh(b: &mut Builder, x: &Value) -> Result<Value, GraphError> {
    let leg = other_leg(b, x)?;
    let tangent = b.div(x, &leg, Quotient::Real)?;
    b.function(&tangent, Function::Asinh)
}
