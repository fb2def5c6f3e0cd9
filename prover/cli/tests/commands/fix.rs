//! Inputs that become constants of the model.

use std::{fs, path::PathBuf};

use serde_json::json;
use tract_onnx::pb::tensor_proto::DataType;

use super::{json, onnx::Onnx, refusal::refusal, vouch};

/// A model whose second input is a shape, its calibration data and one input without that shape.
struct Case {
    _folder: tempfile::TempDir,
    model: PathBuf,
    data: PathBuf,
    input: PathBuf,
    out: PathBuf,
}

fn case(shapes: &serde_json::Value) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let model = Onnx::new()
        .input("x", &[2, 3])
        .typed_input("shape", &[2], DataType::Int64)
        .node("Reshape", &["x", "shape"], "r", &[])
        .node("Relu", &["r"], "y", &[])
        .output("y");
    fs::write(path("model.onnx"), model.bytes()).unwrap();
    let samples = json!([[[1, 2, 3], [4, 5, 6]], [[-1, 0.5, 3], [0, 0, 1]]]);
    fs::write(path("data.json"), json!({ "x": samples, "shape": shapes }).to_string()).unwrap();
    fs::write(path("input.json"), json!({ "x": samples[0] }).to_string()).unwrap();
    let [model, data, input, out] = ["model.onnx", "data.json", "input.json", "out"].map(path);
    Case { _folder: folder, model, data, input, out }
}

impl Case {
    fn args<'a>(&'a self, command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let own = [command, self.model.to_str().unwrap(), "--calibrate", self.data.to_str().unwrap()];
        own.into_iter().chain(more.iter().copied()).collect()
    }
}

#[test]
fn an_input_that_is_structure_is_fixed_by_name_or_as_needed() {
    let case = case(&json!([[3, 2], [3, 2]]));
    for fix in ["auto", "shape"] {
        let input = case.input.to_str().unwrap();
        let report = json(&case.args("check", &["--input", input, "--fix", fix]));
        assert_eq!(report["fixed"], json!({ "shape": [3.0, 2.0] }));
        assert_eq!(report["outputs"]["y"]["shape"], json!([3, 2]));
    }
    let report = json(&case.args("compile", &["--out", case.out.to_str().unwrap(), "--fix", "auto"]));
    assert_eq!(report["fixed"], json!({ "shape": [3.0, 2.0] }));
    let kept = fs::read_to_string(case.out.join("inputs.json")).unwrap();
    assert!(kept.contains("shape"), "{kept}");
}

#[test]
fn an_input_that_varies_or_is_none_is_not_fixed() {
    let case = case(&json!([[3, 2], [2, 3]]));
    let refused = |more: &[&str]| {
        let args = case.args("check", &[&["--input", case.input.to_str().unwrap()], more].concat());
        refusal(&args, &vouch(args.iter().copied().chain(["--json"])))
    };
    let (code, sentence) = refused(&["--fix", "auto"]);
    assert_eq!(code, "input_varies", "{sentence}");
    assert!(sentence.contains("`shape`"), "{sentence}");
    assert_eq!(refused(&["--fix", "shapes"]).0, "unknown_input");
    assert_eq!(refused(&[]).0, "needs_constant");
}
