//! Guaranteed errors: they hold, they are no larger than they have to be, and they see what is wrong.

use proptest::prelude::*;
use vouch_graph::{
    bound::{Bounds, Ideal, bounds},
    calibrate::calibrate,
    data::Sample,
    exec::{dequantise_outputs, execute, quantise_inputs},
    float::FloatGraph,
    import::{ImportOptions, OnnxModel},
    int::{IntGraph, IntOp},
    quantise::{QuantiseOptions, quantise_with_ideal},
};

use crate::onnx::{Attribute, Onnx};

/// Numbers between -1 and 1 that a seed decides.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    fn below(&mut self, n: usize) -> usize {
        (((self.next() + 1.0) / 2.0 * n as f64) as usize).min(n - 1)
    }

    fn list(&mut self, n: usize, scale: f64) -> Vec<f64> {
        (0..n).map(|_| self.next() * scale).collect()
    }

    fn weights(&mut self, n: usize, scale: f64) -> Vec<f32> {
        self.list(n, scale).into_iter().map(|v| v as f32).collect()
    }
}

/// A model on every stage.
struct Compiled {
    float: FloatGraph,
    int: IntGraph,
    ideal: Ideal,
    bounds: Bounds,
}

fn compile(model: &Onnx, samples: &[Sample]) -> Result<Compiled, String> {
    let text = |e: vouch_graph::GraphError| e.to_string();
    let model = OnnxModel::read(&model.bytes(), "test", &ImportOptions::default()).map_err(text)?;
    let float = model.lower().map_err(text)?;
    let ranges = calibrate(&float, samples).map_err(text)?;
    let (int, ideal) = quantise_with_ideal(&float, &ranges, &QuantiseOptions::default()).map_err(text)?;
    let bounds = bounds(&int, &ideal);
    Ok(Compiled { float, int, ideal, bounds })
}

/// Errors of each output on a sample; none where it has no proof.
fn errors(compiled: &Compiled, sample: &Sample) -> Option<Vec<f64>> {
    let inputs = quantise_inputs(&compiled.int, sample).ok()?;
    let got = dequantise_outputs(&compiled.int, &execute(&compiled.int, &inputs).ok()?);
    let reals = compiled.float.trace(sample).unwrap();
    let worst = |(got, id): (&Vec<f64>, &vouch_graph::float::FloatId)| {
        got.iter().zip(&reals.tensors[id.0]).map(|(y, x)| (y - x).abs()).fold(0.0, f64::max)
    };
    Some(got.iter().zip(&compiled.float.outputs).map(worst).collect())
}

/// The largest error of each output over the samples that have a proof, each within its bound; and how many these are.
fn measured(compiled: &Compiled, samples: &[Sample]) -> (Vec<f64>, usize) {
    let mut worst = vec![0.0f64; compiled.bounds.outputs.len()];
    let mut proven = 0;
    for sample in samples {
        let Some(errors) = errors(compiled, sample) else { continue };
        proven += 1;
        for ((worst, error), output) in worst.iter_mut().zip(errors).zip(&compiled.bounds.outputs) {
            *worst = worst.max(error);
            let Some(bound) = output.bound else { continue };
            assert!(error <= bound, "{}: an error of {error} exceeds the bound of {bound}, {sample:?}", output.name);
        }
    }
    (worst, proven)
}

fn samples(random: &mut Random, count: usize, inputs: &[usize], scale: f64) -> Vec<Sample> {
    (0..count).map(|_| Sample { inputs: inputs.iter().map(|n| random.list(*n, scale)).collect() }).collect()
}

