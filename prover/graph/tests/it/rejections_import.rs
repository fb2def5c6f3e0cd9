//! Models and data files that ask for too much, or for what is not there: each is refused at once, with a sentence.

use crate::{
    onnx::{Attribute, Onnx, call, functions, graph_attribute, noise, output},
    support::{self, lowered, quantised},
};

use std::{
    io::{Cursor, Write},
    time::{Duration, Instant},
};

use tract_onnx::pb::{
    GraphProto, StringStringEntryProto, TensorProto, ValueInfoProto,
    tensor_proto::{DataLocation, DataType},
};
use vouch_graph::{
    GraphError,
    data::{Sample, read_json, read_npz},
    exec::{execute, quantise_inputs},
    float::{Element, FloatGraph, InputSpec, Limits},
    import::{ImportOptions, OnnxModel},
};

fn import(bytes: &[u8]) -> Result<FloatGraph, GraphError> {
    support::imported(bytes, &ImportOptions::default())
}

/// Everything that happens to a model before a circuit is made.
fn compile(model: &Onnx) -> Result<(), GraphError> {
    let float = lowered(model)?;
    let inputs = float.input_specs().iter().map(|spec| vec![0.0; spec.shape.iter().product()]).collect();
    let sample = Sample { inputs };
    let graph = quantised(&float, std::slice::from_ref(&sample))?;
    execute(&graph, &quantise_inputs(&graph, &sample)?).map(|_| ())
}

