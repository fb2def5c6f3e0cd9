//! Functions of reals against their definitions, over ranges where one table is too coarse.

use crate::onnx;

use crate::support::{gives, refusal};
use onnx::{Attribute, Attribute::*, Onnx};

/// So many numbers from one to another, quadratically denser at the beginning.
fn between(lo: f64, hi: f64) -> Vec<f64> {
    (0..40).map(|i| lo + (hi - lo) * (f64::from(i) / 39.0).powi(2)).collect()
}

fn one(op: &str, attributes: &[Attribute<'_>]) -> Onnx {
    Onnx::new().input("x", &[40]).node(op, &["x"], "y", attributes).output("y")
}

fn follows(op: &str, attributes: &[Attribute<'_>], x: &[f64], f: impl Fn(f64) -> f64, tolerance: f64) {
    let expected: Vec<f64> = x.iter().map(|x| f(*x)).collect();
    gives((format!("{op} from {} to {}", x[0], x[39]), &one(op, attributes)), &[x], &[&expected], tolerance);
}

#[test]
fn functions_hold_near_poles_and_over_wide_ranges() {
    follows("Tan", &[], &between(-1.5, 1.4), f64::tan, 0.1);
    follows("Tan", &[], &between(-20.0, -17.5), f64::tan, 0.05);
    follows("Asin", &[], &between(-1.0, 1.0), f64::asin, 0.01);
    follows("Acos", &[], &between(1.0, -0.9), f64::acos, 0.01);
    follows("Atan", &[], &between(-0.01, 200.0), f64::atan, 6e-3);
    follows("Asinh", &[], &between(0.0, -300.0), f64::asinh, 0.015);
    follows("Acosh", &[], &between(1.0, 500.0), f64::acosh, 0.03);
    follows("Atanh", &[], &between(-0.99, 0.98), f64::atanh, 0.01);
    follows("Sinh", &[], &between(-5.0, 5.0), f64::sinh, 0.05);
    follows("Cosh", &[], &between(-5.0, 5.0), f64::cosh, 0.05);
    follows("Log", &[], &between(0.1, 100.0), f64::ln, 0.03);
    follows("Sqrt", &[], &between(0.0, 100.0), f64::sqrt, 0.05);
    follows("Exp", &[], &between(2.0, -90.0), f64::exp, 0.015);
    follows("Sin", &[], &between(-30.0, 30.0), f64::sin, 3e-3);
    follows("Tanh", &[], &between(-5000.0, 5000.0), f64::tanh, 1e-3);
    follows("Reciprocal", &[], &between(-0.5, -100.0), f64::recip, 0.01);
}

#[test]
fn activations_follow_their_definitions() {
    let x = between(-4.0, 4.0);
    let softplus = |x: f64| x.exp().ln_1p();
    let elu = |x: f64, alpha: f64| if x > 0.0 { x } else { alpha * x.exp_m1() };
    follows("Mish", &[], &x, |x| x * softplus(x).tanh(), 2e-3);
    follows("Swish", &[Float("alpha", 0.5)], &x, |x| x / (1.0 + (-0.5 * x).exp()), 2e-3);
    follows("Celu", &[Float("alpha", 2.0)], &x, |x| 2.0 * elu(x / 2.0, 1.0), 2e-3);
    follows("Selu", &[], &x, |x| 1.050_701_022_148_132_3 * elu(x, 1.673_263_192_176_818_8), 4e-3);
    follows("ThresholdedRelu", &[Float("alpha", 1.5)], &x, |x| if x > 1.5 { x } else { 0.0 }, 1e-3);
    let shrunk = |x: f64| if x.abs() > 1.5 { x - 0.5 * x.signum() } else { 0.0 };
    follows("Shrink", &[Float("lambd", 1.5), Float("bias", 0.5)], &x, shrunk, 1e-3);
    let mut signs = x.clone();
    signs[7] = 0.0;
    follows("Sign", &[], &signs, |x| if x == 0.0 { 0.0 } else { x.signum() }, 0.0);
    follows("IsNaN", &[], &x, |_| 0.0, 0.0);
}

#[test]
fn powers_take_whole_broken_and_computed_exponents() {
    let base = [0.5f64, 2.0, 3.0, 1.5, -2.0, 4.0];
    let exponents = [-2.0f32, 5.0, 0.3, -0.5, 3.0, 0.0];
    let expected: Vec<f64> = base.iter().zip(exponents).map(|(b, e)| b.powf(f64::from(e))).collect();
    let known = Onnx::new().input("x", &[6]).weight("e", &[6], &exponents);
    gives(("known", &known.node("Pow", &["x", "e"], "y", &[]).output("y")), &[&base], &[&expected], 0.02);
    let live = || Onnx::new().input("x", &[3]).input("e", &[3]).node("Pow", &["x", "e"], "y", &[]).output("y");
    let (x, e): ([f64; 3], [f64; 3]) = ([0.0, 2.5, 40.0], [1.5, 2.0, -0.5]);
    let expected: Vec<f64> = x.iter().zip(e).map(|(x, e)| x.powf(e)).collect();
    gives(("computed", &live()), &[&x, &e], &[&expected], 0.02);
    let whole = Onnx::new()
        .typed_input("x", &[2], tract_onnx::pb::tensor_proto::DataType::Int32)
        .ints("e", &[5, 3])
        .node("Pow", &["x", "e"], "y", &[])
        .output("y");
    gives(("of integers", &whole), &[&[-6.0, 21.0]], &[&[-7776.0, 9261.0]], 0.0);
    let broken = Onnx::new()
        .typed_input("x", &[2], tract_onnx::pb::tensor_proto::DataType::Int32)
        .weight("e", &[], &[0.5])
        .node("Pow", &["x", "e"], "y", &[])
        .output("y");
    assert_eq!(refusal(&broken).code(), "unsupported_form");
}

#[test]
fn quotients_take_divisors_of_either_sign() {
    let div = || Onnx::new().input("a", &[4]).input("b", &[4]).node("Div", &["a", "b"], "y", &[]).output("y");
    let inputs: &[&[f64]] = &[&[1.0, -100.0, 0.0, 3.0], &[-0.25, 50.0, -7.0, 0.5]];
    gives(("Div", &div()), inputs, &[&[-4.0, -2.0, 0.0, 6.0]], 2e-3);
    let shared = Onnx::new().input("a", &[8]).input("b", &[1]).node("Div", &["a", "b"], "y", &[]).output("y");
    let a: Vec<f64> = (0..8).map(f64::from).collect();
    let expected: Vec<f64> = a.iter().map(|a| a / -3.0).collect();
    gives(("a shared divisor", &shared), &[&a, &[-3.0]], &[&expected], 2e-3);
}

#[test]
fn clips_take_computed_bounds() {
    let clip = Onnx::new().input("x", &[3]).input("lo", &[]).input("hi", &[]);
    let clip = clip.node("Clip", &["x", "lo", "hi"], "y", &[]).output("y");
    gives(("in order", &clip), &[&[-2.0, 0.5, 6.0], &[-1.0], &[1.0]], &[&[-1.0, 0.5, 1.0]], 1e-3);
    gives(("crossed", &clip), &[&[-2.0, 0.5, 6.0], &[2.0], &[1.0]], &[&[1.0, 1.0, 1.0]], 1e-3);
    let list = Onnx::new().input("x", &[3]).input("lo", &[2]).node("Clip", &["x", "lo"], "y", &[]).output("y");
    assert_eq!(refusal(&list).code(), "malformed_node");
}