/// A few operators at random over rows of four elements, and every value an output.
fn random_model(random: &mut Random) -> Onnx {
    let mut model = Onnx::new()
        .input("x", &[1, 4])
        .weight("half", &[1], &[0.5])
        .weight("three", &[1], &[3.0])
        .weight("low", &[], &[-0.7])
        .weight("high", &[], &[0.9])
        .ints("axes", &[1]);
    let mut values = vec!["x".to_owned()];
    for step in 0..2 + random.below(5) {
        let a = values[random.below(values.len())].clone();
        let b = values[random.below(values.len())].clone();
        let out = format!("y{step}");
        let (o, a, b) = (out.as_str(), a.as_str(), b.as_str());
        let (t, u) = (format!("t{step}"), format!("u{step}"));
        let unary = [
            "Relu",
            "Sigmoid",
            "Tanh",
            "Erf",
            "Softplus",
            "Softsign",
            "Abs",
            "Neg",
            "Sin",
            "Cos",
            "LeakyRelu",
            "Elu",
            "HardSwish",
            "Mish",
            "Atan",
            "Sinh",
            "Floor",
            "Round",
            "Sign",
        ];
        model = match random.below(18) {
            0..=4 => model.node(unary[random.below(unary.len())], &[a], o, &[]),
            5 | 6 => {
                let (w, bias) = (format!("w{step}"), format!("b{step}"));
                model.weight(&w, &[4, 4], &random.weights(16, 0.8)).weight(&bias, &[4], &random.weights(4, 0.5)).node(
                    "Gemm",
                    &[a, &w, &bias],
                    o,
                    &[],
                )
            }
            7 => model.node("Add", &[a, b], o, &[]),
            8 => model.node("Sub", &[a, b], o, &[]),
            9 => model.node("Mul", &[a, b], o, &[]),
            10 => model.node("Softmax", &[a], o, &[Attribute::Int("axis", -1)]),
            11 => model.node("LogSoftmax", &[a], o, &[Attribute::Int("axis", -1)]),
            12 => model.node("Mul", &[a, "half"], &t, &[]).node("Exp", &[&t], o, &[]),
            // A denominator of at least 3, and a root of at least 3.
            13 => model.node("Abs", &[b], &t, &[]).node("Add", &[&t, "three"], &u, &[]).node("Div", &[a, &u], o, &[]),
            14 => model.node("Mul", &[a, a], &t, &[]).node("Add", &[&t, "three"], &u, &[]).node("Sqrt", &[&u], o, &[]),
            15 => model.node("Clip", &[a, "low", "high"], o, &[]),
            16 => model
                .node("ReduceMax", &[a], &t, &[Attribute::Ints("axes", &[1])])
                .node("ReduceMean", &[b], &u, &[Attribute::Ints("axes", &[1])])
                .node("Sub", &[a, &t], &format!("v{step}"), &[])
                .node("Add", &[&format!("v{step}"), &u], o, &[]),
            _ => model.node("Greater", &[a, b], &t, &[]).node("Where", &[&t, a, b], o, &[]),
        };
        values.push(out.clone());
        model = model.output(&out);
    }
    model
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_error_exceeds_its_bound(seed in any::<u64>()) {
        let mut random = Random(seed);
        let model = random_model(&mut random);
        let calibration = samples(&mut random, 8, &[4], 2.0);
        let Ok(compiled) = compile(&model, &calibration) else { return Ok(()) };
        // Beyond the calibrated values, too: what has a proof is bounded.
        let mut tests = samples(&mut random, 60, &[4], 2.0);
        tests.extend(samples(&mut random, 60, &[4], 3.9));
        tests.extend(calibration);
        measured(&compiled, &tests);
    }
}

/// The property above is about something: most values have a bound, also behind several operators.
#[test]
fn most_values_of_random_models_have_a_bound() {
    let (mut bounded, mut all) = (0, 0);
    for seed in 0..64 {
        let mut random = Random(seed);
        let model = random_model(&mut random);
        let Ok(compiled) = compile(&model, &samples(&mut random, 8, &[4], 2.0)) else { continue };
        all += compiled.bounds.outputs.len();
        bounded += compiled.bounds.outputs.iter().filter(|output| output.bound.is_some()).count();
    }
    eprintln!("{bounded} of {all} values have a bound");
    assert!(all > 100 && bounded > all / 2, "{bounded} of {all}");
}

/// Bound and largest error of a model's only output.
fn ratio(model: &Onnx, inputs: &[usize], seed: u64) -> (f64, f64) {
    let mut random = Random(seed);
    let calibration = samples(&mut random, 16, inputs, 1.0);
    let compiled = compile(model, &calibration).unwrap();
    let tests = samples(&mut random, 400, inputs, 1.0);
    let (worst, proven) = measured(&compiled, &tests);
    assert!(proven > 100, "{proven} samples have a proof");
    (compiled.bounds.largest().unwrap(), worst[0])
}

