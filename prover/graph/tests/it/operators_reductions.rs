//! Reductions, and running sums and products.

use crate::onnx;

use crate::support::{fixing, gives, refuses};
use onnx::{Attribute, Attribute::*, Onnx};
use tract_onnx::pb::tensor_proto::DataType;

fn one(op: &str, shape: &[i64], attributes: &[Attribute<'_>]) -> Onnx {
    Onnx::new().input("x", shape).node(op, &["x"], "y", attributes).output("y")
}

const X: &[f64] = &[1.0, -2.0, 0.5, 4.0, 3.0, -1.0];

#[test]
fn reductions_follow_their_definitions() {
    let last = [Ints("axes", &[-1])];
    let cases: &[(&str, [f64; 2])] = &[
        ("ReduceL1", [3.5, 8.0]),
        ("ReduceL2", [5.25f64.sqrt(), 26f64.sqrt()]),
        ("ReduceProd", [-1.0, -12.0]),
        ("ReduceLogSumExp", [1.551_443_776_823_6, 4.318_164_902_225_6]),
        ("ReduceMean", [-0.5 / 3.0, 2.0]),
    ];
    for (op, expected) in cases {
        let exact: Vec<f64> = match *op {
            "ReduceLogSumExp" => X.chunks(3).map(|r| r.iter().map(|v| v.exp()).sum::<f64>().ln()).collect(),
            _ => expected.to_vec(),
        };
        gives(&one(op, &[2, 3], &last), &[X], &[&exact], 5e-3);
    }
    let positive = &[1.0, 2.0, 0.5, 4.0, 3.0, 1.0][..];
    gives(&one("ReduceLogSum", &[2, 3], &last), &[positive], &[&[3.5f64.ln(), 8f64.ln()]], 5e-3);
}

#[test]
fn reductions_take_integers_axes_and_nothing() {
    let ints = |op: &str| {
        Onnx::new()
            .typed_input("x", &[2, 2], DataType::Int32)
            .typed_input("axes", &[1], DataType::Int64)
            .node(op, &["x", "axes"], "y", &[Int("keepdims", 0)])
            .opset(18)
            .output("y")
    };
    for (op, expected) in [
        ("ReduceL2", [5.0, 7.0]),
        ("ReduceMean", [0.0, -3.0]),
        ("ReduceProd", [-12.0, 0.0]),
        ("ReduceL1", [7.0, 7.0]),
        ("ReduceMin", [-4.0, -7.0]),
    ] {
        gives(fixing(&ints(op), &[("axes", &[1.0])]), &[&[3.0, -4.0, -7.0, 0.0]], &[&expected], 0.0);
    }
    refuses(&ints("ReduceSum"), "axes");
    // Without axes an element is its own group, and what is not a reduction happens all the same.
    let alone = one("ReduceL1", &[2, 3], &[Int("noop_with_empty_axes", 1)]).opset(18);
    gives(&alone, &[X], &[&[1.0, 2.0, 0.5, 4.0, 3.0, 1.0]], 1e-3);
    let empty = Onnx::new()
        .weight("none", &[2, 0], &[])
        .input("x", &[2])
        .node("ReduceProd", &["none"], "p", &[Ints("axes", &[1]), Int("keepdims", 0)])
        .node("Add", &["x", "p"], "y", &[])
        .output("y");
    gives(&empty, &[&[1.0, 2.0]], &[&[2.0, 3.0]], 1e-3);
}

#[test]
fn running_sums_and_products_go_both_ways() {
    let model = |op: &str, attributes: &[Attribute<'_>]| {
        Onnx::new().input("x", &[2, 5]).ints("axis", &[-1]).node(op, &["x", "axis"], "y", attributes).output("y")
    };
    let x: &[f64] = &[1.0, 2.0, 3.0, -1.0, 0.5, 2.0, 0.0, 1.0, 1.0, 1.0];
    let (exclusive, reverse) = (Int("exclusive", 1), Int("reverse", 1));
    let sums = [1.0, 3.0, 6.0, 5.0, 5.5, 2.0, 2.0, 3.0, 4.0, 5.0];
    gives(&model("CumSum", &[]), &[x], &[&sums], 2e-3);
    let before = [0.0, 1.0, 3.0, 6.0, 5.0, 0.0, 2.0, 2.0, 3.0, 4.0];
    gives(&model("CumSum", &[exclusive]), &[x], &[&before], 2e-3);
    let after = [4.5, 2.5, -0.5, 0.5, 0.0, 3.0, 3.0, 2.0, 1.0, 0.0];
    gives(&model("CumSum", &[exclusive, reverse]), &[x], &[&after], 2e-3);
    let products = [-3.0, -3.0, -1.5, -0.5, 0.5, 0.0, 0.0, 1.0, 1.0, 1.0];
    gives(&model("CumProd", &[reverse]), &[x], &[&products], 2e-3);
}

#[test]
fn shares_and_norms_stay_finite() {
    // Sixty equal elements: the logarithm of the sum of the exponentials is far from 1.
    let flat: Vec<f64> = (0..60).map(|i| if i == 7 { 6.0 } else { 0.0 }).collect();
    let total = (59.0 + 6f64.exp()).ln();
    let expected: Vec<f64> = flat.iter().map(|x| x - total).collect();
    gives(&one("LogSoftmax", &[3, 20], &[Int("axis", 0)]).opset(11), &[&flat], &[&expected], 1e-2);
    let x: &[f64] = &[3.0, 4.0, 0.0, 0.0];
    let norm = |p: i64| one("LpNormalization", &[2, 2], &[Int("p", p)]);
    gives(&norm(2), &[x], &[&[0.6, 0.8, 0.0, 0.0]], 1e-3);
    gives(&norm(1), &[&[-1.0, 3.0, 0.0, 0.0]], &[&[-0.25, 0.75, 0.0, 0.0]], 1e-3);
    refuses(&norm(3), "its p is 3");
}

#[test]
fn a_logarithm_of_a_sum_of_exponentials_fits_whatever_its_terms_are() {
    let model = Onnx::new().input("x", &[3, 2]).node("Exp", &["x"], "e", &[]).ints("axes", &[0]);
    let model = model.node("ReduceSum", &["e", "axes"], "s", &[Int("keepdims", 0)]).opset(18);
    let model = model.node("Log", &["s"], "y", &[]).output("y");
    let x = [55.0, 1.0, 60.0, 2.0, 20.0, -40.0];
    let expected = [60.0 + (-5f64).exp().ln_1p(), 2.0 + (-1f64).exp().ln_1p()];
    gives(&model, &[&x], &[&expected], 2e-2);
}
