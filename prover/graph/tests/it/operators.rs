//! Every operator on every stage: tract, the float graph, the integer graph.

use crate::onnx;

use onnx::{Attribute, Attribute::*, Onnx, noise};
use tract_onnx::pb::tensor_proto::DataType;
use vouch_graph::{
    GraphError,
    data::Sample,
    exec::{execute, quantise_inputs},
    float::FloatGraph,
    int::{IntGraph, IntOp, RescaleKind},
    report::report,
};

use crate::support::{lowered, quantised, reals, refusal};

fn samples(float: &FloatGraph, scale: f64) -> Vec<Sample> {
    (0..12)
        .map(|n| Sample {
            inputs: float
                .input_specs()
                .iter()
                .enumerate()
                .map(|(i, spec)| {
                    let len = spec.shape.iter().product();
                    let values = noise(1 + n * 7 + i as u64 * 1000, len);
                    values.iter().map(|v| (f64::from(*v) * scale * 64.0).round() / 64.0).collect()
                })
                .collect(),
        })
        .collect()
}

/// Checks the three stages against each other; errors are relative to the outputs' magnitude.
fn agrees(case: &str, model: &Onnx, scale: f64, tolerance: f64) -> (FloatGraph, IntGraph) {
    let float = lowered(model).unwrap_or_else(|e| panic!("{case}: {e}"));
    assert_eq!(float.without_reference(), None, "{case}: tract does not read it");
    let samples = samples(&float, scale);
    let values = samples.iter().flat_map(|sample| reals(case, &float, sample)).flatten();
    let magnitude = values.fold(1e-3f64, |m, v| m.max(v.abs()));
    let int = quantised(&float, &samples).unwrap_or_else(|e| panic!("{case}: {e}"));
    let report = report(&float, &int, &samples).unwrap();
    assert_eq!(report.refused, 0, "{case}: calibration samples are refused");
    assert!(
        report.max_abs_error <= tolerance * magnitude,
        "{case}: error {} at magnitude {magnitude}",
        report.max_abs_error
    );
    let bytes = int.to_json().unwrap();
    assert_eq!(IntGraph::from_json(&bytes, "test").unwrap(), int, "{case}: saving changes the graph");
    (float, int)
}

