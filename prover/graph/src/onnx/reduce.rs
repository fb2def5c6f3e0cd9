//! Reductions over axes.

use tract_onnx::pb::tensor_proto::DataType;

use super::{Lowering, Node, along};
use crate::{
    GraphError,
    float::{Builder, Element, Function, Value, indices},
    int::Condition,
};

pub(super) fn find(operator: &str) -> Option<Lowering> {
    Some(match operator {
        "ReduceSum" => |b, n, i| reduce(b, n, i, Kind::Sum),
        "ReduceMean" => |b, n, i| reduce(b, n, i, Kind::Mean),
        "ReduceMax" => |b, n, i| reduce(b, n, i, Kind::Max),
        "ReduceMin" => |b, n, i| reduce(b, n, i, Kind::Min),
        "ReduceSumSquare" => |b, n, i| reduce(b, n, i, Kind::SumSquare),
        "ReduceProd" => |b, n, i| reduce(b, n, i, Kind::Product),
        "ReduceL1" => |b, n, i| reduce(b, n, i, Kind::L1),
        "ReduceL2" => |b, n, i| reduce(b, n, i, Kind::L2),
        "ReduceLogSum" => |b, n, i| reduce(b, n, i, Kind::LogSum),
        "ReduceLogSumExp" => |b, n, i| reduce(b, n, i, Kind::LogSumExp),
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
    Product,
    L1,
    L2,
    LogSum,
    LogSumExp,
}

/// Without axes over all of them, or where the operator says so over none: each element then is reduced alone.
fn reduce(b: &mut Builder, node: &Node<'_>, inputs: &[Option<Value>], kind: Kind) -> Result<Vec<Value>, GraphError> {
    let x = node.required(inputs, 0)?;
    let rank = x.shape.len();
    let axes = match node.ints_or_input(inputs, "axes", 1)?.filter(|a| !a.is_empty()) {
        Some(axes) => node.axes(&axes, rank)?,
        None if node.flag("noop_with_empty_axes", false)? => Vec::new(),
        None => (0..rank).collect(),
    };
    let keep = node.flag("keepdims", true)?;
    let mut perm: Vec<usize> = (0..rank).filter(|a| !axes.contains(a)).collect();
    let shape: Vec<usize> = if keep {
        (0..rank).map(|a| if axes.contains(&a) { 1 } else { x.shape[a] }).collect()
    } else {
        perm.iter().map(|a| x.shape[*a]).collect()
    };
    let n: usize = axes.iter().map(|a| x.shape[*a]).product();
    b.check_size(&shape)?;
    if n == 0 || x.len() == 0 {
        let data = vec![kind.of_nothing(x.data_type, x.element); indices::count(&shape).unwrap_or(0)];
        return Ok(vec![Value::constant(data, shape, x.element).with_data_type(x.data_type)]);
    }
    perm.extend(&axes);
    let moved = b.transpose(x, &perm)?;
    let out = kind.apply(b, &moved, n, shape)?;
    Ok(vec![if out.element == x.element { out.with_data_type(x.data_type) } else { out }])
}

impl Kind {
    /// The result over `n` neighbours.
    fn apply(self, b: &mut Builder, x: &Value, n: usize, shape: Vec<usize>) -> Result<Value, GraphError> {
        match self {
            Self::Sum => b.sum(x, n, 1.0, shape),
            Self::Mean if x.element == Element::Integer => {
                let total = b.sum(x, n, 1.0, shape)?;
                truncated_share(b, &total, n)
            }
            Self::Mean => b.sum(x, n, 1.0 / n as f64, shape),
            Self::Max => b.max(x, n, shape),
            Self::Min => {
                let negative = b.affine(x, vec![-1.0], vec![0.0])?;
                let most = b.max(&negative, n, shape)?;
                b.affine(&most, vec![-1.0], vec![0.0])
            }
            Self::SumSquare => {
                let square = b.mul_self(x)?;
                b.sum(&square, n, 1.0, shape)
            }
            Self::Product => b.product(x, n, shape),
            Self::L1 => {
                let magnitude = b.absolute(x)?;
                b.sum(&magnitude, n, 1.0, shape)
            }
            Self::L2 => {
                let square = b.mul_self(x)?;
                let total = b.sum(&square, n, 1.0, shape)?;
                let root = b.strict_root(&total)?;
                if x.element == Element::Real { Ok(root) } else { b.floor(&root) }
            }
            Self::LogSum => {
                let total = b.sum(x, n, 1.0, shape)?;
                let log = b.function(&total, Function::Log)?;
                whole(b, &log, x.element)
            }
            Self::LogSumExp => {
                let (_, log, most) = along::log_sum_exp(b, x, n)?;
                let out = b.add((1.0, &log), (1.0, &most))?.reshaped(shape);
                whole(b, &out, x.element)
            }
        }
    }

    /// The result over no elements: where it is infinite, or no number, there is no model of it.
    fn of_nothing(self, data_type: i32, element: Element) -> f64 {
        match self {
            Self::Sum | Self::SumSquare | Self::L1 | Self::L2 => 0.0,
            Self::Product => 1.0,
            Self::Mean => f64::NAN,
            Self::Max if element == Element::Integer => limits(data_type).0,
            Self::Min if element == Element::Integer => limits(data_type).1,
            Self::Min => f64::INFINITY,
            Self::Max | Self::LogSum | Self::LogSumExp => f64::NEG_INFINITY,
        }
    }
}

/// Least and greatest value of an integer type.
fn limits(data_type: i32) -> (f64, f64) {
    let signed = |bits: i32| (-f64::from(bits - 1).exp2(), f64::from(bits - 1).exp2() - 1.0);
    let unsigned = |bits: i32| (0.0, f64::from(bits).exp2() - 1.0);
    match DataType::try_from(data_type) {
        Ok(DataType::Bool) => unsigned(1),
        Ok(DataType::Uint8) => unsigned(8),
        Ok(DataType::Uint16) => unsigned(16),
        Ok(DataType::Uint32) => unsigned(32),
        Ok(DataType::Uint64) => unsigned(64),
        Ok(DataType::Int8) => signed(8),
        Ok(DataType::Int16) => signed(16),
        Ok(DataType::Int32) => signed(32),
        _ => signed(64),
    }
}

/// The `n`-th part of an integer, towards zero: a quotient, of 16 bits at most.
fn truncated_share(b: &mut Builder, total: &Value, n: usize) -> Result<Value, GraphError> {
    let magnitude = b.absolute(total)?;
    let parts = Value::constant(vec![n as f64; total.len()], total.shape.clone(), Element::Integer);
    let share = b.floor_ratio(&magnitude, &parts)?;
    let negative = b.affine(&share, vec![-1.0], vec![0.0])?;
    let front = b.indicator(total, Condition::NonNegative)?;
    b.select(&front, &share, &negative)
}

/// A real result as the kind of number that the operator takes.
fn whole(b: &mut Builder, x: &Value, element: Element) -> Result<Value, GraphError> {
    if element == Element::Integer { b.truncate(x) } else { Ok(x.clone()) }
}
