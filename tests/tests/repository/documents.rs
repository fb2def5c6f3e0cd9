//! What the README promises exists.

use std::fs;

use vouch_tests::root;

use crate::files::none;
use crate::links::documents;

/// Words that follow `before` in code, inline or fenced.
fn words_after<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    let word = |rest: &'a str| rest.split(|c: char| !c.is_ascii_alphanumeric() && !"-_./".contains(c)).next();
    let starts = |at: usize| at == 0 || text[..at].ends_with(['`', '\n', ' ', '/']);
    text.match_indices(before)
        .filter(|(at, _)| starts(*at))
        .filter_map(|(at, found)| word(&text[at + found.len()..]))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| !word.is_empty())
        .collect()
}

/// Fenced and inline code of a document.
fn code(text: &str) -> String {
    let mut fenced = false;
    let mut code = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            code.push_str(line);
        } else {
            code.push_str(&line.split('`').skip(1).step_by(2).collect::<Vec<_>>().join("\n"));
        }
        code.push('\n');
    }
    code
}

#[test]
fn every_script_that_a_document_names_can_be_run() {
    let mut missing = Vec::new();
    for document in documents() {
        for script in words_after(&code(&document.text), "script/") {
            // A source file beside the entry points is read, not run.
            let path = root().join("script").join(script);
            if !path.is_file() || (!script.contains('.') && !executable(&path)) {
                missing.push(format!("{}: script/{script}", document.path.display()));
            }
        }
    }
    none(&missing, "documents name scripts that exist and are executable");
}

#[cfg(unix)]
fn executable(path: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o100 != 0)
}

#[cfg(not(unix))]
fn executable(_: &std::path::Path) -> bool {
    true
}

#[test]
fn every_subcommand_that_a_document_names_has_its_file() {
    let commands = root().join("prover/cli/src/command");
    let mut missing = Vec::new();
    for document in documents() {
        for name in words_after(&code(&document.text), "vouch ") {
            let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !name.starts_with('-');
            let file = name.replace('-', "_");
            let exists = commands.join(format!("{file}.rs")).is_file() || commands.join(&file).is_dir();
            if is_name && name != "help" && !exists {
                missing.push(format!("{}: vouch {name}", document.path.display()));
            }
        }
    }
    none(&missing, "documents name subcommands that exist");
}

#[test]
fn the_readme_has_its_first_screen() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let missing: Vec<_> =
        ["./script/demo", "./script/test", "<!-- bench:begin -->", "<!-- bench:end -->", "not audited"]
            .into_iter()
            .filter(|wanted| !readme.contains(wanted))
            .map(str::to_owned)
            .collect();
    none(&missing, "README.md names the two commands, the table of figures and the state of review");
}

#[test]
fn words_are_taken_from_code_alone() {
    let text = "run `vouch prove DIR` or vouch for it\n```sh\nvouch verify x\nscript/test rules\n```\n";
    assert_eq!(words_after(&code(text), "vouch "), ["prove", "verify"]);
    assert_eq!(words_after(&code(text), "script/"), ["test"]);
}
