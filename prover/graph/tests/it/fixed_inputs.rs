//! Inputs that become constants of a model, and data files that have them or not.

use crate::onnx;

use std::{fs, path::PathBuf};

use onnx::Onnx;
use tract_onnx::pb::tensor_proto::DataType;
use vouch_graph::{
    GraphError,
    data::{constant_of, read_file_of},
    import::{ImportOptions, OnnxModel},
};

/// `y = reshape(x, shape) + bias`, all three inputs.
fn model() -> Onnx {
    Onnx::new()
        .input("x", &[2, 3])
        .typed_input("shape", &[2], DataType::Int64)
        .input("bias", &[1])
        .node("Reshape", &["x", "shape"], "r", &[])
        .node("Add", &["r", "bias"], "y", &[])
        .output("y")
}

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model.onnx"), model().bytes()).unwrap();
        Self { folder }
    }

    fn model(&self) -> PathBuf {
        self.folder.path().join("model.onnx")
    }

    fn data(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("data.json");
        fs::write(&path, text).unwrap();
        path
    }
}

const NAMES: [&str; 3] = ["x", "shape", "bias"];

fn names() -> Vec<String> {
    NAMES.map(str::to_owned).to_vec()
}

#[test]
fn structure_becomes_constant_and_the_rest_stays_live() {
    let files = Files::new();
    let mut asked = Vec::new();
    let lowered = OnnxModel::open_fixing(&files.model(), ImportOptions::default(), |name| {
        asked.push(name.to_owned());
        Ok::<_, GraphError>(Some(vec![3.0, 2.0]))
    })
    .unwrap();
    assert_eq!(asked, ["shape"]);
    assert_eq!(lowered.fixed["shape"], [3.0, 2.0]);
    let specs = lowered.graph.input_specs();
    assert_eq!(specs.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["x", "bias"]);
    assert_eq!(lowered.graph.tensor(lowered.graph.outputs[0]).shape, [3, 2]);
}

#[test]
fn what_has_no_value_is_refused_with_the_input() {
    let files = Files::new();
    let refused = OnnxModel::open_fixing(&files.model(), ImportOptions::default(), |_| Ok::<_, GraphError>(None));
    let sentence = refused.unwrap_err().to_string();
    assert!(sentence.contains("--fix shape"), "{sentence}");
}

#[test]
fn a_model_without_an_input_that_is_left_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = Onnx::new().typed_input("shape", &[1], DataType::Int64);
    let model = model.node("ConstantOfShape", &["shape"], "y", &[]).output("y");
    fs::write(folder.path().join("model.onnx"), model.bytes()).unwrap();
    let read = |_: &str| Ok::<_, GraphError>(Some(vec![2.0]));
    let refused = OnnxModel::open_fixing(&folder.path().join("model.onnx"), ImportOptions::default(), read);
    let error = refused.unwrap_err();
    assert_eq!(error.code(), "nothing_live", "{error}");
}

#[test]
fn a_value_has_to_be_the_same_in_every_sample() {
    let files = Files::new();
    let specs = OnnxModel::open(&files.model(), &ImportOptions::default()).unwrap().input_specs().unwrap();
    let shape = &specs[1];
    let data =
        files.data(r#"{"x": [[[1,2,3],[4,5,6]], [[1,2,3],[4,5,6]]], "shape": [[3,2],[3,2]], "bias": [[0],[1]]}"#);
    assert_eq!(constant_of(&data, shape, &names()).unwrap(), [3.0, 2.0]);
    let sentence = constant_of(&data, &specs[2], &names()).unwrap_err().to_string();
    assert!(sentence.contains("`bias`") && sentence.contains("sample 1"), "{sentence}");
    let data = files.data(r#"{"x": [[[1,2,3],[4,5,6]]]}"#);
    let sentence = constant_of(&data, shape, &names()).unwrap_err().to_string();
    assert!(sentence.contains("`shape`"), "{sentence}");
}

#[test]
fn data_may_have_constant_inputs_or_leave_them_out() {
    let files = Files::new();
    let lowered =
        OnnxModel::open_fixing(&files.model(), ImportOptions::default(), |_| Ok::<_, GraphError>(Some(vec![3.0, 2.0])));
    let specs = lowered.unwrap().graph.input_specs();
    for text in [
        r#"{"x": [[[1,2,3],[4,5,6]]], "shape": [[3,2]], "bias": [[0.5]]}"#,
        r#"{"x": [[[1,2,3],[4,5,6]]], "bias": [[0.5]]}"#,
        r#"{"input_data": [[1,2,3,4,5,6], [3,2], [0.5]]}"#,
        r#"{"input_data": [[1,2,3,4,5,6], [0.5]]}"#,
    ] {
        let samples = read_file_of(&files.data(text), &specs, &names()).unwrap();
        assert_eq!(samples.len(), 1, "{text}");
        assert_eq!(samples[0].inputs, [vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![0.5]], "{text}");
    }
    let short = files.data(r#"{"input_data": [[1,2,3,4,5,6]]}"#);
    assert!(matches!(read_file_of(&short, &specs, &names()), Err(GraphError::InputCount { .. })));
}