/// A model of one node over an input `x` and constants.
fn one(shape: &[i64], op: &str, inputs: &[&str], attributes: &[Attribute<'_>]) -> Onnx {
    Onnx::new().input("x", shape).node(op, inputs, "y", attributes).output("y")
}

/// Weights that are infinite, and dimensions that no tensor has.
fn weights() -> Vec<(&'static str, Onnx, &'static str)> {
    let with = |dims: &[i64], change: fn(&mut TensorProto)| {
        let mut model = one(&[1, 3], "MatMul", &["x", "w"], &[]).weight("w", dims, &noise(1, 6));
        change(&mut model.graph.initializer[0]);
        model
    };
    let small = with(&[3, 2], |w| w.float_data[1] = 1e30);
    vec![
        ("an infinite weight", with(&[3, 2], |w| w.float_data[1] = f32::INFINITY), "w"),
        ("a weight of minus infinity", with(&[3, 2], |w| w.float_data[1] = f32::NEG_INFINITY), "w"),
        ("a weight that stands for infinity", small, "w"),
        ("a weight of a negative dimension", with(&[3, i64::MIN], |_| ()), "dimension"),
        ("a weight of an absurd dimension", with(&[3, i64::MAX], |_| ()), "more than"),
        ("a weight whose size wraps around", with(&[1 << 32, 1 << 32], |_| ()), "more than"),
        ("absurd dimensions beside none", with(&[0, 1 << 62, 1 << 62], |_| ()), "more than"),
        ("a weight of a hundred axes", with(&[1; 100], |_| ()), "100 axes"),
        ("a weight in a file without a name", with(&[3, 2], external), "no location"),
    ]
}

fn external(tensor: &mut TensorProto) {
    tensor.float_data.clear();
    tensor.data_location = Some(DataLocation::External as i32);
}

/// Inputs and nodes that do not go together.
fn structure() -> Vec<(&'static str, Onnx, &'static str)> {
    let cycle =
        Onnx::new().input("x", &[1, 3]).node("Add", &["x", "b"], "a", &[]).node("Relu", &["a"], "b", &[]).output("b");
    let backwards =
        Onnx::new().input("x", &[1, 3]).node("Relu", &["a"], "b", &[]).node("Neg", &["x"], "a", &[]).output("b");
    let itself = one(&[1, 3], "Add", &["x", "y"], &[]);
    let missing = one(&[1, 3], "MatMul", &["x", "w"], &[]);
    let no_output = Onnx::new().input("x", &[1, 3]).node("Relu", &["x"], "y", &[]).output("z");
    let twice = Onnx::new().input("x", &[1, 3]).input("x", &[1, 3]).node("Relu", &["x"], "y", &[]).output("y");
    let branch = {
        let mut w = TensorProto { name: "w".to_owned(), data_type: DataType::Float as i32, ..TensorProto::default() };
        external(&mut w);
        w.external_data = vec![StringStringEntryProto { key: "location".to_owned(), value: "../w".to_owned() }];
        let taken = GraphProto { node: vec![call("Relu", &["x"], &["t"])], output: vec![output("t")], ..graph() };
        let other = GraphProto { initializer: vec![w], output: vec![output("w")], ..graph() };
        let mut model =
            Onnx::new().input("x", &[1, 3]).weight("c", &[], &[1.0]).node("If", &["c"], "y", &[]).output("y");
        model.graph.node[0].attribute =
            vec![graph_attribute("then_branch", taken), graph_attribute("else_branch", other)];
        model
    };
    let sized = {
        let taken =
            GraphProto { node: vec![call("Expand", &["x", "s"], &["t"])], output: vec![output("t")], ..graph() };
        let mut model = Onnx::new().input("x", &[1, 3]).weight("c", &[], &[1.0]).node("If", &["c"], "y", &[]);
        model.graph.node[0].attribute =
            vec![graph_attribute("then_branch", taken.clone()), graph_attribute("else_branch", taken)];
        model.typed_input("s", &[2], DataType::Int64).output("y")
    };
    let flag = Attribute::Int("keepdims", 6);
    vec![
        ("a cycle", cycle, "there is a cycle"),
        ("a node that reads itself", itself, "there is a cycle"),
        ("nodes out of order", backwards, "out of order"),
        ("an initializer that is not there", missing, "no initializer has that name"),
        ("an output that nobody computes", no_output, "nothing computes output `z`"),
        ("two inputs of one name", twice, "two inputs"),
        ("a maximum of nothing", one(&[1, 3], "Max", &[], &[]), "input 0 is missing"),
        ("external data in a branch that is not taken", branch, "outside the model's folder"),
        (
            "a flag that is neither 0 nor 1",
            one(&[1, 3], "ReduceMax", &["x"], &[flag]),
            "keepdims is 6; it can be 0 or 1",
        ),
        ("an input that decides a size in a branch", sized, "is computed from the model's inputs s; fix them: --fix s"),
    ]
}

fn graph() -> GraphProto {
    GraphProto::default()
}

/// Sizes that a few bytes can ask for, and what would be laid out for them before an output is.
fn sizes() -> Vec<(&'static str, Onnx, &'static str)> {
    let ints = |name: &'static str, values: &[i64], model: Onnx| model.ints(name, values);
    let reshaped = |op: &str, values: &[i64]| ints("s", values, one(&[1, 3], op, &["x", "s"], &[]));
    let constant = |shape: &[i64]| {
        let model = Onnx::new().input("x", &[1]).ints("s", shape).node("ConstantOfShape", &["s"], "c", &[]);
        model.node("Add", &["x", "c"], "y", &[]).output("y")
    };
    let pool = |kernel: i64, pad: i64| {
        let attributes = [Attribute::Ints("kernel_shape", &[kernel; 2]), Attribute::Ints("pads", &[pad; 4])];
        one(&[1, 1, 4, 4], "MaxPool", &["x"], &attributes)
    };
    let conv = |shape: &[i64]| {
        let attributes = [Attribute::Ints("pads", &[1 << 20; 4])];
        one(shape, "Conv", &["x", "w"], &attributes).weight("w", &[1, 1, 1, 1], &[1.0])
    };
    let range = {
        let model = Onnx::new().input("x", &[1]).ints("a", &[0]).ints("b", &[1 << 62]).ints("d", &[1]);
        model.node("Range", &["a", "b", "d"], "r", &[]).node("Add", &["x", "r"], "y", &[]).output("y")
    };
    let transposed = Onnx::new()
        .input("x", &[1, 1, 3, 3])
        .input("w", &[1, 1, 2, 65_535])
        .node("ConvTranspose", &["x", "w"], "y", &[])
        .output("y");
    let batches = Onnx::new().input("a", &[1 << 20, 1, 4]).input("b", &[1 << 20, 4, 1]);
    let equation = [Attribute::Text("equation", "nij,njk->nik")];
    let einsum = batches.node("Einsum", &["a", "b"], "y", &equation).output("y");
    let steps = one(&[1 << 20, 1, 1], "RNN", &["x", "w", "r"], &[Attribute::Int("hidden_size", 1)]);
    let steps = steps.weight("w", &[1, 1, 1], &[0.5]).weight("r", &[1, 1, 1], &[0.5]);
    let long = [Attribute::Ints("kernel_shape", &[1 << 23; 2]), Attribute::Ints("pads", &[(1 << 22) - 2; 4])];
    let unpool = Onnx::new().input("x", &[1, 1, 2, 2]).typed_input("i", &[1, 1, 2, 2], DataType::Int64);
    let unpool = unpool.node("MaxUnpool", &["x", "i"], "y", &long).output("y");
    let axes: Vec<i64> = (0..100).collect();
    let product = Onnx::new()
        .input("a", &[1 << 20, 1, 4])
        .input("b", &[1 << 20, 4, 1])
        .node("MatMul", &["a", "b"], "y", &[])
        .output("y");
    vec![
        ("an input of 2^31 elements", one(&[1, 1 << 31], "Relu", &["x"], &[]), "more than"),
        ("an input whose size wraps around", one(&[1 << 62, 1 << 62], "Relu", &["x"], &[]), "more than"),
        ("an input of an absurd dimension beside none", one(&[2, 0, i64::MAX], "Relu", &["x"], &[]), "--input-shape"),
        ("an input of a negative dimension", one(&[1, i64::MIN], "Relu", &["x"], &[]), "--input-shape"),
        ("an input of a hundred axes", one(&[1; 100], "Relu", &["x"], &[]), "100 axes"),
        ("an expansion to 2^62", reshaped("Expand", &[1 << 62, 3]), "sizes"),
        ("a tiling to 2^62", reshaped("Tile", &[1 << 31, 1 << 31]), "sizes"),
        ("a reshape to 2^62", reshaped("Reshape", &[1 << 62, 1 << 62]), "shape"),
        ("a reshape to less than nothing", reshaped("Reshape", &[i64::MIN, 3]), "shape"),
        ("a hundred new axes", reshaped("Unsqueeze", &axes), "100 axes"),
        ("a constant of 2^62 elements", constant(&[1 << 31, 1 << 31]), "more than"),
        ("a range of 2^62 elements", range, "range"),
        ("padding of 2^40 elements", reshaped("Pad", &[1 << 20; 4]), "more than"),
        ("a pool over its padding", pool(65_535, 65_000), "more than"),
        ("a convolution of padding", conv(&[1, 1, 4, 4]), "more than"),
        ("a transposed convolution with a long kernel", transposed, "more than"),
        ("a million products of an einsum", einsum, "operations"),
        ("a million steps of a recurrence", steps, "operations"),
        ("a window over all that there is", unpool, "more than"),
        ("a convolution of a million images", conv(&[1 << 20, 1, 1, 1]), "more than"),
        ("a million matrix products", product, "operations"),
    ]
}

fn looped(count: &[i64], body: GraphProto) -> Onnx {
    let mut model = Onnx::new().input("x", &[1]).ints("n", count).weight("go", &[], &[1.0]);
    model = model.node("Loop", &["n", "go"], "c", &[]).node("Add", &["x", "c"], "y", &[]).output("y");
    model.graph.node[0].attribute = vec![graph_attribute("body", body)];
    model
}

fn names(list: &[&str]) -> Vec<ValueInfoProto> {
    list.iter().map(|name| output(name)).collect()
}

/// Models whose loops and functions have no end, or none in sight.
fn repetitions() -> Vec<(&'static str, Onnx, &'static str)> {
    let idle = GraphProto { output: names(&["go", "n"]), ..graph() };
    let endless = GraphProto::default();
    let two = one(&[1, 3], "If", &["c"], &[]).weight("c", &[2], &[1.0, 0.0]);
    let mut scan = one(&[2, 3, 1], "Scan", &["", "x", "s"], &[Attribute::Int("num_scan_inputs", 1)]).opset(8);
    scan = scan.weight("s", &[1, 3, 1], &[0.0; 3]);
    let body = GraphProto {
        input: names(&["a", "b"]),
        node: vec![call("Add", &["a", "b"], &["c"])],
        output: names(&["c", "c"]),
        ..graph()
    };
    scan.graph.node[0].attribute.push(graph_attribute("body", body));
    vec![
        ("a loop of 2^62 iterations", looped(&[1 << 62], idle), "loops run more than"),
        ("a loop without an end or a result", looped(&[i64::MAX], endless), "loops run more than"),
        ("a branch on two conditions", two, "not one element"),
        ("a scan of batches of different sizes", scan, "do not fit one another"),
    ]
}

#[test]
fn bad_models_are_refused_at_once_with_a_sentence() {
    let tables = [weights(), structure(), sizes(), repetitions()];
    let mut findings = Vec::new();
    for (what, model, part) in tables.into_iter().flatten() {
        let start = Instant::now();
        let message = compile(&model).map_or_else(|error| error.to_string(), |()| "accepted".to_owned());
        let time = start.elapsed();
        if !message.contains(part) || message.len() > 1000 || time > Duration::from_secs(5) {
            findings.push(format!("{what}, after {time:?}: {message}"));
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn functions_without_an_end_are_refused() {
    let itself = functions(&[("f0", vec![call("f0", &["a"], &["c"])])]);
    let error = import(&itself).unwrap_err();
    assert!(error.to_string().contains("deep"), "{error}");
    // Forty functions, each of which calls the next one twice.
    let names: Vec<String> = (0..41).map(|i| format!("f{i}")).collect();
    let doubled: Vec<_> = (0..40)
        .map(|i| (names[i].as_str(), vec![call(&names[i + 1], &["a"], &["b"]), call(&names[i + 1], &["b"], &["c"])]))
        .chain([("f40", vec![call("Relu", &["a"], &["c"])])])
        .collect();
    let error = import(&functions(&doubled)).unwrap_err();
    assert_eq!(error.code(), "over_limit", "{error}");
    assert!(error.to_string().contains("operations"), "{error}");
}

#[test]
fn limits_of_ones_own_hold() {
    let model = one(&[1, 64], "MatMul", &["x", "w"], &[]).weight("w", &[64, 64], &noise(1, 4096));
    let model = OnnxModel::read(&model.bytes(), "model.onnx", &ImportOptions::default()).unwrap();
    let enough = Limits { memory: 1 << 20, steps: 1 << 16, operations: 10 };
    model.lower_within(enough).unwrap();
    for (limits, what) in [
        (Limits { memory: 1 << 10, ..enough }, "bytes"),
        (Limits { steps: 1 << 10, ..enough }, "steps"),
        (Limits { operations: 1, ..enough }, "operations"),
    ] {
        let error = model.lower_within(limits).unwrap_err();
        assert!(matches!(&error, GraphError::OverLimit { what: w, .. } if w.contains(what)), "{error}");
    }
}

#[test]
fn what_becomes_a_tensor_of_its_own_counts() {
    // An output that is another shape of the input, and a constant that a node reads beside the input.
    let shape = [1, 1 << 10];
    let reshaped = one(&shape, "Flatten", &["x"], &[]);
    let joined = one(&shape, "Concat", &["x", "w"], &[Attribute::Int("axis", 0)]).weight("w", &shape, &[0.5; 1 << 10]);
    for model in [reshaped, joined] {
        let model = OnnxModel::read(&model.bytes(), "model.onnx", &ImportOptions::default()).unwrap();
        let within = |memory: u64| model.lower_within(Limits { memory, ..Limits::default() });
        assert_eq!(within(1 << 16).unwrap_err().code(), "over_limit");
        within(1 << 20).unwrap();
    }
}

#[test]
fn a_loop_that_collects_large_constants_ends_at_the_limit() {
    let size = TensorProto {
        name: "size".to_owned(),
        dims: vec![1],
        data_type: DataType::Int64 as i32,
        int64_data: vec![1 << 20],
        ..TensorProto::default()
    };
    let body = GraphProto {
        node: vec![call("ConstantOfShape", &["size"], &["c"])],
        initializer: vec![size],
        output: names(&["go", "c"]),
        ..graph()
    };
    let bytes = looped(&[1 << 15], body).bytes();
    let model = OnnxModel::read(&bytes, "model.onnx", &ImportOptions::default()).unwrap();
    let error = model.lower_within(Limits { memory: 1 << 28, ..Limits::default() }).unwrap_err();
    assert!(matches!(&error, GraphError::OverLimit { what, .. } if what.contains("bytes")), "{error}");
}

#[test]
fn integers_that_double_a_hundred_times_are_refused() {
    let mut model = Onnx::new().typed_input("x", &[1, 2], DataType::Int32);
    let names: Vec<String> = (0..140).map(|i| if i == 0 { "x".to_owned() } else { format!("x{i}") }).collect();
    for pair in names.windows(2) {
        model = model.node("Add", &[&pair[0], &pair[0]], &pair[1], &[]);
    }
    let model = model.node("ReduceMax", &[&names[139]], "y", &[]).output("y");
    // What counts is that it is an error.
    let error = compile(&model).unwrap_err();
    assert!(!error.to_string().is_empty());
}

#[test]
fn a_negative_step_over_nothing_is_no_overflow() {
    let model = Onnx::new()
        .input("x", &[1, 3])
        .ints("starts", &[5])
        .ints("ends", &[i64::MIN])
        .ints("axes", &[1])
        .ints("steps", &[-(1 << 40)])
        .node("Slice", &["x", "starts", "ends", "axes", "steps"], "y", &[])
        .output("y");
    compile(&model).unwrap();
}

#[test]
fn powers_of_nothing_do_not_end_the_process() {
    let model = Onnx::new()
        .input("x", &[1, 1])
        .weight("e", &[0], &[])
        .node("Pow", &["x", "e"], "unread", &[])
        .node("Relu", &["x"], "y", &[])
        .output("y");
    let float = lowered(&model).unwrap();
    assert!(float.without_reference().is_some_and(|reason| reason.contains("no elements")));
    assert_eq!(float.run(&Sample { inputs: vec![vec![2.0]] }).unwrap(), [[2.0]]);
}

fn spec(shape: &[usize]) -> Vec<InputSpec> {
    vec![InputSpec { name: "x".to_owned(), shape: shape.to_vec(), element: Element::Real }]
}

/// An archive of one array, which says that its header is so long.
fn npz(version: u8, header_len: u32, header: &str, data: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("x.npy", zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(b"\x93NUMPY").unwrap();
    writer.write_all(&[version, 0]).unwrap();
    writer.write_all(&header_len.to_le_bytes()[..if version == 1 { 2 } else { 4 }]).unwrap();
    writer.write_all(header.as_bytes()).unwrap();
    writer.write_all(data).unwrap();
    writer.finish().unwrap().into_inner()
}

#[test]
fn archives_that_promise_what_they_do_not_hold_are_refused() {
    let said = |shape: &str| format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}\n");
    for shape in
        ["4611686018427387904,", "18446744073709551615, 2", "99999999999999999999999,", "1073741824, 64", "-1,"]
    {
        let header = said(shape);
        let error = read_npz(&npz(1, header.len() as u32, &header, &[0; 8]), "data.npz", &spec(&[1, 2])).unwrap_err();
        assert_eq!(error.code(), "data_format", "{shape}: {error}");
    }
    let nested = "(".repeat(60_000);
    let error = read_npz(&npz(1, 60_000, &nested, &[]), "data.npz", &spec(&[1, 2])).unwrap_err();
    assert_eq!(error.code(), "data_format", "{error}");
    let error = read_npz(&npz(2, u32::MAX, &said("1, 2"), &[]), "data.npz", &spec(&[1, 2])).unwrap_err();
    assert!(error.to_string().contains("its header has 4294967295 bytes"), "{error}");
    // An array without elements would be any number of samples for an input without elements.
    let header = said("4294967295, 0");
    let error = read_npz(&npz(1, header.len() as u32, &header, &[]), "data.npz", &spec(&[1, 0])).unwrap_err();
    assert!(["data_shape", "data_format"].contains(&error.code()), "{error}");
}

#[test]
fn an_archive_by_columns_is_turned_to_rows() {
    let header = "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }\n";
    let data: Vec<u8> = [1i16, 4, 2, 5, 3, 6].into_iter().flat_map(i16::to_le_bytes).collect();
    let samples = read_npz(&npz(1, header.len() as u32, header, &data), "data.npz", &spec(&[2, 3])).unwrap();
    assert_eq!(samples[0].inputs[0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
}

#[test]
fn text_that_nests_without_end_is_refused() {
    let text = format!("{{\"x\": {}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    let error = read_json(text.as_bytes(), "data.json", &spec(&[1, 2])).unwrap_err();
    assert_eq!(error.code(), "data_format", "{error}");
}
