//! Bad models, bad data, bad inputs: each gets its error, none a panic.

use crate::{
    onnx::{Onnx, noise},
    support::{Compiled, imported, quantised, refusal, sample},
};

use std::{
    collections::BTreeMap,
    io::{Cursor, Write},
};

use tract_onnx::pb::{
    StringStringEntryProto,
    tensor_proto::{DataLocation, DataType},
};
use vouch_graph::{
    GraphError,
    calibrate::calibrate,
    data::{Sample, read_json, read_npz},
    exec::{execute, quantise_inputs},
    float::{Element, InputSpec},
    import::{ImportOptions, OnnxModel},
    int::{Condition, IntGraph, IntNode, IntOp, IntTensor, Interval, Rescale, RescaleKind, ScaleExp, Source, TensorId},
    quantise::{QuantiseOptions, quantise},
};

fn gemm() -> Onnx {
    Onnx::new()
        .input("x", &[1, 3])
        .weight("w", &[3, 2], &noise(1, 6))
        .node("MatMul", &["x", "w"], "h", &[])
        .node("Tanh", &["h"], "y", &[])
        .output("y")
}

fn compiled() -> IntGraph {
    Compiled::new(&gemm(), &[sample(&[&[1.0, -1.0, 0.5]])]).int
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    for bytes in [&b""[..], b"hello, this is no protobuf", &[0x08, 0x08]] {
        let error = imported(bytes, &ImportOptions::default()).unwrap_err();
        assert_eq!(error.code(), "not_onnx", "{error}");
    }
}

#[test]
fn every_changed_byte_is_an_error_or_another_model() {
    let bytes = gemm().bytes();
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            // What counts is that it returns.
            let _ = imported(&changed, &ImportOptions::default());
        }
    }
    for len in 0..bytes.len() {
        let _ = imported(&bytes[..len], &ImportOptions::default());
    }
}

#[test]
fn an_unknown_operator_is_named_with_its_node() {
    let model = Onnx::new().input("x", &[1, 3]).node("ImageDecoder", &["x"], "y", &[]).output("y");
    let error = refusal(&model);
    assert!(
        matches!(&error, GraphError::UnsupportedOperator { node, operator, .. }
        if node == "ImageDecoder_y" && operator == "ImageDecoder"),
        "{error}"
    );
}

#[test]
fn a_custom_domain_is_named() {
    let mut model = Onnx::new().input("x", &[1, 3]).node("Magic", &["x"], "y", &[]).output("y");
    model.graph.node[0].domain = "com.example".to_owned();
    let error = refusal(&model);
    assert!(error.to_string().contains("com.example::Magic"), "{error}");
    assert!(error.to_string().contains("custom domain"), "{error}");
}

#[test]
fn an_open_dimension_needs_a_shape() {
    let model = Onnx::new().input("x", &[1, 0]).node("Relu", &["x"], "y", &[]).output("y");
    let error = refusal(&model);
    assert!(
        matches!(&error, GraphError::DynamicShape { input, axis: 1, symbol }
        if input == "x" && symbol == "n"),
        "{error}"
    );
    let with = |name: &str, shape: &[usize]| ImportOptions {
        fixed: BTreeMap::new(),
        input_shapes: BTreeMap::from([(name.to_owned(), shape.to_vec())]),
    };
    let float = imported(&model.bytes(), &with("x", &[1, 4])).unwrap();
    assert_eq!(float.input_specs()[0].shape, [1, 4]);
    let error = imported(&model.bytes(), &with("x", &[2, 4])).unwrap_err();
    assert_eq!(error.code(), "shape_override", "{error}");
    let error = imported(&model.bytes(), &with("z", &[1, 4])).unwrap_err();
    assert_eq!(error.code(), "unknown_input", "{error}");
}