/// A model of one node and one float input.
fn one(op: &str, shape: &[i64], attributes: &[Attribute<'_>]) -> Onnx {
    Onnx::new().input("x", shape).node(op, &["x"], "y", attributes).output("y")
}

#[test]
fn activations_agree_on_every_stage() {
    let plain: &[(&str, f64)] = &[
        ("Relu", 3.0),
        ("Sigmoid", 6.0),
        ("Sigmoid", 40.0),
        ("Tanh", 3.0),
        ("Tanh", 30.0),
        ("Exp", 2.0),
        ("Erf", 2.0),
        ("Softplus", 4.0),
        ("Softsign", 4.0),
        ("HardSwish", 5.0),
        ("Neg", 5.0),
        ("Abs", 5.0),
        ("Identity", 5.0),
        ("Softmax", 4.0),
        ("HardSigmoid", 4.0),
    ];
    for (op, scale) in plain {
        agrees(op, &one(op, &[2, 5], &[]), *scale, 1e-3);
    }
    agrees("LeakyRelu", &one("LeakyRelu", &[1, 9], &[Float("alpha", 0.1)]), 3.0, 1e-3);
    agrees("Elu", &one("Elu", &[1, 9], &[Float("alpha", 0.7)]), 3.0, 2e-3);
    agrees("Softmax over rows", &one("Softmax", &[3, 4], &[Int("axis", 0)]), 4.0, 1e-3);
    agrees("old Softmax", &one("Softmax", &[2, 3, 2], &[Int("axis", 1)]).opset(11), 4.0, 1e-3);
    let clip = Onnx::new()
        .input("x", &[1, 8])
        .weight("lo", &[], &[-1.5])
        .weight("hi", &[], &[2.0])
        .node("Clip", &["x", "lo", "hi"], "y", &[])
        .output("y");
    agrees("Clip", &clip, 4.0, 1e-3);
    let clip =
        Onnx::new().input("x", &[1, 8]).weight("hi", &[], &[2.0]).node("Clip", &["x", "", "hi"], "y", &[]).output("y");
    agrees("Clip from above", &clip, 4.0, 1e-3);
    let prelu = Onnx::new()
        .input("x", &[1, 2, 3])
        .weight("slope", &[2, 1], &[0.25, 0.1])
        .node("PRelu", &["x", "slope"], "y", &[])
        .output("y");
    agrees("PRelu", &prelu, 4.0, 1e-3);
}

#[test]
fn arithmetic_agrees_on_every_stage() {
    for op in ["Add", "Sub", "Mul", "Max", "Min"] {
        let model = Onnx::new().input("a", &[2, 3]).input("b", &[1, 3]).node(op, &["a", "b"], "y", &[]).output("y");
        agrees(op, &model, 3.0, 1e-3);
        let model = Onnx::new()
            .input("a", &[2, 3])
            .weight("c", &[3], &[0.5, -1.25, 3.0])
            .node(op, &["a", "c"], "y", &[])
            .output("y");
        agrees(&format!("{op} with a constant"), &model, 3.0, 1e-3);
    }
    let div = Onnx::new()
        .input("a", &[2, 3])
        .weight("c", &[3], &[0.5, -1.25, 3.0])
        .node("Div", &["a", "c"], "y", &[])
        .output("y");
    agrees("Div", &div, 3.0, 1e-3);
    let square =
        Onnx::new().input("a", &[2, 3]).weight("two", &[], &[2.0]).node("Pow", &["a", "two"], "y", &[]).output("y");
    agrees("Pow", &square, 3.0, 1e-3);
}

#[test]
fn reductions_agree_on_every_stage() {
    for op in ["ReduceMean", "ReduceMax", "ReduceMin"] {
        for keep in [0, 1] {
            let model = one(op, &[2, 3, 4], &[Ints("axes", &[1, -1]), Int("keepdims", keep)]);
            agrees(op, &model, 3.0, 1e-3);
        }
    }
    let sum = Onnx::new()
        .input("x", &[2, 7])
        .ints("axes", &[1])
        .node("ReduceSum", &["x", "axes"], "y", &[Int("keepdims", 0)])
        .output("y");
    agrees("ReduceSum", &sum, 3.0, 1e-3);
    agrees("a mean over 49", &one("GlobalAveragePool", &[1, 2, 7, 7], &[]), 1.0, 2e-3);
}

#[test]
fn pooling_agrees_on_every_stage() {
    let pads = Ints("pads", &[1, 0, 0, 1]);
    let kernel = Ints("kernel_shape", &[2, 3]);
    let strides = Ints("strides", &[2, 1]);
    for op in ["MaxPool", "AveragePool"] {
        agrees(op, &one(op, &[1, 2, 5, 6], &[kernel, strides, pads]), 2.0, 1e-3);
        agrees(op, &one(op, &[1, 2, 9], &[Ints("kernel_shape", &[3])]), 2.0, 1e-3);
        let same = Text("auto_pad", "SAME_UPPER");
        agrees(op, &one(op, &[1, 1, 5, 5], &[kernel, strides, same]), 2.0, 1e-3);
    }
    let include = Int("count_include_pad", 1);
    agrees("padding counts", &one("AveragePool", &[1, 2, 5, 6], &[kernel, strides, pads, include]), 2.0, 1e-3);
    agrees("GlobalMaxPool", &one("GlobalMaxPool", &[1, 3, 4, 4], &[]), 2.0, 1e-3);
}

#[test]
fn convolutions_agree_on_every_stage() {
    let conv = |shape: &[i64], weight: &[i64], attributes: &[Attribute<'_>], bias: bool| {
        let len = weight.iter().product::<i64>() as usize;
        let mut model = Onnx::new().input("x", shape).weight("w", weight, &noise(5, len));
        let mut inputs = vec!["x", "w"];
        if bias {
            model = model.weight("b", &[weight[0]], &noise(6, weight[0] as usize));
            inputs.push("b");
        }
        model.node("Conv", &inputs, "c", attributes).node("Relu", &["c"], "y", &[]).output("y")
    };
    agrees("conv", &conv(&[1, 2, 6, 5], &[3, 2, 3, 3], &[], true), 2.0, 1e-3);
    let geometry = [Ints("strides", &[2, 1]), Ints("pads", &[1, 2, 0, 1]), Ints("dilations", &[1, 2])];
    agrees("strided, padded, dilated", &conv(&[1, 2, 7, 8], &[3, 2, 3, 2], &geometry, true), 2.0, 1e-3);
    agrees("groups", &conv(&[1, 4, 5, 5], &[6, 2, 3, 3], &[Int("group", 2)], true), 2.0, 1e-3);
    agrees("depthwise", &conv(&[1, 3, 5, 5], &[3, 1, 3, 3], &[Int("group", 3)], false), 2.0, 1e-3);
    agrees(
        "one axis",
        &conv(&[1, 3, 9], &[4, 3, 3], &[Ints("pads", &[2, 0]), Ints("dilations", &[2])], true),
        2.0,
        1e-3,
    );
    agrees("same", &conv(&[1, 2, 5, 5], &[2, 2, 2, 2], &[Text("auto_pad", "SAME_LOWER")], false), 2.0, 1e-3);
    agrees("two samples", &conv(&[2, 2, 4, 4], &[3, 2, 3, 3], &[], true), 2.0, 1e-3);
}

#[test]
fn transposed_convolutions_agree_on_every_stage() {
    let transposed = |shape: &[i64], weight: &[i64], attributes: &[Attribute<'_>], bias: i64| {
        let len = weight.iter().product::<i64>() as usize;
        let mut model = Onnx::new().input("x", shape).weight("w", weight, &noise(5, len));
        let mut inputs = vec!["x", "w"];
        if bias > 0 {
            model = model.weight("b", &[bias], &noise(6, bias as usize));
            inputs.push("b");
        }
        model.node("ConvTranspose", &inputs, "y", attributes).output("y")
    };
    let image: &[i64] = &[1, 2, 3, 4];
    let kernel: &[i64] = &[2, 3, 3, 3];
    agrees("of stride one", &transposed(image, kernel, &[], 3), 2.0, 1e-3);
    let strided = Ints("strides", &[2, 3]);
    agrees("of a stride that the kernel covers", &transposed(image, kernel, &[strided], 3), 2.0, 1e-3);
    let wide = Ints("strides", &[4, 5]);
    agrees("of a stride beyond the kernel", &transposed(image, &[2, 3, 2, 3], &[wide], 3), 2.0, 1e-3);
    agrees("of holes without a bias", &transposed(image, &[2, 3, 2, 3], &[wide], 0), 2.0, 1e-3);
    let pads = Ints("pads", &[1, 2, 0, 1]);
    agrees("cropped", &transposed(image, kernel, &[strided, pads], 3), 2.0, 1e-3);
    let crop = Ints("pads", &[5, 4, 0, 0]);
    agrees("cropped by whole elements", &transposed(image, kernel, &[strided, crop], 3), 2.0, 1e-3);
    let dilated = Ints("dilations", &[2, 3]);
    agrees("dilated", &transposed(image, kernel, &[strided, dilated, pads], 3), 2.0, 1e-3);
    agrees("of coprime dilation", &transposed(image, kernel, &[Ints("strides", &[3, 2]), dilated], 3), 2.0, 1e-3);
    let longer = Ints("output_padding", &[1, 2]);
    agrees("with more outputs", &transposed(image, kernel, &[strided, longer], 3), 2.0, 1e-3);
    agrees("of groups", &transposed(&[1, 4, 3, 3], &[4, 3, 3, 3], &[Int("group", 2), strided], 6), 2.0, 1e-3);
    agrees("of two samples", &transposed(&[2, 2, 3, 3], kernel, &[strided], 3), 2.0, 1e-3);
    agrees("of one axis", &transposed(&[1, 2, 5], &[2, 3, 4], &[Ints("strides", &[2])], 3), 2.0, 1e-3);
    agrees(
        "of the same size",
        &transposed(image, kernel, &[Ints("strides", &[2, 2]), Text("auto_pad", "SAME_UPPER")], 3),
        2.0,
        1e-3,
    );
}

#[test]
fn a_transposed_convolution_of_absurd_size_is_refused() {
    let (stride, shape) = (Ints("strides", &[1 << 23, 1 << 23]), [1, 2, 3, 4]);
    let model = Onnx::new()
        .input("x", &shape)
        .weight("w", &[2, 3, 3, 3], &noise(5, 54))
        .node("ConvTranspose", &["x", "w"], "y", &[stride])
        .output("y");
    let error = refusal(&model);
    assert!(matches!(error, GraphError::TooLarge { .. }), "{error}");
}

#[test]
fn matrix_products_agree_on_every_stage() {
    let gemm = Onnx::new()
        .input("x", &[4, 2])
        .weight("w", &[3, 4], &noise(2, 12))
        .weight("b", &[3], &noise(3, 3))
        .node(
            "Gemm",
            &["x", "w", "b"],
            "y",
            &[Int("transA", 1), Int("transB", 1), Float("alpha", 0.5), Float("beta", 2.0)],
        )
        .output("y");
    agrees("Gemm", &gemm, 2.0, 1e-3);
    let stacked = Onnx::new()
        .input("x", &[2, 3, 4])
        .weight("w", &[4, 5], &noise(2, 20))
        .node("MatMul", &["x", "w"], "y", &[])
        .output("y");
    agrees("stacked MatMul", &stacked, 2.0, 1e-3);
    let left = Onnx::new()
        .input("x", &[4, 5])
        .weight("w", &[3, 4], &noise(2, 12))
        .node("MatMul", &["w", "x"], "y", &[])
        .output("y");
    agrees("weights on the left", &left, 2.0, 1e-3);
    let computed =
        Onnx::new().input("a", &[2, 3, 4]).input("b", &[2, 4, 2]).node("MatMul", &["a", "b"], "y", &[]).output("y");
    agrees("both computed", &computed, 2.0, 1e-3);
}

#[test]
fn movements_agree_on_every_stage() {
    agrees("Transpose", &one("Transpose", &[2, 3, 4], &[Ints("perm", &[2, 0, 1])]), 2.0, 1e-3);
    agrees("Flatten", &one("Flatten", &[2, 3, 4], &[Int("axis", 2)]), 2.0, 1e-3);
    let model = Onnx::new()
        .input("x", &[1, 3, 6])
        .ints("starts", &[4, -1])
        .ints("ends", &[0, -100])
        .ints("axes", &[2, 1])
        .ints("steps", &[-2, -1])
        .ints("shape", &[0, -1])
        .ints("axis", &[1])
        .ints("pads", &[0, 0, 1, 0, 0, 2])
        .weight("fill", &[], &[0.5])
        .node("Slice", &["x", "starts", "ends", "axes", "steps"], "s", &[])
        .node("Pad", &["s", "pads", "fill"], "p", &[])
        .node("Reshape", &["p", "shape"], "r", &[])
        .node("Unsqueeze", &["r", "axis"], "u", &[])
        .node("Squeeze", &["u", "axis"], "q", &[])
        .node("Concat", &["q", "r"], "y", &[Int("axis", 1)])
        .output("y");
    agrees("a chain of movements", &model, 2.0, 1e-3);
    let joined = Onnx::new()
        .input("x", &[1, 4])
        .node("Sigmoid", &["x"], "a", &[])
        .node("Exp", &["x"], "b", &[])
        .node("Concat", &["a", "b"], "y", &[Int("axis", 1)])
        .output("y");
    agrees("joining different scales", &joined, 2.0, 2e-3);
    let split = Onnx::new()
        .input("x", &[1, 6])
        .node("Split", &["x"], "a,b", &[Int("axis", 1)])
        .node("Sub", &["a", "b"], "y", &[])
        .output("y")
        .opset(11);
    agrees("Split", &split, 2.0, 1e-3);
}

#[test]
fn normalisation_agrees_on_every_stage() {
    let norm = Onnx::new()
        .input("x", &[1, 2, 3, 3])
        .weight("w", &[4, 2, 1, 1], &noise(4, 8))
        .weight("scale", &[4], &[1.0, 0.5, 2.0, 1.5])
        .weight("bias", &[4], &[0.1, -0.2, 0.3, 0.0])
        .weight("mean", &[4], &[0.5, 0.0, -0.5, 0.25])
        .weight("var", &[4], &[1.0, 0.25, 4.0, 0.5])
        .node("Conv", &["x", "w"], "c", &[])
        .node("BatchNormalization", &["c", "scale", "bias", "mean", "var"], "n", &[])
        .node("Relu", &["n"], "y", &[])
        .output("y");
    let (_, int) = agrees("BatchNormalization", &norm, 2.0, 1e-3);
    let layers = int.nodes.iter().filter(|n| !matches!(n.op, IntOp::View { .. }));
    assert_eq!(layers.count(), 1, "normalisation and ReLU belong into the convolution");
}

#[test]
fn differences_of_integers_stay_exact() {
    let ticks = Onnx::new()
        .typed_input("ticks", &[1, 5], DataType::Int32)
        .ints("one", &[1])
        .ints("four", &[4])
        .ints("zero", &[0])
        .ints("five", &[5])
        .ints("axis", &[1])
        .node("Slice", &["ticks", "one", "five", "axis"], "later", &[])
        .node("Slice", &["ticks", "zero", "four", "axis"], "earlier", &[])
        .node("Sub", &["later", "earlier"], "moves", &[])
        .node("Cast", &["moves"], "reals", &[Int("to", 1)])
        .weight("w", &[4, 1], &[0.001, 0.002, -0.001, 0.0005])
        .node("MatMul", &["reals", "w"], "y", &[])
        .output("y");
    let float = lowered(&ticks).unwrap();
    let samples: Vec<Sample> = (0..8)
        .map(|n| Sample { inputs: vec![(0..5).map(|i| f64::from(200_000 + n * 300 + i * i * 17)).collect()] })
        .collect();
    let int = quantised(&float, &samples).unwrap();
    assert_eq!((int.inputs[0].packing.bits, int.inputs[0].packing.per_word), (24, 8));
    let moves = int.nodes.iter().find_map(|n| match &n.op {
        IntOp::Add { rescale, .. } => Some((rescale.kind, n.output)),
        _ => None,
    });
    let (kind, moves) = moves.unwrap();
    assert_eq!(kind, RescaleKind::Exact);
    let trace = execute(&int, &quantise_inputs(&int, &samples[0]).unwrap()).unwrap();
    assert_eq!(trace.tensor(moves), [17, 51, 85, 119]);
    assert!(report(&float, &int, &samples).unwrap().max_abs_error < 1e-4);
}
