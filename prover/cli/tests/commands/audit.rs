//! Errors by layer, and inputs on which the models disagree.

use std::fs;

use tract_onnx::pb::tensor_proto::DataType;

use super::{
    compile, json, model_file,
    onnx::Onnx,
    refusal::{assert_mentions, refusal},
    root, vouch,
};

/// Arguments of an audit of the rebalancer on its test data.
fn rebalancer(more: &[&str]) -> Vec<String> {
    let (folder, data) = (root().join("models/rebalancer"), model_file("test.json"));
    let fixed = ["audit", folder.to_str().unwrap(), "--data", data.to_str().unwrap()];
    fixed.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
}

fn audit(more: &[&str]) -> serde_json::Value {
    let args = rebalancer(more);
    json(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn refused(more: &[&str]) -> (String, String) {
    let args = [rebalancer(more), vec!["--json".to_owned()]].concat();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    refusal(&args, &vouch(&args))
}

#[test]
fn compile_says_where_error_enters_and_draws_it() {
    let folder = tempfile::tempdir().unwrap();
    let (out, page) = (folder.path().join("model"), folder.path().join("errors.html"));
    let compiled = compile(&out, &["--html", page.to_str().unwrap()]);
    let accuracy: serde_json::Value = serde_json::from_slice(&fs::read(out.join("accuracy.json")).unwrap()).unwrap();
    let layers = accuracy["layers"].as_array().unwrap();
    let worst = layers.iter().map(|l| l["at_outputs"].as_f64().unwrap()).fold(0.0, f64::max);
    let enters = layers.iter().find(|l| l["name"] == compiled["error_enters_at"]).unwrap();
    assert_eq!(enters["at_outputs"], worst);
    for key in ["max_abs", "mean_abs", "rms", "relative"] {
        assert!(enters[key].as_f64().unwrap() > 0.0, "{key}");
    }
    assert!(enters["own"]["rms"].as_f64().unwrap() > 0.0);
    assert!(!accuracy["outputs"][0]["histogram"]["counts"].as_array().unwrap().is_empty());
    let html = fs::read_to_string(page).unwrap();
    assert!(html.contains("<svg") && html.contains("most error enters here"));
    assert!(html.contains(enters["name"].as_str().unwrap()));
    assert!(!html.contains("<script") && !html.contains("http"), "the page needs nothing else");
}

#[test]
fn compile_guarantees_an_error_and_refuses_more_than_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (out, page) = (folder.path().join("model"), folder.path().join("errors.html"));
    let compiled = compile(&out, &["--html", page.to_str().unwrap(), "--max-bound", "0.02"]);
    let guaranteed = compiled["guaranteed_error"].as_f64().unwrap();
    assert!(compiled["max_abs_error"].as_f64().unwrap() < guaranteed && guaranteed < 0.02);
    let accuracy: serde_json::Value = serde_json::from_slice(&fs::read(out.join("accuracy.json")).unwrap()).unwrap();
    let output = &accuracy["guaranteed"]["outputs"][0];
    assert_eq!((&output["bound"], &output["reason"]), (&compiled["guaranteed_error"], &serde_json::Value::Null));
    let table = &accuracy["guaranteed"]["tables"][0];
    assert!(table["units_in_range"].as_f64() <= table["units"].as_f64());
    let html = fs::read_to_string(page).unwrap();
    assert!(html.contains("guaranteed error") && html.contains("Tables of functions"));

    let (model, calibration) = (model_file("model.onnx"), model_file("calibration.json"));
    let (model, calibration) = (model.to_str().unwrap(), calibration.to_str().unwrap());
    let refused = folder.path().join("refused");
    let args =
        ["compile", model, "--calibrate", calibration, "--out", refused.to_str().unwrap(), "--max-bound", "1e-4"];
    let args: Vec<&str> = args.into_iter().chain(["--json"]).collect();
    let (code, sentence) = refusal(&args, &vouch(&args));
    assert_eq!(code, "bound_too_large");
    assert_mentions(&sentence, &["the guaranteed error is 0.00", "above 0.0001"]);
    assert!(!refused.exists(), "a refused model leaves nothing behind");
}

#[test]
fn an_audit_counts_disagreements_and_writes_inputs_that_check_reads() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("worst.json");
    let more = ["--threshold", "0.5", "--tries", "600", "--worst", "2", "--out", out.to_str().unwrap()];
    let audited = audit(&more);
    assert_eq!(audited["samples"].as_u64().unwrap() + audited["refused"].as_u64().unwrap(), 192);
    assert_eq!(audited["decision"], "threshold");
    assert_eq!(audited["search"]["tries"], 600);
    assert!(audited["largest_error"].as_f64() >= audited["errors"]["max"].as_f64());
    assert_eq!(audit(&more)["search"], audited["search"], "a seed repeats");
    let written: serde_json::Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    let rows = written["ticks"].as_array().unwrap().len();
    let (model, calibration) = (model_file("model.onnx"), model_file("calibration.json"));
    let check = |sample: usize| {
        let sample = sample.to_string();
        let (model, calibration) = (model.to_str().unwrap(), calibration.to_str().unwrap());
        let args = ["check", model, "--calibrate", calibration, "--input", out.to_str().unwrap(), "--sample", &sample];
        args.map(str::to_owned)
    };
    let args = check(rows - 1);
    let checked = json(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(checked["satisfied"], true);
    let args = check(rows);
    let args: Vec<&str> = args.iter().map(String::as_str).chain(["--json"]).collect();
    let (code, sentence) = refusal(&args, &vouch(&args));
    assert_eq!(code, "sample_count", "{sentence}");
}

#[test]
fn an_audit_takes_a_compiled_folder_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model");
    compile(&out, &["--headroom", "4"]);
    let compiled = audit(&["--compiled", out.to_str().unwrap(), "--tries", "0"]);
    let anew = audit(&["--headroom", "4", "--tries", "0"]);
    assert_eq!(compiled["errors"], anew["errors"]);
    let (code, _) = refused(&["--compiled", model_file("").to_str().unwrap()]);
    assert_eq!(code, "not_compiled");
}

