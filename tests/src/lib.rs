//! What the tests of the whole workspace share: where things are.
//!
//! `tests/repository` holds the rules that the source tree keeps; [`demo`] is the main job end to end, which
//! `script/demo` tells as a story and a test asserts; [`conformance`] runs ONNX's own test cases; [`fuzz`]
//! makes bad input; [`real`] measures trained models.

pub mod conformance;
pub mod demo;
pub mod fuzz;
pub mod real;

use std::{
    fs,
    path::{Path, PathBuf},
};

use eyre::{Result, WrapErr, eyre};

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

/// A page of the workspace with other content between its lines `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
///
/// # Errors
/// Where the page is absent or lacks these lines.
pub fn page_with(page: &str, name: &str, content: &str) -> Result<String> {
    let text = fs::read_to_string(root().join(page)).wrap_err_with(|| page.to_owned())?;
    let [begin, end] = ["begin", "end"].map(|part| format!("<!-- {name}:{part} -->\n"));
    let marks = || eyre!("{page} needs the lines {begin}and {end}");
    let (before, rest) = text.split_once(&begin).ok_or_else(marks)?;
    let (_, after) = rest.split_once(&end).ok_or_else(marks)?;
    Ok(format!("{before}{begin}{content}{end}{after}"))
}
