//! Bad input gets one clear sentence with the remedy, exit code 1 and no file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    model_file,
    onnx::Onnx,
    prepared,
    refusal::{assert_mentions, refusal},
    root, vouch,
};

/// Runs a command that must be refused; its error's code and sentence.
fn refused(args: &[&str]) -> (String, String) {
    let refusal = refusal(args, &vouch(args.iter().copied().chain(["--json"])));
    // People see the same on standard error, and nothing else.
    let plain = vouch(args);
    assert_eq!(String::from_utf8_lossy(&plain.stderr).lines().count(), 1, "vouch {args:?}");
    refusal
}

/// Compiles an ONNX file into a folder that must not appear.
fn compile_refused(model: &Path) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let calibration = model_file("calibration.json");
    let result = refused(&[
        "compile",
        model.to_str().unwrap(),
        "--calibrate",
        calibration.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ]);
    assert!(!out.exists());
    result
}

/// Proves with an input that must be refused.
fn prove_refused(input: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("input.json"), folder.path().join("proof.json"));
    fs::write(&file, input).unwrap();
    let result = refused(&[
        "prove",
        prepared().to_str().unwrap(),
        "--input",
        file.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ]);
    assert!(!out.exists());
    result
}

/// A copy of the prepared model whose files may be spoiled.
fn copy_of_prepared() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("model");
    fs::create_dir(&dir).unwrap();
    for entry in fs::read_dir(prepared()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
    }
    (folder, dir)
}

fn prove_in(dir: &Path) -> (String, String) {
    let out = dir.join("proof.json");
    let input = model_file("input.json");
    let result =
        refused(&["prove", dir.to_str().unwrap(), "--input", input.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert!(!out.exists());
    result
}

#[test]
fn a_file_that_is_no_model_is_refused() {
    let (code, sentence) = compile_refused(&root().join("README.md"));
    assert_eq!(code, "not_onnx");
    assert_mentions(&sentence, &["README.md", "export"]);
}

/// Compiles a model that was built in memory.
fn onnx_refused(model: &Onnx) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    fs::write(&file, model.bytes()).unwrap();
    compile_refused(&file)
}

#[test]
fn a_weight_that_is_no_number_is_refused() {
    let model = Onnx::new()
        .input("x", &[1, 2])
        .weight("w", &[2, 1], &[0.5, f32::NAN])
        .node("MatMul", &["x", "w"], "y", &[])
        .output("y");
    let (code, sentence) = onnx_refused(&model);
    assert_eq!(code, "not_finite_weight", "{sentence}");
    assert_mentions(&sentence, &["`w`", "NaN", "index 1"]);
}

#[test]
fn an_unsupported_operator_is_refused_with_its_node() {
    let model = Onnx::new().input("x", &[1, 3]).node("ImageDecoder", &["x"], "y", &[]).output("y");
    let (code, sentence) = onnx_refused(&model);
    assert_eq!(code, "unsupported_operator", "{sentence}");
    assert_mentions(&sentence, &["ImageDecoder_y", "ImageDecoder"]);
}

#[test]
fn an_operator_whose_output_has_no_fixed_size_is_refused_with_the_option_that_settles_it() {
    let model = Onnx::new().input("x", &[1, 3]).node("NonZero", &["x"], "y", &[]).output("y");
    let (code, sentence) = onnx_refused(&model);
    assert_eq!(code, "needs_constant", "{sentence}");
    assert_mentions(&sentence, &["NonZero_y", "`x`", "--fix x"]);
}

#[test]
fn a_dynamic_shape_is_refused_with_the_option_that_settles_it() {
    let model = Onnx::new().input("x", &[1, 0]).node("Relu", &["x"], "y", &[]).output("y");
    let (code, sentence) = onnx_refused(&model);
    assert_eq!(code, "dynamic_shape", "{sentence}");
    assert_mentions(&sentence, &["`x`", "--input-shape"]);
}

#[test]
fn inputs_of_a_wrong_name_shape_type_or_range_are_refused() {
    let ticks = |value: &str| format!("{{\"ticks\": [[{}]]}}", vec![value; 32].join(", "));
    let (_, sentence) = prove_refused("{\"prices\": [[1, 2]]}");
    assert_mentions(&sentence, &["ticks", "prices"]);
    let (_, sentence) = prove_refused("{\"ticks\": [[1, 2]]}");
    assert_mentions(&sentence, &["ticks", "32"]);
    let (_, sentence) = prove_refused(&ticks("0.5"));
    assert_mentions(&sentence, &["ticks", "integer"]);
    let (_, sentence) = prove_refused(&ticks("\"high\""));
    assert_mentions(&sentence, &["ticks"]);
    let (_, sentence) = prove_refused(&ticks("9000000"));
    assert_mentions(&sentence, &["ticks", "index 0", "8388607"]);
    let (_, sentence) = prove_refused("not json");
    assert_mentions(&sentence, &["JSON"]);
}

#[test]
fn a_model_without_keys_and_a_folder_without_a_model_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (code, sentence) = prove_in(folder.path());
    assert_eq!(code, "not_compiled");
    assert_mentions(&sentence, &["vouch compile"]);
    let (_folder, dir) = copy_of_prepared();
    fs::remove_file(dir.join("proving.key")).unwrap();
    let (code, sentence) = prove_in(&dir);
    assert_eq!(code, "not_set_up");
    assert_mentions(&sentence, &["vouch setup"]);
}