#[test]
fn an_audit_refuses_what_is_asked_of_it() {
    let (code, sentence) = refused(&["--tries", "50", "--max-error", "1e-12"]);
    assert_eq!(code, "too_inaccurate");
    assert_mentions(&sentence, &["in the search", "0.000000000001"]);
    let (code, sentence) = refused(&["--tries", "0", "--min-agreement", "0.9"]);
    assert_eq!(code, "no_decision");
    assert_mentions(&sentence, &["--threshold"]);
    let args = ["--threshold", "0.5", "--tries", "0", "--min-agreement", "1.5"];
    let (code, sentence) = refused(&args);
    assert_eq!(code, "too_little_agreement");
    assert_mentions(&sentence, &["of the samples", "1.5"]);
}

#[test]
fn an_audit_without_a_model_or_calibration_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = model_file("input.json");
    let data = data.to_str().unwrap();
    let args = ["audit", folder.path().to_str().unwrap(), "--data", data, "--json"];
    let (code, sentence) = refusal(&args, &vouch(args));
    assert_eq!(code, "no_model");
    assert_mentions(&sentence, &["--compiled"]);
    let model = model_file("model.onnx");
    let args = ["audit", model.to_str().unwrap(), "--data", data, "--json"];
    let (code, sentence) = refusal(&args, &vouch(args));
    assert_eq!(code, "no_calibration");
    assert_mentions(&sentence, &["--calibrate"]);
}

#[test]
fn an_audit_fixes_inputs_and_keeps_those_of_a_compiled_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (model, data, out, dir) = (path("model.onnx"), path("data.json"), path("worst.json"), path("compiled"));
    let onnx = Onnx::new()
        .input("x", &[1, 4])
        .typed_input("shape", &[2], DataType::Int64)
        .node("Sigmoid", &["x"], "s", &[])
        .node("Reshape", &["s", "shape"], "y", &[])
        .output("y");
    fs::write(&model, onnx.bytes()).unwrap();
    fs::write(&data, r#"{"x": [[0, 1, 2, 3], [3, 1, 0, -2]], "shape": [[2, 2], [2, 2]]}"#).unwrap();
    let anew =
        ["audit", &model, "--calibrate", &data, "--data", &data, "--fix", "auto", "--tries", "50", "--out", &out];
    let anew = json(&anew);
    assert_eq!((&anew["samples"], &anew["decision"]), (&2.into(), &"arg_max".into()));
    let written: serde_json::Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert!(written["x"].is_array() && written.get("shape").is_none());
    let source = [model.as_str(), "--calibrate", &data, "--fix", "shape"];
    let checked = json(&[&["check"], &source[..], &["--input", &out, "--sample", "0"]].concat());
    assert_eq!(checked["satisfied"], true);
    json(&[&["compile"], &source[..], &["--out", &dir]].concat());
    let compiled = json(&["audit", &model, "--compiled", &dir, "--data", &data, "--tries", "0"]);
    assert_eq!(compiled["errors"], anew["errors"]);
}
