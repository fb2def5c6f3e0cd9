//! The whole pipeline on the benchmark's models, against the errors that EZKL was measured at.

use std::path::PathBuf;

use vouch_graph::{
    data::read_file,
    import::{ImportOptions, OnnxModel},
    int::IntGraph,
    report::{Report, report},
};

use crate::support::{quantised, reals};

/// The folder of a benchmark model, where it is present.
fn folder(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/bench/models").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn compiled(name: &str) -> Option<(IntGraph, Report)> {
    let folder = folder(name)?;
    let model = OnnxModel::open(&folder.join("network.onnx"), &ImportOptions::default()).unwrap();
    let float = model.lower().unwrap();
    let specs = float.input_specs();
    let samples = read_file(&folder.join("calib.json"), &specs).unwrap();
    assert_eq!(float.without_reference(), None, "{name}: tract does not read it");
    for sample in &samples {
        reals(name, &float, sample);
    }
    let int = quantised(&float, &samples).unwrap();
    let mut tests = read_file(&folder.join("test.npz"), &specs).unwrap();
    tests.extend(samples);
    let report = report(&float, &int, &tests).unwrap();
    eprintln!(
        "{name}: nodes {:?} params {} macs {} samples {} refused {} max {:.6} mean {:.6} argmax {:?}",
        int.nodes.iter().map(|n| (&n.name, n.output.0)).collect::<Vec<_>>().len(),
        int.parameter_count(),
        int.macs(),
        report.samples,
        report.refused,
        report.max_abs_error,
        report.mean_abs_error,
        report.argmax_agreement
    );
    for l in &report.layers {
        eprintln!("    {} {:.6} {:.6}", l.tensor.name, l.tensor.max_abs, l.tensor.mean_abs);
    }
    Some((int, report))
}

/// The largest error of a model is no worse than EZKL's.
fn no_worse_than(name: &str, ezkl: f64) {
    let Some((_, report)) = compiled(name) else { return };
    assert!(report.samples > 0, "{name}: every sample was refused");
    assert!(report.max_abs_error <= ezkl, "{name}: {} against {ezkl}", report.max_abs_error);
}

#[test]
fn linreg_is_no_worse_than_ezkl() {
    no_worse_than("linreg", 0.000_267);
}

#[test]
fn mlp_small_is_no_worse_than_ezkl() {
    no_worse_than("mlp_small", 0.000_723);
}

#[test]
fn digits_mlp_is_no_worse_than_ezkl() {
    no_worse_than("digits_mlp", 0.002_085);
}

#[test]
fn digits_cnn_is_no_worse_than_ezkl() {
    no_worse_than("digits_cnn", 0.002_768);
}

#[test]
fn breast_cancer_mlp_is_no_worse_than_ezkl() {
    no_worse_than("breast_cancer_mlp", 0.000_379);
}

#[test]
fn tcn_is_no_worse_than_ezkl() {
    no_worse_than("tcn", 0.000_389);
}

#[test]
fn tcn_dilated_is_as_accurate_as_tcn() {
    no_worse_than("tcn_dilated", 0.000_389);
}

#[test]
fn lenet5_is_no_worse_than_ezkl() {
    no_worse_than("lenet5", 0.001_801);
}

#[test]
fn mlp_wide_is_no_worse_than_ezkl() {
    no_worse_than("mlp_wide", 0.003_396);
}

#[test]
fn cifar_cnn_compiles_with_a_small_error() {
    no_worse_than("cifar_cnn", 0.003);
}

#[test]
fn tiny_transformer_is_no_worse_than_ezkl() {
    no_worse_than("tiny_transformer", 0.006_101);
}

#[test]
fn tiny_transformer_decln_is_no_worse_than_ezkl() {
    no_worse_than("tiny_transformer_decln", 0.006_101);
}