fn layer(random: &mut Random, [inner, width]: [i64; 2], name: &str, model: Onnx) -> Onnx {
    let count = (inner * width) as usize;
    let scale = (3.0 / inner as f64).sqrt();
    model.weight(&format!("{name}w"), &[inner, width], &random.weights(count, scale)).weight(
        &format!("{name}b"),
        &[width],
        &random.weights(width as usize, 0.1),
    )
}

#[test]
fn a_linear_layer_has_a_bound_a_few_times_its_errors() {
    let mut random = Random(5);
    let model = layer(&mut random, [16, 8], "l", Onnx::new().input("x", &[1, 16]));
    let model = model.node("Gemm", &["x", "lw", "lb"], "y", &[]).output("y");
    let (bound, measured) = ratio(&model, &[16], 9);
    eprintln!("linear layer: bound {bound:.3e}, measured {measured:.3e}, ratio {:.1}", bound / measured);
    assert!(bound < 10.0 * measured, "{bound} against {measured}");
}

#[test]
fn a_perceptron_has_a_bound_within_a_hundred_times_its_errors() {
    for activation in ["Relu", "Tanh", "Sigmoid"] {
        let mut random = Random(7);
        let mut model = layer(&mut random, [16, 32], "a", Onnx::new().input("x", &[1, 16]));
        model = layer(&mut random, [32, 32], "b", model);
        model = layer(&mut random, [32, 8], "c", model);
        let model = model
            .node("Gemm", &["x", "aw", "ab"], "h", &[])
            .node(activation, &["h"], "i", &[])
            .node("Gemm", &["i", "bw", "bb"], "j", &[])
            .node(activation, &["j"], "k", &[])
            .node("Gemm", &["k", "cw", "cb"], "y", &[])
            .output("y");
        let (bound, measured) = ratio(&model, &[16], 11);
        eprintln!("{activation} perceptron: bound {bound:.3e}, measured {measured:.3e}, ratio {:.1}", bound / measured);
        assert!(bound < 100.0 * measured, "{activation}: {bound} against {measured}");
    }
}

#[test]
fn a_softmax_has_a_bound_of_its_own() {
    let model =
        Onnx::new().input("x", &[2, 16]).node("Softmax", &["x"], "y", &[Attribute::Int("axis", -1)]).output("y");
    let (bound, measured) = ratio(&model, &[32], 3);
    eprintln!("softmax: bound {bound:.3e}, measured {measured:.3e}, ratio {:.1}", bound / measured);
    assert!(bound < 20.0 * measured, "{bound} against {measured}");
}

/// Padded and strided convolutions, pooling, and products of computed matrices.
#[test]
fn bounds_hold_for_images_and_attention() {
    let mut random = Random(21);
    let pads = Attribute::Ints("pads", &[1, 1, 1, 1]);
    let images = Onnx::new()
        .input("x", &[1, 2, 8, 8])
        .weight("v", &[4, 2, 3, 3], &random.weights(72, 0.4))
        .weight("b", &[4], &random.weights(4, 0.2))
        .weight("w", &[3, 4, 3, 3], &random.weights(108, 0.3))
        .node("Conv", &["x", "v", "b"], "c", &[pads, Attribute::Ints("strides", &[2, 2])])
        .node("Relu", &["c"], "r", &[])
        .node("Conv", &["r", "w"], "d", &[pads])
        .node("MaxPool", &["d"], "m", &[Attribute::Ints("kernel_shape", &[2, 2])])
        .node("GlobalAveragePool", &["m"], "y", &[])
        .output("d")
        .output("y");
    let attention = Onnx::new()
        .input("x", &[6, 8])
        .weight("q", &[8, 8], &random.weights(64, 0.4))
        .weight("k", &[8, 8], &random.weights(64, 0.4))
        .weight("v", &[8, 8], &random.weights(64, 0.4))
        .node("MatMul", &["x", "q"], "xq", &[])
        .node("MatMul", &["x", "k"], "xk", &[])
        .node("MatMul", &["x", "v"], "xv", &[])
        .node("Transpose", &["xk"], "t", &[Attribute::Ints("perm", &[1, 0])])
        .node("MatMul", &["xq", "t"], "s", &[])
        .node("Softmax", &["s"], "p", &[Attribute::Int("axis", -1)])
        .node("MatMul", &["p", "xv"], "y", &[])
        .output("p")
        .output("y");
    for (name, model, inputs) in [("images", images, 128), ("attention", attention, 48)] {
        let compiled = compile(&model, &samples(&mut random, 16, &[inputs], 1.0)).unwrap();
        let (worst, proven) = measured(&compiled, &samples(&mut random, 100, &[inputs], 1.0));
        assert!(proven > 20, "{name}: {proven} samples have a proof");
        for (output, worst) in compiled.bounds.outputs.iter().zip(worst) {
            let bound = output.bound.unwrap();
            eprintln!("{name} {}: bound {bound:.3e}, measured {worst:.3e}, ratio {:.1}", output.name, bound / worst);
            assert!(bound < 300.0 * worst, "{name} {}: {bound} against {worst}", output.name);
        }
    }
}

