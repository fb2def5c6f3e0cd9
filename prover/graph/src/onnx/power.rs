//! Powers, roots and logarithms.

use super::{Lowering, Node, along, division::inverse, elementwise::pair};
use crate::{
    GraphError,
    float::{Builder, Element, Function, Value},
};

/// Largest whole exponent that is reached by products.
const MOST: f64 = 64.0;

/// Arguments of the exponential below which a power counts as this far below 1.
const LEAST: f64 = -16.0;

/// Least fourth root of the base of such a power: the logarithm of zero would leave no precision to others.
const SMALLEST_ROOT: f64 = 1.0 / 64.0;

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "Pow" => pow,
        "Sqrt" => |b, n, i| Ok(vec![b.root(n.required(i, 0)?)?]),
        "Log" => |b, n, i| Ok(vec![logarithm(b, n.required(i, 0)?)?]),
        _ => return None,
    })
}

/// Of a sum of exponentials the greatest goes ahead of the logarithm: the sum itself has no scale that fits 16 bits
/// where its terms lie far apart.
fn logarithm(b: &mut Builder, x: &Value) -> Result<Value, GraphError> {
    let Some(terms) = b.exponents(x)? else { return b.logarithm(x) };
    let (_, log, most) = along::log_sum_exp(b, &terms, terms.shape[1])?;
    Ok(b.add((1.0, &log), (1.0, &most))?.reshaped(x.shape.clone()).with_data_type(x.data_type))
}

/// How a power with a known exponent is computed.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// By products.
    Whole(i32),
    /// By products and a square root; twice the exponent.
    Half(i32),
    /// By the exponential of a product.
    Real,
}

impl Form {
    fn of(exponent: f64) -> Self {
        if exponent.abs() > MOST {
            return Self::Real;
        }
        match (exponent.fract() == 0.0, (2.0 * exponent).fract() == 0.0) {
            (true, _) => Self::Whole(exponent as i32),
            (_, true) => Self::Half((2.0 * exponent) as i32),
            _ => Self::Real,
        }
    }
}

/// `x^y`. Exponents that are whole, or halves, take products and an exact root. Others take `exp(y ln x)`, for
/// `0 <= x`: bases below about 1e-7, and results below that, count as it; a negative base has no proof. Powers of integers are exact
/// while they fit.
fn pow(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>]) -> Result<Vec<Value>, GraphError> {
    let (x, y) = (node.required(inputs, 0)?, node.required(inputs, 1)?);
    let integers = x.element == Element::Integer;
    if y.known().is_none() && (integers || y.element == Element::Integer) {
        return Err(node.not_known(y, "exponent"));
    }
    let (x, y) = pair(b, node, x, y)?;
    let Some(exponents) = y.known() else {
        return Ok(vec![exponential(b, &x, &y)?]);
    };
    let forms: Vec<Form> = exponents.iter().map(|e| Form::of(*e)).collect();
    let whole = |form: &Form| matches!(form, Form::Whole(0..));
    if integers && !forms.iter().all(whole) {
        return Err(node.unsupported("a negative or broken exponent rounds an integer", "cast its base to float"));
    }
    let out = b.by_class(&x, &forms, &mut |b, x, form, members| match form {
        Form::Whole(e) => whole_power(b, x, e),
        Form::Half(e) => half_power(b, x, e),
        Form::Real => {
            let e = b.gather(&y, members, x.shape.clone())?;
            exponential(b, x, &e)
        }
    })?;
    Ok(vec![out.with_data_type(x.data_type)])
}

/// A whole power by squaring.
fn whole_power(b: &mut Builder, x: &Value, exponent: i32) -> Result<Value, GraphError> {
    let mut left = exponent.unsigned_abs();
    let mut square = x.clone();
    let mut out: Option<Value> = None;
    while left > 0 {
        if left % 2 == 1 {
            out = Some(match out {
                None => square.clone(),
                Some(out) => b.mul(&out, &square)?,
            });
        }
        left /= 2;
        if left > 0 {
            square = b.mul_self(&square)?;
        }
    }
    match out {
        None => Ok(Value::constant(vec![1.0; x.len()], x.shape.clone(), x.element)),
        Some(out) if exponent < 0 => inverse(b, &out),
        Some(out) => Ok(out),
    }
}

/// An odd number of halves: a whole power times the root.
fn half_power(b: &mut Builder, x: &Value, twice: i32) -> Result<Value, GraphError> {
    let mut out = b.root(x)?;
    let whole = twice.unsigned_abs() / 2;
    if whole > 0 {
        let power = whole_power(b, x, whole as i32)?;
        out = b.mul(&power, &out)?;
    }
    if twice < 0 { inverse(b, &out) } else { Ok(out) }
}

/// `exp(y ln x)` for `0 <= x`.
fn exponential(b: &mut Builder, x: &Value, y: &Value) -> Result<Value, GraphError> {
    let root = b.strict_root(x)?;
    let root = b.strict_root(&root)?;
    let above = b.relu(&root, 1.0, -SMALLEST_ROOT)?;
    let root = b.affine(&above, vec![1.0], vec![SMALLEST_ROOT])?;
    let log = b.function(&root, Function::Log)?;
    let log = b.affine(&log, vec![4.0], vec![0.0])?;
    let product = b.mul(&log, y)?;
    let above = b.relu(&product, 1.0, -LEAST)?;
    let argument = b.affine(&above, vec![1.0], vec![LEAST])?;
    b.function(&argument, Function::Exp)
}
