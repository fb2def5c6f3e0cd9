//! What the tests of the whole workspace share: where things are.
//!
//! `tests/repository` holds the rules that the source tree keeps; [`demo`] is the main job end to end, which
//! `script/demo` tells as a story and a test asserts; [`conformance`] runs ONNX's own test cases; [`fuzz`]
//! makes bad input; [`real`] measures trained models.

pub mod conformance;
pub mod demo;
pub mod fuzz;
pub mod real;

use std::path::{Path, PathBuf};

/// Root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// A file or folder of the reference material beside the workspace, `None` where it is absent: the test then says
/// so and returns.
#[must_use]
pub fn shared(path: impl AsRef<Path>) -> Option<PathBuf> {
    let found = root().join("../shared").join(path);
    found.exists().then_some(found)
}