#[test]
fn integers_have_a_bound_of_zero() {
    use tract_onnx::pb::tensor_proto::DataType;
    let model = Onnx::new()
        .typed_input("x", &[1, 4], DataType::Int64)
        .typed_input("z", &[1, 4], DataType::Int64)
        .node("Greater", &["x", "z"], "c", &[])
        .node("Where", &["c", "x", "z"], "y", &[])
        .output("y");
    let sample = Sample { inputs: vec![vec![1.0, -2.0, 300.0, 4.0], vec![2.0, 2.0, -2.0, 4.0]] };
    let compiled = compile(&model, &[sample]).unwrap();
    assert_eq!(compiled.bounds.outputs[0].bound, Some(0.0));
}

#[test]
fn a_decision_by_a_rounded_value_has_no_bound_and_says_where() {
    let model = Onnx::new()
        .input("x", &[1, 4])
        .weight("w", &[4, 4], &[0.3; 16])
        .node("MatMul", &["x", "w"], "h", &[])
        .node("ArgMax", &["h"], "y", &[Attribute::Int("axis", 1)])
        .output("y");
    let compiled = compile(&model, &samples(&mut Random(1), 8, &[4], 1.0)).unwrap();
    let output = &compiled.bounds.outputs[0];
    assert_eq!(output.bound, None);
    assert_eq!(output.reason.as_deref(), Some("node `ArgMax_y` compares a rounded value"));
    assert_eq!(compiled.bounds.largest().unwrap_err(), output);
}

#[test]
fn a_denominator_near_zero_has_no_bound_and_says_where() {
    let model = Onnx::new()
        .input("x", &[1, 4])
        .input("z", &[1, 4])
        .weight("w", &[4, 4], &[0.7; 16])
        .node("MatMul", &["z", "w"], "h", &[])
        .node("Relu", &["h"], "r", &[])
        .node("Div", &["x", "r"], "y", &[])
        .output("y");
    let mut random = Random(1);
    let calibration: Vec<Sample> = (0..8)
        .map(|_| Sample { inputs: vec![random.list(4, 1.0), random.list(4, 0.5).iter().map(|v| v + 1.0).collect()] })
        .collect();
    let compiled = compile(&model, &calibration).unwrap();
    let reason = compiled.bounds.outputs[0].reason.as_deref().unwrap();
    assert_eq!(reason, "node `Div_y` divides by what may be as close to zero as its error");
}

fn function_model(operator: &str) -> Compiled {
    let model = Onnx::new().input("x", &[1, 8]).node(operator, &["x"], "y", &[]).output("y");
    compile(&model, &samples(&mut Random(3), 16, &[8], 4.0)).unwrap()
}

