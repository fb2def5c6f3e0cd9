//! Trained models on data that was held back: what each file of `models/real` comes to, from its import to a proof.
//!
//! A form is one ONNX file of a model: several exporters wrote most of them. Each is compiled with its calibration data
//! and runs on all of its test data, as the float model and as integers. `script/real-models` runs the binary
//! `real_models`, which is the harness.

pub mod form;
pub mod manifest;
pub mod measure;
pub mod page;
pub mod proof;
pub mod record;
pub mod schedule;
pub mod score;

use std::path::PathBuf;

use crate::root;

/// Where the models are.
#[must_use]
pub fn folder() -> PathBuf {
    root().join("models/real")
}

/// Where the files of models that a package ships are, once their `fetch.py` has run.
#[must_use]
pub fn fetched() -> PathBuf {
    root().join("target/real")
}
