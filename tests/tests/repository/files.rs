//! The files that people wrote.

use std::{
    fs,
    path::{Path, PathBuf},
};

use vouch_tests::root;

/// Folders that tools fill, wherever they are.
const GENERATED: [&str; 9] =
    [".git", ".venv", "__pycache__", "artifacts", "fixtures", "generated", "node_modules", "target", "vectors"];
/// Folders that tools fill, from the root.
const GENERATED_AT: [&str; 2] = ["contracts/cache", "contracts/out"];
/// Kinds of text that people write. Files without an extension are scripts and licences.
const WRITTEN: [&str; 11] = ["rs", "sol", "py", "mjs", "sh", "md", "toml", "css", "sql", "html", ""];

/// A file with its path from the root.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Written {
    pub(crate) fn extension(&self) -> &str {
        self.path.extension().and_then(|e| e.to_str()).unwrap_or_default()
    }
}

/// Every file that somebody wrote by hand.
pub(crate) fn written() -> Vec<Written> {
    let mut files = Vec::new();
    collect(&root(), Path::new(""), &mut files);
    assert!(files.len() > 50, "only {} files were found, the walk is broken", files.len());
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<Written>) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        let name = entry.file_name();
        if entry.file_type().unwrap().is_dir() {
            let generated = GENERATED.iter().any(|g| name == *g) || GENERATED_AT.iter().any(|g| path == Path::new(g));
            if !generated {
                collect(root, &path, files);
            }
        } else if WRITTEN.iter().any(|kind| path.extension().unwrap_or_default() == *kind) {
            // What is no text has no lines to check.
            if let Ok(text) = fs::read_to_string(root.join(&path)) {
                files.push(Written { path, text });
            }
        }
    }
}

/// Fails with every finding, one a line.
pub(crate) fn none(findings: &[String], rule: &str) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}
