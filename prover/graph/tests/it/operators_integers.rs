//! Operators over integers: exact on the circuit's integers.

use crate::onnx;

use crate::support::{Case, gives, outputs, refusal, refusal_to_quantise};
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
    gives((&case, &over(op, attributes, data, inputs)), inputs, &[expected], 0.0);
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
        gives((format!("{op} by a constant"), &model), &[&[8.0, -8.0, 0.0]], &[&expected], 0.0);
    }
    for (divisor, expected) in [(4, [3.0, 1.0, 0.0]), (-4, [-1.0, -3.0, 0.0])] {
        let model = Onnx::new().typed_input("a", &[3], DataType::Int64).ints("b", &[divisor]);
        let model = model.node("Mod", &["a", "b"], "y", &[]).output("y");
        gives((format!("remainder by {divisor}"), &model), &[&[7.0, -7.0, 8.0]], &[&expected], 0.0);
    }
}

#[test]
fn a_division_by_a_known_zero_is_refused() {
    for op in ["Div", "Mod"] {
        let model = Onnx::new().typed_input("a", &[2], DataType::Int64).ints("b", &[3, 0]);
        assert_eq!(refusal(&model.node(op, &["a", "b"], "y", &[]).output("y")).code(), "malformed_node");
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
    gives(("a mask", &masked), &[&[255.0, 17.0, 15.0]], &[&[240.0, 16.0, 0.0]], 0.0);
    exact("BitCast", &[Int("to", 2)], DataType::Int8, &[&[-1.0, -128.0, 127.0]], &[255.0, 128.0, 127.0]);
    exact("BitCast", &[Int("to", 5)], DataType::Uint16, &[&[1.0, 32768.0, 65535.0]], &[1.0, -32768.0, -1.0]);
    let floats = Onnx::new().input("x", &[1]).node("BitCast", &["x"], "y", &[Int("to", 6)]).output("y");
    assert_eq!(refusal(&floats).code(), "needs_constant");
}

#[test]
fn shifts_wrap_and_keep_the_sign() {
    let (left, right) = ([Text("direction", "LEFT")], [Text("direction", "RIGHT")]);
    let (a, by) = ([1073741825, -3, 77777, -8, 1, -1], [1, 30, 16, 15, 31, 33]);
    let shifted = |f: fn(i32, u32) -> i32| -> Vec<f64> { a.iter().zip(by).map(|(a, s)| f64::from(f(*a, s))).collect() };
    let expected_left = shifted(|a, s| a.checked_shl(s).unwrap_or(0));
    let expected_right = shifted(|a, s| a >> s.min(31));
    let (x, y) = (a.map(f64::from), by.map(f64::from));
    // Tract shifts by the amount modulo 32.
    let wrapping = over("BitShift", &left, DataType::Int32, &[&x, &y]);
    gives(Case::from(&wrapping).unlike_tract(), &[&x, &y], &[&expected_left], 0.0);
    exact("BitShift", &right, DataType::Int32, &[&x, &y], &expected_right);
    let known = by.map(|s| s as i32);
    for (direction, expected, wraps) in [(left, expected_left, true), (right, expected_right, false)] {
        let model = constant(Onnx::new().typed_input("a", &[6], DataType::Int32), "by", DataType::Int32, &known);
        let model = model.node("BitShift", &["a", "by"], "y", &direction).output("y");
        let case = Case::from(("by known amounts", &model));
        gives(if wraps { case.unlike_tract() } else { case }, &[&x], &[&expected], 0.0);
    }
    exact("BitShift", &right, DataType::Int32, &[&[f64::from(i32::MIN), -1.0], &[1.0, 1.0]], &[-1_073_741_824.0, -1.0]);
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
    gives(("Clip", &clip), &[&[-9.0, 80_000.0, 7.0], &[8.0]], &[&[8.0, 80_000.0, 8.0]], 0.0);
}

fn quantised(zero: &[i32], axis: i64) -> Onnx {
    let model = constant(Onnx::new().input("x", &[2, 4]), "z", DataType::Int8, zero);
    let model = model.weight("s", &[zero.len() as i64], &[0.5, 2.0][..zero.len()]);
    model.node("QuantizeLinear", &["x", "s", "z"], "y", &[Int("axis", axis)]).output("y")
}

#[test]
fn quantisation_rounds_half_to_even_and_saturates() {
    let x = [0.25, 0.75, -0.25, -100.0, 1.0, 3.0, 5.0, 300.0];
    gives(("one scale", &quantised(&[1], 1)), &[&x], &[&[1.0, 3.0, 1.0, -128.0, 3.0, 7.0, 11.0, 127.0]], 0.0);
    gives(("rows", &quantised(&[1, -3], -2)), &[&x], &[&[1.0, 3.0, 1.0, -128.0, -3.0, -1.0, -1.0, 127.0]], 0.0);
    let zero_scale = Onnx::new().input("x", &[3]).weight("s", &[], &[0.0]);
    assert_eq!(refusal(&zero_scale.node("QuantizeLinear", &["x", "s"], "y", &[]).output("y")).code(), "malformed_node");
    let blocked = Onnx::new()
        .typed_input("x", &[1, 3], DataType::Uint8)
        .weight("s", &[1, 2], &[0.5, 3.0])
        .node("DequantizeLinear", &["x", "s"], "y", &[Int("axis", -1), Int("block_size", 2)])
        .output("y");
    gives(("blocks", &blocked), &[&[4.0, 255.0, 2.0]], &[&[2.0, 127.5, 6.0]], 0.01);
    let model = Onnx::new().input("x", &[4]).node("DynamicQuantizeLinear", &["x"], "y,s,z", &[]);
    let expected: [&[f64]; 3] = [&[100.0, 125.0, 0.0, 255.0], &[10.2 / 255.0], &[100.0]];
    let got = outputs(("dynamic", &model.output("y").output("s").output("z")), &[vec![vec![0.0, 1.0, -4.0, 6.2]]]);
    [0.0, 1e-4, 0.0].iter().enumerate().for_each(|(i, error)| got.are(i, expected[i], *error));
}

#[test]
fn products_of_quantised_integers_are_exact() {
    let a = [11.0, 7.0, 255.0, 0.0, 128.0, 1.0];
    let known = constant(Onnx::new().typed_input("a", &[2, 3], DataType::Uint8), "z", DataType::Uint8, &[13]);
    let mut known = constant(known, "w", DataType::Int8, &[1, 2, 3]);
    known.graph.initializer[1].dims = vec![3, 1];
    let known = known.node("MatMulInteger", &["a", "w", "z"], "y", &[]).output("y");
    let expected = [-2.0 - 2.0 * 6.0 + 3.0 * 242.0, -13.0 + 2.0 * 115.0 - 3.0 * 12.0];
    gives(("a known matrix", &known), &[&a], &[&expected], 0.0);
    let live = Onnx::new()
        .typed_input("a", &[2, 3], DataType::Uint8)
        .typed_input("w", &[3, 1], DataType::Int8)
        .typed_input("z", &[], DataType::Uint8)
        .node("MatMulInteger", &["a", "w", "z"], "y", &[])
        .output("y");
    gives(("a computed matrix", &live), &[&a, &[1.0, 2.0, 3.0], &[13.0]], &[&expected], 0.0);
    let conv = Onnx::new()
        .typed_input("x", &[1, 1, 2, 2], DataType::Uint8)
        .typed_input("w", &[1, 1, 2, 2], DataType::Uint8)
        .typed_input("z", &[], DataType::Uint8)
        .node("ConvInteger", &["x", "w", "z"], "y", &[Ints("pads", &[1, 1, 0, 0])])
        .output("y");
    // The padding is the zero point.
    let inputs: &[&[f64]] = &[&[11.0, 12.0, 13.0, 14.0], &[1.0, 2.0, 3.0, 4.0], &[10.0]];
    gives(("a convolution", &conv), inputs, &[&[4.0, 11.0, 14.0, 30.0]], 0.0);
}

/// One node over two matrices of two rows, of which the second may be known.
fn matrices(op: &str, known: Option<[i32; 4]>) -> Onnx {
    let model = Onnx::new().typed_input("a", &[2, 2], DataType::Int32);
    let mut model = match known {
        Some(known) => constant(model, "b", DataType::Int32, &known),
        None => model.typed_input("b", &[2, 2], DataType::Int32),
    };
    model.graph.initializer.iter_mut().for_each(|matrix| matrix.dims = vec![2, 2]);
    model.node(op, &["a", "b"], "y", &[]).output("y")
}

#[test]
fn products_of_integers_are_exact_or_refused() {
    let all = Onnx::new().typed_input("x", &[2], DataType::Int32);
    let all = all.node("ReduceProd", &["x"], "y", &[Int("keepdims", 0)]).output("y");
    gives(&all, &[&[30_000.0, -3.0]], &[&[-90_000.0]], 0.0);
    let too_large = "too large to be multiplied exactly";
    let error = refusal_to_quantise(&all, &[&[40_000.0, 40_000.0]]);
    assert!(error.to_string().contains(too_large), "{error}");
    exact("Mul", &[], DataType::Int64, &[&[40_000.0, -3.0], &[3.0, 5.0]], &[120_000.0, -15.0]);
    let a: &[f64] = &[40_000.0, -3.0, 7.0, 70_000.0];
    gives(
        ("computed", &matrices("MatMul", None)),
        &[a, &[1.0, 2.0, -5.0, 300.0]],
        &[&[40_015.0, 79_100.0, -349_993.0, 21_000_014.0]],
        0.0,
    );
    let error = refusal_to_quantise(&matrices("MatMul", None), &[a, &[1.0, 2.0, -5.0, 40_000.0]]);
    assert!(error.to_string().contains(too_large), "{error}");
}

#[test]
fn sums_of_layers_over_integers_are_exact_or_refused() {
    let a: &[f64] = &[40_000.0, -3.0, 7.0, 70_000.0];
    let known = || matrices("MatMul", Some([1, 2, -5, 300]));
    let sums = [40_015.0, 79_100.0, -349_993.0, 21_000_014.0];
    gives(("known", &known()), &[a], &[&sums], 0.0);
    // Sums around the borders of a half.
    let borders = [32_767.0, 0.0, 32_768.0, 0.0];
    gives(
        ("borders", &matrices("MatMul", Some([1, -1, 0, 0]))),
        &[&borders],
        &[&[32_767.0, -32_767.0, 32_768.0, -32_768.0]],
        0.0,
    );
    let mut bent = known().node("Relu", &["y"], "z", &[]);
    bent.graph.output[0].name = "z".to_owned();
    gives(("bent", &bent), &[a], &[&sums.map(|s: f64| s.max(0.0))], 0.0);
    let error = refusal_to_quantise(&known(), &[&[2e9, 0.0, 0.0, 8e6]]);
    assert!(error.to_string().contains("beyond 32 bits"), "{error}");
    // Bytes of an image in a padded window; the padding is the zero point.
    let conv = Onnx::new().typed_input("x", &[1, 1, 3, 3], DataType::Uint8);
    let mut conv = constant(constant(conv, "w", DataType::Int8, &[127; 9]), "z", DataType::Uint8, &[5]);
    conv.graph.initializer[0].dims = vec![1, 1, 3, 3];
    conv.graph.initializer[1].dims = vec![];
    let conv = conv.node("ConvInteger", &["x", "w", "z"], "y", &[Ints("pads", &[1, 1, 1, 1])]).output("y");
    let x = [255.0, 254.0, 253.0, 0.0, 128.0, 7.0, 200.0, 199.0, 3.0];
    let window = |at: usize| {
        let near = |i: &usize| (i / 3).abs_diff(at / 3) <= 1 && (i % 3).abs_diff(at % 3) <= 1;
        (0..9).filter(near).map(|i| 127.0 * (x[i] - 5.0)).sum::<f64>()
    };
    gives(("an image", &conv), &[&x], &[&std::array::from_fn::<f64, 9, _>(window)], 0.0);
}

#[test]
fn extremes_of_integers_are_exact_or_refused() {
    let (a, b) = ([100_000.0, 10_000_000.0, -70_000.0], [70_000.0, 10_000_001.0, -70_001.0]);
    exact("Max", &[], DataType::Int32, &[&a, &b], &[100_000.0, 10_000_001.0, -70_000.0]);
    exact("Min", &[], DataType::Int32, &[&a, &b], &[70_000.0, 10_000_000.0, -70_001.0]);
    exact("Sign", &[], DataType::Int32, &[&[-2_147_483_647.0, 2_147_483_647.0]], &[-1.0, 1.0]);
    let far: [&[f64]; 2] = [&[2e9], &[-2e9]];
    let error = refusal_to_quantise(&over("Max", &[], DataType::Int32, &far), &far);
    assert!(error.to_string().contains("beyond 32 bits"), "{error}");
    // Rows of an odd number of elements, and a group that 16 bits hold.
    let rows =
        [100_000.0, 70_000.0, 100_001.0, -5.0, 99_999.0, -100_000.0, -100_001.0, -70_000.0, -99_999.0, -70_001.0];
    for (op, expected) in [("ReduceMax", [100_001.0, -70_000.0]), ("ReduceMin", [-5.0, -100_001.0])] {
        let model = Onnx::new().typed_input("x", &[2, 5], DataType::Int32);
        let model = model.node(op, &["x"], "y", &[Ints("axes", &[1]), Int("keepdims", 0)]).output("y");
        gives(&model, &[&rows], &[&expected], 0.0);
        gives(&model, &[&rows.map(|v| (v / 10.0).trunc())], &[&expected.map(|v| (v / 10.0_f64).trunc())], 0.0);
    }
}

#[test]
fn a_relu_of_integers_follows_what_it_reads() {
    let bent = |model: Onnx| model.node("Relu", &["h"], "y", &[]).output("y");
    let two = || Onnx::new().typed_input("a", &[2], DataType::Int32).typed_input("b", &[2], DataType::Int32);
    for a in [300.0, 40_000.0] {
        let inputs: [&[f64]; 2] = [&[a, -a], &[3.0, 5.0]];
        let product = two().node("Mul", &["a", "b"], "h", &[]);
        gives(("a product", &bent(product)), &inputs, &[&[3.0 * a, 0.0]], 0.0);
        let shaped = two().ints("shape", &[2, 1]).node("Mul", &["a", "b"], "m", &[]);
        let shaped = shaped.node("Reshape", &["m", "shape"], "h", &[]);
        gives(("through a view", &bent(shaped)), &inputs, &[&[3.0 * a, 0.0]], 0.0);
        let inner = two().ints("row", &[1, 2]).ints("column", &[2, 1]).node("Reshape", &["a", "row"], "r", &[]);
        let inner = inner.node("Reshape", &["b", "column"], "c", &[]).node("MatMul", &["r", "c"], "h", &[]);
        gives(("a matrix", &bent(inner)), &inputs, &[&[0.0]], 0.0);
        let sum = two().ints("axes", &[0]).node("Sub", &["a", "b"], "d", &[]);
        let sum = sum.node("ReduceSum", &["d", "axes"], "h", &[Int("keepdims", 0)]);
        gives(("a sum", &bent(sum)), &inputs, &[&[0.0]], 0.0);
    }
}

#[test]
fn roots_of_integers_are_exact_or_refused() {
    let model = Onnx::new().typed_input("x", &[4, 2], DataType::Int32);
    let model = model.node("ReduceL2", &["x"], "y", &[Ints("axes", &[1]), Int("keepdims", 0)]).output("y");
    // The sums of squares are 9^2 - 1, 10^2, 22360^2 and more, 32000^2.
    let rows = [4.0, 8.0, -6.0, 8.0, 20_000.0, 9_999.0, 0.0, -32_000.0];
    gives(&model, &[&rows], &[&[8.0, 10.0, 22_360.0, 32_000.0]], 0.0);
    let error = refusal_to_quantise(&model, &[&[30_000.0; 8]]);
    assert!(error.to_string().contains("too large for an exact root"), "{error}");
}

#[test]
fn quotients_of_large_integers_are_exact_or_refused() {
    exact("Div", &[], DataType::Int32, &[&[1e9, -7e6], &[8e6, 3e6]], &[125.0, -2.0]);
    let large: [&[f64]; 2] = [&[1e9], &[2e8]];
    let error = refusal_to_quantise(&over("Div", &[], DataType::Int32, &large), &large);
    assert!(error.to_string().contains("too large to be divided exactly"), "{error}");
}