#[test]
fn an_open_batch_is_one() {
    let model = Onnx::new().input("x", &[0, 3]).node("Relu", &["x"], "y", &[]).output("y");
    let float = imported(&model.bytes(), &ImportOptions::default()).unwrap();
    assert_eq!(float.input_specs()[0].shape, [1, 3]);
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    let mut model = gemm();
    model.graph.initializer[0].float_data[4] = f32::NAN;
    let error = refusal(&model);
    assert!(matches!(&error, GraphError::NotFiniteWeight { tensor, index: 4, .. } if tensor == "w"), "{error}");
}

#[test]
fn weights_of_the_wrong_length_are_refused() {
    let mut model = gemm();
    model.graph.initializer[0].float_data.pop();
    assert_eq!(refusal(&model).code(), "tensor_data");
}

#[test]
fn shapes_beyond_the_limit_are_refused() {
    let model = Onnx::new().input("x", &[1, 1 << 30]).node("Relu", &["x"], "y", &[]).output("y");
    assert_eq!(refusal(&model).code(), "too_large");
}

#[test]
fn text_tensors_are_refused() {
    let model = Onnx::new().typed_input("x", &[1, 3], DataType::String).node("Identity", &["x"], "y", &[]).output("y");
    assert_eq!(refusal(&model).code(), "element_type");
}

#[test]
fn external_data_outside_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for location in ["../weights.bin", "/etc/hostname", "sub/../../weights.bin"] {
        let mut model = gemm();
        let weight = &mut model.graph.initializer[0];
        weight.float_data.clear();
        weight.data_location = Some(DataLocation::External as i32);
        weight.external_data = vec![StringStringEntryProto { key: "location".to_owned(), value: location.to_owned() }];
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, model.bytes()).unwrap();
        let error = OnnxModel::open(&path, &ImportOptions::default()).unwrap().lower().unwrap_err();
        assert!(error.to_string().contains("outside the model's folder"), "{error}");
    }
}

#[test]
fn external_data_beside_the_model_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = gemm();
    let weight = &mut model.graph.initializer[0];
    let bytes: Vec<u8> = weight.float_data.drain(..).flat_map(f32::to_le_bytes).collect();
    weight.data_location = Some(DataLocation::External as i32);
    weight.external_data = vec![StringStringEntryProto { key: "location".to_owned(), value: "w.bin".to_owned() }];
    std::fs::write(folder.path().join("w.bin"), bytes).unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, model.bytes()).unwrap();
    let float = OnnxModel::open(&path, &ImportOptions::default()).unwrap().lower().unwrap();
    assert_eq!(float.parameter_count(), 6);
}

fn spec(name: &str, shape: &[usize], element: Element) -> Vec<InputSpec> {
    vec![InputSpec { name: name.to_owned(), shape: shape.to_vec(), element }]
}

/// An archive of one array.
fn npz(name: &str, header: &str, data: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(b"\x93NUMPY\x01\x00").unwrap();
    writer.write_all(&u16::try_from(header.len()).unwrap().to_le_bytes()).unwrap();
    writer.write_all(header.as_bytes()).unwrap();
    writer.write_all(data).unwrap();
    writer.finish().unwrap().into_inner()
}

