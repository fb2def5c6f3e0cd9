//! How wide inputs are.

use super::{json, refusal::refusal, root, vouch};

/// `vouch check` or `vouch compile` of a benchmark model whose 16 inputs are real.
fn args(more: &[&str]) -> Vec<String> {
    let folder = root().join("models/benchmark/mlp_small");
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let mut args = vec!["check".to_owned(), file("network.onnx")];
    args.extend(["--calibrate".to_owned(), file("calib.json"), "--input".to_owned(), file("input.json")]);
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    args
}

#[test]
fn narrower_inputs_are_fewer_words_and_satisfy_the_constraints() {
    let check = |bits: &str| {
        let args = args(&["--input-bits", bits]);
        json(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let (wide, narrow, odd) = (check("16"), check("8"), check("11"));
    assert!(narrow["instances"].as_u64() < wide["instances"].as_u64(), "{narrow}");
    for (report, bits) in [(&wide, 16), (&narrow, 8), (&odd, 11)] {
        let listed: Vec<u64> = report["input_bits"].as_object().unwrap().values().filter_map(|v| v.as_u64()).collect();
        assert_eq!(listed, [bits]);
    }
    let error = |report: &serde_json::Value| report["max_abs_error"].as_f64().unwrap();
    assert!(error(&odd) < error(&narrow) && error(&wide) < error(&odd));
}

#[test]
fn widths_that_cannot_be_had_are_refused() {
    let args_of = |bits: &str| args(&["--input-bits", bits, "--json"]);
    let auto = args_of("auto");
    let (code, sentence) = refusal(&auto.iter().map(String::as_str).collect::<Vec<_>>(), &vouch(&auto));
    assert_eq!(code, "no_target", "{sentence}");
    assert!(sentence.contains("--max-error"), "{sentence}");
    for bits in ["7", "17", "few"] {
        let output = vouch(args_of(bits));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("from 8 to 16"), "{said}");
    }
}
