//! Lengths and words.

use crate::files::{none, written};

/// Lines of a source file at most; about half of it is the aim.
const LONGEST: usize = 800;
const SOURCES: [&str; 5] = ["rs", "sol", "py", "mjs", "sh"];

/// Marks of work left for others, in two parts so that this file does not contain them.
const UNFINISHED: [[&str; 2]; 4] = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["HA", "CK"]];
/// First folders of paths that exist on one machine only.
const MACHINE: [&str; 6] = ["home", "Users", "root", "work", "workspace", "mnt"];

#[test]
fn no_source_file_is_longer_than_the_limit() {
    let long: Vec<_> = written()
        .iter()
        .filter(|file| SOURCES.contains(&file.extension()))
        .map(|file| (&file.path, file.text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    none(&long, &format!("split files of more than {LONGEST} lines by responsibility"));
}

#[test]
fn no_file_leaves_work_to_others() {
    let marks = UNFINISHED.map(|parts| parts.concat());
    findings("finish it, or drop the mark", |line| marks.iter().any(|mark| has_word(line, mark)));
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let paths = MACHINE.map(|folder| format!("/{folder}/"));
    findings("write the path relative to the repository", |line| paths.iter().any(|path| starts_a_path(line, path)));
}

#[test]
fn no_file_cites_an_entry_of_a_tracker() {
    findings("say what is meant instead of citing a number", |line| {
        let line = line.to_lowercase();
        line.match_indices("issue #")
            .any(|(at, found)| line[at + found.len()..].starts_with(|c: char| c.is_ascii_digit()))
    });
}

fn findings(rule: &str, offends: impl Fn(&str) -> bool) {
    let mut found = Vec::new();
    for file in written() {
        for (number, line) in file.text.lines().enumerate().filter(|(_, line)| offends(line)) {
            found.push(format!("{}:{}: {}", file.path.display(), number + 1, line.trim()));
        }
    }
    none(&found, rule);
}

/// Whether `word` stands in `line` with no letter or digit at either side.
fn has_word(line: &str, word: &str) -> bool {
    let apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    line.match_indices(word)
        .any(|(at, _)| apart(line[..at].chars().next_back()) && apart(line[at + word.len()..].chars().next()))
}

/// Whether `path` stands in `line` and is not the middle of a longer one.
fn starts_a_path(line: &str, path: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || "_.-~*$}{/)".contains(c);
    line.match_indices(path).any(|(at, _)| !line[..at].ends_with(inside))
}

#[test]
fn words_are_found_whole_and_paths_from_their_start() {
    assert!(has_word("// MARK: later", "MARK") && !has_word("// MARKED, BOOKMARK, MARK_1", "MARK"));
    assert!(starts_a_path("open(\"/srv/x\")", "/srv/") && !starts_a_path("../srv/x https://a.b/srv/", "/srv/"));
}