#[test]
fn data_comes_in_every_form() {
    let specs = spec("x", &[1, 2], Element::Real);
    let read = |text: &str| read_json(text.as_bytes(), "data.json", &specs).unwrap();
    let two = vec![Sample { inputs: vec![vec![1.0, 2.0]] }, Sample { inputs: vec![vec![3.0, 4.0]] }];
    assert_eq!(read(r#"{"x": [[1, 2]]}"#), two[..1]);
    assert_eq!(read(r#"{"x": [[[1, 2]], [[3, 4]]]}"#), two);
    assert_eq!(read(r#"{"x": [[1, 2], [3, 4]]}"#), two);
    assert_eq!(read(r#"{"input_data": [[1, 2]]}"#), two[..1]);
    assert_eq!(read(r#"{"input_data": [[1, 2, 3, 4]]}"#), two);
    let empty = read_json(
        br#"{"input_data": [[], [1, 2]]}"#,
        "data.json",
        &[spec("e", &[2, 0], Element::Real), spec("x", &[1], Element::Real)].concat(),
    );
    assert_eq!(empty.unwrap(), [1.0, 2.0].map(|x| Sample { inputs: vec![vec![], vec![x]] }));
    let infinite = [Sample { inputs: vec![vec![f64::NEG_INFINITY, 2.0]] }];
    assert_eq!(read(r#"{"x": [["-Infinity", 2]]}"#), infinite);
    assert_eq!(read(r#"{"a \\": "\"-Infinity\"", "x": [[-Infinity, 2]]}"#), infinite);
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 2), }\n";
    let data: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0].into_iter().flat_map(f32::to_le_bytes).collect();
    for name in ["x.npy", "x"] {
        let bytes = npz(name, header, &data);
        assert_eq!(read_npz(&bytes, "data.npz", &specs).unwrap(), two);
    }
}

#[test]
fn bad_data_is_refused_by_name() {
    let specs = spec("x", &[1, 2], Element::Real);
    for (text, code) in [
        ("not json", "data_format"),
        ("[1, 2]", "data_format"),
        (r#"{"z": [[1, 2]]}"#, "missing_input"),
        (r#"{"x": [[1, 2, 3]]}"#, "data_shape"),
        (r#"{"x": [[1, 2], [3]]}"#, "data_shape"),
        (r#"{"x": [[1, "two"]]}"#, "data_type"),
        (r#"{"x": [[1, null]]}"#, "data_type"),
        (r#"{"x": [[1, NaN]]}"#, "not_finite_input"),
        (r#"{"x": [[1, "Infinity"]]}"#, "not_finite_input"),
        (r#"{"x": [[1, NaNs]]}"#, "data_format"),
        (r#"{"input_data": [[1, 2], [3]]}"#, "input_count"),
        (r#"{"input_data": [[1, 2, 3]]}"#, "data_shape"),
    ] {
        let error = read_json(text.as_bytes(), "data.json", &specs).unwrap_err();
        assert_eq!(error.code(), code, "{text}: {error}");
    }
    let error = read_npz(b"no archive", "data.npz", &specs).unwrap_err();
    assert_eq!(error.code(), "data_format");
    let error = read_json(br#"{"x": [[1, 2.5]]}"#, "data.json", &spec("x", &[1, 2], Element::Integer)).unwrap_err();
    assert!(matches!(&error, GraphError::DataType { index: 1, expected: "an integer", .. }), "{error}");
}

#[test]
fn calibration_without_samples_is_refused() {
    let float = imported(&gemm().bytes(), &ImportOptions::default()).unwrap();
    assert_eq!(calibrate(&float, &[]).unwrap_err().code(), "no_samples");
}

#[test]
fn inputs_without_a_proof_are_refused_with_their_place() {
    let graph = compiled();
    let quantised = |values: &[f64]| quantise_inputs(&graph, &Sample { inputs: vec![values.to_vec()] });
    let error = quantised(&[0.0, f64::NAN, 0.0]).unwrap_err();
    assert!(matches!(&error, GraphError::NotFiniteInput { index: 1, .. }), "{error}");
    let error = quantised(&[0.0, 0.0, f64::NEG_INFINITY]).unwrap_err();
    assert!(matches!(&error, GraphError::NotFiniteInput { index: 2, .. }), "{error}");
    let error = quantised(&[0.0, 0.0, 99.0]).unwrap_err();
    assert!(matches!(&error, GraphError::InputRange { input, index: 2, value: 99.0, .. } if input == "x"), "{error}");
    assert!(error.to_string().contains("no proof exists"), "{error}");
    assert_eq!(quantised(&[0.0]).unwrap_err().code(), "input_length");
    assert_eq!(execute(&graph, &[]).unwrap_err().code(), "input_count");
    assert_eq!(execute(&graph, &[vec![0; 2]]).unwrap_err().code(), "input_length");
    let error = execute(&graph, &[vec![0, 1 << 20, 0]]).unwrap_err();
    assert!(matches!(&error, GraphError::OutOfRange { index: 1, value: 1_048_576, .. }), "{error}");
}

#[test]
fn a_value_beyond_its_calibrated_range_is_refused_with_its_tensor() {
    let float = imported(&gemm().bytes(), &ImportOptions::default()).unwrap();
    let near = [Sample { inputs: vec![vec![1.0, 0.0, 0.0]] }];
    let mut ranges = calibrate(&float, &near).unwrap();
    // The layer was calibrated on values a thousand times smaller than these inputs give.
    let layer = float.nodes[0].output.0;
    for r in [&mut ranges.tensors[layer], &mut ranges.before_activation[0]] {
        (r.lo, r.hi) = (r.lo / 1000.0, r.hi / 1000.0);
    }
    let graph = quantise(&float, &ranges, &QuantiseOptions::default()).unwrap();
    let inputs = quantise_inputs(&graph, &near[0]).unwrap();
    let error = execute(&graph, &inputs).unwrap_err();
    assert!(matches!(&error, GraphError::OutOfRange { tensor, .. } if tensor.starts_with('h')), "{error}");
}

#[test]
fn a_saved_graph_of_another_kind_or_version_is_refused() {
    let graph = compiled();
    let text = String::from_utf8(graph.to_json().unwrap()).unwrap();
    for changed in [
        text.replace("\"version\":1", "\"version\":2"),
        text.replace("vouch-integer-graph", "another"),
        "{}".to_owned(),
        text[..text.len() / 2].to_owned(),
    ] {
        assert_eq!(IntGraph::from_json(changed.as_bytes(), "graph.json").unwrap_err().code(), "graph_format");
    }
}

#[test]
fn a_graph_that_breaks_an_invariant_is_refused() {
    type Change = fn(&mut IntGraph);
    let changes: &[(&str, Change)] = &[
        ("an id out of range", |g| g.nodes[0].inputs[0] = TensorId(99)),
        ("a node before its input", |g| g.nodes.reverse()),
        ("a tensor defined twice", |g| g.nodes.push(g.nodes[0].clone())),
        ("a shape that disagrees", |g| g.tensors[0].shape = vec![1, 4]),
        ("an exponent out of range", |g| g.tensors[0].exponent = ScaleExp(1000)),
        ("a range that is too small", |g| g.tensors.last_mut().unwrap().range.hi -= 1),
        ("a short weight", |g| g.params[0].values.truncate(5)),
        ("no outputs", |g| g.outputs.clear()),
        ("a packing that is too narrow", |g| g.outputs[0].packing.bits = 8),
        ("a packing that overflows a word", |g| g.outputs[0].packing.per_word = 100),
        ("a shift beyond the limit", |g| {
            if let IntOp::Linear { rescale, .. } = &mut g.nodes[0].op {
                rescale.shift = 17;
            }
        }),
        ("a short table", |g| {
            for node in &mut g.nodes {
                if let IntOp::Function { table, .. } = &mut node.op {
                    table.pop();
                }
            }
        }),
    ];
    for (what, change) in changes {
        let mut graph = compiled();
        change(&mut graph);
        let error = graph.validate().expect_err(what);
        assert_eq!(error.code(), "invalid_graph", "{what}: {error}");
    }
}

#[test]
fn a_value_that_could_wrap_around_is_refused() {
    let mut graph = compiled();
    let mut append = |op: IntOp, reads: &[TensorId]| {
        let ranges: Vec<Interval> = reads.iter().map(|id| graph.tensor(*id).range).collect();
        let range = op.range(&ranges, &graph.params).output;
        let output = TensorId(graph.tensors.len());
        let tensor = IntTensor { name: format!("t{}", output.0), range, ..graph.tensor(reads[0]).clone() };
        graph.tensors.push(tensor);
        graph.nodes.push(IntNode { name: format!("n{}", output.0), op, inputs: reads.to_vec(), output });
        (graph.validate(), output)
    };
    let wide = IntOp::Affine { scale: vec![1 << 46], offset: vec![0], rescale: Rescale::EXACT };
    let (valid, wide) = append(wide, &[TensorId(0)]);
    assert!(valid.is_ok());
    // Both factors stay below 2^62, and so does the product behind its shift.
    let rescale = Rescale { shift: 16, kind: RescaleKind::Signed };
    let (refused, _) = append(IntOp::Mul { c: 1 << 10, rescale }, &[wide, wide]);
    let error = refused.unwrap_err();
    assert!(matches!(&error, GraphError::WrapsAround { bits, limit: 110, .. } if *bits > 110), "{error}");
}

/// A model's graph with one more operation, over tensors that the graph has.
fn extended(op: IntOp, reads: &[TensorId], len: usize) -> IntGraph {
    let mut graph = compiled();
    let ranges: Vec<Interval> = reads.iter().map(|id| graph.tensor(*id).range).collect();
    let range = op.range(&ranges, &graph.params).output;
    let output = TensorId(graph.tensors.len());
    let tensor = IntTensor { name: "extra".to_owned(), range, shape: vec![len], ..graph.tensor(reads[0]).clone() };
    graph.tensors.push(tensor);
    graph.nodes.push(IntNode { name: "extra".to_owned(), op, inputs: reads.to_vec(), output });
    graph
}

#[test]
fn terms_that_could_wrap_around_are_refused_even_where_they_cancel() {
    let mut graph = extended(IntOp::View { sources: vec![Source::Constant(1 << 61)] }, &[TensorId(0)], 1);
    graph.validate().unwrap();
    let constant = TensorId(graph.tensors.len() - 1);
    let op = IntOp::Add { ca: 1 << 61, cb: -(1 << 61), c: 0, rescale: Rescale::EXACT };
    let (output, range) = (TensorId(graph.tensors.len()), Interval::point(0));
    graph.tensors.push(IntTensor { name: "zero".to_owned(), range, ..graph.tensor(constant).clone() });
    graph.nodes.push(IntNode { name: "zero".to_owned(), op, inputs: vec![constant; 2], output });
    let error = graph.validate().unwrap_err();
    assert!(matches!(&error, GraphError::WrapsAround { bits: 123, limit: 110, .. }), "{error}");
}

#[test]
fn a_condition_that_is_no_bit_is_refused() {
    // The circuit would mix the two operands.
    let error = extended(IntOp::Select, &[TensorId(0), TensorId(0), TensorId(0)], 3).validate().unwrap_err();
    assert_eq!(error.code(), "invalid_graph");
    assert!(error.to_string().contains("its condition can be -32768 or 32767"), "{error}");
}

#[test]
fn a_test_of_values_beyond_its_bits_is_refused() {
    for (offset, refused) in [(1, false), (0, true)] {
        let wide = IntOp::Affine { scale: vec![2], offset: vec![offset], rescale: Rescale::EXACT };
        let mut graph = extended(wide, &[TensorId(0)], 3);
        let wide = TensorId(graph.tensors.len() - 1);
        let (range, output) = (Interval { lo: 0, hi: 1 }, TensorId(graph.tensors.len()));
        let op = IntOp::Indicator { condition: Condition::NonNegative };
        graph.tensors.push(IntTensor { name: "bit".to_owned(), range, ..graph.tensor(wide).clone() });
        graph.nodes.push(IntNode { name: "bit".to_owned(), op, inputs: vec![wide], output });
        match graph.validate() {
            Ok(()) => assert!(!refused, "offset {offset}"),
            Err(error) => assert!(refused && error.to_string().contains("it tests values up to 65536"), "{error}"),
        }
    }
}

#[test]
fn a_denominator_beyond_its_bits_is_refused() {
    let wide = IntOp::Affine { scale: vec![1 << 15], offset: vec![0], rescale: Rescale::EXACT };
    let mut graph = extended(wide, &[TensorId(0)], 3);
    let (wide, zero) = (TensorId(graph.tensors.len() - 1), TensorId(graph.tensors.len()));
    let constant = IntOp::View { sources: vec![Source::Constant(0); 3] };
    graph.tensors.push(IntTensor { name: "zero".to_owned(), range: Interval::point(0), ..graph.tensor(wide).clone() });
    graph.nodes.push(IntNode { name: "zero".to_owned(), op: constant, inputs: vec![], output: zero });
    graph.validate().unwrap();
    let op = IntOp::Div { shift: 0 };
    for (scale, refused) in [(1i64 << 15, false), ((1 << 15) + 2, true)] {
        let mut graph = graph.clone();
        let at = graph.nodes.len() - 2;
        graph.nodes[at].op = IntOp::Affine { scale: vec![scale], offset: vec![0], rescale: Rescale::EXACT };
        graph.tensors[wide.0].range = graph.nodes[at].op.range(&[graph.tensors[0].range], &[]).output;
        let range = op.range(&[Interval::point(0), graph.tensor(wide).range], &[]).output;
        let output = TensorId(graph.tensors.len());
        graph.tensors.push(IntTensor { name: "quotient".to_owned(), range, ..graph.tensor(wide).clone() });
        graph.nodes.push(IntNode { name: "quotient".to_owned(), op: op.clone(), inputs: vec![zero, wide], output });
        match graph.validate() {
            Ok(()) => assert!(!refused, "a denominator of up to 2^30 - 2^15"),
            Err(error) => {
                assert!(refused && error.to_string().contains("its denominator can be"), "{error}");
            }
        }
    }
}

#[test]
fn a_maximum_of_values_that_may_be_far_apart_is_refused() {
    let wide = IntOp::Affine { scale: vec![2], offset: vec![0], rescale: Rescale::EXACT };
    let mut graph = extended(wide, &[TensorId(0)], 3);
    let (wide, output) = (TensorId(graph.tensors.len() - 1), TensorId(graph.tensors.len()));
    let tensor = IntTensor { name: "most".to_owned(), shape: vec![1], ..graph.tensor(wide).clone() };
    graph.tensors.push(tensor);
    graph.nodes.push(IntNode { name: "most".to_owned(), op: IntOp::Max { group: 3 }, inputs: vec![wide], output });
    let error = graph.validate().unwrap_err();
    assert!(error.to_string().contains("it compares values up to 131070 apart"), "{error}");
}

#[test]
fn a_softmax_of_scores_far_apart_divides_by_no_negative_exponential() {
    for reach in [4.0, 300.0, 5000.0, 1e6] {
        let model = Onnx::new().input("x", &[1, 4]).node("Softmax", &["x"], "y", &[]).output("y");
        let float = imported(&model.bytes(), &ImportOptions::default()).unwrap();
        let scores = [[1.0, -1.0, 0.5, 0.25], [-1.0, 1.0, 0.0, 1.0], [0.0; 4]];
        let samples = scores.map(|row| Sample { inputs: vec![row.map(|x| x * reach).to_vec()] });
        let graph = quantised(&float, &samples).unwrap();
        let table = graph.nodes.iter().find_map(|node| match &node.op {
            IntOp::Function { table, .. } => Some(table),
            _ => None,
        });
        let least = *table.unwrap().iter().min().unwrap();
        assert!(least >= 0, "scores up to {reach}: {least}");
        for sample in &samples {
            let inputs = quantise_inputs(&graph, sample).unwrap();
            let trace = execute(&graph, &inputs).unwrap_or_else(|error| panic!("scores up to {reach}: {error}"));
            let shares = trace.tensor(graph.outputs[0].tensor);
            let total: i64 = shares.iter().sum();
            assert!((total - (1 << 14)).abs() <= 2, "scores up to {reach}: {shares:?} add up to one");
        }
    }
}
