//! Links between documents lead somewhere.

use std::{collections::HashMap, fs, path::Path};

use vouch_tests::root;

use crate::files::{Written, none, written};

pub(crate) fn documents() -> Vec<Written> {
    written().into_iter().filter(|file| file.extension() == "md").collect()
}

/// Lines outside fenced code, with the text of inline code left out.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        let outside = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        (!fenced).then_some((number + 1, outside))
    })
}

/// Targets of `[text](target)` in a line.
fn targets(line: &str) -> Vec<&str> {
    line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()).collect()
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn anchors(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut anchors = Vec::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if !fenced && line.starts_with('#') {
            anchors.push(anchor(line.trim_start_matches('#')));
        }
    }
    anchors
}

#[test]
fn every_link_between_documents_resolves() {
    let documents = documents();
    let anchored: HashMap<_, _> =
        documents.iter().filter_map(|d| Some((root().join(&d.path).canonicalize().ok()?, anchors(&d.text)))).collect();
    let mut broken = Vec::new();
    for document in &documents {
        for (number, line) in prose(&document.text) {
            for target in targets(&line).into_iter().filter(|t| !t.contains("://") && !t.starts_with("mailto:")) {
                let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
                let folder = document.path.parent().unwrap_or(Path::new(""));
                let path = if file.is_empty() { root().join(&document.path) } else { root().join(folder).join(file) };
                let found = path.canonicalize().is_ok_and(|path| {
                    fragment.is_empty() || anchored.get(&path).is_some_and(|all| all.iter().any(|a| a == fragment))
                });
                if !found {
                    broken.push(format!("{}:{number}: {target}", document.path.display()));
                }
            }
        }
    }
    none(&broken, "links lead to a file, and to a heading in it");
}

#[test]
fn the_contents_page_lists_every_chapter_once() {
    let book = root().join("docs/src");
    let summary = fs::read_to_string(book.join("SUMMARY.md")).unwrap();
    let mut listed: Vec<_> = summary.lines().flat_map(targets).map(str::to_owned).collect();
    let mut chapters: Vec<_> = documents()
        .iter()
        .filter_map(|d| d.path.strip_prefix("docs/src").ok())
        .filter(|path| *path != Path::new("SUMMARY.md"))
        .map(|path| path.display().to_string())
        .collect();
    listed.sort();
    chapters.sort();
    assert_eq!(listed, chapters, "docs/src/SUMMARY.md (left) and the chapters in docs/src (right)");
}

#[test]
fn every_decision_is_in_the_book() {
    let page = fs::read_to_string(root().join("docs/src/decisions.md")).unwrap();
    let included: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("{{#include ../decisions/")?.strip_suffix("}}"))
        .map(str::to_owned)
        .collect();
    let mut records: Vec<_> = fs::read_dir(root().join("docs/decisions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    records.sort();
    assert_eq!(included, records, "includes of docs/src/decisions.md (left) and docs/decisions (right), in order");
}

#[test]
fn targets_and_anchors_are_read_as_a_renderer_reads_them() {
    assert_eq!(targets("see [a](b.md#c) and [d](e.md \"title\")"), ["b.md#c", "e.md"]);
    assert_eq!(anchor(" What a proof says, and `not`"), "what-a-proof-says-and-not");
    let lines: Vec<_> = prose("a `[x](y)`\n```\n[x](z)\n```\nb").map(|(number, _)| number).collect();
    assert_eq!(lines, [1, 5]);
}
