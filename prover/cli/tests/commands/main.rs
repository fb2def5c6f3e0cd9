//! The command as a user runs it, on the rebalancer model of the repository.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audit;
mod bad_input;
mod fix;
mod input_bits;
/// The builder of small models that the tests of `vouch-graph` use.
#[path = "../../../graph/tests/it/onnx/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod onnx;
mod refusal;
mod statement;
mod whole_path;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use serde_json::Value;
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of the rebalancer model.
fn model_file(name: &str) -> PathBuf {
    root().join("models/rebalancer").join(name)
}

/// Runs `vouch` in the repository.
fn vouch<A: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = A>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vouch")).args(args).current_dir(root()).output().expect("vouch starts")
}

/// Runs `vouch … --json`, which must succeed.
fn json(args: &[&str]) -> Value {
    let output = vouch(args.iter().copied().chain(["--json"]));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "vouch {args:?}: {text} {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("vouch {args:?} printed {text}: {error}"))
}

/// The rebalancer, compiled with public weights and set up, made once for all tests.
fn prepared() -> &'static Path {
    static PREPARED: OnceLock<TempDir> = OnceLock::new();
    let dir = PREPARED.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rebalancer");
        compile(&path, &["--params", "public"]);
        json(&["setup", path.to_str().unwrap(), "--insecure-dev-srs"]);
        dir
    });
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| dir.path().join("rebalancer"))
}

/// Compiles the rebalancer into `out`.
fn compile(out: &Path, more: &[&str]) -> Value {
    let (model, calibration) = (model_file("model.onnx"), model_file("calibration.json"));
    let fixed = [
        "compile",
        model.to_str().unwrap(),
        "--calibrate",
        calibration.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ];
    json(&[&fixed[..], more].concat())
}
