//! The search for disagreements, on models whose quantised form is known to differ from the float model.

use crate::{
    onnx::Onnx,
    support::{Compiled, sample},
};
use vouch_graph::{
    audit::{Audit, AuditOptions, Origin, audit},
    data::Sample,
    report::report,
};

fn samples(list: &[&[f64]]) -> Vec<Sample> {
    list.iter().map(|x| sample(&[x])).collect()
}

/// `y = x` for `x` up to 1000 in magnitude: the integers are 2^-4 apart, and rounding is the only error.
fn rounding() -> Compiled {
    let onnx = Onnx::new().input("x", &[1, 1]).weight("w", &[1, 1], &[1.0]).node("MatMul", &["x", "w"], "y", &[]);
    Compiled::new(&onnx.output("y"), &samples(&[&[-1000.0], &[1000.0]]))
}

fn run(models: &Compiled, data: &[Sample], options: AuditOptions) -> Audit {
    let mut last = 0;
    let audited = audit(&models.float, &models.int, data, &options, &mut |done| {
        assert!(done >= last);
        last = done;
    });
    let audited = audited.unwrap();
    assert_eq!(last, data.len() + audited.search.tries);
    audited
}

#[test]
fn the_search_finds_the_whole_band_around_a_threshold_and_nothing_beyond() {
    let models = rounding();
    let step = models.int.tensor(models.int.inputs[0].tensor).exponent.dequantise(1);
    assert_eq!(step, 0.0625);
    // Below 0.3 the nearest integer is 0.3125 from half a step under it on: the band is 0.28125 to 0.3.
    let options = AuditOptions { threshold: Some(0.3), tries: 1000, ..AuditOptions::default() };
    let audited = run(&models, &samples(&[&[-900.0], &[700.0], &[5.0]]), options);
    assert_eq!((audited.decision, audited.agreed, audited.samples), (Some("threshold"), Some(3), 3));
    let margin = audited.largest_margin().unwrap();
    let band = 0.3 - 0.28125;
    assert!(margin > 0.99 * band && margin <= band + 1e-6, "{margin} of {band}");
    assert_eq!(audited.search.tries, 1000);
    assert!(audited.least_float_margin.unwrap() > 4.0 && audited.least_margin().unwrap() < 1e-3);
    assert!(audited.search.pairs > 0 && audited.search.disagreements > 0);
    assert!(audited.largest_error() > 0.99 * step / 2.0 && audited.largest_error() <= step / 2.0);
    let worst = &audited.search.worst.disagreements[0];
    assert!(matches!(worst.origin, Origin::Boundary { .. } | Origin::Perturbation));
    let decisions = worst.decisions.unwrap();
    assert_eq!((decisions.float, decisions.quantised), (0, 1));
    assert!(audited.findings().windows(2).all(|f| f[0].inputs != f[1].inputs));
}

#[test]
fn classes_that_nearly_tie_are_found() {
    // Classes x and 1 - x, apart by 2 x - 1: the boundary is at a half.
    let onnx = Onnx::new()
        .input("x", &[1, 1])
        .weight("w", &[1, 2], &[1.0, -1.0])
        .weight("b", &[2], &[0.0, 1.01])
        .node("Gemm", &["x", "w", "b"], "y", &[])
        .output("y");
    let data = samples(&[&[-900.0], &[900.0]]);
    let models = Compiled::new(&onnx, &data);
    let audited = run(&models, &data, AuditOptions { tries: 2000, ..AuditOptions::default() });
    assert_eq!((audited.decision, audited.agreement), (Some("arg_max"), Some(1.0)));
    let margin = audited.search.largest_float_margin.unwrap();
    // Either output is off by half a step at most, and so is the input.
    assert!(margin > 0.01 && margin < 4.0 * 0.0625, "{margin}");
}

#[test]
fn a_seed_repeats_and_another_does_not() {
    let models = rounding();
    let data = samples(&[&[-900.0], &[700.0]]);
    let with =
        |seed| run(&models, &data, AuditOptions { threshold: Some(0.3), tries: 300, seed, ..AuditOptions::default() });
    assert_eq!(with(7), with(7));
    assert_ne!(with(7).search.worst, with(8).search.worst);
}

#[test]
fn samples_without_a_proof_are_counted_by_their_reason() {
    let models = rounding();
    let data = samples(&[&[5000.0], &[1.0], &[-5000.0]]);
    let audited = run(&models, &data, AuditOptions { tries: 0, ..AuditOptions::default() });
    assert_eq!((audited.samples, audited.refused, audited.decision), (1, 2, None));
    let [refusal] = &audited.refusals[..] else { panic!("{:?}", audited.refusals) };
    assert_eq!((refusal.tensor.as_str(), refusal.reason.as_str()), ("x", "input_range"));
    assert_eq!((refusal.samples, refusal.first), (2, 0));
    assert!(refusal.message.contains("5000"), "{}", refusal.message);
}

#[test]
fn data_that_never_moves_has_nothing_to_search() {
    let models = rounding();
    let audited = run(&models, &samples(&[&[3.0]]), AuditOptions { tries: 400, ..AuditOptions::default() });
    assert_eq!((audited.search.tries, audited.search.largest_error), (0, 0.0));
    let nothing = audit(&models.float, &models.int, &[], &AuditOptions::default(), &mut |_| {}).unwrap();
    assert_eq!((nothing.samples, nothing.search.tries, nothing.agreement), (0, 0, None));
}

#[test]
fn the_report_names_the_layer_at_which_most_error_enters() {
    // A coarse layer between two fine ones: its values reach 4000, of which the last takes the small part.
    let onnx = Onnx::new()
        .input("x", &[1, 2])
        .weight("wide", &[2, 2], &[4000.0, 1.0, 0.0, 1.0])
        .weight("narrow", &[2, 2], &[0.001, 0.0, 1.0, 1.0])
        .node("MatMul", &["x", "wide"], "h", &[])
        .node("MatMul", &["h", "narrow"], "y", &[])
        .output("y");
    let data = samples(&[&[-1.0, 0.3], &[0.33, -0.77], &[0.91, 0.123], &[0.171, -0.919]]);
    let Compiled { float, int, .. } = Compiled::new(&onnx, &data);
    let report = report(&float, &int, &data).unwrap();
    let names: Vec<&str> = report.layers.iter().map(|l| l.tensor.name.as_str()).collect();
    assert_eq!(names, ["x", "h", "y"]);
    assert_eq!(report.enters_at.as_deref(), Some("h"));
    assert_eq!(report.worst_layers()[0].node, "MatMul_h");
    let [x, h, y] = &report.layers[..] else { panic!("{names:?}") };
    // An input's error is its own; a layer's own error is at most half a step but for its weights'.
    assert_eq!(x.own.rms, x.tensor.rms);
    let half = int.tensor(int.nodes[0].output).exponent.dequantise(1) / 2.0;
    assert!(h.own.max_abs <= 1.01 * half && h.own.max_abs > 0.0, "{} of {half}", h.own.max_abs);
    assert!(y.own.rms < y.tensor.rms, "most of the last layer's error comes from before it");
    // The last layer's own errors are at the outputs as they are.
    assert!((y.at_outputs - y.own.rms).abs() < 1e-12);
    let total: u64 = y.tensor.histogram.counts.iter().sum();
    assert_eq!((total, report.samples, report.carried_samples), (8, 4, 4));
}
