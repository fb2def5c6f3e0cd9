//! Guaranteed errors of whole models: they exist, hold on the data held back, and take little time.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use vouch_graph::{
    bound::bounds,
    calibrate::calibrate,
    data::{Sample, read_file_of},
    exec::{dequantise_outputs, execute, quantise_inputs},
    import::{ImportOptions, OnnxModel},
    quantise::{QuantiseOptions, quantise_with_ideal},
};

/// What is known of a model's first output.
struct Found {
    bound: Result<f64, String>,
    measured: f64,
    took: Duration,
}

/// Bounds of a model of three files: the model, its calibration data, its test data. `None` where they are not there.
fn found(folder: &Path, [model, calibration, test]: [&str; 3]) -> Option<Found> {
    let [model, calibration, test] = [model, calibration, test].map(|file| folder.join(file));
    if ![&model, &calibration, &test].iter().all(|file| file.exists()) {
        eprintln!("skipped: {} is incomplete", folder.display());
        return None;
    }
    let options = ImportOptions::default();
    let names: Vec<String> =
        OnnxModel::open(&model, &options).unwrap().input_specs().unwrap().into_iter().map(|spec| spec.name).collect();
    let float = match OnnxModel::open(&model, &options).and_then(|model| model.lower()) {
        Ok(float) => float,
        Err(error) => {
            eprintln!("skipped: {error}");
            return None;
        }
    };
    let read = |path: &Path| -> Vec<Sample> { read_file_of(path, &float.input_specs(), &names).unwrap() };
    let samples = read(&calibration);
    let ranges = calibrate(&float, &samples).unwrap();
    let (int, ideal) = quantise_with_ideal(&float, &ranges, &QuantiseOptions::default()).unwrap();
    let start = Instant::now();
    let bounds = bounds(&int, &ideal);
    let took = start.elapsed();
    let mut measured = 0.0f64;
    for sample in read(&test).iter().chain(&samples).take(128) {
        let Ok(trace) = quantise_inputs(&int, sample).and_then(|inputs| execute(&int, &inputs)) else { continue };
        let reals = float.trace(sample).unwrap();
        let got = dequantise_outputs(&int, &trace);
        for ((got, id), output) in got.iter().zip(&float.outputs).zip(&bounds.outputs) {
            for (y, x) in got.iter().zip(&reals.tensors[id.0]) {
                measured = measured.max((y - x).abs());
                let Some(bound) = output.bound else { continue };
                assert!((y - x).abs() <= bound, "{}: {y} against {x}, bound {bound}", folder.display());
            }
        }
    }
    let bound = bounds.largest().map_err(|output| output.reason.clone().unwrap_or_default());
    let name = folder.file_name().unwrap().to_string_lossy();
    let tables = bounds.tables.iter().map(|t| t.units_in_range).fold(0.0, f64::max);
    match &bound {
        Ok(bound) => eprintln!(
            "{name}: bound {bound:.3e}, measured {measured:.3e}, ratio {:.1}, tables {tables:.2} units, {took:?}",
            bound / measured
        ),
        Err(reason) => eprintln!("{name}: no bound, {reason}; measured {measured:.3e}, tables {tables:.2}, {took:?}"),
    }
    Some(Found { bound, measured, took })
}

fn models() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models")
}

const BENCHMARK: [&str; 3] = ["network.onnx", "calib.json", "test.npz"];

#[test]
fn the_benchmark_models_have_bounds_that_hold() {
    for name in ["linreg", "mlp_small", "digits_mlp", "digits_cnn"] {
        let Some(found) = found(&models().join("benchmark").join(name), BENCHMARK) else { continue };
        let bound = found.bound.unwrap();
        assert!(bound < 300.0 * found.measured, "{name}: {bound} against {}", found.measured);
        assert!(found.took < Duration::from_secs(5), "{name}: {:?}", found.took);
    }
}

#[test]
fn the_rebalancer_has_a_bound_that_holds() {
    let files = ["model.onnx", "calibration.json", "test.json"];
    let Some(found) = found(&models().join("rebalancer"), files) else { return };
    found.bound.unwrap();
}

/// Five layers, each of which may add up the errors of hundreds of values: the worst case is no bound.
#[test]
fn a_deep_network_has_a_reason_in_little_time() {
    let Some(found) = found(&models().join("benchmark/lenet5"), BENCHMARK) else { return };
    assert_eq!(found.bound, Err("node `Gemm_22` may magnify errors to the size of its values".to_owned()));
    assert!(found.took < Duration::from_secs(1), "{:?}", found.took);
}

/// Models of other sources: a bound where there is one holds, and the others say why not.
#[test]
fn other_models_have_bounds_that_hold_or_a_reason() {
    let shared = models().join("../../shared/bench/models");
    let names = [
        "breast_cancer_mlp",
        "cifar_cnn",
        "mlp_wide",
        "tcn",
        "tcn_dilated",
        "tiny_transformer",
        "tiny_transformer_decln",
        "gbdt",
        "gbdt_gemm",
        "gbdt_regressor",
        "rf",
    ];
    for name in names {
        found(&shared.join(name), BENCHMARK);
    }
    let names = [
        "cnn_torch",
        "mlp_torch",
        "transformer_encoder",
        "lstm_forecaster",
        "gru_forecaster",
        "gpt_char",
        "int8_cnn",
        "gbdt_sklearn",
        "random_forest",
        "xgboost_reg",
        "lightgbm_cls",
    ];
    for name in names {
        found(&models().join("real").join(name), ["model.onnx", "calibration.npz", "test.npz"]);
    }
}
