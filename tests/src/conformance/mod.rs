//! The ONNX backend node tests: which operators work, case by case.
//!
//! A case is a small model with an input and the outputs that the ONNX reference gives. It passes where the model
//! compiles, calibrated on that input, the constraints hold and the outputs are those expected ([`compare`](mod@compare)).
//! `script/conformance` writes the cases and runs them, the binary `conformance` is its harness.

pub mod case;
pub mod compare;
pub mod gadgets;
pub mod manifest;
pub mod page;
pub mod results;
pub mod schedule;
pub mod stages;
pub mod summary;

use std::path::PathBuf;

use crate::root;

/// Where the cases are listed and the record of those that pass is kept.
#[must_use]
pub fn record_folder() -> PathBuf {
    root().join("tests/conformance")
}

/// Where cases and results are written.
#[must_use]
pub fn work_folder() -> PathBuf {
    root().join("target/conformance")
}
