//! What a command says when it refuses.

use std::process::Output;

use serde_json::Value;

/// Code and sentence of the error of `vouch ARGS --json`, which must have been refused.
pub(crate) fn refusal(args: &[&str], output: &Output) -> (String, String) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "vouch {args:?}: {text}");
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let part = |key: &str| value["error"][key].as_str().unwrap().to_owned();
    let sentence = format!("{}; {}", part("message"), part("remedy"));
    assert!(!sentence.contains("panicked") && !sentence.contains('\n'), "{sentence}");
    (part("code"), sentence)
}

pub(crate) fn assert_mentions(sentence: &str, words: &[&str]) {
    for word in words {
        assert!(sentence.contains(word), "{word:?} is not in {sentence:?}");
    }
}
