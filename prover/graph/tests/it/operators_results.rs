//! N-grams, and results whose number depends on the data: boxes that suppress no other, positions of what is not zero.

use crate::onnx;

use crate::support::{Compiled, gives, gives_live_and_fixed, refusal_to_quantise, refuses, sample};
use onnx::{Attribute, Attribute::*, Onnx};
use tract_onnx::pb::tensor_proto::DataType;
use vouch_graph::{
    data::Sample,
    exec::{execute, quantise_inputs},
};

const TOKENS: [f64; 12] = [1.0, 1.0, 3.0, 3.0, 3.0, 7.0, 8.0, 6.0, 7.0, 5.0, 6.0, 8.0];

fn ngrams(shape: &[i64], attributes: &[Attribute<'_>]) -> Onnx {
    let pool = [
        Ints("ngram_counts", &[0, 4]),
        Ints("ngram_indexes", &[0, 1, 2, 3, 4, 5, 6]),
        Ints("pool_int64s", &[2, 3, 5, 4, 5, 6, 7, 8, 6, 7]),
    ];
    let model = Onnx::new().typed_input("x", shape, DataType::Int32);
    model.node("TfIdfVectorizer", &["x"], "y", &[&pool, attributes].concat()).output("y")
}

#[test]
fn pairs_are_counted_with_what_may_lie_between_them() {
    let sizes = |least: i64, skips: i64| {
        [Int("min_gram_length", least), Int("max_gram_length", 2), Int("max_skip_count", skips), Text("mode", "TF")]
    };
    let x: &[f64] = &TOKENS;
    gives(&ngrams(&[12], &sizes(1, 5)), &[x], &[&[0.0, 3.0, 1.0, 0.0, 1.0, 3.0, 1.0]], 1e-3);
    gives(&ngrams(&[12], &sizes(2, 0)), &[x], &[&[0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]], 1e-3);
    let rows = [[0.0; 7], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]].concat();
    gives(&ngrams(&[2, 6], &sizes(2, 5)), &[x], &[&rows], 1e-3);
}

#[test]
fn weights_count_once_or_each_time() {
    let mode = |mode| {
        let weights = Floats("weights", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let sizes = [Int("min_gram_length", 1), Int("max_gram_length", 1), Int("max_skip_count", 0)];
        ngrams(&[12], &[&sizes[..], &[Text("mode", mode), weights]].concat())
    };
    let x: &[f64] = &TOKENS;
    gives(&mode("IDF"), &[x], &[&[0.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0]], 1e-2);
    gives(&mode("TFIDF"), &[x], &[&[0.0, 6.0, 3.0, 0.0, 0.0, 0.0, 0.0]], 1e-2);
    refuses(&mode("WORDS"), "its mode");
    let far =
        [Int("min_gram_length", 2), Int("max_gram_length", 2), Int("max_skip_count", i64::MAX), Text("mode", "TF")];
    gives(&ngrams(&[12], &far), &[x], &[&[0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 1.0]], 1e-3);
}

/// Boxes `[1, 4, 4]` of which the second overlaps the first by two thirds, and the last are one.
const BOXES: [f64; 16] = [0.0, 0.0, 1.0, 1.0, 0.0, 0.2, 1.0, 1.2, 3.0, 3.0, 4.0, 4.0, 4.0, 4.0, 3.0, 3.0];

/// Where as many boxes are declared.
fn suppression(count: Option<i64>) -> Onnx {
    let mut model = Onnx::new()
        .input("boxes", &[1, 4, 4])
        .input("scores", &[1, 1, 4])
        .ints("most", &[3])
        .input("overlap", &[1])
        .input("least", &[1])
        .node("NonMaxSuppression", &["boxes", "scores", "most", "overlap", "least"], "y", &[]);
    model = model.output("y");
    if let Some(count) = count {
        // A declared input lends its description to the output.
        let described = Onnx::new().typed_input("y", &[count, 3], DataType::Int64);
        model.graph.output = described.graph.input;
    }
    model
}

#[test]
fn boxes_are_selected_by_score_and_suppress_those_that_they_overlap() {
    let falling: [&[f64]; 4] = [&BOXES, &[0.9, 0.8, 0.3, 0.7], &[0.5], &[0.0]];
    let two = suppression(Some(2));
    gives_live_and_fixed(&two, &["overlap"], &falling, &[&[0.0, 0.0, 0.0, 0.0, 0.0, 3.0]], 0.0);
    let equal: &[f64] = &[0.7, 0.8, 0.9, 0.9];
    gives(&two, &[&BOXES, equal, &[0.75], &[0.75]], &[&[0.0, 0.0, 2.0, 0.0, 0.0, 1.0]], 0.0);
    let three = [0.0, 0.0, 2.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
    gives(&suppression(Some(3)), &[&BOXES, equal, &[0.75], &[0.5]], &[&three], 0.0);
    refuses(&suppression(None), "does not say how many rows its output has");
}

#[test]
fn another_number_of_results_than_declared_has_no_proof() {
    let model = suppression(Some(2));
    let scored = |scores: &[f64; 4], overlap: f64, least: f64| sample(&[&BOXES, scores, &[overlap], &[least]]);
    let equal = [0.7, 0.8, 0.9, 0.9];
    let two = [scored(&[0.9, 0.8, 0.3, 0.7], 0.5, 0.1), scored(&equal, 0.75, 0.75)];
    let compiled = Compiled::new(&model, &two);
    let run = |sample: &Sample| execute(&compiled.int, &quantise_inputs(&compiled.int, sample).unwrap());
    assert!(two.iter().all(|sample| run(sample).is_ok()));
    let (one, none, three) =
        (scored(&[0.9, 0.0, 0.0, 0.0], 0.5, 0.1), scored(&[0.0; 4], 0.5, 0.1), scored(&equal, 0.75, 0.5));
    for other in [one, none, three] {
        let error = run(&other).unwrap_err();
        assert_eq!(error.code(), "out_of_range", "{error}");
    }
    let none: [&[f64]; 4] = [&BOXES, &[0.0; 4], &[0.5], &[0.1]];
    assert_eq!(refusal_to_quantise(&model, &none).code(), "quantise");
}

#[test]
fn positions_are_found_where_their_number_is_declared() {
    let mut model = Onnx::new().typed_input("x", &[2, 2], DataType::Bool).node("NonZero", &["x"], "y", &[]).output("y");
    refuses(&model, "size of its output depends");
    model.graph.output = Onnx::new().typed_input("y", &[2, 3], DataType::Int64).graph.input;
    gives(&model, &[&[1.0, 0.0, 1.0, 1.0]], &[&[0.0, 1.0, 1.0, 0.0, 0.0, 1.0]], 0.0);
}

#[test]
fn optional_values_are_tensors_that_are_there() {
    let model = Onnx::new().input("x", &[2]).node("OptionalHasElement", &["x"], "b", &[]);
    let model = model.node("Cast", &["b"], "c", &[Int("to", 1)]).node("OptionalGetElement", &["x"], "g", &[]);
    let model = model.node("Add", &["g", "c"], "y", &[]).output("y");
    gives(&model, &[&[0.5, -1.0]], &[&[1.5, 0.0]], 1e-3);
}