/// The table's errors, element by element through the executor and an evaluation in other words.
#[test]
fn errors_of_tables_are_those_of_every_input_one_by_one() {
    type Function = fn(f64) -> f64;
    let cases: [(&str, Function); 4] = [
        ("Tanh", |x| 1.0 - 2.0 / ((2.0 * x).exp() + 1.0)),
        ("Sigmoid", |x| (x / 2.0).exp() / ((x / 2.0).exp() + (-x / 2.0).exp())),
        ("Softplus", |x| if x > 30.0 { x } else { (1.0 + x.exp()).ln() }),
        ("Mish", |x| x * (1.0 - 2.0 / ((1.0 + x.exp()).powi(2) + 1.0))),
    ];
    for (operator, f) in cases {
        let compiled = function_model(operator);
        let (input, output) = (&compiled.int.tensors[0], compiled.int.outputs[0].tensor);
        let unit = compiled.int.tensor(output).exponent.dequantise(1);
        let all: Vec<i64> = (-32768..32768).collect();
        let mut worst = 0.0f64;
        for row in all.chunks(8) {
            let Ok(trace) = execute(&compiled.int, &[row.to_vec()]) else { continue };
            for (q, v) in row.iter().zip(trace.tensor(output)) {
                worst = worst.max((*v as f64 * unit - f(input.exponent.dequantise(*q))).abs());
            }
        }
        let table = &compiled.bounds.tables[0];
        eprintln!(
            "{operator}: {:.3} units, {:.3} in range, {:.3} one by one",
            table.units,
            table.units_in_range,
            worst / unit
        );
        assert!((table.units - worst / unit).abs() < 1e-6, "{operator}: {} against {}", table.units, worst / unit);
        assert!(table.units_in_range <= table.units);
    }
}

#[test]
fn a_wrong_entry_of_a_table_makes_the_bound_grow() {
    let compiled = function_model("Tanh");
    let unit = compiled.int.tensor(compiled.int.outputs[0].tensor).exponent.dequantise(1);
    let before = compiled.bounds.largest().unwrap();
    let mut forged = compiled.int.clone();
    let IntOp::Function { table, .. } = &mut forged.nodes[0].op else { panic!("the first node is no function") };
    // A table's points have four bits below the unit.
    table[140] += 160;
    let after = bounds(&forged, &compiled.ideal);
    let grown = (after.largest().unwrap() - before) / unit;
    assert!((8.0..11.0).contains(&grown), "the bound grew by {grown} units");
    assert!(after.tables[0].units_in_range > 8.0);
}

#[test]
fn a_wrong_weight_makes_the_bound_grow() {
    let mut random = Random(5);
    let model = layer(&mut random, [16, 8], "l", Onnx::new().input("x", &[1, 16]));
    let model = model.node("Gemm", &["x", "lw", "lb"], "y", &[]).output("y");
    let compiled = compile(&model, &samples(&mut random, 16, &[16], 1.0)).unwrap();
    let mut forged = compiled.int.clone();
    forged.params[0].values[3] += 1000;
    let (before, after) = (compiled.bounds.largest().unwrap(), bounds(&forged, &compiled.ideal).largest().unwrap());
    let moved = forged.params[0].exponent.dequantise(1000);
    assert!(after > before + 0.5 * moved, "{before} became {after}, the weight moved by {moved}");
}

#[test]
fn what_is_cut_off_counts() {
    let wide = |operator: &str, scale: f64| {
        let model = Onnx::new().input("x", &[1, 8]).node(operator, &["x"], "y", &[]).output("y");
        let mut random = Random(3);
        let compiled = compile(&model, &samples(&mut random, 16, &[8], scale)).unwrap();
        let (worst, proven) = measured(&compiled, &samples(&mut random, 200, &[8], scale));
        assert!(proven > 50);
        (compiled.bounds.largest().unwrap(), worst[0])
    };
    for (operator, scale) in [("Sigmoid", 60.0), ("Tanh", 60.0), ("Erf", 60.0), ("Sin", 60.0), ("Cos", 60.0)] {
        let (bound, measured) = wide(operator, scale);
        eprintln!("{operator} over {scale}: bound {bound:.3e}, measured {measured:.3e}");
        assert!(bound < 10.0 * measured, "{operator}: {bound} against {measured}");
    }
    let model = Onnx::new().input("x", &[1, 8]).node("Softmax", &["x"], "y", &[Attribute::Int("axis", -1)]).output("y");
    let mut random = Random(3);
    let compiled = compile(&model, &samples(&mut random, 16, &[8], 30.0)).unwrap();
    let (worst, _) = measured(&compiled, &samples(&mut random, 200, &[8], 30.0));
    let bound = compiled.bounds.largest().unwrap();
    eprintln!("softmax over 30: bound {bound:.3e}, measured {:.3e}", worst[0]);
    assert!(bound < 0.01, "{bound}");
}