#[test]
fn damaged_and_foreign_keys_are_refused() {
    let (_folder, dir) = copy_of_prepared();
    let key = dir.join("proving.key");
    let bytes = fs::read(&key).unwrap();
    fs::write(&key, &bytes[..bytes.len() / 2]).unwrap();
    let (_, sentence) = prove_in(&dir);
    assert_mentions(&sentence, &["proving.key", "bytes long"]);
    let mut flipped = bytes.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    fs::write(&key, flipped).unwrap();
    let (_, sentence) = prove_in(&dir);
    assert_mentions(&sentence, &["proving.key", "damaged"]);
    fs::write(&key, bytes).unwrap();
    // Another model's plan: the key was not made for it.
    super::compile(&dir, &["--params", "public", "--headroom", "1.3"]);
    let (_, sentence) = prove_in(&dir);
    assert_mentions(&sentence, &["proving.key", "circuit", "setup"]);
}

#[test]
fn other_powers_of_tau_than_the_keys_are_refused() {
    let (_folder, dir) = copy_of_prepared();
    let powers = dir.join("powers.srs");
    let out = vouch(["srs", "new", "--k", "8", "--out", powers.to_str().unwrap()]);
    assert!(out.status.success());
    let (_, sentence) = prove_in(&dir);
    assert_mentions(&sentence, &["powers.srs"]);
    let (_, sentence) = refused(&["setup", dir.to_str().unwrap(), "--srs", powers.to_str().unwrap()]);
    assert_mentions(&sentence, &["2^"]);
    let readme = root().join("README.md");
    let (_, sentence) = refused(&["setup", dir.to_str().unwrap(), "--srs", readme.to_str().unwrap()]);
    assert_mentions(&sentence, &["README.md"]);
}

#[test]
fn a_missing_compiler_is_refused_before_the_keys_are_made() {
    let (_folder, dir) = copy_of_prepared();
    let (_, sentence) = refused(&["setup", dir.to_str().unwrap(), "--insecure-dev-srs", "--solc", "/nowhere/solc"]);
    assert_mentions(&sentence, &["/nowhere/solc"]);
}

#[test]
fn a_bad_context_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("proof.json");
    let input = model_file("input.json");
    for context in ["0xzz", &format!("0x{}", "f".repeat(64)), &format!("0x{}", "0".repeat(66))] {
        let (code, sentence) = refused(&[
            "prove",
            prepared().to_str().unwrap(),
            "--input",
            input.to_str().unwrap(),
            "--context",
            context,
            "--out",
            out.to_str().unwrap(),
        ]);
        assert_eq!(code, "bad_context", "{sentence}");
        assert!(!out.exists());
    }
}

#[test]
fn bad_usage_exits_with_two() {
    assert_eq!(vouch(["prove"]).status.code(), Some(2));
    assert_eq!(vouch(["no-such-command"]).status.code(), Some(2));
}
