//! Operators over integers: exact on the circuit's integers.

use crate::numbers;
#[allow(dead_code)]
use crate::onnx;

use numbers::{computed, gives, refused};
use onnx::{Attribute, Attribute::*, Onnx};
use tract_onnx::pb::{TensorProto, tensor_proto::DataType};

/// One node over inputs of one type and length.
fn over(op: &str, attributes: &[Attribute<'_>], data: DataType, inputs: &[&[f64]]) -> Onnx {
    let names = ["a", "b", "c"];
    let model = inputs
        .iter()
        .zip(names)
        .fold(Onnx::new(), |model, (values, name)| model.typed_input(name, &[values.len() as i64], data));
    model.node(op, &names[..inputs.len()], "y", attributes).output("y")
}

fn exact(op: &str, attributes: &[Attribute<'_>], data: DataType, inputs: &[&[f64]], expected: &[f64]) {
    let case = format!("{op} {attributes:?} of {}", data.as_str_name());
    gives(&case, &over(op, attributes, data, inputs), inputs, expected, 0.0);
}

/// A constant of any integer type.
fn constant(mut model: Onnx, name: &str, data: DataType, values: &[i32]) -> Onnx {
    model.graph.initializer.push(TensorProto {
        name: name.to_owned(),
        dims: vec![values.len() as i64],
        data_type: data as i32,
        int32_data: values.to_vec(),
        ..TensorProto::default()
    });
    model
}

#[test]
fn division_goes_towards_zero_and_remainders_follow_a_sign() {
    let (a, b): (Vec<f64>, Vec<f64>) =
        [-7, -6, 0, 6, 7].iter().flat_map(|a| [-3, -2, 2, 3].map(|b| (f64::from(*a), f64::from(b)))).unzip();
    let each = |f: fn(f64, f64) -> f64| a.iter().zip(&b).map(|(a, b)| f(*a, *b)).collect::<Vec<f64>>();
    let inputs: &[&[f64]] = &[&a, &b];
    exact("Div", &[], DataType::Int32, inputs, &each(|a, b| (a / b).trunc()));
    exact("Mod", &[], DataType::Int8, inputs, &each(|a, b| a - b * (a / b).floor()));
    exact("Mod", &[Int("fmod", 1)], DataType::Int64, inputs, &each(|a, b| a % b));
    exact("Mod", &[Int("fmod", 1)], DataType::Float, &[&[4.0, -4.5, 5.0], &[2.0, 2.0, -3.0]], &[0.0, -0.5, 2.0]);
    exact("Div", &[], DataType::Uint32, &[&[23.0, 7.0, 9.0], &[24.0, 7.0, 2.0]], &[0.0, 1.0, 4.0]);
    for (op, expected) in [("Div", [-2.0, 2.0, 0.0]), ("Mod", [-1.0, -2.0, 0.0])] {
        let model = Onnx::new().typed_input("a", &[3], DataType::Int64).ints("b", &[-3]);
        let model = model.node(op, &["a", "b"], "y", &[]).output("y");
        gives(&format!("{op} by a constant"), &model, &[&[8.0, -8.0, 0.0]], &expected, 0.0);
    }
}

#[test]
fn a_division_by_a_known_zero_is_refused() {
    for op in ["Div", "Mod"] {
        let model = Onnx::new().typed_input("a", &[2], DataType::Int64).ints("b", &[3, 0]);
        assert_eq!(refused(&model.node(op, &["a", "b"], "y", &[]).output("y")), "malformed_node");
    }
}

#[test]
fn bits_are_those_of_the_type() {
    let (a, b) = ([-128i8, -1, 0, 37, 127, -77], [-128i8, 15, 99, -2, -127, 60]);
    let reals = |list: &[i8]| list.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let each = |f: fn(i8, i8) -> i8| a.iter().zip(&b).map(|(a, b)| f64::from(f(*a, *b))).collect::<Vec<_>>();
    let (x, y) = (reals(&a), reals(&b));
    exact("BitwiseAnd", &[], DataType::Int8, &[&x, &y], &each(|a, b| a & b));
    exact("BitwiseOr", &[], DataType::Int8, &[&x, &y], &each(|a, b| a | b));
    exact("BitwiseXor", &[], DataType::Int8, &[&x, &y], &each(|a, b| a ^ b));
    exact("BitwiseNot", &[], DataType::Int8, &[&x], &each(|a, _| !a));
    exact("BitwiseNot", &[], DataType::Uint16, &[&[0.0, 65535.0]], &[65535.0, 0.0]);
    let (p, q) = ([i32::MIN, -65536, i32::MAX, 0x1234_5678], [-1, 0x0fff_0001, -65535, 0x7fff_fff0]);
    let (x, y) = (p.map(f64::from), q.map(f64::from));
    let expected: Vec<f64> = p.iter().zip(q).map(|(p, q)| f64::from(p ^ q)).collect();
    exact("BitwiseXor", &[], DataType::Int32, &[&x, &y], &expected);
    let masked = constant(Onnx::new().typed_input("a", &[3], DataType::Uint8), "m", DataType::Uint8, &[0xf0]);
    let masked = masked.node("BitwiseAnd", &["a", "m"], "y", &[]).output("y");
    gives("a mask", &masked, &[&[255.0, 17.0, 15.0]], &[240.0, 16.0, 0.0], 0.0);
    exact("BitCast", &[Int("to", 2)], DataType::Int8, &[&[-1.0, -128.0, 127.0]], &[255.0, 128.0, 127.0]);
    exact("BitCast", &[Int("to", 5)], DataType::Uint16, &[&[1.0, 32768.0, 65535.0]], &[1.0, -32768.0, -1.0]);
    let floats = Onnx::new().input("x", &[1]).node("BitCast", &["x"], "y", &[Int("to", 6)]).output("y");
    assert_eq!(refused(&floats), "needs_constant");
}

#[test]
fn shifts_wrap_and_keep_the_sign() {
    let (left, right) = ([Text("direction", "LEFT")], [Text("direction", "RIGHT")]);
    let (a, by) = ([1073741825, -3, 77777, -8, 1, -1], [1, 30, 16, 15, 31, 33]);
    let shifted = |f: fn(i32, u32) -> i32| -> Vec<f64> { a.iter().zip(by).map(|(a, s)| f64::from(f(*a, s))).collect() };
    let expected_left = shifted(|a, s| a.checked_shl(s).unwrap_or(0));
    let expected_right = shifted(|a, s| a >> s.min(31));
    let (x, y) = (a.map(f64::from), by.map(f64::from));
    exact("BitShift", &left, DataType::Int32, &[&x, &y], &expected_left);
    exact("BitShift", &right, DataType::Int32, &[&x, &y], &expected_right);
    let known = by.map(|s| s as i32);
    for (direction, expected) in [(left, expected_left), (right, expected_right)] {
        let model = constant(Onnx::new().typed_input("a", &[6], DataType::Int32), "by", DataType::Int32, &known);
        let model = model.node("BitShift", &["a", "by"], "y", &direction).output("y");
        gives("by known amounts", &model, &[&x], &expected, 0.0);
    }
    exact("BitShift", &left, DataType::Int8, &[&[64.0, 1.0, -64.0], &[1.0, 7.0, 2.0]], &[-128.0, -128.0, 0.0]);
    exact("BitShift", &right, DataType::Uint16, &[&[65535.0, 40000.0], &[15.0, 1.0]], &[1.0, 20000.0]);
}

#[test]
fn integers_beyond_16_bits_are_compared_exactly() {
    let (a, b) = ([100_000.0, -5.0, 3_000_000.0], [100_001.0, -6.0, -3_000_000.0]);
    exact("Max", &[], DataType::Int32, &[&a, &b], &[100_001.0, -5.0, 3_000_000.0]);
    exact("Min", &[], DataType::Uint32, &[&[65535.0, 9.0], &[65534.0, 70_000.0]], &[65534.0, 9.0]);
    exact("Abs", &[], DataType::Int64, &[&[-4_000_000.0, 3.0, 0.0]], &[4_000_000.0, 3.0, 0.0]);
    exact("Sign", &[], DataType::Int32, &[&[-70_000.0, 0.0, 5.0]], &[-1.0, 0.0, 1.0]);
    let clip = Onnx::new().typed_input("x", &[3], DataType::Int32).typed_input("lo", &[], DataType::Int32);
    let clip = clip.node("Clip", &["x", "lo"], "y", &[]).output("y");
    gives("Clip", &clip, &[&[-9.0, 80_000.0, 7.0], &[8.0]], &[8.0, 80_000.0, 8.0], 0.0);
}

fn quantised(zero: &[i32], axis: i64) -> Onnx {
    let model = constant(Onnx::new().input("x", &[2, 4]), "z", DataType::Int8, zero);
    let model = model.weight("s", &[zero.len() as i64], &[0.5, 2.0][..zero.len()]);
    model.node("QuantizeLinear", &["x", "s", "z"], "y", &[Int("axis", axis)]).output("y")
}

#[test]
fn quantisation_rounds_half_to_even_and_saturates() {
    let x = [0.25, 0.75, -0.25, -100.0, 1.0, 3.0, 5.0, 300.0];
    gives("one scale", &quantised(&[1], 1), &[&x], &[1.0, 3.0, 1.0, -128.0, 3.0, 7.0, 11.0, 127.0], 0.0);
    gives("rows", &quantised(&[1, -3], -2), &[&x], &[1.0, 3.0, 1.0, -128.0, -3.0, -1.0, -1.0, 127.0], 0.0);
    let zero_scale = Onnx::new().input("x", &[3]).weight("s", &[], &[0.0]);
    assert_eq!(refused(&zero_scale.node("QuantizeLinear", &["x", "s"], "y", &[]).output("y")), "malformed_node");
    let blocked = Onnx::new()
        .typed_input("x", &[1, 3], DataType::Uint8)
        .weight("s", &[1, 2], &[0.5, 3.0])
        .node("DequantizeLinear", &["x", "s"], "y", &[Int("axis", -1), Int("block_size", 2)])
        .output("y");
    gives("blocks", &blocked, &[&[4.0, 255.0, 2.0]], &[2.0, 127.5, 6.0], 0.01);
    let model = Onnx::new().input("x", &[4]).node("DynamicQuantizeLinear", &["x"], "y,s,z", &[]);
    let got = computed("dynamic", &model.output("y").output("s").output("z"), &[&[0.0, 1.0, -4.0, 6.2]]);
    assert_eq!((got[0].as_slice(), got[2].as_slice()), ([100.0, 125.0, 0.0, 255.0].as_slice(), [100.0].as_slice()));
    assert!((got[1][0] - 10.2 / 255.0).abs() < 1e-4);
}

#[test]
fn products_of_quantised_integers_are_exact() {
    let a = [11.0, 7.0, 255.0, 0.0, 128.0, 1.0];
    let known = constant(Onnx::new().typed_input("a", &[2, 3], DataType::Uint8), "z", DataType::Uint8, &[13]);
    let mut known = constant(known, "w", DataType::Int8, &[1, 2, 3]);
    known.graph.initializer[1].dims = vec![3, 1];
    let known = known.node("MatMulInteger", &["a", "w", "z"], "y", &[]).output("y");
    let expected = [-2.0 - 2.0 * 6.0 + 3.0 * 242.0, -13.0 + 2.0 * 115.0 - 3.0 * 12.0];
    gives("a known matrix", &known, &[&a], &expected, 0.0);
    let live = Onnx::new()
        .typed_input("a", &[2, 3], DataType::Uint8)
        .typed_input("w", &[3, 1], DataType::Int8)
        .typed_input("z", &[], DataType::Uint8)
        .node("MatMulInteger", &["a", "w", "z"], "y", &[])
        .output("y");
    gives("a computed matrix", &live, &[&a, &[1.0, 2.0, 3.0], &[13.0]], &expected, 0.0);
    let conv = Onnx::new()
        .typed_input("x", &[1, 1, 2, 2], DataType::Uint8)
        .typed_input("w", &[1, 1, 2, 2], DataType::Uint8)
        .typed_input("z", &[], DataType::Uint8)
        .node("ConvInteger", &["x", "w", "z"], "y", &[Ints("pads", &[1, 1, 0, 0])])
        .output("y");
    // The padding is the zero point.
    let inputs: &[&[f64]] = &[&[11.0, 12.0, 13.0, 14.0], &[1.0, 2.0, 3.0, 4.0], &[10.0]];
    gives("a convolution", &conv, inputs, &[4.0, 11.0, 14.0, 30.0], 0.0);
}
